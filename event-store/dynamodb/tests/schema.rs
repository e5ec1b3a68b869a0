//! The tables that this crate makes on a double are the ones that the templates make in an account.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;

use event_store_dynamodb::schema::TABLES;
use serde_json::{Value, json};
use topology::Source;

const TEMPLATES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../../template-ims.yaml") },
];

#[test]
fn the_tables_made_on_a_double_have_the_keys_and_indexes_of_the_templates_and_the_stream_that_is_followed() {
    let mut declared = declared();
    // Nobody follows the orders.
    let followed = declared.get_mut("OrderTable").map(|orders| orders[2].take());
    assert_eq!(followed, Some(json!("NEW_AND_OLD_IMAGES")));
    assert_eq!(made(), declared);
}

/// What the templates declare of each table: its keys with their types, its indexes, its stream.
fn declared() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for template in TEMPLATES {
        let document = template.document().unwrap();
        let resources = document["Resources"].as_object().unwrap();
        for (name, table) in resources.iter().filter(|(_, it)| it["Type"] == "AWS::DynamoDB::Table") {
            let table = &table["Properties"];
            let types: BTreeMap<&str, &Value> = table["AttributeDefinitions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| (it["AttributeName"].as_str().unwrap(), &it["AttributeType"]))
                .collect();
            let keys = |of: &Value| -> Value {
                let keys = of["KeySchema"].as_array().unwrap().iter();
                let key = |key: &Value| {
                    let name = key["AttributeName"].as_str().unwrap();
                    json!([name, types[name], key["KeyType"]])
                };
                keys.map(key).collect()
            };
            let indexes = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
            let index = |index: &Value| {
                json!([index["IndexName"], keys(index), index["Projection"]["ProjectionType"]])
            };
            let stream = &table["StreamSpecification"]["StreamViewType"];
            let seen = json!([keys(table), indexes.map(index).collect::<Vec<_>>(), stream]);
            found.insert(name.clone(), seen);
        }
    }
    found
}

/// The same of what this crate makes.
fn made() -> BTreeMap<String, Value> {
    let keys = |names: &[&str]| -> Value {
        names.iter().zip(["HASH", "RANGE"]).map(|(name, kind)| json!([name, "S", kind])).collect()
    };
    let of_table = |table: &event_store_dynamodb::schema::Table| {
        let indexes = (1..).zip(table.indexes);
        let indexes: Vec<Value> =
            indexes.map(|(n, index)| json!([format!("GSI{n}"), keys(index), "KEYS_ONLY"])).collect();
        (table.name.to_owned(), json!([keys(table.key), indexes, table.stream]))
    };
    TABLES.iter().map(of_table).collect()
}
