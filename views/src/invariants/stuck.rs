//! Stuck: what somebody has owed for longer than anything may stand still.

use std::borrow::Borrow;

use events::{RecordedEvent, StreamKey, Timestamp};

use super::at_rest::{of_end, of_uncounted};
use super::{Found, Violation, pk};
use crate::owing::{moved_at, uncounted_lots};

/// A promise that holds at rest and does not hold of what has come to rest too soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Since when nothing has moved.
    pub since: Timestamp,
    /// What is owed, and the promise that this breaks.
    pub violation: Violation,
}

/// What is owed in a stream and has not moved since a moment: an order's next step, or a lot's being counted. Lots are
/// judged one by one: a SKU that is restocked all the time never rests.
pub fn stuck<Item: Borrow<RecordedEvent>>(stream: &[Item], still_since: Timestamp) -> Vec<Stuck> {
    match StreamKey::parse(pk(stream)) {
        Some(StreamKey::Order(_)) => order(stream, still_since),
        Some(StreamKey::Sku(_)) => uncounted_lots(stream)
            .filter(|(sent, _)| sent.occurred_at < still_since)
            .map(|(sent, lot)| Stuck { since: sent.occurred_at, violation: of_uncounted(sent, lot) })
            .collect(),
        // What is owed to these is a row, which is looked at by itself.
        Some(StreamKey::Customer(_) | StreamKey::Product(_)) | None => Vec::new(),
    }
}

fn order<Item: Borrow<RecordedEvent>>(stream: &[Item], still_since: Timestamp) -> Vec<Stuck> {
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    let Some(since) = moved_at(&facts).filter(|moved_at| *moved_at < still_since) else {
        return Vec::new();
    };
    let mut found = Found::new();
    of_end(&facts, stream, &mut found);
    found.into_iter().map(|violation| Stuck { since, violation }).collect()
}
