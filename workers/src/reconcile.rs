//! What every worker's loop has in common: being woken, and appending what is owed.

use std::slice;
use std::sync::Arc;

use async_trait::async_trait;
use event_store::{Appended, EventLog, Stamper};
use events::{Event, RecordedEvent, StockDelta, StreamKey};
use telemetry::{metrics, trace};

use crate::{Nudge, WorkerError};

/// A worker: looks at a stream and does what it owes it, until it owes nothing.
#[async_trait]
pub trait Reconcile: Send + Sync {
    /// The name of its binary, as its traces show it.
    fn name(&self) -> &'static str;

    /// Looks at the stream that the nudge names. Doing it twice is doing it once.
    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError>;
}

/// More steps than any history can owe; a loop that takes them is a mistake in `decide`.
pub(crate) const MAX_STEPS: u32 = 64;

pub(crate) fn too_many_steps(stream: &StreamKey) -> WorkerError {
    WorkerError::Permanent(format!("{stream} still owes something after {MAX_STEPS} steps"))
}

/// Appends an event that is owed because of another one; `stream` is what it was decided from.
///
/// # Errors
/// The store's; or [`WorkerError::Permanent`] when the slot is taken by something that does not settle
/// it, which only a raw event can do: then no repetition will ever settle it.
pub(crate) async fn append(
    log: &dyn EventLog,
    stamper: &dyn Stamper,
    stream: &[Arc<RecordedEvent>],
    event: Event,
    counters: Vec<StockDelta>,
    because_of: &RecordedEvent,
) -> Result<Appended, WorkerError> {
    let latest = stream.iter().map(|item| item.event_id).max();
    let slot = event.slot();
    let mut causes = because_of.causes_next();
    // What follows from this event continues this look, which continued what came before.
    causes.traceparent = trace::current().map(Arc::from).or(causes.traceparent);
    let item = RecordedEvent::new(event, counters, stamper.stamp(latest), causes);
    let (pk, name) = (item.pk.clone(), item.event_name.clone());
    let is_a_claim = matches!(item.event(), Ok(Event::PaymentAttempted(_)));
    let appended = log.append(item).await?;
    let outcome = match &appended {
        Appended::Stored(stored) => {
            measure(stream, stored);
            "stored"
        }
        Appended::Short(_) => "short",
        Appended::Taken(taken) => {
            let settles_it = taken.event().is_ok_and(|event| event.slot() == slot);
            if !settles_it {
                // What it is called, somebody chose; the stream shows it.
                return Err(WorkerError::Permanent(format!("{pk} {slot} is blocked by a raw event")));
            }
            "taken"
        }
    };
    if is_a_claim {
        // What comes of it is told by the next line, of this look or of the one that takes over.
        tracing::debug!(stream = %pk, event = %name, outcome, "claimed");
    } else {
        tracing::info!(stream = %pk, event = %name, outcome, "decided");
    }
    Ok(appended)
}

/// Counts the order, if the event that was stored was its end.
fn measure(before: &[Arc<RecordedEvent>], stored: &Arc<RecordedEvent>) {
    if metrics::wanted()
        && let Some(millis) = orders::took(&[before, slice::from_ref(stored)].concat(), stored.event_id)
    {
        metrics::order_settled(millis);
    }
}
