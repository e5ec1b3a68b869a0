//! The reference adapter: runs every suite, and a model smaller than itself.
#![cfg(feature = "conformance")]

use std::collections::BTreeMap;

use event_store::memory::MemoryStore;
use event_store::{Appended, EventLog, StockViews};
use events::{Causes, Priority, RecordedEvent, Sku, Stamp, StockDelta, Timestamp, Ulid};
use proptest::prelude::*;

event_store::conformance!(MemoryStore::new());
event_store::access_conformance!(MemoryStore::new());

/// What the log must do, said in one screen: who fills which slot, and where the counters stand.
#[derive(Default)]
struct Model {
    slots: BTreeMap<(u8, u8), usize>,
    counters: BTreeMap<u8, [i64; 3]>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Stored,
    TakenBy(usize),
    /// Which SKUs, and whether anybody knows them.
    Short(Vec<(u8, bool)>),
}

/// An append: into which slot of which stream, and what it moves of each SKU.
#[derive(Debug, Clone)]
struct Append {
    slot: (u8, u8),
    moves: BTreeMap<u8, [i64; 3]>,
}

impl Model {
    fn append(&mut self, n: usize, append: &Append) -> Outcome {
        if let Some(first) = self.slots.get(&append.slot) {
            return Outcome::TakenBy(*first);
        }
        let mut moved = self.counters.clone();
        let mut short = Vec::new();
        for (sku, delta) in &append.moves {
            let counters = moved.entry(*sku).or_default();
            for (counter, change) in counters.iter_mut().zip(delta) {
                *counter += change;
            }
            if counters.iter().any(|counter| *counter < 0) {
                short.push((*sku, self.counters.contains_key(sku)));
            }
        }
        if !short.is_empty() {
            return Outcome::Short(short);
        }
        self.counters = moved;
        self.slots.insert(append.slot, n);
        Outcome::Stored
    }
}

fn appends() -> impl Strategy<Value = Vec<Append>> {
    let delta = (0..6u8, 1..5i64).prop_map(|(kind, units)| match kind {
        0 | 1 => [units, 0, 0],
        2 => [-units, units, 0],
        3 => [0, -units, units],
        4 => [units, -units, 0],
        _ => [units, 0, -units],
    });
    let moves = prop::collection::btree_map(0..3u8, delta, 0..4);
    let append = ((0..3u8, 0..8u8), moves).prop_map(|(slot, moves)| Append { slot, moves });
    prop::collection::vec(append, 0..60)
}

fn sku(n: u8) -> Sku {
    Sku::recorded(&format!("sku-{n}")).expect("a plain name")
}

/// The n-th append as an event, with an id that tells it apart.
fn event(n: usize, append: &Append) -> RecordedEvent {
    let (pk, sk) = (format!("STREAM#{}", append.slot.0), format!("EVENT#{}", append.slot.1));
    let counters = append.moves.iter().map(|(n, [available, reserved, sold])| StockDelta {
        sku: sku(*n),
        available: *available,
        reserved: *reserved,
        sold: *sold,
    });
    RecordedEvent::raw(
        (&pk, &sk),
        ("Noted", 1, &n.to_string()),
        counters.collect(),
        Stamp {
            event_id: Ulid(n as u128),
            occurred_at: Timestamp::from_millis(n as i64),
            producer: "test".into(),
        },
        Causes {
            priority: Priority::Standard,
            correlation_id: "request-1".into(),
            causation_id: None,
            request_seed: None,
            traceparent: None,
        },
    )
}

fn outcome(appended: Appended) -> Outcome {
    match appended {
        Appended::Stored(_) => Outcome::Stored,
        Appended::Taken(first) => Outcome::TakenBy(first.event_id.0 as usize),
        Appended::Short(short) => {
            let known = |n: &u8| short.iter().find(|shortage| shortage.sku == sku(*n));
            let named = (0..3).filter_map(|n| Some((n, known(&n)?.available.is_some())));
            Outcome::Short(named.collect())
        }
    }
}

proptest! {
    #[test]
    fn appends_come_out_as_in_a_small_model(appends in appends()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut model, store) = (Model::default(), MemoryStore::new());
            for (n, append) in appends.iter().enumerate() {
                let done = store.append(event(n, append)).await.unwrap();
                prop_assert_eq!(outcome(done), model.append(n, append), "append {}", n);
            }
            for pk in 0..3 {
                let stream = store.read_stream(&format!("STREAM#{pk}")).await.unwrap();
                let ids: Vec<usize> = stream.iter().map(|event| event.event_id.0 as usize).collect();
                let mut expected: Vec<usize> =
                    model.slots.iter().filter(|((of, _), _)| *of == pk).map(|(_, n)| *n).collect();
                expected.sort_unstable();
                prop_assert_eq!(ids, expected);
            }
            for n in 0..3 {
                let row = store.stock(&sku(n)).await.unwrap();
                let counters = row.map(|row| [row.available, row.reserved, row.sold]);
                prop_assert_eq!(counters.as_ref(), model.counters.get(&n));
            }
            Ok(())
        })?;
    }
}
