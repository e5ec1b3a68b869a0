//! A store, a clock that ticks once per stamp, and a client.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apis::access::{Access, Guard};
use apis::limits::Limits;
use apis::{Api, Environment};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use event_store::memory::MemoryStore;
use event_store::{Appended, Claim, EventLog, Idempotency, Kept, LogScan, OrderViews, Stamper, StoreError};
use events::*;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use views::Pause;

use crate::described;

pub struct World {
    pub api: Arc<Api>,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<Ticking>,
    pub router: Router,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Pointers or parameters of `errors`, sorted.
    pub fn wrong(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut wrong: Vec<&str> = errors
            .iter()
            .map(|error| error.get("pointer").or(error.get("parameter")).unwrap().as_str().unwrap())
            .collect();
        wrong.sort_unstable();
        wrong
    }
}

/// 2010-12-01T08:26:00Z and a second more with every stamp.
pub struct Ticking(AtomicI64);

impl Stamper for Ticking {
    fn stamp(&self, after: Option<Ulid>) -> Stamp {
        let tick = self.0.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_millis(1_291_191_960_000 + tick * 1_000);
        Stamp {
            event_id: next_event_id(now, tick as u128, after),
            occurred_at: now,
            producer: "test-api".into(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_291_191_960_000)
    }
}

/// Waits for nothing but whoever else runs.
struct Clockless;

#[async_trait]
impl Pause for Clockless {
    async fn pause(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// A log that lets a rival append first, once; whose reads take so long that somebody else takes every request over; or
/// that is not there at all.
pub enum Log {
    Racing(Arc<MemoryStore>, Mutex<Vec<RecordedEvent>>),
    Slow(Arc<MemoryStore>),
    Down,
}

#[async_trait]
impl EventLog for Log {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        let (store, rival) = match self {
            Log::Racing(store, rivals) => (store, rivals.lock().unwrap().pop()),
            Log::Slow(store) => (store, None),
            Log::Down => return Err(down()),
        };
        if let Some(rival) = rival {
            store.append(rival).await?;
        }
        store.append(event).await
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        match self {
            Log::Racing(store, _) => store.read_stream(pk).await,
            Log::Slow(store) => {
                for (key, Kept { claim, .. }) in store.kept_answers() {
                    let over = claim.until;
                    let until = Timestamp::from_millis(over.millis() + 60_000);
                    store.claim(&key, Claim { until, ..claim }, over).await?;
                }
                store.read_stream(pk).await
            }
            Log::Down => Err(down()),
        }
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        let (Log::Racing(store, _) | Log::Slow(store)) = self else { return Err(down()) };
        store.read_slot(pk, sk).await
    }
}

fn down() -> StoreError {
    StoreError::Unavailable("secret host is down".into())
}

impl World {
    /// Nothing is there yet.
    pub fn empty() -> World {
        World::of(Environment::Dev, |store| store)
    }

    pub fn prod() -> World {
        World::of(Environment::Prod, |store| store)
    }

    pub fn down() -> World {
        World::of(Environment::Dev, |_| Arc::new(Log::Down))
    }

    fn of(environment: Environment, log: impl FnOnce(Arc<MemoryStore>) -> Arc<dyn EventLog>) -> World {
        World::over(Arc::new(MemoryStore::new()), environment, log)
    }

    /// Whoever asks has to say who they are.
    pub fn guarded(guard: Guard) -> World {
        World::behind(guard, Arc::new(MemoryStore::new()), Environment::Dev, |store| store)
    }

    /// Everybody but admins may send so many requests; whoever asks has to say who they are.
    pub fn limited(rate: &str) -> World {
        World::guarded(Guard::Here)
            .with(|access| access.limits = Arc::new(Limits::new(Some(rate.parse().unwrap()))))
    }

    /// The same with something else in the place of what is asked about those who ask.
    pub fn with(self, change: impl FnOnce(&mut Access)) -> World {
        let World { api: open, store, clock, .. } = self;
        let mut access = open.access.clone();
        change(&mut access);
        let api = Api {
            log: open.log.clone(),
            orders: open.orders.clone(),
            stock: open.stock.clone(),
            catalog: open.catalog.clone(),
            kept: open.kept.clone(),
            access,
            pause: open.pause.clone(),
            stamper: open.stamper.clone(),
            environment: open.environment,
        };
        let api = Arc::new(api);
        World { router: apis::router(api.clone()), api, store, clock }
    }

    pub fn over(
        store: Arc<MemoryStore>,
        environment: Environment,
        log: impl FnOnce(Arc<MemoryStore>) -> Arc<dyn EventLog>,
    ) -> World {
        World::behind(Guard::Open, store, environment, log)
    }

    fn behind(
        guard: Guard,
        store: Arc<MemoryStore>,
        environment: Environment,
        log: impl FnOnce(Arc<MemoryStore>) -> Arc<dyn EventLog>,
    ) -> World {
        let clock = Arc::new(Ticking(AtomicI64::new(0)));
        let api = Api {
            log: log(store.clone()),
            orders: store.clone(),
            stock: store.clone(),
            catalog: store.clone(),
            kept: store.clone(),
            access: Access::over(&store, clock.clone(), guard),
            pause: Arc::new(Clockless),
            stamper: clock.clone(),
            environment,
        };
        let api = Arc::new(api);
        World { store, clock, router: apis::router(api.clone()), api }
    }

    /// A customer `cust-1`, and two products: `lamp` for 19.99 and `sock` for 2.
    pub async fn open() -> World {
        let world = World::empty();
        world.furnish().await;
        world
    }

    pub async fn furnish(&self) {
        let customer = json!({"customer_id": "cust-1", "name": "Ann", "email": "ann@example.org"});
        assert_eq!(self.post("/customers", customer).await.status, 201);
        for (sku, price) in [("lamp", 19.99), ("sock", 2.0)] {
            let product = json!({"sku": sku, "name": format!("A {sku}"), "price": price, "currency": "GBP"});
            assert_eq!(self.post("/products", product).await.status, 201);
        }
    }

    /// Whatever is asked here, the answer is one that the description of the API knows.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        // What serde_json reads as an instruction to itself is a name like any other to everybody else.
        let text = str::from_utf8(&bytes).unwrap().replace("$serde_json::private::", "$");
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        described::check(&method, &path, &reply);
        reply
    }

    pub async fn text(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder().method(method).uri(path);
        self.send(request.header("content-type", "application/json").body(body.into()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.text("POST", path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.text("PATCH", path, body.to_string()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Request::builder().method("DELETE").uri(path).body(Body::empty()).unwrap()).await
    }

    /// How many events the log holds.
    pub async fn size(&self) -> u64 {
        self.store.size().await.unwrap()
    }

    /// One lamp and three socks, as order `id` of `cust-1`: 25.99.
    pub async fn place(&self, id: &str) -> Reply {
        let items = json!([{"sku": "lamp", "quantity": 1}, {"sku": "sock", "quantity": 3}]);
        self.post("/orders", json!({"order_id": id, "customer_id": "cust-1", "items": items})).await
    }

    /// An event as somebody else would append it now.
    pub fn by_a_rival(&self, event: Event) -> RecordedEvent {
        let causes = Causes {
            priority: Priority::Standard,
            correlation_id: "rival".into(),
            causation_id: None,
            request_seed: None,
            traceparent: None,
        };
        RecordedEvent::new(event, Vec::new(), self.clock.stamp(None), causes)
    }

    /// Appends what a worker would, and nothing to the read models.
    pub async fn append(&self, event: Event) -> Ulid {
        self.append_moving(event, Vec::new()).await
    }

    pub async fn append_moving(&self, event: Event, counters: Vec<StockDelta>) -> Ulid {
        let stream = self.store.read_stream(&event.stream().pk()).await.unwrap();
        let stamp = self.clock.stamp(stream.last().map(|last| last.event_id));
        let causes = Causes {
            priority: Priority::Standard,
            correlation_id: "worker".into(),
            causation_id: stream.last().map(|last| last.event_id),
            request_seed: None,
            traceparent: None,
        };
        let item = RecordedEvent::new(event, counters, stamp, causes);
        let id = item.event_id;
        assert!(matches!(self.store.append(item).await.unwrap(), Appended::Stored(_)));
        id
    }

    /// Writes the rows of an order, as the projection does.
    pub async fn project(&self, id: &str) {
        let stream = self.store.read_stream(&format!("EVENTS#ORDER_ID#{id}")).await.unwrap();
        self.store.put(views::project::order_rows(&stream).unwrap()).await.unwrap();
    }

    /// Brings a placed order where these steps lead.
    pub async fn bring(&self, id: &str, steps: &[Step]) {
        for step in steps {
            self.append(step.event(id)).await;
        }
    }
}

pub fn order(id: &str) -> OrderId {
    OrderId::recorded(id).unwrap()
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Requested,
    Reserved,
    Short,
    Attempt(u32),
    Paid,
    Declined,
    Exhausted,
    Committed,
    Shipped,
    Delivered,
    Cancelled,
    Refunded,
}

impl Step {
    pub fn event(self, id: &str) -> Event {
        let order_id = order(id);
        let items =
            || vec![StockLine { sku: Sku::parse("lamp").unwrap(), quantity: Quantity::new(1).unwrap() }];
        let amount = Money::from_minor(2599).unwrap();
        let rejected = |reason: &str, attempts| {
            let reason = reason.to_owned();
            Event::OrderPaymentRejected(OrderPaymentRejected { order_id: order(id), reason, attempts })
        };
        match self {
            Step::Requested => Event::ReserveInventory(ReserveInventory {
                order_id,
                customer_id: CustomerId::parse("cust-1").unwrap(),
                items: items(),
            }),
            Step::Reserved => Event::InventoryReserved(InventoryReserved { order_id, items: items() }),
            Step::Short => Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id,
                reason: "out_of_stock".into(),
                shortages: Vec::new(),
            }),
            Step::Attempt(attempt) => Event::PaymentAttempted(PaymentAttempted { order_id, attempt }),
            Step::Paid => Event::OrderPaymentAccepted(OrderPaymentAccepted {
                order_id,
                payment_id: "pay-1".into(),
                amount,
                currency: Currency::parse("GBP").unwrap(),
                by: PaidBy::Gateway,
            }),
            Step::Declined => rejected("amount_too_large", 1),
            Step::Exhausted => rejected("attempts_exhausted", 4),
            Step::Committed => Event::InventoryCommitted(InventoryCommitted { order_id, items: items() }),
            Step::Shipped => Event::OrderShipped(OrderShipped { order_id, carrier: None, tracking: None }),
            Step::Delivered => Event::OrderDelivered(OrderDelivered { order_id }),
            Step::Cancelled => Event::OrderCancelled(OrderCancelled {
                order_id,
                reason: "changed my mind".into(),
                by: "ann".into(),
            }),
            Step::Refunded => Event::OrderPaymentRefunded(OrderPaymentRefunded {
                order_id,
                payment_id: "pay-1".into(),
                amount,
            }),
        }
    }
}
