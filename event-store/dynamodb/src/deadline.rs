//! Until when a call may be tried again: a function must answer before its time is up.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs a future whose calls give up at `deadline`.
pub async fn until<Work: Future>(deadline: Instant, work: Work) -> Work::Output {
    DEADLINE.scope(deadline, work).await
}

/// When a call that begins now gives up.
pub(crate) fn of_a_call(patience: Duration) -> Instant {
    let patient = Instant::now() + patience;
    DEADLINE.try_with(|deadline| patient.min(*deadline)).unwrap_or(patient)
}
