//! Looking at dead letters, and sending them back once the cause is gone.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use event_store::StoredText;
use event_store_dynamodb::Connection;
use events::Timestamp;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use topology::Topology;

use crate::dead_letters::{Back, DeadLetterQueue, Holds, Stays};
use crate::queues::{Queues, Received};

/// The dead letters of an account.
pub struct DeadLetters {
    all: Vec<DeadLetterQueue>,
    queues: Queues,
}

/// A dead-letter queue and how full it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Depth {
    /// Its name.
    pub queue: String,
    /// About how many letters wait.
    pub letters: u64,
    /// About how many somebody looks at, or a function works on, at this moment.
    pub in_flight: u64,
    /// What lies in it.
    pub holds: &'static str,
    /// The queues that its letters go back to.
    pub goes_back_to: Vec<String>,
}

/// A dead letter as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// What SQS calls it.
    pub id: String,
    /// Where it lies.
    pub queue: String,
    /// Where it would go back to.
    pub goes_back_to: Option<String>,
    /// Why it would not.
    pub stays: Option<String>,
    /// The event's name, where it holds one.
    pub event_name: Value,
    /// The event's stream.
    pub pk: Value,
    /// The event's slot.
    pub sk: Value,
    /// When it was sent for the first time.
    pub sent_at: Option<Timestamp>,
    /// How often it was received.
    pub receive_count: Option<u64>,
    /// Why the bus could not deliver it, if that is what it is.
    pub error: Option<String>,
    /// What was sent.
    pub body: String,
}

/// How letters are sent back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct How {
    /// At most so many.
    pub limit: Option<u64>,
    /// At most so many a second.
    pub rate: NonZeroU32,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What became of the letters of a queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Redriven {
    /// The dead-letter queue.
    pub queue: String,
    /// About how many letters it held before.
    pub before: u64,
    /// How many went back, or would have, to each queue.
    pub sent_back: BTreeMap<String, u64>,
    /// How many stayed, by the reason.
    pub stayed: BTreeMap<String, u64>,
    /// About how many it holds now.
    pub left: u64,
}

impl Redriven {
    fn done(&self) -> u64 {
        self.sent_back.values().chain(self.stayed.values()).sum()
    }
}

impl DeadLetters {
    /// The dead letters of some templates' stacks, or of one dead-letter queue of them.
    ///
    /// # Errors
    /// A queue that those templates do not declare.
    pub fn of(
        topology: &Topology,
        templates: &[&str],
        queue: Option<&str>,
        connection: &Connection,
    ) -> anyhow::Result<DeadLetters> {
        let mut all = DeadLetterQueue::all(topology);
        all.retain(|it| templates.contains(&it.stack.as_str()));
        if let Some(queue) = queue {
            let names: Vec<String> = all.iter().map(|it| it.name.clone()).collect();
            all.retain(|it| it.name == queue);
            anyhow::ensure!(!all.is_empty(), "there is no {queue}; choose one of {}", names.join(", "));
        }
        Ok(DeadLetters { all, queues: Queues::new(connection) })
    }

    /// Every dead-letter queue, and how full it is.
    ///
    /// # Errors
    /// A queue that is not there; a service that does not answer.
    pub async fn depths(&self) -> anyhow::Result<Vec<Depth>> {
        let urls = self.queues.urls(self.all.iter().map(|it| it.name.as_str())).await?;
        let mut depths = Vec::new();
        for it in &self.all {
            let (letters, in_flight) = self.queues.count(&urls[&it.name]).await?;
            let (holds, goes_back_to) = in_words(&it.holds);
            depths.push(Depth { queue: it.name.clone(), letters, in_flight, holds, goes_back_to });
        }
        Ok(depths)
    }

    /// Some letters of each queue, which stay where they are.
    ///
    /// # Errors
    /// As [`DeadLetters::depths`]; a queue that a function reads, because to look would count as one of its tries.
    pub async fn look(&self, limit: u64, now: Timestamp) -> anyhow::Result<Vec<Shown>> {
        let mut shown = Vec::new();
        for it in &self.all {
            if let Holds::ReadBy(function) = &it.holds {
                bail!(
                    "{function} reads {} again by itself, and to look would count as one of its tries; \
                     see the log of {function}",
                    it.name
                );
            }
            let urls = self.queues.urls([it.name.as_str()]).await?;
            let room = limit.saturating_sub(shown.len() as u64);
            let look = async |letters: Vec<Received>| {
                shown.extend(letters.iter().map(|letter| show(it, letter, now)));
                Ok(letters)
            };
            self.queues.walk(&urls[&it.name], room, look).await?;
        }
        Ok(shown)
    }

    /// What every letter says; of a queue that a function reads by itself, none, because to look would count as one of its
    /// tries.
    ///
    /// # Errors
    /// As [`DeadLetters::depths`].
    pub async fn texts(&self) -> anyhow::Result<Vec<StoredText>> {
        let mut texts = Vec::new();
        for it in self.all.iter().filter(|it| !matches!(it.holds, Holds::ReadBy(_))) {
            let urls = self.queues.urls([it.name.as_str()]).await?;
            let look = async |letters: Vec<Received>| {
                texts.extend(letters.iter().map(|letter| StoredText {
                    place: "dead letter",
                    key: format!("{} {}", it.name, letter.id()),
                    text: letter.letter.body.clone(),
                }));
                Ok(letters)
            };
            self.queues.walk(&urls[&it.name], u64::MAX, look).await?;
        }
        Ok(texts)
    }

    /// Sends letters back, queue by queue, as many as each held when its turn came: what is given up again meanwhile is
    /// for another day. `observe` is told how many are done, and of how many.
    ///
    /// # Errors
    /// As [`DeadLetters::depths`]. What was sent back by then is sent back, and nothing is lost.
    pub async fn redrive(
        &self,
        how: How,
        now: Timestamp,
        observe: &dyn Fn(u64, u64),
    ) -> anyhow::Result<Vec<Redriven>> {
        let (mut pace, mut reports) = (Pace::new(how.rate), Vec::new());
        let (mut room, mut done) = (how.limit.unwrap_or(u64::MAX), 0);
        for it in &self.all {
            let urls = self.queues.urls(names(it)).await?;
            let url = &urls[&it.name];
            let before = self.queues.count(url).await?.0;
            let mut report = Redriven { queue: it.name.clone(), before, left: before, ..Redriven::default() };
            if matches!(it.holds, Holds::ReadBy(_)) {
                if before > 0 {
                    report.stayed.insert(Stays::ReadAlready.to_string(), before);
                }
                reports.push(report);
                continue;
            }
            let hand_back = async |letters: Vec<Received>| {
                let mut stay = Vec::new();
                let mut leave = Vec::new();
                for letter in letters {
                    match it.way(&letter.letter, now) {
                        Ok(back) => {
                            *report.sent_back.entry(back.queue.clone()).or_default() += 1;
                            if how.dry_run { stay.push(letter) } else { leave.push((letter, back)) }
                        }
                        Err(why) => {
                            *report.stayed.entry(why.to_string()).or_default() += 1;
                            stay.push(letter);
                        }
                    }
                }
                pace.wait(leave.len()).await;
                let sent = leave.iter().map(|(letter, Back { queue, body })| {
                    self.queues.send_back(letter, (url, &urls[queue]), body)
                });
                join_all(sent).await.into_iter().collect::<anyhow::Result<()>>()?;
                observe(done + report.done(), done + before.min(room));
                Ok(stay)
            };
            self.queues.walk(url, before.min(room), hand_back).await?;
            room = room.saturating_sub(report.done());
            done += report.done();
            report.left = if how.dry_run { before } else { self.queues.count(url).await?.0 };
            reports.push(report);
        }
        Ok(reports)
    }
}

/// The queue itself, and those that its letters go back to.
fn names(it: &DeadLetterQueue) -> Vec<&str> {
    let back: Vec<&str> = match &it.holds {
        Holds::Messages(queues) => queues.iter().map(String::as_str).collect(),
        Holds::Events(targets) => targets.iter().map(|(queue, _)| queue.as_str()).collect(),
        Holds::Records(queue) => vec![queue],
        Holds::ReadBy(_) | Holds::Ticks => Vec::new(),
    };
    [it.name.as_str()].into_iter().chain(back).collect()
}

fn in_words(holds: &Holds) -> (&'static str, Vec<String>) {
    match holds {
        Holds::Messages(queues) => ("messages that a worker gave up on", queues.clone()),
        Holds::Events(targets) => {
            let queues = targets.iter().map(|(queue, _)| queue.clone());
            ("events that the bus could not deliver", queues.collect())
        }
        Holds::Records(queue) => ("records that the pipe gave up on, twice", vec![queue.clone()]),
        Holds::ReadBy(_) => ("records that the pipe gave up on, read again by a function", Vec::new()),
        Holds::Ticks => ("ticks of the clock that nobody answered", Vec::new()),
    }
}

fn show(queue: &DeadLetterQueue, received: &Received, now: Timestamp) -> Shown {
    let way = queue.way(&received.letter, now);
    let body: Value = serde_json::from_str(&received.letter.body).unwrap_or_default();
    // An event that never left the bus is inside of what the bus says of it.
    let about = if body["detail"].is_object() { &body["detail"] } else { &body };
    let number = |name| received.said(name).and_then(|text| text.parse::<i64>().ok());
    Shown {
        id: received.id().to_owned(),
        queue: queue.name.clone(),
        goes_back_to: way.as_ref().ok().map(|back| back.queue.clone()),
        stays: way.err().map(|why| why.to_string()),
        event_name: about["event_name"].clone(),
        pk: about["pk"].clone(),
        sk: about["sk"].clone(),
        sent_at: number(MessageSystemAttributeName::SentTimestamp).map(Timestamp::from_millis),
        receive_count: number(MessageSystemAttributeName::ApproximateReceiveCount).map(|n| n.max(0) as u64),
        error: received.told("ERROR_MESSAGE").map(str::to_owned),
        body: received.letter.body.clone(),
    }
}

/// Keeps to a rate.
struct Pace {
    rate: NonZeroU32,
    /// When the next one may go.
    next: Instant,
}

impl Pace {
    fn new(rate: NonZeroU32) -> Pace {
        Pace { rate, next: Instant::now() }
    }

    /// Waits until so many more may go.
    async fn wait(&mut self, many: usize) {
        sleep_until(self.next).await;
        self.next =
            self.next.max(Instant::now()) + Duration::from_secs_f64(many as f64 / f64::from(self.rate.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_go_in_a_second_than_may_and_what_was_not_used_is_not_saved_up() {
        let mut pace = Pace::new(NonZeroU32::new(20).unwrap());
        let began = Instant::now();
        for _ in 0..5 {
            pace.wait(10).await;
        }
        assert_eq!(began.elapsed().as_millis(), 2_000);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        for _ in 0..2 {
            pace.wait(10).await;
        }
        assert_eq!(began.elapsed().as_millis(), 500);
    }
}
