//! What the pipe gave up on, carried again: its dead letters name records of the stream, not events.
//!
//! A pipe that reads a shard in several lanes names the first and the last record of a lane's batch. What other lanes
//! had in between is carried again too, which changes nothing.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use event_store::StoreError;
use event_store_dynamodb::{Connection, stream};
use functions::{Function, required};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use tokio::time::timeout_at;
use topology::{Parameters, Pipe, Source, Topology};

use crate::carry::{Bus, CarryError, EventBus, carried};
use crate::queue::{Failed, client, put_back, response, url_of};

/// The template that declares the pipe: the same filter and the same input template. As JSON, which `build.rs` makes of
/// it: reading its YAML took three quarters of this function's start.
const TEMPLATE: Source<'static> =
    Source { name: "template-oms.yaml", text: include_str!(concat!(env!("OUT_DIR"), "/template-oms.json")) };

/// Answers invocations with dead letters of the pipe, for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn carry_again() -> Result<(), Error> {
    let function = Function::start("pipe-dlq")?;
    let connection = function.connection();
    let carrier = Carrier {
        connection: connection.clone(),
        stream: required("EVENT_STREAM_ARN")?,
        pipe: Topology::load(&[TEMPLATE], &Parameters::default())?.pipe,
        bus: EventBus::new(connection, &required("EVENT_BUS")?),
    };
    let sqs = LazyLock::new(|| client(connection));
    let (function, carrier, sqs) = (&function, &carrier, &sqs);
    let answer = |event: LambdaEvent<SqsEvent>| {
        function.invocation(async move {
            let until = functions::deadline(&event.context);
            let queue = event.payload.records.first().and_then(|letter| letter.event_source_arn.as_deref());
            let queue_url = queue.and_then(|arn| url_of(arn, carrier.connection.endpoint_url.as_deref()));
            let mut failed = Vec::new();
            for letter in event.payload.records {
                let body = letter.body.as_deref().unwrap_or_default();
                let carried = timeout_at(until, carrier.carry(body)).await;
                let Err(error) = carried.unwrap_or(Err(GivenUpError::Late)) else { continue };
                tracing::warn!(%error, "failed to carry what the pipe gave up on");
                failed.push(Failed::new(letter, error.retry_after()));
            }
            if let Some(queue_url) = queue_url.filter(|_| !failed.is_empty()) {
                put_back(sqs, &queue_url, &failed).await;
            }
            Ok::<_, Error>(response(failed))
        })
    };
    lambda_runtime::run(service_fn(answer)).await
}

struct Carrier {
    connection: Connection,
    stream: String,
    pipe: Pipe,
    bus: EventBus,
}

impl Carrier {
    async fn carry(&self, letter: &str) -> Result<(), GivenUpError> {
        let batch = Batch::named_by(letter)?;
        let ends = (&*batch.first, &*batch.last);
        let records = stream::records_between(&self.connection, &self.stream, &batch.shard, ends).await?;
        let mut events = Vec::new();
        for record in records.ok_or(GivenUpError::Gone(batch))? {
            events.extend(carried(&self.pipe, &record.json())?);
        }
        Ok(self.bus.put(&events).await?)
    }
}

/// A dead letter of a pipe over a table's stream.
#[derive(Deserialize)]
struct Letter {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: Batch,
}

/// Which records were given up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Batch {
    #[serde(rename = "shardId")]
    shard: String,
    #[serde(rename = "startSequenceNumber")]
    first: String,
    #[serde(rename = "endSequenceNumber")]
    last: String,
}

impl Batch {
    fn named_by(letter: &str) -> Result<Batch, GivenUpError> {
        let letter: Letter = serde_json::from_str(letter)?;
        Ok(letter.batch)
    }
}

/// Why a letter's records were not carried.
#[derive(Debug, thiserror::Error)]
enum GivenUpError {
    #[error("failed to read the dead letter: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the stream has forgotten {} to {} of {}; the sweepers nudge who owes something", .0.first, .0.last, .0.shard)]
    Gone(Batch),
    #[error(transparent)]
    Stream(#[from] StoreError),
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error("the invocation's time is up")]
    Late,
}

/// How long stream and bus are left alone that did not answer.
const PAUSE: Duration = Duration::from_secs(30);

impl GivenUpError {
    /// What no repetition helps comes back at once, so that it reaches its dead-letter queue soon.
    fn retry_after(&self) -> Duration {
        match self {
            GivenUpError::Unreadable(_) | GivenUpError::Gone(_) => Duration::ZERO,
            GivenUpError::Carry(CarryError::Template(_)) => Duration::ZERO,
            GivenUpError::Stream(_) | GivenUpError::Carry(CarryError::Bus(_)) | GivenUpError::Late => PAUSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_names_its_records() {
        // As a pipe of an account writes it.
        let letter = r#"{
            "context": {
                "partnerResourceArn": "arn:aws:pipes:eu-west-2:123456789123:pipe/sagaline-log",
                "condition": "RetryAttemptsExhausted"
            },
            "version": "1.0",
            "timestamp": "2024-03-08T00:00:00Z",
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001234567891234-aaa1abcd",
                "startSequenceNumber": "1234567800000000001234567891",
                "endSequenceNumber": "1234567800000000001234567899",
                "approximateArrivalOfFirstRecord": "2024-03-08T00:00:00Z",
                "approximateArrivalOfLastRecord": "2024-03-08T00:00:00Z",
                "batchSize": 2,
                "streamArn": "arn:aws:dynamodb:eu-west-2:123456789123:table/log/stream/2023-01-01T00:00:00Z"
            }
        }"#;
        let batch = Batch {
            shard: "shardId-00000001234567891234-aaa1abcd".into(),
            first: "1234567800000000001234567891".into(),
            last: "1234567800000000001234567899".into(),
        };
        assert_eq!(Batch::named_by(letter).unwrap(), batch);
    }

    #[test]
    fn what_is_no_letter_goes_on_to_the_next_dead_letter_queue_at_once() {
        let error = Batch::named_by("{}").unwrap_err();
        assert_eq!(error.retry_after(), Duration::ZERO);
    }

    #[test]
    fn the_template_that_declares_the_pipe_can_be_read_alone() {
        let pipe = Topology::load(&[TEMPLATE], &Parameters::default()).unwrap().pipe;
        assert_eq!(pipe.bus, "sagaline");
    }
}
