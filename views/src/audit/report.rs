//! What an audit found: counts, broken promises, and events that are passed over.

use std::collections::BTreeMap;

use events::{Anomaly, RecordedEvent, Timestamp};
use orders::Status;
use serde::Serialize;

use crate::invariants::{Invariant, Stuck, Violation};

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuditReport {
    /// Events read.
    pub events: u64,
    /// Orders by state.
    pub orders: BTreeMap<Status, u64>,
    /// Orders to which something is still to come.
    pub open: u64,
    /// What has not moved since then had to be at rest. If nothing is said, whatever is owed may still be under way.
    pub still_since: Option<Timestamp>,
    /// How many of the differences are [`STUCK`].
    pub stuck: u64,
    /// What is not as it should be, the first [`MAX_FINDINGS`].
    pub differences: Vec<Finding>,
    /// How many differences there were.
    pub difference_count: u64,
    /// Events that readers pass over, the first [`MAX_FINDINGS`]. They are shown, and are no difference.
    pub anomalies: Vec<ShownAnomaly>,
    /// How many anomalies there were.
    pub anomaly_count: u64,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise is broken: an [`Invariant::name`], or [`STUCK`].
    pub what: &'static str,
    /// Where, what is stored, and what the log says.
    pub detail: String,
}

/// What somebody owes, and has owed for longer than anything may stand still. The detail says which promise waits for
/// it, what is owed to whom, and since when.
pub const STUCK: &str = "stuck";

/// An anomaly as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownAnomaly {
    /// The stream.
    pub pk: String,
    /// The key it stands under.
    pub sk: String,
    /// Its id.
    pub event_id: String,
    /// Its name.
    pub event_name: String,
    /// Why it is passed over.
    pub why: String,
}

/// So many differences and anomalies are named; all are counted.
pub const MAX_FINDINGS: usize = 1_000;

impl AuditReport {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.difference_count == 0
    }

    pub(super) fn find(&mut self, invariant: Invariant, detail: String) {
        self.differ(Finding { what: invariant.name(), detail });
    }

    fn differ(&mut self, finding: Finding) {
        self.difference_count += 1;
        if self.differences.len() < MAX_FINDINGS {
            self.differences.push(finding);
        }
    }

    pub(super) fn find_all(&mut self, violations: impl IntoIterator<Item = Violation>) {
        violations.into_iter().for_each(|Violation { invariant, detail }| self.find(invariant, detail));
    }

    pub(super) fn find_stuck(&mut self, Stuck { since, violation }: Stuck) {
        self.stuck += 1;
        self.differ(Finding {
            what: STUCK,
            detail: format!("{violation}; it has stood still since {since}"),
        });
    }

    pub(super) fn show(&mut self, anomaly: ShownAnomaly) {
        self.anomaly_count += 1;
        if self.anomalies.len() < MAX_FINDINGS {
            self.anomalies.push(anomaly);
        }
    }
}

impl ShownAnomaly {
    pub(super) fn of(event: &RecordedEvent, why: &str) -> Self {
        ShownAnomaly {
            pk: event.pk.to_string(),
            sk: event.sk.to_string(),
            event_id: event.event_id.to_string(),
            event_name: event.event_name.to_string(),
            why: why.to_owned(),
        }
    }
}

impl From<Anomaly> for ShownAnomaly {
    fn from(anomaly: Anomaly) -> Self {
        ShownAnomaly {
            why: anomaly.why.to_string(),
            pk: anomaly.pk,
            sk: anomaly.sk,
            event_id: anomaly.event_id.to_string(),
            event_name: anomaly.event_name,
        }
    }
}
