//! The way of an event on AWS: the table's stream, the pipe, the bus, its rules, the queues.
//!
//! What is a filter, a rule, a batch size or a limit is read from the templates. Nothing here keeps
//! order across streams, and nothing is delivered only once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use events::{Priority, RecordedEvent};
use local::wiring::Wiring;
use workers::{Failure, Message, Worker};

use crate::executor::{Micros, SECOND};
use crate::figures::Sometimes;
use crate::happening::{Batch, Delivery, Happening};
use crate::queue::Queue;
use crate::sim::Sim;
use crate::swarm::{Swarm, Switch};
use crate::trace::number;

/// Everything between the log and the workers.
pub struct Pipeline {
    sim: Arc<Sim>,
    wiring: Arc<Wiring>,
    shards: Vec<Shard>,
    /// One for each of [`Wiring::queues`].
    pub queues: Vec<Queue>,
    /// What rules gave up: it can be sent again.
    rule_dead: Vec<Delivery>,
    messages: u64,
    /// What arrived in a queue, each message once; of a large world, the beginning.
    sent: BTreeSet<(usize, Arc<str>)>,
}

/// A shard of the table's stream: records of a key in the order of the log.
#[derive(Default)]
struct Shard {
    records: VecDeque<Arc<RecordedEvent>>,
    /// What of a batch is still to be sent, after it was halved.
    halves: VecDeque<Batch>,
    pumped: bool,
}

/// So many messages are kept to be sent once more: more than a small world ever sends.
const KEPT: usize = 4_000;

fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}

impl Pipeline {
    /// A pipeline that carries nothing yet.
    pub fn new(sim: Arc<Sim>, wiring: Arc<Wiring>) -> Self {
        let shards = sim.core().swarm.shards;
        let queues = wiring.queues.iter().map(|_| Queue::default()).collect();
        Pipeline {
            sim,
            wiring,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            queues,
            rule_dead: Vec::new(),
            messages: 0,
            sent: BTreeSet::new(),
        }
    }

    /// An event was stored: it enters its shard.
    pub fn enter(&mut self, event: Arc<RecordedEvent>) {
        let shard = (number(&event.pk) % self.shards.len() as u64) as usize;
        self.shards[shard].records.push_back(event);
        self.wake_pump(shard, 0);
    }

    fn wake_pump(&mut self, shard: usize, wait: Micros) {
        if !std::mem::replace(&mut self.shards[shard].pumped, true) {
            let wait = wait + 20_000 + self.sim.core().pace.u64(..80_000);
            self.sim.after(wait, Happening::Pump(shard));
        }
    }

    /// The pipe takes the next batch of a shard, or the next half of one that failed.
    pub fn pump(&mut self, index: usize) {
        let limit = self.wiring.topology().pipe.batch_size.min(10) as usize;
        let shard = &mut self.shards[index];
        shard.pumped = false;
        let batch = shard.halves.pop_front().or_else(|| {
            let some = shard.records.len().min(limit);
            (some > 0).then(|| Batch { records: shard.records.drain(..some).collect(), tries: 0 })
        });
        let Some(batch) = batch else { return };
        let wait = self.send(index, batch);
        let shard = &self.shards[index];
        if !shard.halves.is_empty() || !shard.records.is_empty() {
            self.wake_pump(index, wait);
        }
    }

    /// Puts a batch on the bus. If that fails, some of it may be there all the same; it is halved, and
    /// each half is tried again, until it is given up. Says how long the pipe waits then.
    fn send(&mut self, shard: usize, batch: Batch) -> Micros {
        let failed_at = {
            let mut core = self.sim.core();
            let share = core.swarm.pipe_failures;
            let fails =
                !core.peace && core.fate.f32() < share && core.strikes(self.sim.now(), Switch::PipeFailures);
            fails.then(|| core.fate.usize(..=batch.records.len()))
        };
        let Some(sent) = failed_at else {
            batch.records.iter().for_each(|event| self.publish(event));
            return 0;
        };
        batch.records[..sent].iter().for_each(|event| self.publish(event));
        let limits = self.wiring.topology().pipe.maximum_retry_attempts.unwrap_or(u32::MAX);
        let tries = batch.tries + 1;
        if tries > limits.min(self.sim.core().swarm.gives_up_after) {
            // Its dead letters name a shard and a place, not the event: only a sweeper finds what they stood for.
            self.sim.saw(Sometimes::PipeGaveUp);
            return 0;
        }
        let mut records = batch.records;
        let half = records.len() / 2;
        let second = records.split_off(half);
        let halves = &mut self.shards[shard].halves;
        halves.push_front(Batch { records: second, tries });
        if !records.is_empty() {
            self.sim.saw(Sometimes::Bisected);
            halves.push_front(Batch { records, tries });
        }
        SECOND << tries.min(5)
    }

    /// The pipe's filter, its template, and every rule.
    fn publish(&mut self, event: &Arc<RecordedEvent>) {
        let routes = self.wiring.routes(event);
        if routes.is_empty() {
            return;
        }
        let detail: Arc<str> = self.wiring.detail(event).into();
        for route in routes.iter() {
            let body = self.wiring.body(route, event, &detail);
            let copies = 1 + usize::from(self.strikes(Switch::Duplicates, |swarm| swarm.duplicates));
            for _ in 0..copies {
                let wait = self.bus_wait();
                let delivery = Delivery { queue: route.queue, body: body.clone(), tries: 0 };
                self.sim.after(wait, Happening::Deliver(delivery));
            }
        }
    }

    fn bus_wait(&self) -> Micros {
        let late = self.strikes(Switch::Delays, |swarm| swarm.delays);
        let mut core = self.sim.core();
        if late { core.pace.u64(10 * SECOND..600 * SECOND) } else { core.pace.u64(5_000..120_000) }
    }

    fn strikes(&self, what: Switch, share: impl Fn(&Swarm) -> f32) -> bool {
        let mut core = self.sim.core();
        let share = share(&core.swarm);
        !core.peace && share > 0.0 && core.fate.f32() < share && core.strikes(self.sim.now(), what)
    }

    /// A rule's target gets an event, or is tried again later, or gives it up.
    pub fn deliver(&mut self, delivery: Delivery) {
        if !self.strikes(Switch::BusFailures, |swarm| swarm.bus_failures) {
            return self.enqueue(delivery.queue, delivery.body);
        }
        let source = &self.wiring.queues[delivery.queue].queue.name;
        let targets = self.wiring.topology().rules.iter().flat_map(|rule| &rule.targets);
        let limit =
            targets.filter(|target| target.queue == *source).map(|target| target.maximum_retry_attempts);
        let limit = limit.max().unwrap_or(0).min(self.sim.core().swarm.gives_up_after);
        let tries = delivery.tries + 1;
        if tries > limit {
            self.sim.saw(Sometimes::RuleGaveUp);
            self.rule_dead.push(Delivery { tries: 0, ..delivery });
            return;
        }
        let wait = (SECOND << tries.min(6)) + self.bus_wait();
        self.sim.after(wait, Happening::Deliver(Delivery { tries, ..delivery }));
    }

    /// A message arrives in a queue.
    pub fn enqueue(&mut self, queue: usize, body: Arc<str>) {
        self.messages += 1;
        if self.sent.len() < KEPT {
            self.sent.insert((queue, body.clone()));
        }
        let id = self.messages;
        self.queues[queue].send(id, body);
        self.wake_poller(queue, 0);
    }

    /// What arrived in a queue, each message once; of a large world, the beginning. Begins anew.
    pub fn take_sent(&mut self) -> Vec<(usize, Arc<str>)> {
        std::mem::take(&mut self.sent).into_iter().collect()
    }

    /// Somebody will look for messages soon.
    pub fn wake_poller(&mut self, queue: usize, wait: Micros) {
        if !std::mem::replace(&mut self.queues[queue].polled, true) {
            let wait = wait + self.sim.core().pace.u64(1_000..40_000);
            self.sim.after(wait, Happening::Poll(queue));
        }
    }

    /// The next batch of a queue, if there is one and a function is free.
    pub fn receive(&mut self, index: usize) -> Option<Vec<Message<Arc<str>>>> {
        let wiring = self.wiring.clone();
        let source = &wiring.queues[index];
        let limits = source.queue.redrive.as_ref().map_or(u32::MAX, |redrive| redrive.max_receive_count);
        let concurrency = source.source.maximum_concurrency.unwrap_or(50) as usize;
        let queue = &mut self.queues[index];
        queue.polled = false;
        if queue.running >= concurrency || !queue.has_visible() {
            return None;
        }
        let dead = queue.dead.len();
        let batch = {
            let mut core = self.sim.core();
            let core = &mut *core;
            let (any, twice) = (core.swarm.reordering, if core.peace { 0.0 } else { core.swarm.duplicates });
            let pick = |of: usize| if any { core.pace.usize(..of) } else { 0 };
            let stays = || twice > 0.0 && core.fate.f32() < twice / 4.0 && core.faults.strike().is_some();
            queue.receive(source.source.batch_size as usize, limits, pick, stays)
        };
        if queue.dead.len() > dead {
            self.sim.saw(Sometimes::DeadLetter);
        }
        if self.queues[index].has_visible() {
            self.wake_poller(index, 0);
        }
        if batch.is_empty() {
            return None;
        }
        let visibility = micros(source.queue.visibility_timeout);
        for message in &batch {
            self.show_after(visibility, index, message.id, message.receive_count);
        }
        // Received by somebody who never got the answer: it is visible again when its time is up.
        if self.strikes(Switch::LostMessages, |swarm| swarm.lost_messages) {
            return None;
        }
        self.queues[index].running += 1;
        Some(batch)
    }

    fn show_after(&self, wait: Micros, queue: usize, message: u64, receive_count: u32) {
        self.sim.after(wait, Happening::Visible { queue, message, receive_count });
    }

    /// A message's visibility timed out, or its back-off is over.
    pub fn show(&mut self, queue: usize, message: u64, receive_count: u32) {
        if self.queues[queue].show(message, receive_count) {
            self.wake_poller(queue, 0);
        }
    }

    /// A function that handled a batch is free again.
    pub fn free(&mut self, queue: usize) {
        self.queues[queue].running -= 1;
        if self.queues[queue].has_visible() {
            self.wake_poller(queue, 0);
        }
    }

    /// A batch was handled: what did not fail is deleted, the rest comes back after its back-off.
    pub fn settle(&mut self, index: usize, batch: &[(u64, u32)], failures: Vec<Failure>) {
        let reports = self.wiring.queues[index].source.report_batch_item_failures;
        if !failures.is_empty() && failures.len() < batch.len() {
            self.sim.saw(Sometimes::PartialFailure);
        }
        for (id, receive_count) in batch {
            let failure = failures.iter().find(|failure| failure.id == *id);
            let failure = if reports { failure } else { failure.or(failures.first()) };
            if self.strikes(Switch::LostMessages, |swarm| swarm.lost_messages) {
                continue;
            }
            match failure {
                None => self.queues[index].delete(*id),
                Some(failure) => {
                    self.show_after(micros(failure.retry_after), index, *id, *receive_count);
                }
            }
        }
    }

    /// Sends every dead letter back to where it came from, each in its own time.
    pub fn redrive(&mut self) {
        let mut back: Vec<(usize, Arc<str>)> = Vec::new();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            back.extend(queue.take_dead().into_iter().map(|held| (index, held.body)));
        }
        back.extend(self.rule_dead.drain(..).map(|delivery| (delivery.queue, delivery.body)));
        for (queue, body) in back {
            let wait = self.sim.core().pace.u64(..120 * SECOND);
            self.sim.after(wait, Happening::Deliver(Delivery { queue, body, tries: 0 }));
        }
    }

    /// The sweeper sends a worker's queue an event, as if it had just been appended.
    pub fn nudge(&mut self, worker: Worker, lane: Priority, event: &RecordedEvent) {
        if let Some(queue) = self.wiring.lane(worker, lane) {
            self.enqueue(queue, self.wiring.detail(event).into());
        }
    }

    /// Bodies of the dead letters that are left.
    pub fn dead_letters(&self) -> impl Iterator<Item = &str> {
        let of_queues = self.queues.iter().flat_map(|queue| &queue.dead).map(|held| &*held.body);
        of_queues.chain(self.rule_dead.iter().map(|delivery| &*delivery.body))
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
            && self.shards.iter().all(|shard| shard.records.is_empty() && shard.halves.is_empty())
    }
}
