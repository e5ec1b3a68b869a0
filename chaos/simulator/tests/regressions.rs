//! Runs that failed once, shrunk: what was wrong is mended, and stays so.
//!
//! A run's course changes with the code that it runs, so each of these bugs has a test of its own beside the
//! code that was mended, too.

use simulator::swarm::Switch;
use simulator::{Plan, run};

/// The plan of the line that a failing run prints.
fn plan(seed: u64, asks: usize, without: &str) -> Plan {
    let switch = |name: &str| Switch::parse(name).unwrap_or_else(|| panic!("there is no {name}"));
    Plan { seed, asks: Some(asks), without: without.split(',').map(switch).collect(), ..Plan::default() }
}

fn holds(plan: Plan) {
    assert_eq!(run(&plan).failure, None);
}

/// The orders worker gave up before it wrote any row. See `workers/tests/raw_events.rs`.
#[test]
fn an_order_whose_next_slot_is_blocked_by_a_raw_event_is_shown_all_the_same() {
    let without = "slow,crash_before,crash_after,lost_answer,throttled,duplicates,delays,reordering,\
        lost_messages,pipe_failures,bus_failures,early_giving_up,gateway_failures,next_version,redrives,\
        operators,collisions,built_in_gateway,hot_skus,skewed_clocks";
    holds(plan(2, 159, &without.replace(' ', "")));
}

/// The sweeper found orders by their rows alone. See `workers/tests/log_sweeper.rs`.
#[test]
fn what_has_no_row_and_stands_still_is_found_in_the_log() {
    let without = "slow,crash_after,lost_answer,throttled,delays,reordering,pipe_failures,bus_failures,\
        early_giving_up,skewed_clocks,stale_indexes,gateway_failures,next_version,operators,hot_skus,\
        collisions,built_in_gateway,crash_before,duplicates,lost_messages,redrives";
    holds(plan(16, 94, &without.replace(' ', "")));
}

/// Two replays of the stock ran beside each other, and one discarded what the other was about to compare: all
/// counters were taken for rows that the log does not know. See `views/tests/promises/replay.rs`.
#[test]
fn a_replay_whose_shadow_another_one_discarded_takes_no_counter_away() {
    let without = "crash_before,crash_after,lost_answer,throttled,duplicates,delays,lost_messages,\
        early_giving_up,skewed_clocks,stale_indexes,gateway_failures,next_version,raw_events,hot_skus,\
        collisions,built_in_gateway,pipe_failures";
    holds(plan(1_042_290, 55, &without.replace(' ', "")));
}

/// Units were reserved and released again while an audit read the log, which had seen one of the two: it took
/// the counters for standing still and wrong. See `views/tests/promises/audit.rs`.
#[test]
fn counters_that_moved_and_moved_back_while_the_log_was_read_are_no_difference() {
    let without = "slow,crash_before,crash_after,lost_answer,throttled,delays,reordering,lost_messages,\
        pipe_failures,bus_failures,stale_indexes,gateway_failures,next_version,raw_events,redrives,hot_skus,\
        collisions,built_in_gateway";
    holds(plan(1_045_999, 166, &without.replace(' ', "")));
}

/// A forged placing with an earlier id arrived after the real one had been shown. It counted, and its row was taken
/// for one that had seen no more. See `views/tests/promises/replay.rs`.
#[test]
fn a_claim_that_was_made_earlier_and_arrived_later_is_shown() {
    let without = "slow,crash_before,duplicates,reordering,early_giving_up,stale_indexes,gateway_failures,\
        next_version,redrives,operators,hot_skus,collisions,built_in_gateway";
    holds(plan(3_050_726, 174, &without.replace(' ', "")));
    let without = "slow,lost_answer,reordering,pipe_failures,bus_failures,stale_indexes,gateway_failures,\
        next_version,operators,hot_skus,collisions,built_in_gateway";
    holds(plan(4_016_182, 557, &without.replace(' ', "")));
}
