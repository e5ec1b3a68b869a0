//! The clock of one function, which may be wrong, and the ids that it makes.

use std::sync::Arc;

use event_store::Stamper;
use events::{Stamp, Timestamp, Ulid, next_event_id};

use crate::sim::Sim;

/// When every run begins: 2026-01-01T00:00:00Z, in milliseconds.
pub const BEGAN_AT: i64 = 1_767_225_600_000;

/// A clock that is a fixed time off.
pub struct Clock {
    /// What the run shares.
    pub sim: Arc<Sim>,
    /// How far off, in milliseconds.
    pub skew_ms: i64,
    /// Whose clock.
    pub producer: Arc<str>,
}

impl Clock {
    /// The clock of a function that is started now.
    pub fn drawn(sim: &Arc<Sim>, producer: &str) -> Clock {
        let mut core = sim.core();
        let most = core.swarm.skew_ms;
        let skew_ms = core.fate.i64(-most..=most);
        Clock { sim: sim.clone(), skew_ms, producer: producer.into() }
    }
}

impl Stamper for Clock {
    fn stamp(&self, after: Option<Ulid>) -> Stamp {
        let now = self.now();
        let random = self.sim.core().pace.u128(..);
        let after = crate::planted::after(&self.sim, after);
        Stamp {
            event_id: next_event_id(now, random, after),
            occurred_at: now,
            producer: self.producer.clone(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGAN_AT + (self.sim.now() / 1_000) as i64 + self.skew_ms)
    }
}
