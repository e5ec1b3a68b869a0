//! `sagaline cost`: what an order costs on AWS, and what it takes to run so many.
//!
//! Nothing is asked of anybody: units were counted by the end-to-end test, prices and quotas are listed beside them.

mod bill;
mod counts;
mod prices;
mod rate;
mod wiring;

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::Session;
use crate::list::rows;
use crate::output::{Column, field, made, section, table, text};
use bill::{bill, empty_polls, total, without_logs};
use counts::{Count, Counts, Older};
use prices::{Prices, Quotas};

#[derive(Args)]
pub struct Options {
    /// Say what so many events a second take as well, which quota ends first, and what it costs: `100000/s`. An order
    /// that is paid is six events.
    #[arg(long, value_name = "EVENTS/s", value_parser = events_per_second)]
    rate: Option<f64>,
}

fn events_per_second(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let rate = number.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "must be a number of events a second, such as 100000/s".to_owned())
}

pub fn run(options: &Options, session: &Session) -> anyhow::Result<()> {
    session.output.show(&report(options.rate)?, in_words)
}

/// How an order goes, by the name of its column.
const OUTCOMES: [(&str, &str); 5] = [
    ("paid", "paid"),
    ("express", "express, paid"),
    ("short", "out of stock"),
    ("rejected", "payment rejected"),
    ("refunded", "paid, cancelled, refunded"),
];
/// The outcome that others are compared with, and that a rate is made of.
const SUCCESS: &str = "paid";
/// Sizes of batches: as quiet and as busy as traffic can be.
const BATCHES: [(u32, &str); 2] = [(1, "one message at a time"), (10, "full batches of ten")];

/// Everything that is known.
///
/// # Errors
/// A file that is not what this version reads.
fn report(rate: Option<f64>) -> anyhow::Result<Value> {
    let (counts, prices) = (Counts::written_down()?, Prices::listed()?);
    let older = Older::known()?;
    let mut bills = Vec::new();
    for (batch, words) in BATCHES {
        bills.push(bill_of(&counts, &prices, &older, (batch, words))?);
    }
    let mut report = json!({
        "region": prices.region,
        "prices_of": prices.as_of,
        "counted": counts.counted,
        "note": prices.note,
        "empty_polls": { "mappings": counts.mappings, "dollars_a_month": empty_polls(counts.mappings, &prices) },
        "bills": bills,
        "older": {
            "what": older.what, "dollars_without_logs": older.dollars_without_logs,
            "dollars_with_logs": older.dollars_with_logs, "carried_events": older.carried_events,
        },
    });
    if let Some(rate) = rate {
        report["rate"] = at_rate(&counts, &prices, rate)?;
    }
    Ok(report)
}

fn counted<'a>(counts: &'a Counts, outcome: &str, batch: u32) -> anyhow::Result<&'a Count> {
    counts.of(outcome, batch).with_context(|| format!("nobody counted {outcome} in batches of {batch}"))
}

/// Components down, outcomes across.
fn bill_of(
    counts: &Counts,
    prices: &Prices,
    older: &Older,
    (batch, words): (u32, &str),
) -> anyhow::Result<Value> {
    let mut lines: Vec<Map<String, Value>> = Vec::new();
    let (mut less, mut all) = (Map::new(), Map::new());
    for (column, outcome) in OUTCOMES {
        let of_one = bill(&counted(counts, outcome, batch)?.units, prices);
        less.insert(column.to_owned(), json!(without_logs(&of_one)));
        all.insert(column.to_owned(), json!(total(&of_one)));
        lines.resize(of_one.len(), Map::new());
        for (line, of_one) in lines.iter_mut().zip(of_one) {
            line.insert("component".to_owned(), json!(of_one.component));
            line.insert(column.to_owned(), json!(of_one.dollars));
            if outcome == SUCCESS {
                line.insert("units".to_owned(), json!(of_one.units));
            }
        }
    }
    less.insert("component".to_owned(), json!("without logs and traces"));
    all.insert("component".to_owned(), json!("with logs and traces"));
    if batch == 1 {
        beside_the_older(&mut lines, older, prices);
        less.insert("older".to_owned(), json!(older.dollars_without_logs));
        all.insert("older".to_owned(), json!(older.dollars_with_logs));
    }
    lines.extend([less, all]);
    Ok(json!({ "batch": batch, "messages": words, "lines": lines }))
}

/// What is known of the older system goes where it belongs; what it does not tell apart is left open.
fn beside_the_older(lines: &mut [Map<String, Value>], older: &Older, prices: &Prices) {
    let known = [
        ("Lambda, invocations", older.invocations * prices.of("invocation")),
        ("DynamoDB, write units", older.write_units * prices.of("write_unit")),
        ("DynamoDB, read units", older.read_units * prices.of("read_unit")),
        ("SQS, requests", older.queue_requests * prices.of("queue_request")),
        ("Logs, bytes", older.log_bytes / 1000.0 * prices.of("log_gigabyte")),
    ];
    for line in lines {
        let found = known.iter().find(|(component, _)| line["component"] == *component);
        if let Some((_, dollars)) = found {
            line.insert("older".to_owned(), json!(dollars));
        }
    }
}

fn at_rate(counts: &Counts, prices: &Prices, events_per_second: f64) -> anyhow::Result<Value> {
    let quotas = Quotas::listed()?;
    let full = counted(counts, SUCCESS, 10)?;
    let orders = rate::orders(events_per_second, full);
    let needs = rate::needs(full, orders, &quotas).into_iter().map(|need| {
        json!({
            "component": need.component, "needed": need.needed, "quota": need.quota.per_second,
            "quotas": need.quotas(), "of": need.quota.of, "can_be_raised": need.quota.can_be_raised,
            "enough_for": events_per_second / need.quotas(), "source": need.quota.source,
        })
    });
    let running = rate::running(full, orders, prices).map(|running| {
        json!({
            "capacity": running.capacity,
            "hour_without_logs": running.hour_without_logs, "hour": running.hour,
            "month_without_logs": running.hour_without_logs * rate::MONTH, "month": running.hour * rate::MONTH,
        })
    });
    let mut wirings = Vec::new();
    for (batch, words) in BATCHES {
        for wiring in wiring::wirings(counted(counts, SUCCESS, batch)?, prices, &quotas) {
            wirings.push(json!({
                "wiring": wiring.name, "messages": words, "carrying": wiring.carrying,
                "without_logs": wiring.without_logs, "most": wiring.most, "remark": wiring.remark,
            }));
        }
    }
    Ok(json!({
        "events_per_second": events_per_second, "orders_per_second": orders,
        "needs": needs.collect::<Vec<_>>(), "running": running, "wirings": wirings,
    }))
}

fn dollars(of: &Value) -> Value {
    of.as_f64().map_or(Value::Null, |dollars| json!(format!("{dollars:>8.2}")))
}

/// A large number: `133 k`, `1.6 M`.
fn large(of: &Value) -> Value {
    let Some(number) = of.as_f64() else { return Value::Null };
    let (number, unit) = match number {
        number if number >= 1e6 => (number / 1e6, " M"),
        number if number >= 1e4 => (number / 1e3, " k"),
        number => (number, ""),
    };
    json!(format!("{number:>7.1}{unit}"))
}

const BILL: [Column; 8] = [
    field("COMPONENT", "component"),
    made("UNITS", |line| line["units"].as_f64().map_or(json!(""), |units| json!(format!("{units:>9.2}")))),
    made("PAID", |line| dollars(&line["paid"])),
    made("EXPRESS", |line| dollars(&line["express"])),
    made("OUT OF STOCK", |line| dollars(&line["short"])),
    made("REJECTED", |line| dollars(&line["rejected"])),
    made("REFUNDED", |line| dollars(&line["refunded"])),
    made("OLDER SYSTEM", |line| dollars(&line["older"])),
];

const NEEDS: [Column; 6] = [
    field("COMPONENT", "component"),
    made("NEEDED", |need| large(&need["needed"])),
    made("QUOTA", |need| large(&need["quota"])),
    made("QUOTAS", |need| json!(format!("{:>6.2}", need["quotas"].as_f64().unwrap_or_default()))),
    made("ENOUGH FOR EVENTS/S", |need| large(&need["enough_for"])),
    made("OF ONE", |need| {
        let raised = if need["can_be_raised"] == true { ", can be raised" } else { ", cannot be raised" };
        json!(format!("{}{raised}", text(&need["of"])))
    }),
];

const RUNNING: [Column; 5] = [
    field("DYNAMODB'S CAPACITY", "capacity"),
    made("$/HOUR WITHOUT LOGS", |running| large(&running["hour_without_logs"])),
    made("$/HOUR", |running| large(&running["hour"])),
    made("$/MONTH WITHOUT LOGS", |running| large(&running["month_without_logs"])),
    made("$/MONTH", |running| large(&running["month"])),
];

const WIRINGS: [Column; 6] = [
    field("WIRING", "wiring"),
    field("MESSAGES", "messages"),
    made("CARRYING", |wiring| dollars(&wiring["carrying"])),
    made("ALL WITHOUT LOGS", |wiring| dollars(&wiring["without_logs"])),
    made("ENOUGH FOR EVENTS/S", |wiring| large(&wiring["most"])),
    field("REMARK", "remark"),
];

fn in_words(report: &Value) -> String {
    let mut words = format!(
        "Dollars per million orders: list prices of {} of {}, units of one order counted on {}.",
        text(&report["region"]),
        text(&report["prices_of"]),
        text(&report["counted"])
    );
    for bill in rows(report, "bills") {
        let lines = rows(bill, "lines");
        let columns = if bill["batch"] == 1 { &BILL[..] } else { &BILL[..BILL.len() - 1] };
        words += &format!("\n\n{}\n{}", text(&bill["messages"]), table(lines, columns));
    }
    let polls = &report["empty_polls"];
    words += &format!(
        "\n\nBeside that, asking the {} queues while they are empty costs up to ${:.2} a month.",
        text(&polls["mappings"]),
        polls["dollars_a_month"].as_f64().unwrap_or_default()
    );
    let rate = &report["rate"];
    if rate.is_null() {
        return words;
    }
    let many = |name: &str| text(&large(&rate[name])).trim().to_owned();
    let title = format!(
        "{} events a second, which are {} orders that are paid, in full batches",
        many("events_per_second"),
        many("orders_per_second")
    );
    words += &section(&title, rows(rate, "needs"), &Value::Null, &NEEDS);
    words += &section("What it costs", rows(rate, "running"), &Value::Null, &RUNNING);
    words
        + &section(
            "Ways from the stream to the queues, a million orders",
            rows(rate, "wirings"),
            &Value::Null,
            &WIRINGS,
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page says between two markers, and what it should.
    fn documented(marker: &str, printed: &str) {
        let page = include_str!("../../../docs/aws.md");
        let (_, rest) = page.split_once(&format!("<!-- {marker} -->\n```text\n")).unwrap();
        let (documented, _) = rest.split_once(&format!("\n```\n<!-- /{marker} -->")).unwrap();
        assert!(documented == printed, "put this between the markers of docs/aws.md:\n{printed}");
    }

    #[test]
    fn the_documented_bill_is_what_the_command_prints() {
        documented("cost", &in_words(&report(None).unwrap()));
    }

    #[test]
    fn the_documented_rate_is_what_the_command_prints() {
        let all = in_words(&report(Some(100_000.0)).unwrap());
        let bill = in_words(&report(None).unwrap());
        documented("rate", all.strip_prefix(&bill).unwrap().trim_start());
    }

    #[test]
    fn every_outcome_was_counted_in_every_batch_and_batches_never_cost_more() {
        let (counts, prices) = (Counts::written_down().unwrap(), Prices::listed().unwrap());
        assert_eq!(counts.orders.len(), OUTCOMES.len() * BATCHES.len());
        for (_, outcome) in OUTCOMES {
            let [one, ten] = BATCHES.map(|(batch, _)| {
                let count = counted(&counts, outcome, batch).unwrap();
                let by_table: f64 = count.write_units_by.values().sum();
                assert_eq!(by_table, count.units.write_units, "{outcome}");
                total(&bill(&count.units, &prices))
            });
            assert!(ten < one, "{outcome}: {ten} {one}");
        }
    }

    #[test]
    fn a_rate_is_a_number_of_events_a_second() {
        assert_eq!(events_per_second("100000/s"), Ok(100_000.0));
        assert_eq!(events_per_second("2.5"), Ok(2.5));
        for wrong in ["", "0", "-1", "many/s", "NaN", "inf"] {
            assert!(events_per_second(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn large_numbers_are_short() {
        let short = |number: f64| text(&large(&json!(number))).trim().to_owned();
        assert_eq!([9_999.0, 10_000.0, 1_600_000.0].map(short), ["9999.0", "10.0 k", "1.6 M"]);
    }
}
