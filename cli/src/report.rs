//! `sagaline report`: what the daily sweep of the log found.

use std::cmp::Reverse;

use clap::Args;
use serde_json::{Value, json};

use crate::Session;
use crate::list::rows;
use crate::long_run;
use crate::output::{Column, facts, made, section};

#[derive(Args)]
pub struct Options {
    /// Sweep the log now instead of showing what the last sweep found. It does all that the daily one does: nudges, and
    /// cancels what has expired.
    #[arg(long)]
    now: bool,
}

const LONGEST: [Column; 2] = [made("SINCE", |one| one[0].clone()), made("ORDER", |one| one[1].clone())];

const SHORTAGES: [Column; 3] = [
    made("SKU", |one| one[0].clone()),
    made("ORDERS", |one| one[1]["orders"].clone()),
    made("UNITS MISSING", |one| one[1]["units"].clone()),
];

const LETTERS: [Column; 2] = [made("QUEUE", |one| one[0].clone()), made("LETTERS", |one| one[1].clone())];

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let report = if options.now {
        long_run::run(&client, "sweeps", "sweep".to_owned(), &json!({})).await?
    } else {
        client.get("/ops/report").await?
    };
    session.output.show(&report, in_words)
}

fn in_words(report: &Value) -> String {
    let mut pairs = vec![("swept at", report["began_at"].clone()), ("events", report["events"].clone())];
    let orders = report["orders"].as_object().into_iter().flatten();
    pairs.extend(orders.map(|(status, count)| (status.as_str(), count.clone())));
    pairs.extend([
        ("still open", report["open"].clone()),
        ("stuck", report["stuck"].clone()),
        ("short of stock in the last day", report["short"].clone()),
        ("expired", report["expired"].clone()),
        ("nudged", report["nudged"].clone()),
    ]);
    let letters = pairs_of(&report["dead_letters"], |letters| letters.as_u64() > Some(0));
    let mut shortages = pairs_of(&report["shortages"], |_| true);
    let how_short = |one: &Value| ["orders", "units"].map(|count| one[1][count].as_u64());
    shortages.sort_by_key(|one| Reverse(how_short(one)));
    let short = shortages.len() as u64 + report["shortages_left_out"].as_u64().unwrap_or(0);
    facts(&pairs)
        + &section("standing still for longest", rows(report, "longest"), &report["stuck"], &LONGEST)
        + &section("short of", &shortages, &short.into(), &SHORTAGES)
        + &section("dead letters", &letters, &Value::Null, &LETTERS)
}

/// The fields of an object as rows of a name and a value.
fn pairs_of(object: &Value, is_shown: impl Fn(&Value) -> bool) -> Vec<Value> {
    let fields = object.as_object().into_iter().flatten().filter(|(_, value)| is_shown(value));
    fields.map(|(name, value)| json!([name, value])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_somebody_has_to_look_at() {
        let report = json!({
            "began_at": "2026-01-01T00:00:00.000Z", "events": 12, "orders": { "PAID": 2 }, "open": 1, "stuck": 1,
            "longest": [["2025-12-31T00:00:00.000Z", "order-4"]], "short": 3, "expired": 0, "nudged": 1,
            "shortages": { "sku-1": { "orders": 3, "units": 7 }, "sku-2": { "orders": 4, "units": 4 } },
            "shortages_left_out": 5,
            "dead_letters": { "OMS-OrderEventsDLQ": 0, "IMS-InventoryDLQ": 4 },
        });
        let said = in_words(&report);
        for part in ["order-4", "sku-1", "IMS-InventoryDLQ", "PAID"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("OMS-OrderEventsDLQ"), "{said}");
        assert!(said.find("sku-2") < said.find("sku-1") && said.contains("… 7 in all"), "{said}");
    }
}
