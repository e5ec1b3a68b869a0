//! From a queue to its worker: batches, concurrency, time-outs, as the template says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use workers::{Worker, Workers, handle_batch};

use crate::queue::Queue;

pub(crate) struct Dispatch {
    pub(crate) queue: Arc<Queue>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) worker: Worker,
    pub(crate) batch_size: usize,
    pub(crate) batching_window: Duration,
    pub(crate) concurrency: usize,
    pub(crate) function_timeout: Duration,
    pub(crate) reports_failures: bool,
}

/// What was received by hand, and became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Handled, and gone.
    pub(crate) done: usize,
    /// Back in the queue, or a dead letter.
    pub(crate) failed: usize,
}

impl Dispatch {
    /// Hands out batches until it is told to stop, then waits for those that are under way.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let running = Arc::new(Semaphore::new(self.concurrency));
        let this = self;
        loop {
            let permit = running.clone().acquire_owned().await.expect("the semaphore is never closed");
            let batch = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                batch = this.queue.receive(this.batch_size, this.batching_window) => batch,
            };
            let this = this.clone();
            tokio::spawn(async move {
                this.handle(batch).await;
                drop(permit);
            });
        }
        drop(running.acquire_many(this.concurrency as u32).await);
    }

    /// Hands out what is visible, batch by batch, beside [`Dispatch::run`] and by the same rules: at most so many
    /// messages, and no batch after a moment.
    pub(crate) async fn drain(&self, limit: usize, until: Instant) -> Drained {
        let mut drained = Drained::default();
        loop {
            let room = limit - drained.done - drained.failed;
            let batch =
                if Instant::now() < until { self.queue.take(room.min(self.batch_size)) } else { Vec::new() };
            if batch.is_empty() {
                return drained;
            }
            let received = batch.len();
            let failed = self.handle(batch).await;
            drained.failed += failed;
            drained.done += received - failed;
        }
    }

    /// Says how many messages failed.
    async fn handle(&self, batch: Vec<workers::Message<Arc<str>>>) -> usize {
        let worker = self.workers.get(self.worker);
        match timeout(self.function_timeout, handle_batch(worker, &batch)).await {
            Ok(failures) if failures.is_empty() || self.reports_failures => {
                let failed = failures.len();
                self.queue.settle(&batch, failures).await;
                failed
            }
            // Without partial batch responses, a failure fails its whole batch.
            Ok(failures) => {
                let whole =
                    batch.iter().map(|message| workers::Failure { id: message.id, ..failures[0].clone() });
                self.queue.settle(&batch, whole.collect()).await;
                batch.len()
            }
            // The function was cut off: its messages are visible again when their visibility times out.
            Err(_) => {
                tracing::warn!(worker = self.worker.binary(), "a batch ran into its function's timeout");
                batch.len()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use event_store::{Stamper, SystemStamper};
    use event_store_embedded::EmbeddedStore;
    use tokio::sync::Notify;
    use workers::{FakeGateway, Ports};

    use super::*;
    use crate::queue::now;
    use crate::queue_state::Definition;

    /// Whoever reads a queue of a store, and does not read it by itself.
    fn reader(store: &EmbeddedStore) -> Dispatch {
        let shared = Arc::new(store.clone());
        let ports = Ports {
            log: shared.clone(),
            orders: shared.clone(),
            catalog: shared.clone(),
            gateway: Arc::new(FakeGateway { intents: shared, failure_share: 0.0, seed: 1 }),
        };
        let redrive = topology::Redrive { dead_letter_queue: "DLQ".into(), max_receive_count: 2 };
        let definition = Definition {
            name: "Q".into(),
            visibility_timeout: Duration::from_secs(180),
            delay: Duration::ZERO,
            redrive: Some(redrive),
        };
        let kept = Arc::new(store.queues());
        let queue = Queue::open(definition, kept, Arc::new(Notify::new())).expect("the store reads");
        Dispatch {
            queue: Arc::new(queue),
            workers: Arc::new(Workers::new(&ports, |binary| Arc::new(SystemStamper::new(binary)))),
            worker: Worker::Orders,
            batch_size: 2,
            batching_window: Duration::ZERO,
            concurrency: 1,
            function_timeout: Duration::from_secs(30),
            reports_failures: true,
        }
    }

    /// A placed order, and the message about it.
    pub(crate) async fn placed(store: &EmbeddedStore, order: &str) -> Arc<str> {
        let pk = format!("EVENTS#ORDER_ID#{order}");
        let data = format!(
            r#"{{"order_id":"{order}","customer_id":"anna","items":[{{"sku":"sku-1","quantity":1}}],"total":5,"currency":"EUR"}}"#
        );
        let causes = events::Causes {
            priority: events::Priority::Standard,
            correlation_id: "one".into(),
            causation_id: None,
            request_seed: None,
            traceparent: None,
        };
        let stamp = SystemStamper::new("a test").stamp(None);
        let event = events::RecordedEvent::raw(
            (&pk, "EVENT#OrderPlaced"),
            ("OrderPlaced", 1, &data),
            Vec::new(),
            stamp,
            causes,
        );
        event_store::EventLog::append(store, event).await.expect("the store takes it");
        format!(r#"{{"pk":"{pk}","sk":"EVENT#OrderPlaced"}}"#).into()
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn what_is_received_by_hand_is_handled_and_given_up_as_by_whoever_reads_the_queue() {
        let store = EmbeddedStore::temporary();
        let reader = reader(&store);
        let messages = [placed(&store, "order-1").await, "nonsense".into(), placed(&store, "order-2").await];
        for (position, message) in (1..).zip(messages) {
            reader.queue.lock().offer(position, message, now());
        }
        assert_eq!(reader.drain(10, Instant::now()).await, Drained::default(), "there is no time");
        assert_eq!(reader.drain(2, in_a_minute()).await, Drained { done: 1, failed: 1 }, "no more than two");
        assert_eq!(store.queues().dead_letters(None, 0, 10).expect("it reads"), []);
        // Behind the third message comes the second once more, for the second and last time.
        assert_eq!(reader.drain(10, in_a_minute()).await, Drained { done: 1, failed: 1 });
        let letters = store.queues().dead_letters(None, 0, 10).expect("it reads");
        let shown = letters.iter().map(|letter| (letter.body.as_str(), letter.receive_count));
        assert_eq!(shown.collect::<Vec<_>>(), [("nonsense", 2)]);
        assert_eq!(reader.drain(10, in_a_minute()).await, Drained::default(), "nothing is left");
        for order in ["order-1", "order-2"] {
            let pk = format!("EVENTS#ORDER_ID#{order}");
            let stream = event_store::EventLog::read_stream(&store, &pk).await.expect("it reads");
            let names: Vec<&str> = stream.iter().map(|event| &*event.event_name).collect();
            assert_eq!(names, ["OrderPlaced", "ReserveInventory"]);
        }
    }
}
