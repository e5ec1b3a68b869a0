//! Pauses between tries, each drawn from a range that doubles, so that those who collided do not collide again.

use std::future::Future;
use std::time::Duration;

use event_store::StoreError;
use telemetry::metrics;
use tokio::time::{Instant, sleep};

use crate::{DynamoStore, deadline};

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

pub(crate) struct Pauses {
    deadline: Instant,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn until(deadline: Instant) -> Pauses {
        Pauses { deadline, longest: FIRST }
    }

    /// Pauses before another try.
    ///
    /// # Errors
    /// There is no time for one; `why` is what the last one said.
    pub(crate) async fn pause(&mut self, why: impl FnOnce() -> String) -> Result<(), StoreError> {
        let pause = self.longest.mul_f64(fastrand::f64());
        if Instant::now() + pause >= self.deadline {
            return Err(StoreError::Unavailable(why()));
        }
        metrics::call_retried();
        sleep(pause).await;
        self.longest = (self.longest * 2).min(LONGEST);
        Ok(())
    }
}

impl DynamoStore {
    /// Asks for a batch until nothing of it is left over: a service that is short of capacity answers a part, and
    /// would do no more of the rest if it were asked at once. `ask` gives what was done and what is left.
    pub(crate) async fn in_parts<Part, Done, Asked>(
        &self,
        mut left: Vec<Part>,
        ask: impl Fn(Vec<Part>) -> Asked,
    ) -> Result<Vec<Done>, StoreError>
    where
        Asked: Future<Output = Result<(Vec<Done>, Vec<Part>), StoreError>>,
    {
        // For the whole batch: a part that is done is no reason for more patience with the rest.
        let mut pauses = Pauses::until(deadline::of_a_call(self.limits.patience));
        let mut done = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let (some, rest) = ask(left).await?;
            done.extend(some);
            left = rest;
            if !left.is_empty() {
                pauses
                    .pause(|| format!("{} items of a batch were not processed in time", left.len()))
                    .await?;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Limits;
    use crate::scripted::{Answer, Server};

    use super::*;

    /// A server that leaves one item of a batch over for so many times.
    fn that_leaves_over(times: usize, rest: Value) -> Server {
        let done = std::iter::once_with(|| Answer::ok(json!({})));
        Server::that((0..times).map(move |_| Answer::ok(rest.clone())).chain(done))
    }

    fn of_reads() -> Value {
        json!({ "UnprocessedKeys": { "table": { "Keys": [{ "id": { "S": "o-1" } }] } } })
    }

    fn of_writes() -> Value {
        json!({ "UnprocessedItems": { "scripted-StockLedgerTable": [
            { "PutRequest": { "Item": { "sku": { "S": "lamp" } } } },
        ] } })
    }

    #[tokio::test]
    async fn what_is_left_over_of_a_batch_is_asked_for_again_after_a_pause() {
        let ids = ["o-1".to_owned()];
        let server = that_leaves_over(8, of_reads());
        let began = Instant::now();
        assert_eq!(server.store(Limits::default()).get_all("table", &ids).await, Ok(vec![None]));
        assert_eq!(server.operations(), ["BatchGetItem"; 9]);
        assert!(began.elapsed() > Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_is_left_over_of_a_batch_is_not_asked_for_again_for_ever() {
        let limits = Limits { patience: Duration::from_millis(300), ..Limits::default() };
        let ids = ["o-1".to_owned()];
        let reads = that_leaves_over(10_000, of_reads());
        let read = reads.store(limits).get_all("table", &ids).await;
        let told = "1 items of a batch were not processed in time".to_owned();
        assert_eq!(read, Err(StoreError::Unavailable(told.clone())));
        let writes = that_leaves_over(10_000, of_writes());
        let store = writes.store(limits);
        let entry = crate::row_item::key("sku", "lamp");
        assert_eq!(store.write_ledger(vec![entry]).await, Err(StoreError::Unavailable(told)));
        for server in [reads, writes] {
            assert!(server.operations().len() < 50, "{}", server.operations().len());
        }
    }
}
