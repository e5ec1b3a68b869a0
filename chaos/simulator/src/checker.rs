//! What must hold after every step: the promises of [`views::invariants`], asked of what just changed.

use std::sync::Arc;

use event_store::memory::MemoryStore;
use event_store::{EventLog, IntentStore, StockViews};
use events::{Event, OrderId, RecordedEvent, Sku, StreamKey, Ulid};
use orders::Closing;
use rustc_hash::FxHashMap;
use views::invariants::{Invariant, StockBook, Violation, held_by, of_payment, of_stream};

use crate::executor::{Micros, SECOND};
use crate::figures::Sometimes;
use crate::ports::at_once;
use crate::sim::Sim;

/// No worker that pays lives longer than a minute: the longest time-out of the templates but for the sweepers', which
/// append no attempt. What it appends later than that, and than a write can be late, was decided by another one.
const LONGEST_LOOK: Micros = 60 * SECOND;

/// Looks at everything that changes.
pub struct Checker {
    sim: Arc<Sim>,
    store: Arc<MemoryStore>,
    book: StockBook,
    /// When each cancellation was stored.
    cancelled: FxHashMap<Ulid, Micros>,
    /// What did not hold.
    pub found: Vec<Violation>,
}

impl Checker {
    /// A checker of an empty store.
    pub fn new(sim: Arc<Sim>, store: Arc<MemoryStore>) -> Self {
        Checker { sim, store, book: StockBook::default(), cancelled: FxHashMap::default(), found: Vec::new() }
    }

    /// Looks at events that were stored in one step.
    pub fn appended(&mut self, events: &[Arc<RecordedEvent>]) {
        for event in events {
            self.enter(event);
        }
        for event in events {
            for delta in &event.counters {
                self.counters(&delta.sku);
            }
        }
    }

    /// Looks at the counters of a SKU that something other than an event may have touched.
    pub fn counters(&mut self, sku: &Sku) {
        let live = at_once(self.store.stock(sku)).expect("memory is always there");
        self.book.check(sku, live.as_ref(), &mut self.found);
    }

    fn enter(&mut self, event: &Arc<RecordedEvent>) {
        self.book.add(event);
        let stream = at_once(self.store.read_stream(&event.pk)).expect("memory is always there");
        if event.moved_counters() {
            let before = stream.iter().filter(|item| !Arc::ptr_eq(item, event)).cloned();
            let before: Vec<Arc<RecordedEvent>> = before.collect();
            held_by(&before).for_each(|(sku, units)| self.book.hold(sku, -units));
            held_by(&stream).for_each(|(sku, units)| self.book.hold(sku, units));
        }
        of_stream(&stream, &mut self.found);
        self.cancelled_before(event, &stream);
        self.notice(event, &stream);
        if let Some(StreamKey::Order(order)) = StreamKey::parse(&event.pk) {
            self.payment(&order, &stream);
        }
    }

    /// An attempt may overtake a cancellation, but only for as long as a function lives that looked before.
    fn cancelled_before(&mut self, event: &RecordedEvent, stream: &[Arc<RecordedEvent>]) {
        match event.event() {
            Ok(Event::OrderCancelled(_)) => {
                self.cancelled.insert(event.event_id, self.sim.now());
            }
            Ok(Event::PaymentAttempted(_)) if !event.is_raw() => {
                let facts = orders::fold(stream.iter().map(|item| &**item));
                let closing = facts.closing.get().filter(|it| matches!(it.what, Closing::Cancelled(_)));
                let at = closing.and_then(|closing| self.cancelled.get(&closing.by.event_id));
                let longest = LONGEST_LOOK + self.sim.core().swarm.latest();
                if let Some(at) = at.filter(|at| self.sim.now() > **at + longest) {
                    let late = (self.sim.now() - at) / SECOND;
                    let detail = format!("{} {} is {late} s later than the cancellation", event.pk, event.sk);
                    self.found.push(Violation { invariant: Invariant::NotAfterCancel, detail });
                }
            }
            _ => {}
        }
    }

    /// Looks at an order whose payment the gateway was asked about.
    pub fn asked(&mut self, order: &OrderId) {
        let pk = StreamKey::Order(order.clone()).pk();
        let stream = at_once(self.store.read_stream(&pk)).expect("memory is always there");
        self.payment(order, &stream);
    }

    fn payment(&mut self, order: &OrderId, stream: &[Arc<RecordedEvent>]) {
        let intent = at_once(self.store.load(order)).expect("memory is always there").intent;
        of_payment(stream, &intent, &mut self.found);
    }

    fn notice(&self, event: &RecordedEvent, stream: &[Arc<RecordedEvent>]) {
        let is_older_spelling = event.event().is_ok_and(|read| read.name().as_str() != &*event.event_name);
        let cause = event.causation_id;
        let cause = stream.iter().find(|item| Some(item.event_id) == cause);
        let mut core = self.sim.core();
        if is_older_spelling {
            core.figures.saw(Sometimes::OlderSpelling);
        }
        if event.event().is_err() {
            core.figures.saw(Sometimes::Anomaly);
        }
        if cause.is_some_and(|cause| cause.occurred_at > event.occurred_at) {
            core.figures.saw(Sometimes::ClockBehindCause);
        }
    }
}
