//! From units to dollars: what a million orders cost, component by component.

use super::counts::Units;
use super::prices::Prices;

/// What one component of a million orders costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The component.
    pub component: &'static str,
    /// Units that one order takes.
    pub units: f64,
    /// A million orders.
    pub dollars: f64,
    /// Whether it only serves to see what goes on: logs and traces.
    pub observes: bool,
}

/// The share of requests that X-Ray traces beyond the first of a second. Source: "Configuring sampling rules", AWS
/// X-Ray Developer Guide: the default rule traces the first request each second and five percent of the others.
const TRACED: f64 = 0.05;

/// The bill of a million orders.
pub fn bill(units: &Units, prices: &Prices) -> Vec<Line> {
    let line = |component, units: f64, dollars: f64| Line { component, units, dollars, observes: false };
    let of = |component, units: f64, price| line(component, units, units * prices.of(price));
    // A gigabyte of Lambda's has 1,024 MB; one of logs is taken for a billion bytes, which is the dearer reading.
    let gigabyte_seconds = units.megabyte_milliseconds / 1024.0 / 1000.0;
    let log_gigabytes_of_a_million = units.all_log_bytes() / 1000.0;
    vec![
        of("API Gateway, requests", units.api_requests, "api_request"),
        of("Lambda, invocations", units.invocations, "invocation"),
        of("Lambda, GB-seconds", gigabyte_seconds, "gigabyte_second"),
        of("DynamoDB, write units", units.write_units, "write_unit"),
        of("DynamoDB, read units", units.read_units, "read_unit"),
        of("Pipe, events", units.pipe_events, "pipe_event"),
        of("Bus, events", units.bus_events, "bus_event"),
        of("SQS, requests", units.queue_requests(), "queue_request"),
        Line {
            observes: true,
            ..line(
                "Logs, bytes",
                units.all_log_bytes(),
                log_gigabytes_of_a_million * prices.of("log_gigabyte"),
            )
        },
        // A request and its invocation are one trace, and each batch of a queue is one.
        Line { observes: true, ..of("X-Ray, traces", units.invocations * TRACED, "trace") },
    ]
}

/// Requests of one mapping's pollers in a month without a message. Source: "Configuring scaling behavior for SQS event
/// source mappings", AWS Lambda Developer Guide: five at once, where a greatest concurrency is set; each waits up to 20
/// seconds.
const EMPTY_POLLS: f64 = 5.0 * 3.0 * 60.0 * 730.0;

/// What asking empty queues costs in a month.
pub fn empty_polls(mappings: u32, prices: &Prices) -> f64 {
    f64::from(mappings) * EMPTY_POLLS / 1e6 * prices.of("queue_request")
}

/// What they cost together without what only serves to see.
pub fn without_logs(lines: &[Line]) -> f64 {
    lines.iter().filter(|line| !line.observes).map(|line| line.dollars).sum()
}

/// What they cost together.
pub fn total(lines: &[Line]) -> f64 {
    lines.iter().map(|line| line.dollars).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(units: Units, component: &str) -> f64 {
        let lines = bill(&units, &Prices::listed().unwrap());
        let line = lines.iter().find(|line| line.component.starts_with(component)).unwrap();
        (line.dollars * 1e4).round() / 1e4
    }

    #[test]
    fn the_older_systems_units_cost_what_it_says_they_cost() {
        // 24 write units, 3.5 read units, 21 requests, 8 invocations: a million of each at list price.
        let units = Units { write_units: 24.0, read_units: 3.5, ..Units::default() };
        assert_eq!(dollars(units.clone(), "DynamoDB, write"), 15.0);
        assert_eq!(dollars(units, "DynamoDB, read"), 0.4375);
        assert_eq!(dollars(Units { queue_sends: 21.0, ..Units::default() }, "SQS"), 8.4);
        assert_eq!(dollars(Units { invocations: 8.0, ..Units::default() }, "Lambda, inv"), 1.6);
        // Its logs are the difference of about $68 between its two totals.
        assert_eq!(dollars(Units { log_bytes: 136_000.0, ..Units::default() }, "Logs"), 68.0);
    }

    #[test]
    fn an_empty_queue_costs_a_quarter_of_a_dollar_a_month() {
        assert_eq!((empty_polls(1, &Prices::listed().unwrap()) * 100.0).round(), 26.0);
    }

    #[test]
    fn a_million_invocations_of_a_second_with_a_gigabyte_are_a_million_gigabyte_seconds() {
        let units = Units { megabyte_milliseconds: 1024.0 * 1000.0, ..Units::default() };
        assert_eq!(dollars(units, "Lambda, GB"), 13.3334);
    }

    #[test]
    fn logs_and_traces_are_what_the_smaller_total_leaves_out() {
        let units = Units { log_bytes: 1000.0, invocations: 10.0, api_requests: 1.0, ..Units::default() };
        let lines = bill(&units, &Prices::listed().unwrap());
        assert_eq!(without_logs(&lines), 3.5 + 10.0 * 0.2);
        assert!((total(&lines) - without_logs(&lines) - (0.5 + 10.0 * 0.05 * 5.0)).abs() < 1e-9);
    }
}
