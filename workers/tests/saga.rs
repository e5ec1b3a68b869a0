//! Who listens to what: complete, and the same in code and templates.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeSet;
use std::sync::Arc;

use event_store::memory::MemoryStore;
use event_store::{EventLog, Stamper, SystemStamper};
use events::{
    Causes, CustomerId, Event, EventName, InventoryCommitted, InventoryReleased, InventoryReservationFailed,
    InventoryReserved, InventoryReturned, LotId, ManualPaymentRecorded, Money, OrderCancelled,
    OrderDelivered, OrderId, OrderLine, OrderPaymentAccepted, OrderPaymentRefunded, OrderPaymentRejected,
    OrderPlaced, OrderShipped, PaidBy, PaymentAttempted, Priority, Quantity, RecordedEvent, ReserveInventory,
    Sku, SkuRestocked, Stamp, StockLine, StreamKey, Timestamp, Ulid,
};
use topology::{Parameters, Source, Topology};
use workers::sweeper::debtors;
use workers::{FakeGateway, Nudge, Ports, Worker, Workers, listeners};

/// The choices of each slot of an order's stream.
fn slots() -> Vec<Vec<Event>> {
    let order_id = OrderId::parse("order-1").unwrap();
    let id = || order_id.clone();
    let customer_id = || CustomerId::parse("customer-1").unwrap();
    let quantity = Quantity::new(1).unwrap();
    let lines = || vec![StockLine { sku: Sku::parse("sku-1").unwrap(), quantity }];
    let line = OrderLine { sku: Sku::parse("sku-1").unwrap(), quantity, unit_price: None, name: None };
    let amount = Money::from_minor(500).unwrap();
    let placed = OrderPlaced {
        order_id: id(),
        customer_id: customer_id(),
        items: vec![line],
        total: amount,
        currency: events::Currency::default(),
        priority: Priority::Standard,
    };
    let paid = OrderPaymentAccepted {
        order_id: id(),
        payment_id: String::new(),
        amount,
        currency: events::Currency::default(),
        by: PaidBy::Gateway,
    };
    let attempt = |attempt| Event::PaymentAttempted(PaymentAttempted { order_id: id(), attempt });
    let text = String::new;
    vec![
        vec![Event::OrderPlaced(placed)],
        vec![Event::ReserveInventory(ReserveInventory {
            order_id: id(),
            customer_id: customer_id(),
            items: lines(),
        })],
        vec![
            Event::InventoryReserved(InventoryReserved { order_id: id(), items: lines() }),
            Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id: id(),
                reason: text(),
                shortages: Vec::new(),
            }),
        ],
        vec![attempt(1)],
        vec![Event::ManualPaymentRecorded(ManualPaymentRecorded {
            order_id: id(),
            by: text(),
            reference: text(),
        })],
        vec![
            Event::OrderPaymentAccepted(paid),
            Event::OrderPaymentRejected(OrderPaymentRejected { order_id: id(), reason: text(), attempts: 0 }),
        ],
        vec![
            Event::InventoryCommitted(InventoryCommitted { order_id: id(), items: lines() }),
            Event::InventoryReleased(InventoryReleased { order_id: id(), items: lines(), reason: text() }),
        ],
        vec![
            Event::OrderCancelled(OrderCancelled { order_id: id(), reason: text(), by: text() }),
            Event::OrderShipped(OrderShipped { order_id: id(), carrier: None, tracking: None }),
        ],
        vec![Event::OrderDelivered(OrderDelivered { order_id: id() })],
        vec![Event::OrderPaymentRefunded(OrderPaymentRefunded {
            order_id: id(),
            payment_id: text(),
            amount,
        })],
        vec![Event::InventoryReturned(InventoryReturned { order_id: id(), items: lines() })],
    ]
}

/// Every history that the slots allow.
fn histories() -> Vec<Vec<Event>> {
    let mut histories: Vec<Vec<Event>> = vec![Vec::new()];
    for choices in slots() {
        let with = histories.iter().flat_map(|history| {
            choices.iter().map(|choice| [history.as_slice(), std::slice::from_ref(choice)].concat())
        });
        let with: Vec<_> = with.collect();
        histories.extend(with);
    }
    assert_eq!(histories.len(), 2 * 2 * 3 * 2 * 2 * 3 * 3 * 3 * 2 * 2 * 2);
    histories
}

fn recorded(events: &[Event]) -> Vec<Arc<RecordedEvent>> {
    let item = |(n, event): (usize, &Event)| {
        let stamp = Stamp {
            event_id: Ulid::from_parts(n as u64 + 1, 0),
            occurred_at: Timestamp::from_millis(0),
            producer: "a test".into(),
        };
        let causes = Causes {
            priority: Priority::Standard,
            correlation_id: "one".into(),
            causation_id: None,
            request_seed: None,
            traceparent: None,
        };
        Arc::new(RecordedEvent::new(event.clone(), Vec::new(), stamp, causes))
    };
    events.iter().enumerate().map(item).collect()
}

/// Who owes an order with these events something, its rows aside.
fn owing(events: &[Event]) -> BTreeSet<Worker> {
    debtors(&recorded(events), u32::MAX).into_iter().collect()
}

#[test]
fn a_worker_listens_to_every_event_that_can_make_it_owe_something() {
    let slots = slots();
    for history in &histories() {
        let before = owing(history);
        for event in slots.iter().flatten() {
            if history.iter().any(|known| known.slot() == event.slot()) {
                continue;
            }
            let after = owing(&[history.as_slice(), std::slice::from_ref(event)].concat());
            for worker in after.difference(&before) {
                // A worker that appended an event itself looks again by itself.
                let heard =
                    listeners(event.name()).contains(worker) || worker.appends().contains(&event.name());
                assert!(
                    heard,
                    "{worker:?} owes something after {} and is not woken: {history:?}",
                    event.name()
                );
            }
        }
    }
}

/// What the domain of a worker says that it owes now can come to.
fn answers(worker: Worker, stream: &[Arc<RecordedEvent>]) -> &'static [EventName] {
    let items = || stream.iter().map(|item| &**item);
    let answers = match worker {
        Worker::Orders => orders::decide(&orders::fold(items())).map(|owed| owed.answers()),
        Worker::Inventory => inventory::decide(&inventory::fold(items())).map(|owed| owed.answers()),
        Worker::Payments => payments::decide(&payments::fold(items())).map(|owed| owed.answers()),
        Worker::Catalog => None,
    };
    answers.unwrap_or_default()
}

/// The real workers over a store with this history, a shelf that is full or empty, and a gateway that takes what it is
/// asked for, declines it, or cannot be reached, as the history's number says.
async fn world_of(number: usize, history: &[Event]) -> (Arc<MemoryStore>, Workers) {
    let store = Arc::new(MemoryStore::new());
    let clock = SystemStamper::new("a test");
    let causes = || Causes {
        priority: Priority::Standard,
        correlation_id: "one".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    };
    if number.is_multiple_of(2) {
        let sku = Sku::parse("sku-1").unwrap();
        let lot =
            SkuRestocked { sku, units: Quantity::new(9).unwrap(), lot_id: LotId::parse("lot-1").unwrap() };
        let (received, moved) = inventory::receive(&lot);
        store.append(RecordedEvent::new(received, moved, clock.stamp(None), causes())).await.unwrap();
    }
    let mut latest = None;
    for event in history {
        let mut event = event.clone();
        if let Event::OrderPlaced(placed) = &mut event
            && number.is_multiple_of(3)
        {
            placed.total = Money::from_minor(10_000_000).unwrap();
        }
        let item = RecordedEvent::new(event, Vec::new(), clock.stamp(latest), causes());
        latest = Some(item.event_id);
        store.append(item).await.unwrap();
    }
    let failure_share = if number.is_multiple_of(5) { 1.0 } else { 0.0 };
    let gateway = Arc::new(FakeGateway { intents: store.clone(), failure_share, seed: 1 });
    let ports = Ports { log: store.clone(), orders: store.clone(), catalog: store.clone(), gateway };
    (store.clone(), Workers::new(&ports, |binary| Arc::new(SystemStamper::new(binary))))
}

#[tokio::test]
async fn what_a_worker_appends_is_what_its_domain_says_can_come_of_what_it_owes() {
    let order = StreamKey::Order(OrderId::parse("order-1").unwrap());
    let nudge = Nudge { pk: order.pk(), sk: String::new() };
    let mut seen = BTreeSet::new();
    for (number, history) in histories().iter().enumerate() {
        let (store, workers) = world_of(number, history).await;
        for worker in Worker::ALL {
            let before = store.read_stream(&order.pk()).await.unwrap();
            // A gateway that cannot be reached is a failure of the worker's.
            workers.get(worker).reconcile(&order, &nudge).await.ok();
            let after = store.read_stream(&order.pk()).await.unwrap();
            let mut owed = answers(worker, &before);
            for known in before.len()..after.len() {
                let name = after[known].event().unwrap().name();
                // Who claims an attempt says what came of it, unless the gateway does not tell.
                let told = answers(worker, &after[..known]);
                assert!(
                    owed.contains(&name) || told.contains(&name),
                    "{worker:?} appends {name}: {history:?}"
                );
                assert_eq!(&*after[known].producer, worker.binary());
                assert!(worker.appends().contains(&name), "{worker:?} appends {name}");
                seen.insert(name);
                owed = told;
            }
        }
    }
    // The one event of a worker that is in another stream than an order's.
    seen.insert(EventName::StockReceived);
    let said: BTreeSet<_> = Worker::ALL.iter().flat_map(|worker| worker.appends().iter().copied()).collect();
    assert_eq!(seen, said);
}

#[test]
fn the_orders_worker_hears_every_event_that_its_rows_show() {
    for event in slots().iter().flatten() {
        assert!(listeners(event.name()).contains(&Worker::Orders), "{}", event.name());
    }
}

#[test]
fn the_templates_rules_wake_exactly_who_listens_under_every_spelling_and_in_every_lane() {
    let sources = [
        Source { name: "template-oms.yaml", text: include_str!("../../template-oms.yaml") },
        Source { name: "template-ims.yaml", text: include_str!("../../template-ims.yaml") },
    ];
    let topology =
        Topology::load(&sources, &[("Environment", "dev")].into_iter().collect::<Parameters>()).unwrap();
    for event in EventName::ALL {
        for name in [event.as_str()].into_iter().chain(event.also().iter().copied()) {
            for lane in [Priority::Standard, Priority::Express] {
                let sent = serde_json::json!({
                    "source": topology.pipe.source_name,
                    "detail-type": name,
                    "detail": { "event_name": name, "priority": lane.as_str() },
                });
                let rules = topology.rules.iter().filter(|rule| rule.pattern.matches(&sent));
                let queues = rules.flat_map(|rule| &rule.targets).map(|target| target.queue.as_str());
                let mut woken: Vec<Worker> = queues
                    .map(|queue| {
                        let reads = |function: &&topology::Function| {
                            function.queues.iter().any(|source| source.queue == queue)
                        };
                        let function =
                            topology.functions.iter().find(reads).expect("somebody reads each queue");
                        Worker::of_binary(&function.binary).expect("each reader is a worker")
                    })
                    .collect();
                woken.sort();
                assert_eq!(woken, listeners(*event), "{name}, {lane:?}");
            }
        }
    }
}
