//! What payments owes, and what closing an intent is written down as: the published table.

#[path = "../../events/tests/given/mod.rs"]
mod given;

use events::{Event, EventName, PaidBy, RecordedEvent};
use given::*;
use payments::{Step, decide, fold};

fn order(names: &[EventName], attempts: u32) -> Vec<RecordedEvent> {
    let events = names.iter().copied().map(event).chain((1..=attempts).map(attempt));
    events.zip(1..).map(|(event, id)| item(event, id)).collect()
}

fn owed(stream: &[RecordedEvent]) -> Option<String> {
    decide(&fold(stream)).map(|owed| match owed.what {
        Step::Attempt { number, amount, currency } => format!("attempt {number} of {amount} {currency}"),
        Step::Close(_) => "close".to_owned(),
        Step::Refund(paid) => format!("refund {}", paid.payment_id),
    })
}

#[test]
fn what_payments_owes_is_the_published_table() {
    use EventName::*;
    let reserved = [OrderPlaced, InventoryReserved];
    for (more, attempts, expected) in [
        (&[][..], 0, Some("attempt 1 of 45.00 EUR")),
        (&[], 3, Some("attempt 4 of 45.00 EUR")),
        (&[], 4, Some("close")),
        (&[], 5, Some("close")),
        (&[OrderShipped], 1, Some("attempt 2 of 45.00 EUR")),
        (&[ManualPaymentRecorded], 0, Some("close")),
        (&[ManualPaymentRecorded], 2, Some("close")),
        (&[OrderCancelled], 0, None),
        (&[OrderCancelled, ManualPaymentRecorded], 0, None),
        (&[OrderCancelled], 1, Some("close")),
        (&[OrderPaymentAccepted], 1, None),
        (&[OrderPaymentAccepted, ManualPaymentRecorded], 1, None),
        (&[OrderPaymentRejected], 4, None),
        (&[OrderPaymentRejected, OrderCancelled], 4, None),
        (&[OrderPaymentAccepted, OrderCancelled], 1, Some("refund pay-order-1")),
        (&[OrderPaymentAccepted, OrderCancelled, OrderPaymentRefunded], 1, None),
    ] {
        let stream = order(&[&reserved, more].concat(), attempts);
        assert_eq!(owed(&stream).as_deref(), expected, "{more:?} after {attempts} attempts");
    }
    for unreserved in [&[][..], &[OrderPlaced], &[OrderPlaced, InventoryReservationFailed]] {
        let stream = order(&[unreserved, &[ManualPaymentRecorded]].concat(), 4);
        assert_eq!(owed(&stream), None, "{unreserved:?}");
    }
}

#[test]
fn closing_an_intent_is_written_down_as_what_it_turned_out_to_be() {
    use EventName::*;
    let outcome = |more: &[EventName], attempts, charged| {
        let stream = order(&[&[OrderPlaced, InventoryReserved], more].concat(), attempts);
        let Some(Step::Close(closure)) = decide(&fold(&stream)).map(|owed| owed.what) else {
            panic!("{more:?} is not to be closed")
        };
        match closure.outcome(charged) {
            Event::OrderPaymentAccepted(e) => format!("{:?} {} {}", e.by, e.payment_id, e.amount),
            Event::OrderPaymentRejected(e) => format!("{} after {}", e.reason, e.attempts),
            other => panic!("{other:?} settles no payment"),
        }
    };
    let (gateway, operator) = (PaidBy::Gateway, PaidBy::Operator);
    for more in
        [&[][..], &[ManualPaymentRecorded], &[OrderCancelled], &[OrderCancelled, ManualPaymentRecorded]]
    {
        assert_eq!(outcome(more, 4, Some("pay-1")), format!("{gateway:?} pay-1 45.00"), "{more:?}");
    }
    assert_eq!(outcome(&[], 4, None), "attempts_exhausted after 4");
    assert_eq!(outcome(&[OrderCancelled], 2, None), "cancelled after 2");
    assert_eq!(outcome(&[OrderCancelled, ManualPaymentRecorded], 1, None), "cancelled after 1");
    assert_eq!(outcome(&[ManualPaymentRecorded], 0, None), format!("{operator:?} bank-42 45.00"));
}

#[test]
fn what_is_owed_names_its_cause_and_after_a_cancellation_the_later_of_both() {
    use EventName::*;
    for (names, attempts, because_of) in [
        (&[OrderPlaced, InventoryReserved][..], 0, "EVENT#Reservation"),
        (&[InventoryReserved, OrderPlaced], 1, "EVENT#PaymentAttempt#1"),
        (&[OrderPlaced, InventoryReserved], 4, "EVENT#PaymentAttempt#4"),
        (&[OrderPlaced, InventoryReserved, ManualPaymentRecorded], 2, "EVENT#ManualPayment"),
        (&[OrderPlaced, InventoryReserved, OrderCancelled], 2, "EVENT#PaymentAttempt#2"),
        (&[OrderPlaced, InventoryReserved, PaymentAttempted, OrderCancelled], 0, "EVENT#Closing"),
        (&[OrderPaymentAccepted, OrderCancelled], 0, "EVENT#Closing"),
        (&[OrderCancelled, OrderPaymentAccepted], 0, "EVENT#Payment"),
    ] {
        let stream = order(names, attempts);
        let owed = decide(&fold(&stream)).map(|owed| owed.because_of.sk.to_string());
        assert_eq!(owed.as_deref(), Some(because_of), "{names:?} after {attempts} attempts");
    }
}
