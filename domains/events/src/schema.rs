//! JSON Schemas of what is published: every payload, and the item of the log that carries it.
//!
//! A schema accepts exactly what [`crate::decode`] reads, but for what JSON Schema cannot say. Where that is so, the
//! description says it; a test compares the two on payloads that were broken in every way that it knows.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::{
    Currency, CustomerId, EventName, LotId, Money, OrderId, ProductId, Quantity, RecordedEvent, Sku,
    Timestamp,
};

/// The schema of the payload that this code writes under this name.
pub fn payload(name: EventName) -> Value {
    let mut schema = name.schema(generator());
    let identity = format!("urn:sagaline:event:{name}.v{}", name.version());
    schema.insert("$id".to_owned(), identity.into());
    schema.to_value()
}

/// The schema of an item of the log.
pub fn item() -> Value {
    generator().into_root_schema_for::<RecordedEvent>().to_value()
}

fn generator() -> SchemaGenerator {
    let bounds = RecursiveTransform(|schema: &mut Schema| WholeNumbers.transform(schema));
    SchemaSettings::draft2020_12().with_transform(bounds).into_generator()
}

/// Says by bounds how large a whole number may be, because formats such as `uint32` mean something to few readers; and in
/// words how it is written, because to a schema 2.0 is a whole number too.
struct WholeNumbers;

impl Transform for WholeNumbers {
    fn transform(&mut self, schema: &mut Schema) {
        let (least, most) = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => (json!(0), json!(u32::MAX)),
            Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
            _ => return,
        };
        schema.remove("format");
        let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let said = format!("{said} Written without fraction and exponent.").trim_start().to_owned();
        schema.insert("description".to_owned(), said.into());
        schema.insert("minimum".to_owned(), least);
        schema.insert("maximum".to_owned(), most);
    }
}

/// What is said of a type that has a rule of its own.
macro_rules! said_of {
    ($($name:ident $schema:expr;)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

said_of! {
    OrderId id("An order.");
    Sku id("A stock keeping unit: one thing that can be counted and sold.");
    LotId id("One delivery of units to the shelf.");
    CustomerId id("A customer. Stands for a person in the log, which never holds the person's name.");
    ProductId id("An entry of the catalogue.");
    Quantity json_schema!({
        "description": "A number of units. It is written as a whole number: 2.0 and 2e0, which a schema takes for 2, are \
            not read.",
        "type": "integer",
        "minimum": 1,
        "maximum": Quantity::MAX,
    });
    Money json_schema!({
        "description": "An amount in units of its currency, with at most two decimals: 19.99. A third decimal is not \
            read, which this schema does not say: by `multipleOf`, calculators of binary fractions refuse 19.99 too.",
        "type": "number",
        "minimum": 0,
        "maximum": Money::MAX.minor() / 100,
    });
    Currency json_schema!({
        "description": "A currency by its ISO 4217 code.",
        "type": "string",
        "pattern": "^[A-Z]{3}$",
    });
    Timestamp json_schema!({
        "description": "A moment: RFC 3339, between the years 1970 and 9998; written in UTC to the millisecond.",
        "type": "string",
        "format": "date-time",
    });
}

fn id(what: &str) -> Schema {
    let most = crate::ids::MAX_RECORDED_ID;
    json_schema!({
        "description": format!(
            "{what} At most {most} bytes in UTF-8 are read, of which a schema can only count characters."
        ),
        "type": "string",
        "minLength": 1,
        "maxLength": most,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    })
}

/// How an event's id is written.
pub(crate) struct UlidText;

impl JsonSchema for UlidText {
    fn schema_name() -> Cow<'static, str> {
        "Ulid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A ULID: a moment and a chance, in an order that is the texts' too.",
            "type": "string",
            "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_after_its_event_and_version_and_says_what_must_be_there() {
        let schema = payload(EventName::PaymentAttempted);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], "urn:sagaline:event:PaymentAttempted.v1");
        assert_eq!(schema["required"], json!(["order_id", "attempt"]));
        let attempt = json!({
            "description": "Which attempt, from 1. Written without fraction and exponent.",
            "type": "integer",
            "minimum": 0,
            "maximum": u32::MAX,
        });
        assert_eq!(schema["properties"]["attempt"], attempt);
    }
}
