//! Until when a call may be tried again, and an answer be waited for: a function must answer before its time is up.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs a future whose calls give up at `deadline`, whatever they are waiting for.
pub async fn until<Work: Future>(deadline: Instant, work: Work) -> Work::Output {
    DEADLINE.scope(deadline, work).await
}

/// When a call that begins now is no longer tried again.
pub(crate) fn of_a_call(patience: Duration) -> Instant {
    let patient = Instant::now() + patience;
    DEADLINE.try_with(|deadline| patient.min(*deadline)).unwrap_or(patient)
}

/// What a try is answered, if that is before the deadline.
pub(crate) async fn in_time<Try: Future>(one: Try) -> Option<Try::Output> {
    match DEADLINE.try_with(|deadline| *deadline) {
        Ok(deadline) if deadline <= Instant::now() => None,
        Ok(deadline) => timeout_at(deadline, one).await.ok(),
        Err(_) => Some(one.await),
    }
}
