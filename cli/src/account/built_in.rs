//! What an account answers.

use std::time::Instant;

use account::{Connection, DeadLetters, How, ReadModels};
use anyhow::Context;
use clap::ValueEnum;
use event_store::{Stamper, SystemStamper, View};
use events::Timestamp;
use serde_json::{Value, json};

use super::{OfStacks, OfTables, Stack, Task};
use crate::offline::{Mode, done, report_of_audit, report_of_personal};
use crate::progress::Progress;

/// Asks the account.
pub async fn run(task: Task<'_>) -> anyhow::Result<Value> {
    match task {
        Task::Depths(of) => Ok(json!({ "queues": letters(of, None)?.depths().await? })),
        Task::Look(of, queue, limit) => {
            Ok(json!({ "dead_letters": letters(of, Some(queue))?.look(limit, now()).await? }))
        }
        Task::Redrive { of, queue, limit, rate, dry_run } => {
            let progress = Progress::new("dead letters", 0);
            let observe = |done: u64, total: u64| progress.at(done, total.max(done));
            let redriven = letters(of, queue)?.redrive(How { limit, rate, dry_run }, now(), &observe).await;
            progress.finish();
            Ok(json!({ "dry_run": dry_run, "queues": redriven? }))
        }
        Task::Replay { of, view, mode, segments } => replay(of, view, mode, segments).await,
        Task::Discard(of, view) => {
            read_models(of).await?.discard(view).await?;
            Ok(json!({ "view": view, "discarded": true }))
        }
        Task::CreateKey { of, name, role } => {
            let connection = account::connection(of.endpoint_url.as_deref(), variable)?;
            let (row, shown) = account::create_key(&connection, name, role).await?;
            let mut made = json!(row);
            made["api_key"] = shown.into();
            Ok(made)
        }
        Task::Audit(of, still_since) => audit(of, still_since).await,
        Task::Personal(of) => personal(of).await,
    }
}

fn letters(of: &OfStacks, queue: Option<&str>) -> anyhow::Result<DeadLetters> {
    let connection = account::connection(of.endpoint_url.as_deref(), variable)?;
    letters_of(&of.stacks, queue, &connection)
}

fn letters_of(stacks: &[Stack], queue: Option<&str>, connection: &Connection) -> anyhow::Result<DeadLetters> {
    let templates = stacks.iter().map(|stack| match stack {
        Stack::Oms => "template-oms.yaml",
        Stack::Ims => "template-ims.yaml",
    });
    // Both environments have the same queues.
    let topology = local::declared("dev")?;
    DeadLetters::of(&topology, &templates.collect::<Vec<_>>(), queue, connection)
}

async fn read_models(of: &OfTables) -> anyhow::Result<ReadModels> {
    let connection = account::connection(of.endpoint_url.as_deref(), variable)?;
    models_of(of, &connection).await
}

async fn models_of(of: &OfTables, connection: &Connection) -> anyhow::Result<ReadModels> {
    ReadModels::of(connection, of.table_prefix.as_deref(), of.read_units.map(f64::from)).await
}

async fn replay(of: &OfTables, view: View, mode: Mode, segments: u32) -> anyhow::Result<Value> {
    let mode = views::replay::Mode { diff: mode.diff, swap: mode.swap };
    let (models, began) = (read_models(of).await?, Instant::now());
    let progress = Progress::new(format!("replay of {view}"), 0);
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = models.replay(view, mode, segments, &observe).await;
    progress.finish();
    let report = report.context("begin it again, and it goes on where it was")?;
    let events = report.events;
    Ok(with_units(done(json!(report), events, began), &models))
}

async fn audit(of: &OfTables, still_since: Timestamp) -> anyhow::Result<Value> {
    let (models, began) = (read_models(of).await?, Instant::now());
    let progress = Progress::new("audit", 0);
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = models.audit(still_since, &observe).await;
    progress.finish();
    Ok(with_units(report_of_audit(&report?, began), &models))
}

/// Of tables with a prefix, whoever runs over them has the queues: there is a server to ask for those.
async fn personal(of: &OfTables) -> anyhow::Result<Value> {
    let connection = account::connection(of.endpoint_url.as_deref(), variable)?;
    let letters = match of.table_prefix {
        Some(_) => Vec::new(),
        None => letters_of(Stack::value_variants(), None, &connection)?.texts().await?,
    };
    let (models, began) = (models_of(of, &connection).await?, Instant::now());
    let progress = Progress::new("audit", 0);
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = models.personal(letters, &observe).await;
    progress.finish();
    Ok(with_units(report_of_personal(&report?, began), &models))
}

/// Beside the report, what it took: the units are billed.
fn with_units(mut report: Value, models: &ReadModels) -> Value {
    let consumed = models.consumed();
    report["read_units"] = consumed.read_units.into();
    report["write_units"] = consumed.write_units.into();
    report
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn now() -> Timestamp {
    SystemStamper::new("sagaline").now()
}
