//! What an order takes of everything that is billed, counted outcome by outcome.
//!
//! The queues are worked on by hand, so that the counts are the same every time: no two messages about an order ever meet
//! in a batch, and no worker sees what another has only just appended. Traffic does better than this, never worse.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use end_to_end::deploy;
use end_to_end::units::Units;
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::by_hand::{ByHand, Way};
use crate::logged::{self, Logged};
use crate::world::World;

/// Where the counts are kept; `SAGALINE_COUNT=write` writes them anew.
const WRITTEN_DOWN: &str = "../cli/src/cost/counts.json";

/// How an order goes.
#[derive(Clone, Copy)]
struct Outcome {
    name: &'static str,
    units: u32,
    priority: &'static str,
    cancelled: bool,
    status: &'static str,
}

/// A shop has so many units of a lamp at 2.50: 40,000 of them cost more than the gateway takes.
const STOCK: u32 = 400_000;
const OUTCOMES: [Outcome; 5] = [
    Outcome { name: "paid", units: 3, priority: "standard", cancelled: false, status: "PAID" },
    Outcome { name: "express, paid", units: 3, priority: "express", cancelled: false, status: "PAID" },
    Outcome {
        name: "out of stock",
        units: 900_000,
        priority: "standard",
        cancelled: false,
        status: "CANCELLED",
    },
    Outcome {
        name: "payment rejected",
        units: 40_000,
        priority: "standard",
        cancelled: false,
        status: "CANCELLED",
    },
    Outcome {
        name: "paid, cancelled, refunded",
        units: 3,
        priority: "standard",
        cancelled: true,
        status: "CANCELLED",
    },
];
/// One message at a time, and batches as large as the templates allow.
const BATCHES: [usize; 2] = [1, 10];

pub async fn an_order_takes_the_units_that_are_written_down(world: &World) {
    let shops: Vec<String> = (0..10).map(|number| format!("desk-lamp-{number:04}")).collect();
    join_all(shops.iter().map(|shop| world.shop(shop, STOCK))).await;
    world.until_quiet().await;
    let by_hand = ByHand::begin(world).await;
    // Each of them asks its queue again and again, whether there is something or not.
    let mappings = world.topology.functions.iter().flat_map(|function| function.sources()).count();
    // What is logged at a cold start is no order's.
    for (name, like) in [("warm up", OUTCOMES[0]), ("warm up express", OUTCOMES[1])] {
        count(&by_hand, &Outcome { name, ..like }, &shops, 1).await;
    }
    let mut counted = Vec::new();
    for outcome in &OUTCOMES {
        for batch in BATCHES {
            let mut count = count(&by_hand, outcome, &shops, batch).await;
            let logged = ["log_bytes", "log_bytes_of_lambda", "log_bytes_of_the_api"];
            let logged: f64 = logged.iter().map(|name| count[*name].as_f64().unwrap()).sum();
            assert!(logged < MOST_LOGGED, "{}, {batch} at once: {logged} bytes are logged", outcome.name);
            let mut of = Map::from_iter([
                ("outcome".to_owned(), json!(outcome.name)),
                ("batch".to_owned(), json!(batch)),
            ]);
            of.append(&mut count);
            println!("  {}", json!(of));
            counted.push(json!(of));
        }
    }
    by_hand.end().await;
    world.until_quiet().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(WRITTEN_DOWN);
    if std::env::var_os("SAGALINE_COUNT").is_some_and(|word| word == "write") {
        let text = json!({ "counted": today(), "mappings": mappings, "orders": counted });
        fs::write(&path, format!("{text:#}\n")).unwrap();
    }
    let written_down: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(written_down["mappings"], json!(mappings));
    let written_down = written_down["orders"].as_array().unwrap();
    assert_eq!(written_down.len(), counted.len());
    for (written, counted) in written_down.iter().zip(&counted) {
        compare(written, counted);
    }
}

/// Bytes that may be logged about an order, whatever becomes of it.
const MOST_LOGGED: f64 = 4_096.0;

/// Lines of the log hold numbers, some longer than others; milliseconds are whatever this machine makes of them.
const NOT_TO_THE_UNIT: [(&str, f64); 2] = [("log_bytes", 1.25), ("megabyte_milliseconds", 20.0)];

fn compare(written: &Value, counted: &Value) {
    let (mut written, mut counted) = (written.clone(), counted.clone());
    for (name, factor) in NOT_TO_THE_UNIT {
        let [was, is] = [&mut written, &mut counted].map(|of| of[name].take().as_f64().unwrap());
        let fits = is < was * factor && is > was / factor;
        assert!(fits, "{}: {name} was {was} and is {is}", counted["outcome"]);
    }
    assert_eq!(
        counted, written,
        "an order takes something else than is written down; is it meant to? Then \
        SAGALINE_COUNT=write cargo xtask test e2e"
    );
}

fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    events::Timestamp::from_millis(now.as_millis() as i64).to_string()[..10].to_owned()
}

/// What an order of an outcome takes, as many at once as a batch takes.
async fn count(
    by_hand: &ByHand<'_>,
    outcome: &Outcome,
    shops: &[String],
    batch: usize,
) -> Map<String, Value> {
    let world = by_hand.world;
    let orders: Vec<String> = (0..batch).map(|number| order_of(outcome, batch, number)).collect();
    // Keys that no authorizer remembers, so that each is looked up: the most that a request can take.
    let mut keys = Vec::new();
    for _ in 0..2 * batch {
        keys.push(world.new_key("operator", None).await);
    }
    let logged_before = Logged::so_far(world).await;
    world.tap.take();
    let mut way = Way::default();
    for ((order, shop), key) in orders.iter().zip(shops).zip(&keys) {
        world.order_with(key, shop, order, outcome.units, outcome.priority).await;
    }
    by_hand.drive(&orders, batch, &mut way).await;
    if outcome.cancelled {
        for (order, key) in orders.iter().zip(&keys[batch..]) {
            let path = format!("/orders/{order}");
            let (status, answer) = world.ask_with(key, Method::DELETE, &path, None).await;
            assert_eq!(status, 200, "{answer}");
        }
        by_hand.drive(&orders, batch, &mut way).await;
    }
    let calls = world.tap.take();
    let logged = Logged::so_far(world).await;
    for order in &orders {
        let row = world.get(&format!("/orders/{order}")).await;
        assert_eq!((&row["status"], &row["open"]), (&json!(outcome.status), &json!(false)), "{row}");
    }
    let each = |sum: f64| json!(sum / batch as f64);
    let units = Units::of(&calls);
    let requests = if outcome.cancelled { 2 * batch } else { batch };
    let of_functions = logged.since(&logged_before);
    let of_lambda = of_functions.invocations * logged::of_lambda();
    let tables = names_of_tables(world).await;
    Map::from_iter([
        ("api_requests".to_owned(), each(requests as f64)),
        ("invocations".to_owned(), each(of_functions.invocations as f64)),
        ("megabyte_milliseconds".to_owned(), each(of_functions.megabyte_milliseconds)),
        ("write_units".to_owned(), each(units.written.values().sum())),
        ("read_units".to_owned(), each(units.read.values().sum())),
        ("stream_records".to_owned(), each(way.records as f64)),
        ("pipe_events".to_owned(), each(way.carried as f64)),
        ("bus_events".to_owned(), each(way.carried as f64)),
        ("bus_bytes".to_owned(), each(way.bytes as f64)),
        ("queue_sends".to_owned(), each(way.sent as f64)),
        ("queue_receives".to_owned(), each(way.received as f64)),
        ("queue_deletes".to_owned(), each(way.deleted as f64)),
        ("calls".to_owned(), each(calls.len() as f64)),
        ("log_bytes".to_owned(), each(of_functions.bytes as f64)),
        ("log_bytes_of_lambda".to_owned(), each(of_lambda as f64)),
        ("log_bytes_of_the_api".to_owned(), each((requests * logged::of_the_api()) as f64)),
        ("write_units_by".to_owned(), by_table(&units.written, &tables, batch)),
        ("read_units_by".to_owned(), by_table(&units.read, &tables, batch)),
    ])
}

/// The names that the templates give the tables, by the names that they have.
async fn names_of_tables(world: &World) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for stack in ["sagaline-oms", "sagaline-ims"] {
        for (logical, physical) in deploy::resources(&world.double, stack).await.unwrap() {
            names.insert(physical, logical);
        }
    }
    names
}

/// Customers are the shops' own, and an order's id is as long as the ones that are made here.
fn order_of(outcome: &Outcome, batch: usize, number: usize) -> String {
    let words: String = outcome.name.chars().filter(char::is_ascii_alphabetic).take(16).collect();
    format!("cost-{words:-<16}-{batch:02}-{number:04}")
}

fn by_table(units: &BTreeMap<String, f64>, names: &BTreeMap<String, String>, batch: usize) -> Value {
    let name = |of: &str| {
        let (table, index) = of.split_once('/').unwrap_or((of, ""));
        let table = names.get(table).cloned().unwrap_or_else(|| table.to_owned());
        if index.is_empty() { table } else { format!("{table}/{index}") }
    };
    units.iter().map(|(of, units)| (name(of), json!(units / batch as f64))).collect::<Map<_, _>>().into()
}

pub async fn the_double_counts_units_as_they_are_documented(world: &World) {
    let dynamodb = async |operation: &str, request: Value| {
        world.aws("dynamodb", &format!("DynamoDB_20120810.{operation}"), request).await
    };
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let is_text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    dynamodb(
        "CreateTable",
        json!({
            "TableName": "documented", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [is_text("id"), is_text("shelf")], "KeySchema": [key("id", "HASH")],
            "GlobalSecondaryIndexes": [{
                "IndexName": "GSI1", "KeySchema": [key("shelf", "HASH")], "Projection": { "ProjectionType": "KEYS_ONLY" },
            }],
        }),
    )
    .await;
    let item = |id: &str, shelf: &str, bytes: usize| {
        // Names and keys count, too.
        let filling = "x".repeat(bytes - "idshelfrow".len() - id.len() - shelf.len());
        json!({ "id": { "S": id }, "shelf": { "S": shelf }, "row": { "S": filling } })
    };
    let table = |of: Value| -> Value {
        let mut of = of;
        of["TableName"] = json!("documented");
        of["ReturnConsumedCapacity"] = json!("TOTAL");
        of
    };
    let units = async |operation: &str, request: Value| {
        let answer = dynamodb(operation, table(request)).await;
        answer["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap()
    };
    let put = async |item: Value| units("PutItem", json!({ "Item": item })).await;
    // A unit for each KB, and one more for an index that gets a new entry; two if the entry moves.
    assert_eq!(put(item("a", "1", 1_024)).await, 2.0);
    assert_eq!(put(item("a", "1", 1_025)).await, 2.0, "the index is not touched");
    assert_eq!(put(item("a", "2", 1_024)).await, 2.0 + 2.0, "the larger of old and new counts");
    assert_eq!(put(item("b", "2", 4_000)).await, 4.0 + 1.0);
    // A unit for each 4 KB that is read strongly consistent, half of it otherwise.
    let get = async |id: &str, strongly: bool| {
        units("GetItem", json!({ "Key": { "id": { "S": id } }, "ConsistentRead": strongly })).await
    };
    assert_eq!([get("a", true).await, get("a", false).await, get("none", true).await], [1.0, 0.5, 1.0]);
    // A query adds up what it reads, and rounds once.
    let query = json!({
        "KeyConditionExpression": "id = :id", "ExpressionAttributeValues": { ":id": { "S": "b" } }, "ConsistentRead": true,
    });
    assert_eq!(units("Query", query).await, 1.0);
    // In a transaction a write takes two of its units.
    let transaction =
        json!({ "TransactItems": [{ "Put": { "TableName": "documented", "Item": item("a", "2", 900) } }] });
    let answer = dynamodb("TransactWriteItems", table(transaction)).await;
    assert_eq!(answer["ConsumedCapacity"][0]["CapacityUnits"], json!(2.0 * 1.0), "{answer}");
    dynamodb("DeleteTable", json!({ "TableName": "documented" })).await;
}
