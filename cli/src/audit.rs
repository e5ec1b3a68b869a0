//! `sagaline audit`: folds the whole log and names whatever is stored differently.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use event_store::{Stamper, SystemStamper};
use serde_json::{Value, json};
use views::audit::{PATIENCE, still_since};

use crate::Session;
use crate::account::{OfTables, Task};
use crate::list::rows;
use crate::long_run::{self, speed};
use crate::offline;
use crate::output::{Column, facts, field, print, section};
use crate::promises;

#[derive(Args)]
pub struct Options {
    /// Work on the store in this folder while no server runs.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    of: OfTables,
    /// How many seconds an order may stand still that is owed something, and a lot be uncounted, before it is called
    /// stuck; 0 where nothing is under way any more.
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs())]
    patience: u64,
    /// Look for what is left of people who were erased instead: in the log, rows, users, keys, kept answers, messages,
    /// dead letters and what was done to those. Of an account: in the tables and the dead letters.
    #[arg(long, conflicts_with = "promises")]
    personal: bool,
    /// With --personal, also search every byte of the files for this; more than once for more words. A name or address that
    /// was erased stands in no file, free pages and the write-ahead log included.
    #[arg(long, value_name = "WORD", requires = "personal", requires = "data")]
    word: Vec<String>,
    /// Print what is promised instead, and check nothing.
    #[arg(long, conflicts_with_all = ["data", "store"])]
    promises: bool,
    /// Print it as the Markdown table of `docs/invariants.md`.
    #[arg(long, requires = "promises")]
    markdown: bool,
}

const FINDINGS: [Column; 2] = [field("WHAT", "what"), field("DETAIL", "detail")];

const ANOMALIES: [Column; 5] = [
    field("STREAM", "pk"),
    field("SLOT", "sk"),
    field("EVENT", "event_name"),
    field("EVENT ID", "event_id"),
    field("WHY", "why"),
];

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    if options.markdown {
        return Ok(print(&promises::markdown())?);
    }
    if options.promises {
        return session.output.show(&promises::list(), promises::in_words);
    }
    if options.personal {
        return personal(&options, session).await;
    }
    let still_since = || {
        let now = SystemStamper::new("sagaline").now();
        still_since(now, Duration::from_secs(options.patience))
    };
    let report = match &options.data {
        Some(data) => offline::audit(data, still_since()).await?,
        None if options.of.store.is_some() => Task::Audit(&options.of, still_since()).run().await?,
        // The server goes by its own clock, as what it wrote does.
        None => {
            let request = json!({ "patience": options.patience });
            long_run::run(&session.client(), "audits", "audit".to_owned(), &request).await?
        }
    };
    session.output.show(&report, in_words)?;
    match differences(&report) {
        0 => Ok(()),
        1 => bail!("1 difference between what is promised and what is stored"),
        n => bail!("{n} differences between what is promised and what is stored"),
    }
}

const LEFT: [Column; 4] =
    [field("CUSTOMER", "customer_id"), field("PLACE", "place"), field("KEY", "key"), field("WHAT", "what")];

const LOOKED_AT: [Column; 2] = [field("PLACE", "place"), field("HOW MANY", "count")];

const FILES: [Column; 2] = [field("FILE", "file"), field("WORD", "word")];

async fn personal(options: &Options, session: &Session) -> anyhow::Result<()> {
    let report = match &options.data {
        Some(data) => offline::personal(data, &options.word).await?,
        None if options.of.store.is_some() => Task::Personal(&options.of).run().await?,
        None => {
            let request = json!({ "personal": true });
            long_run::run(&session.client(), "audits", "audit".to_owned(), &request).await?
        }
    };
    session.output.show(&report, personal_in_words)?;
    if report["clean"] == true {
        return Ok(());
    }
    bail!("something is left of people who were erased; erase them once more, and look again")
}

fn personal_in_words(report: &Value) -> String {
    let pairs = [
        ("events", speed(report)),
        ("erased people", report["erased"].clone()),
        ("free texts", report["free_texts"].clone()),
        ("left of them", report["finding_count"].clone()),
        ("read units", report["read_units"].clone()),
    ];
    let looked_at = report["looked_at"].as_object().into_iter().flatten();
    let looked_at: Vec<Value> =
        looked_at.map(|(place, count)| json!({ "place": place, "count": count })).collect();
    let looked_at = section("looked at", &looked_at, &looked_at.len().into(), &LOOKED_AT);
    let left = section("left", rows(report, "findings"), &report["finding_count"], &LEFT);
    let files = rows(report, "files");
    let files =
        if files.is_empty() { String::new() } else { section("files", files, &files.len().into(), &FILES) };
    facts(&pairs) + &looked_at + &left + &files
}

/// How many differences there are; a report that is not clean has at least one.
fn differences(report: &Value) -> u64 {
    let named = rows(report, "differences").len() as u64;
    let counted = report["difference_count"].as_u64().unwrap_or(named).max(named);
    if report["clean"] == false { counted.max(1) } else { counted }
}

fn in_words(report: &Value) -> String {
    let mut pairs = vec![("events", speed(report))];
    let orders = report["orders"].as_object().into_iter().flatten();
    pairs.extend(orders.map(|(status, count)| (status.as_str(), count.clone())));
    pairs.push(("still open", report["open"].clone()));
    pairs.push(("stuck", report["stuck"].clone()));
    pairs.push(("differences", differences(report).into()));
    pairs.push(("anomalies", report["anomaly_count"].clone()));
    pairs.push(("read units", report["read_units"].clone()));
    let named = [
        ("differences", "differences", "difference_count", &FINDINGS[..]),
        ("anomalies (kept, and passed over)", "anomalies", "anomaly_count", &ANOMALIES),
    ];
    let sections = named
        .map(|(title, list, count, columns)| section(title, rows(report, list), &report[count], columns));
    facts(&pairs) + &sections.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_make_an_audit_fail_and_anomalies_do_not() {
        let anomalies = json!({"differences": [], "difference_count": 0, "anomalies": [{}], "clean": true});
        assert_eq!(differences(&anomalies), 0);
        assert_eq!(differences(&json!({"differences": [{}], "clean": false})), 1);
        assert_eq!(differences(&json!({"differences": [{}], "difference_count": 2000})), 2000);
        assert_eq!(differences(&json!({"clean": false})), 1);
    }
}
