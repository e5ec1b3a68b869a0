//! Runs that failed once, shrunk: what was wrong is mended, and stays so.
//!
//! A run's course changes with the code that it runs, and could then pass because nothing happens in it any more. So
//! each says what it was about, and fails if that does not happen. Then a run must be found in which it does: take
//! back what the commit mended, let the simulator look for a seed, and shrink it. Each of these bugs has a test of
//! its own beside the code that was mended, too.

#![allow(clippy::unwrap_used, reason = "tests")]

use simulator::swarm::Switch;
use simulator::{Plan, run};

/// The plan of the line that a failing run prints.
fn plan(seed: u64, only: &str, faults: Option<&str>, storm: Option<u64>, without: &str) -> Plan {
    let switch = |name: &str| Switch::parse(name).unwrap_or_else(|| panic!("there is no {name}"));
    Plan {
        seed,
        only: Some(only.parse().unwrap()),
        faults: faults.map(|faults| faults.parse().unwrap()),
        storm,
        without: without.split([',', ' ']).filter(|name| !name.is_empty()).map(switch).collect(),
        ..Plan::default()
    }
}

/// Every promise is kept, though all of this happens, one after the other.
fn holds(plan: &Plan, happens: &[&str]) {
    let outcome = run(&Plan { lines: true, ..plan.clone() });
    let mut lines = outcome.lines.lines();
    for what in happens {
        assert!(lines.any(|line| line.contains(what)), "{what} does not happen: {}", plan.command());
    }
    assert_eq!(outcome.failure, None, "{}", plan.command());
}

/// The orders worker gave up before it wrote any row; mended in 8e104b7. See `workers/tests/raw_events.rs`.
#[test]
fn an_order_whose_next_slot_is_blocked_by_a_raw_event_is_shown_all_the_same() {
    let without = "slow,crash_before,crash_after,lost_answer,throttled,duplicates,delays,reordering,\
        lost_messages,pipe_failures,bus_failures,early_giving_up,gateway_failures,next_version,redrives,\
        operators,collisions,built_in_gateway,hot_skus,skewed_clocks";
    holds(
        &plan(2, "171,189", None, Some(1), without),
        &[
            "order-16 EVENT#ReserveInventory ORDER_CREATED_EVENT",
            "order-16 EVENT#OrderPlaced ORDER_PLACED_EVENT",
            "orders-worker      append",
            "orders-worker      put_order",
        ],
    );
}

/// The sweeper found orders by their rows alone; mended in 8e104b7. See `workers/tests/log_sweeper.rs`.
#[test]
fn what_has_no_row_and_stands_still_is_found_in_the_log() {
    let without = "slow,crash_after,lost_answer,throttled,delays,reordering,pipe_failures,bus_failures,\
        early_giving_up,skewed_clocks,stale_indexes,gateway_failures,next_version,operators,hot_skus,\
        collisions,built_in_gateway,crash_before,duplicates,lost_messages,redrives";
    holds(
        &plan(16, "109,136", None, Some(1), without),
        &[
            "inventory-worker   read_stream",
            "order-17 EVENT#Reservation ORDER_STOCK_ALLOCATED_EVENT",
            "oms-log-sweeper    nudge",
            "order-17 EVENT#Settlement InventoryReleased",
        ],
    );
}

/// Two replays of the stock ran beside each other, and one discarded what the other was about to compare: all
/// counters were taken for rows that the log does not know; mended in cd0b0a5. See `views/tests/promises/replay.rs`.
#[test]
fn a_replay_whose_shadow_another_one_discarded_takes_no_counter_away() {
    let without = "crash_before,crash_after,lost_answer,throttled,duplicates,delays,lost_messages,\
        early_giving_up,skewed_clocks,stale_indexes,gateway_failures,next_version,raw_events,hot_skus,\
        collisions,built_in_gateway,pipe_failures";
    holds(
        &plan(1_042_290, "0-27,29-40,42", Some("0,6"), Some(1), without),
        &[
            "replay             rows  !slow",
            "replay             discard",
            "replay             rows",
            "replay             counted",
            "replay             adopt",
        ],
    );
}

/// Units were reserved and released again while an audit read the log, which had seen one of the two: it took
/// the counters for standing still and wrong; mended in b4e025e. See `views/tests/promises/audit.rs`.
#[test]
fn counters_that_moved_and_moved_back_while_the_log_was_read_are_no_difference() {
    let only = "0-37,40,42,45-48,54,56-57,61,64-65,70-71,74,76-77,81,83,85,90,92-93,96,104,107-108,111,113,\
        124-125,127-128,132-135,137,139-142,145,156,165,168-171,197";
    let without = "slow,crash_before,crash_after,lost_answer,throttled,delays,reordering,lost_messages,\
        pipe_failures,bus_failures,stale_indexes,gateway_failures,next_version,raw_events,redrives,hot_skus,\
        collisions,built_in_gateway,duplicates";
    holds(
        &plan(1_045_999, only, Some("none"), None, without),
        &[
            "audit              stocks",
            "order-72 EVENT#Reservation InventoryReserved",
            "audit              scan",
            "order-72 EVENT#Settlement InventoryReleased",
            "audit              ledger",
        ],
    );
}

/// A forged placing with an earlier id arrived after the real one had been shown. It counted, and its row was taken
/// for one that had seen no more; mended in 5fd562a. See `views/tests/promises/replay.rs`.
#[test]
fn a_claim_that_was_made_earlier_and_arrived_later_is_shown() {
    let without = "slow,crash_before,duplicates,reordering,early_giving_up,stale_indexes,gateway_failures,\
        next_version,redrives,operators,hot_skus,collisions,built_in_gateway,lost_answer,pipe_failures,\
        lost_messages";
    let only = "0-3,5-19,51-55,57-58,74-75,77-79,82,84-87,124";
    // An id begins with its time.
    holds(
        &plan(3_050_726, only, Some("15,17"), None, without),
        &[
            "stored 01KDVE4Y",
            "order-2 EVENT#Reservation InventoryReservationFailed",
            "orders-worker      put_order",
            "stored 01KDVDJV",
        ],
    );
    let without = "slow,lost_answer,reordering,pipe_failures,bus_failures,stale_indexes,gateway_failures,\
        next_version,operators,hot_skus,collisions,built_in_gateway";
    let only = "0-24,29-47,64-146,148-191,212-279,281,285-306,308-320,333-389,391-406,409-435,437-444,446-484,\
        493-498,500-519,521-534,536-538,545-546";
    holds(
        &plan(4_016_182, only, None, None, without),
        &["order-77 EVENT#Settlement ORDER_PLACED_EVENT", "order-77 EVENT#OrderPlaced OrderPlaced"],
    );
}
