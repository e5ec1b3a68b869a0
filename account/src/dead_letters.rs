//! The dead-letter queues that the templates declare, and where what lies in them goes back to.

use std::fmt;

use events::Timestamp;
use serde_json::Value;
use topology::{JsonPath, Topology};

/// A dead-letter queue.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterQueue {
    /// Its name in the account.
    pub name: String,
    /// Name of the template that declares it.
    pub stack: String,
    /// What lies in it.
    pub holds: Holds,
}

/// What lies in a dead-letter queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Holds {
    /// Messages that a worker got too often, from these queues.
    Messages(Vec<String>),
    /// Events that the bus could not deliver to these targets: the queue, and the part of the event that is its
    /// message.
    Events(Vec<(String, Option<JsonPath>)>),
    /// Names of records of the log's stream that even the second try gave up on; the second try reads this queue.
    Records(String),
    /// What this function reads by itself.
    ReadBy(String),
    /// Ticks of the clock.
    Ticks,
}

/// How long a table's stream keeps a record. Source: "Change data capture for DynamoDB Streams", Amazon DynamoDB
/// Developer Guide.
const STREAM_KEEPS_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl DeadLetterQueue {
    /// Every one of the templates, in their order.
    pub fn all(topology: &Topology) -> Vec<DeadLetterQueue> {
        let queues = topology.queues.iter();
        let found = queues.filter_map(|queue| {
            let holds = holds(topology, &queue.name)?;
            Some(DeadLetterQueue { name: queue.name.clone(), stack: queue.stack.clone(), holds })
        });
        found.collect()
    }

    /// Where a letter goes, or why it stays.
    pub fn way(&self, letter: &Letter, now: Timestamp) -> Result<Back, Stays> {
        match &self.holds {
            Holds::Messages(from) => {
                // A letter that was put here by hand names no source; every source leads to the same worker.
                let named =
                    letter.source.as_ref().and_then(|source| from.iter().find(|name| *name == source));
                let queue = named.or(from.first()).ok_or(Stays::NoWayBack)?;
                Ok(Back { queue: queue.clone(), body: letter.body.clone() })
            }
            Holds::Events(targets) => {
                let target = letter.target.as_ref().ok_or(Stays::NoTarget)?;
                let target = targets.iter().find(|(queue, _)| queue == target);
                let (queue, input) = target.ok_or(Stays::NoTarget)?;
                let body = message(&letter.body, input.as_ref()).ok_or(Stays::Unreadable)?;
                Ok(Back { queue: queue.clone(), body })
            }
            Holds::Records(queue) => match first_arrival(&letter.body) {
                Some(at) if now.millis() - at.millis() >= STREAM_KEEPS_MILLIS => Err(Stays::Forgotten),
                _ => Ok(Back { queue: queue.clone(), body: letter.body.clone() }),
            },
            Holds::ReadBy(_) => Err(Stays::ReadAlready),
            Holds::Ticks => Err(Stays::NoWayBack),
        }
    }
}

/// What lies in the queue of that name; nothing if it is no dead-letter queue.
fn holds(topology: &Topology, name: &str) -> Option<Holds> {
    let of_pipe = topology.pipe.dead_letter_queue.as_deref();
    let reader = topology.functions.iter().find(|it| it.sources().any(|source| source.queue == name));
    if let Some(reader) = reader {
        return (of_pipe == Some(name)).then(|| Holds::ReadBy(reader.binary.clone()));
    }
    let sources = topology
        .queues
        .iter()
        .filter(|queue| queue.redrive.as_ref().is_some_and(|redrive| redrive.dead_letter_queue == name));
    let sources: Vec<String> = sources.map(|queue| queue.name.clone()).collect();
    if let [source] = &sources[..]
        && of_pipe == Some(source)
    {
        return Some(Holds::Records(source.clone()));
    }
    if !sources.is_empty() {
        return Some(Holds::Messages(sources));
    }
    let targets = topology.rules.iter().flat_map(|rule| &rule.targets);
    let targets = targets.filter(|target| target.dead_letter_queue.as_deref() == Some(name));
    let targets: Vec<_> = targets.map(|target| (target.queue.clone(), target.input_path.clone())).collect();
    if !targets.is_empty() {
        return Some(Holds::Events(targets));
    }
    let of_clock = topology.functions.iter().flat_map(|function| {
        let schedules = function.schedules.iter().flat_map(|schedule| &schedule.dead_letter_queue);
        schedules.chain(&function.dead_letter_queue)
    });
    of_clock.into_iter().any(|queue| queue == name).then_some(Holds::Ticks)
}

/// What a target of the bus gets of an event. A letter holds the event as it was on the bus; one that holds the
/// target's part of it already is taken as it is.
fn message(event: &str, input: Option<&JsonPath>) -> Option<String> {
    let parsed: Value = serde_json::from_str(event).ok()?;
    match input {
        Some(input) => match input.select(&parsed) {
            Some(part) => Some(part.to_string()),
            None => parsed["pk"].is_string().then(|| event.to_owned()),
        },
        None => Some(event.to_owned()),
    }
}

/// When the first of the records that a letter names came into the stream.
fn first_arrival(letter: &str) -> Option<Timestamp> {
    let letter: Value = serde_json::from_str(letter).ok()?;
    Timestamp::parse(letter["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"].as_str()?).ok()
}

/// A dead letter, as far as its way depends on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Letter {
    /// What was sent.
    pub body: String,
    /// The queue it came from, where SQS moved it.
    pub source: Option<String>,
    /// The queue it was meant for, where the bus could not deliver it.
    pub target: Option<String>,
}

/// Where a letter goes back to.
#[derive(Debug, Clone, PartialEq)]
pub struct Back {
    /// The queue.
    pub queue: String,
    /// What is sent there.
    pub body: String,
}

/// Why a letter stays, and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stays {
    /// Nothing waits for it.
    NoWayBack,
    /// The bus did not say for which queue it was.
    NoTarget,
    /// It is no event.
    Unreadable,
    /// The stream has no such records any more.
    Forgotten,
    /// A function reads the queue anyway.
    ReadAlready,
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stays::NoWayBack => "the next tick of the clock has done it; purge the queue",
            Stays::NoTarget => "it names no queue that a rule of the templates sends to; purge it",
            Stays::Unreadable => "it holds no event; purge it",
            Stays::Forgotten => {
                "the stream forgets after a day; invoke oms-log-sweeper, which nudges its orders, then purge it"
            }
            Stays::ReadAlready => "a function reads it again by itself; look at that function's log",
        })
    }
}

#[cfg(test)]
mod tests;
