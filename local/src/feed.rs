//! From the log to the queues: follows the change feed, routes each event, offers it to its queues.

use std::sync::Arc;

use event_store::{ChangeFeed, Position};
use events::RecordedEvent;
use tokio::sync::Notify;

use crate::queue::{Queue, now};
use crate::wiring::Wiring;

pub(crate) struct Feed {
    pub(crate) log: Arc<dyn ChangeFeed>,
    pub(crate) wiring: Arc<Wiring>,
    /// In the order of [`Wiring::queues`].
    pub(crate) queues: Vec<Arc<Queue>>,
    pub(crate) room: Arc<Notify>,
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Events that are read at once.
const PAGE: usize = 1_000;

impl Feed {
    /// Runs until it is dropped. A panic here ends the process: without it no message flows, and everything
    /// that was acknowledged is found at the next start.
    pub(crate) async fn run(self) {
        let _guard = AbortOnPanic;
        loop {
            if let Err(error) = self.pass().await {
                tracing::warn!(%error, "failed to read the change feed; it is tried again");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }

    /// Offers a page to the queues that stand furthest behind, and one to those that stand in front: a
    /// queue that has much to catch up on does not hold up the others.
    async fn pass(&self) -> Result<(), event_store::StoreError> {
        let open = self.queues.iter().map(|queue| queue.lock()).filter(|queue| !queue.is_full());
        let places: Vec<u64> = open.map(|queue| queue.read_to()).collect();
        let (Some(behind), Some(front)) = (places.iter().min(), places.iter().max()) else {
            self.room.notified().await;
            return Ok(());
        };
        if behind == front {
            let page = tokio::select! {
                page = self.log.follow(Position(*front), PAGE) => page?,
                () = self.room.notified() => return Ok(()),
            };
            self.offer(&page);
            return Ok(());
        }
        self.offer(&self.log.follow(Position(*behind), PAGE).await?);
        if self.log.head().await?.0 > *front {
            self.offer(&self.log.follow(Position(*front), PAGE).await?);
        }
        Ok(())
    }

    /// Offers each event to the queues that it reaches and that do not have it yet.
    fn offer(&self, page: &[(Position, Arc<RecordedEvent>)]) {
        let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) else { return };
        // A queue that stands before the page would leave out what is between.
        let may_take = |queue: &Arc<Queue>| {
            let queue = queue.lock();
            !queue.is_full() && queue.read_to() + 1 >= first.0
        };
        let mut taking: Vec<bool> = self.queues.iter().map(may_take).collect();
        let mut rung = vec![false; self.queues.len()];
        let at = now();
        for (position, event) in page {
            let routes = self.wiring.routes(event);
            let mut detail: Option<Arc<str>> = None;
            for route in routes.iter() {
                if !taking[route.queue] {
                    continue;
                }
                let mut queue = self.queues[route.queue].lock();
                if queue.read_to() >= position.0 {
                    continue;
                }
                if queue.is_full() {
                    // It goes on from here when it has room: nothing behind this may be skipped.
                    queue.skip_to(position.0 - 1);
                    taking[route.queue] = false;
                    continue;
                }
                let detail = detail.get_or_insert_with(|| self.wiring.detail(event).into());
                queue.offer(position.0, self.wiring.body(route, event, detail), at);
                rung[route.queue] = true;
            }
        }
        for (index, queue) in self.queues.iter().enumerate() {
            if taking[index] {
                queue.lock().skip_to(last.0);
            }
            if rung[index] {
                queue.ring();
            }
        }
    }
}
