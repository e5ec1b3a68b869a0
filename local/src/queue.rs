//! A queue that can be waited for: [`QueueState`] with a clock, a store and somebody to wake.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event_store_embedded::{ParkedMessage, QueueChange, QueueStore};
use tokio::sync::Notify;
use tokio::time::sleep;
use workers::{Failure, Message};

use crate::queue_state::{Counts, Definition, Millis, QueueState, Returned};

pub(crate) struct Queue {
    state: Mutex<QueueState>,
    store: Arc<QueueStore>,
    /// Rung when a message may have become visible.
    visible: Notify,
    /// Rung when a full queue may have room again.
    pub(crate) room: Arc<Notify>,
    /// Messages that are done, and could not be taken out of the store yet.
    undeleted: Mutex<Vec<QueueChange>>,
}

pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

/// How long a waiting receiver sleeps at most before it looks for timed-out messages.
const LOOK: Duration = Duration::from_secs(1);

impl Queue {
    /// Opens a queue where it stood.
    pub(crate) fn open(
        definition: Definition,
        store: Arc<QueueStore>,
        room: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let cursor = store.cursor(&definition.name)?.unwrap_or(0);
        let mut state = QueueState::new(definition, cursor);
        for (number, message) in store.parked(state.name())? {
            state.unpark(number, message);
        }
        let undeleted = Mutex::default();
        Ok(Queue { state: Mutex::new(state), store, visible: Notify::new(), room, undeleted })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().expect("no queue panics while it is locked")
    }

    /// Says that messages were offered.
    pub(crate) fn ring(&self) {
        self.visible.notify_one();
    }

    /// Waits for messages, and hands out up to `limit` of them. With a window, waits that long for a full
    /// batch.
    pub(crate) async fn receive(&self, limit: usize, window: Duration) -> Vec<Message<Arc<str>>> {
        loop {
            let (visible, next) = {
                let mut state = self.lock();
                (state.visible(now()), state.next_visible())
            };
            if visible >= limit || (visible > 0 && window.is_zero()) {
                return self.take(limit);
            }
            if visible > 0 {
                self.wait(window).await;
                return self.take(limit);
            }
            let due = next.map_or(LOOK, |next| Duration::from_millis((next - now()).max(0) as u64));
            self.wait(due.min(LOOK)).await;
        }
    }

    async fn wait(&self, at_most: Duration) {
        tokio::select! {
            () = self.visible.notified() => {}
            () = sleep(at_most) => {}
        }
    }

    /// Hands out up to `limit` messages of those that are visible.
    pub(crate) fn take(&self, limit: usize) -> Vec<Message<Arc<str>>> {
        let mut state = self.lock();
        let was_full = state.is_full();
        let batch = state.receive(limit, now());
        if was_full && !state.is_full() {
            self.room.notify_one();
        }
        batch
    }

    /// Deletes what was handled, and makes durable what was not before it is visible again.
    pub(crate) async fn settle(&self, batch: &[Message<Arc<str>>], failures: Vec<Failure>) {
        let (done, returned) = self.lock().settle(batch, failures, now());
        self.give_back(done, returned).await;
    }

    /// Takes back messages whose visibility timed out.
    pub(crate) async fn time_out(&self) {
        let returned = self.lock().time_out(now());
        self.give_back(Vec::new(), returned).await;
    }

    async fn give_back(&self, mut changes: Vec<QueueChange>, returned: Vec<Returned>) {
        changes.append(&mut self.undeleted());
        if changes.is_empty() && returned.is_empty() {
            return;
        }
        let done: Vec<QueueChange> = changes.clone();
        changes.push(self.lock().cursor_behind(&returned));
        let before = changes.len();
        changes.extend(returned.iter().map(Returned::change));
        match self.store.apply(changes).await {
            Ok(numbers) => {
                let mut state = self.lock();
                for (returned, number) in returned.into_iter().zip(numbers.into_iter().skip(before)) {
                    state.returned(returned, number);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to give messages back; they are tried again");
                self.undeleted().extend(done);
                let mut state = self.lock();
                returned.into_iter().for_each(|returned| state.not_returned(returned, now()));
            }
        }
        self.ring();
    }

    fn undeleted(&self) -> MutexGuard<'_, Vec<QueueChange>> {
        self.undeleted.lock().expect("nobody panics while holding them")
    }

    /// Sends a message by hand.
    pub(crate) async fn send(&self, body: String) -> Result<(), event_store::StoreError> {
        let at = now();
        let message = ParkedMessage { position: None, body, receive_count: 0, visible_at: at, sent_at: at };
        let queue = self.lock().name().to_owned();
        let park = QueueChange::Park { queue, id: None, message: message.clone() };
        if let [Some(number)] = self.store.apply(vec![park]).await?[..] {
            self.lock().unpark(number, message);
            self.ring();
        }
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts()
    }
}
