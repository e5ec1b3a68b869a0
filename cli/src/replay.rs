//! `sagaline replay`: rebuilds read models from the log alone, and says how the live ones differ.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::Session;
use crate::account::{OfTables, Task};
use crate::list::rows;
use crate::long_run::{self, speed};
use crate::offline::{self, Mode};
use crate::output::{Column, facts, field, made, section};

#[derive(Args)]
pub struct Options {
    /// Which read models; several with commas between them.
    #[arg(long = "view", required = true, value_enum, value_delimiter = ',', value_name = "VIEW,…")]
    views: Vec<View>,
    /// Compare with the live rows, name each difference, and exit with 1 if there is one.
    #[arg(long)]
    diff: bool,
    /// Put the rebuilt rows in the place of the live ones; differences that it mends are no failure.
    #[arg(long)]
    swap: bool,
    /// Drop what a replay of tables left half done, instead of going on with it.
    #[arg(long, requires = "store", conflicts_with_all = ["diff", "swap"])]
    discard: bool,
    /// How many parts of the log of tables are read at the same time.
    #[arg(long, requires = "store", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=64))]
    segments: u32,
    #[command(flatten)]
    of: OfTables,
    /// Work on the store in this folder while no server runs.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum View {
    Orders,
    Payments,
    Deliveries,
    Customers,
    Products,
    Stock,
    /// Every one of them.
    All,
}

impl View {
    fn names(self) -> Vec<&'static str> {
        match self {
            View::Orders => vec!["orders"],
            View::Payments => vec!["payments"],
            View::Deliveries => vec!["deliveries"],
            View::Customers => vec!["customers"],
            View::Products => vec!["products"],
            View::Stock => vec!["stock"],
            View::All => View::value_variants()
                .iter()
                .filter(|view| **view != View::All)
                .flat_map(|view| view.names())
                .collect(),
        }
    }
}

const DIFFERENCES: [Column; 4] = [
    field("ROW", "id"),
    made("FIELD", |difference| match difference["field"].as_str() {
        Some("") | None => "the whole row".into(),
        Some(field) => field.into(),
    }),
    field("LIVE", "live"),
    field("FROM THE LOG", "rebuilt"),
];

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    let mode = Mode { diff: options.diff, swap: options.swap };
    let mut differences = 0;
    for view in options.views.iter().flat_map(|view| view.names()) {
        let report = match &options.data {
            Some(data) => offline::replay(data, view, mode).await?,
            None if options.of.store.is_some() => of_tables(&options, view, mode).await?,
            None => {
                let request = json!({ "view": view, "diff": mode.diff, "swap": mode.swap });
                long_run::run(&session.client(), "replays", format!("replay of {view}"), &request).await?
            }
        };
        session.output.show(&report, |report| in_words(view, report, mode))?;
        differences += report["difference_count"].as_u64().unwrap_or(0);
    }
    // What was swapped is mended.
    if mode.diff && !mode.swap && differences > 0 {
        bail!(
            "{differences} {} between the live rows and the log",
            if differences == 1 { "difference" } else { "differences" }
        );
    }
    Ok(())
}

async fn of_tables(options: &Options, view: &str, mode: Mode) -> anyhow::Result<Value> {
    let view = offline::parse(view)?;
    let (of, segments) = (&options.of, options.segments);
    if options.discard {
        return Task::Discard(of, view).run().await;
    }
    Task::Replay { of, view, mode, segments }.run().await
}

fn in_words(view: &str, report: &Value, mode: Mode) -> String {
    let count = &report["difference_count"];
    let mut text = facts(&[
        ("view", view.into()),
        ("events", speed(report)),
        ("rows", report["rows"].clone()),
        ("differences", if mode.diff { count.clone() } else { Value::Null }),
        ("swapped", if mode.swap { report["swapped"].clone() } else { Value::Null }),
        ("discarded", report["discarded"].clone()),
        ("read units", report["read_units"].clone()),
        ("write units", report["write_units"].clone()),
    ]);
    if mode.diff {
        text.push_str(&section("differences", rows(report, "differences"), count, &DIFFERENCES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_every_view_once() {
        assert_eq!(View::All.names(), ["orders", "payments", "deliveries", "customers", "products", "stock"]);
    }
}
