//! Dead letters: what is done to them is written down first, then carried out letter by letter, across restarts.

use std::sync::Arc;
use std::time::Duration;

use event_store::{Stamper, StoreError};
use event_store_embedded::{Action, Begun, DeadLetter, Deed, ParkedMessage, QueueStore, Wanted};
use events::Ulid;
use tokio::sync::watch;

use crate::queue::Queue;

/// The dead letters of this process, and whoever takes them away.
pub(crate) struct Letters {
    pub(crate) store: Arc<QueueStore>,
    pub(crate) queues: Vec<Arc<Queue>>,
    pub(crate) clock: Arc<dyn Stamper>,
    /// Says that the server is about to stop. What is under way then goes on at the next start.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Reads what may be much, on a thread that may block.
pub(crate) async fn at_length<T: Send + 'static>(
    store: &Arc<QueueStore>,
    work: impl FnOnce(&QueueStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    done.unwrap_or_else(|_| Err(StoreError::Unavailable("the store is closing".into())))
}

/// At most so many letters are taken away in one write.
const AT_ONCE: u64 = 100;
/// Where a rate is given, about so many writes are made in a second.
const STEPS: u64 = 10;
/// How long a store that does not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How far an action has come.
struct Place {
    /// The last letter that was looked at.
    after: i64,
    taken: u64,
}

impl Letters {
    /// Goes on with what was under way when the process ended.
    pub(crate) fn go_on(self: &Arc<Self>) -> Result<(), StoreError> {
        for action in self.store.unfinished()? {
            tokio::spawn(self.clone().carry_out(action));
        }
        Ok(())
    }

    /// Writes down what is wanted, and begins with it; of a request that comes again, nothing more than once.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        wanted: Wanted,
        seed: Option<Ulid>,
    ) -> Result<Action, StoreError> {
        let action = match self.store.begin(wanted, seed, self.clock.now()).await? {
            Begun::Now(action) => action,
            Begun::Before(action) => return Ok(action),
        };
        let Wanted { deed, who, .. } = &action.wanted;
        tracing::info!(action = action.id, deed = deed.as_str(), who, "dead letters are taken away");
        tokio::spawn(self.clone().carry_out(action.clone()));
        Ok(action)
    }

    async fn carry_out(self: Arc<Self>, action: Action) {
        // Letters that stay are looked at again after a restart, and stay again.
        let mut place = Place { after: 0, taken: action.taken };
        loop {
            let pause = match self.step(&action, &mut place).await {
                Ok(Some(pause)) => pause,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(action = action.id, %error, "failed to take dead letters away; it is tried again");
                    PAUSE
                }
            };
            let mut stop = self.stop.clone();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes the next letters away, and says how long to wait before the next ones; `None` when it has ended.
    async fn step(&self, action: &Action, place: &mut Place) -> Result<Option<Duration>, StoreError> {
        let choice = &action.wanted.choice;
        let room = choice.limit.map_or(u64::MAX, |limit| limit.saturating_sub(place.taken));
        let pace = choice.rate.map_or(AT_ONCE, |rate| (u64::from(rate) / STEPS).max(1));
        let at_once = room.min(pace).min(AT_ONCE) as usize;
        let letters = self.store.chosen(choice, place.after, action.up_to, at_once)?;
        let Some(last) = letters.last().map(|letter| letter.id) else {
            self.store.end(action.id, self.clock.now()).await?;
            tracing::info!(action = action.id, taken = place.taken, "dead letters were taken away");
            return Ok(None);
        };
        let taken = match action.wanted.deed {
            Deed::Redrive => self.send_back(action, letters).await?,
            Deed::Discard => {
                let ids = letters.iter().map(|letter| letter.id).collect();
                self.store.take(action, ids, self.clock.now()).await?.letters
            }
        };
        place.after = last;
        place.taken += taken;
        let pause = choice.rate.map_or(0.0, |rate| taken as f64 / f64::from(rate));
        Ok(Some(Duration::from_secs_f64(pause)))
    }

    /// Letters whose queue is not there any more stay.
    async fn send_back(&self, action: &Action, letters: Vec<DeadLetter>) -> Result<u64, StoreError> {
        let (ways, ids): (Vec<_>, Vec<_>) = letters
            .into_iter()
            .filter_map(|letter| {
                let (queue, id) = (self.queue(&letter.source_queue)?, letter.id);
                Some(((queue, letter.body), id))
            })
            .unzip();
        let at = self.clock.now();
        let taken = self.store.take(action, ids, at).await?;
        for ((queue, body), number) in ways.into_iter().zip(taken.parked) {
            let Some(number) = number else { continue };
            let (visible_at, sent_at) = (at.millis(), at.millis());
            let message = ParkedMessage { position: None, body, receive_count: 0, visible_at, sent_at };
            queue.lock().unpark(number, message);
            queue.ring();
        }
        Ok(taken.letters)
    }

    /// The queue of this name that a worker reads.
    pub(crate) fn queue(&self, name: &str) -> Option<&Arc<Queue>> {
        self.queues.iter().find(|queue| queue.lock().name() == name)
    }
}
