//! Worlds in one line: the items of a log, as the domains' tests need them.
//!
//! Every domain's tests include this file by its path, and none of them needs all of it.
#![allow(dead_code, clippy::unwrap_used)]

use events::recorded::RAW_PRODUCER;
use events::{
    Causes, Currency, CustomerId, Event, EventName, LotId, Money, OrderId, OrderLine, PaidBy, Priority,
    ProductId, Quantity, RecordedEvent, Shortage, Sku, Stamp, StockDelta, StockLine, Timestamp, Ulid,
};
use events::{
    CustomerErased, CustomerRegistered, InventoryCommitted, InventoryReleased, InventoryReservationFailed,
    InventoryReserved, InventoryReturned, ManualPaymentRecorded, OrderCancelled, OrderDelivered,
    OrderPaymentAccepted, OrderPaymentRefunded, OrderPaymentRejected, OrderPlaced, OrderShipped,
    PaymentAttempted, ProductListed, ProductRepriced, ProductWithdrawn, ReserveInventory, SkuRestocked,
    StockReceived,
};

pub const ORDER: &str = "order-1";
pub const ORDER_PK: &str = "EVENTS#ORDER_ID#order-1";

pub fn order_id() -> OrderId {
    OrderId::recorded(ORDER).unwrap()
}

pub fn sku(name: &str) -> Sku {
    Sku::recorded(name).unwrap()
}

pub fn lot(name: &str) -> LotId {
    LotId::recorded(name).unwrap()
}

pub fn customer_id() -> CustomerId {
    CustomerId::recorded("customer-1").unwrap()
}

pub fn product_id() -> ProductId {
    ProductId::recorded("product-1").unwrap()
}

pub fn units(count: u64) -> Quantity {
    Quantity::new(count).unwrap()
}

pub fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

pub fn eur() -> Currency {
    Currency::parse("EUR").unwrap()
}

pub fn line(name: &str, count: u64) -> StockLine {
    StockLine { sku: sku(name), quantity: units(count) }
}

/// An event of `order-1` with the payload that such an order would have; for other streams, of their one entity.
pub fn event(name: EventName) -> Event {
    let order_id = order_id();
    let items = vec![line("sku-a", 2), line("sku-b", 1)];
    match name {
        EventName::OrderPlaced => Event::OrderPlaced(OrderPlaced {
            order_id,
            customer_id: customer_id(),
            items: vec![
                OrderLine {
                    sku: sku("sku-a"),
                    quantity: units(2),
                    unit_price: Some(money(1999)),
                    name: Some("A kettle".into()),
                },
                OrderLine { sku: sku("sku-b"), quantity: units(1), unit_price: None, name: None },
            ],
            total: money(4500),
            currency: eur(),
            priority: Priority::Express,
        }),
        EventName::ReserveInventory => {
            Event::ReserveInventory(ReserveInventory { order_id, customer_id: customer_id(), items })
        }
        EventName::InventoryReserved => Event::InventoryReserved(InventoryReserved { order_id, items }),
        EventName::InventoryReservationFailed => {
            Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id,
                reason: "out_of_stock".into(),
                shortages: vec![
                    Shortage { sku: sku("sku-a"), requested: units(2), available: Some(1) },
                    Shortage { sku: sku("sku-b"), requested: units(1), available: None },
                ],
            })
        }
        EventName::PaymentAttempted => attempt(1),
        EventName::ManualPaymentRecorded => Event::ManualPaymentRecorded(ManualPaymentRecorded {
            order_id,
            by: "operator-7".into(),
            reference: "bank-42".into(),
        }),
        EventName::OrderPaymentAccepted => Event::OrderPaymentAccepted(OrderPaymentAccepted {
            order_id,
            payment_id: "pay-order-1".into(),
            amount: money(4500),
            currency: eur(),
            by: PaidBy::Gateway,
        }),
        EventName::OrderPaymentRejected => Event::OrderPaymentRejected(OrderPaymentRejected {
            order_id,
            reason: "attempts_exhausted".into(),
            attempts: 4,
        }),
        EventName::InventoryCommitted => Event::InventoryCommitted(InventoryCommitted { order_id, items }),
        EventName::InventoryReleased => {
            Event::InventoryReleased(InventoryReleased { order_id, items, reason: "order_cancelled".into() })
        }
        EventName::OrderCancelled => Event::OrderCancelled(OrderCancelled {
            order_id,
            reason: "changed my mind".into(),
            by: "customer".into(),
        }),
        EventName::OrderShipped => Event::OrderShipped(OrderShipped {
            order_id,
            carrier: Some("a carrier".into()),
            tracking: Some("T-1".into()),
        }),
        EventName::OrderDelivered => Event::OrderDelivered(OrderDelivered { order_id }),
        EventName::OrderPaymentRefunded => Event::OrderPaymentRefunded(OrderPaymentRefunded {
            order_id,
            payment_id: "pay-order-1".into(),
            amount: money(4500),
        }),
        EventName::InventoryReturned => Event::InventoryReturned(InventoryReturned { order_id, items }),
        EventName::SkuRestocked => {
            Event::SkuRestocked(SkuRestocked { sku: sku("sku-a"), units: units(12), lot_id: lot("lot-1") })
        }
        EventName::StockReceived => {
            Event::StockReceived(StockReceived { sku: sku("sku-a"), units: units(12), lot_id: lot("lot-1") })
        }
        EventName::CustomerRegistered => {
            Event::CustomerRegistered(CustomerRegistered { customer_id: customer_id() })
        }
        EventName::CustomerErased => Event::CustomerErased(CustomerErased { customer_id: customer_id() }),
        EventName::ProductListed => Event::ProductListed(ProductListed {
            product_id: product_id(),
            sku: sku("sku-a"),
            name: "A kettle".into(),
            price: money(1999),
            currency: eur(),
        }),
        EventName::ProductRepriced => repriced(1, 2099),
        EventName::ProductWithdrawn => Event::ProductWithdrawn(ProductWithdrawn { product_id: product_id() }),
    }
}

pub fn attempt(attempt: u32) -> Event {
    Event::PaymentAttempted(PaymentAttempted { order_id: order_id(), attempt })
}

pub fn repriced(revision: u32, minor: i64) -> Event {
    Event::ProductRepriced(ProductRepriced {
        product_id: product_id(),
        revision,
        price: money(minor),
        currency: eur(),
    })
}

pub fn reserved(items: Vec<StockLine>) -> Event {
    Event::InventoryReserved(InventoryReserved { order_id: order_id(), items })
}

pub fn stamp(id: u128) -> Stamp {
    Stamp { event_id: Ulid(id), occurred_at: Timestamp::from_millis(1_000), producer: "a test".into() }
}

pub fn causes() -> Causes {
    Causes {
        priority: Priority::Standard,
        correlation_id: "request-1".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    }
}

/// The event as it is stored under its own slot, without counters.
pub fn item(event: Event, id: u128) -> RecordedEvent {
    moving(event, id, Vec::new())
}

/// The event as it is stored together with a movement of counters.
pub fn moving(event: Event, id: u128, counters: Vec<StockDelta>) -> RecordedEvent {
    RecordedEvent::new(event, counters, stamp(id), causes())
}

/// What the raw event API stores: any key, any name, any text, and never a counter.
pub fn raw(pk: &str, sk: &str, name: &str, data: &str, id: u128) -> RecordedEvent {
    let stamp = Stamp { producer: RAW_PRODUCER.into(), ..stamp(id) };
    RecordedEvent::raw((pk, sk), (name, 1, data), Vec::new(), stamp, causes())
}

/// A published event under a key that is not its slot's.
pub fn under(sk: &str, event: &Event, id: u128) -> RecordedEvent {
    raw(&event.stream().pk(), sk, event.name().as_str(), &event.to_data(), id)
}
