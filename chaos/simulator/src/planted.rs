//! Bugs that are put in on purpose, so that a run that finds nothing means something.
//!
//! Each stands where a careless change would put it: around a worker, a port, or the store, never in the
//! code that is tested. Without the feature `planted`, which no release build has, every function here
//! hands on what it was given.

#[cfg(feature = "planted")]
mod bugs;
#[cfg(feature = "planted")]
pub use bugs::{Bug, CAUGHT_WITHIN, caught};
#[cfg(feature = "planted")]
pub(crate) use bugs::{after, catalog, gateway, kept, keys, log, orders, reported, shadow, store, worker};

#[cfg(not(feature = "planted"))]
pub(crate) use none::{after, catalog, gateway, kept, keys, log, orders, reported, shadow, store, worker};

/// Nothing is planted.
#[cfg(not(feature = "planted"))]
mod none {
    use std::sync::Arc;

    use event_store::memory::MemoryStore;
    use event_store::{CatalogViews, EventLog, Idempotency, Keys, OrderViews, ShadowViews};
    use events::Ulid;
    use workers::{Failure, Gateway, Message, Worker, Workers};

    use crate::ports::Ports;
    use crate::sim::Sim;

    pub(crate) fn after(_: &Sim, after: Option<Ulid>) -> Option<Ulid> {
        after
    }

    pub(crate) fn store(_: &Sim) -> MemoryStore {
        MemoryStore::new()
    }

    pub(crate) fn log(ports: &Arc<Ports>) -> Arc<dyn EventLog> {
        ports.clone()
    }

    pub(crate) fn catalog(ports: &Arc<Ports>) -> Arc<dyn CatalogViews> {
        ports.clone()
    }

    pub(crate) fn orders(ports: &Arc<Ports>) -> Arc<dyn OrderViews> {
        ports.clone()
    }

    pub(crate) fn kept(ports: &Arc<Ports>) -> Arc<dyn Idempotency> {
        ports.clone()
    }

    pub(crate) fn keys(ports: &Arc<Ports>) -> Arc<dyn Keys> {
        ports.clone()
    }

    pub(crate) fn shadow(ports: &Arc<Ports>) -> Arc<dyn ShadowViews> {
        ports.clone()
    }

    pub(crate) fn gateway(_: &Arc<Ports>, gateway: Arc<dyn Gateway>) -> Arc<dyn Gateway> {
        gateway
    }

    pub(crate) fn worker(
        _: &Sim,
        worker: Worker,
        workers: &Arc<Workers>,
        batch: Vec<Message<Arc<str>>>,
    ) -> impl Future<Output = Vec<Failure>> + Send + use<> {
        let workers = workers.clone();
        async move { workers::handle_batch(workers.get(worker), &batch).await }
    }

    pub(crate) fn reported(_: &Sim, failures: Vec<Failure>) -> Vec<Failure> {
        failures
    }
}
