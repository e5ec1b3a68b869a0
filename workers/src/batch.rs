//! A batch of messages in, the ones that failed out: what SQS and Lambda call partial batch responses.

use std::collections::BTreeMap;
use std::time::Duration;

use events::StreamKey;
use futures_util::future::join_all;
use serde::Deserialize;
use telemetry::{metrics, trace};
use tracing::{Instrument, Span, field};

use crate::{Reconcile, WorkerError};

/// A message as a queue hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<Body> {
    /// The queue's id of the message.
    pub id: u64,
    /// The flat JSON object of an event's attributes.
    pub body: Body,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// What a message says: look at this stream again. The rest of its body is for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nudge {
    /// The stream.
    pub pk: String,
    /// The slot of the event that was appended.
    pub sk: String,
}

/// A message that was not handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The queue's id of the message.
    pub id: u64,
    /// Why.
    pub error: WorkerError,
    /// When it should be received again. At once for a permanent failure, so that it reaches its
    /// dead-letter queue soon.
    pub retry_after: Duration,
}

/// The longest time between two receptions of a message that failed.
const MAX_BACK_OFF: Duration = Duration::from_secs(300);

/// Handles a batch. Messages about one stream are one look at it; streams are looked at concurrently.
pub async fn handle_batch<Body: AsRef<str>>(worker: &dyn Reconcile, batch: &[Message<Body>]) -> Vec<Failure> {
    let again = batch.iter().filter(|message| message.receive_count > 1).count();
    if again > 0 {
        metrics::messages_retried(again as u64);
    }
    let mut failures = Vec::new();
    let mut streams: BTreeMap<(String, Option<String>), Look<'_, Body>> = BTreeMap::new();
    for message in batch {
        match read(message) {
            Ok((stream, nudge)) => {
                // One look at an order serves all of its messages; each lot of a SKU stands for itself.
                let lot = matches!(stream, StreamKey::Sku(_)).then(|| nudge.sk.clone());
                let look = Look { stream, nudge, messages: Vec::new() };
                streams.entry((look.nudge.pk.clone(), lot)).or_insert(look).messages.push(message);
            }
            Err(error) => {
                tracing::warn!(receive_count = message.receive_count, %error, "failed to read a message");
                failures.push(failure(message, error));
            }
        }
    }
    let looks = streams.into_values().map(|look| {
        let span = look.span(worker.name());
        async move {
            let error = worker.reconcile(&look.stream, &look.nudge).await.err()?;
            let receive_count = look.messages.iter().map(|message| message.receive_count).max();
            tracing::warn!(stream = %look.stream, receive_count, %error, "failed to reconcile");
            Span::current().record("otel.status_code", "ERROR");
            Some((look.messages, error))
        }
        .instrument(span)
    });
    for (messages, error) in join_all(looks).await.into_iter().flatten() {
        failures.extend(messages.into_iter().map(|message| failure(message, error.clone())));
    }
    failures
}

/// One look at a stream, and the messages that it answers.
struct Look<'a, Body> {
    stream: StreamKey,
    nudge: Nudge,
    messages: Vec<&'a Message<Body>>,
}

impl<Body: AsRef<str>> Look<'_, Body> {
    /// The span of a worker's look: it continues the trace of the first message, and is linked to those of the rest.
    fn span(&self, worker: &'static str) -> Span {
        let span = tracing::info_span!(
            "look",
            otel.name = worker,
            otel.kind = "consumer",
            otel.status_code = field::Empty,
            messaging.batch.message_count = self.messages.len(),
            request_id = field::Empty,
            trace_id = field::Empty,
        );
        if span.is_disabled() {
            return span;
        }
        let carried = self.messages.iter().filter_map(|message| carried(message));
        for (n, carried) in carried.enumerate() {
            if n > 0 {
                trace::link(&span, &carried.traceparent);
                continue;
            }
            trace::join(&span, &carried.traceparent);
            span.record("request_id", &*carried.correlation_id);
            span.record("trace_id", trace::id(&carried.traceparent));
        }
        span
    }
}

/// What a message says of the request that began it all.
#[derive(Deserialize)]
struct Carried {
    #[serde(default)]
    correlation_id: String,
    #[serde(default)]
    traceparent: String,
}

fn carried<Body: AsRef<str>>(message: &Message<Body>) -> Option<Carried> {
    serde_json::from_str(message.body.as_ref()).ok()
}

fn read<Body: AsRef<str>>(message: &Message<Body>) -> Result<(StreamKey, Nudge), WorkerError> {
    let nudge: Nudge = serde_json::from_str(message.body.as_ref())
        .map_err(|cause| WorkerError::Permanent(format!("failed to read the message: {cause}")))?;
    let stream = StreamKey::parse(&nudge.pk)
        .ok_or_else(|| WorkerError::Permanent("the message is about no stream that a worker knows".into()))?;
    Ok((stream, nudge))
}

fn failure<Body>(message: &Message<Body>, error: WorkerError) -> Failure {
    let retry_after = match error {
        WorkerError::Transient(_) => back_off(message.id, message.receive_count),
        WorkerError::Permanent(_) => Duration::ZERO,
    };
    Failure { id: message.id, error, retry_after }
}

/// 1 s, 2 s, 4 s … up to 5 minutes, each shortened by up to a fifth, so that messages that failed
/// together do not come back together.
fn back_off(id: u64, receive_count: u32) -> Duration {
    let doubled = Duration::from_secs(1 << receive_count.saturating_sub(1).min(9));
    let fifth = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    doubled.min(MAX_BACK_OFF).mul_f64(1.0 - 0.2 * fifth as f64 / 65_536.0)
}
