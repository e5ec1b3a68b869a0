//! One slot of the facts: empty, or settled by exactly one event.

use ulid::Ulid;

use crate::RecordedEvent;

/// What settled a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled<'a, T> {
    /// The event that settled it.
    pub by: &'a RecordedEvent,
    /// What it said.
    pub what: T,
}

/// A slot: at most one event settles it. Of two that claim it, the one with the smaller id does,
/// so any order and any number of deliveries give the same fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<'a, T>(Option<Settled<'a, T>>);

impl<T> Default for Fact<'_, T> {
    fn default() -> Self {
        Fact(None)
    }
}

impl<'a, T> Fact<'a, T> {
    /// Settles the slot, unless an earlier event already did.
    pub fn fill(&mut self, by: &'a RecordedEvent, what: T) {
        match &self.0 {
            Some(first) if claim(first.by) <= claim(by) => {}
            _ => self.0 = Some(Settled { by, what }),
        }
    }

    /// What settled it, if anything.
    pub fn get(&self) -> Option<&Settled<'a, T>> {
        self.0.as_ref()
    }

    /// What was said, if anything.
    pub fn what(&self) -> Option<&T> {
        self.0.as_ref().map(|settled| &settled.what)
    }

    /// The event that settled it, if any.
    pub fn by(&self) -> Option<&'a RecordedEvent> {
        self.0.as_ref().map(|settled| settled.by)
    }

    /// Whether the slot is settled.
    pub fn is_settled(&self) -> bool {
        self.0.is_some()
    }
}

/// The order among claims of one slot: the id, then the key, which no two items share.
fn claim(event: &RecordedEvent) -> (Ulid, &str) {
    (event.event_id, &event.sk)
}
