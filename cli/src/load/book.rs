//! The book of a load: when each order was due, and what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::output::facts;

/// What a load was asked for; goes into its report.
pub struct Facts {
    pub seed: u64,
    pub rate: Option<u64>,
    pub orders: u64,
    pub clients: u16,
    pub skus: u32,
    pub lines: u32,
    pub zipf: f64,
}

/// Times are microseconds since the load began.
pub struct Book {
    orders: Vec<Entry>,
    posted: Histogram<u64>,
    settling: Histogram<u64>,
    accepted: u64,
    settled: u64,
    outcomes: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    last_accepted: u64,
    last_settled: u64,
}

/// One order, in four bytes: an hour of microseconds fits, and ten million orders are 40 MB.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u32);

impl Entry {
    const UNSENT: Entry = Entry(0);
    const SETTLED: Entry = Entry(u32::MAX);
    /// Refused, or lost on the way: whatever the feed says of it is not counted.
    const VOID: Entry = Entry(u32::MAX - 1);

    fn due(at: u64) -> Entry {
        Entry((at + 1).min(u64::from(u32::MAX - 2)) as u32)
    }

    /// When it was due, while it is under way.
    fn open_since(self) -> Option<u64> {
        let is_open = self != Entry::UNSENT && self != Entry::SETTLED && self != Entry::VOID;
        is_open.then(|| u64::from(self.0) - 1)
    }
}

impl Book {
    pub fn new(orders: u64) -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, 4_300_000_000, 3).expect("three digits up to 72 minutes");
        Book {
            orders: vec![Entry::UNSENT; orders as usize],
            posted: histogram(),
            settling: histogram(),
            accepted: 0,
            settled: 0,
            outcomes: BTreeMap::new(),
            errors: BTreeMap::new(),
            last_accepted: 0,
            last_settled: 0,
        }
    }

    /// The order is about to be sent; it should have been sent at `due`.
    pub fn begin(&mut self, number: u64, due: u64) {
        self.orders[number as usize] = Entry::due(due);
    }

    /// The server has it.
    pub fn accept(&mut self, due: u64, now: u64) {
        self.accepted += 1;
        self.last_accepted = self.last_accepted.max(now);
        self.posted.saturating_record(now.saturating_sub(due).max(1));
    }

    /// The server refused it, or nobody knows.
    pub fn fail(&mut self, number: u64, why: String) {
        let entry = std::mem::replace(&mut self.orders[number as usize], Entry::VOID);
        // It was stored and settled before the connection broke.
        if entry == Entry::SETTLED {
            self.settled -= 1;
        }
        *self.errors.entry(why).or_default() += 1;
    }

    /// An event says how it ended. Saying it again changes nothing.
    pub fn settle(&mut self, number: u64, outcome: &'static str, now: u64) {
        let Some(entry) = self.orders.get_mut(number as usize) else { return };
        let Some(due) = entry.open_since() else { return };
        *entry = Entry::SETTLED;
        self.settled += 1;
        self.last_settled = self.last_settled.max(now);
        *self.outcomes.entry(outcome).or_default() += 1;
        self.settling.saturating_record(now.saturating_sub(due).max(1));
    }

    /// Orders that the server has.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Orders of which an event said how they ended.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Accepted orders of which no event has said how they ended.
    pub fn unsettled(&self) -> u64 {
        self.accepted.saturating_sub(self.settled)
    }

    /// Orders that were refused or lost.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn json(&self, facts: &Facts) -> Value {
        json!({
            "loop": if facts.rate.is_some() { "open" } else { "closed" },
            "rate": facts.rate,
            "seed": facts.seed,
            "orders": facts.orders,
            "clients": facts.clients,
            "skus": facts.skus,
            "lines": facts.lines,
            "zipf": facts.zipf,
            "accepted": self.accepted,
            "accepted_per_second": per_second(self.accepted, self.last_accepted),
            "settled": self.settled,
            "settled_per_second": per_second(self.settled, self.last_settled),
            "unsettled": self.unsettled(),
            "seconds": seconds(self.last_accepted.max(self.last_settled)),
            "post_ms": quantiles(&self.posted),
            "settle_ms": quantiles(&self.settling),
            "outcomes": self.outcomes,
            "errors": self.errors,
        })
    }

    pub fn table(&self, asked: &Facts) -> String {
        let rate = |count, until| json!(format!("{count} ({:.0}/s)", per_second(count, until)));
        let how = match asked.rate {
            Some(per_second) => {
                format!("open loop, {per_second} orders/s over {} connections", asked.clients)
            }
            None => format!("closed loop, {} orders over {} connections", asked.orders, asked.clients),
        };
        let what = format!(
            "{} of {} SKUs an order, Zipf {}, seed {}",
            asked.lines, asked.skus, asked.zipf, asked.seed
        );
        let mut pairs = vec![
            ("load", json!(how)),
            ("", json!(what)),
            ("accepted", rate(self.accepted, self.last_accepted)),
            ("settled", rate(self.settled, self.last_settled)),
        ];
        let outcomes: Vec<(String, u64)> =
            self.outcomes.iter().map(|(outcome, count)| (format!("  {outcome}"), *count)).collect();
        pairs.extend(outcomes.iter().map(|(outcome, count)| (outcome.as_str(), json!(count))));
        if self.unsettled() > 0 {
            pairs.push(("  not settled", self.unsettled().into()));
        }
        let errors: Vec<(String, u64)> =
            self.errors.iter().map(|(why, count)| (format!("not accepted: {why}"), *count)).collect();
        pairs.extend(errors.iter().map(|(why, count)| (why.as_str(), json!(count))));
        pairs.push(("POST to answer", in_words(&self.posted)));
        pairs.push(("POST to settled", in_words(&self.settling)));
        facts(&pairs)
    }
}

fn per_second(count: u64, until: u64) -> f64 {
    if until == 0 { 0.0 } else { (count as f64 * 1e6 / until as f64 * 10.0).round() / 10.0 }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// p50, p95, p99 and the largest, in milliseconds; null if nothing was measured.
fn quantiles(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let at = |quantile| millis(histogram.value_at_quantile(quantile));
    json!({ "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": millis(histogram.max()) })
}

fn in_words(histogram: &Histogram<u64>) -> Value {
    match quantiles(histogram) {
        Value::Null => Value::Null,
        q => ["p50", "p95", "p99", "max"]
            .map(|name| format!("{name} {:.1} ms", q[name].as_f64().unwrap_or(0.0)))
            .join("   ")
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_time_an_order_was_due() {
        let mut book = Book::new(2);
        book.begin(0, 1_000);
        book.accept(1_000, 4_000);
        book.settle(0, "paid", 11_000);
        assert_eq!((book.accepted(), book.settled(), book.unsettled()), (1, 1, 0));
        let near = |histogram: &Histogram<u64>, name: &str, millis: f64| {
            (quantiles(histogram)[name].as_f64().unwrap() - millis).abs() < millis / 500.0
        };
        assert!(near(&book.posted, "max", 3.0) && near(&book.settling, "p50", 10.0));
    }

    #[test]
    fn an_order_settles_once_whatever_the_feed_repeats() {
        let mut book = Book::new(1);
        book.settle(0, "paid", 5);
        assert_eq!(book.settled(), 0);
        book.begin(0, 0);
        book.settle(0, "paid", 5);
        book.settle(0, "given back", 9);
        book.settle(7, "paid", 9);
        assert_eq!((book.settled(), &book.outcomes), (1, &BTreeMap::from([("paid", 1)])));
    }

    #[test]
    fn an_order_that_failed_counts_neither_as_settled_nor_as_waited_for() {
        let mut book = Book::new(2);
        book.begin(0, 0);
        book.settle(0, "paid", 5);
        book.fail(0, "connection lost".into());
        book.begin(1, 0);
        book.fail(1, "503".into());
        book.settle(1, "paid", 5);
        assert_eq!((book.settled(), book.unsettled(), book.failed()), (0, 0, 2));
    }

    #[test]
    fn a_report_without_a_single_order_is_a_report() {
        let facts = Facts { seed: 1, rate: Some(5), orders: 9, clients: 2, skus: 3, lines: 1, zipf: 0.0 };
        let report = Book::new(9).json(&facts);
        assert_eq!((&report["accepted_per_second"], &report["post_ms"]), (&json!(0.0), &Value::Null));
        assert!(Book::new(9).table(&facts).contains("open loop, 5 orders/s"));
    }
}
