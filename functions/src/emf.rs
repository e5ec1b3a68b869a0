//! Metrics as lines of the log: CloudWatch's embedded metric format, which costs no call.
//!
//! Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use telemetry::metrics;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The namespace of every metric of ours.
const NAMESPACE: &str = "Sagaline";
/// Values of one metric in one line, at most.
const VALUES: usize = 100;
/// What is told apart by the version of the function, too, so that an alarm can watch one that is being tried. Each
/// version is a metric of its own, which is billed: so only what is rare.
const BY_VERSION: [&str; 1] = ["MessagesFailed"];

/// Collects what is counted and measured until it is written, in one line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emf(Arc<Mutex<BTreeMap<&'static str, Vec<u64>>>>);

impl Emf {
    /// Writes what was collected by a version of a function to the log.
    pub(crate) fn write(&self, function: &str, version: &str) {
        let mut left = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        while !left.is_empty() {
            let mut next = BTreeMap::new();
            for (field, values) in &mut left {
                next.insert(*field, values.drain(..values.len().min(VALUES)).collect());
            }
            println!("{}", line(now, (function, version), next));
            left.retain(|_, values| !values.is_empty());
        }
    }
}

impl<S: Subscriber> Layer<S> for Emf {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == metrics::TARGET {
            event.record(&mut Values(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

struct Values<'a>(&'a mut BTreeMap<&'static str, Vec<u64>>);

impl Visit for Values<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.entry(field.name()).or_default().push(value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

fn line(now: u128, (function, version): (&str, &str), values: BTreeMap<&'static str, Vec<u64>>) -> Value {
    let named: Vec<(String, &str, Vec<u64>)> = values
        .into_iter()
        .filter_map(|(field, values)| {
            let (kind, name) = field.split_once('.')?;
            let unit = if kind == "histogram" { "Milliseconds" } else { "Count" };
            Some((camel_case(name), unit, values))
        })
        .collect();
    let is_by_version = |name: &str| BY_VERSION.contains(&name);
    let declared = |by_version: bool| -> Vec<Value> {
        let those = named.iter().filter(|(name, ..)| is_by_version(name) == by_version);
        those.map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect()
    };
    let directives = [
        (json!(["FunctionName"]), declared(false)),
        (json!(["FunctionName", "FunctionVersion"]), declared(true)),
    ];
    let directives = directives.into_iter().filter(|(_, metrics)| !metrics.is_empty());
    let directives: Vec<Value> = directives
        .map(|(by, metrics)| json!({ "Namespace": NAMESPACE, "Dimensions": [by], "Metrics": metrics }))
        .collect();
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": now as u64, "CloudWatchMetrics": directives }));
    if named.iter().any(|(name, ..)| is_by_version(name)) {
        line.insert("FunctionVersion".to_owned(), version.into());
    }
    line.insert("FunctionName".to_owned(), function.into());
    line.extend(named.into_iter().map(|(name, _, values)| (name, values.into())));
    Value::Object(line)
}

/// `time_to_settle` -> `TimeToSettle`.
fn camel_case(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What `work` counts and measures.
    fn values_of(work: impl FnOnce()) -> BTreeMap<&'static str, Vec<u64>> {
        let emf = Emf::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(emf.clone()), work);
        mem::take(&mut *emf.0.lock().unwrap())
    }

    #[test]
    fn what_is_counted_and_measured_is_one_line_that_names_units_and_function() {
        let values = values_of(|| {
            metrics::order_placed();
            metrics::order_settled(12);
            metrics::order_settled(30);
            tracing::info!(monotonic_counter.other = 1_u64, "of another target");
        });
        let expected = json!({
            "_aws": {
                "Timestamp": 7,
                "CloudWatchMetrics": [{
                    "Namespace": "Sagaline",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [
                        { "Name": "TimeToSettle", "Unit": "Milliseconds" },
                        { "Name": "OrdersPlaced", "Unit": "Count" },
                        { "Name": "OrdersSettled", "Unit": "Count" },
                    ],
                }],
            },
            "FunctionName": "orders-worker",
            "TimeToSettle": [12, 30],
            "OrdersPlaced": [1],
            "OrdersSettled": [1, 1],
        });
        assert_eq!(line(7, ("orders-worker", "3"), values), expected);
    }

    #[test]
    fn messages_that_failed_are_told_apart_by_version_in_the_same_line() {
        let values = values_of(|| {
            metrics::messages_retried(2);
            metrics::messages_failed(1);
        });
        let expected = json!({
            "_aws": {
                "Timestamp": 7,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Sagaline",
                        "Dimensions": [["FunctionName"]],
                        "Metrics": [{ "Name": "MessagesRetried", "Unit": "Count" }],
                    },
                    {
                        "Namespace": "Sagaline",
                        "Dimensions": [["FunctionName", "FunctionVersion"]],
                        "Metrics": [{ "Name": "MessagesFailed", "Unit": "Count" }],
                    },
                ],
            },
            "FunctionName": "orders-worker",
            "FunctionVersion": "3",
            "MessagesRetried": [2],
            "MessagesFailed": [1],
        });
        assert_eq!(line(7, ("orders-worker", "3"), values), expected);
    }

    #[test]
    fn what_was_written_is_not_written_again() {
        let emf = Emf::default();
        let subscriber = tracing_subscriber::registry().with(emf.clone());
        tracing::subscriber::with_default(subscriber, || (0..=VALUES).for_each(|_| metrics::order_placed()));
        emf.write("orders-worker", "3");
        assert!(emf.0.lock().unwrap().is_empty());
    }
}
