//! Reading and writing attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use event_store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An item as the service takes and gives it.
pub type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A key of one attribute.
pub(crate) fn key(name: &str, value: &str) -> Item {
    Item::from([(name.to_owned(), text(value))])
}

pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or_else(|| unreadable(name))
}

/// An attribute that is left out when it is empty: an empty text costs a write unit nothing tells of.
pub(crate) fn text_or_empty<'a>(item: &'a Item, name: &str) -> &'a str {
    text_of(item, name).unwrap_or_default()
}

pub(crate) fn number_of<N: std::str::FromStr>(item: &Item, name: &str) -> Result<N, StoreError> {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| unreadable(name))
}

/// A row as JSON text.
pub(crate) fn json(row: &impl Serialize) -> AttributeValue {
    text(serde_json::to_string(row).expect("a row has only text keys"))
}

pub(crate) fn json_of<Row: DeserializeOwned>(item: &Item, name: &str) -> Result<Row, StoreError> {
    serde_json::from_str(text_of(item, name)?).map_err(|error| {
        StoreError::Unavailable(format!("an item's {name} is not what this version writes: {error}"))
    })
}

/// Somebody else wrote the item, or a later version did.
pub(crate) fn unreadable(name: &str) -> StoreError {
    StoreError::Unavailable(format!("an item's {name} is missing or not what this version writes"))
}
