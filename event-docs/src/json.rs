//! JSON as it is kept: the same text for the same value, whatever order a map keeps its keys in.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Keys that come first, in this order; the others follow by the alphabet.
const FIRST: [&str; 16] = [
    "asyncapi",
    "$schema",
    "$id",
    "title",
    "name",
    "info",
    "version",
    "action",
    "address",
    "channel",
    "summary",
    "description",
    "type",
    "const",
    "$ref",
    "required",
];

/// The text of a value, indented, with a line end at its end.
pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, depth: usize, to: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().collect();
            let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
            entries.sort_by_key(|(key, _)| (rank(key), key.as_str()));
            let entry = |(key, value): &(&String, &Value), to: &mut String| {
                to.push_str(&Value::from(key.as_str()).to_string());
                to.push_str(": ");
                write(value, depth + 1, to);
            };
            block(('{', '}'), &entries, entry, depth, to);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            block(('[', ']'), items, |item, to| write(item, depth + 1, to), depth, to);
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(Value::to_string).collect();
            to.push_str(&format!("[{}]", items.join(", ")));
        }
        other => to.push_str(&other.to_string()),
    }
}

fn block<T>(
    (open, close): (char, char),
    items: &[T],
    each: impl Fn(&T, &mut String),
    depth: usize,
    to: &mut String,
) {
    let line = |depth: usize, to: &mut String| {
        to.push('\n');
        to.push_str(&"  ".repeat(depth));
    };
    to.push(open);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            to.push(',');
        }
        line(depth + 1, to);
        each(item, to);
    }
    line(depth, to);
    to.push(close);
}

/// The keys of an object in the order in which its text names them.
///
/// # Errors
/// A text that is no JSON object.
pub fn keys(text: &str) -> serde_json::Result<Vec<String>> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut keys = Vec::new();
            while let Some((key, _)) = map.next_entry::<String, Value>()? {
                keys.push(key);
            }
            Ok(keys)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Keys)
}

/// A schema in which each `#/$defs/…` is replaced by what stands there.
pub fn inlined(schema: &Value, defs: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut all =
                match map.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/")) {
                    Some(name) => inlined(&defs[name], defs).as_object().cloned().unwrap_or_default(),
                    None => serde_json::Map::new(),
                };
            let own = map.iter().filter(|(key, _)| !["$ref", "$defs"].contains(&key.as_str()));
            all.extend(own.map(|(key, value)| (key.clone(), inlined(value, defs))));
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| inlined(item, defs)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_names_a_thing_comes_first_and_the_rest_by_the_alphabet() {
        let value =
            json!({ "b": [1, 2], "a": {}, "type": "object", "items": [{ "title": "x", "$id": "y" }] });
        let text = "{\n  \"type\": \"object\",\n  \"a\": {},\n  \"b\": [1, 2],\n  \"items\": [\n    {\n      \
            \"$id\": \"y\",\n      \"title\": \"x\"\n    }\n  ]\n}\n";
        assert_eq!(pretty(&value), text);
        assert_eq!(serde_json::from_str::<Value>(text).expect("it is JSON"), value);
    }

    #[test]
    fn keys_keep_the_order_of_the_text() {
        assert_eq!(keys(r#"{"b": 1, "a": {"c": 2}}"#).expect("it is an object"), ["b", "a"]);
    }

    #[test]
    fn what_is_referred_to_is_put_in_its_place_and_what_stands_beside_it_counts() {
        let defs = json!({ "Id": { "type": "string", "description": "an id" } });
        let schema = json!({ "a": { "$ref": "#/$defs/Id", "description": "the order" } });
        assert_eq!(inlined(&schema, &defs), json!({ "a": { "type": "string", "description": "the order" } }));
    }
}
