//! A seed is a run, the same every time, and nothing that a run promises is broken.

use simulator::numbers::Numbers;
use simulator::swarm::Switch;
use simulator::{Plan, run};

#[test]
fn a_seed_repeats_its_run_exactly() {
    for seed in 0..12 {
        let once = || {
            let outcome = run(&Plan { seed, lines: true, ..Plan::default() });
            (outcome.hash, outcome.steps, outcome.events, outcome.failure, outcome.lines)
        };
        assert_eq!(once(), once(), "{seed}");
    }
}

#[test]
fn two_seeds_are_two_runs() {
    let hash = |seed| run(&Plan { seed, ..Plan::default() }).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn every_promise_holds_in_the_first_seeds() {
    for seed in 0..40 {
        assert_eq!(run(&Plan { seed, ..Plan::default() }).failure, None, "{seed}");
    }
}

#[test]
fn a_run_without_faults_has_none() {
    let without: Vec<Switch> = Switch::ALL.to_vec();
    let outcome = run(&Plan { seed: 3, without, ..Plan::default() });
    assert_eq!(outcome.failure, None);
    assert!(
        outcome
            .figures
            .calls()
            .all(|(_, _, calls, struck)| calls > 0 && struck.iter().all(|count| *count == 0))
    );
}

#[test]
fn a_run_of_no_requests_places_no_order() {
    assert_eq!(run(&Plan { seed: 4, only: Some(Numbers::default()), ..Plan::default() }).orders, 0);
}
