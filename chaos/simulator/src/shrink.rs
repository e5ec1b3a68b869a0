//! Making a failing run small: fewer requests, fewer faults, a shorter storm, as long as it fails in the same way.

use std::time::{Duration, Instant};

use views::invariants::Invariant;

use crate::executor::SECOND;
use crate::numbers::Numbers;
use crate::swarm::{Swarm, Switch};
use crate::{Outcome, Plan};

/// How long somebody waits for a smaller plan.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// So many plans are tried at most.
    pub attempts: u32,
    /// None is begun after so long.
    pub time: Duration,
}

/// A plan that fails still, with as little in it as could be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// What to run.
    pub plan: Plan,
    /// How it fails.
    pub why: String,
    /// How many plans were tried.
    pub attempts: u32,
    /// Whether nothing more could be left out, or patience was at its end before.
    pub is_smallest: bool,
}

/// Makes a failing plan small; `run` runs one, and `observe` is told of every smaller one that is found.
///
/// A run is one sequence of draws, so that leaving something out changes what comes after it: a smaller plan may fail
/// in another way, or not at all. Only what fails in the same way is kept. A plan that does not fail again as it is
/// said to is given back as it is.
pub fn shrink(
    plan: &Plan,
    why: &str,
    patience: Patience,
    run: impl Fn(&Plan) -> Outcome,
    observe: impl Fn(&Shrunk),
) -> Shrunk {
    let smallest = Shrunk { plan: plan.clone(), why: why.to_owned(), attempts: 0, is_smallest: true };
    let until = Instant::now() + patience.time;
    let mut search =
        Search { run, observe, kind: kind(why), smallest, requests: 0, faults: 0, patience, until };
    if search.fails(plan.clone()) {
        search.go_on();
    }
    search.smallest
}

/// The promise that was broken; or how the failure begins, without ids, numbers and what else is its own.
fn kind(why: &str) -> String {
    let first = why.split(": ").next().unwrap_or_default();
    let promise = first.strip_prefix("at rest, ").unwrap_or(first);
    if Invariant::ALL.iter().any(|known| known.name() == promise) {
        return promise.to_owned();
    }
    // A panic's place counts, with its line.
    let is_plain = |word: &&str| {
        word.contains(".rs:") || word.chars().all(|letter| letter.is_alphabetic() || "_'".contains(letter))
    };
    let words =
        why.split_whitespace().map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).filter(is_plain).take(8).collect();
    words.join(" ")
}

/// Where a plan keeps which of its requests, or which of its faults, are left.
type Of = fn(&mut Plan) -> &mut Option<Numbers>;

struct Search<Run, Observe> {
    run: Run,
    observe: Observe,
    kind: String,
    smallest: Shrunk,
    /// Of the smallest plan's run.
    requests: u64,
    faults: u64,
    patience: Patience,
    until: Instant,
}

impl<Run: Fn(&Plan) -> Outcome, Observe: Fn(&Shrunk)> Search<Run, Observe> {
    fn go_on(&mut self) {
        loop {
            let before = self.smallest.plan.clone();
            self.fewer_kinds();
            self.fewer(|plan| &mut plan.only, self.requests);
            self.fewer(|plan| &mut plan.faults, self.faults);
            self.shorter();
            if self.smallest.plan == before {
                return;
            }
        }
    }

    /// Whether a plan fails in the same way; then it is the smallest so far.
    fn fails(&mut self, plan: Plan) -> bool {
        if self.smallest.attempts >= self.patience.attempts || Instant::now() > self.until {
            self.smallest.is_smallest = false;
            return false;
        }
        self.smallest.attempts += 1;
        let outcome = (self.run)(&plan);
        let Some(why) = outcome.failure.filter(|why| kind(why) == self.kind) else { return false };
        (self.requests, self.faults) = (outcome.requests, outcome.faults);
        (self.smallest.plan, self.smallest.why) = (plan, why);
        (self.observe)(&self.smallest);
        true
    }

    /// Turns off one kind of fault after the other.
    fn fewer_kinds(&mut self) {
        for switch in Switch::ALL {
            let mut plan = self.smallest.plan.clone();
            if !plan.without.contains(switch) {
                plan.without.push(*switch);
                self.fails(plan);
            }
        }
    }

    /// Leaves out all, then halves, then ever smaller parts, down to single ones, the last ones first: what comes last
    /// changes least of the course. (A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
    /// 2002.)
    fn fewer(&mut self, of: Of, all: u64) {
        let mut kept = of(&mut self.smallest.plan).clone().unwrap_or_else(|| (0..all).collect());
        let mut size = kept.len();
        while size > 0 {
            let mut end = kept.len();
            while end > 0 {
                let begin = end.saturating_sub(size);
                let fewer = kept.without(begin..end);
                let mut plan = self.smallest.plan.clone();
                *of(&mut plan) = Some(fewer.clone());
                if self.fails(plan) {
                    kept = fewer;
                }
                end = begin;
            }
            size = size.min(kept.len()) / 2;
        }
    }

    /// Lets the storm take less time.
    fn shorter(&mut self) {
        let plan = &self.smallest.plan;
        let storm = plan.storm.unwrap_or_else(|| Swarm::draw(plan.seed, &plan.without).storm / SECOND);
        for shorter in [1, 5, 20, 60, 300].into_iter().filter(|seconds| *seconds < storm) {
            let plan = Plan { storm: Some(shorter), ..self.smallest.plan.clone() };
            if self.fails(plan) {
                return;
            }
        }
    }
}

impl Plan {
    /// The words that run it again.
    pub fn command(&self) -> String {
        let mut command = format!("cargo xtask sim --seed {}", self.seed);
        if let Some(only) = &self.only {
            command += &format!(" --only {only}");
        }
        if let Some(faults) = &self.faults {
            command += &format!(" --faults {faults}");
        }
        if let Some(storm) = self.storm {
            command += &format!(" --storm {storm}");
        }
        if !self.without.is_empty() {
            let names: Vec<&str> = self.without.iter().map(|switch| switch.name()).collect();
            command += &format!(" --without {}", names.join(","));
        }
        #[cfg(feature = "planted")]
        if let Some(bug) = self.planted {
            command += &format!(" --bug {bug}");
        }
        command + " --trace"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { attempts: 1_000, time: Duration::from_secs(600) };

    /// A run of 100 requests and 50 faults that comes to this failure.
    fn outcome(failure: Option<&str>) -> Outcome {
        Outcome { failure: failure.map(str::to_owned), requests: 100, faults: 50, ..Outcome::default() }
    }

    fn has(numbers: &Option<Numbers>, number: u64) -> bool {
        numbers.as_ref().is_none_or(|numbers| numbers.contains(number))
    }

    fn shrunk(why: &str, patience: Patience, run: impl Fn(&Plan) -> Option<&'static str>) -> Shrunk {
        let plan = Plan { seed: 7, ..Plan::default() };
        shrink(&plan, why, patience, |plan| outcome(run(plan)), |_| {})
    }

    #[test]
    fn only_what_a_failure_needs_is_left() {
        let found = shrunk("taken: order-1", PATIENCE, |plan| {
            let needed = [3, 41, 97].iter().all(|number| has(&plan.only, *number));
            let fails = needed && has(&plan.faults, 23) && !plan.without.contains(&Switch::Delays);
            fails.then_some("taken: order-1")
        });
        let without: Vec<&str> =
            Switch::ALL.iter().map(|switch| switch.name()).filter(|name| *name != "delays").collect();
        let line = format!(
            "cargo xtask sim --seed 7 --only 3,41,97 --faults 23 --storm 1 --without {} --trace",
            without.join(",")
        );
        assert_eq!((found.plan.command(), found.is_smallest), (line, true));
        assert!(found.attempts < 250, "{} attempts", found.attempts);
    }

    #[test]
    fn a_plan_that_fails_in_another_way_is_not_a_smaller_one() {
        let found = shrunk("at rest, sold: order-7 has 3", PATIENCE, |plan| {
            let whole = has(&plan.only, 60);
            Some(if whole { "at rest, sold: order-9 has 1" } else { "cause: order-7" })
        });
        assert_eq!(found.plan.only.map(|only| only.to_string()).as_deref(), Some("60"));
        assert_eq!(found.why, "at rest, sold: order-9 has 1");
    }

    #[test]
    fn a_panic_is_the_same_where_its_place_is() {
        let found = shrunk("panicked at workers/src/orders.rs:3:4: order-7", PATIENCE, |plan| {
            let place = if has(&plan.faults, 11) { "orders.rs:3:4" } else { "lib.rs:9:9" };
            let words = format!("panicked at workers/src/{place}: order-8");
            Some(Box::leak(words.into_boxed_str()))
        });
        assert_eq!(found.plan.faults.map(|faults| faults.to_string()).as_deref(), Some("11"));
    }

    #[test]
    fn what_does_not_fail_again_is_given_back_and_patience_ends() {
        let found = shrunk("taken: order-1", PATIENCE, |_| None);
        assert_eq!((found.plan, found.attempts), (Plan { seed: 7, ..Plan::default() }, 1));
        let hasty = Patience { attempts: 20, ..PATIENCE };
        let found = shrunk("taken: order-1", hasty, |_| Some("taken: order-1"));
        assert_eq!((found.attempts, found.is_smallest), (20, false));
    }

    #[test]
    fn a_failure_is_known_by_its_promise_or_its_first_words() {
        for (one, other) in [
            (
                "charged_once: EVENTS#ORDER_ID#order-1 was charged 2 times",
                "charged_once: x was charged 3 times",
            ),
            ("at rest, end: order-1 is PAID, and still owed a", "at rest, end: order-2 is SHIPPED"),
            (
                "the reference model disagrees: order order-12 has not ended: {\"a\":1}",
                "the reference model disagrees: order 536365 has not ended: null",
            ),
        ] {
            assert_eq!(kind(one), kind(other));
        }
        for (one, other) in [
            ("taken: order-1", "sold: order-1"),
            (
                "the reference model disagrees: order order-1 has not ended: {}",
                "the reference model disagrees: order order-1 was cancelled, and is PAID",
            ),
        ] {
            assert_ne!(kind(one), kind(other));
        }
    }
}
