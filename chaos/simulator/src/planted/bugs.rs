//! The bugs, each with the place where it is planted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use event_store::memory::{Broken, MemoryStore};
use event_store::{
    Added, Appended, CatalogViews, Claim, Claimed, Copy, CustomerRow, DeliveryRow, EventLog, Held,
    Idempotency, KeptAnswer, Key, KeyRow, Keys, OrderQuery, OrderRow, OrderRows, OrderViews, Page,
    PaymentRow, Personal, ProductRow, Progress, Role, ShadowViews, StoreError, View, ViewRow, Window,
};
use events::{
    CustomerId, Event, Money, OrderId, ProductId, RecordedEvent, Sku, Slot, Stamp, StreamKey, Timestamp, Ulid,
};
use payments::intent::Charge;
use workers::{Charged, Failure, Gateway, GatewayError, Message, Worker, Workers, handle_batch};

use crate::ports::{Ports, at_once};
use crate::sim::{Said, Sim};
use crate::site::{Call, Handler, named};
use crate::{Plan, run};

named! {
    /// A bug.
    Bug {
        /// A payments worker that finds an attempt without outcome leaves it to whoever claimed it, for ever:
        /// after a crash nobody writes the outcome.
        OutcomeNotRewritten = "outcome_not_rewritten",
        /// Stock is reserved although the shelf holds less.
        ReserveWithoutFloor = "reserve_without_floor",
        /// Inventory forgets a cancellation that it hears of before anything is reserved.
        EarlyCancelForgotten = "early_cancel_forgotten",
        /// The gateway takes a charge for a new one each time.
        ChargeWithoutKey = "charge_without_key",
        /// What is shipped can still be cancelled. (Without the API's look at the status alone nothing would happen: the
        /// slot that shipping and cancelling share is the guard, so it is put into without a condition, too.)
        StatusGuardRemoved = "status_guard_removed",
        /// A consumer that handles events instead of looking at streams loses what came before its order did.
        EarlyEventDropped = "early_event_dropped",
        /// A refund is said before it is done.
        PublishBeforeDo = "publish_before_do",
        /// A taken slot is taken for an own success.
        ConflictTakenForSuccess = "conflict_taken_for_success",
        /// An event and its counters are two writes.
        EventAndCountersInTwoWrites = "event_and_counters_in_two_writes",
        /// Counters move though the slot was taken before.
        ReleaseNotGuarded = "release_not_guarded",
        /// Payments does not look at cancellations.
        PaymentIgnoresCancel = "payment_ignores_cancel",
        /// An append is acknowledged before it is stored, and now and then never is.
        AckBeforeDurability = "ack_before_durability",
        /// The same id with other content is answered as if it were the same.
        ContentNotCompared = "content_not_compared",
        /// A worker answers each event with another one.
        CausationUnchecked = "causation_unchecked",
        /// A replay of payments runs the handler that charges.
        ReplayReachesGateway = "replay_reaches_gateway",
        /// Ids are made from the clock alone.
        OrderFromClocks = "order_from_clocks",
        /// A batch says that all of it was handled.
        FailureReportedAsSuccess = "failure_reported_as_success",
        /// A message is handled once, whether its handler came to its end or not.
        DedupByMessageId = "dedup_by_message_id",
        /// Prices go through binary fractions.
        FloatsForMoney = "floats_for_money",
        /// A worker reads a stream as a lagging index would show it.
        StaleStream = "stale_stream",
        /// The orders worker keeps no rows of an order that was cancelled.
        RowsNotKept = "rows_not_kept",
        /// A worker forgets because of what it does something.
        CauseForgotten = "cause_forgotten",
        /// A replay that is swapped in takes away counters that another one is about to compare.
        SwapTakesCounters = "swap_takes_counters",
        /// A worker that finds nothing to do writes that down.
        RepeatRecorded = "repeat_recorded",
        /// A request that is carried out again under its key makes other ids than before.
        OtherIdsAgain = "other_ids_again",
        /// A key answers whatever is asked under it.
        KeyAnswersAnything = "key_answers_anything",
        /// What was once known of an API key is never looked up again.
        RevocationNotSeen = "revocation_not_seen",
        /// A customer's key opens an operator's doors.
        CustomersAreOperators = "customers_are_operators",
        /// What something cost when it was first ordered is never looked up again.
        OldPriceRemembered = "old_price_remembered",
        /// A customer who lists orders is shown everybody's.
        ListsAreOpen = "lists_are_open",
        /// Whoever died over a request that had a key, or gave it up, keeps it for ever.
        KeysAreWedged = "keys_are_wedged",
        /// What was done under a key is kept as if it had been refused.
        RefusalKept = "refusal_kept",
        /// An order that was stored is called too large.
        StoredAndRefused = "stored_and_refused",
        /// An event does not say which request appended it, so one that comes again does not know what it did.
        RequestForgotten = "request_forgotten",
        /// Whoever tells of a person is told that they were believed.
        TellerNotBelieved = "teller_not_believed",
        /// What is known of a person is what was told last.
        PersonOverwritten = "person_overwritten",
        /// Keys are made for customers whose row says that they were erased. (The API's look at the log finds most of them, but
        /// not one that is on its way when its caller is gone.)
        KeysForTheErased = "keys_for_the_erased",
    }
}

/// In so many seeds each bug must be caught.
pub const CAUGHT_WITHIN: u64 = 200;

impl Bug {
    /// What it breaks: what is found must say one of these, or it was found for another reason.
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Bug::OutcomeNotRewritten => &["still owed EVENT#Payment"],
            Bug::ReserveWithoutFloor => &["counters:", "not_negative:"],
            Bug::EarlyCancelForgotten => &["is CANCELLED, and still owed EVENT#Settlement", "given_back:"],
            Bug::ChargeWithoutKey => &["charged_once:"],
            Bug::StatusGuardRemoved => &["was cancelled, and is", "was shipped, and is"],
            Bug::EarlyEventDropped => &["still owed", "row:"],
            Bug::PublishBeforeDo => &["outcome:"],
            Bug::ConflictTakenForSuccess | Bug::AckBeforeDurability | Bug::ContentNotCompared => {
                &["acknowledged:", "was accepted and is not there"]
            }
            Bug::EventAndCountersInTwoWrites | Bug::SwapTakesCounters => &["counters:"],
            Bug::ReleaseNotGuarded => &["counters:", "repeated:"],
            Bug::PaymentIgnoresCancel => &["not_after_cancel:"],
            Bug::CausationUnchecked => &["causation_depth:"],
            Bug::ReplayReachesGateway => &["calls:", "claimed:"],
            Bug::OrderFromClocks => &["cause_order:"],
            Bug::FailureReportedAsSuccess | Bug::DedupByMessageId | Bug::StaleStream => &["still owed"],
            Bug::FloatsForMoney => &["and what was ordered costs"],
            Bug::RowsNotKept => &["\"row\""],
            Bug::CauseForgotten => &["answer:"],
            Bug::TellerNotBelieved => &["and what is known of them is"],
            Bug::PersonOverwritten => &["acknowledged: customer-"],
            Bug::RepeatRecorded => &["repeated:"],
            Bug::OtherIdsAgain => &["repeated: under key-"],
            Bug::KeyAnswersAnything => &["acknowledged:"],
            Bug::RevocationNotSeen
            | Bug::CustomersAreOperators
            | Bug::ListsAreOpen
            | Bug::KeysForTheErased => &["admitted:"],
            Bug::KeysAreWedged => &["was never answered"],
            Bug::RefusalKept | Bug::StoredAndRefused => &["refused:"],
            Bug::RequestForgotten => &["and it was done", "a second event was appended", "as if it were new"],
            Bug::OldPriceRemembered => &["priced:"],
        }
    }
}

/// The first seed that catches a bug by what it breaks, and what it says.
pub fn caught(bug: Bug) -> Option<(u64, String)> {
    (0..CAUGHT_WITHIN).find_map(|seed| {
        let plan = Plan { seed, planted: Some(bug), ..Plan::default() };
        let why = run(&plan).failure?;
        bug.breaks().iter().any(|said| why.contains(said)).then_some((seed, why))
    })
}

pub(crate) fn after(sim: &Sim, after: Option<Ulid>) -> Option<Ulid> {
    after.filter(|_| !sim.has(Bug::OrderFromClocks))
}

pub(crate) fn store(sim: &Sim) -> MemoryStore {
    let rules = [
        (Bug::ReserveWithoutFloor, Broken::Floor),
        (Bug::ReleaseNotGuarded, Broken::Guard),
        (Bug::EventAndCountersInTwoWrites, Broken::OneWrite),
        (Bug::StatusGuardRemoved, Broken::Slot),
        (Bug::KeysForTheErased, Broken::Erased),
        (Bug::PersonOverwritten, Broken::Told),
    ];
    let broken = rules.into_iter().find(|(bug, _)| sim.has(*bug));
    broken.map_or_else(MemoryStore::new, |(_, rule)| MemoryStore::broken(rule))
}

pub(crate) fn log(ports: &Arc<Ports>) -> Arc<dyn EventLog> {
    Arc::new(Log { ports: ports.clone(), forgotten: Mutex::default() })
}

pub(crate) fn catalog(ports: &Arc<Ports>) -> Arc<dyn CatalogViews> {
    let bugs = [Bug::FloatsForMoney, Bug::OldPriceRemembered, Bug::TellerNotBelieved];
    if bugs.into_iter().any(|bug| ports.sim.has(bug)) {
        Arc::new(Catalog { ports: ports.clone(), first: Mutex::default() })
    } else {
        ports.clone()
    }
}

pub(crate) fn keys(ports: &Arc<Ports>) -> Arc<dyn Keys> {
    let is_planted = ports.sim.has(Bug::RevocationNotSeen) || ports.sim.has(Bug::CustomersAreOperators);
    if is_planted {
        Arc::new(Doorman { ports: ports.clone(), known: Mutex::default() })
    } else {
        ports.clone()
    }
}

/// Somebody who looks at keys, and not closely.
struct Doorman {
    ports: Arc<Ports>,
    known: Mutex<BTreeMap<String, Key>>,
}

#[async_trait]
impl Keys for Doorman {
    async fn add_key(&self, key: Key) -> Result<Added, StoreError> {
        self.ports.add_key(key).await
    }
    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        let mut key = self.ports.key(key_id).await?;
        if let Some(key) = key.as_mut().filter(|_| self.ports.sim.has(Bug::CustomersAreOperators)) {
            key.row.role = Role::Operator;
        }
        if !self.ports.sim.has(Bug::RevocationNotSeen) {
            return Ok(key);
        }
        let Some(key) = key else { return Ok(None) };
        let mut known = self.known.lock().expect("nobody panics while remembering");
        Ok(Some(known.entry(key_id.to_owned()).or_insert(key).clone()))
    }
    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        self.ports.keys(window).await
    }
    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        self.ports.revoke_key(key_id, at).await
    }
}

pub(crate) fn shadow(ports: &Arc<Ports>) -> Arc<dyn ShadowViews> {
    let is_planted = ports.sim.has(Bug::ReplayReachesGateway) || ports.sim.has(Bug::SwapTakesCounters);
    if is_planted { Arc::new(Shadow(ports.clone())) } else { ports.clone() }
}

pub(crate) fn gateway(ports: &Arc<Ports>, gateway: Arc<dyn Gateway>) -> Arc<dyn Gateway> {
    let is_planted = ports.sim.has(Bug::ChargeWithoutKey) || ports.sim.has(Bug::PublishBeforeDo);
    if is_planted { Arc::new(Till { ports: ports.clone(), gateway }) } else { gateway }
}

pub(crate) fn reported(sim: &Sim, failures: Vec<Failure>) -> Vec<Failure> {
    if sim.has(Bug::FailureReportedAsSuccess) { Vec::new() } else { failures }
}

pub(crate) fn worker(
    sim: &Sim,
    worker: Worker,
    workers: &Arc<Workers>,
    mut batch: Vec<Message<Arc<str>>>,
) -> impl Future<Output = Vec<Failure>> + Send + use<> {
    if sim.has(Bug::DedupByMessageId) {
        batch.retain(|message| message.receive_count == 1);
    }
    let workers = workers.clone();
    async move { handle_batch(workers.get(worker), &batch).await }
}

pub(crate) fn kept(ports: &Arc<Ports>) -> Arc<dyn Idempotency> {
    let bugs = [Bug::OtherIdsAgain, Bug::KeyAnswersAnything, Bug::KeysAreWedged, Bug::RefusalKept];
    if bugs.into_iter().any(|bug| ports.sim.has(bug)) {
        Arc::new(Answers(ports.clone()))
    } else {
        ports.clone()
    }
}

/// Kept answers of somebody who does not keep what they are answers to.
struct Answers(Arc<Ports>);

impl Answers {
    fn held_until(&self, until: Timestamp) -> Timestamp {
        let longer = if self.0.sim.has(Bug::KeysAreWedged) { 23 * 60 * 60 * 1_000 } else { 0 };
        Timestamp::from_millis(until.millis() + longer)
    }
}

#[async_trait]
impl Idempotency for Answers {
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        let fingerprint =
            if self.0.sim.has(Bug::KeyAnswersAnything) { String::new() } else { claim.fingerprint.clone() };
        let own = claim.seed;
        let until = self.held_until(claim.until);
        let claimed = self.0.claim(key, Claim { fingerprint, until, ..claim }, now).await?;
        Ok(match claimed {
            Claimed::Mine(_) if self.0.sim.has(Bug::OtherIdsAgain) => Claimed::Mine(own),
            claimed => claimed,
        })
    }
    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError> {
        let is_refused = self.0.sim.has(Bug::RefusalKept);
        let answer =
            if is_refused { KeptAnswer { status: 409, body: "{}".into(), ..answer } } else { answer };
        self.0.keep(key, Held { until: self.held_until(held.until), ..held }, answer).await
    }
    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError> {
        if self.0.sim.has(Bug::KeysAreWedged) { Ok(true) } else { self.0.give_up(key, held).await }
    }
}

pub(crate) fn orders(ports: &Arc<Ports>) -> Arc<dyn OrderViews> {
    if ports.sim.has(Bug::ListsAreOpen) { Arc::new(OpenLists(ports.clone())) } else { ports.clone() }
}

/// Lists of orders that do not look at whose they are.
struct OpenLists(Arc<Ports>);

#[async_trait]
impl OrderViews for OpenLists {
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError> {
        OrderViews::put(&*self.0, rows).await
    }
    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        self.0.order(id).await
    }
    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError> {
        self.0.payment(id).await
    }
    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError> {
        self.0.delivery(id).await
    }
    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError> {
        self.0.orders(&OrderQuery { customer_id: None, ..query.clone() }).await
    }
    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError> {
        self.0.payments(window).await
    }
}

/// A log that a careless adapter, or a careless reader of it, makes of the real one.
struct Log {
    ports: Arc<Ports>,
    /// Events that somebody heard of too early.
    forgotten: Mutex<BTreeSet<Ulid>>,
}

impl Log {
    fn has(&self, bug: Bug) -> bool {
        self.ports.sim.has(bug)
    }

    fn handler(&self) -> Handler {
        self.ports.sim.core().handler
    }

    /// What a careless reader sees of a stream.
    fn seen(&self, stream: Vec<Arc<RecordedEvent>>) -> Vec<Arc<RecordedEvent>> {
        let handler = self.handler();
        let named = |item: &RecordedEvent, name: &str| &*item.event_name == name;
        let holds = |sk: &str| stream.iter().any(|item| *item.sk == *sk);
        let settled = holds("EVENT#Payment");
        if self.has(Bug::PaymentIgnoresCancel) && handler == Handler::Payments && !settled {
            return without(&stream, |item| named(item, "OrderCancelled"));
        }
        if self.has(Bug::EarlyCancelForgotten) && handler == Handler::Inventory {
            return self
                .forgetting(&stream, !holds("EVENT#Reservation"), |item| named(item, "OrderCancelled"));
        }
        let is_worker = matches!(handler, Handler::Orders | Handler::Inventory | Handler::Payments);
        if self.has(Bug::EarlyEventDropped) && is_worker && is_order(&stream) {
            let too_early = !holds("EVENT#OrderPlaced");
            let seen = self.forgetting(&stream, too_early, |_| true);
            // Until its order comes, there is nothing to be wrong about.
            return if too_early { stream } else { seen };
        }
        if self.has(Bug::OutcomeNotRewritten) && handler == Handler::Payments && !settled {
            // It sees a claim whose charge went through, and takes whoever made it to be about to write it down.
            return if self.is_charged(&stream) { Vec::new() } else { stream };
        }
        if self.has(Bug::StatusGuardRemoved) && handler == Handler::CancelOrder {
            return without(&stream, |item| named(item, "OrderShipped"));
        }
        if self.has(Bug::StaleStream) && handler == Handler::Inventory {
            let until = stream.len().saturating_sub(1);
            return stream[..until].to_vec();
        }
        if self.has(Bug::RowsNotKept) && handler == Handler::Orders {
            let cancelled = stream.iter().any(|item| named(item, "OrderCancelled"));
            return if cancelled { Vec::new() } else { stream };
        }
        stream
    }

    /// Whether the gateway took the money of the order whose stream this is.
    fn is_charged(&self, stream: &[Arc<RecordedEvent>]) -> bool {
        let key = stream.first().and_then(|item| StreamKey::parse(&item.pk));
        let Some(StreamKey::Order(order)) = key else { return false };
        let stored = at_once(event_store::IntentStore::load(&*self.ports.store, &order));
        stored.is_ok_and(|stored| stored.intent.state == payments::intent::State::Charged)
    }

    fn forgetting(
        &self,
        stream: &[Arc<RecordedEvent>],
        too_early: bool,
        which: impl Fn(&RecordedEvent) -> bool,
    ) -> Vec<Arc<RecordedEvent>> {
        let mut forgotten = self.forgotten.lock().expect("nobody panics while forgetting");
        if too_early {
            forgotten.extend(stream.iter().filter(|item| which(item)).map(|item| item.event_id));
        }
        without(stream, |item| forgotten.contains(&item.event_id))
    }

    /// What a worker has to say that found an order at its end.
    fn nothing_to_do(stream: &[Arc<RecordedEvent>]) -> Option<RecordedEvent> {
        let first = stream.iter().find(|item| *item.sk == *Slot::OrderPlaced.sk())?;
        let latest = stream.iter().max_by_key(|item| item.event_id)?;
        if !orders::has_ended(&orders::fold(stream.iter().map(|item| &**item))) {
            return None;
        }
        let stamp = Stamp {
            event_id: Ulid(latest.event_id.0 + 1),
            occurred_at: latest.occurred_at,
            producer: "inventory-worker".into(),
        };
        let sk = format!("EVENT#Rechecked#{}", stream.len());
        let said = ("OrderRechecked", 1, "{}");
        Some(RecordedEvent::raw((&latest.pk, &sk), said, Vec::new(), stamp, first.causes_next()))
    }

    /// An event that answers another one, whatever that was.
    fn remark(stream: &[Arc<RecordedEvent>]) -> Option<RecordedEvent> {
        let latest = stream.iter().max_by_key(|item| item.event_id)?;
        let stamp = Stamp {
            event_id: Ulid(latest.event_id.0 + 1),
            occurred_at: latest.occurred_at,
            producer: "orders-worker".into(),
        };
        let sk = format!("EVENT#Remark#{}", stream.len());
        let said = ("OrderRemarked", 1, "{}");
        Some(RecordedEvent::raw((&latest.pk, &sk), said, Vec::new(), stamp, latest.causes_next()))
    }
}

fn is_order(stream: &[Arc<RecordedEvent>]) -> bool {
    stream.first().is_some_and(|item| item.pk.starts_with("EVENTS#ORDER_ID#"))
}

fn without(stream: &[Arc<RecordedEvent>], which: impl Fn(&RecordedEvent) -> bool) -> Vec<Arc<RecordedEvent>> {
    stream.iter().filter(|item| !which(item)).cloned().collect()
}

#[async_trait]
impl EventLog for Log {
    async fn append(&self, mut event: RecordedEvent) -> Result<Appended, StoreError> {
        if self.has(Bug::CauseForgotten) && self.handler() == Handler::Inventory {
            event.causation_id = None;
        }
        if self.has(Bug::RequestForgotten) {
            event.request_seed = None;
        }
        if self.has(Bug::AckBeforeDurability) {
            let own = event.clone();
            let is_lost = {
                let mut core = self.ports.sim.core();
                !core.peace && core.fate.u8(..50) == 0
            };
            if is_lost {
                return Ok(Appended::Stored(Arc::new(own)));
            }
        }
        let own = Arc::new(event.clone());
        let appended = self.ports.append(event).await?;
        if self.has(Bug::EventAndCountersInTwoWrites)
            && let Appended::Stored(stored) = &appended
            && stored.moved_counters()
        {
            let second = || {
                self.ports.store.move_late(stored);
                Ok::<_, StoreError>(())
            };
            self.ports.sim.call(Call::Append, second).await?;
        }
        if self.has(Bug::PublishBeforeDo)
            && let Appended::Stored(stored) = &appended
            && let Ok(Event::OrderPaymentRefunded(refunded)) = stored.event()
        {
            let order = &refunded.order_id;
            let late = || {
                let stored = at_once(event_store::IntentStore::load(&*self.ports.store, order))?;
                let mut intent = stored.intent;
                intent.refund();
                at_once(event_store::IntentStore::save(&*self.ports.store, order, intent, stored.version))
            };
            self.ports.sim.call(Call::Refund, late).await?;
        }
        let is_api = !matches!(
            self.handler(),
            Handler::Orders | Handler::Inventory | Handler::Payments | Handler::Catalog
        );
        let takes_for_own = match &appended {
            Appended::Taken(_) if self.has(Bug::ConflictTakenForSuccess) => true,
            Appended::Taken(taken) if is_api && self.has(Bug::ContentNotCompared) => {
                *taken.sk == *Slot::OrderPlaced.sk() && taken.event().is_ok()
            }
            _ => false,
        };
        if self.has(Bug::StoredAndRefused) && self.handler() == Handler::PlaceOrder {
            return Err(StoreError::TooLarge { bytes: own.data.len() });
        }
        Ok(if takes_for_own { Appended::Stored(own) } else { appended })
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let stream = self.ports.read_stream(pk).await?;
        if self.has(Bug::CausationUnchecked)
            && self.handler() == Handler::Orders
            && let Some(remark) = Log::remark(&stream)
        {
            self.ports.append(remark).await?;
        }
        if self.has(Bug::RepeatRecorded)
            && self.handler() == Handler::Inventory
            && let Some(note) = Log::nothing_to_do(&stream)
        {
            self.ports.append(note).await?;
        }
        Ok(self.seen(stream))
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        self.ports.read_slot(pk, sk).await
    }
}

/// A gateway's client that does not name what it pays for, or says "done" too early.
struct Till {
    ports: Arc<Ports>,
    gateway: Arc<dyn Gateway>,
}

#[async_trait]
impl Gateway for Till {
    async fn charge(&self, order: &OrderId, amount: Money) -> Result<Charged, GatewayError> {
        if !self.ports.sim.has(Bug::ChargeWithoutKey) {
            return self.gateway.charge(order, amount).await;
        }
        let again = || {
            let broken = |cause: StoreError| GatewayError(cause.to_string());
            let store = &*self.ports.store;
            let stored = at_once(event_store::IntentStore::load(store, order)).map_err(broken)?;
            let mut intent = stored.intent;
            let before = intent.clone();
            // A new intent each time: what the last one came to is not known.
            intent.state = payments::intent::State::Open;
            let charge = intent.charge(amount, false);
            let kept = if charge == Charge::Charged { intent } else { before };
            at_once(event_store::IntentStore::save(store, order, kept, stored.version)).map_err(broken)?;
            self.ports.sim.core().said.push(Said::Asked(order.clone()));
            Ok::<_, GatewayError>(charge)
        };
        match self.ports.sim.call(Call::Charge, again).await? {
            Charge::Charged => Ok(Charged::Charged { payment_id: format!("pay-{order}") }),
            Charge::Declined(reason) => Ok(Charged::Declined { reason: reason.to_owned() }),
            Charge::Refused => Ok(Charged::Refused),
            Charge::Failed => Err(GatewayError("not now".into())),
        }
    }

    async fn cancel(&self, order: &OrderId) -> Result<Option<String>, GatewayError> {
        self.gateway.cancel(order).await
    }

    async fn refund(&self, order: &OrderId) -> Result<(), GatewayError> {
        if self.ports.sim.has(Bug::PublishBeforeDo) {
            return Ok(());
        }
        self.gateway.refund(order).await
    }
}

/// A catalogue whose prices are binary fractions, or those of long ago.
struct Catalog {
    ports: Arc<Ports>,
    first: Mutex<BTreeMap<Sku, ProductRow>>,
}

/// 1.15 × 100 is 114.99999999999999.
fn as_a_float_has_it(row: ProductRow) -> ProductRow {
    let price = (row.price.minor() as f64 / 100.0 * 100.0).floor() as i64;
    let price = Money::from_minor(price.max(0)).unwrap_or(row.price);
    ProductRow { price, ..row }
}

#[async_trait]
impl CatalogViews for Catalog {
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError> {
        self.ports.put_customer(row).await
    }
    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError> {
        let is_believed = self.ports.put_personal(id, personal).await?;
        Ok(is_believed || self.ports.sim.has(Bug::TellerNotBelieved))
    }
    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.ports.customer(id).await
    }
    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError> {
        self.ports.customers(window).await
    }
    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError> {
        self.ports.put_product(row).await
    }
    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError> {
        self.ports.product(id).await
    }
    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
        let row = self.ports.product_by_sku(sku).await?;
        let Some(row) = row else { return Ok(None) };
        if self.ports.sim.has(Bug::FloatsForMoney) {
            return Ok(Some(as_a_float_has_it(row)));
        }
        if !self.ports.sim.has(Bug::OldPriceRemembered) {
            return Ok(Some(row));
        }
        let mut first = self.first.lock().expect("nobody panics while remembering");
        Ok(Some(first.entry(sku.clone()).or_insert(row).clone()))
    }
    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError> {
        self.ports.product_by_name(name).await
    }
    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError> {
        self.ports.products(window).await
    }
}

/// A replay that runs the handler whose rows it rebuilds, or that takes what it did not rebuild.
struct Shadow(Arc<Ports>);

#[async_trait]
impl ShadowViews for Shadow {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        self.0.rows(view, copy, after, limit).await
    }
    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        self.0.row(view, copy, id).await
    }
    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        let of_payments = rows.iter().filter(|_| self.0.sim.has(Bug::ReplayReachesGateway));
        for row in of_payments {
            if let ViewRow::Payment(payment) = row {
                let gateway = crate::gateway::OutsideGateway { ports: (*self.0).clone() };
                drop(gateway.charge(&payment.order_id, payment.amount).await);
            }
        }
        self.0.put_shadow(view, rows, progress).await
    }
    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        self.0.progress(view).await
    }
    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        let mut gone = gone;
        if view == View::Stock && self.0.sim.has(Bug::SwapTakesCounters) {
            let all = self.0.rows(view, Copy::Live, None, usize::MAX).await?;
            gone.extend(all.iter().map(|row| row.id().to_owned()));
        }
        self.0.adopt(rows, view, gone).await
    }
    async fn discard(&self, view: View) -> Result<(), StoreError> {
        self.0.discard(view).await
    }
}
