//! What every function does around its handler: reads its variables, makes its clients, logs, keeps its deadline.

pub mod emf;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};
use lambda_runtime::{Context, Error};
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

/// What a function is told at its start: the variables of its template.
#[derive(Debug)]
pub struct Function {
    connection: Connection,
}

impl Function {
    /// Reads what every function needs, and begins to log.
    ///
    /// # Errors
    /// The name of a variable that is missing.
    pub fn start() -> Result<Function, Error> {
        let level = variable("LOG_LEVEL").and_then(|level| level.parse::<LevelFilter>().ok());
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .with_max_level(level.unwrap_or(LevelFilter::INFO))
            .init();
        Ok(Function { connection: Connection::of_variables(variable)? })
    }

    /// How AWS is reached.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The store over the tables that the variables name. Nothing is connected to yet.
    pub fn store(&self) -> DynamoStore {
        DynamoStore::new(&self.connection, Tables::of_variables(variable), Limits::default())
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

/// When an invocation stops, and hands back the rest.
pub fn deadline(context: &Context) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(context.deadline).saturating_sub(now);
    Instant::now() + left.mul_f64(SHARE)
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
        context.deadline = 0;
        assert!(deadline(&context) <= Instant::now());
    }
}
