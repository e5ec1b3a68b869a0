//! Every port of the system, over one world in memory, each call of which a fault can strike.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::memory::MemoryStore;
use event_store::{
    Added, Allowance, Appended, CatalogViews, ChangeFeed, Claim, Claimed, Copy, CustomerRow, DeliveryRow,
    EventLog, Forgotten, Held, Idempotency, IntentStore, KeptAnswer, Key, KeyRow, Keys, LedgerEntry, LogScan,
    OrderQuery, OrderRow, OrderRows, OrderViews, Page, PaymentRow, Personal, Position, ProductRow, Progress,
    ScanPage, Secrets, Segment, ShadowViews, StockRow, StockViews, StoreError, Tries, User, UserRow, Users,
    Versioned, View, ViewRow, Window,
};
use events::{Causes, CustomerId, OrderId, Priority, ProductId, RecordedEvent, Sku, Slot, Stamp, Timestamp};
use futures_util::FutureExt;
use payments::intent::Intent;
use views::Pause;
use workers::{Nudges, Worker, WorkerError};

use crate::Plan;
use crate::figures::Sometimes;
use crate::sim::{Broken, Row, Said, Sim};
use crate::site::{Call, Fault, Handler};
use crate::swarm::{Swarm, Switch};

/// The ports as one function has them.
#[derive(Clone)]
pub struct Ports {
    /// What the run shares.
    pub sim: Arc<Sim>,
    /// The tables.
    pub store: Arc<MemoryStore>,
    /// The indexes over the tables: the same rows, later.
    pub indexes: Arc<MemoryStore>,
    /// Whether the function runs the version of the code that comes next.
    pub next_version: bool,
}

impl Ports {
    /// The ports of a world in which nothing goes wrong and nothing takes time, for the suites of claims
    /// that every adapter must meet.
    pub fn untroubled() -> Ports {
        let swarm = Swarm::draw(0, Switch::ALL);
        let sim = Arc::new(Sim::new(&Plan::default(), swarm));
        sim.core().instant = true;
        let store = Arc::new(MemoryStore::new());
        Ports { sim, indexes: store.clone(), store, next_version: false }
    }
}

/// A page of a table holds a megabyte: the worlds here are small, so their pages are too.
const SCAN_PAGE: usize = 200;

/// The answer of a store that never waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory answers at once")
}

/// The event as the next version of the code writes it: with more in its payload, as versions may add.
fn as_the_next_version_writes(event: RecordedEvent) -> RecordedEvent {
    let Some(fields) = event.data.strip_suffix('}').filter(|fields| fields.len() > 1) else { return event };
    let data = format!(r#"{fields},"added_by_the_next_version":{{"of":[1,"two"]}}}}"#);
    let RecordedEvent { pk, sk, event_name, schema_version, counters, .. } = &event;
    let stamp =
        Stamp { event_id: event.event_id, occurred_at: event.occurred_at, producer: event.producer.clone() };
    let causes = Causes {
        priority: event.priority,
        correlation_id: event.correlation_id.clone(),
        causation_id: event.causation_id,
        request_seed: event.request_seed,
        traceparent: event.traceparent.clone(),
    };
    let said = (&**event_name, schema_version + 1, &*data);
    RecordedEvent::raw((pk, sk), said, counters.clone(), stamp, causes)
}

#[async_trait]
impl EventLog for Ports {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        let event = if self.next_version { as_the_next_version_writes(event) } else { event };
        self.write(Call::Append, move |ports| {
            let own = event.event_id;
            let appended = at_once(ports.store.append(event))?;
            match &appended {
                Appended::Stored(stored) => ports.sim.core().said.push(Said::Appended(stored.clone())),
                Appended::Taken(taken) if taken.event_id != own => {
                    if *taken.sk == *Slot::Reservation.sk() {
                        ports.sim.saw(Sometimes::ReservationRace);
                    }
                    if &*taken.event_name == "PaymentAttempted" {
                        ports.sim.saw(Sometimes::ClaimRace);
                    }
                }
                Appended::Taken(_) => {}
                Appended::Short(_) => ports.sim.saw(Sometimes::Shortage),
            }
            Ok(appended)
        })
        .await
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let stream = self.sim.call(Call::ReadStream, || at_once(self.store.read_stream(pk))).await?;
        let is_of_the_next = |item: &Arc<RecordedEvent>| item.schema_version > 1 && item.event().is_ok();
        if !self.next_version && stream.iter().any(is_of_the_next) {
            self.sim.saw(Sometimes::NextVersion);
        }
        Ok(stream)
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        self.sim.call(Call::ReadSlot, || at_once(self.store.read_slot(pk, sk))).await
    }
}

#[async_trait]
impl LogScan for Ports {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let limit = limit.min(SCAN_PAGE);
        self.sim.call(Call::Scan, || at_once(self.store.scan(segment, after, limit))).await
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.sim.call(Call::Size, || at_once(LogScan::size(&*self.store))).await
    }
}

#[async_trait]
impl ChangeFeed for Ports {
    async fn follow(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<RecordedEvent>)>, StoreError> {
        self.sim.call(Call::Follow, || Ok::<_, StoreError>(())).await?;
        self.store.follow(after, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.sim.call(Call::Head, || at_once(self.store.head())).await
    }
}

#[async_trait]
impl OrderViews for Ports {
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError> {
        self.write(Call::PutOrder, move |ports| {
            let written = at_once(OrderViews::put(&*ports.store, rows.clone()))?;
            if written {
                ports.sim.core().said.push(Said::Written(Row::Order(Box::new(rows))));
            }
            Ok(written)
        })
        .await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        self.sim.call(Call::Order, || at_once(self.store.order(id))).await
    }

    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError> {
        self.sim.call(Call::Payment, || at_once(self.store.payment(id))).await
    }

    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError> {
        self.sim.call(Call::Delivery, || at_once(self.store.delivery(id))).await
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError> {
        self.sim.call(Call::OrderList, || at_once(self.indexes.orders(query))).await
    }

    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError> {
        self.sim.call(Call::PaymentList, || at_once(self.indexes.payments(window))).await
    }
}

#[async_trait]
impl StockViews for Ports {
    async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
        self.sim.call(Call::Stock, || at_once(self.store.stock(sku))).await
    }

    async fn stocks(&self, window: &Window) -> Result<Page<StockRow>, StoreError> {
        self.sim.call(Call::StockList, || at_once(self.store.stocks(window))).await
    }

    async fn counted(&self, sku: &Sku) -> Result<(Option<StockRow>, Option<StockRow>), StoreError> {
        self.sim.call(Call::Counted, || at_once(self.store.counted(sku))).await
    }

    async fn ledger(&self, sku: &Sku, after: u64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError> {
        self.sim.call(Call::Ledger, || at_once(self.store.ledger(sku, after, limit))).await
    }
}

#[async_trait]
impl CatalogViews for Ports {
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError> {
        self.write(Call::PutCustomer, move |ports| {
            let id = row.customer_id.clone();
            let written = at_once(ports.store.put_customer(row))?;
            ports.customer_changed(&id);
            Ok(written)
        })
        .await
    }

    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(Call::PutPersonal, move |ports| {
            let written = at_once(ports.store.put_personal(&id, personal))?;
            ports.customer_changed(&id);
            Ok(written)
        })
        .await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.sim.call(Call::Customer, || at_once(self.store.customer(id))).await
    }

    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError> {
        self.sim.call(Call::CustomerList, || at_once(self.indexes.customers(window))).await
    }

    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError> {
        self.write(Call::PutProduct, move |ports| {
            let written = at_once(ports.store.put_product(row.clone()))?;
            if written {
                ports.sim.core().said.push(Said::Written(Row::Product(row)));
            }
            Ok(written)
        })
        .await
    }

    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError> {
        self.sim.call(Call::Product, || at_once(self.store.product(id))).await
    }

    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
        self.sim
            .call(Call::ProductBySku, || {
                let found = at_once(self.indexes.product_by_sku(sku))?;
                if self.is_lagging() && found != at_once(self.store.product_by_sku(sku))? {
                    self.sim.saw(Sometimes::StaleIndex);
                }
                Ok(found)
            })
            .await
    }

    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError> {
        self.sim.call(Call::ProductByName, || at_once(self.indexes.product_by_name(name))).await
    }

    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError> {
        self.sim.call(Call::ProductList, || at_once(self.indexes.products(window))).await
    }
}

impl Ports {
    /// Whether the indexes are a store of their own.
    fn is_lagging(&self) -> bool {
        !Arc::ptr_eq(&self.store, &self.indexes)
    }

    /// A call that changes something: whoever makes it may be gone when it does.
    pub async fn write<T, E: Broken>(
        &self,
        call: Call,
        effect: impl FnOnce(&Ports) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let drawn = self.sim.draw_write(call);
        if drawn.fault == Some(Fault::Late) {
            let ports = self.clone();
            return self.sim.be_late(drawn, Box::new(move || drop(effect(&ports)))).await;
        }
        self.sim.carry_out(drawn, || effect(self)).await
    }

    fn customer_changed(&self, id: &CustomerId) {
        if let Ok(Some(row)) = at_once(self.store.customer(id)) {
            self.sim.core().said.push(Said::Written(Row::Customer(row)));
        }
    }
}

#[async_trait]
impl ShadowViews for Ports {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        self.sim.call(Call::Rows, || at_once(self.store.rows(view, copy, after, limit))).await
    }

    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        self.sim.call(Call::Row, || at_once(self.store.row(view, copy, id))).await
    }

    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        self.write(Call::PutShadow, move |ports| at_once(ports.store.put_shadow(view, rows, progress))).await
    }

    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        self.sim
            .call(Call::Progress, || {
                let progress = at_once(self.store.progress(view))?;
                // Where nobody else rebuilds it, whoever began is dead.
                if progress.is_some() && self.sim.core().replaying[view as usize] == 1 {
                    self.sim.saw(Sometimes::ReplayResumed);
                }
                Ok(progress)
            })
            .await
    }

    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        self.write(Call::Adopt, move |ports| {
            let ids = rows.iter().map(|row| row.id().to_owned()).chain(gone.iter().cloned());
            let changed = ids.map(|id| Said::Written(Row::Whatever(view, id))).collect::<Vec<_>>();
            at_once(ports.store.adopt(rows, view, gone))?;
            ports.sim.core().said.extend(changed);
            Ok(())
        })
        .await
    }

    async fn discard(&self, view: View) -> Result<(), StoreError> {
        self.write(Call::Discard, move |ports| at_once(ports.store.discard(view))).await
    }
}

#[async_trait]
impl IntentStore for Ports {
    async fn load(&self, order: &OrderId) -> Result<Versioned, StoreError> {
        self.sim.call(Call::LoadIntent, || at_once(self.store.load(order))).await
    }

    async fn save(&self, order: &OrderId, intent: Intent, computed_from: u64) -> Result<bool, StoreError> {
        let order = order.clone();
        self.write(Call::SaveIntent, move |ports| {
            ports.sim.core().said.push(Said::Asked(order.clone()));
            at_once(ports.store.save(&order, intent, computed_from))
        })
        .await
    }
}

#[async_trait]
impl Idempotency for Ports {
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        let key = key.to_owned();
        self.write(Call::Claim, move |ports| {
            let seed = claim.seed;
            let claimed = at_once(ports.store.claim(&key, claim, now))?;
            match &claimed {
                Claimed::Mine(of_another) if *of_another != seed => ports.sim.saw(Sometimes::TakenOver),
                Claimed::Done(_) => ports.sim.saw(Sometimes::AnsweredAgain),
                Claimed::Running => ports.sim.saw(Sometimes::StillRunning),
                Claimed::OfAnother => ports.sim.saw(Sometimes::KeyOfAnother),
                Claimed::Mine(_) => {}
            }
            Ok(claimed)
        })
        .await
    }

    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.write(Call::KeepAnswer, move |ports| at_once(ports.store.keep(&key, held, answer))).await
    }

    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.write(Call::GiveUp, move |ports| at_once(ports.store.give_up(&key, held))).await
    }
}

#[async_trait]
impl Users for Ports {
    async fn add_user(&self, user: User) -> Result<Added, StoreError> {
        self.store.add_user(user).await
    }

    async fn user(&self, username: &str) -> Result<Option<User>, StoreError> {
        self.store.user(username).await
    }

    async fn users(&self, window: &Window) -> Result<Page<UserRow>, StoreError> {
        self.store.users(window).await
    }

    async fn remove_user(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        self.store.remove_user(username).await
    }

    async fn forget_customer(&self, customer: &CustomerId) -> Result<Forgotten, StoreError> {
        let id = customer.clone();
        self.write(Call::ForgetCustomer, move |ports| at_once(ports.store.forget_customer(&id))).await
    }
}

#[async_trait]
impl Keys for Ports {
    async fn add_key(&self, key: Key) -> Result<Added, StoreError> {
        self.write(Call::AddKey, move |ports| at_once(ports.store.add_key(key))).await
    }

    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        self.sim.call_of(Handler::Authorizer, Call::Key, || at_once(self.store.key(key_id))).await
    }

    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        self.store.keys(window).await
    }

    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        let key_id = key_id.to_owned();
        self.write(Call::RevokeKey, move |ports| at_once(ports.store.revoke_key(&key_id, at))).await
    }
}

#[async_trait]
impl Secrets for Ports {
    async fn secret(&self, name: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.sim.call(Call::Secret, || at_once(self.store.secret(name, offered))).await
    }

    async fn known_secret(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        self.store.known_secret(name).await
    }
}

#[async_trait]
impl Tries for Ports {
    async fn take_try(
        &self,
        whose: &str,
        by: &str,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.store.take_try(whose, by, allowance, now).await
    }

    async fn forget_tries(&self, whose: &str, now: Timestamp) -> Result<(), StoreError> {
        self.store.forget_tries(whose, now).await
    }
}

#[async_trait]
impl Nudges for Ports {
    async fn nudge(&self, worker: Worker, lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        let said = Said::Nudged(worker, lane, Box::new(event.clone()));
        self.write(Call::Nudge, move |ports| {
            ports.sim.saw(Sometimes::Swept);
            ports.sim.core().said.push(said);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Pause for Ports {
    async fn pause(&self, time: Duration) {
        self.sim.sleep(time.as_micros() as u64).await;
    }
}
