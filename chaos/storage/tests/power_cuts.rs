//! What the simulator claims of the store, and that it would notice if the store broke its word.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use storage_simulator::{Options, Planted, Report, run};

/// Runs seeds until there were so many power cuts.
fn cut(first_seed: u64, cuts: u64) -> Report {
    let mut all = Report::default();
    let mut seed = first_seed;
    while all.cuts < cuts {
        all += run(&Options::of(seed)).unwrap_or_else(|failure| panic!("{failure}"));
        seed += 1;
    }
    all
}

#[test]
fn two_hundred_power_cuts_lose_nothing_that_was_acknowledged_and_meet_every_stage_of_a_store() {
    let report = cut(0, 200);
    println!("{report}");
    assert!(report.acknowledged > 5_000, "so many writes had something to lose");
    assert!(report.cuts_while_opening > 0, "a recovery was cut, too");
    assert!(report.kills > 0 && report.closes > 0, "other lives ended otherwise");
    assert!(report.full > 0 && report.refused_openings > 0 && !report.failed.is_empty());
    assert!(report.interleaved > 0, "the log was copied in the middle of a commit");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..12 {
        let first = run(&Options::of(seed)).unwrap();
        assert_eq!(first, run(&Options::of(seed)).unwrap(), "seed {seed}");
        assert!(first.calls > 0);
    }
}

/// The first of 200 seeds that finds the bug, and what it says.
fn first_to_find(bug: Planted) -> (u64, String) {
    let found = (0..200).find_map(|seed| {
        let options = Options { bug: Some(bug), ..Options::of(seed) };
        run(&options).err().map(|failure| (seed, failure.what))
    });
    found.unwrap_or_else(|| panic!("{bug:?} is not found within 200 seeds"))
}

#[test]
fn a_skipped_sync_is_found() {
    println!("{:?}", first_to_find(Planted::SkippedSync));
}

#[test]
fn an_acknowledgement_before_it_is_durable_is_found() {
    println!("{:?}", first_to_find(Planted::AnsweredBeforeCommit));
}

#[test]
fn an_event_and_its_counters_in_two_writes_are_found() {
    println!("{:?}", first_to_find(Planted::EventAndCountersInTwoWrites));
}
