//! What runs beside the workers: sweeps, replays and audits, in the storm and at rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{Stamper, View};
use events::Timestamp;
use views::audit::STUCK;
use views::replay::Mode;
use views::{AuditReport, Finding, audit, audit_at_rest, replay};
use workers::{DeadLetters, LogSweeper, Sweeper, WorkerError};

use crate::clock::Clock;
use crate::figures::Sometimes;
use crate::site::Handler;
use crate::world::{About, Done, What, World};

/// How long an order may stand still before the sweeper nudges.
const STANDS_STILL: Duration = Duration::from_secs(120);

/// Nobody counts dead letters here: they are redriven.
struct Uncounted;

#[async_trait]
impl DeadLetters for Uncounted {
    async fn counts(&self) -> Result<BTreeMap<String, u64>, WorkerError> {
        Ok(BTreeMap::new())
    }
}

impl World {
    pub(crate) fn sweep(&mut self) {
        let sweeper = Sweeper {
            log: Arc::new(self.ports.clone()),
            orders: Arc::new(self.ports.clone()),
            nudges: Arc::new(self.ports.clone()),
            stamper: Arc::new(Clock::drawn(&self.sim, "oms-sweeper")),
            patience: STANDS_STILL,
        };
        self.sweep_by(Handler::Sweeper, async move { sweeper.sweep().await });
    }

    pub(crate) fn sweep_log(&mut self) {
        let expires = self.sim.core().swarm.expiry;
        let sweeper = LogSweeper {
            scan: Arc::new(self.ports.clone()),
            log: Arc::new(self.ports.clone()),
            orders: Arc::new(self.ports.clone()),
            catalog: Arc::new(self.ports.clone()),
            nudges: Arc::new(self.ports.clone()),
            letters: Arc::new(Uncounted),
            stamper: Arc::new(Clock::drawn(&self.sim, "oms-log-sweeper")),
            patience: STANDS_STILL,
            expire_after: expires.then_some(STANDS_STILL),
        };
        self.sweep_by(Handler::LogSweeper, async move { sweeper.sweep().await });
    }

    /// A sweep that fails in the storm is followed by the next one.
    fn sweep_by<T>(
        &mut self,
        handler: Handler,
        sweep: impl Future<Output = Result<T, WorkerError>> + Send + 'static,
    ) {
        let in_peace = self.sim.core().peace;
        let future = async move {
            let failed = sweep.await.err().filter(|_| in_peace);
            Done::Swept(failed.map(|error| error.to_string()))
        };
        self.tasks.spawn(future, About { handler, what: What::Operator });
    }

    fn views_ports(&self, looks: u32) -> views::Ports {
        let shared = Arc::new(self.ports.clone());
        views::Ports {
            log: shared.clone(),
            scan: shared.clone(),
            feed: Some(shared.clone()),
            rows: crate::planted::shadow(&shared),
            orders: shared.clone(),
            stock: shared.clone(),
            intents: Some(shared.clone()),
            pause: shared,
            looks,
        }
    }

    pub(crate) fn replay(&mut self) {
        // Counters are what is hardest to rebuild while they move.
        let drawn = self.pick(View::ALL.len() + 2);
        let view = View::ALL.get(drawn).copied().unwrap_or(View::Stock);
        let mode = Mode { diff: true, swap: self.pick(2) == 0 };
        self.replay_as(view, mode, 1 + self.pick(3) as u32, false);
    }

    /// Replays at rest; the report comes into [`World::at_rest`].
    pub(crate) fn replay_at_rest(&mut self, view: View) {
        self.replay_as(view, Mode { diff: true, swap: false }, 2, true);
    }

    fn replay_as(&mut self, view: View, mode: Mode, segments: u32, at_rest: bool) {
        self.sim.core().replaying[view as usize] += 1;
        let ports = self.views_ports(3);
        let future = async move { Done::Replayed(replay(&ports, view, mode, segments, &|_, _| {}).await) };
        let what = What::Replay { view, at_rest };
        self.tasks.spawn(future, About { handler: Handler::Replay, what });
    }

    /// Audits at rest; the report comes into [`World::at_rest`].
    pub(crate) fn audit_at_rest(&mut self) {
        // Nothing is too young to be owed something.
        self.audit(What::AtRest, 1, Some(Timestamp::from_millis(i64::MAX)));
    }

    /// As users do it, by a clock that may be as wrong as any; every third one asks nothing of what may be under way.
    pub(crate) fn audit_beside_traffic(&mut self) {
        let still_since = match self.pick(3) {
            0 => None,
            _ => Some(views::audit::still_since(Clock::drawn(&self.sim, "audit").now(), STANDS_STILL)),
        };
        self.audit(What::Operator, 5, still_since);
    }

    fn audit(&mut self, what: What, looks: u32, still_since: Option<Timestamp>) {
        let ports = self.views_ports(looks);
        let future = async move {
            Done::Audited(match still_since {
                Some(still_since) => audit_at_rest(&ports, still_since, &|_, _| {}).await,
                None => audit(&ports, &|_, _| {}).await,
            })
        };
        self.tasks.spawn(future, About { handler: Handler::Audit, what });
    }

    /// Rows may lag while orders are placed, and what is owed may be held up for as long as the storm lasts; counters may
    /// not be wrong, nor streams, nor may anything that stands still and is owed nothing.
    pub(crate) fn audited_beside_traffic(&mut self, report: &AuditReport) {
        if !self.sim.core().peace {
            self.sim.saw(Sometimes::Audited);
        }
        if report.still_since.is_some() && report.differences.iter().any(|found| found.what == STUCK) {
            self.sim.saw(Sometimes::Stuck);
        }
        let is_usual = |found: &Finding| match found.what {
            "row" | "orphan_row" => true,
            STUCK => has_stood_still(report, &found.detail),
            _ => false,
        };
        if let Some(found) = report.differences.iter().find(|found| !is_usual(found)) {
            self.failure =
                Some(format!("an audit beside live traffic found {}: {}", found.what, found.detail));
        }
    }
}

/// Whether what an audit calls stuck has stood still for as long as it was asked about.
fn has_stood_still(report: &AuditReport, detail: &str) -> bool {
    let since = detail.rsplit(' ').next().and_then(|at| Timestamp::parse(at).ok());
    since.zip(report.still_since).is_some_and(|(since, still_since)| since < still_since)
}
