//! The state of an order over every combination of facts, against the published table row by row.

#[path = "../../events/tests/given/mod.rs"]
mod given;

use events::{Event, EventName, RecordedEvent, Timestamp};
use given::*;
use orders::{Owed, Status, StatusReason, decide, fold, status, stock_lines, took};

/// What is known of an order, as plainly as it can be said.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    placed: bool,
    requested: bool,
    reservation: Option<EventName>,
    payment: Option<EventName>,
    settlement: Option<EventName>,
    closing: Option<EventName>,
    delivered: bool,
    refunded: bool,
    returned: bool,
    attempted: bool,
    manual: bool,
}

impl Known {
    fn reserved(self) -> bool {
        self.reservation == Some(EventName::InventoryReserved)
    }
    fn failed(self) -> bool {
        self.reservation == Some(EventName::InventoryReservationFailed)
    }
    fn paid(self) -> bool {
        self.payment == Some(EventName::OrderPaymentAccepted)
    }
    fn rejected(self) -> bool {
        self.payment == Some(EventName::OrderPaymentRejected)
    }
    fn cancelled(self) -> bool {
        self.closing == Some(EventName::OrderCancelled)
    }
    fn shipped(self) -> bool {
        self.closing == Some(EventName::OrderShipped)
    }

    fn stream(self) -> Vec<RecordedEvent> {
        let one = |there: bool, name| there.then_some(name);
        let names = [
            one(self.placed, EventName::OrderPlaced),
            one(self.requested, EventName::ReserveInventory),
            self.reservation,
            self.payment,
            self.settlement,
            self.closing,
            one(self.delivered, EventName::OrderDelivered),
            one(self.refunded, EventName::OrderPaymentRefunded),
            one(self.returned, EventName::InventoryReturned),
            one(self.attempted, EventName::PaymentAttempted),
            one(self.manual, EventName::ManualPaymentRecorded),
        ];
        names.into_iter().flatten().zip(1..).map(|(name, id)| item(event(name), id)).collect()
    }

    /// Every combination of facts.
    fn all() -> impl Iterator<Item = Known> {
        use EventName::*;
        let one_of = |drawn: &mut usize, of: &[Option<EventName>]| {
            let chosen = of[*drawn % of.len()];
            *drawn /= of.len();
            chosen
        };
        (0..(1 << 7) * 3usize.pow(4)).map(move |mut drawn| {
            let mut yes = || one_of(&mut drawn, &[None, Some(OrderPlaced)]).is_some();
            let (placed, requested, delivered, refunded) = (yes(), yes(), yes(), yes());
            let (returned, attempted, manual) = (yes(), yes(), yes());
            Known {
                reservation: one_of(
                    &mut drawn,
                    &[None, Some(InventoryReserved), Some(InventoryReservationFailed)],
                ),
                payment: one_of(&mut drawn, &[None, Some(OrderPaymentAccepted), Some(OrderPaymentRejected)]),
                settlement: one_of(&mut drawn, &[None, Some(InventoryCommitted), Some(InventoryReleased)]),
                closing: one_of(&mut drawn, &[None, Some(OrderCancelled), Some(OrderShipped)]),
                placed,
                requested,
                delivered,
                refunded,
                returned,
                attempted,
                manual,
            }
        })
    }
}

type Row = (fn(Known) -> bool, Option<Status>, Option<StatusReason>);

/// The published table: the first row that holds names the state.
const TABLE: [Row; 9] = [
    (|known| !known.placed, None, None),
    (Known::cancelled, Some(Status::Cancelled), Some(StatusReason::CancelledOnRequest)),
    (Known::failed, Some(Status::Cancelled), Some(StatusReason::ReservationFailed)),
    (Known::rejected, Some(Status::Cancelled), Some(StatusReason::PaymentRejected)),
    (|known| known.shipped() && known.delivered && known.paid(), Some(Status::Delivered), None),
    (|known| known.shipped() && known.paid(), Some(Status::Shipped), None),
    (Known::paid, Some(Status::Paid), None),
    (Known::reserved, Some(Status::Confirmed), None),
    (|_| true, Some(Status::PendingInventory), None),
];

#[test]
fn every_combination_of_facts_has_the_state_and_the_reason_of_the_first_row_that_holds() {
    let mut met = [0; TABLE.len()];
    for known in Known::all() {
        let row = TABLE.iter().position(|(holds, ..)| holds(known)).unwrap();
        met[row] += 1;
        let stream = known.stream();
        let facts = fold(&stream);
        let reason = status(&facts).and(facts.cancellation());
        assert_eq!((status(&facts), reason), (TABLE[row].1, TABLE[row].2), "{known:?}");
    }
    assert!(met.iter().all(|combinations| *combinations > 0), "{met:?}");
}

#[test]
fn a_shipment_or_delivery_is_held_exactly_until_what_comes_before_it_is_there() {
    for known in Known::all() {
        let stream = known.stream();
        let lives = !known.cancelled() && !known.failed() && !known.rejected();
        let mut held = Vec::new();
        if lives && known.shipped() && !known.paid() {
            held.push("OrderShipped");
        }
        if lives && known.delivered && !(known.shipped() && known.paid()) {
            held.push("OrderDelivered");
        }
        assert_eq!(fold(&stream).held(), held, "{known:?}");
    }
}

#[test]
fn a_held_shipment_and_delivery_take_effect_by_themselves_when_the_payment_is_there() {
    use EventName::*;
    let early = [OrderPlaced, OrderDelivered, OrderShipped, ReserveInventory, InventoryReserved];
    let mut stream: Vec<_> = early.iter().zip(1..).map(|(name, id)| item(event(*name), id)).collect();
    assert_eq!(status(&fold(&stream)), Some(Status::Confirmed));
    assert_eq!(fold(&stream).held(), ["OrderShipped", "OrderDelivered"]);
    stream.push(item(event(OrderPaymentAccepted), 9));
    assert_eq!(status(&fold(&stream)), Some(Status::Delivered));
    assert_eq!(fold(&stream).held(), [] as [&str; 0]);
}

#[test]
fn stock_is_owed_to_an_order_exactly_while_it_is_placed_not_requested_and_not_cancelled() {
    let Event::OrderPlaced(placed) = event(EventName::OrderPlaced) else { unreachable!() };
    for known in Known::all() {
        let stream = known.stream();
        let owed = known.placed && !known.requested && !known.cancelled();
        let expected = owed.then_some(Owed::RequestInventory(&placed));
        assert_eq!(decide(&fold(&stream)), expected, "{known:?}");
    }
    assert_eq!(stock_lines(&placed), [line("sku-a", 2), line("sku-b", 1)]);
}

#[test]
fn the_facts_count_the_events_they_were_folded_from_and_know_the_latest() {
    for known in Known::all() {
        let stream = known.stream();
        let facts = fold(&stream);
        assert_eq!(facts.settled_by().count(), stream.len(), "{known:?}");
        assert_eq!(facts.latest(), stream.last().map(|item| item.event_id), "{known:?}");
    }
}

#[test]
fn every_state_is_read_back_from_the_name_that_clients_see() {
    let names = Status::ALL.map(Status::as_str);
    assert_eq!(names, ["PENDING_INVENTORY", "CONFIRMED", "PAID", "SHIPPED", "DELIVERED", "CANCELLED"]);
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Some(status));
        assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
    }
    assert_eq!(Status::parse("paid"), None);
}

#[test]
fn an_order_took_as_long_as_from_its_placing_to_its_first_end() {
    use EventName::*;
    let at = |name, id: u64| {
        let mut item = item(event(name), id.into());
        item.occurred_at = Timestamp::from_millis(1_000 + 100 * id as i64);
        item
    };
    let mut stream: Vec<RecordedEvent> = [
        OrderPlaced,
        ReserveInventory,
        InventoryReserved,
        OrderPaymentAccepted,
        InventoryCommitted,
        OrderCancelled,
        OrderPaymentRefunded,
        InventoryReturned,
    ]
    .into_iter()
    .zip(1..)
    .map(|(name, id)| at(name, id))
    .collect();
    let ends: Vec<Option<u64>> = stream.iter().map(|item| took(&stream, item.event_id)).collect();
    let mut expected = [None; 8];
    expected[4] = Some(400);
    assert_eq!(ends, expected);
    // Whoever appends a late event may know less than all of it; the end is what the ids say.
    stream.reverse();
    assert_eq!(took(&stream, stream[3].event_id), Some(400));
    assert_eq!(took(&stream[4..], stream[4].event_id), None, "it has not ended yet");
}
