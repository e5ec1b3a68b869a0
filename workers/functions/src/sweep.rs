//! The sweepers as functions: what the clock starts.

use std::sync::Arc;
use std::time::Duration;

use event_store::SystemStamper;
use event_store_dynamodb::deadline;
use functions::{Function, variable};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::timeout_at;
use tracing::Instrument;
use workers::{LogSweeper, SweepReport, Sweeper, Worker, WorkerError};

use crate::queue::SqsNudges;

/// How long an order may stand still, if `PATIENCE_SECONDS` says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers every tick with a look at every open order.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn sweep() -> Result<(), Error> {
    let function = Function::start("oms-sweeper")?;
    let store = Arc::new(function.store());
    let debtors = [Worker::Orders, Worker::Inventory, Worker::Payments];
    let sweeper = Sweeper {
        log: store.clone(),
        orders: store,
        nudges: Arc::new(SqsNudges::of_variables(function.connection(), &debtors)?),
        stamper: Arc::new(SystemStamper::new("oms-sweeper")),
        patience: patience(),
    };
    at_every_tick(&function, || sweeper.sweep()).await
}

/// Answers every tick with a look at the whole log.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn sweep_log() -> Result<(), Error> {
    let function = Function::start("oms-log-sweeper")?;
    let store = Arc::new(function.store());
    let sweeper = LogSweeper {
        scan: store.clone(),
        orders: store.clone(),
        catalog: store,
        nudges: Arc::new(SqsNudges::of_variables(function.connection(), &Worker::ALL)?),
        stamper: Arc::new(SystemStamper::new("oms-log-sweeper")),
        patience: patience(),
    };
    at_every_tick(&function, || sweeper.sweep()).await
}

fn patience() -> Duration {
    let seconds = variable("PATIENCE_SECONDS").and_then(|seconds| seconds.parse().ok());
    seconds.map_or(PATIENCE, Duration::from_secs)
}

async fn at_every_tick<Swept>(function: &Function, sweep: impl Fn() -> Swept) -> Result<(), Error>
where
    Swept: Future<Output = Result<SweepReport, WorkerError>>,
{
    let sweep = &sweep;
    let answer = |tick: LambdaEvent<Value>| {
        let swept = async move {
            let until = functions::deadline(&tick.context);
            let report = timeout_at(until, deadline::until(until, sweep())).await??;
            let SweepReport { stood_still, nudged } = report;
            tracing::info!(stood_still, nudged, "swept");
            Ok::<_, Error>(())
        };
        function.invocation(swept.instrument(tracing::info_span!("sweep")))
    };
    lambda_runtime::run(service_fn(answer)).await
}
