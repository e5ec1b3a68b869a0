//! Every payload that was ever written, as it was written: it must be read for as long as logs live.
//!
//! `golden/<EventName>.v<n>.json` has every field, `….minimal.json` only what must be there, and
//! `golden/older/<NAME>.json` is the older system's flat payload. A file is never changed once
//! released: a new version of a payload is a new file, and an upcaster.

#![allow(clippy::unwrap_used)]

mod given;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use events::decode::read;
use events::*;
use given::*;

fn golden(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// The event that is left when everything optional is absent.
fn minimal(name: EventName) -> Event {
    match event(name) {
        Event::OrderPlaced(e) => {
            let items = e.items.into_iter().map(|line| OrderLine { unit_price: None, name: None, ..line });
            let items = items.collect();
            Event::OrderPlaced(OrderPlaced { items, priority: Priority::Standard, ..e })
        }
        Event::InventoryReservationFailed(e) => {
            Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id: e.order_id,
                reason: String::new(),
                shortages: Vec::new(),
            })
        }
        Event::ManualPaymentRecorded(e) => Event::ManualPaymentRecorded(ManualPaymentRecorded {
            order_id: e.order_id,
            by: String::new(),
            reference: String::new(),
        }),
        Event::OrderPaymentAccepted(e) => {
            Event::OrderPaymentAccepted(OrderPaymentAccepted { payment_id: String::new(), ..e })
        }
        Event::OrderPaymentRejected(e) => Event::OrderPaymentRejected(OrderPaymentRejected {
            order_id: e.order_id,
            reason: String::new(),
            attempts: 0,
        }),
        Event::InventoryReleased(e) => {
            Event::InventoryReleased(InventoryReleased { reason: String::new(), ..e })
        }
        Event::OrderCancelled(e) => Event::OrderCancelled(OrderCancelled {
            order_id: e.order_id,
            reason: String::new(),
            by: String::new(),
        }),
        Event::OrderShipped(e) => {
            Event::OrderShipped(OrderShipped { order_id: e.order_id, carrier: None, tracking: None })
        }
        Event::OrderPaymentRefunded(e) => {
            Event::OrderPaymentRefunded(OrderPaymentRefunded { payment_id: String::new(), ..e })
        }
        same @ (Event::ReserveInventory(_)
        | Event::InventoryReserved(_)
        | Event::PaymentAttempted(_)
        | Event::InventoryCommitted(_)
        | Event::OrderDelivered(_)
        | Event::InventoryReturned(_)
        | Event::SkuRestocked(_)
        | Event::StockReceived(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_)) => same,
    }
}

/// What the older system's payload of one line means under its own names.
fn older(name: EventName) -> Option<Event> {
    let order_id = OrderId::recorded(ORDER).unwrap();
    let items = vec![line("sku-a", 3)];
    Some(match event(name) {
        Event::OrderPlaced(_) => Event::OrderPlaced(OrderPlaced {
            order_id,
            customer_id: customer_id(),
            items: vec![OrderLine { sku: sku("sku-a"), quantity: units(3), unit_price: None, name: None }],
            total: money(5999),
            currency: Currency::parse("USD").unwrap(),
            priority: Priority::Standard,
        }),
        Event::ReserveInventory(_) => {
            Event::ReserveInventory(ReserveInventory { order_id, customer_id: customer_id(), items })
        }
        Event::InventoryReserved(_) => Event::InventoryReserved(InventoryReserved { order_id, items }),
        Event::InventoryReservationFailed(_) => {
            Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id,
                reason: "out_of_stock".into(),
                shortages: Vec::new(),
            })
        }
        Event::OrderPaymentAccepted(_) => Event::OrderPaymentAccepted(OrderPaymentAccepted {
            order_id,
            payment_id: String::new(),
            amount: money(5999),
            currency: Currency::parse("USD").unwrap(),
            by: PaidBy::Gateway,
        }),
        Event::SkuRestocked(_) => {
            Event::SkuRestocked(SkuRestocked { sku: sku("sku-a"), units: units(3), lot_id: lot("lot-1") })
        }
        Event::OrderPaymentRejected(_)
        | Event::OrderCancelled(_)
        | Event::OrderShipped(_)
        | Event::OrderDelivered(_) => minimal(name),
        _ => return None,
    })
}

fn files(folder: &str) -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn every_version_of_every_event_has_its_golden_files_and_no_other_file_is_there() {
    let of_an_event = |name: &EventName| {
        let (name, versions) = (*name, 1..=name.version());
        versions.flat_map(move |v| [format!("{name}.v{v}.json"), format!("{name}.v{v}.minimal.json")])
    };
    let mut expected: BTreeSet<String> = EventName::ALL.iter().flat_map(of_an_event).collect();
    expected.insert("undecodable.json".to_owned());
    assert_eq!(files("golden"), expected);

    let aliases = EventName::ALL.iter().flat_map(|name| name.also());
    assert_eq!(files("golden/older"), aliases.map(|also| format!("{also}.json")).collect());
}

#[test]
fn a_golden_payload_is_read_as_the_whole_value_and_written_as_the_same_text() {
    for name in EventName::ALL.iter().copied() {
        let data = golden(&format!("{name}.v1.json"));
        assert_eq!(read(name.as_str(), 1, &data, &event(name).stream().pk()), Ok(event(name)), "{name}");
        assert_eq!(event(name).to_data(), data, "{name}");
    }
}

#[test]
fn a_payload_without_its_optional_fields_is_read_as_the_whole_value() {
    for name in EventName::ALL.iter().copied() {
        let data = golden(&format!("{name}.v1.minimal.json"));
        assert_eq!(read(name.as_str(), 1, &data, &event(name).stream().pk()), Ok(minimal(name)), "{name}");
    }
}

#[test]
fn every_field_of_a_minimal_payload_is_needed() {
    for name in EventName::ALL.iter().copied() {
        let data: serde_json::Value =
            serde_json::from_str(&golden(&format!("{name}.v1.minimal.json"))).unwrap();
        for field in data.as_object().unwrap().keys() {
            let mut less = data.clone();
            less.as_object_mut().unwrap().remove(field);
            let read = read(name.as_str(), 1, &less.to_string(), &event(name).stream().pk());
            assert!(matches!(read, Err(Undecodable::Payload(_))), "{name} without {field}: {read:?}");
        }
    }
}

#[test]
fn a_payload_of_the_older_system_is_read_as_an_order_of_one_line() {
    for name in EventName::ALL.iter().copied() {
        for also in name.also() {
            let data = golden(&format!("older/{also}.json"));
            let pk = event(name).stream().pk();
            assert_eq!(read(also, 1, &data, &pk).ok(), older(name), "{also}");
        }
    }
}

#[test]
fn what_an_older_event_does_not_need_may_be_missing() {
    for name in ["ORDER_STOCK_DEPLETED_EVENT", "ORDER_PAYMENT_REJECTED_EVENT", "ORDER_CANCELED_EVENT"] {
        assert!(read(name, 1, r#"{"orderId":"order-1"}"#, ORDER_PK).is_ok(), "{name}");
    }
    for name in ["ORDER_SHIPPED_EVENT", "ORDER_DELIVERED_EVENT"] {
        let data = r#"{"orderId":"order-1","sku":null,"units":null,"price":null,"userId":null}"#;
        assert!(read(name, 1, data, ORDER_PK).is_ok(), "{name}");
    }
}

#[test]
fn a_later_version_with_more_fields_is_read_for_what_this_code_knows() {
    for name in EventName::ALL.iter().copied() {
        let mut data: serde_json::Value = serde_json::from_str(&golden(&format!("{name}.v1.json"))).unwrap();
        data["a_field_of_tomorrow"] = serde_json::json!({"deep": [1, null, "x"]});
        for version in [1, 2, u32::MAX] {
            let read = read(name.as_str(), version, &data.to_string(), &event(name).stream().pk());
            assert_eq!(read, Ok(event(name)), "{name} version {version}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_for_the_right_reason() {
    #[derive(serde::Deserialize)]
    struct Example {
        why: String,
        pk: String,
        name: String,
        data: String,
    }
    let examples: Vec<Example> = serde_json::from_str(&golden("undecodable.json")).unwrap();
    assert!(examples.len() >= 30);
    for Example { why, pk, name, data } in &examples {
        let read = read(name, 1, data, pk);
        let kind = match &read {
            Err(Undecodable::UnknownName) => "unknown_name",
            Err(Undecodable::Payload(_)) => "payload",
            Err(Undecodable::WrongStream(_)) => "wrong_stream",
            Ok(_) => "nothing wrong",
        };
        assert_eq!(kind, why, "{pk} {name} {data}: {read:?}");
    }
}

#[test]
fn an_item_is_read_back_as_it_was_written_with_every_attribute_and_with_none_that_is_optional() {
    let bare = item(event(EventName::OrderDelivered), 7);
    let causes = Causes {
        priority: Priority::Express,
        correlation_id: "request-1".into(),
        causation_id: Some(Ulid(6)),
        request_seed: Some(Ulid(5)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    let counters = vec![StockDelta::reserve(&sku("sku-a"), units(2))];
    let full = RecordedEvent::new(event(EventName::InventoryReserved), counters, stamp(7), causes);
    for written in [bare, full] {
        let json = serde_json::to_string(&written).unwrap();
        let read: RecordedEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.event(), written.event());
    }
}
