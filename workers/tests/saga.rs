//! Who listens to what: complete, and the same in code and templates.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeSet;
use std::sync::Arc;

use events::{
    Causes, CustomerId, Event, EventName, InventoryCommitted, InventoryReleased, InventoryReservationFailed,
    InventoryReserved, InventoryReturned, ManualPaymentRecorded, Money, OrderCancelled, OrderDelivered,
    OrderId, OrderLine, OrderPaymentAccepted, OrderPaymentRefunded, OrderPaymentRejected, OrderPlaced,
    OrderShipped, PaidBy, PaymentAttempted, Priority, Quantity, RecordedEvent, ReserveInventory, Sku, Stamp,
    StockLine, Timestamp, Ulid,
};
use topology::{Parameters, Source, Topology};
use workers::sweeper::debtors;
use workers::{Worker, listeners};

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

/// A worker that appended an event itself looks again by itself.
fn appends(worker: Worker, event: EventName) -> bool {
    let own: &[EventName] = match worker {
        Worker::Orders => &[EventName::ReserveInventory],
        Worker::Inventory => &[
            EventName::InventoryReserved,
            EventName::InventoryReservationFailed,
            EventName::InventoryCommitted,
            EventName::InventoryReleased,
            EventName::InventoryReturned,
            EventName::StockReceived,
        ],
        Worker::Payments => &[
            EventName::PaymentAttempted,
            EventName::OrderPaymentAccepted,
            EventName::OrderPaymentRejected,
            EventName::OrderPaymentRefunded,
        ],
        Worker::Catalog => &[],
    };
    own.contains(&event)
}

#[test]
fn a_worker_listens_to_every_event_that_can_make_it_owe_something() {
    let slots = slots();
    let mut histories: Vec<Vec<Event>> = vec![Vec::new()];
    for choices in &slots {
        let with = histories.iter().flat_map(|history| {
            choices.iter().map(|choice| [history.as_slice(), std::slice::from_ref(choice)].concat())
        });
        let with: Vec<_> = with.collect();
        histories.extend(with);
    }
    assert_eq!(histories.len(), 2 * 2 * 3 * 2 * 2 * 3 * 3 * 3 * 2 * 2 * 2);
    for history in &histories {
        let before = owing(history);
        for event in slots.iter().flatten() {
            if history.iter().any(|known| known.slot() == event.slot()) {
                continue;
            }
            let after = owing(&[history.as_slice(), std::slice::from_ref(event)].concat());
            for worker in after.difference(&before) {
                let heard = listeners(event.name()).contains(worker) || appends(*worker, event.name());
                assert!(
                    heard,
                    "{worker:?} owes something after {} and is not woken: {history:?}",
                    event.name()
                );
            }
        }
    }
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
