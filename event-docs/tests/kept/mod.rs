//! The schemas as they are kept, and what the parser says of the same payload.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses what it needs")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use events::{EventName, Undecodable, decode};
use jsonschema::Validator;
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

pub fn schema(name: EventName, version: u32) -> Value {
    json(&format!("docs/events/schemas/{name}.v{version}.json"))
}

/// The schemas of the payloads that are written, by their events.
pub fn validators() -> BTreeMap<EventName, Validator> {
    let of =
        |name: &EventName| (*name, jsonschema::draft202012::new(&schema(*name, name.version())).unwrap());
    EventName::ALL.iter().map(of).collect()
}

/// Whether the parser reads a payload, in whichever stream it stands.
pub fn is_read(name: EventName, data: &str) -> bool {
    matches!(decode::read(name.as_str(), name.version(), data, ""), Ok(_) | Err(Undecodable::WrongStream(_)))
}
