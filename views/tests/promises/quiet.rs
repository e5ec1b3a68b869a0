//! Where the system decides, every promise holds: whatever is asked, whenever, and whatever is forged.

use events::{Event, EventName};
use orders::Status;
use payments::intent::State;
use views::invariants::{Invariant, excused_at_rest, is_decided_by_hand};

use crate::given::{event, under};
use crate::saga::Saga;

/// What can be asked of an order that was placed.
const ASKED: [EventName; 4] = [
    EventName::OrderCancelled,
    EventName::OrderShipped,
    EventName::OrderDelivered,
    EventName::ManualPaymentRecorded,
];

/// An order is placed, so many steps are done, something is asked, and all that is owed is done.
fn told(saga: &mut Saga, steps: usize, asked: EventName) -> Option<Status> {
    saga.ask(event(EventName::OrderPlaced));
    for _ in 0..steps {
        saga.step();
    }
    saga.ask(event(asked));
    saga.settle_all();
    orders::status(&orders::fold(&saga.stream))
}

#[test]
fn no_promise_is_broken_whatever_is_asked_at_whatever_moment() {
    let mut ends = Vec::new();
    for asked in ASKED {
        for (steps, failures) in (0..8).flat_map(|steps| (0..=4).map(move |failures| (steps, failures))) {
            for units in [1, 10] {
                let mut saga = Saga::with(units);
                saga.failures = failures;
                ends.extend(told(&mut saga, steps, asked));
            }
        }
    }
    let count = |end| ends.iter().filter(|known| **known == end).count();
    assert_eq!(ends.len(), 4 * 8 * 5 * 2);
    assert!([Status::Paid, Status::Shipped, Status::Cancelled].into_iter().all(|end| count(end) > 20));
}

#[test]
fn no_promise_is_broken_by_whatever_claim_is_forged_at_whatever_moment() {
    for forged in EventName::ALL.iter().copied().filter(|name| is_of_an_order(*name)) {
        for (steps, readable) in (0..8).flat_map(|steps| [(steps, true), (steps, false)]) {
            for beside in [true, false] {
                let mut saga = Saga::with(10);
                saga.ask(event(EventName::OrderPlaced));
                for _ in 0..steps {
                    saga.step();
                }
                let claim = event(forged);
                let sk = if beside { "EVENT#Forged".to_owned() } else { claim.slot().sk() };
                if saga.stream.iter().all(|item| *item.sk != *sk) {
                    let data = if readable { claim.to_data() } else { "{}".to_owned() };
                    saga.forge(&sk, forged.as_str(), &data);
                }
                saga.settle_all();
                saga.ask(event(EventName::OrderCancelled));
                saga.settle_all();
            }
        }
    }
}

fn is_of_an_order(name: EventName) -> bool {
    matches!(event(name).stream(), events::StreamKey::Order(_))
}

#[test]
fn money_that_a_forged_refund_left_with_the_gateway_is_excused_by_that_event() {
    let mut saga = Saga::with(10);
    saga.ask(event(EventName::OrderPlaced));
    saga.settle_all();
    let refund = event(EventName::OrderPaymentRefunded);
    saga.forge("EVENT#Refund", refund.name().as_str(), &refund.to_data());
    saga.ask(event(EventName::OrderCancelled));
    saga.settle_all();
    assert_eq!(saga.intent.state, State::Charged);
    let (by, excused) = excused_at_rest(&saga.stream, Some(&saga.intent)).unwrap();
    assert_eq!(&*by.sk, "EVENT#Refund");
    assert_eq!(excused.iter().map(|one| one.invariant).collect::<Vec<_>>(), [Invariant::Gateway]);
}

#[test]
fn an_order_that_was_placed_by_hand_is_answered_by_the_system_and_nothing_of_it_is_excused() {
    let names = [
        EventName::OrderPlaced,
        EventName::ReserveInventory,
        EventName::PaymentAttempted,
        EventName::ManualPaymentRecorded,
        EventName::OrderDelivered,
    ];
    let stream = names.map(|name| {
        let event: Event = event(name);
        under(&event.slot().sk(), &event, name as u128)
    });
    assert_eq!(is_decided_by_hand(&stream), None);
}
