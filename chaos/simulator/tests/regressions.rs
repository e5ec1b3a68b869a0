//! Runs that failed once, shrunk: what was wrong is mended, and stays so.
//!
//! A run's course changes with the code that it runs, and could then pass because nothing happens in it any more. So
//! each says what it was about, and fails if that does not happen. Then another run is looked for, in which it does:
//!
//! ```text
//! cargo test --release -p simulator --test regressions -- --ignored --nocapture
//! ```
//!
//! `LOOK_FOR` chooses by what the situation is called.
//!
//! Each of these bugs has a test of its own beside the code that was mended, too.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use simulator::shrink::{Patience, shrink};
use simulator::swarm::Switch;
use simulator::{Plan, run};

/// Something that happens in a run, by the lines of its trace.
type Situation = fn(&Trace<'_>) -> bool;

/// The lines of a trace, and where in them which events were stored.
struct Trace<'a> {
    lines: Vec<&'a str>,
    stored: Vec<Stored<'a>>,
}

/// A line that tells of a stored event.
struct Stored<'a> {
    line: usize,
    id: &'a str,
    stream: &'a str,
    slot: &'a str,
    name: &'a str,
    data: &'a str,
}

/// A request that came again, and was answered.
struct Repeat<'a> {
    /// The line of its first try.
    first: usize,
    /// The line of this one.
    line: usize,
    method: &'a str,
    path: &'a str,
    body: &'a str,
    /// The status, and what else the answer says.
    answer: &'a str,
}

impl<'a> Trace<'a> {
    fn of(lines: &'a str) -> Trace<'a> {
        let lines: Vec<&str> = lines.lines().collect();
        let stored = lines.iter().enumerate().filter_map(|(line, text)| {
            let (_, told) = text.split_once("    stored ")?;
            let mut words = told.splitn(5, ' ');
            let (id, stream, slot, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
            Some(Stored { line, id, stream, slot, name, data: words.next()? })
        });
        Trace { stored: stored.collect(), lines }
    }

    /// The first line behind another one that says something.
    fn behind(&self, line: usize, says: &str) -> Option<usize> {
        (line + 1..self.lines.len()).find(|at| self.lines[*at].contains(says))
    }

    /// Whether lines say these things, one after the other.
    fn tells(&self, from: usize, things: &[&str]) -> bool {
        things.iter().try_fold(from, |line, says| self.behind(line, says)).is_some()
    }

    /// The requests that came again, and were answered then.
    fn repeats(&self) -> impl Iterator<Item = Repeat<'a>> {
        self.lines.iter().enumerate().filter_map(|(line, text)| {
            let mut words = text.split_whitespace();
            let (_, id) = (words.next()?, words.next()?);
            let (number, again) = id.strip_prefix("ask-")?.split_once('-')?;
            let (method, path) = (words.next().filter(|method| *method != "->")?, words.next()?);
            if again == "1" {
                return None;
            }
            let body = text.split_once(path)?.1.trim();
            let first = format!(" ask-{number}-1 {method} ");
            let first = self.lines[..line].iter().position(|text| text.contains(&first))?;
            let answered = format!(" {id} -> ");
            let answer = self.lines[line..].iter().find_map(|text| Some(text.split_once(&answered)?.1))?;
            Some(Repeat { first, line, method, path, body, answer })
        })
    }

    /// What was stored under a slot and a name.
    fn named(&self, slot: &str, name: &str) -> impl Iterator<Item = &Stored<'a>> {
        self.stored.iter().filter(move |stored| stored.slot == slot && stored.name == name)
    }
}

/// The orders worker gave up before it wrote any row. See `workers/tests/raw_events.rs`.
const BLOCKED: (&str, Situation) = ("an order whose next slot is blocked by a raw event", |trace| {
    let blocked = trace.named("EVENT#ReserveInventory", "ORDER_CREATED_EVENT");
    blocked.filter(|blocked| blocked.data.contains("this is no JSON")).any(|blocked| {
        trace.named("EVENT#OrderPlaced", "ORDER_PLACED_EVENT").any(|placed| {
            let order = placed.stream.rsplit('#').next().unwrap_or_default();
            placed.stream == blocked.stream
                && placed.data.contains(&format!(r#""orderId":"{order}""#))
                && trace.tells(placed.line.max(blocked.line), &["orders-worker      put_order"])
        })
    })
});

/// The sweeper found orders by their rows alone. See `workers/tests/log_sweeper.rs`.
const WITHOUT_ROW: (&str, Situation) = ("an order that was never placed, and is owed something", |trace| {
    trace.named("EVENT#Settlement", "InventoryReleased").any(|released| {
        let forged = trace.named("EVENT#Reservation", "ORDER_STOCK_ALLOCATED_EVENT");
        let mut forged = forged.filter(|forged| forged.stream == released.stream);
        let is_placed = trace.stored.iter().any(|stored| {
            stored.stream == released.stream && stored.name.to_ascii_lowercase().contains("placed")
        });
        let swept = trace.lines[..released.line].iter().any(|line| line.contains("oms-log-sweeper    nudge"));
        forged.next().is_some() && !is_placed && swept
    })
});

/// Two replays of the stock ran beside each other, and one discarded what the other was about to compare: all
/// counters were taken for rows that the log does not know. See `views/tests/promises/replay.rs`.
const DISCARDED: (&str, Situation) = ("a replay whose shadow another one discarded", |trace| {
    trace.tells(
        0,
        &[
            "replay             rows  !slow",
            "replay             discard",
            "replay             rows",
            "replay             counted",
            "replay             adopt",
        ],
    )
});

/// Units were reserved and released again while an audit read the log, which had seen one of the two: it took
/// the counters for standing still and wrong. See `views/tests/promises/audit.rs`.
const MOVED_BACK: (&str, Situation) = ("counters that move and move back while an audit reads", |trace| {
    trace.named("EVENT#Settlement", "InventoryReleased").any(|released| {
        trace.named("EVENT#Reservation", "InventoryReserved").any(|reserved| {
            let began =
                trace.lines[..reserved.line].iter().any(|line| line.contains("audit              stocks"));
            let between = &trace.lines[reserved.line..released.line.max(reserved.line)];
            reserved.stream == released.stream
                && began
                && between.iter().any(|line| line.contains("audit              scan"))
                && trace.tells(released.line, &["audit              counted"])
        })
    })
});

/// A forged placing with an earlier id arrived after the real one had been shown. It counted, and its row was taken
/// for one that had seen no more. See `views/tests/promises/replay.rs`.
const EARLIER: (&str, Situation) = ("a claim that was made earlier and arrives later", |trace| {
    trace.named("EVENT#OrderPlaced", "OrderPlaced").any(|placed| {
        let later = |stored: &&Stored<'_>| {
            stored.stream == placed.stream && stored.line > placed.line && stored.name.contains("PLACED")
        };
        trace.stored.iter().filter(later).any(|claim| {
            let between = &trace.lines[placed.line..claim.line];
            claim.id < placed.id
                && !claim.data.contains("this is no JSON")
                && between.iter().any(|line| line.contains("orders-worker      put_order"))
        })
    })
});

/// Somebody registered, was erased, and came again to register under their key, because the first answer was lost. They
/// were told that they could not be. See `apis/tests/api/idempotency.rs`.
const ERASED_SINCE: (&str, Situation) = ("a registration that comes again when it is erased", |trace| {
    trace.repeats().filter(|again| (again.method, again.path) == ("POST", "/customers")).any(|again| {
        let named = |stored: &&Stored<'_>| {
            let customer = stored.stream.rsplit('#').next().unwrap_or_default();
            again.body.contains(&format!(r#""customer_id":"{customer}""#))
        };
        let registered = trace.named("EVENT#CustomerRegistered", "CustomerRegistered").find(named);
        let erased = trace.named("EVENT#CustomerErased", "CustomerErased").find(named);
        let is_between = |line: usize| (again.first..again.line).contains(&line);
        registered.zip(erased).is_some_and(|(one, other)| is_between(one.line) && is_between(other.line))
            && again.answer.starts_with("201")
            && again.answer.contains(r#""erased":true"#)
    })
});

/// Somebody set a price, somebody else another, and the first came again under their key. The price was set again. See
/// `apis/tests/api/idempotency.rs`.
const PRICED_SINCE: (&str, Situation) = ("a price that is asked for again when it is another", |trace| {
    trace.repeats().filter(|again| again.method == "PATCH" && again.body.contains("price")).any(|again| {
        let product = again.path.rsplit('/').next().unwrap_or_default();
        let price = again.body.trim_matches(|letter| "{}".contains(letter));
        let is_set = |stored: &&Stored<'_>| {
            stored.name == "ProductRepriced"
                && stored.stream == format!("EVENTS#PRODUCT_ID#{product}")
                && (again.first..again.line).contains(&stored.line)
        };
        let set: Vec<bool> =
            trace.stored.iter().filter(is_set).map(|stored| stored.data.contains(price)).collect();
        let own = set.iter().position(|is_own| *is_own);
        own.is_some_and(|own| set[own..].contains(&false))
            && again.answer.starts_with("200")
            && !again.answer.contains(price)
    })
});

/// The plan of the line that a failing run prints.
fn plan(seed: u64, only: &str, faults: &str, storm: Option<u64>, without: &str) -> Plan {
    let numbers = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    Plan {
        seed,
        only: numbers(only),
        faults: numbers(faults),
        storm,
        without: switches(without),
        ..Plan::default()
    }
}

fn switches(names: &str) -> Vec<Switch> {
    let switch = |name: &str| Switch::parse(name).unwrap_or_else(|| panic!("there is no {name}"));
    names.split([',', ' ']).filter(|name| !name.is_empty()).map(switch).collect()
}

/// Every promise is kept, though this happens.
fn holds((what, happens): (&str, Situation), plan: &Plan) {
    let outcome = run(&Plan { lines: true, ..plan.clone() });
    assert!(happens(&Trace::of(&outcome.lines)), "{what}: does not happen any more, look for another run");
    assert_eq!(outcome.failure, None, "{}", plan.command());
}

#[test]
fn an_order_whose_next_slot_is_blocked_by_a_raw_event_is_shown_all_the_same() {
    let without = "slow,crash_before,crash_after,lost_answer,throttled,duplicates,delays,reordering,lost_messages,\
        pipe_failures,bus_failures,early_giving_up,skewed_clocks,stale_indexes,gateway_failures,next_version,redrives,\
        operators,hot_skus,collisions,keys,asks_who,built_in_gateway,expiry,late";
    holds(BLOCKED, &plan(63, "387,572", "", Some(1), without));
}

#[test]
fn what_has_no_row_and_stands_still_is_found_in_the_log() {
    let without = "slow,crash_before,crash_after,lost_answer,throttled,duplicates,delays,reordering,lost_messages,\
        pipe_failures,bus_failures,early_giving_up,skewed_clocks,gateway_failures,next_version,redrives,operators,\
        collisions,keys,asks_who,built_in_gateway,expiry,late";
    holds(WITHOUT_ROW, &plan(2, "464,486", "", Some(20), without));
}

#[test]
fn a_replay_whose_shadow_another_one_discarded_takes_no_counter_away() {
    let without = "crash_before,crash_after,lost_answer,throttled,duplicates,pipe_failures,bus_failures,next_version,\
        raw_events,hot_skus,keys,built_in_gateway,expiry,late,gateway_failures";
    let faults = "0-4,6-18,20-31,33-35,37-38,40-58,60-62,64,66-69,84-93,95-100,102-112,114-121";
    holds(DISCARDED, &plan(6_656, "0-3,5-105,108-110,112-135,137-169,402-403", faults, None, without));
}

#[test]
fn counters_that_move_and_move_back_while_an_audit_reads_are_not_taken_for_wrong() {
    let without = "crash_before,crash_after,lost_answer,throttled,duplicates,delays,reordering,lost_messages,\
        pipe_failures,bus_failures,early_giving_up,skewed_clocks,gateway_failures,next_version,raw_events,redrives,keys,\
        asks_who,built_in_gateway,expiry,late";
    holds(MOVED_BACK, &plan(265, "3-7,109", "0", Some(1), without));
}

#[test]
fn a_registration_that_comes_again_stands_though_the_customer_was_erased_since() {
    let without = "slow,crash_after,throttled,delays,reordering,lost_messages,pipe_failures,bus_failures,early_giving_up,\
        stale_indexes,next_version,raw_events,redrives,hot_skus,collisions,asks_who,built_in_gateway,expiry,late,\
        gateway_failures,operators,lost_answer,duplicates";
    holds(ERASED_SINCE, &plan(56, "168,381", "1", Some(1), without));
}

#[test]
fn a_price_that_comes_again_is_not_set_over_a_later_one() {
    let without = "slow,crash_before,crash_after,lost_answer,duplicates,delays,reordering,pipe_failures,bus_failures,\
        gateway_failures,next_version,redrives,hot_skus,collisions,asks_who,built_in_gateway,expiry,late,lost_messages";
    holds(PRICED_SINCE, &plan(110, "7-16,37-46,67-76,323-324", "0-5", None, without));
}

/// Looks for a run in which each of them happens, and makes it small.
#[test]
#[ignore = "by hand, when the course of the runs has changed"]
fn find() {
    let wanted = std::env::var("LOOK_FOR").unwrap_or_default();
    let all = [BLOCKED, WITHOUT_ROW, DISCARDED, MOVED_BACK, EARLIER, ERASED_SINCE, PRICED_SINCE];
    for (what, happens) in all.into_iter().filter(|(what, _)| what.contains(&wanted)) {
        let told = |plan: &Plan| {
            let mut outcome = run(&Plan { lines: true, ..plan.clone() });
            outcome.failure = happens(&Trace::of(&outcome.lines)).then(|| "it happens".to_owned());
            outcome
        };
        let happening = |seed: &u64| told(&Plan { seed: *seed, ..Plan::default() }).failure.is_some();
        let Some(seed) = (0..20_000).find(happening) else {
            println!("{what}: in none of 20,000 seeds");
            continue;
        };
        let patience = Patience { attempts: 3_000, time: Duration::from_secs(40) };
        let small = shrink(&Plan { seed, ..Plan::default() }, "it happens", patience, told, |_| {});
        println!("{what}: {}", small.plan.command());
    }
}
