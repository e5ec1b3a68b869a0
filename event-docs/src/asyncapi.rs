//! The AsyncAPI document: the log, the bus and the queues as channels, and every event as a message in them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use events::{Causes, RecordedEvent, Stamp, schema};
use serde_json::{Map, Value, json};
use topology::{Queue, Topology};
use workers::Worker;

use crate::json::inlined;
use crate::knowledge::{Knowledge, Known};
use crate::wiring;

const LOG: &str = "log";
const BUS: &str = "bus";

/// An event under one of its names.
struct Spelling<'a> {
    event: &'a Known,
    name: &'a str,
    item: RecordedEvent,
    /// The file of its payload's schema, if the name is not an older system's.
    schema: Option<String>,
}

/// The document.
///
/// # Errors
/// A template of the pipe that asks for what no event has.
pub fn document(all: &Knowledge) -> anyhow::Result<Value> {
    let spellings: Vec<Spelling<'_>> = all.events.iter().flat_map(spellings).collect();
    let topology = &all.topology;
    let mut messages = Map::new();
    let mut on_the_bus = Vec::new();
    let mut in_queues: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut by_rules: BTreeMap<String, (BTreeSet<&str>, BTreeSet<String>)> = BTreeMap::new();
    for spelling in &spellings {
        messages.insert(format!("{}.item", spelling.name), as_item(spelling)?);
        let Some(sent) = wiring::on_the_bus(topology, &spelling.item)? else { continue };
        messages.insert(spelling.name.to_owned(), in_a_queue(spelling, &sent["detail"]));
        messages.insert(format!("{}.bus", spelling.name), on_a_bus(spelling, &sent));
        on_the_bus.push(spelling.name);
        for way in wiring::ways(topology, &spelling.item)? {
            let (names, queues) = by_rules.entry(way.rule).or_default();
            names.insert(spelling.name);
            queues.insert(way.queue.clone());
            in_queues.entry(way.queue).or_default().insert(spelling.name);
        }
    }
    let mut channels = Map::new();
    let names: Vec<&str> = spellings.iter().map(|spelling| spelling.name).collect();
    channels.insert(
        LOG.to_owned(),
        json!({
            "address": topology.pipe.table,
            "summary": "The log: a table of which every new item is an event.",
            "servers": [reference("servers", "dynamodb")],
            "messages": listed(&names, ".item"),
        }),
    );
    channels.insert(
        BUS.to_owned(),
        json!({
            "address": topology.pipe.bus,
            "summary": "The bus: what the pipe makes of the log's items, those that somebody listens to.",
            "servers": [reference("servers", "eventbridge")],
            "messages": listed(&on_the_bus, ".bus"),
        }),
    );
    for (queue, names) in &in_queues {
        let declared = topology.queue(queue).with_context(|| format!("no template declares {queue}"))?;
        channels.insert(queue.clone(), channel(declared, topology, names));
    }
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sagaline's events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Who appends which event to the log, and which way it takes to whoever listens: from the log \
                by a pipe to the bus, by rules from there to queues, and to the workers that read them. A message is a \
                nudge: whoever gets it reads the stream that it names. What each event says is on its page in \
                [events](events/README.md). Made by `cargo xtask docs` of what the code and the templates say.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "dynamodb": server("dynamodb", "dynamodb", "Keeps the log."),
            "eventbridge": server("events", "eventbridge", "Carries the bus."),
            "sqs": server("sqs", "sqs", "Keeps the queues."),
        },
        "channels": channels,
        "operations": operations(all, &on_the_bus, &by_rules, &in_queues),
        "components": { "messages": messages, "schemas": schemas(all)? },
    }))
}

fn spellings(event: &Known) -> Vec<Spelling<'_>> {
    let own = Spelling {
        event,
        name: event.name.as_str(),
        item: event.item.clone(),
        schema: Some(format!("./events/{}", event.schema_file())),
    };
    let older = event.older.iter().map(|older| {
        let RecordedEvent { pk, sk, event_id, occurred_at, priority, correlation_id, traceparent, .. } =
            event.item.clone();
        let stamp = Stamp { event_id, occurred_at, producer: events::recorded::RAW_PRODUCER.into() };
        let causes = Causes { priority, correlation_id, causation_id: None, traceparent, request_seed: None };
        let item = RecordedEvent::raw((&pk, &sk), (older.name, 1, &older.payload), Vec::new(), stamp, causes);
        Spelling { event, name: older.name, item, schema: None }
    });
    [own].into_iter().chain(older).collect()
}

fn as_item(spelling: &Spelling<'_>) -> anyhow::Result<Value> {
    let said = json!({ "properties": { "event_name": { "const": spelling.name }, "data": data(spelling) } });
    Ok(message(spelling, "in the log", "Item", said, &serde_json::to_value(&spelling.item)?))
}

fn in_a_queue(spelling: &Spelling<'_>, flat: &Value) -> Value {
    let said = json!({ "properties": { "event_name": { "const": spelling.name }, "data": data(spelling) } });
    message(spelling, "in a queue", "Message", said, flat)
}

fn on_a_bus(spelling: &Spelling<'_>, sent: &Value) -> Value {
    let flat = json!({ "$ref": format!("#/components/messages/{}/payload", spelling.name) });
    let said = json!({ "properties": { "detail-type": { "const": spelling.name }, "detail": flat } });
    message(spelling, "on the bus", "BusEvent", said, sent)
}

fn message(spelling: &Spelling<'_>, place: &str, schema: &str, said: Value, example: &Value) -> Value {
    let Spelling { event, name, .. } = spelling;
    let older = if spelling.schema.is_none() { ", as an older system spells it" } else { "" };
    json!({
        "name": name,
        "title": format!("{name} {place}"),
        "summary": format!("{}{older}", event.name.says().trim_end_matches('.')),
        "description": format!("[All that is known of it](events/{}.md)", event.name),
        "payload": { "allOf": [{ "$ref": format!("#/components/schemas/{schema}") }, said] },
        "examples": [{ "name": "golden", "payload": example }],
    })
}

/// The payload, which is a text in the item that carries it.
fn data(spelling: &Spelling<'_>) -> Value {
    match &spelling.schema {
        Some(file) => json!({ "contentMediaType": "application/json", "contentSchema": { "$ref": file } }),
        None => json!({ "contentMediaType": "application/json" }),
    }
}

fn listed(names: &[&str], kind: &str) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), reference("components/messages", &format!("{name}{kind}"))))
        .collect()
}

fn reference(folder: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{folder}/{name}") })
}

fn server(service: &str, protocol: &str, does: &str) -> Value {
    json!({
        "host": format!("{service}.{{region}}.amazonaws.com"),
        "protocol": protocol,
        "description": does,
        "variables": { "region": { "description": "The region that the stacks are deployed to.", "default": "us-east-1" } },
    })
}

fn channel(queue: &Queue, topology: &Topology, names: &BTreeSet<&str>) -> Value {
    let names: Vec<&str> = names.iter().copied().collect();
    let readers: Vec<&str> = topology
        .functions
        .iter()
        .filter(|function| function.queues.iter().any(|source| source.queue == queue.name))
        .map(|function| function.binary.as_str())
        .collect();
    let mut binding = json!({
        "bindingVersion": "0.2.0",
        "queue": {
            "name": queue.name,
            "fifoQueue": false,
            "deliveryDelay": queue.delay.as_secs(),
            "visibilityTimeout": queue.visibility_timeout.as_secs(),
            "messageRetentionPeriod": queue.retention.as_secs(),
        },
    });
    if let Some(redrive) = &queue.redrive {
        let letters = &redrive.dead_letter_queue;
        binding["queue"]["redrivePolicy"] =
            json!({ "deadLetterQueue": { "name": letters }, "maxReceiveCount": redrive.max_receive_count });
        if let Some(letters) = topology.queue(letters) {
            let kept = letters.retention.as_secs();
            binding["deadLetterQueue"] =
                json!({ "name": letters.name, "fifoQueue": false, "messageRetentionPeriod": kept });
        }
    }
    json!({
        "address": queue.name,
        "summary": format!("Read by {}.", readers.join(", ")),
        "servers": [reference("servers", "sqs")],
        "bindings": { "sqs": binding },
        "messages": listed(&names, ""),
    })
}

fn operations(
    all: &Knowledge,
    on_the_bus: &[&str],
    by_rules: &BTreeMap<String, (BTreeSet<&str>, BTreeSet<String>)>,
    in_queues: &BTreeMap<String, BTreeSet<&str>>,
) -> Value {
    let operation = |action: &str, channel: &str, summary: String, names: &[&str]| {
        let messages: Vec<Value> =
            names.iter().map(|name| reference(&format!("channels/{channel}/messages"), name)).collect();
        json!({
            "action": action,
            "channel": reference("channels", channel),
            "summary": summary,
            "messages": messages,
        })
    };
    let mut operations = Map::new();
    let mut appended: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in &all.events {
        for appender in &event.appended_by {
            appended.entry(appender.binary()).or_default().push(event.name.as_str());
        }
    }
    for (binary, names) in &appended {
        let summary = format!("{binary} appends to the log.");
        operations.insert(format!("{binary}.appends"), operation("send", LOG, summary, names));
    }
    let topology = &all.topology;
    let summary = format!("The pipe {} reads the log's new items.", topology.pipe.name);
    operations.insert("pipe.reads".to_owned(), operation("receive", LOG, summary, on_the_bus));
    let summary = format!("The pipe {} sends them to the bus.", topology.pipe.name);
    operations.insert("pipe.sends".to_owned(), operation("send", BUS, summary, on_the_bus));
    for (rule, (names, queues)) in by_rules {
        let names: Vec<&str> = names.iter().copied().collect();
        let into: Vec<&str> = queues.iter().map(String::as_str).collect();
        let summary = format!("The rule {rule} puts these into {}.", into.join(" and "));
        operations.insert(format!("rule.{rule}"), operation("receive", BUS, summary, &names));
    }
    for function in &topology.functions {
        for source in &function.queues {
            let Some(names) = in_queues.get(&source.queue) else { continue };
            let names: Vec<&str> = names.iter().copied().collect();
            let does = Worker::of_binary(&function.binary).map_or("", Worker::does);
            let summary = format!("{} reads at most {} at once. {does}", function.binary, source.batch_size);
            let name = format!("{}.reads.{}", function.binary, source.queue);
            operations.insert(name, operation("receive", &source.queue, summary, &names));
        }
    }
    Value::Object(operations)
}

/// What all messages of a kind have in common.
fn schemas(all: &Knowledge) -> anyhow::Result<Value> {
    let item = schema::item();
    let attributes = inlined(&item["properties"], &item["$defs"]);
    let first = all.events.first().context("there are events")?;
    let mut properties = Map::new();
    for (key, attribute) in wiring::attributes_of_keys(&all.topology, &first.item)? {
        properties.insert(key, as_text(&attributes[&attribute]));
    }
    let required: Vec<&String> = properties.keys().collect();
    Ok(json!({
        "Item": {
            "description": "An event as it stands in the log.",
            "type": "object",
            "properties": attributes,
            "required": item["required"],
        },
        "Message": {
            "description": "An event as the pipe delivers it: flat, and every attribute a text.",
            "type": "object",
            "required": required,
            "properties": properties,
        },
        "BusEvent": {
            "description": "An event as it goes over the bus, which adds what every event of EventBridge has.",
            "type": "object",
            "required": ["source", "detail-type", "detail"],
            "properties": {
                "source": { "type": "string", "const": all.topology.pipe.source_name },
                "detail-type": { "type": "string", "description": "The event's name." },
                "detail": reference("components/schemas", "Message"),
            },
        },
    }))
}

/// An attribute as the pipe's template puts it between quotes.
fn as_text(attribute: &Value) -> Value {
    let described = |rest: &str| format!("{}{rest}", attribute["description"].as_str().unwrap_or_default());
    match &attribute["type"] {
        Value::String(kind) if kind == "integer" => {
            json!({ "description": described(" As text."), "type": "string", "pattern": "^[0-9]+$" })
        }
        Value::Array(kinds) if kinds.contains(&json!("null")) => {
            json!({ "description": described(" Empty if there is none."), "type": "string" })
        }
        _ => attribute.clone(),
    }
}
