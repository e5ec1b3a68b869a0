//! What is shown as an anomaly, and that a sane stream shows none.

mod given;

use events::anomaly::Why;
use events::*;
use given::*;
use proptest::prelude::*;

/// The anomalies by key and reason, as the console shows them.
fn shown(stream: &[RecordedEvent]) -> Vec<(String, String)> {
    anomalies(stream).into_iter().map(|anomaly| (anomaly.sk, anomaly.why.to_string())).collect()
}

fn placed() -> RecordedEvent {
    item(event(EventName::OrderPlaced), 1)
}

fn settled(sk: &str, slot: &str, by: u128) -> (String, String) {
    (sk.to_owned(), format!("{slot} was already settled by {}", Ulid(by)))
}

#[test]
fn a_sane_stream_has_no_anomaly() {
    use EventName::*;
    let paid = [OrderPlaced, ReserveInventory, InventoryReserved, PaymentAttempted, OrderPaymentAccepted]
        .into_iter()
        .chain([InventoryCommitted, OrderShipped, OrderDelivered]);
    let cancelled = [OrderPlaced, ReserveInventory, InventoryReserved, PaymentAttempted, OrderCancelled]
        .into_iter()
        .chain([ManualPaymentRecorded, OrderPaymentRejected, InventoryReleased]);
    let returned = [OrderPlaced, OrderPaymentAccepted, InventoryCommitted, OrderCancelled]
        .into_iter()
        .chain([OrderPaymentRefunded, InventoryReturned]);
    let short = [OrderPlaced, ReserveInventory, InventoryReservationFailed].into_iter();
    let product = [ProductListed, ProductRepriced, ProductWithdrawn].into_iter();
    let (sku, customer) = ([SkuRestocked, StockReceived], [CustomerRegistered, CustomerErased]);
    let streams: [Vec<EventName>; 7] = [
        paid.collect(),
        cancelled.collect(),
        returned.collect(),
        short.collect(),
        product.collect(),
        sku.to_vec(),
        customer.to_vec(),
    ];
    for names in streams {
        let stream: Vec<_> = names.iter().zip(1..).map(|(name, id)| item(event(*name), id)).collect();
        assert_eq!(anomalies(&stream), [], "{names:?}");
    }
    assert_eq!(anomalies(&[]), []);
}

#[test]
fn an_unknown_name_an_undecodable_payload_and_a_payload_of_another_stream_are_anomalies() {
    let stream = [
        placed(),
        raw(ORDER_PK, "EVENT#X", "ORDER_RETRACTED_EVENT", "{}", 2),
        raw(ORDER_PK, "EVENT#Payment", "OrderPaymentAccepted", r#"{"order_id":"order-1"}"#, 3),
        raw(ORDER_PK, "EVENT#Closing", "OrderCancelled", r#"{"order_id":"order-2"}"#, 4),
    ];
    let missing = "undecodable payload: missing field `amount` at line 1 column 22";
    assert_eq!(
        shown(&stream),
        [
            ("EVENT#X".to_owned(), "unknown event name".to_owned()),
            ("EVENT#Payment".to_owned(), missing.to_owned()),
            ("EVENT#Closing".to_owned(), "payload belongs to EVENTS#ORDER_ID#order-2".to_owned()),
        ]
    );
    let anomaly = &anomalies(&stream)[0];
    let expected = Anomaly {
        pk: ORDER_PK.into(),
        sk: "EVENT#X".into(),
        event_id: Ulid(2),
        event_name: "ORDER_RETRACTED_EVENT".into(),
        why: Why::Undecodable(Undecodable::UnknownName),
    };
    assert_eq!(anomaly, &expected);
    let text = "EVENTS#ORDER_ID#order-1 EVENT#X ORDER_RETRACTED_EVENT: unknown event name";
    assert!(anomaly.to_string().ends_with(text), "{anomaly}");
}

#[test]
fn of_two_events_that_claim_one_decision_the_greater_id_is_the_anomaly_wherever_it_stands() {
    let cancelled = event(EventName::OrderCancelled);
    let shipped = event(EventName::OrderShipped);
    let closing = "EVENT#Closing";
    let later = [placed(), item(shipped.clone(), 5), under("raw", &cancelled, 6)];
    assert_eq!(shown(&later), [settled("raw", closing, 5)]);
    let earlier = [placed(), item(shipped, 5), under("raw", &cancelled, 4)];
    assert_eq!(shown(&earlier), [settled(closing, closing, 4)]);
}

#[test]
fn of_three_claims_two_are_anomalies_even_under_one_id() {
    let stream = [
        placed(),
        under("raw-b", &event(EventName::OrderCancelled), 5),
        under("raw-a", &event(EventName::OrderShipped), 5),
        under("raw-c", &event(EventName::OrderShipped), 5),
    ];
    let slot = "EVENT#Closing";
    assert_eq!(shown(&stream), [settled("raw-b", slot, 5), settled("raw-c", slot, 5)]);
}

#[test]
fn a_second_attempt_or_another_lot_or_revision_contradicts_nothing() {
    let attempts = [placed(), item(attempt(1), 2), item(attempt(2), 3)];
    assert_eq!(anomalies(&attempts), []);
    let listed = item(event(EventName::ProductListed), 1);
    assert_eq!(anomalies(&[listed, item(repriced(1, 5), 2), item(repriced(2, 5), 3)]), []);
}

#[test]
fn everything_in_a_stream_that_never_began_is_an_orphan() {
    let orphan = |sk: &str| (sk.to_owned(), "its stream never began".to_owned());
    let order = [item(event(EventName::OrderPaymentAccepted), 1), item(event(EventName::OrderShipped), 2)];
    assert_eq!(shown(&order), [orphan("EVENT#Payment"), orphan("EVENT#Closing")]);
    let product = [item(event(EventName::ProductWithdrawn), 1)];
    assert_eq!(shown(&product), [orphan("EVENT#ProductWithdrawn")]);
    let customer = [item(event(EventName::CustomerErased), 1)];
    assert_eq!(shown(&customer), [orphan("EVENT#CustomerErased")]);
    for lot in [EventName::SkuRestocked, EventName::StockReceived] {
        assert_eq!(anomalies(&[item(event(lot), 1)]), [], "a lot stands for itself");
    }
}

#[test]
fn an_order_whose_placement_cannot_be_read_never_began() {
    let stream = [
        raw(ORDER_PK, "EVENT#OrderPlaced", "OrderPlaced", "{}", 1),
        item(event(EventName::ReserveInventory), 2),
    ];
    let [unread, orphan] = &anomalies(&stream)[..] else { panic!("two anomalies") };
    assert!(matches!(unread.why, Why::Undecodable(Undecodable::Payload(_))));
    assert_eq!(orphan.why, Why::Orphan);
}

fn any_item() -> impl Strategy<Value = RecordedEvent> {
    let name = prop::sample::select(EventName::ALL);
    let sk = prop_oneof![Just(None), "[a-c]".prop_map(Some)];
    (name, 0u128..6, sk, 0..5).prop_map(|(name, id, sk, kind)| match (kind, sk) {
        (0, _) => raw(ORDER_PK, &format!("raw-{id}"), "NOBODY", "{}", id),
        (1, _) => raw(ORDER_PK, &format!("raw-{id}"), name.as_str(), "{", id),
        (_, None) => item(event(name), id),
        (_, Some(sk)) => under(&sk, &event(name), id),
    })
}

proptest! {
    #[test]
    fn anomalies_are_the_same_in_any_order_and_any_number_of_deliveries(
        (stream, again) in prop::collection::vec(any_item(), 0..8).prop_flat_map(|items| {
            let mut seen = std::collections::BTreeSet::new();
            let unique: Vec<_> = items.into_iter().filter(|item| seen.insert(item.sk.clone())).collect();
            let twice = [unique.clone(), unique.clone()].concat();
            (Just(unique), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(anomalies(&again), anomalies(&stream));
    }

    #[test]
    fn an_event_is_either_what_settled_its_slot_or_an_anomaly(
        items in prop::collection::vec(any_item(), 0..12),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let stream: Vec<_> = items.into_iter().filter(|item| seen.insert(item.sk.clone())).collect();
        let strange = anomalies(&stream);
        let read = stream.iter().filter_map(|item| item.event().ok().map(Event::slot));
        let slots: std::collections::BTreeSet<_> = read.collect();
        let orphans = strange.iter().any(|anomaly| anomaly.why == Why::Orphan);
        let settling = if orphans { 0 } else { slots.len() };
        prop_assert_eq!(strange.len() + settling, stream.len());
    }
}
