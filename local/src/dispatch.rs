//! From a queue to its worker: batches, concurrency, time-outs, as the template says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use workers::{Worker, Workers, handle_batch};

use crate::queue::Queue;

pub(crate) struct Dispatch {
    pub(crate) queue: Arc<Queue>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) worker: Worker,
    pub(crate) batch_size: usize,
    pub(crate) batching_window: Duration,
    pub(crate) concurrency: usize,
    pub(crate) function_timeout: Duration,
    pub(crate) reports_failures: bool,
}

impl Dispatch {
    /// Hands out batches until it is told to stop, then waits for those that are under way.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let running = Arc::new(Semaphore::new(self.concurrency));
        let this = Arc::new(self);
        loop {
            let permit = running.clone().acquire_owned().await.expect("the semaphore is never closed");
            let batch = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                batch = this.queue.receive(this.batch_size, this.batching_window) => batch,
            };
            let this = this.clone();
            tokio::spawn(async move {
                this.handle(batch).await;
                drop(permit);
            });
        }
        drop(running.acquire_many(this.concurrency as u32).await);
    }

    async fn handle(&self, batch: Vec<workers::Message<Arc<str>>>) {
        let worker = self.workers.get(self.worker);
        match timeout(self.function_timeout, handle_batch(worker, &batch)).await {
            Ok(failures) if failures.is_empty() || self.reports_failures => {
                self.queue.settle(&batch, failures).await;
            }
            // Without partial batch responses, a failure fails its whole batch.
            Ok(failures) => {
                let whole =
                    batch.iter().map(|message| workers::Failure { id: message.id, ..failures[0].clone() });
                self.queue.settle(&batch, whole.collect()).await;
            }
            // The function was cut off: its messages are visible again when their visibility times out.
            Err(_) => {
                tracing::warn!(worker = self.worker.binary(), "a batch ran into its function's timeout")
            }
        }
    }
}
