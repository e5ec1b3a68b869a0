//! What a store was told, and what it should hold after that: the simple truth it is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event_store::{Appended, OrderRows, StockRow};
use event_store_embedded::{DeadLetter, ParkedMessage, QueueChange};
use events::{OrderId, Quantity, RecordedEvent, Shortage, Sku};
use payments::intent::Intent;

/// Something that a store is told to write.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Event(Arc<RecordedEvent>),
    Rows(Box<OrderRows>),
    Intent { order: OrderId, intent: Intent, computed_from: u64 },
    Queue(Vec<QueueChange>),
}

/// What a store answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Event(Appended),
    Rows(bool),
    Intent(bool),
    /// The numbers that messages are parked under; chosen by the store.
    Queue(Vec<Option<i64>>),
}

impl Answer {
    /// Whether a store may say this where the simple truth says that: it chooses numbers as it likes.
    pub(crate) fn is_like(&self, other: &Answer) -> bool {
        match (self, other) {
            (Answer::Queue(ours), Answer::Queue(theirs)) => {
                ours.iter().map(Option::is_some).eq(theirs.iter().map(Option::is_some))
            }
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether something was written.
    pub(crate) fn has_written(&self) -> bool {
        match self {
            Answer::Event(appended) => matches!(appended, Appended::Stored(_)),
            Answer::Rows(written) | Answer::Intent(written) => *written,
            Answer::Queue(_) => true,
        }
    }
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct World {
    /// In the order of their positions, which begin at 1 and have no gap.
    pub(crate) events: Vec<Arc<RecordedEvent>>,
    pub(crate) stock: BTreeMap<Sku, StockRow>,
    pub(crate) rows: BTreeMap<OrderId, OrderRows>,
    pub(crate) intents: BTreeMap<OrderId, (u64, Intent)>,
    pub(crate) cursors: BTreeMap<String, u64>,
    /// By queue and position.
    pub(crate) parked: BTreeMap<(String, u64), ParkedMessage>,
    /// Without their numbers.
    pub(crate) letters: Vec<DeadLetter>,
    /// What messages are parked under, or were. Chosen by the store, so it is not compared.
    pub(crate) numbers: Aside<BTreeMap<i64, (String, u64)>>,
    slots: Aside<Slots>,
}

/// Of each stream, where each slot's event is among all events.
type Slots = BTreeMap<Arc<str>, BTreeMap<Arc<str>, usize>>;

/// Something that two worlds are not compared by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aside<T>(pub(crate) T);

impl<T> PartialEq for Aside<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl World {
    /// Writes it, and says what a store must answer.
    pub(crate) fn write(&mut self, write: &Write) -> Answer {
        match write {
            Write::Event(event) => Answer::Event(self.append(event)),
            Write::Rows(rows) => Answer::Rows(self.put(rows)),
            Write::Intent { order, intent, computed_from } => {
                let version = self.intents.get(order).map_or(0, |(version, _)| *version);
                let saved = version == *computed_from;
                if saved {
                    self.intents.insert(order.clone(), (version + 1, intent.clone()));
                }
                Answer::Intent(saved)
            }
            Write::Queue(changes) => {
                Answer::Queue(changes.iter().map(|change| self.change(change)).collect())
            }
        }
    }

    /// Appends without asking, for a world that is read from a store.
    pub(crate) fn push(&mut self, event: Arc<RecordedEvent>) {
        let stream = self.slots.0.entry(event.pk.clone()).or_default();
        stream.insert(event.sk.clone(), self.events.len());
        self.events.push(event);
    }

    fn append(&mut self, event: &Arc<RecordedEvent>) -> Appended {
        if let Some(taken) = self.slot(&event.pk, &event.sk) {
            return Appended::Taken(taken.clone());
        }
        let short: Vec<Shortage> = event.counters.iter().filter_map(|delta| self.shortage(delta)).collect();
        if !short.is_empty() {
            return Appended::Short(short);
        }
        for delta in &event.counters {
            let at = event.occurred_at;
            let row = self.stock.entry(delta.sku.clone()).or_insert_with(|| StockRow {
                sku: delta.sku.clone(),
                available: 0,
                reserved: 0,
                sold: 0,
                created_at: at,
                updated_at: at,
            });
            row.available += delta.available;
            row.reserved += delta.reserved;
            row.sold += delta.sold;
            row.created_at = row.created_at.min(at);
            row.updated_at = row.updated_at.max(at);
        }
        self.push(event.clone());
        Appended::Stored(event.clone())
    }

    fn shortage(&self, delta: &events::StockDelta) -> Option<Shortage> {
        let row = self.stock.get(&delta.sku);
        let taken = delta.available.min(delta.reserved).min(delta.sold);
        let enough = row.is_some_and(|row| {
            row.available + delta.available >= 0
                && row.reserved + delta.reserved >= 0
                && row.sold + delta.sold >= 0
        });
        (taken < 0 && !enough).then(|| Shortage {
            sku: delta.sku.clone(),
            requested: Quantity::new(taken.unsigned_abs()).expect("less than a thousand units are asked for"),
            available: row.map(|row| row.available),
        })
    }

    fn put(&mut self, rows: &OrderRows) -> bool {
        let id = &rows.order.order_id;
        let newer = self.rows.get(id).is_none_or(|stored| stored.order.seen < rows.order.seen);
        if newer {
            self.rows.insert(id.clone(), rows.clone());
        }
        newer
    }

    /// The number that a store would choose is not known here: a position stands for it.
    fn change(&mut self, change: &QueueChange) -> Option<i64> {
        match change {
            QueueChange::Cursor { queue, position } => {
                self.cursors.insert(queue.clone(), *position);
                None
            }
            QueueChange::Park { queue, message, .. } => {
                let position = message.position?;
                let key = (queue.clone(), position);
                let parked = self.parked.entry(key).or_insert_with(|| message.clone());
                parked.receive_count = message.receive_count;
                parked.visible_at = message.visible_at;
                Some(position as i64)
            }
            QueueChange::GiveUp { id, letter } => {
                id.iter().for_each(|id| self.unpark(*id));
                self.letters.push(DeadLetter { id: 0, ..letter.clone() });
                None
            }
            QueueChange::Done { id } => {
                self.unpark(*id);
                None
            }
        }
    }

    fn unpark(&mut self, number: i64) {
        if let Some(key) = self.numbers.0.remove(&number) {
            self.parked.remove(&key);
        }
    }

    /// Notes the numbers that a store chose for what was just written.
    pub(crate) fn learn(&mut self, write: &Write, answer: &Answer) {
        let (Write::Queue(changes), Answer::Queue(numbers)) = (write, answer) else { return };
        for (change, number) in changes.iter().zip(numbers) {
            if let (QueueChange::Park { queue, message, .. }, Some(number)) = (change, number)
                && let Some(position) = message.position
            {
                let key = (queue.clone(), position);
                if self.parked.contains_key(&key) {
                    self.numbers.0.insert(*number, key);
                }
            }
        }
    }

    pub(crate) fn slot(&self, pk: &str, sk: &str) -> Option<&Arc<RecordedEvent>> {
        self.slots.0.get(pk)?.get(sk).map(|at| &self.events[*at])
    }

    /// The events of a stream, in the order of their ids.
    pub(crate) fn stream(&self, pk: &str) -> Vec<Arc<RecordedEvent>> {
        let slots = self.slots.0.get(pk).into_iter().flat_map(|stream| stream.values());
        let mut events: Vec<_> = slots.map(|at| self.events[*at].clone()).collect();
        events.sort_by_key(|event| event.event_id);
        events
    }

    /// The keys of all streams.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<str>> {
        self.slots.0.keys()
    }

    /// In words, where this world is not like another.
    pub(crate) fn difference(&self, other: &World) -> Option<String> {
        if self == other {
            return None;
        }
        let unlike = |what: &str, ours: String, theirs: String| {
            (ours != theirs).then(|| format!("{what}: {ours} … but {theirs}"))
        };
        let at = self.events.iter().zip(&other.events).take_while(|(ours, theirs)| ours == theirs).count();
        let events = unlike(
            "events",
            format!("{} of them, then {:?}", self.events.len(), self.events.get(at)),
            format!("{} of them, then {:?}", other.events.len(), other.events.get(at)),
        );
        let moved: BTreeSet<&Sku> = self.stock.keys().chain(other.stock.keys()).collect();
        let mut stock = moved.into_iter().filter_map(|sku| {
            unlike("stock", format!("{:?}", self.stock.get(sku)), format!("{:?}", other.stock.get(sku)))
        });
        events
            .or_else(|| stock.next())
            .or_else(|| unlike("rows", format!("{:?}", self.rows), format!("{:?}", other.rows)))
            .or_else(|| unlike("intents", format!("{:?}", self.intents), format!("{:?}", other.intents)))
            .or_else(|| unlike("cursors", format!("{:?}", self.cursors), format!("{:?}", other.cursors)))
            .or_else(|| unlike("parked", format!("{:?}", self.parked), format!("{:?}", other.parked)))
            .or_else(|| unlike("letters", format!("{:?}", self.letters), format!("{:?}", other.letters)))
    }
}
