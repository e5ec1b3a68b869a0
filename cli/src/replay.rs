//! `sagaline replay`: rebuilds read models from the log alone, and says how the live ones differ.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::Session;
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

fn in_words(view: &str, report: &Value, mode: Mode) -> String {
    let count = &report["difference_count"];
    let mut text = facts(&[
        ("view", view.into()),
        ("events", speed(report)),
        ("rows", report["rows"].clone()),
        ("differences", if mode.diff { count.clone() } else { Value::Null }),
        ("swapped", if mode.swap { report["swapped"].clone() } else { Value::Null }),
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
