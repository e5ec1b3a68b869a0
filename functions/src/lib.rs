//! What every function does around its handler: reads its variables, makes its clients, logs, keeps its deadline.

mod emf;
mod log;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};
use lambda_runtime::{Context, Error};
use telemetry::export::Exporter;
use telemetry::metrics;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::emf::Emf;

/// What a function is told at its start: the variables of its template.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    /// Which version of it this process runs: `$LATEST` if nobody says.
    version: String,
    connection: Connection,
    emf: Emf,
    exporter: Option<Exporter>,
    was_invoked: AtomicBool,
}

/// How long an invocation waits for the collector, which stands beside it.
const COLLECTOR_PATIENCE: Duration = Duration::from_millis(500);

impl Function {
    /// Reads what every function needs, and begins to log. Spans are exported if `OTEL_EXPORTER_OTLP_ENDPOINT` says
    /// whereto.
    ///
    /// # Errors
    /// The name of a variable that is missing or no good.
    pub fn start(name: &'static str) -> Result<Function, Error> {
        let level = variable("LOG_LEVEL").and_then(|level| level.parse::<LevelFilter>().ok());
        let level = level.unwrap_or(LevelFilter::INFO);
        let exporter = variable("OTEL_EXPORTER_OTLP_ENDPOINT")
            .map(|endpoint| Exporter::new(name, &endpoint, COLLECTOR_PATIENCE))
            .transpose()?;
        let emf = Emf::default();
        let log = log::layer(level, std::io::stdout);
        let spans = exporter.as_ref().map(|exporter| {
            let is_span = filter_fn(move |about| about.is_span() && log::is_wanted(about, level));
            exporter.layer().with_filter(is_span)
        });
        let measured = emf.clone().with_filter(filter_fn(|about| about.target() == metrics::TARGET));
        tracing_subscriber::registry().with(log).with(spans).with(measured).init();
        let connection = Connection::of_variables(variable)?;
        let version = variable("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| "$LATEST".to_owned());
        Ok(Function { name, version, connection, emf, exporter, was_invoked: AtomicBool::new(false) })
    }

    /// Answers one invocation; then writes what was measured, and exports its spans. Later, the process is frozen.
    pub async fn invocation<Answer>(&self, answer: impl Future<Output = Answer>) -> Answer {
        if !self.was_invoked.swap(true, Ordering::Relaxed) {
            metrics::cold_start();
        }
        let answer = answer.await;
        self.emf.write(self.name, &self.version);
        if let Some(exporter) = &self.exporter {
            exporter.flush().await;
        }
        answer
    }

    /// How AWS is reached.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The store over the tables that the variables name. Nothing is connected to yet.
    pub fn store(&self) -> DynamoStore {
        self.store_within(Limits::default())
    }

    /// The same, for a function whose calls may take more or less than others'.
    pub fn store_within(&self, limits: Limits) -> DynamoStore {
        DynamoStore::new(&self.connection, Tables::of_variables(variable), limits)
    }
}

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that must be set.
///
/// # Errors
/// Its name.
pub fn required(name: &str) -> Result<String, Error> {
    variable(name).ok_or_else(|| format!("{name} is not set").into())
}

/// The share of an invocation's time after which nothing new is begun: what is left is for handing back what was
/// not done.
const SHARE: f64 = 0.8;
/// The share after which what was begun is waited for no longer, where it may be.
const LAST_SHARE: f64 = 0.9;

/// When an invocation stops, and hands back the rest.
pub fn deadline(context: &Context) -> Instant {
    Instant::now() + left(context).mul_f64(SHARE)
}

/// When an invocation that begins nothing new after its [`deadline`], but comes to the end of what it began, gives up.
pub fn last_deadline(context: &Context) -> Instant {
    Instant::now() + left(context).mul_f64(LAST_SHARE)
}

fn left(context: &Context) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(context.deadline).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_stops_while_a_fifth_of_its_time_is_left() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut context = Context::default();
        context.deadline = (now + Duration::from_secs(10)).as_millis() as u64;
        let left = deadline(&context) - Instant::now();
        assert!(left <= Duration::from_secs(8) && left > Duration::from_secs(7), "{left:?}");
        let left = last_deadline(&context) - Instant::now();
        assert!(left <= Duration::from_secs(9) && left > Duration::from_secs(8), "{left:?}");
        context.deadline = 0;
        assert!(deadline(&context) <= Instant::now() && last_deadline(&context) <= Instant::now());
    }
}
