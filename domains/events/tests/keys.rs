//! The keys and names of the log, letter by letter as the design publishes them.

mod given;

use std::collections::{BTreeMap, BTreeSet};

use events::*;
use given::*;
use proptest::prelude::*;

/// Event, partition key, sort key, older spellings.
const PUBLISHED: [(&str, &str, &str, &[&str]); 22] = [
    ("OrderPlaced", "EVENTS#ORDER_ID#order-1", "EVENT#OrderPlaced", &["ORDER_PLACED_EVENT"]),
    ("ReserveInventory", "EVENTS#ORDER_ID#order-1", "EVENT#ReserveInventory", &["ORDER_CREATED_EVENT"]),
    ("InventoryReserved", "EVENTS#ORDER_ID#order-1", "EVENT#Reservation", &["ORDER_STOCK_ALLOCATED_EVENT"]),
    (
        "InventoryReservationFailed",
        "EVENTS#ORDER_ID#order-1",
        "EVENT#Reservation",
        &["ORDER_STOCK_DEPLETED_EVENT"],
    ),
    ("PaymentAttempted", "EVENTS#ORDER_ID#order-1", "EVENT#PaymentAttempt#1", &[]),
    ("ManualPaymentRecorded", "EVENTS#ORDER_ID#order-1", "EVENT#ManualPayment", &[]),
    ("OrderPaymentAccepted", "EVENTS#ORDER_ID#order-1", "EVENT#Payment", &["ORDER_PAYMENT_ACCEPTED_EVENT"]),
    ("OrderPaymentRejected", "EVENTS#ORDER_ID#order-1", "EVENT#Payment", &["ORDER_PAYMENT_REJECTED_EVENT"]),
    ("InventoryCommitted", "EVENTS#ORDER_ID#order-1", "EVENT#Settlement", &[]),
    ("InventoryReleased", "EVENTS#ORDER_ID#order-1", "EVENT#Settlement", &[]),
    (
        "OrderCancelled",
        "EVENTS#ORDER_ID#order-1",
        "EVENT#Closing",
        &["ORDER_CANCELED_EVENT", "ORDER_CANCELLED_EVENT"],
    ),
    ("OrderShipped", "EVENTS#ORDER_ID#order-1", "EVENT#Closing", &["ORDER_SHIPPED_EVENT"]),
    ("OrderDelivered", "EVENTS#ORDER_ID#order-1", "EVENT#Delivery", &["ORDER_DELIVERED_EVENT"]),
    ("OrderPaymentRefunded", "EVENTS#ORDER_ID#order-1", "EVENT#Refund", &[]),
    ("InventoryReturned", "EVENTS#ORDER_ID#order-1", "EVENT#Return", &[]),
    ("SkuRestocked", "EVENTS#SKU#sku-a", "EVENT#SkuRestocked#LOT_ID#lot-1", &["SKU_RESTOCKED_EVENT"]),
    ("StockReceived", "EVENTS#SKU#sku-a", "EVENT#StockReceived#LOT_ID#lot-1", &[]),
    ("CustomerRegistered", "EVENTS#CUSTOMER_ID#customer-1", "EVENT#CustomerRegistered", &[]),
    ("CustomerErased", "EVENTS#CUSTOMER_ID#customer-1", "EVENT#CustomerErased", &[]),
    ("ProductListed", "EVENTS#PRODUCT_ID#product-1", "EVENT#ProductListed", &[]),
    ("ProductRepriced", "EVENTS#PRODUCT_ID#product-1", "EVENT#ProductRepriced#1", &[]),
    ("ProductWithdrawn", "EVENTS#PRODUCT_ID#product-1", "EVENT#ProductWithdrawn", &[]),
];

#[test]
fn every_event_is_stored_under_the_keys_and_names_of_the_published_table() {
    let written: Vec<_> = EventName::ALL
        .iter()
        .map(|name| {
            let item = item(event(*name), 1);
            assert_eq!((item.schema_version, name.to_string()), (1, item.event_name.to_string()));
            (item.event_name.to_string(), item.pk.to_string(), item.sk.to_string(), name.also())
        })
        .collect();
    let published = PUBLISHED.map(|(name, pk, sk, also)| (name.into(), pk.into(), sk.into(), also));
    assert_eq!(written, published);
}

#[test]
fn a_number_or_a_lot_in_an_event_is_in_its_key() {
    let restocked = SkuRestocked { sku: sku("s#1"), units: units(1), lot_id: lot("a b#ü") };
    let received = StockReceived { sku: sku("s#1"), units: units(1), lot_id: lot("a b#ü") };
    for (event, pk, sk) in [
        (attempt(4), ORDER_PK, "EVENT#PaymentAttempt#4"),
        (attempt(u32::MAX), ORDER_PK, "EVENT#PaymentAttempt#4294967295"),
        (repriced(12, 1), "EVENTS#PRODUCT_ID#product-1", "EVENT#ProductRepriced#12"),
        (Event::SkuRestocked(restocked), "EVENTS#SKU#s#1", "EVENT#SkuRestocked#LOT_ID#a b#ü"),
        (Event::StockReceived(received), "EVENTS#SKU#s#1", "EVENT#StockReceived#LOT_ID#a b#ü"),
    ] {
        assert_eq!((event.stream().pk(), event.slot().sk()), (pk.to_owned(), sk.to_owned()));
    }
}

#[test]
fn two_events_share_a_key_exactly_where_they_settle_one_decision() {
    let mut sharing: BTreeMap<(String, String), Vec<EventName>> = BTreeMap::new();
    for name in EventName::ALL.iter().copied() {
        let event = event(name);
        sharing.entry((event.stream().pk(), event.slot().sk())).or_default().push(name);
    }
    let shared: BTreeSet<_> = sharing.into_values().filter(|names| names.len() > 1).collect();
    use EventName::*;
    assert_eq!(
        shared,
        BTreeSet::from([
            vec![InventoryReserved, InventoryReservationFailed],
            vec![OrderPaymentAccepted, OrderPaymentRejected],
            vec![InventoryCommitted, InventoryReleased],
            vec![OrderCancelled, OrderShipped],
        ])
    );
}

#[test]
fn every_spelling_finds_its_event_and_says_whose_it_is() {
    for (name, _, _, also) in PUBLISHED {
        let (known, older_system) = EventName::find(name).unwrap();
        assert_eq!((known.as_str(), older_system), (name, false));
        for also in also {
            assert_eq!(EventName::find(also), Some((known, true)), "{also}");
        }
    }
    for nobody in ["", "ORDER_RETRACTED_EVENT", "order_placed_event", "orderPlaced", " OrderPlaced"] {
        assert_eq!(EventName::find(nobody), None, "{nobody}");
    }
}

#[test]
fn the_lane_is_spelled_in_small_letters() {
    for (priority, text) in [(Priority::Standard, "standard"), (Priority::Express, "express")] {
        assert_eq!(priority.as_str(), text);
        assert_eq!(serde_json::to_string(&priority).unwrap(), format!("\"{text}\""));
    }
    assert_eq!(Priority::default(), Priority::Standard);
}

#[test]
fn an_id_is_greater_than_its_cause_even_if_clock_and_chance_repeat_themselves() {
    let (now, random) = (Timestamp::from_millis(5), 7 << 64);
    let cause = next_event_id(now, random, None);
    assert_eq!(next_event_id(now, random, Some(cause)), Ulid(cause.0 + 1));
}

proptest! {
    #[test]
    fn a_stream_key_is_read_back_as_it_was_written(id in "[^\\p{Cc}]{1,100}", kind in 0usize..4) {
        let stream = match kind {
            0 => StreamKey::Order(OrderId::recorded(&id).unwrap()),
            1 => StreamKey::Sku(Sku::recorded(&id).unwrap()),
            2 => StreamKey::Customer(CustomerId::recorded(&id).unwrap()),
            _ => StreamKey::Product(ProductId::recorded(&id).unwrap()),
        };
        prop_assert_eq!(StreamKey::parse(&stream.pk()), Some(stream));
    }

    #[test]
    fn any_text_at_all_is_a_key_or_is_not_and_never_breaks_a_reader(pk in ".*", name in ".*", data in ".*") {
        if let Some(stream) = StreamKey::parse(&pk) {
            prop_assert_eq!(stream.pk(), pk.clone());
        }
        let item = raw(&pk, "any", &name, &data, 1);
        prop_assert!(item.event().is_err());
    }

    #[test]
    fn an_id_is_greater_than_all_it_was_decided_from_whatever_the_clock_says(
        clock in 0i64..253_370_764_799_999, random: u128, after in 0..u128::MAX,
    ) {
        let (now, after) = (Timestamp::from_millis(clock), Ulid(after));
        prop_assert!(next_event_id(now, random, Some(after)) > after);
    }

    #[test]
    fn an_id_is_greater_than_its_causes_where_the_clock_stands_still_or_runs_backward(
        clock in 1i64..2_000_000_000_000, back in 0i64..1_000_000, randoms in prop::collection::vec(any::<u128>(), 2..50),
    ) {
        let first = next_event_id(Timestamp::from_millis(clock), randoms[0], None);
        randoms[1..].iter().try_fold(first, |after, random| {
            let next = next_event_id(Timestamp::from_millis(clock - back), *random, Some(after));
            prop_assert!(next > after);
            Ok(next)
        })?;
    }

    #[test]
    fn an_id_that_is_due_by_the_clock_carries_the_clocks_time(clock in 1i64..2_000_000_000_000, random: u128) {
        let now = Timestamp::from_millis(clock);
        let earlier = next_event_id(Timestamp::from_millis(clock - 1), random, None);
        for after in [None, Some(earlier)] {
            prop_assert_eq!(next_event_id(now, random, after).timestamp_ms(), clock as u64);
        }
    }

    #[test]
    fn two_writers_that_decide_from_the_same_events_at_the_same_time_take_different_ids(
        clock in 0i64..1_000, one: u64, other: u64, after in (1u128 << 100)..(1u128 << 127),
    ) {
        prop_assume!(one != other);
        let id = |random: u64| next_event_id(Timestamp::from_millis(clock), random.into(), Some(Ulid(after)));
        prop_assert_ne!(id(one), id(other));
    }
}
