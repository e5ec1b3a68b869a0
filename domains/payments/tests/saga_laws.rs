//! What holds of every set of events, whoever wrote them: order and repetition change nothing, and
//! what is owed comes to an end.

#[path = "../../events/tests/given/mod.rs"]
mod given;

use std::collections::BTreeSet;

use catalog::{fold_customer, fold_product};
use events::*;
use given::*;
use inventory::Move;
use payments::Step;
use proptest::prelude::*;

/// Every domain's facts of one stream. Equal facts make equal states and equal decisions.
#[derive(Debug, PartialEq)]
struct Facts<'a> {
    orders: orders::OrderFacts<'a>,
    inventory: inventory::ReservationFacts<'a>,
    payments: payments::PaymentFacts<'a>,
    product: catalog::ProductFacts<'a>,
    customer: catalog::CustomerFacts<'a>,
}

fn fold<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent> + Clone) -> Facts<'a> {
    Facts {
        orders: orders::fold(stream.clone()),
        inventory: inventory::fold(stream.clone()),
        payments: payments::fold(stream.clone()),
        product: fold_product(stream.clone()),
        customer: fold_customer(stream),
    }
}

/// Events of every kind, with contradictory contents where a decision can have them.
fn any_event() -> impl Strategy<Value = Event> {
    let any_name = prop::sample::select(EventName::ALL).prop_map(event);
    prop_oneof![
        6 => any_name,
        1 => (0u32..6).prop_map(attempt),
        1 => (0u32..4, 1i64..3).prop_map(|(revision, minor)| repriced(revision, minor)),
        1 => (1u64..4).prop_map(|count| reserved(vec![line("sku-a", count), line("sku-a", 1)])),
        1 => Just(reserved(Vec::new())),
    ]
}

/// Every event there is, and every number that [`any_event`] draws.
fn every_claim() -> impl Iterator<Item = Event> {
    let numbered = (0..6).map(attempt).chain((0..4).map(|revision| repriced(revision, 9)));
    EventName::ALL.iter().copied().map(event).chain(numbered)
}

/// Any item that a log can hold, forged or not, readable or not. Few ids, so that they collide.
fn any_item() -> impl Strategy<Value = RecordedEvent> {
    let sk = prop_oneof![3 => Just(None), 2 => "[a-h]".prop_map(Some)];
    let moved = prop::collection::vec(Just(StockDelta::reserve(&sku("sku-a"), units(2))), 0..2);
    (any_event(), 0u128..9, sk, moved, 0..12).prop_map(|(event, id, sk, moved, kind)| {
        let pk = event.stream().pk();
        let key = sk.clone().unwrap_or_else(|| event.slot().sk());
        let (name, data) = (event.name().as_str(), event.to_data());
        match kind {
            0 => raw(&pk, &key, "ORDER_RETRACTED_EVENT", &data, id),
            1 => raw(&pk, &key, name, &data[..data.len() / 2], id),
            2 => raw("EVENTS#ORDER_ID#order-2", &key, name, &data, id),
            3 => raw(
                ORDER_PK,
                &key,
                event.name().also().first().unwrap_or(&"NOBODY"),
                r#"{"orderId":"order-1","sku":"sku-a","units":3,"price":5,"userId":"customer-1"}"#,
                id,
            ),
            _ if sk.is_some() => raw(&pk, &key, name, &data, id),
            _ => moving(event, id, moved),
        }
    })
}

/// A set of items as a log holds it: no key twice.
fn any_set(size: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<RecordedEvent>> {
    prop::collection::vec(any_item(), size).prop_map(|items| {
        let mut taken = BTreeSet::new();
        items.into_iter().filter(|item| taken.insert(item.sk.clone())).collect()
    })
}

/// Calls `check` with every order of the items.
fn permutations<T: Copy>(items: &mut [T], from: usize, check: &mut impl FnMut(&[T])) {
    if from == items.len() {
        return check(items);
    }
    for next in from..items.len() {
        items.swap(from, next);
        permutations(items, from + 1, check);
        items.swap(from, next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_small_set_folds_to_the_same_facts_in_every_order_with_every_event_repeated(set in any_set(0..=6)) {
        let facts = fold(&set);
        permutations(&mut set.iter().collect::<Vec<_>>(), 0, &mut |order| {
            assert_eq!(fold(order.iter().copied()), facts);
            let again = order.iter().rev().chain(&order[..order.len() / 2]).chain(order);
            assert_eq!(fold(again.copied()), facts);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_large_set_folds_to_the_same_facts_in_any_order_with_any_repeats(
        (set, delivered) in any_set(7..=40).prop_flat_map(|set| {
            let repeats = prop::collection::vec(0..set.len(), 0..20);
            let delivered = repeats.prop_flat_map({
                let len = set.len();
                move |repeats| Just((0..len).chain(repeats).collect::<Vec<_>>()).prop_shuffle()
            });
            (Just(set), delivered)
        })
    ) {
        let delivered: Vec<_> = delivered.into_iter().map(|index| &set[index]).collect();
        prop_assert_eq!(fold(delivered.iter().copied()), fold(&set));
    }

    #[test]
    fn a_later_claim_of_a_settled_decision_changes_no_fact_of_any_domain(set in any_set(1..=20)) {
        let settled: BTreeSet<_> =
            set.iter().filter_map(|item| item.event().ok()).map(|event| (event.stream(), event.slot())).collect();
        for later in every_claim().filter(|later| settled.contains(&(later.stream(), later.slot()))) {
            let forged = under("forged later", &later, 1_000);
            prop_assert_eq!(fold(set.iter().chain([&forged])), fold(&set));
        }
    }

    #[test]
    fn what_nobody_can_read_changes_no_fact_of_any_domain(set in any_set(0..=20)) {
        let readable = set.iter().filter(|item| item.event().is_ok());
        prop_assert_eq!(fold(readable), fold(&set));
    }
}

/// How the world answers while what is owed is done.
#[derive(Debug, Clone, Copy)]
struct World {
    stock_is_short: bool,
    charge: Charge,
    money_had_been_taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Charge {
    Charged,
    Declined,
    Failed,
}

const WORLDS: [World; 4] = [
    World { stock_is_short: false, charge: Charge::Charged, money_had_been_taken: true },
    World { stock_is_short: false, charge: Charge::Declined, money_had_been_taken: false },
    World { stock_is_short: false, charge: Charge::Failed, money_had_been_taken: false },
    World { stock_is_short: true, charge: Charge::Failed, money_had_been_taken: true },
];

/// The order's stream as its workers find it.
struct Order {
    stream: Vec<RecordedEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Domain {
    Orders,
    Inventory,
    Payments,
}

impl Order {
    /// What one domain appends next: one event, or two where it claims before it charges.
    fn owed(&self, domain: Domain, world: World) -> Vec<(Event, Vec<StockDelta>)> {
        let still = |event| vec![(event, Vec::new())];
        match domain {
            Domain::Orders => match orders::decide(&orders::fold(&self.stream)) {
                None => Vec::new(),
                Some(orders::Owed::RequestInventory(placed)) => {
                    still(Event::ReserveInventory(ReserveInventory {
                        order_id: placed.order_id.clone(),
                        customer_id: placed.customer_id.clone(),
                        items: orders::stock_lines(placed),
                    }))
                }
            },
            Domain::Inventory => match inventory::decide(&inventory::fold(&self.stream)) {
                None => Vec::new(),
                Some(owed) if owed.what == Move::Reserve && world.stock_is_short => {
                    still(inventory::reservation_failed(&order_id(), Vec::new()))
                }
                Some(owed) => vec![(owed.event(&order_id()), owed.deltas())],
            },
            Domain::Payments => match payments::decide(&payments::fold(&self.stream)).map(|owed| owed.what) {
                None => Vec::new(),
                Some(Step::Attempt { number, amount, currency }) => {
                    let claim = payments::attempted(&order_id(), number);
                    let outcome = match world.charge {
                        Charge::Charged => payments::accepted(&order_id(), "pay", amount, currency),
                        Charge::Declined => payments::declined(&order_id(), "declined", number),
                        Charge::Failed => return still(claim),
                    };
                    [still(claim), still(outcome)].concat()
                }
                Some(Step::Close(closure)) => {
                    still(closure.outcome(world.money_had_been_taken.then_some("pay")))
                }
                Some(Step::Refund(paid)) => still(payments::refunded(paid)),
            },
        }
    }

    /// Appends as the log does: the first to claim a key has it. Whether it was stored, or its slot
    /// is settled by what stands there; `false` for a slot that a raw event blocks for good.
    fn append(&mut self, event: Event, counters: Vec<StockDelta>) -> bool {
        let (slot, sk) = (event.slot(), event.slot().sk());
        if let Some(taken) = self.stream.iter().find(|item| *item.sk == *sk) {
            return taken.event().is_ok_and(|event| event.slot() == slot);
        }
        let latest = self.stream.iter().map(|item| item.event_id).max();
        let id = next_event_id(Timestamp::from_millis(0), 0, latest);
        self.stream.push(moving(event, id.0, counters));
        true
    }

    /// Lets the domains do what they owe, in turn, until none owes anything; says how many events it took.
    fn settle(&mut self, domains: &[Domain], world: World) -> Result<usize, String> {
        let mut blocked = Vec::new();
        for appended in 0..=MOST_OWED {
            let next = domains.iter().filter(|domain| !blocked.contains(*domain));
            let next = next.map(|domain| (*domain, self.owed(*domain, world)));
            let Some((domain, owed)) = next.into_iter().find(|(_, owed)| !owed.is_empty()) else {
                return Ok(appended);
            };
            for (event, counters) in owed {
                if !self.append(event, counters) {
                    blocked.push(domain);
                }
            }
        }
        Err(format!("{domains:?} still owe something: {:?}", self.stream))
    }

    fn debtors(&self) -> Vec<Domain> {
        let owes = |domain: &Domain| match domain {
            Domain::Orders => orders::decide(&orders::fold(&self.stream)).is_some(),
            Domain::Inventory => inventory::decide(&inventory::fold(&self.stream)).is_some(),
            Domain::Payments => payments::decide(&payments::fold(&self.stream)).is_some(),
        };
        ALL.into_iter().filter(owes).collect()
    }
}

const ALL: [Domain; 3] = [Domain::Orders, Domain::Inventory, Domain::Payments];
const TOGETHER: [&[Domain]; 5] = [
    &[Domain::Orders],
    &[Domain::Inventory],
    &[Domain::Payments],
    &ALL,
    &[Domain::Payments, Domain::Inventory, Domain::Orders],
];

/// Request, reservation, four claims, payment, settlement, refund and return: no history owes more.
const MOST_OWED: usize = 10;

/// Every combination of filled slots that bears on what is owed; attempts as 0, 1 or 4.
fn every_combination() -> impl Iterator<Item = Order> {
    use EventName::*;
    let slots: [&[&[EventName]]; 10] = [
        &[&[], &[OrderPlaced]],
        &[&[], &[ReserveInventory]],
        &[&[], &[InventoryReserved], &[InventoryReservationFailed]],
        &[&[], &[PaymentAttempted]],
        &[&[], &[ManualPaymentRecorded]],
        &[&[], &[OrderPaymentAccepted], &[OrderPaymentRejected]],
        &[&[], &[InventoryCommitted], &[InventoryReleased]],
        &[&[], &[OrderCancelled], &[OrderShipped]],
        &[&[], &[OrderPaymentRefunded]],
        &[&[], &[InventoryReturned]],
    ];
    let combinations: usize = slots.iter().map(|slot| slot.len()).product();
    (0..combinations * 2).map(move |mut drawn| {
        let all_attempts = drawn % 2 == 1;
        drawn /= 2;
        let mut filled = Vec::new();
        for slot in slots {
            filled.extend(slot[drawn % slot.len()].iter().copied().map(event));
            drawn /= slot.len();
        }
        if all_attempts {
            filled.extend((2..=4).map(attempt));
        }
        Order { stream: filled.into_iter().zip(1..).map(|(event, id)| item(event, id)).collect() }
    })
}

#[test]
fn what_is_owed_comes_to_an_end_from_every_combination_of_facts() {
    for (index, order) in every_combination().enumerate() {
        for domains in TOGETHER {
            let world = WORLDS[index % WORLDS.len()];
            let mut order = Order { stream: order.stream.clone() };
            order.settle(domains, world).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_owed_comes_to_an_end_from_every_forged_set(
        set in any_set(0..=15), world in prop::sample::select(&WORLDS), domains in prop::sample::select(&TOGETHER),
    ) {
        let stream = set.into_iter().filter(|item| &*item.pk == ORDER_PK).collect();
        let mut order = Order { stream };
        prop_assert!(order.settle(domains, world).is_ok());
    }
}

/// What a client or an operator may append at any time, and a worker what it owes: every set of events
/// that an unforged order can reach while nobody races. `saga_model.rs` has the races.
fn walk(order: &mut Order, choices: &[u8]) {
    for choice in choices {
        let world = WORLDS[usize::from(choice / 16) % WORLDS.len()];
        let asked = |name| vec![(event(name), Vec::new())];
        let events = match choice % 16 {
            0 => asked(EventName::OrderPlaced),
            1 => asked(EventName::OrderCancelled),
            2 => asked(EventName::OrderShipped),
            3 => asked(EventName::OrderDelivered),
            4 => asked(EventName::ManualPaymentRecorded),
            5..8 => order.owed(Domain::Orders, world),
            8..12 => order.owed(Domain::Inventory, world),
            _ => order.owed(Domain::Payments, world),
        };
        for (event, counters) in events {
            order.append(event, counters);
        }
    }
}

/// Decided, and nobody owes it anything.
fn is_done(order: &Order) -> bool {
    use orders::Status::{Confirmed, PendingInventory};
    let status = orders::status(&orders::fold(&order.stream));
    !matches!(status, None | Some(PendingInventory | Confirmed)) && order.debtors().is_empty()
}

#[test]
fn of_every_combination_of_facts_an_order_has_ended_exactly_when_it_is_decided_and_nobody_owes_it_anything() {
    for order in every_combination() {
        let ended = orders::has_ended(&orders::fold(&order.stream));
        assert_eq!(ended, is_done(&order), "{:?} owe {:?}", order.debtors(), order.stream);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_forged_order_has_ended_exactly_when_it_is_decided_and_nobody_owes_it_anything(set in any_set(0..=15)) {
        let stream = set.into_iter().filter(|item| &*item.pk == ORDER_PK).collect();
        let order = Order { stream };
        prop_assert_eq!(orders::has_ended(&orders::fold(&order.stream)), is_done(&order));
    }

    #[test]
    fn every_order_ends_once_what_is_owed_is_done_with_everything_given_back_or_everything_settled(
        choices in prop::collection::vec(any::<u8>(), 0..40), world in prop::sample::select(&WORLDS),
    ) {
        let mut order = Order { stream: Vec::new() };
        walk(&mut order, &choices);
        order.settle(&ALL, world).unwrap();
        let facts = orders::fold(&order.stream);
        prop_assert_eq!(orders::has_ended(&facts), facts.placed.is_settled(), "{:?}", order.stream);
        let sane = facts.placed.is_settled() || order.stream.is_empty();
        prop_assert_eq!(anomalies(&order.stream).is_empty(), sane);
        let sold = matches!(facts.settlement.what(), Some(orders::Settlement::Committed(_)))
            && !facts.returned.is_settled();
        let paid = facts.is_paid() && !facts.refund.is_settled();
        let lives = facts.placed.is_settled() && facts.cancellation().is_none();
        prop_assert_eq!((sold, paid), (lives, lives), "{:?}", order.stream);
    }
}
