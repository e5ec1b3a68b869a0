//! Functions that the templates wake by the clock: the sweepers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::{Priority, RecordedEvent};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use workers::{Nudges, SweepReport, Worker, WorkerError};

use crate::queue::Queue;
use crate::wiring::Wiring;

/// Sends nudges to the queues of this process.
pub(crate) struct LocalNudges {
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) queues: Vec<Arc<Queue>>,
}

#[async_trait]
impl Nudges for LocalNudges {
    async fn nudge(&self, worker: Worker, lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        let Some(queue) = self.wiring.lane(worker, lane) else {
            return Err(WorkerError::Permanent(format!("no queue leads to {}", worker.binary())));
        };
        Ok(self.queues[queue].send(self.wiring.detail(event)).await?)
    }
}

/// Sweeps at every tick until it is dropped, for the first time after `first`.
pub(crate) async fn sweep_every<Swept>(first: Duration, every: Duration, sweep: impl Fn() -> Swept)
where
    Swept: Future<Output = Result<SweepReport, WorkerError>>,
{
    let mut ticks = interval_at(Instant::now() + first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sweep().await {
            Ok(report) if report.nudged > 0 => {
                tracing::info!(stood_still = report.stood_still, nudged = report.nudged, "swept");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "failed to sweep; the next sweep begins anew"),
        }
    }
}
