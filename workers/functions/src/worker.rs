//! A worker as a function: a batch of messages in, the ones that failed out.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use event_store::{Stamper, SystemStamper};
use event_store_dynamodb::{DynamoStore, deadline};
use events::{EventName, StreamKey, Timestamp};
use functions::{Function, variable};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use telemetry::metrics;
use tokio::time::{Instant, timeout_at};
use workers::{FakeGateway, Message, Nudge, Ports, Reconcile, Worker, WorkerError, Workers, handle_batch};

use crate::queue::{Failed, client, put_back, response, url_of};

/// Answers invocations with batches of a worker's messages, for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn work(worker: Worker) -> Result<(), Error> {
    let function = Function::start(worker.binary())?;
    let sqs = LazyLock::new(|| client(function.connection()));
    let workers = workers(function.store());
    let endpoint = function.connection().endpoint_url.as_deref();
    let (function, sqs, workers) = (&function, &sqs, &workers);
    let answer = |event: LambdaEvent<SqsEvent>| {
        function.invocation(async move {
            let until = functions::deadline(&event.context);
            let queue = event.payload.records.first().and_then(|record| record.event_source_arn.as_deref());
            let queue_url = queue.and_then(|arn| url_of(arn, endpoint));
            if worker == Worker::Orders {
                let now = SystemStamper::new(worker.binary()).now();
                ages(&event.payload.records, now).into_iter().for_each(metrics::event_age);
            }
            let failed = deadline::until(until, handle(workers.get(worker), event.payload, until)).await;
            if let Some(queue_url) = queue_url.filter(|_| !failed.is_empty()) {
                // What cannot be put back in time comes back by itself, when it is visible again.
                let last = functions::last_deadline(&event.context);
                let _ = timeout_at(last, deadline::until(last, put_back(sqs, &queue_url, &failed))).await;
            }
            Ok::<_, Error>(response(failed))
        })
    };
    lambda_runtime::run(service_fn(answer)).await
}

fn workers(store: DynamoStore) -> Workers {
    let store = Arc::new(store);
    let gateway = FakeGateway {
        intents: store.clone(),
        failure_share: variable("GATEWAY_FAILURES").and_then(|share| share.parse().ok()).unwrap_or(0.0),
        seed: 0,
    };
    let ports =
        Ports { log: store.clone(), orders: store.clone(), catalog: store, gateway: Arc::new(gateway) };
    Workers::new(&ports, |binary| Arc::new(SystemStamper::new(binary)))
}

/// How old the orders are that are heard of for the first time, in milliseconds. All events of an order take the same
/// way, so one of them says how fast it is.
fn ages(records: &[SqsMessage], now: Timestamp) -> Vec<u64> {
    let is_first = |record: &&SqsMessage| receive_count(record) == 1;
    let placed_at = |record: &SqsMessage| {
        let body: Carried = serde_json::from_str(record.body.as_deref()?).ok()?;
        (body.event_name == EventName::OrderPlaced.as_str()).then(|| body.occurred_at.millis())
    };
    let placed_at = records.iter().filter(is_first).filter_map(placed_at);
    placed_at.map(|at| now.millis().saturating_sub(at).max(0).unsigned_abs()).collect()
}

/// What of a message says when its event was appended.
#[derive(Deserialize)]
struct Carried {
    event_name: String,
    occurred_at: Timestamp,
}

fn receive_count(record: &SqsMessage) -> u32 {
    let received = record.attributes.get("ApproximateReceiveCount");
    received.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// The messages that were not handled.
async fn handle(worker: &dyn Reconcile, event: SqsEvent, until: Instant) -> Vec<Failed> {
    let records = event.records;
    let messages: Vec<Message<&str>> = (0..)
        .zip(&records)
        .map(|(id, record)| Message {
            id,
            body: record.body.as_deref().unwrap_or_default(),
            receive_count: receive_count(record),
        })
        .collect();
    let failures = handle_batch(&InTime { worker, until }, &messages).await;
    let failed = failures.into_iter();
    failed.map(|failure| Failed::new(records[failure.id as usize].clone(), failure.retry_after)).collect()
}

/// A worker that stops in time to say what it did not do.
struct InTime<'a> {
    worker: &'a dyn Reconcile,
    until: Instant,
}

#[async_trait]
impl Reconcile for InTime<'_> {
    fn name(&self) -> &'static str {
        self.worker.name()
    }

    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError> {
        match timeout_at(self.until, self.worker.reconcile(stream, nudge)).await {
            Ok(done) => done,
            Err(_) => Err(WorkerError::Transient("the invocation's time is up".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str, receive_count: &str) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.body = Some(body.to_owned());
        message.attributes.insert("ApproximateReceiveCount".to_owned(), receive_count.to_owned());
        message
    }

    #[test]
    fn the_age_of_an_order_is_told_once() {
        let body = |name| {
            format!(r#"{{"pk":"p","sk":"s","event_name":"{name}","occurred_at":"1970-01-01T00:00:01.500Z"}}"#)
        };
        let (placed, later) = (body("OrderPlaced"), body("ReserveInventory"));
        let records =
            [message(&placed, "1"), message(&placed, "2"), message(&later, "1"), message("no event", "1")];
        assert_eq!(ages(&records, Timestamp::from_millis(4_000)), [2_500]);
        assert_eq!(ages(&records, Timestamp::from_millis(0)), [0], "by a clock that is behind");
    }
}
