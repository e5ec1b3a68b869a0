//! The AsyncAPI document hangs together, and what it shows is what the runtime delivers.
#![allow(clippy::unwrap_used)]

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::{EventName, Priority, RecordedEvent};
use kept::{json, root};
use local::wiring::Wiring;
use serde_json::Value;

fn document() -> Value {
    json("docs/asyncapi.json")
}

/// Every reference in a document.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str);
            map.values().flat_map(references).chain(own).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// A schema of the document with what it refers to in its place, and without what no validator asserts.
fn whole(schema: &Value, document: &Value) -> Value {
    match schema {
        Value::Object(map) => match map.get("$ref").and_then(Value::as_str) {
            Some(to) => whole(document.pointer(to.trim_start_matches('#')).unwrap(), document),
            None => {
                let asserted = map.iter().filter(|(key, _)| *key != "contentSchema");
                asserted.map(|(key, value)| (key.clone(), whole(value, document))).collect()
            }
        },
        Value::Array(items) => items.iter().map(|item| whole(item, document)).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let references: BTreeSet<&str> = references(&document).into_iter().collect();
    assert!(references.len() > 100);
    for reference in references {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
            None => assert!(root().join("docs").join(reference).is_file(), "{reference}"),
        }
    }
}

#[test]
fn every_example_is_valid_by_the_payload_of_its_message_and_so_is_the_payload_in_it() {
    let document = document();
    let messages = document["components"]["messages"].as_object().unwrap();
    for (name, message) in messages {
        let validator = jsonschema::draft202012::new(&whole(&message["payload"], &document)).unwrap();
        let example = &message["examples"][0]["payload"];
        let errors: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        let data = example.get("data").or(example["detail"].get("data")).unwrap().as_str().unwrap();
        let payload: Value = serde_json::from_str(data).unwrap();
        let schema = message["payload"]["allOf"][1]["properties"]["data"]["contentSchema"]["$ref"].as_str();
        if let Some(schema) = schema {
            let schema = json(&format!("docs/{schema}"));
            assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&payload), "{name}");
        }
        for broken in ["pk", "event_id", "source"] {
            let mut less = example.clone();
            if less.as_object_mut().unwrap().remove(broken).is_some() {
                assert!(!validator.is_valid(&less), "{name} without {broken}");
            }
        }
    }
}

/// Every event of the log as the document shows it, under each of its names.
fn items(document: &Value) -> BTreeMap<String, RecordedEvent> {
    let messages = document["components"]["messages"].as_object().unwrap();
    let item = |(name, message): (&String, &Value)| {
        let name = name.strip_suffix(".item")?;
        let item = serde_json::from_value(message["examples"][0]["payload"].clone()).unwrap();
        Some((name.to_owned(), item))
    };
    messages.iter().filter_map(item).collect()
}

#[test]
fn the_runtime_delivers_what_the_document_shows_to_the_queues_that_it_names_and_to_no_other() {
    let document = document();
    let wiring = Wiring::new(event_docs::wiring::templates(&root()).unwrap()).unwrap();
    let items = items(&document);
    let spellings =
        EventName::ALL.iter().flat_map(|name| [name.as_str()].into_iter().chain(name.also().iter().copied()));
    assert_eq!(items.keys().map(String::as_str).collect::<BTreeSet<_>>(), spellings.collect());
    let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, item) in &items {
        for priority in [Priority::Standard, Priority::Express] {
            let mut item = item.clone();
            item.priority = priority;
            let detail: Arc<str> = wiring.detail(&item).into();
            for route in wiring.routes(&item).iter() {
                let queue = wiring.queues[route.queue].queue.name.clone();
                reached.entry(queue).or_default().insert(name.clone());
                let body: Value = serde_json::from_str(&wiring.body(route, &item, &detail)).unwrap();
                let mut shown = document["components"]["messages"][name]["examples"][0]["payload"].clone();
                shown["priority"] = priority.as_str().into();
                assert_eq!(body, shown, "{name}");
            }
        }
    }
    let channels = document["channels"].as_object().unwrap().iter();
    let queues = channels.filter(|(_, channel)| channel.get("bindings").is_some());
    let named = |(queue, channel): (&String, &Value)| {
        (queue.clone(), channel["messages"].as_object().unwrap().keys().cloned().collect())
    };
    assert_eq!(reached, queues.map(named).collect());
}
