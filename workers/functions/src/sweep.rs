//! The sweepers as functions: what the clock starts, and what goes on at the next tick where time was up.

use std::sync::Arc;
use std::time::Duration;

use event_store::SystemStamper;
use event_store_dynamodb::{DynamoStore, Limits, deadline};
use functions::{Function, variable};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument;
use workers::{LogReport, LogSweep, LogSweeper, SweepReport, Sweeper, Worker};

use crate::queue::{SqsLetters, SqsNudges};

/// How long an order may stand still, if `PATIENCE_SECONDS` says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Read units a second that a sweep of the log may take, if `SCAN_UNITS` says nothing: a third of what a partition of the
/// table can give, which whoever places orders there has to share.
const SCAN_UNITS: f64 = 1_000.0;
/// The sweepers, and their bookmarks.
const SWEEPER: &str = "oms-sweeper";

/// Answers every tick with a look at every open order, or at as many as there is time for: the next tick goes on behind
/// them.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn sweep() -> Result<(), Error> {
    let function = Function::start(SWEEPER)?;
    let store = Arc::new(function.store());
    let debtors = [Worker::Orders, Worker::Inventory, Worker::Payments];
    let sweeper = Sweeper {
        log: store.clone(),
        orders: store.clone(),
        nudges: Arc::new(SqsNudges::of_variables(function.connection(), &debtors)?),
        stamper: Arc::new(SystemStamper::new(SWEEPER)),
        patience: patience(),
    };
    let (store, sweeper) = (&*store, &sweeper);
    let answer = |tick: LambdaEvent<Value>| {
        let swept = sweep_until(functions::deadline(&tick.context), sweeper, store);
        let swept = deadline::until(functions::last_deadline(&tick.context), swept);
        // On the heap: what is awaited in it is nested deeper than the compiler likes to lay out.
        function.invocation(Box::pin(swept).instrument(tracing::info_span!("sweep")))
    };
    lambda_runtime::run(service_fn(answer)).await
}

async fn sweep_until(until: Instant, sweeper: &Sweeper, store: &DynamoStore) -> Result<SweepReport, Error> {
    let behind = store.bookmark(SWEEPER).await?.flatten();
    let goes_on = behind.is_some();
    let time_is_left = || Instant::now() < until;
    let (report, next) = sweeper.sweep_behind(behind, &time_is_left).await?;
    if goes_on || next.is_some() {
        store.put_bookmark(SWEEPER, &next).await?;
    }
    let SweepReport { stood_still, nudged } = report;
    tracing::info!(stood_still, nudged, goes_on, is_cut_short = next.is_some(), "swept");
    Ok(report)
}

/// Answers ticks with a look at the whole log, once a day, for as many ticks as that takes. Whoever asks without a clock
/// gets one from the beginning.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn sweep_log() -> Result<(), Error> {
    let function = Function::start(LogSweeper::BINARY)?;
    let store = Arc::new(function.store_within(Limits { scan_units: scan_units(), ..Limits::default() }));
    let sweeper = LogSweeper {
        scan: store.clone(),
        log: store.clone(),
        orders: store.clone(),
        catalog: store.clone(),
        nudges: Arc::new(SqsNudges::of_variables(function.connection(), &Worker::ALL)?),
        letters: Arc::new(SqsLetters::of_variables(function.connection())),
        stamper: Arc::new(SystemStamper::new(LogSweeper::BINARY)),
        patience: patience(),
        expire_after: expire_after(),
    };
    let (store, sweeper) = (&*store, &sweeper);
    let answer = |tick: LambdaEvent<Value>| {
        let last = functions::last_deadline(&tick.context);
        let swept = async move {
            let kept =
                if is_of_the_clock(&tick.payload) { store.bookmark(LogSweeper::BINARY).await? } else { None };
            match LogSweep::at_tick(kept, sweeper.stamper.now()) {
                Some(sweep) => {
                    sweep_log_until(functions::deadline(&tick.context), sweep, sweeper, store).await.map(Some)
                }
                None => Ok(None),
            }
        };
        // On the heap: what is awaited in it is nested deeper than the compiler likes to lay out.
        let swept = Box::pin(deadline::until(last, swept));
        function.invocation(swept.instrument(tracing::info_span!("sweep")))
    };
    lambda_runtime::run(service_fn(answer)).await
}

async fn sweep_log_until(
    until: Instant,
    mut sweep: LogSweep,
    sweeper: &LogSweeper,
    store: &DynamoStore,
) -> Result<LogReport, Error> {
    while !sweep.has_ended && Instant::now() < until {
        match sweeper.go_on(&mut sweep).await {
            Ok(()) => store.put_bookmark(LogSweeper::BINARY, &sweep).await?,
            // What was read of the last page is read again at the next tick.
            Err(_) if Instant::now() >= until => break,
            Err(error) => return Err(error.into()),
        }
    }
    let LogReport { events, open, stuck, short, expired, swept, .. } = &sweep.report;
    if !sweep.has_ended {
        tracing::info!(events, "the sweep goes on at the next tick");
        return Ok(sweep.report);
    }
    let LogReport { orders, longest, shortages, shortages_left_out, dead_letters, .. } = &sweep.report;
    let (orders, longest) = (json!(orders).to_string(), json!(longest).to_string());
    let (shortages, dead_letters) = (json!(shortages).to_string(), json!(dead_letters).to_string());
    let SweepReport { stood_still, nudged } = swept;
    tracing::info!(
        events,
        orders,
        open,
        stuck,
        longest,
        short,
        shortages,
        shortages_left_out,
        expired,
        dead_letters,
        stood_still,
        nudged,
        "daily report"
    );
    Ok(sweep.report)
}

/// Whether a rule of the bus started the function by the clock. Source: "Scheduled Events", Amazon EventBridge User Guide.
fn is_of_the_clock(payload: &Value) -> bool {
    payload["detail-type"] == "Scheduled Event"
}

/// What reading the log may take of the table in a second.
fn scan_units() -> Option<f64> {
    let units = variable("SCAN_UNITS").and_then(|units| units.parse().ok());
    Some(units.filter(|units| *units > 0.0).unwrap_or(SCAN_UNITS))
}

/// After how long orders expire; 0, and nothing, is never.
fn expire_after() -> Option<Duration> {
    let seconds = variable("EXPIRE_AFTER_SECONDS").and_then(|seconds| seconds.parse().ok());
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn patience() -> Duration {
    let seconds = variable("PATIENCE_SECONDS").and_then(|seconds| seconds.parse().ok());
    seconds.map_or(PATIENCE, Duration::from_secs)
}
