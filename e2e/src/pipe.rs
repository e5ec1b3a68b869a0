//! The pipe where there is none: batches of the stream's records to the bus, as the template's pipe declares it.
//!
//! What a pipe of an account does besides, and this one does not: reading shards side by side.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use event_store_dynamodb::stream::{Record, StreamReader};
use events::Timestamp;
use serde_json::{Value, json};
use topology::{PartialBatchFailure, Pipe};
use worker_functions::{Bus, CarryError, carried};

/// Carries records from the log's stream to the bus.
pub struct Runner {
    /// What the template declares.
    pub pipe: Pipe,
    /// Where events go.
    pub bus: Arc<dyn Bus>,
    /// Who hears of records that were given up.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// The stream, as dead letters name it.
    pub stream: String,
    /// How long is waited before a batch that failed is tried again.
    pub pause: Duration,
}

/// The queue for what the pipe gave up on.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter.
    async fn keep(&self, letter: &Value) -> Result<(), String>;
}

/// How long a quiet stream is left alone.
const QUIET: Duration = Duration::from_millis(20);

impl Runner {
    /// Carries until it is dropped.
    pub async fn run(&self, mut reader: StreamReader) {
        loop {
            match reader.poll().await {
                Ok(records) if records.is_empty() => tokio::time::sleep(QUIET).await,
                Ok(records) => self.carry(&records).await,
                Err(error) => {
                    tracing::warn!(%error, "failed to read the stream");
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
    }

    /// Carries records in their order, in batches of one shard each; returns when each was put or given up.
    pub async fn carry(&self, records: &[Record]) {
        for of_one_shard in records.chunk_by(|one, next| one.shard == next.shard) {
            // Records that the filter holds back are gone before batches are made.
            let passed = of_one_shard.iter().filter(|record| !matches!(self.event(record), Ok(None)));
            let passed: Vec<Record> = passed.cloned().collect();
            for batch in passed.chunks(self.pipe.batch_size as usize) {
                self.carry_batch(batch).await;
            }
        }
    }

    fn event(&self, record: &Record) -> Result<Option<worker_functions::BusEvent>, CarryError> {
        carried(&self.pipe, &record.json())
    }

    async fn carry_batch(&self, batch: &[Record]) {
        let bisects = self.pipe.on_partial_batch_item_failure == PartialBatchFailure::Bisect;
        let mut parts = VecDeque::from([(batch, 0)]);
        while let Some((part, tried_again)) = parts.pop_front() {
            // A shard's records are in their order, so the old ones come first.
            let old = part.iter().take_while(|record| self.is_too_old(record)).count();
            let (old, part) = part.split_at(old);
            self.give_up("MaximumRecordAgeExceeded", old).await;
            let Err(error) = self.put(part).await else { continue };
            if bisects && part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push_front((second, tried_again));
                parts.push_front((first, tried_again));
            } else if self.pipe.maximum_retry_attempts.is_some_and(|most| tried_again >= most) {
                tracing::warn!(%error, records = part.len(), "gave up");
                self.give_up("RetryAttemptsExhausted", part).await;
            } else {
                tokio::time::sleep(self.pause).await;
                parts.push_front((part, tried_again + 1));
            }
        }
    }

    async fn put(&self, records: &[Record]) -> Result<(), CarryError> {
        let mut events = Vec::new();
        for record in records {
            events.extend(self.event(record)?);
        }
        if events.is_empty() { Ok(()) } else { self.bus.put(&events).await }
    }

    fn is_too_old(&self, record: &Record) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let then = Duration::from_secs(u64::try_from(record.happened_at).unwrap_or_default());
        self.pipe.maximum_record_age.is_some_and(|most| now.saturating_sub(then) > most)
    }

    /// Nothing is given up before somebody has heard of it.
    async fn give_up(&self, why: &str, records: &[Record]) {
        let Some(letter) = letter(&self.pipe.name, why, &self.stream, records) else { return };
        while let Err(error) = self.dead_letters.keep(&letter).await {
            tracing::warn!(%error, "failed to keep a dead letter");
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// A dead letter as a pipe over a table's stream writes it: it names records, and holds none.
fn letter(pipe: &str, why: &str, stream: &str, records: &[Record]) -> Option<Value> {
    let (first, last) = (records.first()?, records.last()?);
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000)).to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(json!({
        "context": {
            "partnerResourceArn": format!("arn:aws:pipes:us-east-1:000000000000:pipe/{pipe}"),
            "condition": why,
        },
        "version": "1.0",
        "timestamp": at(i64::try_from(now).unwrap_or_default()),
        "DDBStreamBatchInfo": {
            "shardId": first.shard,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": at(first.happened_at),
            "approximateArrivalOfLastRecord": at(last.happened_at),
            "batchSize": records.len(),
            "streamArn": stream,
        },
    }))
}

/// A queue of SQS for dead letters.
pub struct Queue {
    /// The client.
    pub client: Client,
    /// The queue's address.
    pub url: String,
}

#[async_trait]
impl DeadLetters for Queue {
    async fn keep(&self, letter: &Value) -> Result<(), String> {
        let send = self.client.send_message().queue_url(&self.url).message_body(letter.to_string());
        send.send().await.map(drop).map_err(|error| DisplayErrorContext(error).to_string())
    }
}

#[cfg(test)]
#[path = "pipe/tests.rs"]
mod tests;
