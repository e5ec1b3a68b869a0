//! Metrics as lines of the log: CloudWatch's embedded metric format, which costs no call.
//!
//! Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The namespace of every metric of ours.
const NAMESPACE: &str = "Sagaline";
/// Values in one line, at most.
const VALUES: usize = 100;

/// Writes the values of a metric of a function to the log: `EventAge`, in `Milliseconds`.
pub fn measure(function: &str, metric: &str, unit: &str, values: &[u64]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    for values in values.chunks(VALUES) {
        println!("{}", line(now, function, metric, unit, values));
    }
}

fn line(now: u128, function: &str, metric: &str, unit: &str, values: &[u64]) -> Value {
    let mut line = json!({
        "_aws": {
            "Timestamp": now as u64,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["FunctionName"]],
                "Metrics": [{ "Name": metric, "Unit": unit }],
            }],
        },
        "FunctionName": function,
    });
    line[metric] = json!(values);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_line_that_names_itself_its_unit_and_its_function() {
        let line = line(7, "orders-worker", "EventAge", "Milliseconds", &[12, 30]);
        let expected = json!({
            "_aws": {
                "Timestamp": 7,
                "CloudWatchMetrics": [{
                    "Namespace": "Sagaline",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [{ "Name": "EventAge", "Unit": "Milliseconds" }],
                }],
            },
            "FunctionName": "orders-worker",
            "EventAge": [12, 30],
        });
        assert_eq!(line, expected);
    }
}
