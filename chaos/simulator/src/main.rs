//! The simulator's command: many seeds, or one of them again.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use simulator::numbers::Numbers;
use simulator::runs::{Campaign, Report, campaign};
use simulator::shrink::{Patience, shrink};
use simulator::site::Fault;
use simulator::swarm::{Swarm, Switch};
use simulator::{Plan, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the whole system under virtual time, with everything going wrong that can, and says whether every
/// promise held. One seed is one run, the same every time.
#[derive(Parser)]
struct Options {
    /// Run seeds until so many orders were placed.
    #[arg(long, default_value_t = 20_000)]
    orders: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads, each with seeds of its own; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Say for every call of every handler how often each fault struck it.
    #[arg(long)]
    coverage: bool,
    /// Fail if a fault never struck one of the calls that handlers make, or a fact that should be true sometimes never
    /// was.
    #[arg(long)]
    require_coverage: bool,
    /// Run one seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// … and print everything that happens in it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// … with only these of its requests, by the numbers in the trace: `0-12,17`, or `none`.
    #[arg(long, requires = "seed")]
    only: Option<Numbers>,
    /// … with only these of the faults that it draws, by the numbers in the trace.
    #[arg(long, requires = "seed")]
    faults: Option<Numbers>,
    /// … with a storm of so many seconds.
    #[arg(long, requires = "seed")]
    storm: Option<u64>,
    /// … without these faults, separated by commas.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    without: Vec<String>,
    /// … and if it fails, find less that fails in the same way.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Plant a bug in that run, or `all` of them in turn in the first 200 seeds each.
    #[cfg(feature = "planted")]
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    match options(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(options: &Options) -> anyhow::Result<()> {
    #[cfg(feature = "planted")]
    if options.bug.as_deref() == Some("all") {
        return all_bugs();
    }
    match options.seed {
        Some(seed) => one(options, seed),
        None => many(options),
    }
}

fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    let switch = |name: &String| {
        let known: Vec<&str> = Switch::ALL.iter().map(|switch| switch.name()).collect();
        Switch::parse(name).with_context(|| format!("there is no {name}; known are {}", known.join(", ")))
    };
    let without = options.without.iter().map(switch).collect::<anyhow::Result<_>>()?;
    Ok(Plan {
        seed,
        only: options.only.clone(),
        faults: options.faults.clone(),
        storm: options.storm,
        without,
        lines: options.trace,
        #[cfg(feature = "planted")]
        planted: bug(options)?,
    })
}

#[cfg(feature = "planted")]
fn bug(options: &Options) -> anyhow::Result<Option<simulator::planted::Bug>> {
    use simulator::planted::Bug;
    let known = || Bug::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        Bug::parse(name).with_context(|| format!("there is no {name}; known are {}", known()))
    };
    options.bug.as_ref().map(find).transpose()
}

/// Runs one seed and says what happened.
fn one(options: &Options, seed: u64) -> anyhow::Result<()> {
    let plan = plan(options, seed)?;
    if options.trace {
        println!("{:#?}", Swarm::draw(seed, &plan.without));
    }
    let outcome = run(&plan);
    print!("{}", outcome.lines);
    println!(
        "seed {seed}: {} orders, {} events, {} steps, {} s of virtual time, trace {:016x}",
        outcome.orders,
        outcome.events,
        outcome.steps,
        outcome.took / simulator::executor::SECOND,
        outcome.hash
    );
    let Some(why) = outcome.failure else { return Ok(()) };
    if options.shrink {
        smaller(&plan, &why);
    }
    bail!("{why}")
}

/// For one failing seed: most take a few seconds.
const PATIENCE: Patience = Patience { attempts: 5_000, time: Duration::from_secs(60) };

/// Makes a failing plan small and prints the line that runs it.
fn smaller(plan: &Plan, why: &str) {
    let plan = Plan { lines: false, ..plan.clone() };
    let shown = std::io::stderr().is_terminal();
    let shrunk = shrink(&plan, why, PATIENCE, run, |so_far| {
        if shown {
            let left =
                |numbers: &Option<Numbers>| numbers.as_ref().map_or("all".into(), |of| of.len().to_string());
            let (requests, faults) = (left(&so_far.plan.only), left(&so_far.plan.faults));
            eprint!("\r{} attempts: {requests} requests, {faults} faults   ", so_far.attempts);
        }
    });
    if shown {
        eprintln!();
    }
    let end = if shrunk.is_smallest { "" } else { ", not to the end" };
    println!("  shrunk in {} attempts{end}: {}\n  {}", shrunk.attempts, shrunk.plan.command(), shrunk.why);
}

/// Runs many seeds and adds them up.
fn many(options: &Options) -> anyhow::Result<()> {
    let threads = options.threads.unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    let asked = Campaign { from: options.from, orders: options.orders, threads };
    let shown = std::io::stderr().is_terminal();
    let report = campaign(asked, |orders| {
        if shown {
            eprint!("\r{orders} of {} orders", options.orders);
            std::io::stderr().flush().ok();
        }
    });
    if shown {
        eprintln!();
    }
    println!("{}", report.summary());
    if options.coverage {
        coverage(&report);
    }
    println!("{} facts that should be true sometimes never were", report.figures.never().len());
    report.figures.never().iter().for_each(|never| println!("  never: {never}"));
    let (unstruck, unknown) = (report.figures.unstruck(), report.figures.unknown());
    println!("{} times a fault never struck a call that a handler makes", unstruck.len());
    for (handler, call, fault) in &unstruck {
        println!("  never: {handler} {call} {fault}");
    }
    let quiet: Vec<Switch> =
        report.figures.between().filter(|(_, count)| *count == 0).map(|(what, _)| what).collect();
    println!("{} faults never struck between the ports", quiet.len());
    quiet.iter().for_each(|what| println!("  never: {what}"));
    println!("{} calls were made that no table knows", unknown.len());
    for (handler, call) in &unknown {
        println!("  unknown: {handler} {call}; add it to SITES");
    }
    for (seed, why) in &report.failures {
        println!("seed {seed}: {why}");
        let plan = Plan { seed: *seed, ..Plan::default() };
        println!("  again: {}", plan.command());
        smaller(&plan, why);
    }
    if !report.failures.is_empty() {
        bail!("{} seeds failed", report.failures.len());
    }
    if !unknown.is_empty() {
        bail!("{} calls were made that no table knows", unknown.len());
    }
    let gaps = report.figures.never().len() + unstruck.len() + quiet.len();
    if options.require_coverage && gaps > 0 {
        bail!("{gaps} things never happened; run more orders, or find out why they cannot");
    }
    Ok(())
}

fn coverage(report: &Report) {
    let faults: Vec<String> = Fault::ALL.iter().map(|fault| format!("{fault:>12}")).collect();
    println!("{:<32} {:<16} {:>12} {}", "handler", "call", "calls", faults.join(" "));
    for (handler, call, calls, struck) in report.figures.calls() {
        let struck: Vec<String> = struck.iter().map(|count| format!("{count:>12}")).collect();
        println!("{handler:<32} {call:<16} {calls:>12} {}", struck.join(" "));
    }
    for (what, count) in report.figures.between() {
        println!("{:<49} {count:>12}", format!("between the ports: {what}"));
    }
    for what in simulator::figures::Sometimes::ALL {
        println!("{:>12}  {what}", report.figures.times(*what));
    }
}

/// Every bug must be caught within a bounded number of seeds.
#[cfg(feature = "planted")]
fn all_bugs() -> anyhow::Result<()> {
    use simulator::planted::{Bug, CAUGHT_WITHIN, caught};
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match caught(*bug) {
            Some((seed, why)) => println!("{bug} was caught by seed {seed}: {why}"),
            None => missed.push(bug.name()),
        }
    }
    if !missed.is_empty() {
        bail!("nobody noticed within {CAUGHT_WITHIN} seeds: {}", missed.join(", "));
    }
    println!("{} planted bugs were caught", Bug::ALL.len());
    Ok(())
}
