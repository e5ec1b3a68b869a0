//! All that is known of every event, gathered from the code, the golden files and the templates.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use events::{Event, EventName, RecordedEvent, decode, schema};
use serde_json::Value;
use topology::Topology;
use workers::{LogSweeper, Worker};

use crate::follows::{self, Condition, Follows};
use crate::json;
use crate::sample::Golden;
use crate::wiring::{self, Way};

/// What is known of one event.
pub struct Known {
    /// Its name.
    pub name: EventName,
    /// The schema of its payload, with the golden file as its example.
    pub schema: Value,
    /// Its fields in the order in which they are written.
    pub fields: Vec<String>,
    /// Its key in the log: stream and slot, with fields in angle brackets.
    pub key: (String, String),
    /// The other events that settle the same decision.
    pub rivals: Vec<EventName>,
    /// Which functions append it, and how they come to.
    pub appended_by: Vec<Appender>,
    /// Its ways to those who listen.
    pub ways: Vec<Way>,
    /// What is owed because of it.
    pub follows: Vec<Follows>,
    /// The event as an item of the log.
    pub item: RecordedEvent,
    /// How the older system spells it.
    pub older: Vec<Older>,
}

/// Who appends an event.
pub enum Appender {
    /// A worker, because of these events.
    Worker(Worker, Vec<EventName>),
    /// A function that answers requests, because of these.
    Requests(String, Vec<(&'static str, &'static str)>),
    /// The sweeper of the log, where orders that stand still may expire.
    LogSweeper,
}

impl Appender {
    /// The name of its binary.
    pub fn binary(&self) -> &str {
        match self {
            Appender::Worker(worker, _) => worker.binary(),
            Appender::Requests(binary, _) => binary,
            Appender::LogSweeper => LogSweeper::BINARY,
        }
    }
}

/// An older spelling, and what is made of it.
pub struct Older {
    /// The name.
    pub name: &'static str,
    /// A payload with every field.
    pub payload: String,
    /// The fields without which it is not read.
    pub needed: Vec<String>,
    /// The event that it is read as, with a payload of the current version.
    pub read_as: String,
}

/// All that is known.
pub struct Knowledge {
    /// Of every event, in the order of the published table.
    pub events: Vec<Known>,
    /// Of the wiring.
    pub topology: Topology,
}

impl Known {
    /// Where its schema is kept, below the folder of the events.
    pub fn schema_file(&self) -> String {
        format!("schemas/{}.v{}.json", self.name, self.name.version())
    }
}

impl Knowledge {
    /// Gathers it.
    ///
    /// # Errors
    /// A golden file or a template that cannot be read, or that says what no event does.
    pub fn gather(root: &Path) -> anyhow::Result<Knowledge> {
        let golden = Golden::read(root)?;
        let topology = wiring::templates(root)?;
        let mut follows = follows::of_orders(&golden);
        follows.insert(EventName::SkuRestocked, of_a_lot(golden.event(EventName::SkuRestocked)));
        let events = EventName::ALL.iter().map(|name| known(*name, &golden, &topology, &follows));
        Ok(Knowledge { events: events.collect::<anyhow::Result<_>>()?, topology })
    }

    /// What is known of an event.
    pub fn of(&self, name: EventName) -> Option<&Known> {
        self.events.iter().find(|event| event.name == name)
    }
}

fn known(
    name: EventName,
    golden: &Golden,
    topology: &Topology,
    follows: &BTreeMap<EventName, Vec<Follows>>,
) -> anyhow::Result<Known> {
    let text = golden.text(name);
    let fields = json::keys(text)?;
    let mut schema = schema::payload(name);
    let properties = schema["properties"].as_object().context("a payload is an object")?;
    if let Some(unseen) = properties.keys().find(|field| !fields.contains(field)) {
        return Err(anyhow!("the golden {name} has every field, and no {unseen}"));
    }
    schema["examples"] = Value::Array(vec![serde_json::from_str(text)?]);
    let appended_by = appenders(name, topology, follows)?;
    let producer = appended_by.first().map_or(events::recorded::RAW_PRODUCER, Appender::binary);
    let item = golden.item(name, producer);
    let slot_of = |other: &EventName| golden.event(*other).slot();
    let rivals =
        EventName::ALL.iter().copied().filter(|other| *other != name && slot_of(other) == slot_of(&name));
    let older = name.also().iter().map(|also| older(also, golden, golden.event(name)));
    Ok(Known {
        name,
        schema,
        fields,
        key: key(golden.event(name), text)?,
        rivals: rivals.collect(),
        ways: wiring::ways(topology, &item)?,
        follows: follows.get(&name).cloned().unwrap_or_default(),
        appended_by,
        item,
        older: older.collect::<anyhow::Result<_>>()?,
    })
}

/// What is owed to a lot is not decided from a history: it is counted onto the shelf.
fn of_a_lot(event: &Event) -> Vec<Follows> {
    let Event::SkuRestocked(lot) = event else { return Vec::new() };
    let (received, _) = inventory::receive(lot);
    let answers = Worker::Inventory.appends().chunks(1).find(|names| names[0] == received.name());
    let when = vec![Condition::default()];
    answers.map(|answers| Follows { worker: Worker::Inventory, answers, when }).into_iter().collect()
}

fn appenders(
    name: EventName,
    topology: &Topology,
    follows: &BTreeMap<EventName, Vec<Follows>>,
) -> anyhow::Result<Vec<Appender>> {
    let mut appenders = Vec::new();
    for worker in Worker::ALL.into_iter().filter(|worker| worker.appends().contains(&name)) {
        let leads_here = |follows: &Follows| follows.worker == worker && follows.answers.contains(&name);
        let causes = EventName::ALL.iter().copied();
        let causes =
            causes.filter(|cause| follows.get(cause).is_some_and(|them| them.iter().any(leads_here)));
        appenders.push(Appender::Worker(worker, causes.collect()));
    }
    let mut requests: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (_, method, path) in apis::appends::APPENDS.iter().filter(|(appended, ..)| *appended == name) {
        let answers = |function: &&topology::Function| {
            function.routes.iter().any(|route| (route.method.as_str(), route.path.as_str()) == (method, path))
        };
        let function = topology.functions.iter().find(answers);
        let function = function.with_context(|| format!("no function answers {method} {path}"))?;
        requests.entry(function.binary.clone()).or_default().push((*method, *path));
    }
    appenders.extend(requests.into_iter().map(|(binary, requests)| Appender::Requests(binary, requests)));
    if LogSweeper::APPENDS.contains(&name) {
        appenders.push(Appender::LogSweeper);
    }
    Ok(appenders)
}

/// The key of an event with the fields it is made of in angle brackets.
fn key(event: &Event, text: &str) -> anyhow::Result<(String, String)> {
    let payload: Value = serde_json::from_str(text)?;
    let fields = payload.as_object().context("a payload is an object")?;
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let named = |key: String| {
        let Some((before, last)) = key.rsplit_once('#') else { return key };
        // A slot that is named after its event has no field in it.
        match fields.iter().find(|(_, value)| as_text(value) == last) {
            Some((field, _)) => format!("{before}#<{field}>"),
            None => key,
        }
    };
    Ok((named(event.stream().pk()), named(event.slot().sk())))
}

fn older(also: &'static str, golden: &Golden, event: &Event) -> anyhow::Result<Older> {
    let payload = golden.older(also)?;
    let read = |text: &str| decode::read(also, 1, text, &event.stream().pk());
    let read_as = read(&payload).map_err(|error| anyhow!("failed to read the golden {also}: {error}"))?;
    let whole: Value = serde_json::from_str(&payload)?;
    let is_needed = |field: &String| {
        let mut less = whole.clone();
        less.as_object_mut().map(|fields| fields.remove(field));
        read(&less.to_string()).is_err()
    };
    let needed = json::keys(&payload)?.into_iter().filter(is_needed).collect();
    Ok(Older { name: also, payload, needed, read_as: read_as.to_data() })
}
