//! What a call to DynamoDB is billed: as its answer says, and by the documented rules where the answer says nothing.
//!
//! An answer that refuses says nothing, and is billed all the same; the double's answers to `BatchGetItem` say nothing
//! either (docs/aws.md, "What the doubles do otherwise"). Sources: "DynamoDB read and write operations",
//! "Item sizes and formats", "Condition expressions" (a failed conditional write consumes by the size of the item, at
//! least one unit) and "Capacity management for transactions", Amazon DynamoDB Developer Guide, as of November 2026.
//! What a transaction that was refused consumes is not written there to the unit: it is counted as if it had been
//! done, which is the most it can be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::tap::Call;

/// Bytes that one write unit writes.
const WRITTEN: usize = 1024;
/// Bytes that one read unit reads, strongly consistent.
const READ: usize = 4096;

/// Capacity units, by what they were spent on: a table's name, and for an index `<table>/<index>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Units {
    /// Write units.
    pub written: BTreeMap<String, f64>,
    /// Read units.
    pub read: BTreeMap<String, f64>,
}

impl Units {
    /// What calls to DynamoDB are billed together. Other calls are passed over.
    pub fn of(calls: &[Call]) -> Units {
        let mut units = Units::default();
        for call in calls {
            let Some((_, operation)) =
                call.target.split_once('.').filter(|(service, _)| service.starts_with("DynamoDB_"))
            else {
                continue;
            };
            let writes = ["Put", "Update", "Delete", "TransactWrite", "BatchWrite"]
                .iter()
                .any(|verb| operation.starts_with(verb));
            let sum = if writes { &mut units.written } else { &mut units.read };
            match &call.answer["ConsumedCapacity"] {
                Value::Array(tables) => tables.iter().for_each(|table| add(sum, table)),
                Value::Object(_) => add(sum, &call.answer["ConsumedCapacity"]),
                _ if writes => refused(call).into_iter().for_each(|(table, units)| {
                    *sum.entry(table).or_default() += units;
                }),
                _ if operation == "BatchGetItem" => of_a_batch(call).for_each(|(table, units)| {
                    *sum.entry(table).or_default() += units;
                }),
                _ => {}
            }
        }
        for sum in [&mut units.written, &mut units.read] {
            sum.retain(|_, units| *units > 0.0);
        }
        units
    }
}

/// What a batch of reads is billed: each item is rounded up by itself, and one that is not there takes a unit, too.
fn of_a_batch(call: &Call) -> impl Iterator<Item = (String, f64)> {
    let tables = call.request["RequestItems"].as_object().into_iter().flatten();
    tables.map(|(table, asked)| {
        let found = call.answer["Responses"][table].as_array().map_or(&[][..], Vec::as_slice);
        let missing = asked["Keys"].as_array().map_or(0, Vec::len).saturating_sub(found.len());
        let sizes = found.iter().map(size).chain(std::iter::repeat_n(0, missing));
        let share = if asked["ConsistentRead"] == true { 1.0 } else { 0.5 };
        (table.clone(), share * sizes.map(read_units).sum::<f64>())
    })
}

/// What an answer says of one table: all of it, and how much of that its indexes took.
fn add(sum: &mut BTreeMap<String, f64>, consumed: &Value) {
    let table = consumed["TableName"].as_str().unwrap_or_default();
    let units = |of: &Value| of["CapacityUnits"].as_f64().unwrap_or_default();
    let mut left = units(consumed);
    for (index, of_index) in consumed["GlobalSecondaryIndexes"].as_object().into_iter().flatten() {
        *sum.entry(format!("{table}/{index}")).or_default() += units(of_index);
        left -= units(of_index);
    }
    *sum.entry(table.to_owned()).or_default() += left;
}

/// What a write that was refused is billed, by table.
fn refused(call: &Call) -> Vec<(String, f64)> {
    let told = call.answer["__type"].as_str().unwrap_or_default();
    let table = |of: &Value| of["TableName"].as_str().unwrap_or_default().to_owned();
    // What is there is in the answer, if it was asked for; it is about as large as what was to be put in its place.
    let units = |asked: &Value, there: &Value| write_units(size(&asked["Item"]).max(size(there)));
    if told.ends_with("ConditionalCheckFailedException") {
        return vec![(table(&call.request), units(&call.request, &call.answer["Item"]))];
    }
    if !told.ends_with("TransactionCanceledException") {
        return Vec::new();
    }
    let items = call.request["TransactItems"].as_array().into_iter().flatten();
    let writes = items.enumerate().flat_map(|(n, item)| {
        let there = &call.answer["CancellationReasons"][n]["Item"];
        let write = item.as_object().into_iter().flat_map(|item| item.values());
        write.map(move |write| (table(write), 2.0 * units(write, there)))
    });
    writes.collect()
}

/// Units that a write of so many bytes takes.
pub fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(WRITTEN).max(1) as f64
}

/// Units that a strongly consistent read of so many bytes takes; an eventually consistent one takes half.
pub fn read_units(bytes: usize) -> f64 {
    bytes.div_ceil(READ).max(1) as f64
}

/// An item's size: the names of its attributes and their values. A missing item has none.
pub fn size(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len(),
        // A byte for two significant digits and one more; a sign takes another.
        "N" => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            digits.trim_matches('0').len().div_ceil(2) + 1 + usize::from(text.starts_with('-'))
        }
        // Base64 of what is stored.
        "B" => text.trim_end_matches('=').len() * 3 / 4,
        "L" => {
            3 + value.as_array().into_iter().flatten().map(|value| 1 + size_of_value(value)).sum::<usize>()
        }
        "M" => 3 + size(value) + value.as_object().map_or(0, serde_json::Map::len),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str, request: Value, answer: Value) -> Call {
        let status = if answer["__type"].is_null() { 200 } else { 400 };
        Call { target: format!("DynamoDB_20120810.{operation}"), request, status, answer }
    }

    fn sum(of: &[(&str, f64)]) -> BTreeMap<String, f64> {
        of.iter().map(|(name, units)| ((*name).to_owned(), *units)).collect()
    }

    #[test]
    fn sizes_and_units_are_those_of_the_documented_examples() {
        // "an item with two attributes: one named 'shirt-color' with value 'R', and one 'shirt-size' with value 'M'".
        assert_eq!(size(&json!({ "shirt-color": { "S": "R" }, "shirt-size": { "S": "M" } })), 23);
        // Reads of 4 KB take one unit, of 8 KB two; 3.5 KB and 10 KB are rounded up to 4 KB and 12 KB.
        assert_eq!([4_096, 8_192, 3_584, 10_240].map(read_units), [1.0, 2.0, 1.0, 3.0]);
        // Writes of 1 KB take one unit, of 2 KB two; 500 bytes and 1.5 KB are rounded up to 1 KB and 2 KB.
        assert_eq!([1_024, 2_048, 500, 1_536].map(write_units), [1.0, 2.0, 1.0, 2.0]);
    }

    #[test]
    fn what_an_answer_says_is_told_apart_by_table_and_index() {
        let consumed = json!({ "ConsumedCapacity": {
            "TableName": "orders", "CapacityUnits": 4.0, "GlobalSecondaryIndexes": { "GSI1": { "CapacityUnits": 3.0 } },
        } });
        let units = Units::of(&[
            call("PutItem", json!({}), consumed),
            call(
                "GetItem",
                json!({}),
                json!({ "ConsumedCapacity": { "TableName": "log", "CapacityUnits": 0.5 } }),
            ),
            Call { target: "AmazonSQS.SendMessage".into(), ..call("", json!({}), json!({})) },
        ]);
        assert_eq!(units.written, sum(&[("orders", 1.0), ("orders/GSI1", 3.0)]));
        assert_eq!(units.read, sum(&[("log", 0.5)]));
    }

    #[test]
    fn each_item_of_a_batch_is_rounded_up_by_itself() {
        let item = |bytes: usize| json!({ "row": { "S": "x".repeat(bytes - 3) } });
        let asked = |consistent: bool| {
            json!({ "RequestItems": { "products": {
            "ConsistentRead": consistent, "Keys": [{}, {}, {}],
        } } })
        };
        // "If BatchGetItem reads a 1.5 KB item and a 6.5 KB item, DynamoDB calculates the size as 12 KB", not 8.
        let found = json!({ "Responses": { "products": [item(1_536), item(6_656)] } });
        let strongly = call("BatchGetItem", asked(true), found.clone());
        assert_eq!(Units::of(&[strongly]).read, sum(&[("products", 3.0 + 1.0)]), "and one that is not there");
        let eventually = call("BatchGetItem", asked(false), found);
        assert_eq!(Units::of(&[eventually]).read, sum(&[("products", 2.0)]));
    }

    #[test]
    fn a_write_that_is_refused_is_billed_all_the_same() {
        let item = json!({ "id": { "S": "o" }, "row": { "S": "x".repeat(1_500) } });
        let refused = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException" });
        let put = call("PutItem", json!({ "TableName": "orders", "Item": item }), refused);
        assert_eq!(Units::of(&[put]).written, sum(&[("orders", 2.0)]));

        let items = json!([
            { "Put": { "TableName": "orders", "Item": item } },
            { "Update": { "TableName": "stock", "Key": { "id": { "S": "lamp" } } } },
        ]);
        let refused = json!({ "__type": "TransactionCanceledException", "CancellationReasons": [] });
        let transaction = call("TransactWriteItems", json!({ "TransactItems": items }), refused);
        assert_eq!(Units::of(&[transaction]).written, sum(&[("orders", 4.0), ("stock", 2.0)]));

        let throttled = json!({ "__type": "ThrottlingException" });
        assert_eq!(Units::of(&[call("PutItem", json!({}), throttled)]), Units::default());
    }
}
