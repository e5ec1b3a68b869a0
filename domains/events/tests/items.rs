//! Items of the log beside each other: which are one and the same, what one leaves to the next, who wrote it.

mod given;

use events::recorded::{MAX_DATA, RAW_PRODUCER};
use events::*;
use given::*;

#[test]
fn two_items_are_equal_exactly_where_every_attribute_is() {
    let item = moving(event(EventName::OrderShipped), 7, vec![StockDelta::reserve(&sku("sku-a"), units(2))]);
    let changes: [fn(&mut RecordedEvent); 14] = [
        |item| item.pk = "EVENTS#ORDER_ID#order-2".into(),
        |item| item.sk = "EVENT#Delivery".into(),
        |item| item.event_id = Ulid(8),
        |item| item.event_name = "ORDER_SHIPPED_EVENT".into(),
        |item| item.schema_version = 2,
        |item| item.data = "{}".into(),
        |item| item.occurred_at = Timestamp::from_millis(1_001),
        |item| item.priority = Priority::Express,
        |item| item.counters.clear(),
        |item| item.producer = "another test".into(),
        |item| item.correlation_id = "request-2".into(),
        |item| item.causation_id = Some(Ulid(6)),
        |item| item.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        |item| item.request_seed = Some(Ulid(5)),
    ];
    for (attribute, change) in changes.iter().enumerate() {
        let mut other = item.clone();
        change(&mut other);
        assert_ne!(item, other, "attribute {attribute}");
    }
    assert_eq!(item, item.clone());
}

#[test]
fn an_item_that_was_read_equals_one_that_nobody_read_yet() {
    let written = item(event(EventName::OrderShipped), 7);
    let (keys, said) = ((&*written.pk, &*written.sk), (&*written.event_name, 1, &*written.data));
    let unread = RecordedEvent::raw(keys, said, Vec::new(), stamp(7), causes());
    assert!(written.event().is_ok());
    assert_eq!(written, unread);
}

#[test]
fn two_items_say_the_same_if_name_and_payload_are_the_same_whoever_said_it_and_when() {
    let (shipped, delivered) = (event(EventName::OrderShipped), event(EventName::OrderDelivered));
    assert!(item(shipped.clone(), 7).says_the_same_as(&under("elsewhere", &shipped, 8)));
    let data = delivered.to_data();
    let first = raw(ORDER_PK, "EVENT#Delivery", "OrderDelivered", &data, 7);
    assert!(!first.says_the_same_as(&raw(ORDER_PK, "EVENT#Delivery", "ORDER_DELIVERED_EVENT", &data, 7)));
    assert!(!first.says_the_same_as(&raw(ORDER_PK, "EVENT#Delivery", "OrderDelivered", "{}", 7)));
}

#[test]
fn what_is_appended_because_of_an_item_inherits_its_request_its_lane_and_its_trace() {
    let causes = Causes {
        priority: Priority::Express,
        correlation_id: "request-1".into(),
        causation_id: Some(Ulid(6)),
        request_seed: Some(Ulid(5)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    let item = RecordedEvent::new(event(EventName::OrderPlaced), Vec::new(), stamp(7), causes.clone());
    assert_eq!(item.causes_next(), Causes { causation_id: Some(Ulid(7)), request_seed: None, ..causes });
}

#[test]
fn an_item_is_raw_exactly_where_the_raw_event_api_wrote_it() {
    let by = |producer: &str| {
        let stamp = Stamp { producer: producer.into(), ..stamp(7) };
        RecordedEvent::new(event(EventName::OrderShipped), Vec::new(), stamp, causes())
    };
    assert_eq!((by(RAW_PRODUCER).is_raw(), by("orders-api").is_raw()), (true, false));
}

#[test]
fn an_item_moved_counters_exactly_where_it_carries_their_movement() {
    let reserved = event(EventName::InventoryReserved);
    let moved = vec![StockDelta::reserve(&sku("sku-a"), units(2))];
    assert!(moving(reserved.clone(), 7, moved).moved_counters());
    assert!(!item(reserved, 7).moved_counters());
}

#[test]
fn a_counter_that_does_not_move_is_not_written() {
    let (sku, two) = (sku("sku-a"), units(2));
    for (delta, written) in [
        (StockDelta::receive(&sku, two), r#"{"sku":"sku-a","available":2}"#),
        (StockDelta::reserve(&sku, two), r#"{"sku":"sku-a","available":-2,"reserved":2}"#),
        (StockDelta::commit(&sku, two), r#"{"sku":"sku-a","reserved":-2,"sold":2}"#),
        (StockDelta::release(&sku, two), r#"{"sku":"sku-a","available":2,"reserved":-2}"#),
        (StockDelta::give_back(&sku, two), r#"{"sku":"sku-a","available":2,"sold":-2}"#),
    ] {
        assert_eq!(serde_json::to_string(&delta).unwrap(), written);
        assert_eq!(serde_json::from_str::<StockDelta>(written).unwrap(), delta);
    }
}

/// The largest order that may be placed has 90 lines; ids of 512 bytes are the longest that are read.
#[test]
fn the_largest_order_may_be_written_and_fits_one_message_with_room_for_its_attributes() {
    let long = "x".repeat(events::ids::MAX_RECORDED_ID);
    let Event::OrderPlaced(placed) = event(EventName::OrderPlaced) else { unreachable!() };
    let line = OrderLine {
        sku: sku(&long),
        quantity: units(Quantity::MAX.into()),
        unit_price: Some(Money::MAX),
        name: Some(long),
    };
    let largest = Event::OrderPlaced(OrderPlaced { items: vec![line; 90], ..placed });
    let bytes = largest.to_data().len();
    assert!(bytes < MAX_DATA, "{bytes}");
    const MESSAGE: usize = 256 * 1024;
    const ATTRIBUTES: usize = 4 * events::ids::MAX_RECORDED_ID;
    const { assert!(MAX_DATA + ATTRIBUTES < MESSAGE) };
}
