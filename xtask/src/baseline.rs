//! The baseline that is kept in `docs/baseline.json`: what k6 measured, on which machine, of which version, and how it
//! compares with the last one.

use std::env;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::root;

/// Where the last baseline is kept.
const FILE: &str = "docs/baseline.json";
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
/// What a figure depends on, beside the code.
const CIRCUMSTANCES: [&str; 6] = ["date", "version", "commit", "machine", "cores", "load_before"];

/// What chaos/k6/baseline.js takes from the environment: runs can be compared only without.
const OTHERWISE: [&str; 2] = ["RATE", "SECONDS"];

/// Compares k6's summary with the last baseline, and puts it in its place.
///
/// # Errors
/// A summary without a figure that is compared, or a file that cannot be read or written.
pub fn keep(summary: &Value, circumstances: Map<String, Value>) -> anyhow::Result<()> {
    let path = root().join(FILE);
    let last = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("failed to read {FILE}"))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
        Err(error) => return Err(error).with_context(|| format!("failed to read {FILE}")),
    };
    let now = baseline(summary, circumstances)?;
    print!("\n{}", comparison(&last, &now));
    if OTHERWISE.iter().any(|name| env::var_os(name).is_some()) {
        println!("\nnot kept: with {} it is another load", OTHERWISE.join(" or "));
        return Ok(());
    }
    fs::write(&path, format!("{now:#}\n")).with_context(|| format!("failed to write {FILE}"))?;
    println!("\nkept in {FILE}; figures of another machine, or of a busy one, say nothing about this one");
    Ok(())
}

/// What is kept.
fn baseline(summary: &Value, circumstances: Map<String, Value>) -> anyhow::Result<Value> {
    let mut figures = Map::new();
    for (metric, name) in COMPARED {
        let figure = summary["metrics"][metric][name].as_f64();
        let figure = figure.with_context(|| format!("k6 says no {name} of {metric}"))?;
        figures.insert(format!("{metric} {name}"), json!((figure * 1_000.0).round() / 1_000.0));
    }
    let mut kept = circumstances;
    kept.insert("command".into(), "cargo xtask k6 baseline".into());
    kept.insert("unit".into(), "milliseconds, unless a rate (in a second) or a count".into());
    kept.insert("figures".into(), figures.into());
    Ok(kept.into())
}

/// Both beside each other, as a table.
fn comparison(last: &Value, now: &Value) -> String {
    let mut table = format!("{:<38}{:>20}{:>20}{:>8}\n", "baseline", "last", "now", "ratio");
    let mut row = |name: &str, last: String, now: String, ratio: String| {
        writeln!(table, "{name:<38}{last:>20}{now:>20}{ratio:>8}").expect("a String takes every text");
    };
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().take(19).collect(),
        value => value.to_string(),
    };
    for name in CIRCUMSTANCES {
        row(name, text(&last[name]), text(&now[name]), String::new());
    }
    for (metric, name) in COMPARED {
        let label = format!("{metric} {name}");
        let [last, now] = [last, now].map(|baseline| baseline["figures"][&label].as_f64());
        let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        let ratio = last.zip(now).filter(|(last, _)| *last > 0.0).map(|(last, now)| now / last);
        row(&label, figure(last), figure(now), figure(ratio));
    }
    table
}

/// Today, this machine, this code. To be asked before the load, which is a load of its own.
///
/// # Errors
/// Git or cargo cannot be asked.
pub fn circumstances() -> anyhow::Result<Map<String, Value>> {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let is_changed = !output("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"])?;
    let all = json!({
        "date": output("date", &["-u", "+%F"])?,
        "version": env!("CARGO_PKG_VERSION"),
        "commit": if is_changed { format!("{commit} and changes") } else { commit },
        "machine": processor(),
        "cores": cores,
        "load_before": load(),
    });
    match all {
        Value::Object(all) => Ok(all),
        _ => bail!("an object was made, and is none"),
    }
}

/// The processor's name, where Linux shows it.
fn processor() -> Value {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        about.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    name.map_or(Value::Null, |(_, name)| name.trim().into())
}

/// How many processes wanted a core over the last minute: above the number of cores, the machine was busy.
fn load() -> Value {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse::<f64>().ok()).into()
}

fn output(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let said = Command::new(program).args(words).current_dir(root()).output();
    let said = said.with_context(|| format!("failed to run {program}"))?;
    if !said.status.success() {
        bail!("{program} {} failed: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rate: f64) -> Value {
        let trend = json!({ "med": 2.0004, "p(95)": 8.5, "p(99)": 12.25 });
        let summary = json!({ "metrics": {
            "http_reqs": { "rate": rate }, "http_req_duration{kind:crud}": trend, "time_to_settle": trend,
            "orders_placed": { "count": 3000 },
        }});
        let mut circumstances = Map::new();
        circumstances.insert("version".into(), "1.0.0".into());
        baseline(&summary, circumstances).unwrap()
    }

    #[test]
    fn a_baseline_stands_beside_the_last_one_with_what_came_of_it() {
        let table = comparison(&measured(400.0), &measured(500.0));
        let line = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(line("http_reqs rate"), ["400.00", "500.00", "1.25"]);
        assert_eq!(line("http_req_duration{kind:crud} med"), ["2.00", "2.00", "1.00"]);
        assert_eq!(line("version"), ["1.0.0", "1.0.0"]);
        assert_eq!(line("machine"), ["-", "-"]);
    }

    #[test]
    fn the_first_baseline_has_nothing_to_be_compared_with() {
        let table = comparison(&Value::Null, &measured(400.0));
        assert!(table.lines().any(|line| line.ends_with("400.00       -")), "{table}");
    }

    #[test]
    fn a_summary_that_lacks_a_figure_is_no_baseline() {
        let error = baseline(&json!({ "metrics": {} }), Map::new()).unwrap_err();
        assert_eq!(error.to_string(), "k6 says no rate of http_reqs");
    }
}
