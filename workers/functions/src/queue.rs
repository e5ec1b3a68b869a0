//! The queues as functions use them: sending a nudge, and saying when a message comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName};
use event_store_dynamodb::Connection;
use events::{Priority, RecordedEvent};
use functions::required;
use lambda_runtime::Error;
use serde_json::json;
use telemetry::metrics;
use workers::{DeadLetters, Nudges, Worker, WorkerError};

/// A client that tries again for as long as an invocation has patience with a queue.
pub(crate) fn client(connection: &Connection) -> Client {
    let mut config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_sqs::config::Region::new(connection.region.clone()))
        .credentials_provider(connection.credentials.clone())
        .timeout_config(connection.timeouts())
        .http_client(connection.https());
    config.set_endpoint_url(connection.endpoint_url.clone());
    Client::from_conf(config.build())
}

/// The address of a queue, from its ARN: `arn:aws:sqs:<region>:<account>:<name>`.
pub(crate) fn url_of(arn: &str, endpoint: Option<&str>) -> Option<String> {
    let mut parts = arn.split(':').skip(1);
    let (partition, _sqs, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (account, name) = (parts.next()?, parts.next()?);
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(match endpoint {
        Some(endpoint) => format!("{}/{account}/{name}", endpoint.trim_end_matches('/')),
        None => format!("https://sqs.{region}.{suffix}/{account}/{name}"),
    })
}

/// A message that was not handled, as SQS knows it.
pub(crate) struct Failed {
    id: String,
    receipt: String,
    retry_after: Duration,
}

impl Failed {
    pub(crate) fn new(message: SqsMessage, retry_after: Duration) -> Failed {
        Failed {
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            retry_after,
        }
    }
}

/// The answer to an invocation: what stays in the queue, and is counted, because Lambda takes the answer for a success.
pub(crate) fn response(failed: Vec<Failed>) -> SqsBatchResponse {
    if !failed.is_empty() {
        metrics::messages_failed(failed.len() as u64);
    }
    let mut response = SqsBatchResponse::default();
    let failures = failed.into_iter().map(|failed| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = failed.id;
        failure
    });
    response.batch_item_failures = failures.collect();
    response
}

/// Says when messages that failed are received again. What cannot be said costs a wait: they come back when
/// their visibility ends.
pub(crate) async fn put_back(client: &Client, queue_url: &str, failed: &[Failed]) {
    let entries = failed.iter().enumerate().map(|(n, failed)| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(n.to_string())
            .receipt_handle(&failed.receipt)
            .visibility_timeout(i32::try_from(failed.retry_after.as_secs()).unwrap_or(i32::MAX))
            .build()
            .expect("an id and a receipt are given")
    });
    let change =
        client.change_message_visibility_batch().queue_url(queue_url).set_entries(Some(entries.collect()));
    if let Err(error) = change.send().await {
        tracing::warn!(error = %DisplayErrorContext(error), "failed to say when messages come back");
    }
}

/// Sends nudges to the workers' queues.
pub(crate) struct SqsNudges {
    client: Client,
    queues: BTreeMap<(Worker, Priority), String>,
}

impl SqsNudges {
    /// Nudges for the workers whose queues the variables name: `ORDERS_QUEUE_URL`,
    /// `ORDERS_PRIORITY_QUEUE_URL` and so on.
    pub(crate) fn of_variables(connection: &Connection, workers: &[Worker]) -> Result<SqsNudges, Error> {
        let mut queues = BTreeMap::new();
        for worker in workers {
            let name = match worker {
                Worker::Orders => "ORDERS",
                Worker::Inventory => "INVENTORY",
                Worker::Payments => "PAYMENTS",
                Worker::Catalog => "CATALOG",
            };
            let standard = required(&format!("{name}_QUEUE_URL"))?;
            // The catalog has one lane.
            let express = functions::variable(&format!("{name}_PRIORITY_QUEUE_URL"));
            queues.insert((*worker, Priority::Express), express.unwrap_or_else(|| standard.clone()));
            queues.insert((*worker, Priority::Standard), standard);
        }
        Ok(SqsNudges { client: client(connection), queues })
    }
}

#[async_trait]
impl Nudges for SqsNudges {
    async fn nudge(&self, worker: Worker, lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        let Some(queue) = self.queues.get(&(worker, lane)) else {
            return Err(WorkerError::Permanent(format!("no queue leads to {}", worker.binary())));
        };
        let send = self.client.send_message().queue_url(queue).message_body(body(event));
        send.send().await.map(drop).map_err(|error| {
            WorkerError::Transient(format!("failed to send a nudge: {}", DisplayErrorContext(error)))
        })
    }
}

/// Counts letters in dead-letter queues.
pub(crate) struct SqsLetters {
    client: Client,
    urls: Vec<String>,
}

impl SqsLetters {
    /// Those that `DEAD_LETTER_QUEUE_URLS` names, with commas between them.
    pub(crate) fn of_variables(connection: &Connection) -> SqsLetters {
        let urls = functions::variable("DEAD_LETTER_QUEUE_URLS").unwrap_or_default();
        let urls = urls.split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect();
        SqsLetters { client: client(connection), urls }
    }
}

#[async_trait]
impl DeadLetters for SqsLetters {
    async fn counts(&self) -> Result<BTreeMap<String, u64>, WorkerError> {
        let mut counts = BTreeMap::new();
        for url in &self.urls {
            let wanted = QueueAttributeName::ApproximateNumberOfMessages;
            let ask = self.client.get_queue_attributes().queue_url(url).attribute_names(wanted.clone());
            let answer = ask.send().await.map_err(|error| {
                WorkerError::Transient(format!("failed to count letters: {}", DisplayErrorContext(error)))
            })?;
            let count = answer.attributes().and_then(|said| said.get(&wanted)?.parse().ok()).unwrap_or(0);
            counts.insert(url.rsplit('/').next().unwrap_or(url).to_owned(), count);
        }
        Ok(counts)
    }
}

/// The message as the pipe would have made it.
fn body(event: &RecordedEvent) -> String {
    let attributes = json!({
        "pk": event.pk,
        "sk": event.sk,
        "event_id": event.event_id,
        "event_name": event.event_name,
        "schema_version": event.schema_version.to_string(),
        "data": event.data,
        "occurred_at": event.occurred_at,
        "priority": event.priority,
        "producer": event.producer,
        "correlation_id": event.correlation_id,
        "traceparent": event.traceparent,
    });
    attributes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_found_by_its_arn() {
        let arn = "arn:aws:sqs:eu-central-1:123456789012:OMS-OrderEventsQueue";
        let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/OMS-OrderEventsQueue";
        assert_eq!(url_of(arn, None).as_deref(), Some(url));
        let url = "http://127.0.0.1:4566/123456789012/OMS-OrderEventsQueue";
        assert_eq!(url_of(arn, Some("http://127.0.0.1:4566/")).as_deref(), Some(url));
        assert_eq!(url_of("a queue", None), None);
    }
}
