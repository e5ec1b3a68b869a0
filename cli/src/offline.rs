//! Replay and audit of a store folder that no server has open: the seam to the embedded store.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use event_store::{Role, View};
use events::{CustomerId, Timestamp};
use serde_json::{Value, json};

use crate::progress::Progress;

/// What to do with the rebuilt rows.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Compare them with the live ones.
    pub diff: bool,
    /// Put them in the place of the live ones.
    pub swap: bool,
}

/// Rebuilds a read model of the store in `data`; the report is the document of `GET /ops/replays/{id}`.
pub async fn replay(data: &Path, view: &str, mode: Mode) -> anyhow::Result<Value> {
    let view = parse(view)?;
    let mode = views::replay::Mode { diff: mode.diff, swap: mode.swap };
    let (progress, began) = (Progress::new(format!("replay of {view}"), 0), Instant::now());
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = local::offline_replay(data, view, mode, &observe).await?;
    progress.finish();
    let events = report.events;
    Ok(done(json!(report), events, began))
}

/// The read model of that name.
pub fn parse(view: &str) -> anyhow::Result<View> {
    View::parse(view).with_context(|| format!("there is no read model {view}"))
}

/// Audits the store in `data`, where what has not moved since a moment is at rest; the report is the document of `GET /ops/audits/{id}`.
pub async fn audit(data: &Path, still_since: Timestamp) -> anyhow::Result<Value> {
    let (progress, began) = (Progress::new("audit", 0), Instant::now());
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = local::offline_audit(data, still_since, &observe).await?;
    progress.finish();
    Ok(report_of_audit(&report, began))
}

/// The document of an audit that has ended.
pub fn report_of_audit(report: &views::AuditReport, began: Instant) -> Value {
    let mut shown = done(json!(report), report.events, began);
    shown["clean"] = report.is_clean().into();
    shown
}

/// The document of a run that has ended, over so many events.
pub fn done(mut report: Value, events: u64, began: Instant) -> Value {
    report["state"] = "done".into();
    report["events_per_second"] = (events as f64 / began.elapsed().as_secs_f64().max(1e-6)).round().into();
    report
}

/// Makes a key in the store in `data`; the answer is the document of `POST /keys`.
pub async fn create_key(
    data: &Path,
    name: &str,
    role: Role,
    customer: Option<&str>,
) -> anyhow::Result<Value> {
    let customer = customer.map(CustomerId::parse).transpose()?;
    let (row, shown) = local::offline_key(data, name, role, customer).await?;
    let mut made = json!(row);
    made["api_key"] = shown.into();
    Ok(made)
}
