//! A body as a JSON tree, with an eye on keys that are named twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What becomes of a key that an object names twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// The text is refused: two readers of it could act on different values.
    Refused,
    /// The later value counts, as in JavaScript.
    LastCounts,
}

/// Reads one JSON text and nothing behind it. Nested deeper than 128 it is refused.
pub(crate) fn parse(text: &[u8], twice: Twice) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Tree(twice).deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

#[derive(Clone, Copy)]
struct Tree(Twice);

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if self.0 == Twice::Refused && object.contains_key(&key) {
                return Err(A::Error::custom("an object names a key twice"));
            }
            object.insert(key, access.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_named_twice_is_refused_at_any_depth_unless_the_last_counts() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"a":2}}]"#] {
            assert!(parse(text.as_bytes(), Twice::Refused).is_err(), "{text}");
        }
        assert_eq!(parse(br#"{"a":1,"a":2}"#, Twice::LastCounts).unwrap(), json!({"a": 2}));
    }

    #[test]
    fn text_behind_the_value_and_depth_without_end_are_refused() {
        for text in ["{} {}", "{", "", "\u{feff}{}", "nul", "1e999", "\"\\ud800\""] {
            assert!(parse(text.as_bytes(), Twice::Refused).is_err(), "{text}");
        }
        assert!(parse("[".repeat(60_000).as_bytes(), Twice::Refused).is_err());
        assert!(parse(b"\"\xff\"", Twice::Refused).is_err());
    }

    proptest! {
        #[test]
        fn every_other_text_reads_as_serde_json_reads_it(text in r#"[\[\]{}",:0-9eE.a-c \\-]{0,24}"#) {
            let ours = parse(text.as_bytes(), Twice::LastCounts).ok();
            prop_assert_eq!(ours, serde_json::from_str(&text).ok());
        }
    }
}
