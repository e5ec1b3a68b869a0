//! Work that the server does in the background: begun with a request, then watched to its end.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};

use crate::client::{Client, path};
use crate::output::text;
use crate::progress::Progress;

/// It is looked at soon, then less and less often, at least so often.
const LOOK: Duration = Duration::from_millis(200);

/// Begins it at `/ops/{kind}`, shows how far it is, and gives its report.
///
/// # Errors
/// The server's, or the run failed.
pub async fn run(client: &Client, kind: &str, what: String, request: &Value) -> anyhow::Result<Value> {
    let begun = client.post(&path(&["ops", kind]), request).await?.body;
    let Some(id) = begun.get("id").map(text) else { bail!("the server began {what} without saying its id") };
    follow(client, &path(&["ops", kind, &id]), what, ["events", "total"]).await
}

/// Shows how far something is that has begun, in two fields of its report, and gives that when it has ended.
///
/// # Errors
/// The server's, or the run failed.
pub async fn follow(client: &Client, route: &str, what: String, counts: [&str; 2]) -> anyhow::Result<Value> {
    let (progress, mut pause) = (Progress::new(what.clone(), 0), Duration::from_millis(10));
    loop {
        let report = client.get(route).await?;
        let [done, total] = counts.map(|field| report[field].as_u64().unwrap_or(0));
        progress.at(done, total.max(done));
        match report["state"].as_str() {
            Some("running") => tokio::time::sleep(pause).await,
            Some("done") => {
                progress.finish();
                return Ok(report);
            }
            _ => {
                progress.finish();
                bail!("failed to finish {what}: {}", text(&report["error"]));
            }
        }
        pause = (pause * 2).min(LOOK);
    }
}

/// How many events were read, and how fast.
pub fn speed(report: &Value) -> Value {
    let rate = report["events_per_second"].as_f64().map(|rate| format!(" ({rate:.0}/s)")).unwrap_or_default();
    json!(format!("{}{rate}", text(&report["events"])))
}
