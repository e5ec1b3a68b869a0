//! Bugs that are put in on purpose, so that a run that finds nothing means something.
//!
//! Without the feature `planted` every function here hands on what it was given.

use std::sync::Arc;

use event_store::memory::MemoryStore;
use event_store::{CatalogViews, EventLog, ShadowViews};
use events::Ulid;
use workers::{Failure, Gateway, Reconcile, Worker, Workers};

use crate::ports::Ports;
use crate::sim::Sim;

/// What an id has to be greater than.
pub(crate) fn after(_sim: &Sim, after: Option<Ulid>) -> Option<Ulid> {
    after
}

pub(crate) fn store(_sim: &Sim) -> MemoryStore {
    MemoryStore::new()
}

pub(crate) fn log(ports: &Arc<Ports>) -> Arc<dyn EventLog> {
    ports.clone()
}

pub(crate) fn catalog(ports: &Arc<Ports>) -> Arc<dyn CatalogViews> {
    ports.clone()
}

pub(crate) fn shadow(_sim: &Sim, ports: &Arc<Ports>) -> Arc<dyn ShadowViews> {
    ports.clone()
}

pub(crate) fn gateway(_ports: &Arc<Ports>, gateway: Arc<dyn Gateway>) -> Arc<dyn Gateway> {
    gateway
}

pub(crate) fn reported(_sim: &Sim, failures: Vec<Failure>) -> Vec<Failure> {
    failures
}

pub(crate) fn worker<'a>(_sim: &Sim, worker: Worker, workers: &'a Workers) -> Box<dyn Reconcile + 'a> {
    Box::new(Of(workers.get(worker)))
}

struct Of<'a>(&'a dyn Reconcile);

#[async_trait::async_trait]
impl Reconcile for Of<'_> {
    async fn reconcile(&self, stream: &events::StreamKey, nudge: &workers::Nudge) -> Result<(), workers::WorkerError> {
        self.0.reconcile(stream, nudge).await
    }
}
