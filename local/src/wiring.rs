//! Which queues an event reaches: the templates' pipe and rules, applied to events of the log.
//!
//! The one-machine runtime and the simulator share it, so both send what the templates declare.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use events::{Causes, EventName, Priority, RecordedEvent, Stamp, Timestamp, Ulid};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use topology::{DetailType, JsonPath, Topology};
use workers::{Worker, listeners};

/// A queue that an event reaches, by its place in [`Wiring::queues`].
pub type QueueIndex = usize;

/// The pipe and the rules, ready to route.
pub struct Wiring {
    topology: Topology,
    /// The queues that some function reads, each with what reads it.
    pub queues: Vec<Source>,
    targets: Vec<Target>,
    /// Routes by the values of the attributes that patterns look at, if they look at few and small ones.
    known: Option<Mutex<FxHashMap<Shape, Arc<[Route]>>>>,
}

/// What decides an event's routes where rules look at nothing else: its name and its lane.
type Shape = (Arc<str>, &'static str);

/// A queue and the function that reads it.
pub struct Source {
    /// The queue.
    pub queue: topology::Queue,
    /// How the function reads it: batch size, window, concurrency.
    pub source: topology::QueueSource,
    /// The function.
    pub function: topology::Function,
}

struct Target {
    rule: usize,
    queue: QueueIndex,
    input_path: Option<JsonPath>,
}

/// One way of an event: to which queue, and what of it.
#[derive(Clone)]
pub struct Route {
    /// Where to.
    pub queue: QueueIndex,
    part: Part,
}

#[derive(Clone)]
enum Part {
    /// `$.detail`: what the pipe made of the item.
    Detail,
    /// Another part of the bus event, or all of it.
    Other(Option<JsonPath>),
}

/// At most so many routes are remembered; raw events may carry any number of names.
const MAX_KNOWN: usize = 4_096;

impl Wiring {
    /// Wires what the templates declare.
    ///
    /// # Errors
    /// A queue that nobody declares or reads; a template of the pipe that names what no event has.
    pub fn new(topology: Topology) -> anyhow::Result<Self> {
        let mut queues = Vec::new();
        for function in &topology.functions {
            for source in &function.queues {
                let queue = topology.queue(&source.queue).with_context(|| {
                    format!("failed to wire {}: no template declares {}", function.binary, source.queue)
                })?;
                queues.push(Source {
                    queue: queue.clone(),
                    source: source.clone(),
                    function: function.clone(),
                });
            }
        }
        let mut targets = Vec::new();
        for (rule, declared) in topology.rules.iter().enumerate() {
            for target in &declared.targets {
                let Some(queue) = queues.iter().position(|source| source.queue.name == target.queue) else {
                    bail!("failed to wire rule {}: no function reads {}", declared.name, target.queue);
                };
                targets.push(Target { rule, queue, input_path: target.input_path.clone() });
            }
        }
        let unknown: Vec<&str> =
            topology.pipe.input_template.paths().filter(|path| !is_attribute(path)).collect();
        if !unknown.is_empty() {
            bail!("failed to wire the pipe {}: no event has {}", topology.pipe.name, unknown.join(", "));
        }
        let known = looks_at_names_only(&topology).then(Mutex::default);
        Ok(Wiring { topology, queues, targets, known })
    }

    /// What the templates declare.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The ways of an event.
    pub fn routes(&self, event: &RecordedEvent) -> Arc<[Route]> {
        let Some(known) = &self.known else { return self.find_routes(event) };
        let key = (event.event_name.clone(), event.priority.as_str());
        let mut known = known.lock().expect("nobody panics while routing");
        if let Some(routes) = known.get(&key) {
            return routes.clone();
        }
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let routes = self.find_routes(event);
        known.insert(key, routes.clone());
        routes
    }

    fn find_routes(&self, event: &RecordedEvent) -> Arc<[Route]> {
        let record = stream_record(event);
        let pipe = &self.topology.pipe;
        if !pipe.filters.is_empty() && !pipe.filters.iter().any(|filter| filter.matches(&record)) {
            return Arc::from([]);
        }
        let sent = self.bus_event(event, &self.detail(event));
        let reached =
            self.targets.iter().filter(|target| self.topology.rules[target.rule].pattern.matches(&sent));
        let route = |target: &Target| Route {
            queue: target.queue,
            part: match &target.input_path {
                Some(path) if path.dotted() == "detail" => Part::Detail,
                other => Part::Other(other.clone()),
            },
        };
        reached.map(route).collect()
    }

    /// What the pipe makes of an item: the flat object that workers get.
    pub fn detail(&self, event: &RecordedEvent) -> String {
        let mut text = String::with_capacity(event.data.len() + 512);
        let template = &self.topology.pipe.input_template;
        template
            .render_with(&mut text, |path| attribute(event, path))
            .expect("the template was tried at start");
        text
    }

    /// The body of the message that a way makes of an event; `detail` is [`Wiring::detail`].
    pub fn body(&self, route: &Route, event: &RecordedEvent, detail: &Arc<str>) -> Arc<str> {
        match &route.part {
            Part::Detail => detail.clone(),
            Part::Other(path) => {
                let sent = self.bus_event(event, detail);
                let part = match path {
                    Some(path) => path.select(&sent).cloned().unwrap_or_default(),
                    None => sent,
                };
                part.to_string().into()
            }
        }
    }

    /// The queue through which an event of this lane would reach a worker.
    pub fn lane(&self, worker: Worker, lane: Priority) -> Option<QueueIndex> {
        let leads_there = |queue: &usize| self.queues[*queue].function.binary == worker.binary();
        let heard = EventName::ALL.iter().find(|name| listeners(**name).contains(&worker))?;
        let routes = self.routes(&probe(heard.as_str(), lane));
        let found = routes.iter().map(|route| route.queue).find(leads_there);
        found.or_else(|| (0..self.queues.len()).find(leads_there))
    }

    fn bus_event(&self, event: &RecordedEvent, detail: &str) -> Value {
        let pipe = &self.topology.pipe;
        let detail_type = match &pipe.detail_type {
            DetailType::Literal(text) => text.clone(),
            DetailType::Path(path) => {
                attribute(event, path.dotted()).map_or(String::new(), |text| text.into_owned())
            }
        };
        json!({
            "version": "0",
            "id": event.event_id.to_string(),
            "source": pipe.source_name,
            "detail-type": detail_type,
            "account": "000000000000",
            "region": "local",
            "time": event.occurred_at,
            "resources": [],
            "detail": serde_json::from_str::<Value>(detail).unwrap_or_default(),
        })
    }
}

/// Whether every event has something at a path of the pipe's template.
fn is_attribute(path: &str) -> bool {
    attribute(&probe("", Priority::Standard), path).is_some()
}

/// An event of this name and lane that is only looked at, never stored.
pub(crate) fn probe(name: &str, lane: Priority) -> RecordedEvent {
    let stamp =
        Stamp { event_id: Ulid::default(), occurred_at: Timestamp::from_millis(0), producer: "".into() };
    let causes = Causes {
        priority: lane,
        correlation_id: "".into(),
        causation_id: None,
        traceparent: None,
        request_seed: None,
    };
    RecordedEvent::raw(("", ""), (name, 1, "{}"), Vec::new(), stamp, causes)
}

/// Whether every pattern looks at nothing but names, lanes and what is the same for all events.
fn looks_at_names_only(topology: &Topology) -> bool {
    const SMALL: [&str; 6] = [
        "eventName",
        "dynamodb.NewImage.event_name.S",
        "dynamodb.NewImage.priority.S",
        "source",
        "detail.event_name",
        "detail.priority",
    ];
    let filters = topology.pipe.filters.iter().flat_map(|filter| filter.paths());
    let rules = topology.rules.iter().flat_map(|rule| rule.pattern.paths());
    let paths: BTreeSet<String> = filters.chain(rules).collect();
    paths.iter().all(|path| SMALL.contains(&path.as_str()))
}

/// An attribute of an event by its path in a record of the table's stream.
fn attribute<'a>(event: &'a RecordedEvent, path: &str) -> Option<Cow<'a, str>> {
    let attribute = path.strip_prefix("dynamodb.NewImage.")?;
    let (name, _type) = attribute.rsplit_once('.')?;
    Some(match name {
        "pk" => Cow::Borrowed(&*event.pk),
        "sk" => Cow::Borrowed(&*event.sk),
        "event_id" => Cow::Owned(event.event_id.to_string()),
        "event_name" => Cow::Borrowed(&*event.event_name),
        "schema_version" => Cow::Owned(event.schema_version.to_string()),
        "data" => Cow::Borrowed(&*event.data),
        "occurred_at" => Cow::Owned(event.occurred_at.to_string()),
        "priority" => Cow::Borrowed(event.priority.as_str()),
        "producer" => Cow::Borrowed(&*event.producer),
        "correlation_id" => Cow::Borrowed(&*event.correlation_id),
        "traceparent" => Cow::Borrowed(event.traceparent.as_deref().unwrap_or_default()),
        _ => return None,
    })
}

/// The record that the table's stream would carry for an event.
fn stream_record(event: &RecordedEvent) -> Value {
    let text = |name: &str| json!({ "S": attribute(event, &format!("dynamodb.NewImage.{name}.S")) });
    json!({
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "dynamodb": {
            "StreamViewType": "NEW_IMAGE",
            "Keys": { "pk": text("pk"), "sk": text("sk") },
            "NewImage": {
                "pk": text("pk"),
                "sk": text("sk"),
                "event_id": text("event_id"),
                "event_name": text("event_name"),
                "schema_version": { "N": event.schema_version.to_string() },
                "data": text("data"),
                "occurred_at": text("occurred_at"),
                "priority": text("priority"),
                "producer": text("producer"),
                "correlation_id": text("correlation_id"),
                "traceparent": text("traceparent"),
            },
        },
    })
}
