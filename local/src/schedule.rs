//! Functions that the templates wake by the clock: the sweeper.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::{Priority, RecordedEvent};
use tokio::time::{MissedTickBehavior, interval};
use workers::{Nudges, Sweeper, Worker, WorkerError, listeners};

use crate::queue::Queue;
use crate::wiring::{Wiring, probe};

/// Sends nudges to the queues of this process.
pub(crate) struct LocalNudges {
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) queues: Vec<Arc<Queue>>,
}

#[async_trait]
impl Nudges for LocalNudges {
    async fn nudge(&self, worker: Worker, lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        let Some(queue) = self.lane(worker, lane) else {
            return Err(WorkerError::Permanent(format!("no queue leads to {}", worker.binary())));
        };
        Ok(self.queues[queue].send(self.wiring.detail(event)).await?)
    }
}

impl LocalNudges {
    /// The queue through which an event of this lane would reach a worker.
    fn lane(&self, worker: Worker, lane: Priority) -> Option<usize> {
        let leads_there = |queue: &usize| self.wiring.queues[*queue].function.binary == worker.binary();
        let heard = events::EventName::ALL.iter().find(|name| listeners(**name).contains(&worker))?;
        let routes = self.wiring.routes(&probe(heard.as_str(), lane));
        let found = routes.iter().map(|route| route.queue).find(leads_there);
        found.or_else(|| (0..self.wiring.queues.len()).find(leads_there))
    }
}

/// Sweeps at every tick until it is dropped.
pub(crate) async fn sweep_every(every: Duration, sweeper: Sweeper) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sweeper.sweep().await {
            Ok(report) if report.nudged > 0 => {
                tracing::info!(stood_still = report.stood_still, nudged = report.nudged, "swept");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "failed to sweep; the next sweep begins anew"),
        }
    }
}
