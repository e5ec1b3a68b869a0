//! An event pattern and an event: what is not understood is refused, and what is understood depends on nothing but
//! the fields that it names.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::parts;
use serde_json::{Value, json};
use topology::EventPattern;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some([text, event]) = parts(input) else { return Corpus::Reject };
    let Ok(event) = serde_json::from_str::<Value>(event) else { return Corpus::Reject };
    let Ok(pattern) = EventPattern::parse(text) else { return Corpus::Keep };
    let matches = pattern.matches(&event);
    let value: Value = serde_json::from_str(text).expect("a pattern is JSON");

    let same = EventPattern::from_value(&value).expect("text and value are one pattern");
    assert_eq!(same.matches(&event), matches, "the same pattern, the same answer");
    assert_eq!((same.paths(), same.bus_only_operator()), (pattern.paths(), pattern.bus_only_operator()));

    let paths = pattern.paths();
    assert_eq!(pattern.matches(&kept(&event, "", &paths)), matches, "it looks at {paths:?} alone");

    // Twice the same choice is no choice, unless that is too much of it.
    if let Ok(either) = EventPattern::from_value(&json!({ "$or": [value, value] })) {
        assert_eq!(either.matches(&event), matches, "one of twice the same");
    }

    // One operator that nobody knows, wherever it stands, makes the whole pattern one that nobody knows.
    for place in lists(&value, "") {
        let mut strange = value.clone();
        let tests = strange.pointer_mut(&place).and_then(Value::as_array_mut).expect("it was found there");
        tests.push(json!({ "sounds-like": "x" }));
        assert!(EventPattern::from_value(&strange).is_err(), "understood {strange}");
    }
    Corpus::Keep
});

/// The event without the fields that no path leads to.
fn kept(value: &Value, path: &str, paths: &BTreeSet<String>) -> Value {
    match value {
        _ if paths.contains(path) => value.clone(),
        Value::Object(fields) => {
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let leads_on = |at: &str| paths.iter().any(|it| it == at || it.starts_with(&format!("{at}.")));
            let fields = fields.iter().map(|(name, value)| (name, below(name), value));
            let fields = fields.filter(|(_, at, _)| leads_on(at));
            fields.map(|(name, at, value)| (name.clone(), kept(value, &at, paths))).collect()
        }
        Value::Array(items) => items.iter().map(|item| kept(item, path, paths)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// JSON pointers to the lists of tests that stand outside of `$or`.
fn lists(value: &Value, at: &str) -> Vec<String> {
    let fields = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "$or");
    let places =
        fields.map(|(name, value)| (format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value));
    places.flat_map(|(at, value)| if value.is_array() { vec![at] } else { lists(value, &at) }).collect()
}
