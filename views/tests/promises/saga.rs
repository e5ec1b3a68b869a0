//! One order told by the three real `decide`s, held against every promise after each event.

use event_store::StockRow;
use events::{Event, LotId, RecordedEvent, Sku, SkuRestocked, StockDelta, StreamKey, Timestamp, Ulid};
use inventory::Move;
use payments::intent::{Charge, Intent};
use payments::{Step, accepted, attempted, declined, refunded};
use views::invariants::{
    StockBook, Violation, held_by, of_lots_at_rest, of_order_at_rest, of_payment, of_stream,
};

use crate::given::{moving, sku, units};

pub struct Saga {
    pub stream: Vec<RecordedEvent>,
    pub intent: Intent,
    counters: Vec<StockRow>,
    book: StockBook,
    /// So many charges fail on the way.
    pub failures: u32,
    next: u128,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The slot was empty.
    Now,
    /// Another event stands there.
    Not,
}

impl Saga {
    /// A shelf with so many units of each SKU that orders name.
    pub fn with(count: u64) -> Saga {
        let mut saga = Saga {
            stream: Vec::new(),
            intent: Intent::default(),
            counters: ["sku-a", "sku-b"].map(|name| row(sku(name))).to_vec(),
            book: StockBook::default(),
            failures: 0,
            next: 1,
        };
        for name in ["sku-a", "sku-b"] {
            let lot_id = LotId::recorded("lot-1").unwrap();
            let lot = SkuRestocked { sku: sku(name), units: units(count), lot_id };
            let (received, deltas) = inventory::receive(&lot);
            let restocked = saga.item(Event::SkuRestocked(lot), Vec::new(), None);
            let received = saga.item(received, deltas, Some(restocked.event_id));
            let shelf = [restocked, received];
            saga.move_counters(&shelf[1]);
            let mut found = Vec::new();
            of_stream(&shelf, &mut found);
            of_lots_at_rest(&shelf, &mut found);
            assert_eq!(found, []);
        }
        saga
    }

    /// Somebody asks for something; what is stored is held against every promise.
    pub fn ask(&mut self, event: Event) -> Stored {
        self.append(event, Vec::new(), None)
    }

    /// Somebody writes an event by hand.
    pub fn forge(&mut self, sk: &str, name: &str, data: &str) {
        let pk = StreamKey::Order(crate::given::order_id()).pk();
        let item = crate::given::raw(&pk, sk, name, data, self.next);
        self.next += 1;
        self.stream.push(item);
        assert_eq!(self.broken_promises(), []);
    }

    /// Does the next thing that is owed and not blocked; says whether there was one.
    pub fn step(&mut self) -> bool {
        let next = [Self::owed_by_orders, Self::owed_by_inventory, Self::owed_by_payments];
        next.into_iter().any(|owed| owed(self) == Stored::Now)
    }

    pub fn settle_all(&mut self) {
        while self.step() {}
        let mut found = self.broken_promises();
        of_order_at_rest(&self.stream, Some(&self.intent), &mut found);
        assert_eq!(found, [], "{:#?}", self.stream);
    }

    /// What must hold at every instant, and does not.
    pub fn broken_promises(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        of_stream(&self.stream, &mut found);
        of_payment(&self.stream, &self.intent, &mut found);
        self.counters.iter().for_each(|row| self.book.check(&row.sku, Some(row), &mut found));
        found
    }

    fn owed_by_orders(&mut self) -> Stored {
        let facts = orders::fold(&self.stream);
        let Some(orders::Owed::RequestInventory(placed)) = orders::decide(&facts) else { return Stored::Not };
        let because_of = facts.placed.by().map(|by| by.event_id);
        let request = Event::ReserveInventory(events::ReserveInventory {
            order_id: placed.order_id.clone(),
            customer_id: placed.customer_id.clone(),
            items: orders::stock_lines(placed),
        });
        self.append(request, Vec::new(), because_of)
    }

    fn owed_by_inventory(&mut self) -> Stored {
        let facts = inventory::fold(&self.stream);
        let Some(owed) = inventory::decide(&facts) else { return Stored::Not };
        let (order, because_of) = (crate::given::order_id(), Some(owed.because_of.event_id));
        let (event, deltas) = (owed.event(&order), owed.deltas());
        if owed.what == Move::Reserve && self.is_short(&deltas) {
            return self.append(inventory::reservation_failed(&order, Vec::new()), Vec::new(), because_of);
        }
        self.append(event, deltas, because_of)
    }

    fn owed_by_payments(&mut self) -> Stored {
        let stream = self.stream.clone();
        let facts = payments::fold(&stream);
        let Some(owed) = payments::decide(&facts) else { return Stored::Not };
        let (order, because_of) = (crate::given::order_id(), Some(owed.because_of.event_id));
        match owed.what {
            Step::Attempt { number, amount, currency } => {
                if self.append(attempted(&order, number), Vec::new(), because_of) == Stored::Not {
                    return Stored::Not;
                }
                let claim = self.stream.last().map(|claim| claim.event_id);
                let outcome = match self.intent.charge(amount, self.intent.calls < self.failures) {
                    Charge::Charged => accepted(&order, "pay-order-1", amount, currency),
                    Charge::Declined(reason) => declined(&order, reason, number),
                    Charge::Refused | Charge::Failed => return Stored::Now,
                };
                self.append(outcome, Vec::new(), claim);
                Stored::Now
            }
            Step::Close(closure) => {
                let charged = self.intent.cancel().then_some("pay-order-1");
                self.append(closure.outcome(charged), Vec::new(), because_of)
            }
            Step::Refund(paid) => {
                self.intent.refund();
                self.append(refunded(paid), Vec::new(), because_of)
            }
        }
    }

    fn append(&mut self, event: Event, deltas: Vec<StockDelta>, because_of: Option<Ulid>) -> Stored {
        let item = self.item(event, deltas, because_of);
        if self.stream.iter().any(|known| known.sk == item.sk) {
            return Stored::Not;
        }
        // As a checker does that sees one event at a time.
        held_by(&self.stream).for_each(|(sku, units)| self.book.hold(sku, -units));
        self.move_counters(&item);
        self.stream.push(item);
        held_by(&self.stream).for_each(|(sku, units)| self.book.hold(sku, units));
        assert_eq!(self.broken_promises(), [], "{:#?}", self.stream);
        Stored::Now
    }

    fn item(&mut self, event: Event, deltas: Vec<StockDelta>, causation_id: Option<Ulid>) -> RecordedEvent {
        let mut item = moving(event, self.next, deltas);
        self.next += 1;
        item.causation_id = causation_id;
        item
    }

    fn is_short(&self, deltas: &[StockDelta]) -> bool {
        let available =
            |sku: &Sku| self.counters.iter().find(|row| row.sku == *sku).map_or(0, |row| row.available);
        deltas.iter().any(|delta| available(&delta.sku) + delta.available < 0)
    }

    fn move_counters(&mut self, item: &RecordedEvent) {
        self.book.add(item);
        for delta in &item.counters {
            let row = self.counters.iter_mut().find(|row| row.sku == delta.sku).unwrap();
            row.available += delta.available;
            row.reserved += delta.reserved;
            row.sold += delta.sold;
        }
    }
}

/// Counters of a SKU that never moved.
pub fn row(sku: Sku) -> StockRow {
    let at = Timestamp::from_millis(0);
    StockRow { sku, available: 0, reserved: 0, sold: 0, created_at: at, updated_at: at }
}
