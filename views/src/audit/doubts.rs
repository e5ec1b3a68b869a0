//! The promises of single streams: looked at as they are scanned, and again where one seems broken.

use std::borrow::Borrow;
use std::sync::Arc;

use event_store::StoreError;
use events::{OrderId, RecordedEvent, StreamKey, Timestamp};
use payments::intent::Intent;

use super::report::ShownAnomaly;
use crate::A_MOMENT;
use crate::Ports;
use crate::compare::let_others_run;
use crate::invariants::{
    Invariant, Stuck, Violation, excused_at_rest, of_order_at_rest, of_payment, of_stream, stuck,
};
use crate::owing::moved_at;

/// What is to be said of one stream.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) violations: Vec<Violation>,
    /// What is owed, and has been for too long.
    pub(super) stuck: Vec<Stuck>,
    /// The event by which somebody made the log say what is not so.
    pub(super) by_hand: Option<ShownAnomaly>,
}

impl Verdict {
    /// Looks at a stream and, if it is an order's, its intent. An order is at rest once it has ended: it may be
    /// reopened, but then by an event that the stream will show. One that has not ended is at rest if it has stood
    /// still and nobody owes it anything that can be done; if somebody does, it is stuck, and what it would be at
    /// rest is still to come.
    pub(super) fn of<Item: Borrow<RecordedEvent>>(
        stream: &[Item],
        intent: Option<&Intent>,
        still_since: Option<Timestamp>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        of_stream(stream, &mut verdict.violations);
        if let Some(intent) = intent {
            of_payment(stream, intent, &mut verdict.violations);
        }
        let facts = orders::fold(stream.iter().map(Borrow::borrow));
        let mut is_at_rest = orders::has_ended(&facts);
        if let Some(still_since) = still_since.filter(|_| !is_at_rest) {
            verdict.stuck = stuck(stream, still_since);
            let stands_still = moved_at(&facts).is_some_and(|moved_at| moved_at < still_since);
            is_at_rest = stands_still && verdict.stuck.is_empty();
        }
        if is_at_rest {
            of_order_at_rest(stream, intent, &mut verdict.violations);
            verdict.by_hand = kept_by_hand(stream, intent);
        }
        verdict
    }

    /// Whether everything is as it should be.
    fn is_in_order(&self) -> bool {
        self.violations.is_empty() && self.stuck.is_empty()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.is_in_order() && self.by_hand.is_none()
    }
}

/// The gateway kept the money of a cancelled order because a part of its story was written by hand, a refund
/// that never was above all: the log says what somebody made it say.
fn kept_by_hand<Item: Borrow<RecordedEvent>>(
    stream: &[Item],
    intent: Option<&Intent>,
) -> Option<ShownAnomaly> {
    let (by_hand, excused) = excused_at_rest(stream, intent)?;
    let is_kept = excused.iter().any(|violation| violation.invariant == Invariant::Gateway);
    let why = "it was written by hand, and the gateway kept the money of its cancelled order";
    is_kept.then(|| ShownAnomaly::of(by_hand, why))
}

/// Looks again at the streams of which something seemed wrong when they were scanned: an effect may have been
/// read without its cause, a stream before its intent, or what was owed may just have been done. Gives what is still to
/// be said.
pub(super) async fn look_again(
    ports: &Ports,
    mut doubtful: Vec<Arc<str>>,
    still_since: Option<Timestamp>,
) -> Result<Vec<Verdict>, StoreError> {
    let mut settled = Vec::new();
    for look in 1.. {
        let mut still = Vec::new();
        for pk in doubtful {
            let (stream, intent) = at_one_instant(ports, &pk).await?;
            let verdict = Verdict::of(&stream, intent.as_ref(), still_since);
            if verdict.is_in_order() || look >= ports.looks {
                settled.push(verdict);
            } else {
                still.push(pk);
            }
            let_others_run().await;
        }
        if still.is_empty() {
            break;
        }
        doubtful = still;
        ports.pause.pause(A_MOMENT).await;
    }
    Ok(settled)
}

/// A stream and its intent as they were together: the intent did not change while the stream was read. It is
/// written at most a handful of times in its life, so this ends.
async fn at_one_instant(
    ports: &Ports,
    pk: &str,
) -> Result<(Vec<Arc<RecordedEvent>>, Option<Intent>), StoreError> {
    let (Some(intents), Some(StreamKey::Order(order))) = (ports.intents.as_deref(), StreamKey::parse(pk))
    else {
        return Ok((ports.log.read_stream(pk).await?, None));
    };
    let mut before = intents.load(&order).await?;
    loop {
        let stream = ports.log.read_stream(pk).await?;
        let after = intents.load(&order).await?;
        if after.version == before.version {
            return Ok((stream, Some(after.intent)));
        }
        before = after;
    }
}

/// The intent of an order, where the built-in gateway keeps it.
pub(super) async fn intent(ports: &Ports, order: &OrderId) -> Result<Option<Intent>, StoreError> {
    match ports.intents.as_deref() {
        Some(intents) => Ok(Some(intents.load(order).await?.intent)),
        None => Ok(None),
    }
}
