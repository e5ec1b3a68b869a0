//! One queue as a cursor over the log plus its messages in flight: pure, the time is passed in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use event_store_embedded::{DeadLetter, ParkedMessage, QueueChange};
use rustc_hash::FxHashMap;
use workers::{Failure, Message};

/// Milliseconds since 1970.
pub(crate) type Millis = i64;

/// How a queue behaves: what the template says of it.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) visibility_timeout: Duration,
    pub(crate) delay: Duration,
    pub(crate) redrive: Option<topology::Redrive>,
}

/// Where a message came from. Ids of parked messages have the highest bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The event at this position.
    Log(u64),
    /// Parked under this number; it may carry the event at this position.
    Parked(i64, Option<u64>),
}

const PARKED: u64 = 1 << 63;

impl Origin {
    fn id(self) -> u64 {
        match self {
            Origin::Log(position) => position,
            Origin::Parked(number, _) => PARKED | number.unsigned_abs(),
        }
    }

    fn position(self) -> Option<u64> {
        match self {
            Origin::Log(position) => Some(position),
            Origin::Parked(_, position) => position,
        }
    }

    fn parked(self) -> Option<i64> {
        match self {
            Origin::Log(_) => None,
            Origin::Parked(number, _) => Some(number),
        }
    }
}

#[derive(Debug, Clone)]
struct Held {
    origin: Origin,
    body: Arc<str>,
    receive_count: u32,
    sent_at: Millis,
}

/// What a queue shows of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
    pub(crate) received: u64,
    pub(crate) deleted: u64,
    pub(crate) dead_lettered: u64,
}

pub(crate) struct QueueState {
    definition: Definition,
    /// Every event up to here was offered.
    read_to: u64,
    /// Offered events that are neither done nor parked.
    outstanding: BTreeSet<u64>,
    /// Positions beyond `read_to` of events that are parked.
    parked_ahead: BTreeSet<u64>,
    ready: VecDeque<Held>,
    /// Messages that become visible later, by when.
    later: BTreeMap<(Millis, u64), Held>,
    in_flight: FxHashMap<u64, (Held, Millis)>,
    full: bool,
    ready_bytes: usize,
    /// The cursor that is durable.
    saved: u64,
    counts: Counts,
}

/// A message whose state must be made durable before it is seen again.
pub(crate) struct Returned {
    held: Held,
    visible_at: Millis,
    change: QueueChange,
    gives_up: bool,
}

/// No more events are taken above so many waiting messages: the rest waits in the log …
const FULL: usize = 10_000;
/// … and above so many bytes of them, and so many that wait for their time …
const FULL_BYTES: usize = 16 * 1024 * 1024;
const FULL_LATER: usize = 200_000;
/// … until so few are left that reading on is worth it.
const ROOM: usize = 5_000;

impl QueueState {
    pub(crate) fn new(definition: Definition, cursor: u64) -> Self {
        QueueState {
            definition,
            read_to: cursor,
            outstanding: BTreeSet::new(),
            parked_ahead: BTreeSet::new(),
            ready: VecDeque::new(),
            later: BTreeMap::new(),
            in_flight: FxHashMap::default(),
            full: false,
            ready_bytes: 0,
            saved: cursor,
            counts: Counts::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.definition.name
    }

    pub(crate) fn read_to(&self) -> u64 {
        self.read_to
    }

    /// Whether it takes no more events for now.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    fn look_at_room(&mut self) {
        // What waits for its back-off does not count: many failures must not keep the rest from being tried.
        let (waiting, bytes) = (self.ready.len(), self.ready_bytes);
        self.full = if self.full {
            waiting > ROOM || bytes > FULL_BYTES / 2
        } else {
            waiting >= FULL || bytes >= FULL_BYTES || self.later.len() >= FULL_LATER
        };
    }

    /// Takes an event from the log, in the order of positions. One that was parked before a crash, and whose
    /// position the cursor had not reached, is here already.
    pub(crate) fn offer(&mut self, position: u64, body: Arc<str>, now: Millis) {
        debug_assert!(position > self.read_to, "events are offered in the order of the log");
        self.read_to = position;
        if self.parked_ahead.remove(&position) {
            return;
        }
        self.outstanding.insert(position);
        let held = Held { origin: Origin::Log(position), body, receive_count: 0, sent_at: now };
        let delay = self.definition.delay.as_millis() as i64;
        if delay == 0 {
            self.ready_bytes += held.body.len();
            self.ready.push_back(held);
        } else {
            self.later.insert((now + delay, position), held);
        }
        self.look_at_room();
    }

    /// Everything up to this position was looked at; what was not offered is not for this queue.
    pub(crate) fn skip_to(&mut self, position: u64) {
        self.read_to = self.read_to.max(position);
    }

    /// Takes a message that is parked in the store.
    pub(crate) fn unpark(&mut self, number: i64, message: ParkedMessage) {
        let origin = Origin::Parked(number, message.position);
        self.parked_ahead.extend(message.position.filter(|position| *position > self.read_to));
        let held = Held {
            origin,
            body: message.body.into(),
            receive_count: message.receive_count,
            sent_at: message.sent_at,
        };
        self.later.insert((message.visible_at, origin.id()), held);
    }

    /// When the next message becomes visible that is not yet.
    pub(crate) fn next_visible(&self) -> Option<Millis> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// How many messages are visible.
    pub(crate) fn visible(&mut self, now: Millis) -> usize {
        self.wake(now);
        self.ready.len()
    }

    /// Hands out up to `limit` messages; each stays invisible until its timeout.
    pub(crate) fn receive(&mut self, limit: usize, now: Millis) -> Vec<Message<Arc<str>>> {
        self.wake(now);
        let until = now + self.definition.visibility_timeout.as_millis() as i64;
        let batch = self.ready.len().min(limit);
        let mut handed_out = Vec::with_capacity(batch);
        let taken: Vec<Held> = self.ready.drain(..batch).collect();
        for mut held in taken {
            held.receive_count += 1;
            self.ready_bytes -= held.body.len();
            let id = held.origin.id();
            handed_out.push(Message { id, body: held.body.clone(), receive_count: held.receive_count });
            self.in_flight.insert(id, (held, until));
        }
        self.counts.received += batch as u64;
        self.look_at_room();
        handed_out
    }

    fn wake(&mut self, now: Millis) {
        while let Some(due) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            let held = due.remove();
            self.ready_bytes += held.body.len();
            self.ready.push_back(held);
        }
    }

    /// Deletes what was handled and takes back what failed. What is given must be made durable, then
    /// handed to [`QueueState::returned`].
    pub(crate) fn settle(
        &mut self,
        batch: &[Message<Arc<str>>],
        failures: Vec<Failure>,
        now: Millis,
    ) -> (Vec<QueueChange>, Vec<Returned>) {
        let mut failed: FxHashMap<u64, Failure> =
            failures.into_iter().map(|failure| (failure.id, failure)).collect();
        let (mut done, mut returned) = (Vec::new(), Vec::new());
        for message in batch {
            // Absent: its visibility timed out, and it is somebody else's now.
            let Some((held, _)) = self.in_flight.remove(&message.id) else { continue };
            match failed.remove(&message.id) {
                Some(failure) => {
                    let visible_at = now + failure.retry_after.as_millis() as i64;
                    returned.push(self.take_back(held, &failure.error.to_string(), visible_at, now));
                }
                None => {
                    self.counts.deleted += 1;
                    self.forget(&held);
                    done.extend(held.origin.parked().map(|id| QueueChange::Done { id }));
                }
            }
        }
        (done, returned)
    }

    /// Takes back messages whose visibility timed out: their worker died, or took too long.
    pub(crate) fn time_out(&mut self, now: Millis) -> Vec<Returned> {
        let late = self.in_flight.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id);
        let mut late: Vec<u64> = late.collect();
        late.sort_unstable();
        let held = late.into_iter().filter_map(|id| self.in_flight.remove(&id)).collect::<Vec<_>>();
        held.into_iter().map(|(held, _)| self.take_back(held, "its visibility timed out", now, now)).collect()
    }

    fn take_back(&self, held: Held, error: &str, visible_at: Millis, now: Millis) -> Returned {
        let id = held.origin.parked();
        let used_up = |redrive: &&topology::Redrive| held.receive_count >= redrive.max_receive_count;
        let change = match self.definition.redrive.as_ref().filter(used_up) {
            Some(redrive) => QueueChange::GiveUp {
                id,
                letter: DeadLetter {
                    id: 0,
                    queue: redrive.dead_letter_queue.clone(),
                    source_queue: self.definition.name.clone(),
                    position: held.origin.position(),
                    body: held.body.to_string(),
                    receive_count: held.receive_count,
                    error: error.to_owned(),
                    dead_at: now,
                },
            },
            None => QueueChange::Park {
                queue: self.definition.name.clone(),
                id,
                message: ParkedMessage {
                    position: held.origin.position(),
                    body: held.body.to_string(),
                    receive_count: held.receive_count,
                    visible_at,
                    sent_at: held.sent_at,
                },
            },
        };
        let gives_up = matches!(change, QueueChange::GiveUp { .. });
        Returned { held, visible_at, change, gives_up }
    }

    /// Called when a returned message's change is durable, with the number that it is parked under.
    pub(crate) fn returned(&mut self, returned: Returned, number: Option<i64>) {
        self.forget(&returned.held);
        if returned.gives_up {
            self.counts.dead_lettered += 1;
        } else if let Some(number) = number {
            let origin = Origin::Parked(number, returned.held.origin.position());
            let held = Held { origin, ..returned.held };
            self.later.insert((returned.visible_at, origin.id()), held);
        }
    }

    /// Called when a returned message's change could not be made durable: it is tried again.
    pub(crate) fn not_returned(&mut self, returned: Returned, now: Millis) {
        self.in_flight.insert(returned.held.origin.id(), (returned.held, now + 1_000));
    }

    fn forget(&mut self, held: &Held) {
        if let Origin::Log(position) = held.origin {
            self.outstanding.remove(&position);
        }
    }

    /// Where the cursor will stand once these are durable: saved with them, a crash right behind brings none
    /// of them a second time, unless something before them is still under way.
    pub(crate) fn cursor_behind(&self, returned: &[Returned]) -> QueueChange {
        let leaves =
            |position: &u64| returned.iter().any(|returned| returned.held.origin == Origin::Log(*position));
        let first = self.outstanding.iter().find(|position| !leaves(position));
        let position = self.cursor_before(first).max(self.saved);
        QueueChange::Cursor { queue: self.definition.name.clone(), position }
    }

    /// The cursor, if it moved since it was last saved: every event up to it is done, or parked.
    pub(crate) fn cursor_to_save(&self) -> Option<u64> {
        let cursor = self.cursor_before(self.outstanding.first());
        (cursor > self.saved).then_some(cursor)
    }

    /// Where the cursor stands if this is the first event that is neither done nor parked.
    fn cursor_before(&self, first: Option<&u64>) -> u64 {
        first.map_or(self.read_to, |first| first - 1)
    }

    pub(crate) fn saved(&mut self, cursor: u64) {
        self.saved = self.saved.max(cursor);
    }

    /// When the oldest of its messages was sent that is not done.
    pub(crate) fn oldest_sent_at(&self) -> Option<Millis> {
        let waiting = self.ready.iter().chain(self.later.values());
        waiting.chain(self.in_flight.values().map(|(held, _)| held)).map(|held| held.sent_at).min()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            visible: self.ready.len() as u64,
            in_flight: self.in_flight.len() as u64,
            delayed: self.later.len() as u64,
            ..self.counts
        }
    }
}

impl Returned {
    pub(crate) fn change(&self) -> QueueChange {
        self.change.clone()
    }
}

#[cfg(test)]
mod tests {
    use workers::WorkerError;

    use super::*;

    fn queue(max_receive_count: u32) -> QueueState {
        let redrive = Some(topology::Redrive { dead_letter_queue: "DLQ".into(), max_receive_count });
        let definition = Definition {
            name: "Q".into(),
            visibility_timeout: Duration::from_secs(180),
            delay: Duration::ZERO,
            redrive,
        };
        QueueState::new(definition, 0)
    }

    fn failure(id: u64) -> Failure {
        let error = WorkerError::Transient("no".into());
        Failure { id, error, retry_after: Duration::from_secs(2) }
    }

    fn ids(batch: &[Message<Arc<str>>]) -> Vec<u64> {
        batch.iter().map(|message| message.id).collect()
    }

    #[test]
    fn the_cursor_never_passes_an_event_that_is_not_done() {
        let mut queue = queue(3);
        (1..=3).for_each(|position| queue.offer(position, "".into(), 0));
        let first = queue.receive(1, 0);
        let rest = queue.receive(10, 0);
        queue.settle(&rest, Vec::new(), 0);
        assert_eq!(queue.cursor_to_save(), None);
        queue.settle(&first, Vec::new(), 0);
        assert_eq!(queue.cursor_to_save(), Some(3));
    }

    #[test]
    fn the_oldest_message_is_oldest_until_it_is_done_whether_it_waits_or_is_worked_on() {
        let mut queue = queue(3);
        assert_eq!(queue.oldest_sent_at(), None);
        queue.offer(1, "".into(), 10);
        queue.offer(2, "".into(), 20);
        let first = queue.receive(1, 30);
        assert_eq!(queue.oldest_sent_at(), Some(10));
        let (_, returned) = queue.settle(&first, vec![failure(1)], 30);
        returned.into_iter().for_each(|returned| queue.returned(returned, Some(1)));
        assert_eq!(queue.oldest_sent_at(), Some(10), "a try that failed makes it no younger");
        let rest = queue.receive(10, 60_000);
        queue.settle(&rest, Vec::new(), 60_000);
        assert_eq!(queue.oldest_sent_at(), None);
    }

    #[test]
    fn a_failed_message_comes_back_after_its_back_off_and_lets_the_cursor_pass_once_parked() {
        let mut queue = queue(3);
        queue.offer(1, "".into(), 0);
        let batch = queue.receive(10, 0);
        let (_, mut returned) = queue.settle(&batch, vec![failure(1)], 0);
        assert_eq!(queue.cursor_to_save(), None);
        queue.returned(returned.remove(0), Some(7));
        assert_eq!(queue.cursor_to_save(), Some(1));
        assert_eq!(ids(&queue.receive(10, 1_999)), Vec::<u64>::new());
        let again = queue.receive(10, 2_000);
        assert_eq!((ids(&again), again[0].receive_count), (vec![PARKED | 7], 2));
    }

    #[test]
    fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
        let mut queue = queue(1);
        queue.offer(1, "body".into(), 0);
        let batch = queue.receive(10, 0);
        let (_, returned) = queue.settle(&batch, vec![failure(1)], 5);
        let QueueChange::GiveUp { id: None, letter } = returned[0].change() else { panic!("it was parked") };
        assert_eq!(
            (letter.queue.as_str(), letter.source_queue.as_str(), letter.receive_count),
            ("DLQ", "Q", 1)
        );
        assert_eq!((letter.body.as_str(), letter.error.as_str(), letter.dead_at), ("body", "no", 5));
    }

    #[test]
    fn a_message_whose_worker_died_is_visible_again_after_its_timeout() {
        let mut queue = queue(3);
        queue.offer(1, "".into(), 0);
        let batch = queue.receive(10, 0);
        assert!(queue.time_out(179_999).is_empty());
        let mut returned = queue.time_out(180_000);
        queue.returned(returned.remove(0), Some(1));
        assert_eq!(queue.receive(10, 180_000).len(), 1);
        // The dead worker's answer comes late and deletes nothing.
        let (done, returned) = queue.settle(&batch, Vec::new(), 180_001);
        assert!(done.is_empty() && returned.is_empty());
    }

    #[test]
    fn what_is_given_back_takes_the_cursor_with_it_as_far_as_it_may_go() {
        let mut queue = queue(3);
        (1..=3).for_each(|position| queue.offer(position, "".into(), 0));
        let under_way = queue.receive(1, 0);
        let failed = queue.receive(1, 0);
        let (_, returned) = queue.settle(&failed, vec![failure(2)], 0);
        let cursor = |position| QueueChange::Cursor { queue: "Q".into(), position };
        assert_eq!(queue.cursor_behind(&returned), cursor(0));
        queue.settle(&under_way, Vec::new(), 0);
        assert_eq!(queue.cursor_behind(&returned), cursor(2));
    }

    #[test]
    fn what_was_parked_before_a_crash_is_not_offered_a_second_time() {
        let mut queue = queue(3);
        let message = ParkedMessage {
            position: Some(2),
            body: String::new(),
            receive_count: 1,
            visible_at: 0,
            sent_at: 0,
        };
        queue.unpark(7, message);
        (1..=3).for_each(|position| queue.offer(position, "".into(), 0));
        assert_eq!(ids(&queue.receive(10, 0)), [1, 3, PARKED | 7]);
    }

    #[test]
    fn messages_that_wait_for_their_back_off_do_not_keep_others_from_being_read() {
        let mut queue = queue(3);
        for position in 1..=FULL as u64 * 2 {
            queue.offer(position, "".into(), 0);
            let batch = queue.receive(1, 0);
            let (_, mut returned) = queue.settle(&batch, vec![failure(position)], 0);
            queue.returned(returned.remove(0), Some(position as i64));
        }
        assert!(!queue.is_full());
        assert_eq!(queue.cursor_to_save(), Some(FULL as u64 * 2));
    }

    #[test]
    fn a_delayed_queue_hides_a_message_until_its_delay_is_over() {
        let mut queue = queue(3);
        queue.definition.delay = Duration::from_secs(5);
        queue.offer(1, "".into(), 0);
        assert!(queue.receive(10, 4_999).is_empty());
        assert_eq!(queue.receive(10, 5_000).len(), 1);
    }
}
