//! A small world to test workers in: a real embedded store, the real workers, and somebody to wake them.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::sync::Arc;

use event_store::{Appended, EventLog, IntentStore, OrderViews, Stamper, StockViews, SystemStamper};
use event_store_embedded::EmbeddedStore;
use events::{
    Causes, Currency, CustomerId, Event, EventName, LotId, Money, OrderCancelled, OrderId, OrderLine,
    OrderPlaced, Priority, Quantity, RecordedEvent, Sku, SkuRestocked, StockDelta, StreamKey,
};
use payments::intent::Intent;
use workers::{FakeGateway, Message, Ports, Worker, WorkerError, Workers, handle_batch, listeners};

pub struct World {
    pub store: EmbeddedStore,
    pub workers: Arc<Workers>,
    stamper: SystemStamper,
}

pub fn order(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

pub fn sku(id: &str) -> Sku {
    Sku::parse(id).unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with_gateway_failures(0.0)
    }

    pub fn with_gateway_failures(failure_share: f64) -> Self {
        let store = EmbeddedStore::temporary();
        let shared = Arc::new(store.clone());
        let ports = Ports {
            log: shared.clone(),
            orders: shared.clone(),
            catalog: shared.clone(),
            gateway: Arc::new(FakeGateway { intents: shared, failure_share, seed: 1 }),
        };
        let workers = Arc::new(Workers::new(&ports, |name| Arc::new(SystemStamper::new(name))));
        World { store, workers, stamper: SystemStamper::new("a test") }
    }

    /// Appends an event as the API would: because of a request.
    pub async fn append(&self, event: Event) -> Arc<RecordedEvent> {
        self.append_moving(event, Vec::new()).await
    }

    /// Appends an event together with a movement of counters, as only a worker should.
    pub async fn append_moving(&self, event: Event, counters: Vec<StockDelta>) -> Arc<RecordedEvent> {
        let stream = self.store.read_stream(&event.stream().pk()).await.unwrap();
        let stamp = self.stamper.stamp(stream.last().map(|item| item.event_id));
        match self.store.append(RecordedEvent::new(event, counters, stamp, request())).await.unwrap() {
            Appended::Stored(item) => item,
            other => panic!("not stored: {other:?}"),
        }
    }

    /// Appends anything, as the raw event API would.
    pub async fn append_raw(&self, pk: &str, sk: &str, name: &str, data: &str) -> Appended {
        let stream = self.store.read_stream(pk).await.unwrap();
        let stamp = self.stamper.stamp(stream.last().map(|item| item.event_id));
        let item = RecordedEvent::raw((pk, sk), (name, 1, data), Vec::new(), stamp, request());
        self.store.append(item).await.unwrap()
    }

    /// The event that stands in a slot.
    pub async fn stored_at(&self, pk: &str, sk: &str) -> Arc<RecordedEvent> {
        self.store.read_slot(pk, sk).await.unwrap().unwrap()
    }

    pub async fn receive(&self, of: &str, units: u64) {
        let lot = SkuRestocked {
            sku: sku(of),
            units: Quantity::new(units).unwrap(),
            lot_id: LotId::parse("lot-1").unwrap(),
        };
        let item = self.append(Event::SkuRestocked(lot)).await;
        self.wake(Worker::Inventory, &item).await.unwrap();
    }

    pub async fn place(&self, id: &str, lines: &[(&str, u64)], total: i64) -> Arc<RecordedEvent> {
        let items = lines.iter().map(|(of, units)| OrderLine {
            sku: sku(of),
            quantity: Quantity::new(*units).unwrap(),
            unit_price: None,
            name: None,
        });
        let placed = OrderPlaced {
            order_id: order(id),
            customer_id: CustomerId::parse("customer-1").unwrap(),
            items: items.collect(),
            total: Money::from_minor(total).unwrap(),
            currency: Currency::default(),
            priority: Priority::Standard,
        };
        self.append(Event::OrderPlaced(placed)).await
    }

    pub async fn cancel(&self, id: &str) -> Arc<RecordedEvent> {
        let cancelled = OrderCancelled { order_id: order(id), reason: String::new(), by: "a test".into() };
        self.append(Event::OrderCancelled(cancelled)).await
    }

    /// Hands one message about an event to a worker.
    pub async fn wake(&self, worker: Worker, item: &RecordedEvent) -> Result<(), WorkerError> {
        let body = format!(r#"{{"pk":{:?},"sk":{:?}}}"#, item.pk, item.sk);
        let batch = [Message { id: 1, body, receive_count: 1 }];
        match handle_batch(self.workers.get(worker), &batch).await.pop() {
            Some(failure) => Err(failure.error),
            None => Ok(()),
        }
    }

    /// Hands every event of a stream to everybody who listens, again and again until nothing is added.
    pub async fn run(&self, pk: &str) {
        let mut known = 0;
        for _ in 0..100 {
            let stream = self.store.read_stream(pk).await.unwrap();
            if stream.len() == known {
                return;
            }
            known = stream.len();
            for item in &stream {
                let heard = EventName::find(&item.event_name).map_or(&[][..], |(name, _)| listeners(name));
                for worker in heard {
                    // A failing gateway sends the message back to its queue; the next round brings it.
                    self.wake(*worker, item).await.ok();
                }
            }
        }
        panic!("{pk} does not come to rest");
    }

    pub async fn names(&self, id: &str) -> Vec<String> {
        let stream = self.store.read_stream(&StreamKey::Order(order(id)).pk()).await.unwrap();
        stream.iter().map(|item| item.event_name.to_string()).collect()
    }

    pub async fn status(&self, id: &str) -> Option<orders::Status> {
        self.store.order(&order(id)).await.unwrap().map(|row| row.status)
    }

    /// Available, reserved, sold.
    pub async fn counters(&self, of: &str) -> [i64; 3] {
        let row = self.store.stock(&sku(of)).await.unwrap().unwrap();
        [row.available, row.reserved, row.sold]
    }

    pub async fn intent(&self, id: &str) -> Intent {
        self.store.load(&order(id)).await.unwrap().intent
    }
}

fn request() -> Causes {
    Causes {
        priority: Priority::Standard,
        correlation_id: "a request".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    }
}
