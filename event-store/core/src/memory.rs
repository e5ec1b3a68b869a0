//! The ports in memory: the shortest adapter there is.

mod access;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use events::{CustomerId, OrderId, ProductId, Quantity, RecordedEvent, Shortage, Sku, StockDelta, Timestamp};
use payments::intent::Intent;
use tokio::sync::Notify;

use crate::intents::{IntentStore, Versioned};
use crate::log::{Appended, ChangeFeed, EventLog, LogScan, Position, ScanPage, Segment, StoreError, check};
use crate::rows::{
    CustomerRow, DeliveryRow, LedgerEntry, OrderRow, OrderRows, PaymentRow, Personal, ProductRow, StockRow,
    View, ViewRow,
};
use crate::shadow::{Copy, Progress, ShadowViews};
use crate::views::{After, CatalogViews, Direction, OrderQuery, OrderViews, Page, StockViews, Window};

/// All ports over maps in memory. What it answers is what every adapter should; how fast, and whether
/// anything outlives the process, is not its concern.
#[derive(Default)]
pub struct MemoryStore {
    world: Mutex<World>,
    grown: Notify,
    #[cfg(feature = "planted")]
    broken: Option<Broken>,
}

/// A rule of a store that is broken on purpose, to see who notices.
#[cfg(feature = "planted")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Counters go below zero.
    Floor,
    /// Counters move though the slot was taken.
    Guard,
    /// An event is stored in one write and its counters move in the next, which may never come.
    OneWrite,
    /// The end of an order is put where it belongs without looking whether another one stands there.
    Slot,
    /// Whoever would act for an erased customer is added.
    Erased,
    /// Whoever tells last of a person is believed.
    Told,
}

#[derive(Default)]
struct World {
    /// In the order of append; the n-th has position n, counted from 1.
    log: Vec<Arc<RecordedEvent>>,
    /// Each in the order of its ids.
    streams: BTreeMap<Arc<str>, Vec<Arc<RecordedEvent>>>,
    live: Table,
    shadow: Table,
    progress: BTreeMap<View, Progress>,
    intents: BTreeMap<OrderId, Versioned>,
    beside: access::Beside,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store that breaks a rule.
    #[cfg(feature = "planted")]
    pub fn broken(rule: Broken) -> MemoryStore {
        MemoryStore { broken: Some(rule), ..MemoryStore::default() }
    }

    /// Moves the counters of an event that was stored without them: the second of two writes.
    #[cfg(feature = "planted")]
    pub fn move_late(&self, event: &RecordedEvent) {
        let world = &mut *self.world();
        if let Ok(moved) = stock_after(event, &world.live) {
            moved.into_iter().for_each(|row| world.live.put(ViewRow::Stock(row)));
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no call panics while it holds the lock")
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        check(&event)?;
        let mut world = self.world();
        if let Some(settled) = world.slot(&event.pk, &event.sk) {
            let settled = settled.clone();
            #[cfg(feature = "planted")]
            if self.broken == Some(Broken::Slot) && world.put_over(&settled, &event) {
                return Ok(Appended::Stored(Arc::new(event)));
            }
            #[cfg(feature = "planted")]
            if self.broken == Some(Broken::Guard) {
                let moved = stock_after(&event, &world.live).unwrap_or_default();
                moved.into_iter().for_each(|row| world.live.put(ViewRow::Stock(row)));
            }
            return Ok(Appended::Taken(settled));
        }
        let moved = stock_after(&event, &world.live);
        #[cfg(feature = "planted")]
        let moved = match self.broken {
            Some(Broken::Floor) => Ok(stock_below(&event, &world.live)),
            Some(Broken::OneWrite) => moved.map(|_| Vec::new()),
            Some(Broken::Guard | Broken::Slot | Broken::Erased | Broken::Told) | None => moved,
        };
        let moved = match moved {
            Ok(moved) => moved,
            Err(short) => return Ok(Appended::Short(short)),
        };
        let event = Arc::new(event);
        moved.into_iter().for_each(|row| world.live.put(ViewRow::Stock(row)));
        let stream = world.streams.entry(event.pk.clone()).or_default();
        let place = stream.partition_point(|earlier| earlier.event_id <= event.event_id);
        stream.insert(place, event.clone());
        world.log.push(event.clone());
        drop(world);
        self.grown.notify_waiters();
        Ok(Appended::Stored(event))
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        Ok(self.world().stream(pk))
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        Ok(self.world().slot(pk, sk).cloned())
    }
}

#[async_trait]
impl LogScan for MemoryStore {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let world = self.world();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let own = world.streams.range::<str, _>((from, Bound::Unbounded));
        let mut own = own.filter(|(pk, _)| segment_of(pk, segment.of) == segment.index).peekable();
        let (mut streams, mut events, mut last) = (Vec::new(), 0, None);
        while events < limit.max(1)
            && let Some((pk, stream)) = own.next()
        {
            events += stream.len();
            streams.push(stream.iter().map(|event| (**event).clone()).collect());
            last = Some(pk.to_string());
        }
        let next = last.filter(|_| own.peek().is_some());
        Ok(ScanPage { streams, next })
    }

    async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.world().log.len() as u64)
    }
}

#[async_trait]
impl ChangeFeed for MemoryStore {
    async fn follow(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<RecordedEvent>)>, StoreError> {
        loop {
            // Listens before it looks, so that nothing is appended unheard between the two.
            let grown = self.grown.notified();
            let found = self.world().behind(after, limit);
            if !found.is_empty() {
                return Ok(found);
            }
            grown.await;
        }
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(Position(self.world().log.len() as u64))
    }
}

#[async_trait]
impl OrderViews for MemoryStore {
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError> {
        let live = &mut self.world().live;
        let id = rows.order.order_id.to_string();
        if !live.put_newer(ViewRow::Order(rows.order)) {
            return Ok(false);
        }
        live.set(View::Payments, &id, rows.payment.map(ViewRow::Payment));
        live.set(View::Deliveries, &id, rows.delivery.map(ViewRow::Delivery));
        Ok(true)
    }

    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        Ok(self.world().live.get(id.as_str()))
    }

    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError> {
        Ok(self.world().live.get(id.as_str()))
    }

    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError> {
        Ok(self.world().live.get(id.as_str()))
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError> {
        Ok(self.world().live.page(&query.window, |row| is_asked_for(row, query)))
    }

    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError> {
        Ok(self.world().live.page(window, |_| true))
    }
}

#[async_trait]
impl StockViews for MemoryStore {
    async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
        Ok(self.world().live.get(sku.as_str()))
    }

    async fn stocks(&self, window: &Window) -> Result<Page<StockRow>, StoreError> {
        Ok(self.world().live.page(window, |_| true))
    }

    async fn counted(&self, sku: &Sku) -> Result<(Option<StockRow>, Option<StockRow>), StoreError> {
        let live = self.stock(sku).await?;
        let mut sum: Option<StockRow> = None;
        for entry in self.ledger(sku, 0, usize::MAX).await? {
            let at = entry.occurred_at;
            let zero = StockRow {
                sku: sku.clone(),
                available: 0,
                reserved: 0,
                sold: 0,
                created_at: at,
                updated_at: at,
            };
            let row = sum.get_or_insert(zero);
            row.available += entry.available;
            row.reserved += entry.reserved;
            row.sold += entry.sold;
            row.created_at = row.created_at.min(at);
            row.updated_at = row.updated_at.max(at);
        }
        Ok((live, sum))
    }

    async fn ledger(&self, sku: &Sku, after: u64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError> {
        let world = self.world();
        let entries = world.log.iter().filter_map(|event| ledger_entry(event, sku));
        Ok(entries.skip(after as usize).take(limit).collect())
    }
}

#[async_trait]
impl CatalogViews for MemoryStore {
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError> {
        let live = &mut self.world().live;
        let row = keep_personal(row, live);
        Ok(live.put_newer(ViewRow::Customer(row)))
    }

    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError> {
        let live = &mut self.world().live;
        match live.get::<CustomerRow>(id.as_str()) {
            #[cfg(feature = "planted")]
            Some(row) if !row.erased && self.broken == Some(Broken::Told) => {
                live.put(ViewRow::Customer(CustomerRow { personal, ..row }));
                Ok(true)
            }
            Some(row) if !row.erased && row.personal == personal => Ok(true),
            Some(row) if !row.erased && row.personal == Personal::default() => {
                live.put(ViewRow::Customer(CustomerRow { personal, ..row }));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        Ok(self.world().live.get(id.as_str()))
    }

    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError> {
        Ok(self.world().live.page(window, |_| true))
    }

    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError> {
        Ok(self.world().live.put_newer(ViewRow::Product(row)))
    }

    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError> {
        Ok(self.world().live.get(id.as_str()))
    }

    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
        Ok(self.world().live.first_listed(|row| row.sku == *sku))
    }

    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError> {
        Ok(self.world().live.first_listed(|row| row.name == name))
    }

    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError> {
        Ok(self.world().live.page(window, |_| true))
    }
}

#[async_trait]
impl ShadowViews for MemoryStore {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        Ok(self.world().copy(copy).behind(view, after).take(limit).cloned().collect())
    }

    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        Ok(self.world().copy(copy).row(view, id).cloned())
    }

    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        let mut world = self.world();
        rows.into_iter().for_each(|row| world.shadow.put(row));
        world.progress.insert(view, progress);
        Ok(())
    }

    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        Ok(self.world().progress.get(&view).cloned())
    }

    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        let mut ledgers = Vec::new();
        for row in &rows {
            let sku = Sku::recorded(row.id()).ok().filter(|_| view == View::Stock);
            ledgers.push(match sku {
                Some(sku) => self.counted(&sku).await?.1,
                None => None,
            });
        }
        let world = &mut *self.world();
        for (row, ledger) in rows.into_iter().zip(ledgers) {
            let events =
                row.stream().map_or(0, |stream| world.streams.get(&*stream.pk()).map_or(0, Vec::len));
            let live = world.live.row(view, row.id()).map_or(0, |stored| stored.seen());
            if live > row.seen() && live as usize <= events {
                continue;
            }
            world.live.put(match row {
                ViewRow::Customer(row) => ViewRow::Customer(keep_personal(row, &world.live)),
                ViewRow::Stock(row) => ViewRow::Stock(ledger.unwrap_or(row)),
                row => row,
            });
        }
        let live = &mut world.live;
        gone.iter().for_each(|id| live.set(view, id, None));
        Ok(())
    }

    async fn discard(&self, view: View) -> Result<(), StoreError> {
        let mut world = self.world();
        world.shadow.0.remove(&view);
        world.progress.remove(&view);
        Ok(())
    }
}

#[async_trait]
impl IntentStore for MemoryStore {
    async fn load(&self, order: &OrderId) -> Result<Versioned, StoreError> {
        Ok(self.world().intents.get(order).cloned().unwrap_or_default())
    }

    async fn save(&self, order: &OrderId, intent: Intent, computed_from: u64) -> Result<bool, StoreError> {
        let intents = &mut self.world().intents;
        if intents.get(order).map_or(0, |stored| stored.version) != computed_from {
            return Ok(false);
        }
        intents.insert(order.clone(), Versioned { intent, version: computed_from + 1 });
        Ok(true)
    }
}

impl World {
    fn stream(&self, pk: &str) -> Vec<Arc<RecordedEvent>> {
        self.streams.get(pk).cloned().unwrap_or_default()
    }

    fn slot(&self, pk: &str, sk: &str) -> Option<&Arc<RecordedEvent>> {
        self.streams.get(pk)?.iter().find(|event| *event.sk == *sk)
    }

    /// Puts an order's end over another one; says whether there was another one.
    #[cfg(feature = "planted")]
    fn put_over(&mut self, settled: &Arc<RecordedEvent>, event: &RecordedEvent) -> bool {
        let ends = &*event.sk == "EVENT#Closing" && event.event_name != settled.event_name;
        let stream = self.streams.get_mut(&event.pk).filter(|_| ends);
        let Some(stream) = stream else { return false };
        stream.retain(|earlier| !Arc::ptr_eq(earlier, settled));
        let place = stream.partition_point(|earlier| earlier.event_id <= event.event_id);
        let event = Arc::new(event.clone());
        stream.insert(place, event.clone());
        self.log.push(event);
        true
    }

    fn behind(&self, after: Position, limit: usize) -> Vec<(Position, Arc<RecordedEvent>)> {
        let numbered = (1..).map(Position).zip(self.log.iter().cloned());
        numbered.skip(after.0 as usize).take(limit).collect()
    }

    fn copy(&self, copy: Copy) -> &Table {
        match copy {
            Copy::Live => &self.live,
            Copy::Shadow => &self.shadow,
        }
    }
}

fn segment_of(pk: &str, of: u32) -> u32 {
    pk.bytes().map(u32::from).sum::<u32>() % of
}

/// The counters as they stand when the event has moved them, or what is short. A SKU that the event
/// names twice moves by the sum.
fn stock_after(event: &RecordedEvent, live: &Table) -> Result<Vec<StockRow>, Vec<Shortage>> {
    let mut deltas: BTreeMap<&Sku, StockDelta> = BTreeMap::new();
    for moved in &event.counters {
        let none = StockDelta { sku: moved.sku.clone(), available: 0, reserved: 0, sold: 0 };
        let sum = deltas.entry(&moved.sku).or_insert(none);
        sum.available += moved.available;
        sum.reserved += moved.reserved;
        sum.sold += moved.sold;
    }
    let (mut moved, mut short) = (Vec::new(), Vec::new());
    for delta in deltas.into_values() {
        match moved_by(&delta, live.get(delta.sku.as_str()), event.occurred_at) {
            Ok(row) => moved.push(row),
            Err(shortage) => short.push(shortage),
        }
    }
    if short.is_empty() { Ok(moved) } else { Err(short) }
}

/// The counters as they stand when the event has moved them, whatever they held.
#[cfg(feature = "planted")]
fn stock_below(event: &RecordedEvent, live: &Table) -> Vec<StockRow> {
    let row = |delta: &StockDelta| {
        let mut row = live.get::<StockRow>(delta.sku.as_str())?;
        row.available += delta.available;
        row.reserved += delta.reserved;
        row.sold += delta.sold;
        Some(row)
    };
    stock_after(event, live).unwrap_or_else(|_| event.counters.iter().filter_map(row).collect())
}

fn moved_by(delta: &StockDelta, stored: Option<StockRow>, now: Timestamp) -> Result<StockRow, Shortage> {
    let available = stored.as_ref().map(|row| row.available);
    let mut row = stored.unwrap_or(StockRow {
        sku: delta.sku.clone(),
        available: 0,
        reserved: 0,
        sold: 0,
        created_at: now,
        updated_at: now,
    });
    row.created_at = row.created_at.min(now);
    row.updated_at = row.updated_at.max(now);
    let counters = [
        (&mut row.available, delta.available),
        (&mut row.reserved, delta.reserved),
        (&mut row.sold, delta.sold),
    ];
    for (counter, change) in counters {
        *counter += change;
        if *counter < 0 && change < 0 {
            let units = change.unsigned_abs().min(u64::from(Quantity::MAX));
            let requested = Quantity::new(units).expect("a change below zero asks for at least one unit");
            return Err(Shortage { sku: row.sku, requested, available });
        }
    }
    Ok(row)
}

fn ledger_entry(event: &RecordedEvent, sku: &Sku) -> Option<LedgerEntry> {
    let moved: Vec<&StockDelta> = event.counters.iter().filter(|delta| delta.sku == *sku).collect();
    (!moved.is_empty()).then(|| LedgerEntry {
        event_id: event.event_id,
        event_name: event.event_name.to_string(),
        pk: event.pk.to_string(),
        occurred_at: event.occurred_at,
        available: moved.iter().map(|delta| delta.available).sum(),
        reserved: moved.iter().map(|delta| delta.reserved).sum(),
        sold: moved.iter().map(|delta| delta.sold).sum(),
    })
}

fn is_asked_for(row: &OrderRow, query: &OrderQuery) -> bool {
    query.customer_id.as_ref().is_none_or(|customer| row.customer_id == *customer)
        && query.status.is_none_or(|status| row.status == status)
        && query.from.is_none_or(|from| row.created_at >= from)
        && query.until.is_none_or(|until| row.created_at < until)
        && query.open.is_none_or(|open| row.open == open)
}

/// The row with the personal data that is stored, whatever the row itself carries.
fn keep_personal(row: CustomerRow, live: &Table) -> CustomerRow {
    let stored = live.get::<CustomerRow>(row.customer_id.as_str()).filter(|_| !row.erased);
    CustomerRow { personal: stored.map(|stored| stored.personal).unwrap_or_default(), ..row }
}

/// One copy of every read model, each in the order of its keys.
#[derive(Default)]
struct Table(BTreeMap<View, BTreeMap<String, ViewRow>>);

impl Table {
    fn row(&self, view: View, id: &str) -> Option<&ViewRow> {
        self.0.get(&view)?.get(id)
    }

    fn behind<'a>(&'a self, view: View, after: Option<&'a str>) -> impl Iterator<Item = &'a ViewRow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.0.get(&view).map(|rows| rows.range::<str, _>((from, Bound::Unbounded)));
        rows.into_iter().flatten().map(|(_, row)| row)
    }

    fn get<Row: RowOfView>(&self, id: &str) -> Option<Row> {
        self.row(Row::VIEW, id).and_then(Row::out_of).cloned()
    }

    fn put(&mut self, row: ViewRow) {
        self.0.entry(row.view()).or_default().insert(row.id().to_owned(), row);
    }

    fn put_newer(&mut self, row: ViewRow) -> bool {
        let newer = self.row(row.view(), row.id()).is_none_or(|stored| stored.seen() < row.seen());
        if newer {
            self.put(row);
        }
        newer
    }

    fn set(&mut self, view: View, id: &str, row: Option<ViewRow>) {
        match row {
            Some(row) => self.put(row),
            None => drop(self.0.entry(view).or_default().remove(id)),
        }
    }

    fn page<Row: RowOfView>(&self, window: &Window, wanted: impl Fn(&Row) -> bool) -> Page<Row> {
        let rows = self.behind(Row::VIEW, None).filter_map(Row::out_of);
        page_of(rows.filter(|row| wanted(row)).cloned().collect(), window, place)
    }

    fn first_listed(&self, wanted: impl Fn(&ProductRow) -> bool) -> Option<ProductRow> {
        let rows = self.behind(View::Products, None).filter_map(ProductRow::out_of);
        rows.filter(|row| !row.withdrawn && wanted(row)).min_by_key(|row| row.place()).cloned()
    }
}

/// The part of some rows that a window shows.
fn page_of<Row>(
    mut rows: Vec<Row>,
    window: &Window,
    place: impl Fn(&Row) -> (Timestamp, String),
) -> Page<Row> {
    rows.sort_by_key(&place);
    let after = window.after.as_ref().map(|after| (after.created_at, after.id.clone()));
    match window.direction {
        Direction::Ascending => rows.retain(|row| after.as_ref().is_none_or(|after| place(row) > *after)),
        Direction::Descending => {
            rows.reverse();
            rows.retain(|row| after.as_ref().is_none_or(|after| place(row) < *after));
        }
    }
    let more = rows.len() > window.limit;
    rows.truncate(window.limit);
    let last = rows.last().filter(|_| more).map(place);
    Page { rows, next: last.map(|(created_at, id)| After { created_at, id }) }
}

fn place<Row: RowOfView>(row: &Row) -> (Timestamp, String) {
    let (created_at, id) = row.place();
    (created_at, id.to_owned())
}

/// A row that knows its read model, and its place in a list.
trait RowOfView: Clone {
    const VIEW: View;
    fn out_of(row: &ViewRow) -> Option<&Self>;
    fn place(&self) -> (Timestamp, &str);
}

macro_rules! rows_of_views {
    ($($view:ident: $variant:ident($row:ident) by $id:ident;)*) => {$(
        impl RowOfView for $row {
            const VIEW: View = View::$view;
            fn out_of(row: &ViewRow) -> Option<&Self> {
                if let ViewRow::$variant(row) = row { Some(row) } else { None }
            }
            fn place(&self) -> (Timestamp, &str) {
                (self.created_at, self.$id.as_str())
            }
        }
    )*};
}

rows_of_views! {
    Orders: Order(OrderRow) by order_id;
    Payments: Payment(PaymentRow) by order_id;
    Deliveries: Delivery(DeliveryRow) by order_id;
    Customers: Customer(CustomerRow) by customer_id;
    Products: Product(ProductRow) by product_id;
    Stock: Stock(StockRow) by sku;
}
