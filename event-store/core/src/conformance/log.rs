//! What must hold of [`EventLog`].

use std::collections::BTreeMap;
use std::sync::Arc;

use events::recorded::MAX_DATA;
use events::{Causes, Priority, RecordedEvent, Shortage, Stamp, StockDelta, Timestamp, Ulid};
use futures_util::future::join_all;

use super::AllPorts;
use super::given::{
    causes, id, in_time, moved, moving, noted, random_append, received, reserve, second, sku, stock_row,
    store, units,
};
use super::stock_views::{entry, soon_ledger};
use crate::log::{Appended, EventLog, MAX_COUNTERS, StoreError};
use crate::memory::MemoryStore;
use crate::views::StockViews;

const PK: &str = "EVENTS#ORDER_ID#o-1";
const SK: &str = "EVENT#Reservation";

pub async fn the_first_event_settles_a_slot(log: &dyn EventLog) {
    let first = store(log, noted(PK, SK, 1)).await;
    // Neither a later nor an earlier id changes who came first.
    for n in [2, 0] {
        assert_eq!(log.append(noted(PK, SK, n)).await, Ok(Appended::Taken(first.clone())));
    }
    assert_eq!(log.read_slot(PK, SK).await, Ok(Some(first.clone())));
    assert_eq!(log.read_stream(PK).await, Ok(vec![first]));
}

pub async fn the_same_content_again_is_taken_by_an_event_that_says_the_same(log: &dyn EventLog) {
    let first = store(log, noted(PK, SK, 1)).await;
    let mut retry = noted(PK, SK, 1);
    (retry.event_id, retry.occurred_at) = (id(2), second(2));
    for again in [retry, (*first).clone()] {
        assert!(first.says_the_same_as(&again));
        assert_eq!(log.append(again).await, Ok(Appended::Taken(first.clone())));
    }
    assert_eq!(log.read_stream(PK).await, Ok(vec![first]));
}

pub async fn a_taken_slot_is_told_before_any_counter_is_looked_at(log: &dyn AllPorts) {
    store(log, received("apple", 5, 1)).await;
    let all = moved(noted(PK, SK, 2), vec![reserve("apple", 5)]);
    let first = store(log, all.clone()).await;
    let of_unknown = moved(noted(PK, SK, 3), vec![reserve("pear", 1)]);
    let of_more = moved(all.clone(), vec![StockDelta::receive(&sku("plum"), units(1))]);
    for again in [all, of_unknown, of_more] {
        assert_eq!(log.append(again).await, Ok(Appended::Taken(first.clone())));
    }
    assert_eq!(log.stock(&sku("apple")).await, Ok(stock_row("apple", [0, 5, 0], [1, 2])));
    assert_eq!(log.stock(&sku("plum")).await, Ok(None));
}

pub async fn counters_move_all_or_none(log: &dyn AllPorts) {
    let fruits = ["apple", "banana", "cherry", "damson", "elder"];
    for (n, fruit) in (1..).zip(fruits) {
        store(log, received(fruit, 3, n)).await;
    }
    let order = |units: [u64; 5], n| {
        let counters = fruits.iter().zip(units).map(|(fruit, units)| reserve(fruit, units)).collect();
        moved(noted(PK, SK, n), counters)
    };
    for short in 0..5 {
        let mut units = [2; 5];
        units[short] = 4;
        let shortage = shortage(fruits[short], 4, Some(3));
        assert_eq!(log.append(order(units, 10)).await, Ok(Appended::Short(vec![shortage])));
    }
    for (n, fruit) in (1..).zip(fruits) {
        assert_eq!(log.stock(&sku(fruit)).await, Ok(stock_row(fruit, [3, 0, 0], [n, n])));
    }
    store(log, order([3, 2, 1, 2, 3], 11)).await;
    for ((n, fruit), left) in (1..).zip(fruits).zip([0, 1, 2, 1, 0]) {
        assert_eq!(log.stock(&sku(fruit)).await, Ok(stock_row(fruit, [left, 3 - left, 0], [n, 11])));
    }
}

pub async fn no_counter_goes_below_zero(log: &dyn AllPorts) {
    let (apple, two, three) = (sku("apple"), units(2), units(3));
    store(log, received("apple", 6, 1)).await;
    store(log, moving(2, vec![StockDelta::reserve(&apple, units(4))])).await;
    store(log, moving(3, vec![StockDelta::commit(&apple, two)])).await;
    let counters = Ok(stock_row("apple", [2, 2, 2], [1, 3]));
    assert_eq!(log.stock(&apple).await, counters);
    let taken = [
        StockDelta::reserve(&apple, three),
        StockDelta::commit(&apple, three),
        StockDelta::release(&apple, three),
        StockDelta::give_back(&apple, three),
    ];
    for delta in taken {
        let outcome = log.append(moving(4, vec![delta.clone()])).await;
        // All three counters stand at 2, so that is what is there, whichever of them is short.
        let short = vec![shortage("apple", 3, Some(2))];
        assert_eq!(outcome, Ok(Appended::Short(short)), "{delta:?}");
        assert_eq!(log.stock(&apple).await, counters, "{delta:?}");
    }
    let to_zero = [
        StockDelta::reserve(&apple, two),
        StockDelta::commit(&apple, units(4)),
        StockDelta::give_back(&apple, units(6)),
    ];
    for (n, delta) in (5..).zip(to_zero) {
        store(log, moving(n, vec![delta])).await;
    }
    assert_eq!(log.stock(&apple).await, Ok(stock_row("apple", [6, 0, 0], [1, 7])));
}

pub async fn an_unknown_sku_is_short_of_anything_that_is_taken(log: &dyn AllPorts) {
    let (pear, one) = (sku("pear"), units(1));
    let taken = [
        StockDelta::reserve(&pear, one),
        StockDelta::commit(&pear, one),
        StockDelta::release(&pear, one),
        StockDelta::give_back(&pear, one),
    ];
    for delta in taken {
        let outcome = log.append(moving(1, vec![delta.clone()])).await;
        assert_eq!(outcome, Ok(Appended::Short(vec![shortage("pear", 1, None)])), "{delta:?}");
    }
    assert_eq!(log.stock(&pear).await, Ok(None));
}

pub async fn an_unknown_sku_counts_as_zero_for_what_is_added(log: &dyn AllPorts) {
    let of_both = ["pear", "plum"].map(|fruit| StockDelta::receive(&sku(fruit), units(7)));
    store(log, moving(1, of_both.to_vec())).await;
    store(log, received("plum", 1, 2)).await;
    assert_eq!(log.stock(&sku("pear")).await, Ok(stock_row("pear", [7, 0, 0], [1, 1])));
    assert_eq!(log.stock(&sku("plum")).await, Ok(stock_row("plum", [8, 0, 0], [1, 2])));
}

pub async fn every_short_sku_is_named_with_what_was_asked_and_what_was_there(log: &dyn EventLog) {
    store(log, received("apple", 3, 1)).await;
    store(log, received("banana", 9, 2)).await;
    store(log, received("cherry", 5, 3)).await;
    store(log, moving(4, vec![reserve("cherry", 5)])).await;
    let asked = vec![
        reserve("unknown", 1),
        reserve("cherry", 2),
        reserve("banana", 9),
        reserve("apple", 4),
        reserve("never seen", 1_000_000_000),
    ];
    let Ok(Appended::Short(mut short)) = log.append(moving(5, asked)).await else {
        panic!("four of five SKUs are short");
    };
    short.sort_by(|one, other| one.sku.cmp(&other.sku));
    let named = vec![
        shortage("apple", 4, Some(3)),
        shortage("cherry", 2, Some(0)),
        shortage("never seen", 1_000_000_000, None),
        shortage("unknown", 1, None),
    ];
    assert_eq!(short, named);
}

pub async fn a_shortage_leaves_the_slot_open(log: &dyn EventLog) {
    let reserved = moved(noted(PK, SK, 1), vec![reserve("apple", 1)]);
    let outcome = log.append(reserved).await;
    assert_eq!(outcome, Ok(Appended::Short(vec![shortage("apple", 1, None)])));
    assert_eq!(log.read_slot(PK, SK).await, Ok(None));
    assert_eq!(log.read_stream(PK).await, Ok(Vec::new()));
    store(log, noted(PK, SK, 2)).await;
}

pub async fn the_counters_are_the_sum_of_the_recorded_deltas(log: &dyn AllPorts) {
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sums: BTreeMap<_, [i64; 3]> = BTreeMap::new();
        for n in 1..=60 {
            let event = random_append(&format!("world-{seed}"), n, &mut rng);
            let Ok(Appended::Stored(stored)) = log.append(event).await else { continue };
            for delta in &stored.counters {
                let sum = sums.entry(delta.sku.clone()).or_default();
                *sum = [sum[0] + delta.available, sum[1] + delta.reserved, sum[2] + delta.sold];
            }
        }
        for (sku, sum) in sums {
            let row = log.stock(&sku).await.unwrap().unwrap();
            assert_eq!([row.available, row.reserved, row.sold], sum, "{sku} of seed {seed}");
        }
    }
}

/// The reference is [`MemoryStore`].
pub async fn random_appends_come_out_as_in_the_reference(log: &dyn AllPorts) {
    for seed in 100..104 {
        let (reference, world) = (MemoryStore::new(), format!("world-{seed}"));
        let mut rng = fastrand::Rng::with_seed(seed);
        for n in 1..=60 {
            let event = random_append(&world, n, &mut rng);
            let here = comparable(log.append(event.clone()).await);
            assert_eq!(here, comparable(reference.append(event).await), "append {n} of seed {seed}");
        }
        for stream in 0..4 {
            let pk = format!("{world}#STREAM#{stream}");
            assert_eq!(log.read_stream(&pk).await, reference.read_stream(&pk).await, "{pk}");
        }
        for fruit in ["apple", "pear", "plum"] {
            let sku = sku(&format!("{world}-{fruit}"));
            let there = reference.stock(&sku).await;
            assert_eq!(log.stock(&sku).await, there, "{sku}");
        }
    }
}

pub async fn of_a_hundred_appends_to_one_slot_exactly_one_is_stored(log: &dyn EventLog) {
    let outcomes = join_all((0..100).map(|n| log.append(noted(PK, SK, n)))).await;
    let settled = log.read_slot(PK, SK).await.unwrap().unwrap();
    let (stored, others): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|outcome| matches!(outcome, Ok(Appended::Stored(_))));
    assert_eq!(stored, vec![Ok(Appended::Stored(settled.clone()))]);
    assert_eq!(others, vec![Ok(Appended::Taken(settled.clone())); 99]);
    assert_eq!(log.read_stream(PK).await, Ok(vec![settled]));
}

pub async fn of_fifty_reservations_of_the_last_unit_exactly_one_is_stored(log: &dyn AllPorts) {
    store(log, received("apple", 1, 0)).await;
    let outcomes = join_all((1..=50).map(|n| log.append(moving(n, vec![reserve("apple", 1)])))).await;
    let (stored, others): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|outcome| matches!(outcome, Ok(Appended::Stored(_))));
    let [Ok(Appended::Stored(winner))] = &stored[..] else { panic!("{} were stored", stored.len()) };
    assert_eq!(others, vec![Ok(Appended::Short(vec![shortage("apple", 1, Some(0))])); 49]);
    let row = log.stock(&sku("apple")).await.unwrap().unwrap();
    assert_eq!((row.available, row.reserved, row.sold), (0, 1, 0));
    assert_eq!((row.created_at, row.updated_at), (second(0), winner.occurred_at));
}

pub async fn of_fifty_lots_that_arrive_at_once_every_unit_counts(log: &dyn AllPorts) {
    let outcomes = join_all((1..=50).map(|n| log.append(received("apple", n, n)))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Appended::Stored(_)))));
    let row = log.stock(&sku("apple")).await.unwrap().unwrap();
    assert_eq!((row.available, row.reserved, row.sold), (50 * 51 / 2, 0, 0));
}

pub async fn orders_that_share_skus_in_any_order_do_not_block_each_other(log: &dyn AllPorts) {
    store(log, received("apple", 20, 1)).await;
    store(log, received("banana", 20, 2)).await;
    let outcomes = join_all((3..=42).map(|n| {
        let mut counters = vec![reserve("apple", 1), reserve("banana", 1)];
        if n % 2 == 0 {
            counters.reverse();
        }
        log.append(moving(n, counters))
    }));
    let outcomes = in_time(outcomes).await;
    let stored = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::Stored(_)))).count();
    assert_eq!(stored, 20);
    for fruit in ["apple", "banana"] {
        let row = log.stock(&sku(fruit)).await.unwrap().unwrap();
        assert_eq!((row.available, row.reserved, row.sold), (0, 20, 0), "{fruit}");
    }
}

pub async fn counters_hold_more_than_32_bits(log: &dyn AllPorts) {
    for n in 1..=5 {
        store(log, received("sand", 1_000_000_000, n)).await;
    }
    assert_eq!(log.stock(&sku("sand")).await, Ok(stock_row("sand", [5_000_000_000, 0, 0], [1, 5])));
}

pub async fn an_append_is_read_at_once(log: &dyn EventLog) {
    let mut stream = Vec::new();
    for n in 1..=20 {
        let sk = format!("EVENT#{n}");
        let stored = store(log, noted(PK, &sk, n)).await;
        stream.push(stored.clone());
        assert_eq!(log.read_slot(PK, &sk).await, Ok(Some(stored)));
        assert_eq!(log.read_stream(PK).await.as_ref(), Ok(&stream));
    }
}

pub async fn a_stream_is_in_the_order_of_its_ids(log: &dyn EventLog) {
    // Neither the order of append nor that of the keys is the order of the ids.
    for n in [5, 2, 9, 1, 7] {
        store(log, noted(PK, &format!("EVENT#{}", n % 4 * 10 + n), n)).await;
        store(log, noted("EVENTS#ORDER_ID#o-2", &format!("EVENT#{n}"), n + 100)).await;
    }
    let ids: Vec<Ulid> = log.read_stream(PK).await.unwrap().iter().map(|event| event.event_id).collect();
    assert_eq!(ids, [1, 2, 5, 7, 9].map(id));
}

pub async fn every_attribute_comes_back_as_it_was_written(log: &dyn EventLog) {
    for event in of_every_shape() {
        let stored = store(log, event).await;
        let (pk, sk) = (&stored.pk, &stored.sk);
        assert_eq!(log.read_slot(pk, sk).await, Ok(Some(stored.clone())));
        assert_eq!(log.read_stream(pk).await, Ok(vec![stored.clone()]));
        assert_eq!(log.append(noted(pk, sk, 99)).await, Ok(Appended::Taken(stored.clone())));
    }
}

pub async fn keys_that_look_alike_are_different_keys(log: &dyn EventLog) {
    // Case, spaces, how an accent is composed, and where one key ends and the other begins.
    let keys = [
        ("a", "b#c"),
        ("a#b", "c"),
        ("ab", "c"),
        ("A", "b#c"),
        ("a ", "b#c"),
        (" a", "b#c"),
        ("a", "B#c"),
        ("a", "b#c "),
        ("caf\u{e9}", "x"),
        ("cafe\u{301}", "x"),
        ("1", "x"),
        ("01", "x"),
        ("1.0", "x"),
    ];
    let mut stored = Vec::new();
    for (n, (pk, sk)) in (1..).zip(keys) {
        stored.push(store(log, noted(pk, sk, n)).await);
    }
    for ((pk, sk), event) in keys.into_iter().zip(stored) {
        assert_eq!(log.read_slot(pk, sk).await, Ok(Some(event)), "{pk:?} {sk:?}");
    }
    let of_a: Vec<_> = log.read_stream("a").await.unwrap().iter().map(|event| event.sk.clone()).collect();
    assert_eq!(of_a, ["b#c", "B#c", "b#c "].map(Arc::from));
}

pub async fn a_key_may_be_any_text(log: &dyn EventLog) {
    let texts = [
        "two words",
        "it's",
        "\"quoted\"",
        "'; DROP TABLE events; --",
        "50%_*?[a-z]",
        "back\\slash",
        "line\nbreak\ttab",
        "ключ 鍵 🔑",
        "#",
        "\u{1}\u{7f}\u{fffd}\u{10ffff}",
        &"long".repeat(200),
    ];
    for (n, text) in (1..).zip(texts) {
        let one = store(log, noted(text, "EVENT#1", n)).await;
        let other = store(log, noted("EVENTS#ORDER_ID#o-1", text, 100 + n)).await;
        assert_eq!(log.read_stream(text).await, Ok(vec![one.clone()]));
        assert_eq!(log.read_slot(text, "EVENT#1").await, Ok(Some(one)));
        assert_eq!(log.read_slot("EVENTS#ORDER_ID#o-1", text).await, Ok(Some(other)));
    }
    assert_eq!(log.read_stream("EVENTS#ORDER_ID#o-1").await.unwrap().len(), texts.len());
}

pub async fn a_payload_may_be_as_large_as_is_allowed_and_no_larger(log: &dyn AllPorts) {
    let with = |data: String, n| {
        let mut event = moving(n, vec![StockDelta::receive(&sku("apple"), units(1))]);
        event.data = data.into();
        event
    };
    store(log, with("x".repeat(MAX_DATA), 1)).await;
    // What counts is bytes: the second is far below the limit in characters.
    for (n, data) in [(2, "x".repeat(MAX_DATA + 1)), (3, "ü".repeat(MAX_DATA / 2) + "x")] {
        let event = with(data, n);
        let (pk, sk) = (event.pk.clone(), event.sk.clone());
        assert_eq!(log.append(event).await, Err(StoreError::TooLarge { bytes: MAX_DATA + 1 }));
        assert_eq!(log.read_slot(&pk, &sk).await, Ok(None));
    }
    assert_eq!(log.stock(&sku("apple")).await, Ok(stock_row("apple", [1, 0, 0], [1, 1])));
}

pub async fn as_many_counters_as_are_allowed_move_at_once_and_no_more(log: &dyn AllPorts) {
    let one_of_each = |lines: usize| -> Vec<StockDelta> {
        (1..=lines).map(|n| StockDelta::receive(&sku(&format!("sku-{n}")), units(1))).collect()
    };
    let too_many = MAX_COUNTERS + 1;
    let refused = log.append(moving(1, one_of_each(too_many))).await;
    assert_eq!(refused, Err(StoreError::TooManyCounters { counters: too_many }));
    assert_eq!(log.stock(&sku("sku-1")).await, Ok(None));
    store(log, moving(1, one_of_each(MAX_COUNTERS))).await;
    // An order of ninety lines, of which every SKU is there exactly once.
    let ninety = (1..=90).map(|n| reserve(&format!("sku-{n}"), 1)).collect();
    store(log, moving(2, ninety)).await;
    for (n, counters, latest) in [(1, [0, 1, 0], 2), (90, [0, 1, 0], 2), (99, [1, 0, 0], 1)] {
        let name = format!("sku-{n}");
        assert_eq!(log.stock(&sku(&name)).await, Ok(stock_row(&name, counters, [1, latest])));
    }
}

pub async fn a_stream_that_nobody_wrote_to_is_empty(log: &dyn EventLog) {
    store(log, noted(PK, SK, 1)).await;
    assert_eq!(log.read_stream("EVENTS#ORDER_ID#o").await, Ok(Vec::new()));
    assert_eq!(log.read_slot(PK, "EVENT#Payment").await, Ok(None));
    assert_eq!(log.read_slot("EVENTS#ORDER_ID#o", SK).await, Ok(None));
}

pub async fn an_event_that_is_finished_again_moves_nothing_again(log: &dyn AllPorts) {
    let fruits = ["apple", "banana", "cherry", "damson", "elder"];
    let lot = |fruit| StockDelta::receive(&sku(fruit), units(3));
    let lots = store(log, moving(1, fruits.map(lot).into())).await;
    let reserved = store(log, moving(2, fruits.map(|fruit| reserve(fruit, 2)).into())).await;
    for event in [&lots, &reserved, &lots] {
        assert_eq!(log.finish(event).await, Ok(()));
    }
    for fruit in fruits {
        assert_eq!(log.stock(&sku(fruit)).await, Ok(stock_row(fruit, [1, 2, 0], [1, 2])));
        soon_ledger(log, fruit, vec![entry(&lots, [3, 0, 0]), entry(&reserved, [-2, 2, 0])]).await;
    }
}

/// Events that differ from each other in every attribute: absent and there, smallest and largest.
pub(super) fn of_every_shape() -> Vec<RecordedEvent> {
    let full = RecordedEvent::raw(
        ("EVENTS#SKU#ключ", "EVENT#StockReceived#LOT_ID#№ 1"),
        ("Weird Näme 🦀", u32::MAX, "{\"text\": \"line\\nbreak, 'quotes', \u{1F980} \u{7f} \u{2028}\"}"),
        vec![
            StockDelta { sku: sku("a b'ü"), available: 3, reserved: 2, sold: 1 },
            StockDelta::receive(&sku("another"), units(1_000_000_000)),
        ],
        Stamp {
            event_id: Ulid(u128::MAX),
            occurred_at: Timestamp::parse("9998-12-31T23:59:59.999Z").unwrap(),
            producer: "fn-ü \"1\"".into(),
        },
        Causes {
            priority: Priority::Express,
            correlation_id: "request 🧵".into(),
            causation_id: Some(Ulid(u128::MAX - 1)),
            request_seed: Some(Ulid(u128::MAX - 2)),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        },
    );
    let least = RecordedEvent::raw(
        ("p", "s"),
        ("E", 0, ""),
        Vec::new(),
        Stamp { event_id: Ulid(1), occurred_at: Timestamp::from_millis(0), producer: "".into() },
        Causes { correlation_id: "".into(), ..causes() },
    );
    let mut not_json = noted("EVENTS#ORDER_ID#o-9", "EVENT#Raw", 3);
    not_json.data = "{\"broken\": ".into();
    let mut caused = noted("EVENTS#ORDER_ID#o-8", "EVENT#Raw", 4);
    caused.causation_id = Some(id(3));
    let mut traced = noted("EVENTS#ORDER_ID#o-7", "EVENT#Raw", 5);
    traced.traceparent = Some("00-0-0-00".into());
    let mut claimed = noted("EVENTS#ORDER_ID#o-5", "EVENT#Raw", 8);
    claimed.request_seed = Some(id(1));
    let mut spaced = noted("EVENTS#ORDER_ID#o-6", "EVENT#Raw", 6);
    spaced.data = " { \"b\" : 1.0, \"a\" : 1e2 } ".into();
    spaced.occurred_at = Timestamp::from_millis(second(6).millis() + 7);
    vec![full, least, not_json, caused, traced, claimed, spaced, received("apple", 1, 7)]
}

fn shortage(of: &str, requested: u64, available: Option<i64>) -> Shortage {
    Shortage { sku: sku(of), requested: units(requested), available }
}

/// What the port promises of an outcome: no order among shortages, nor what was there of a SKU of
/// which something else than `available` was short.
fn comparable(outcome: Result<Appended, StoreError>) -> Result<Appended, StoreError> {
    let Ok(Appended::Short(mut short)) = outcome else { return outcome };
    short.sort_by(|one, other| one.sku.cmp(&other.sku));
    short.iter_mut().for_each(|shortage| shortage.available = shortage.available.map(|_| 0));
    Ok(Appended::Short(short))
}
