//! Many runs: one seed after the other on every core, added up, and some of them twice.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::executor::{Micros, SECOND};
use crate::figures::Figures;
use crate::{Plan, run};

/// How many runs, and from which seed on.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// Seeds are run until so many orders were placed.
    pub orders: u64,
    /// So many threads, each with runs of its own.
    pub threads: usize,
}

/// What the runs came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// The seed behind the last one that was run.
    pub until: u64,
    /// Seeds that were run twice: with equal traces, failures and figures.
    pub repeated: u64,
    /// Orders that were placed.
    pub orders: u64,
    /// Events that were stored.
    pub events: u64,
    /// Steps of tasks.
    pub steps: u64,
    /// Virtual time.
    pub virtual_time: Micros,
    /// How long it really took.
    pub took: Duration,
    /// What was seen.
    pub figures: Figures,
    /// The failures, by seed; no more seeds are begun after the first.
    pub failures: Vec<(u64, String)>,
}

/// One seed in so many is run twice.
const REPEAT_EVERY: u64 = 100;

/// Runs seeds until enough orders were placed, or one fails. `observe` is told how many orders there were
/// so far, now and then.
pub fn campaign(campaign: Campaign, observe: impl Fn(u64) + Sync) -> Report {
    let (next, orders) = (AtomicU64::new(campaign.from), AtomicU64::new(0));
    let failed = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    let began = Instant::now();
    let work = || {
        let mut own = Report::default();
        while orders.load(Ordering::Relaxed) < campaign.orders && !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let sum = orders.fetch_add(own.one(seed), Ordering::Relaxed);
            if !own.failures.is_empty() {
                failed.store(true, Ordering::Relaxed);
            }
            if seed.is_multiple_of(256) {
                observe(sum);
            }
        }
        report.lock().expect("no run panics").add(&own);
    };
    thread::scope(|scope| {
        for _ in 0..campaign.threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut report = report.into_inner().expect("no run panics");
    report.took = began.elapsed();
    report.until = next.into_inner();
    report.failures.sort();
    report
}

impl Report {
    /// Runs one seed; gives how many orders were placed.
    fn one(&mut self, seed: u64) -> u64 {
        let plan = Plan { seed, ..Plan::default() };
        let outcome = run(&plan);
        self.seeds += 1;
        self.orders += outcome.orders;
        self.events += outcome.events;
        self.steps += outcome.steps;
        self.virtual_time += outcome.took;
        self.figures.add(&outcome.figures);
        // What fails must fail again, or nobody can look into it.
        if outcome.failure.is_some() || seed.is_multiple_of(REPEAT_EVERY) {
            if run(&plan) == outcome {
                self.repeated += 1;
            } else {
                self.failures.push((seed, "run twice, it did not take the same course".into()));
            }
        }
        self.failures.extend(outcome.failure.map(|why| (seed, why)));
        outcome.orders
    }

    fn add(&mut self, other: &Report) {
        self.seeds += other.seeds;
        self.repeated += other.repeated;
        self.orders += other.orders;
        self.events += other.events;
        self.steps += other.steps;
        self.virtual_time += other.virtual_time;
        self.figures.add(&other.figures);
        self.failures.extend(other.failures.iter().cloned());
    }

    /// Orders a minute, as they really took.
    pub fn orders_a_minute(&self) -> u64 {
        (self.orders as f64 * 60.0 / self.took.as_secs_f64().max(1e-9)) as u64
    }

    /// The figures in words.
    pub fn summary(&self) -> String {
        let days = self.virtual_time / SECOND / 86_400;
        format!(
            "{} orders of {} seeds (to {}), {} events, {} steps, {days} days of virtual time in {:.1} s: \
             {} orders a minute; {} seeds run twice with equal outcomes",
            self.orders,
            self.seeds,
            self.until,
            self.events,
            self.steps,
            self.took.as_secs_f64(),
            self.orders_a_minute(),
            self.repeated,
        )
    }
}
