//! Sweeps of the whole log: once a day by the clock, or when an operator asks; and what the last one found.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use event_store::StoreError;
use event_store_embedded::QueueStore;
use tokio::sync::Mutex;
use views::Observe;
use workers::{DeadLetters, LogSweep, LogSweeper, SweepReport, WorkerError};

/// Where what a sweep found is kept, across restarts.
const BOOKMARK: &str = "oms-log-sweeper";

/// The dead letters of this process.
pub(crate) struct KeptLetters(pub(crate) QueueStore);

#[async_trait]
impl DeadLetters for KeptLetters {
    async fn counts(&self) -> Result<BTreeMap<String, u64>, WorkerError> {
        Ok(self.0.dead_letter_counts()?.into_iter().collect())
    }
}

pub(crate) struct Sweeps {
    pub(crate) sweeper: LogSweeper,
    pub(crate) store: QueueStore,
    /// Held by whoever sweeps: the clock and an operator may come at once.
    pub(crate) sweeping: Mutex<()>,
}

impl Sweeps {
    /// Sweeps if it is time to: a day after the last sweep began, whatever was stopped and started since.
    pub(crate) async fn at_tick(self: &Arc<Self>) -> Result<SweepReport, WorkerError> {
        let _sweeping = self.sweeping.lock().await;
        match LogSweep::at_tick(self.last()?, self.sweeper.stamper.now()) {
            Some(sweep) => Ok(self.go_on(sweep, &|_, _| {}).await?.report.swept),
            None => Ok(SweepReport::default()),
        }
    }

    /// Sweeps from the beginning. `observe` is told how many events are read, and of how many.
    pub(crate) async fn now(&self, observe: Observe<'_>) -> Result<LogSweep, WorkerError> {
        let _sweeping = self.sweeping.lock().await;
        self.go_on(LogSweep::beginning(self.sweeper.stamper.now()), observe).await
    }

    /// The last sweep, or what there is of one that was cut short.
    pub(crate) fn last(&self) -> Result<Option<LogSweep>, StoreError> {
        self.store.bookmark(BOOKMARK)
    }

    async fn go_on(&self, mut sweep: LogSweep, observe: Observe<'_>) -> Result<LogSweep, WorkerError> {
        let total = self.sweeper.scan.size().await?;
        while !sweep.has_ended {
            self.sweeper.go_on(&mut sweep).await?;
            self.store.put_bookmark(BOOKMARK, &sweep).await?;
            observe(sweep.report.events, total.max(sweep.report.events));
        }
        let report = &sweep.report;
        let letters = report.dead_letters.as_ref().map_or(0, |letters| letters.values().sum::<u64>());
        tracing::info!(
            events = report.events,
            orders = serde_json::json!(report.orders).to_string(),
            open = report.open,
            stuck = report.stuck,
            short = report.short,
            expired = report.expired,
            dead_letters = letters,
            nudged = report.swept.nudged,
            "daily report"
        );
        Ok(sweep)
    }
}
