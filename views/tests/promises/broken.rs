//! Each promise broken by what breaks it: a new promise cannot be added without a case.

use event_store::StockRow;
use events::{Event, EventName, RecordedEvent, StockDelta, Ulid};
use payments::intent::{Intent, State};
use views::Violation;
use views::invariants::{
    Invariant, MAX_CAUSATION_DEPTH, StockBook, held_by, of_lots_at_rest, of_order_at_rest, of_payment,
    of_stream,
};

use crate::given::{attempt, event, item, line, money, moving, reserved, sku, units};
use crate::saga::row;

/// Where a broken promise is noticed.
enum Noticed {
    /// By the functions themselves.
    Here(Vec<Violation>),
    /// Where rows are read; see `audit.rs`.
    ByTheAudit,
    /// Where requests and deliveries are made; or, where only a mistake in a `decide` breaks it, beside the code.
    Elsewhere,
}

fn broken(invariant: Invariant) -> Noticed {
    use EventName::*;
    Noticed::Here(match invariant {
        Invariant::Cause => in_stream(&[caused(OrderPlaced, 2, 1)]),
        Invariant::Answer => in_stream(&[item(event(OrderPlaced), 1), item(event(ReserveInventory), 2)]),
        Invariant::CauseOrder => in_stream(&[caused(OrderPlaced, 1, 2), caused(ReserveInventory, 2, 1)]),
        Invariant::CausationDepth => in_stream(&a_chain_of(MAX_CAUSATION_DEPTH + 2)),
        Invariant::Slot => {
            let mut astray = item(event(OrderPlaced), 1);
            astray.sk = "EVENT#Elsewhere".into();
            in_stream(&[astray])
        }
        Invariant::Movement => in_stream(&[item(event(OrderPlaced), 1), item(event(InventoryReserved), 2)]),
        Invariant::Taken => {
            let sold =
                [StockDelta::commit(&sku("sku-a"), units(2)), StockDelta::commit(&sku("sku-b"), units(1))];
            in_stream(&[moving(event(InventoryCommitted), 1, sold.to_vec())])
        }
        Invariant::Amount => {
            let Event::OrderPaymentAccepted(mut paid) = event(OrderPaymentAccepted) else { unreachable!() };
            paid.amount = money(1);
            in_stream(&[item(event(OrderPlaced), 1), item(Event::OrderPaymentAccepted(paid), 2)])
        }
        Invariant::Ended | Invariant::NotAfterCancel => return Noticed::Elsewhere,
        Invariant::ChargedOnce => in_payment(&[], Intent { charges: 2, ..charged() }),
        Invariant::Calls => in_payment(&[], Intent { calls: 2, ..charged() }),
        Invariant::Claimed => in_payment(&[], charged()),
        Invariant::Outcome => in_payment(&[OrderPaymentRejected], charged()),
        Invariant::Refund => in_payment(&[], Intent { state: State::Refunded, ..charged() }),
        Invariant::Counters => in_counters(|row| row.sold += 1),
        Invariant::Conservation => in_counters(|row| row.available -= 1),
        Invariant::NotNegative => in_counters(|row| row.sold = -1),
        Invariant::Reserved => in_counters(|row| row.reserved -= 1),
        Invariant::End => at_rest(&[OrderPlaced], State::Open),
        Invariant::GivenBack => at_rest(&[OrderPlaced, InventoryReserved, OrderCancelled], State::Open),
        Invariant::Sold => at_rest(&[OrderPlaced, InventoryReserved, OrderPaymentAccepted], State::Charged),
        Invariant::Gateway => at_rest(&[OrderPlaced, OrderCancelled], State::Charged),
        Invariant::Paid => at_rest(&[OrderPlaced, OrderPaymentAccepted], State::Refunded),
        Invariant::HeldShipment => at_rest(&[OrderPlaced, InventoryReserved, OrderShipped], State::Open),
        Invariant::Lots => {
            let mut found = Vec::new();
            of_lots_at_rest(&[item(event(SkuRestocked), 1)], &mut found);
            found
        }
        Invariant::Row | Invariant::OrphanRow => return Noticed::ByTheAudit,
        Invariant::Replay
        | Invariant::Acknowledged
        | Invariant::Refused
        | Invariant::Repeated
        | Invariant::Admitted
        | Invariant::Priced => return Noticed::Elsewhere,
    })
}

#[test]
fn every_promise_is_noticed_where_it_is_broken() {
    let mut audited = Vec::new();
    for invariant in Invariant::ALL {
        match broken(invariant) {
            Noticed::Here(found) => {
                assert!(found.iter().any(|one| one.invariant == invariant), "{invariant}: {found:?}");
            }
            Noticed::ByTheAudit => audited.push(invariant),
            Noticed::Elsewhere => {}
        }
    }
    assert_eq!(audited, crate::audit::NOTICED);
}

#[test]
fn a_promise_is_written_as_it_is_named() {
    for invariant in Invariant::ALL {
        assert_eq!(format!("{:?}", invariant.name()), serde_json::to_string(&invariant).unwrap());
        assert!(invariant.promise().ends_with('.') && !invariant.promise().contains('|'), "{invariant}");
    }
}

#[test]
fn causes_are_counted_alike_in_a_short_stream_and_in_a_long_one() {
    for (length, more) in [(17, 0), (18, 1), (60, 43)] {
        let mut chain = a_chain_of(length);
        chain.reverse();
        assert_eq!(in_stream(&chain).len(), more, "{length}");
    }
}

#[test]
fn a_line_that_is_named_twice_moves_its_sku_once() {
    let twice = || reserved(vec![line("sku-a", 2), line("sku-a", 1)]);
    let of = |count| StockDelta::reserve(&sku("sku-a"), units(count));
    let moving_by = |moved: Vec<StockDelta>| {
        let mut reserved = moving(twice(), 2, moved);
        reserved.causation_id = Some(Ulid(1));
        in_stream(&[item(event(EventName::OrderPlaced), 1), reserved])
    };
    assert_eq!(moving_by(vec![of(3)]), []);
    for wrong in [vec![], vec![of(2)], vec![of(3), StockDelta::reserve(&sku("sku-b"), units(1))]] {
        let found = moving_by(wrong.clone());
        assert_eq!(found.len(), 1, "{wrong:?}: {found:?}");
    }
}

fn in_stream(stream: &[RecordedEvent]) -> Vec<Violation> {
    let mut found = Vec::new();
    of_stream(stream, &mut found);
    found
}

/// Of an order that was placed, and of which so much more is in the log.
fn in_payment(names: &[EventName], intent: Intent) -> Vec<Violation> {
    let (stream, mut found) = (stream(&[&[EventName::OrderPlaced], names].concat()), Vec::new());
    of_payment(&stream, &intent, &mut found);
    found
}

fn at_rest(names: &[EventName], state: State) -> Vec<Violation> {
    let (stream, mut found) = (stream(names), Vec::new());
    of_order_at_rest(&stream, Some(&Intent { state, ..charged() }), &mut found);
    found
}

/// A lot was received and an order holds some of it; then the counters are damaged.
fn in_counters(damage: impl Fn(&mut StockRow)) -> Vec<Violation> {
    let lot = moving(event(EventName::StockReceived), 1, vec![StockDelta::receive(&sku("sku-a"), units(12))]);
    let held =
        [moving(reserved(vec![line("sku-a", 2)]), 2, vec![StockDelta::reserve(&sku("sku-a"), units(2))])];
    let (mut book, mut found) = (StockBook::default(), Vec::new());
    book.add(&lot);
    book.add(&held[0]);
    held_by(&held).for_each(|(sku, units)| book.hold(sku, units));
    let mut row = StockRow { available: 10, reserved: 2, ..row(sku("sku-a")) };
    book.check(&row.sku, Some(&row), &mut found);
    assert_eq!(found, []);
    damage(&mut row);
    book.check(&row.sku, Some(&row), &mut found);
    found
}

fn stream(names: &[EventName]) -> Vec<RecordedEvent> {
    let stored = |(id, name): (usize, &EventName)| {
        let deltas = match name {
            EventName::InventoryReserved => [("sku-a", 2), ("sku-b", 1)]
                .map(|(name, count)| StockDelta::reserve(&sku(name), units(count)))
                .to_vec(),
            _ => Vec::new(),
        };
        moving(event(*name), id as u128 + 1, deltas)
    };
    names.iter().enumerate().map(stored).collect()
}

fn charged() -> Intent {
    Intent { state: State::Charged, calls: 1, charges: 1, amount: Some(money(4500)) }
}

fn caused(name: EventName, id: u128, cause: u128) -> RecordedEvent {
    let mut item = item(event(name), id);
    item.causation_id = Some(Ulid(cause));
    item
}

/// So many events, each because of the one before.
fn a_chain_of(length: usize) -> Vec<RecordedEvent> {
    let link = |number: usize| {
        let first = number == 1;
        let of = if first { event(EventName::OrderPlaced) } else { attempt(number as u32) };
        let mut link = item(of, number as u128);
        link.causation_id = (!first).then(|| Ulid(number as u128 - 1));
        link
    };
    (1..=length).map(link).collect()
}
