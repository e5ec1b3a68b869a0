//! What was written lately, in memory: the streams that began a while ago or less, and the end of the log.
//!
//! Only the writer adds to it, after a commit and before anybody is told of it, so what it knows is
//! always what is stored. A stream enters when its first event is written and leaves when the memory is
//! needed; readers never put one in, so a slow reader cannot leave an old state behind.

use std::collections::VecDeque;
use std::sync::{Arc, RwLock};

use ::event_store::Position;
use events::RecordedEvent;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

/// How much memory the streams may take, roughly, in bytes.
const STREAM_BYTES: usize = 40 * 1024 * 1024;
/// How many events the end of the log holds.
const TAIL_EVENTS: usize = 20_000;
/// … and how many bytes of them.
const TAIL_BYTES: usize = 40 * 1024 * 1024;
/// A stream of so many events, a SKU of many lots, is found faster by the database's index.
const LONG_STREAM: usize = 256;
/// What an event takes beside its payload, roughly, in bytes.
const EVENT_OVERHEAD: usize = 600;

/// A stream as it is known: its number and all of its events.
#[derive(Clone)]
pub(crate) struct KnownStream {
    pub(crate) number: i64,
    pub(crate) events: Vec<Arc<RecordedEvent>>,
}

pub(crate) struct Recent {
    state: RwLock<State>,
    head: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    streams: FxHashMap<Arc<str>, KnownStream>,
    ages: VecDeque<Arc<str>>,
    bytes: usize,
    tail: VecDeque<(Position, Arc<RecordedEvent>)>,
    tail_bytes: usize,
}

/// What one transaction adds. Nobody sees it before it is published.
pub(crate) struct Batch<'a> {
    recent: &'a Recent,
    added: Added,
    own: FxHashMap<Arc<str>, OwnStream>,
}

/// A stream that the transaction adds to: its number, whether it begins here, and what is added.
struct OwnStream {
    number: i64,
    begins: bool,
    events: Vec<Arc<RecordedEvent>>,
}

/// A transaction's events.
pub(crate) struct Added {
    head: u64,
    events: Vec<AddedEvent>,
}

struct AddedEvent {
    position: Position,
    stream: i64,
    begins_stream: bool,
    event: Arc<RecordedEvent>,
}

/// What the batch and memory know of a stream.
pub(crate) enum Knowledge {
    /// The slot is taken by this event.
    Taken(Arc<RecordedEvent>),
    /// The slot is free in the stream of this number.
    Free(i64),
    /// Nothing: ask the database.
    Unknown,
}

impl Recent {
    pub(crate) fn new(head: u64) -> Self {
        Recent { state: RwLock::default(), head: watch::Sender::new(head) }
    }

    pub(crate) fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Waits until the log's head is beyond a position.
    pub(crate) async fn beyond(&self, position: Position) {
        let mut head = self.head.subscribe();
        drop(head.wait_for(|head| *head > position.0).await);
    }

    /// A stream, if it began lately.
    pub(crate) fn stream(&self, pk: &str) -> Option<Vec<Arc<RecordedEvent>>> {
        self.read().streams.get(pk).map(|stream| stream.events.clone())
    }

    /// One event of a stream; the outer `None` if the stream is not known.
    pub(crate) fn slot(&self, pk: &str, sk: &str) -> Option<Option<Arc<RecordedEvent>>> {
        let state = self.read();
        state.streams.get(pk).map(|stream| stream.events.iter().find(|event| *event.sk == *sk).cloned())
    }

    /// The number of a stream, if it began lately.
    pub(crate) fn number(&self, pk: &str) -> Option<i64> {
        self.read().streams.get(pk).map(|stream| stream.number)
    }

    /// Events behind a position, if the end of the log reaches back so far.
    pub(crate) fn tail(&self, after: Position, limit: usize) -> Option<Vec<(Position, Arc<RecordedEvent>)>> {
        let state = self.read();
        let (first, _) = state.tail.front()?;
        let skip = (after.0 + 1).checked_sub(first.0)? as usize;
        let events: Vec<_> = state.tail.iter().skip(skip).take(limit).cloned().collect();
        (!events.is_empty()).then_some(events)
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        let added = Added { head: self.head(), events: Vec::new() };
        Batch { recent: self, added, own: FxHashMap::default() }
    }

    /// Makes a committed transaction's events known, and wakes those who follow.
    pub(crate) fn publish(&self, added: Added) {
        if added.events.is_empty() {
            return;
        }
        self.state.write().expect("nobody panics while writing").add(added.events);
        self.head.send_replace(added.head);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().expect("nobody panics while writing")
    }
}

impl State {
    fn add(&mut self, events: Vec<AddedEvent>) {
        for AddedEvent { position, stream, begins_stream, event } in events {
            if begins_stream {
                self.ages.push_back(event.pk.clone());
                self.streams
                    .insert(event.pk.clone(), KnownStream { number: stream, events: Vec::with_capacity(8) });
            }
            if self.streams.get(&event.pk).is_some_and(|known| known.events.len() >= LONG_STREAM) {
                self.forget(&event.pk);
            }
            if let Some(known) = self.streams.get_mut(&event.pk) {
                let at = known.events.partition_point(|earlier| earlier.event_id <= event.event_id);
                known.events.insert(at, event.clone());
                self.bytes += size(&event);
            }
            self.tail_bytes += size(&event);
            self.tail.push_back((position, event));
        }
        while self.bytes > STREAM_BYTES {
            let Some(oldest) = self.ages.pop_front() else { break };
            self.forget(&oldest);
        }
        while self.tail_bytes > TAIL_BYTES || self.tail.len() > TAIL_EVENTS {
            let Some((_, event)) = self.tail.pop_front() else { break };
            self.tail_bytes -= size(&event);
        }
    }

    fn forget(&mut self, pk: &str) {
        if let Some(stream) = self.streams.remove(pk) {
            self.bytes -= stream.events.iter().map(|event| size(event)).sum::<usize>();
        }
    }
}

fn size(event: &RecordedEvent) -> usize {
    event.data.len() + EVENT_OVERHEAD
}

impl Batch<'_> {
    /// What is known of a stream and one of its slots, this transaction's own events included.
    pub(crate) fn look_up(&self, pk: &str, sk: &str) -> Knowledge {
        let slot = |events: &[Arc<RecordedEvent>]| events.iter().find(|event| *event.sk == *sk).cloned();
        let own = self.own.get(pk);
        if let Some(taken) = own.and_then(|own| slot(&own.events)) {
            return Knowledge::Taken(taken);
        }
        match (self.recent.read().streams.get(pk), own) {
            (Some(known), _) => slot(&known.events).map_or(Knowledge::Free(known.number), Knowledge::Taken),
            (None, Some(own)) if own.begins => Knowledge::Free(own.number),
            (None, _) => Knowledge::Unknown,
        }
    }

    /// The number of a stream, if it is known.
    pub(crate) fn number(&self, pk: &str) -> Option<i64> {
        let own = self.own.get(pk).map(|own| own.number);
        own.or_else(|| self.recent.number(pk))
    }

    /// The position of the next event.
    pub(crate) fn next_position(&self) -> Position {
        Position(self.added.head + 1)
    }

    /// Adds an event at [`Batch::next_position`].
    pub(crate) fn add(&mut self, stream: i64, begins_stream: bool, event: Arc<RecordedEvent>) {
        let position = self.next_position();
        self.added.head = position.0;
        let own = self.own.entry(event.pk.clone()).or_insert_with(|| OwnStream {
            number: stream,
            begins: begins_stream,
            events: Vec::new(),
        });
        own.events.push(event.clone());
        self.added.events.push(AddedEvent { position, stream, begins_stream, event });
    }

    pub(crate) fn finish(self) -> Added {
        self.added
    }
}
