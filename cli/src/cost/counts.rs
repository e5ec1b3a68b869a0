//! What an order takes, as the end-to-end test counted it, and what an older system of this shape takes.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

/// Every outcome, each with messages that come one at a time and with full batches.
#[derive(Debug, Deserialize)]
pub struct Counts {
    /// The day.
    pub counted: String,
    /// Mappings from a queue to a function.
    pub mappings: u32,
    /// One count for each outcome and size of batch.
    pub orders: Vec<Count>,
}

/// One order of an outcome.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Count {
    /// How it went: `paid`.
    pub outcome: String,
    /// How many messages were handed over at once.
    pub batch: u32,
    /// What is billed.
    #[serde(flatten)]
    pub units: Units,
    /// Write units by table, and by index: `OrderTable/GSI1`.
    pub write_units_by: BTreeMap<String, f64>,
    /// Read units likewise.
    pub read_units_by: BTreeMap<String, f64>,
}

/// What is billed for one order.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Units {
    /// Requests that API Gateway took.
    pub api_requests: f64,
    /// Invocations of functions.
    pub invocations: f64,
    /// Their memory times their duration, as the double's machine has it: more than an account would bill.
    pub megabyte_milliseconds: f64,
    /// DynamoDB's write units.
    pub write_units: f64,
    /// DynamoDB's read units.
    pub read_units: f64,
    /// Events that the pipe carried.
    pub pipe_events: f64,
    /// Events that the bus took.
    pub bus_events: f64,
    /// Their bytes.
    pub bus_bytes: f64,
    /// Messages that the bus sent to queues, each a request.
    pub queue_sends: f64,
    /// Requests that received messages.
    pub queue_receives: f64,
    /// Requests that deleted them.
    pub queue_deletes: f64,
    /// Bytes that the functions logged.
    pub log_bytes: f64,
    /// Bytes that Lambda logged of them.
    pub log_bytes_of_lambda: f64,
    /// Bytes that API Gateway logged.
    pub log_bytes_of_the_api: f64,
}

impl Units {
    /// Requests that SQS bills.
    pub fn queue_requests(&self) -> f64 {
        self.queue_sends + self.queue_receives + self.queue_deletes
    }

    /// Bytes that CloudWatch bills.
    pub fn all_log_bytes(&self) -> f64 {
        self.log_bytes + self.log_bytes_of_lambda + self.log_bytes_of_the_api
    }
}

/// What the older system takes on its success path, and what that costs, as far as it is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Older {
    /// What it is.
    pub what: String,
    /// DynamoDB's write units.
    pub write_units: f64,
    /// DynamoDB's read units.
    pub read_units: f64,
    /// Records of the stream, events of the pipe and of the bus: how many of which is not known.
    pub carried_events: f64,
    /// Requests that SQS bills.
    pub queue_requests: f64,
    /// Invocations of functions.
    pub invocations: f64,
    /// Bytes of logs.
    pub log_bytes: f64,
    /// A million orders.
    pub dollars_without_logs: f64,
    /// A million orders.
    pub dollars_with_logs: f64,
}

impl Counts {
    /// The counts that this binary was built with.
    ///
    /// # Errors
    /// A file that was not written by the test.
    pub fn written_down() -> anyhow::Result<Counts> {
        serde_json::from_str(include_str!("counts.json")).context("failed to read the counts")
    }

    /// One of them.
    pub fn of(&self, outcome: &str, batch: u32) -> Option<&Count> {
        self.orders.iter().find(|count| count.outcome == outcome && count.batch == batch)
    }
}

impl Older {
    /// What is known of it.
    ///
    /// # Errors
    /// A file that is not what this version reads.
    pub fn known() -> anyhow::Result<Older> {
        serde_json::from_str(include_str!("older.json")).context("failed to read the older system's count")
    }
}
