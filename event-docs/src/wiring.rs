//! The ways of an event through the templates: the pipe's filter, the rules, their queues, and who reads them.

use std::path::Path;

use anyhow::{Context, anyhow};
use events::{Priority, RecordedEvent};
use serde_json::{Map, Value, json};
use topology::{Parameters, Source, Topology};

/// One way of an event to a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The function's binary.
    pub binary: String,
    /// The lane.
    pub lane: &'static str,
    /// The rule.
    pub rule: String,
    /// The queue.
    pub queue: String,
}

/// The templates of the project, as the development environment deploys them.
///
/// # Errors
/// A template that cannot be read.
pub fn templates(root: &Path) -> anyhow::Result<Topology> {
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).with_context(|| format!("failed to read {name}"))
    };
    let (oms, ims) = (read("template-oms.yaml")?, read("template-ims.yaml")?);
    let sources =
        [Source { name: "template-oms.yaml", text: &oms }, Source { name: "template-ims.yaml", text: &ims }];
    let parameters: Parameters = [("Environment", "dev")].into_iter().collect();
    Ok(Topology::load(&sources, &parameters)?)
}

/// Every way of an event of this name, in each lane.
///
/// # Errors
/// A template of the pipe that asks for what no event has.
pub fn ways(topology: &Topology, item: &RecordedEvent) -> anyhow::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for lane in [Priority::Standard, Priority::Express] {
        let mut item = item.clone();
        item.priority = lane;
        let Some(sent) = on_the_bus(topology, &item)? else { continue };
        for rule in topology.rules.iter().filter(|rule| rule.pattern.matches(&sent)) {
            for target in &rule.targets {
                let reads = |function: &&topology::Function| {
                    function.queues.iter().any(|source| source.queue == target.queue)
                };
                let function = topology.functions.iter().find(reads);
                let function = function.with_context(|| format!("nobody reads {}", target.queue))?;
                ways.push(Way {
                    binary: function.binary.clone(),
                    lane: lane.as_str(),
                    rule: rule.name.clone(),
                    queue: target.queue.clone(),
                });
            }
        }
    }
    ways.sort();
    Ok(ways)
}

/// What the pipe makes of an item: the flat object that stands in `detail`, and in the queues.
///
/// # Errors
/// A template of the pipe that asks for what no event has.
pub fn flat(topology: &Topology, item: &RecordedEvent) -> anyhow::Result<Value> {
    rendered(topology, &attributes(item)?)
}

/// The event as it goes over the bus; `None` if the pipe's filter keeps it back.
///
/// # Errors
/// As [`flat`].
pub fn on_the_bus(topology: &Topology, item: &RecordedEvent) -> anyhow::Result<Option<Value>> {
    let image: Map<String, Value> = attributes(item)?;
    let record = json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } });
    let pipe = &topology.pipe;
    if !pipe.filters.is_empty() && !pipe.filters.iter().any(|filter| filter.matches(&record)) {
        return Ok(None);
    }
    let detail_type = match &pipe.detail_type {
        topology::DetailType::Literal(text) => json!(text),
        topology::DetailType::Path(path) => {
            path.select(&record).cloned().context("an event has a detail-type")?
        }
    };
    let detail = rendered(topology, &image)?;
    Ok(Some(json!({ "source": pipe.source_name, "detail-type": detail_type, "detail": detail })))
}

/// For each key of the flat object the attribute that it comes from.
///
/// # Errors
/// As [`flat`].
pub fn attributes_of_keys(
    topology: &Topology,
    item: &RecordedEvent,
) -> anyhow::Result<Vec<(String, String)>> {
    let named = |(name, value): (String, Value)| {
        let kind = value.as_object().and_then(|typed| typed.keys().next().cloned()).unwrap_or_default();
        let typed: Map<String, Value> = [(kind, json!(name))].into_iter().collect();
        (name, Value::Object(typed))
    };
    let image: Map<String, Value> = attributes(item)?.into_iter().map(named).collect();
    let rendered = rendered(topology, &image)?;
    let rendered = rendered.as_object().context("the pipe makes an object of an item")?;
    let text = |(key, value): (&String, &Value)| {
        let attribute = value.as_str().with_context(|| format!("{key} is one attribute as text"))?;
        Ok((key.clone(), attribute.to_owned()))
    };
    rendered.iter().map(text).collect()
}

fn rendered(topology: &Topology, image: &Map<String, Value>) -> anyhow::Result<Value> {
    let record = json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } });
    let text = topology
        .pipe
        .input_template
        .render(&record)
        .map_err(|error| anyhow!("the pipe's template: {error}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// An item's attributes in DynamoDB's typed JSON, those that are lists aside.
fn attributes(item: &RecordedEvent) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(fields) = serde_json::to_value(item)? else { return Ok(Map::new()) };
    let typed = |(name, value): (String, Value)| match value {
        Value::String(text) => Some((name, json!({ "S": text }))),
        Value::Number(number) => Some((name, json!({ "N": number.to_string() }))),
        _ => None,
    };
    Ok(fields.into_iter().filter_map(typed).collect())
}
