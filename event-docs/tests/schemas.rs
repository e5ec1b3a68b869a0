//! A schema accepts what the parser reads, and refuses what it refuses.
#![allow(clippy::unwrap_used)]

mod kept;

use std::collections::{BTreeMap, BTreeSet};

use events::EventName;
use kept::{is_read, json, read, schema, validators};
use serde_json::{Value, json};

#[test]
fn every_schema_is_one() {
    for name in EventName::ALL {
        for version in 1..=name.version() {
            let schema = schema(*name, version);
            assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}.v{version}");
            assert_eq!(schema["$id"], format!("urn:sagaline:event:{name}.v{version}"));
        }
    }
}

#[test]
fn every_golden_payload_is_valid_by_the_schema_of_its_version() {
    for name in EventName::ALL {
        for version in 1..=name.version() {
            let validator = jsonschema::draft202012::new(&schema(*name, version)).unwrap();
            for file in [format!("{name}.v{version}.json"), format!("{name}.v{version}.minimal.json")] {
                let payload = json(&format!("domains/events/golden/{file}"));
                let errors: Vec<String> =
                    validator.iter_errors(&payload).map(|error| error.to_string()).collect();
                assert_eq!(errors, Vec::<String>::new(), "{file}");
            }
        }
    }
}

/// Broken payloads that no schema refuses, and by which words its schema says so; `None` for what is no schema's
/// business: it sees the value that a text means, not the text.
const BEYOND_SCHEMAS: [(&str, Option<&str>); 5] = [
    (r#""attempt":2.0"#, Some("without fraction and exponent")),
    (r#""quantity":1e3"#, Some("written as a whole number")),
    (r#""total":19.999"#, Some("at most two decimals")),
    (r#""order_id":"order-1","order_id""#, None),
    ("ööö", Some("At most 512 bytes")),
];

#[test]
fn a_broken_payload_is_refused_by_its_schema_too_unless_the_schema_says_why_not() {
    #[derive(serde::Deserialize)]
    struct Example {
        why: String,
        name: String,
        data: String,
    }
    let validators = validators();
    let mut examples: Vec<Example> =
        serde_json::from_str(&read("domains/events/golden/undecodable.json")).unwrap();
    let long = json!({ "order_id": "ö".repeat(300) }).to_string();
    let fraction = r#"{"order_id":"order-1","attempt":2.0}"#.to_owned();
    for (name, data) in [("OrderDelivered", long), ("PaymentAttempted", fraction)] {
        examples.push(Example { why: "payload".into(), name: name.into(), data });
    }
    let (mut refused, mut beyond) = (0, BTreeSet::new());
    for Example { data, name, .. } in examples.iter().filter(|example| example.why == "payload") {
        let Some((event, false)) = EventName::find(name) else { continue };
        let Ok(payload) = serde_json::from_str::<Value>(data) else { continue };
        assert!(!is_read(event, data), "{name} {data}");
        if !validators[&event].is_valid(&payload) {
            refused += 1;
            continue;
        }
        let known = BEYOND_SCHEMAS.iter().find(|(part, _)| data.contains(part));
        let (part, says) = known.unwrap_or_else(|| panic!("the schema of {name} accepts {data}"));
        if let Some(says) = says {
            let schema = schema(event, event.version()).to_string();
            assert!(schema.contains(says), "{name} says nowhere: {says}");
        }
        beyond.insert(*part);
    }
    assert!(refused >= 30, "{refused}");
    assert_eq!(beyond, BEYOND_SCHEMAS.map(|(part, _)| part).into(), "each of these was seen");
}

/// What a field is replaced by, one after the other.
fn strange() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(4),
        json!(1.5),
        json!(19.99),
        json!(-0.01),
        json!(1_000_000_000),
        json!(1_000_000_001),
        json!(u32::MAX),
        json!(u64::from(u32::MAX) + 1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(10_000_000_000_000u64),
        json!(10_000_000_000_001u64),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("EUR"),
        json!("eur"),
        json!("standard"),
        json!("express"),
        json!("gateway"),
        json!("operator"),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("a\u{85}b"),
        json!("ü#1 ☃"),
        json!("x".repeat(512)),
        json!("x".repeat(513)),
        json!([]),
        json!([1]),
        json!({}),
        json!([{}]),
        json!([{ "sku": "s", "quantity": 1 }]),
        json!([{ "sku": "s", "requested": 1 }]),
    ]
}

/// The payload, with each of its fields left out or replaced, at any depth.
fn broken(payload: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match payload {
        Value::Object(fields) => {
            for (field, value) in fields {
                let with = |value: Value| {
                    let mut fields = fields.clone();
                    fields.insert(field.clone(), value);
                    Value::Object(fields)
                };
                all.extend(strange().into_iter().chain(broken(value)).map(with));
                let mut less = fields.clone();
                less.remove(field);
                all.push(Value::Object(less));
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let with = |item: Value| {
                    let mut items = items.clone();
                    items[n] = item;
                    Value::Array(items)
                };
                all.extend(strange().into_iter().chain(broken(item)).map(with));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn a_payload_with_any_field_replaced_is_read_exactly_where_its_schema_accepts_it() {
    let validators = validators();
    let mut seen: BTreeMap<bool, usize> = BTreeMap::new();
    for name in EventName::ALL.iter().copied() {
        let golden = json(&format!("domains/events/golden/{name}.v{}.json", name.version()));
        for payload in broken(&golden) {
            let is_read = is_read(name, &payload.to_string());
            assert_eq!(validators[&name].is_valid(&payload), is_read, "{name} {payload}");
            *seen.entry(is_read).or_default() += 1;
        }
    }
    assert!(seen[&true] >= 500 && seen[&false] >= 2_000, "{seen:?}");
}
