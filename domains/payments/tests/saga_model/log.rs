//! The log as its ports promise it: a slot is settled once, and counters move with what settles it.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{RecordedEvent, Sku, StockDelta};

use crate::Rule;

pub type Item = Arc<RecordedEvent>;

/// What became of an append.
pub enum Appended {
    Stored(Item),
    Taken(Item),
    Short,
}

/// Available, reserved, sold.
pub type Units = [i64; 3];

#[derive(Default)]
pub struct Log {
    streams: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Item>>,
    pub counters: BTreeMap<Sku, Units>,
    /// Counters that a broken log still has to move, for events it already stored.
    pub late: Vec<StockDelta>,
    dropped: Option<Rule>,
}

impl Log {
    pub fn new(dropped: Option<Rule>) -> Self {
        Log { dropped, ..Log::default() }
    }

    pub fn stream(&self, pk: &str) -> Vec<Item> {
        self.streams.get(pk).map(|stream| stream.values().cloned().collect()).unwrap_or_default()
    }

    pub fn slot(&self, pk: &str, sk: &str) -> Option<Item> {
        self.streams.get(pk)?.get(sk).cloned()
    }

    pub fn all(&self) -> impl Iterator<Item = &Item> {
        self.streams.values().flat_map(BTreeMap::values)
    }

    pub fn append(&mut self, event: RecordedEvent) -> Appended {
        let drops = |rule| self.dropped == Some(rule);
        let taken = self.slot(&event.pk, &event.sk);
        if let Some(taken) = taken.filter(|_| !drops(Rule::FirstWriterWins)) {
            if drops(Rule::CountersAreGuardedByTheSlot) {
                self.move_counters(&event.counters);
            }
            return Appended::Taken(taken);
        }
        if drops(Rule::CountersMoveWithTheEvent) {
            self.late.extend(event.counters.iter().cloned());
        } else if !self.move_counters(&event.counters) {
            return Appended::Short;
        }
        let event = Arc::new(event);
        self.streams.entry(event.pk.clone()).or_default().insert(event.sk.clone(), event.clone());
        Appended::Stored(event)
    }

    /// Moves all counters, or none if one is short.
    pub fn move_counters(&mut self, deltas: &[StockDelta]) -> bool {
        let after = |delta: &StockDelta| {
            let [available, reserved, sold] = self.counters.get(&delta.sku).copied().unwrap_or_default();
            [available + delta.available, reserved + delta.reserved, sold + delta.sold]
        };
        let moved: Vec<(Sku, Units)> = deltas.iter().map(|delta| (delta.sku.clone(), after(delta))).collect();
        let is_short = |(_, units): &(Sku, Units)| units.iter().any(|count| *count < 0);
        if moved.iter().any(is_short) && self.dropped != Some(Rule::NothingBelowZero) {
            return false;
        }
        self.counters.extend(moved);
        true
    }
}
