//! A worker as a function: a batch of messages in, the ones that failed out.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use event_store::SystemStamper;
use event_store_dynamodb::{DynamoStore, deadline};
use events::StreamKey;
use functions::{Function, variable};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tokio::time::{Instant, timeout_at};
use workers::{FakeGateway, Message, Nudge, Ports, Reconcile, Worker, WorkerError, Workers, handle_batch};

use crate::queue::{Failed, client, put_back, response, url_of};

/// Answers invocations with batches of a worker's messages, for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn work(worker: Worker) -> Result<(), Error> {
    let function = Function::start()?;
    let sqs = client(function.connection());
    let workers = workers(function.store());
    let endpoint = function.connection().endpoint_url.as_deref();
    let (sqs, workers) = (&sqs, &workers);
    let answer = |event: LambdaEvent<SqsEvent>| async move {
        let until = functions::deadline(&event.context);
        let queue = event.payload.records.first().and_then(|record| record.event_source_arn.as_deref());
        let queue_url = queue.and_then(|arn| url_of(arn, endpoint));
        let failed = deadline::until(until, handle(workers.get(worker), event.payload, until)).await;
        if let Some(queue_url) = queue_url.filter(|_| !failed.is_empty()) {
            put_back(sqs, &queue_url, &failed).await;
        }
        Ok::<_, Error>(response(failed))
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

/// The messages that were not handled.
async fn handle(worker: &dyn Reconcile, event: SqsEvent, until: Instant) -> Vec<Failed> {
    let records = event.records;
    let messages: Vec<Message<&str>> = (0..)
        .zip(&records)
        .map(|(id, record)| {
            let received = record.attributes.get("ApproximateReceiveCount");
            Message {
                id,
                body: record.body.as_deref().unwrap_or_default(),
                receive_count: received.and_then(|count| count.parse().ok()).unwrap_or(1),
            }
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
    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError> {
        match timeout_at(self.until, self.worker.reconcile(stream, nudge)).await {
            Ok(done) => done,
            Err(_) => Err(WorkerError::Transient("the invocation's time is up".into())),
        }
    }
}
