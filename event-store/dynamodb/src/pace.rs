//! The read budget: reading the log goes on when what it took before is paid for.
//!
//! One budget for all who read the log through a store and its clones, in however many segments. What a read takes is
//! known only behind it, so it is the next one that waits.

use std::sync::Mutex;
use std::time::Duration;

use event_store::StoreError;
use tokio::time::{Instant, sleep_until};

use crate::deadline;

/// Nobody waits for longer, whatever the budget says.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Pace {
    /// Read units a second; as many as there are if `None`.
    budget: Option<f64>,
    /// When what was taken is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn of(budget: Option<f64>) -> Pace {
        Pace { budget, paid: Mutex::default() }
    }

    /// Says what a read took.
    pub(crate) fn took(&self, units: f64) {
        let Some(budget) = self.budget else { return };
        let mut paid = self.paid.lock().expect("nobody panics while counting");
        let from = paid.unwrap_or_else(Instant::now).max(Instant::now());
        *paid = Some(from + Duration::try_from_secs_f64(units / budget).unwrap_or(A_DAY).min(A_DAY));
    }

    /// Waits until the log may be read again.
    ///
    /// # Errors
    /// That is too late for whoever waits.
    pub(crate) async fn wait(&self) -> Result<(), StoreError> {
        let paid = *self.paid.lock().expect("nobody panics while counting");
        let Some(paid) = paid else { return Ok(()) };
        match deadline::in_time(sleep_until(paid)).await {
            Some(()) => Ok(()),
            None => Err(StoreError::Unavailable("the read budget leaves nothing until time is up".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_all_readers_took_is_waited_for_before_any_reads_on() {
        let pace = Pace::of(Some(100.0));
        let began = Instant::now();
        pace.wait().await.unwrap();
        pace.took(50.0);
        pace.took(150.0);
        assert_eq!(began.elapsed(), Duration::ZERO, "what was read is given at once");
        pace.wait().await.unwrap();
        assert_eq!(began.elapsed().as_millis().div_ceil(10), 200);
        pace.wait().await.unwrap();
        assert_eq!(began.elapsed().as_millis().div_ceil(10), 200, "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_a_deadline() {
        let pace = Pace::of(Some(1.0));
        pace.took(60.0);
        let began = Instant::now();
        let until = began + Duration::from_secs(3);
        assert!(deadline::until(until, pace.wait()).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_budget_nobody_waits() {
        let pace = Pace::of(None);
        pace.took(1e9);
        let began = Instant::now();
        pace.wait().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
