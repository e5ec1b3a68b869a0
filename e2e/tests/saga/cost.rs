//! What an order takes of everything that is billed, counted outcome by outcome.
//!
//! The queues are worked on by hand here, one event of an order at a time and one queue after the other, so that the
//! counts are the same every time: no two messages about an order ever meet in a batch, and no worker sees what another
//! has only just appended. Traffic does better than this, never worse.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use end_to_end::deploy::TEMPLATES;
use end_to_end::units::Units;
use event_store::EventLog;
use events::{OrderId, StreamKey};
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Map, Value, json};
use topology::{QueueSource, Source};
use worker_functions::{Bus, BusEvent, carried};

use crate::faults::{enable, mapping_of};
use crate::world::{World, until};

/// Where the counts are kept; `SAGALINE_COUNT=write` writes them anew.
const WRITTEN_DOWN: &str = "../cli/src/cost/counts.json";
/// Bytes that CloudWatch adds to every line. Source: "PutLogEvents", Amazon CloudWatch Logs API Reference: the size of
/// a batch is "the sum of all event messages in UTF-8, plus 26 bytes for each log event".
const A_LINE: usize = 26;

/// What Lambda itself logs about an invocation that is traced and went well, as JSON at the level INFO. Source:
/// "Lambda Telemetry API Event schema reference", AWS Lambda Developer Guide.
const LOGGED_BY_LAMBDA: [&str; 2] = [
    r#"{"time":"2026-11-21T20:00:00.000Z","type":"platform.start","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"12","tracing":{"spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=0"}}}"#,
    r#"{"time":"2026-11-21T20:00:00.020Z","type":"platform.report","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","metrics":{"durationMs":20.51,"billedDurationMs":21,"memorySizeMB":256,"maxMemoryUsedMB":33},"tracing":{"spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=0"},"status":"success"}}"#,
];
/// A line of the access log, as the templates' format has it.
const ACCESS: &str = r#"{"request_id":"c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "extended_request_id":"ExtendedId1234=", "time":"21/Nov/2026:20:00:00 +0000", "method":"POST", "route":"/orders", "status":"201", "error":"-", "integration_status":"200", "latency_ms":"41", "integration_latency_ms":"38", "response_bytes":"412", "api_key_id":"a1b2c3d4e5", "trace_id":"1-62e900b2-710d76f009d6e7785905449a"}"#;

/// How an order goes.
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
    let mut counted = Vec::new();
    for outcome in &OUTCOMES {
        for batch in BATCHES {
            let mut count = by_hand.count(outcome, &shops, batch).await;
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

/// Lines of the log hold numbers, some longer than others; milliseconds are whatever this machine makes of them.
const NOT_TO_THE_UNIT: [(&str, f64); 2] = [("log_bytes", 1.1), ("megabyte_milliseconds", 20.0)];

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

/// The system with its queues worked on by hand.
struct ByHand<'a> {
    world: &'a World,
    mappings: Vec<String>,
}

/// What the rules that start the sweepers are called.
const SWEEPERS: [&str; 2] = ["OMS-Sweeper", "OMS-LogSweeper"];

impl<'a> ByHand<'a> {
    async fn begin(world: &'a World) -> ByHand<'a> {
        let mut mappings = Vec::new();
        for source in sources(world) {
            mappings.push(mapping_of(world, &source.queue).await);
        }
        let by_hand = ByHand { world, mappings };
        by_hand.switch(false).await;
        *world.bus.held.lock().unwrap() = Some(Vec::new());
        by_hand
    }

    async fn end(self) {
        assert_eq!(self.world.bus.held.lock().unwrap().take(), Some(Vec::new()));
        self.switch(true).await;
    }

    async fn switch(&self, on: bool) {
        for mapping in &self.mappings {
            enable(self.world, mapping, on).await;
        }
        let verb = if on { "EnableRule" } else { "DisableRule" };
        for rule in SWEEPERS {
            self.world.aws("events", &format!("AWSEvents.{verb}"), json!({ "Name": rule })).await;
        }
    }

    /// What an order of an outcome takes, as many at once as a batch takes.
    async fn count(&self, outcome: &Outcome, shops: &[String], batch: usize) -> Map<String, Value> {
        let world = self.world;
        let orders: Vec<String> = (0..batch).map(|number| order_of(outcome, batch, number)).collect();
        let logged_before = self.logged().await;
        world.tap.take();
        let mut way = Way::default();
        for (order, shop) in orders.iter().zip(shops) {
            world.order_by(shop, order, outcome.units, outcome.priority).await;
        }
        self.drive(&orders, batch, &mut way).await;
        if outcome.cancelled {
            for order in &orders {
                let (status, answer) = world.ask(Method::DELETE, &format!("/orders/{order}"), None).await;
                assert_eq!(status, 200, "{answer}");
            }
            self.drive(&orders, batch, &mut way).await;
        }
        let calls = world.tap.take();
        let logged = self.logged().await;
        for order in &orders {
            let row = world.get(&format!("/orders/{order}")).await;
            assert_eq!((&row["status"], &row["open"]), (&json!(outcome.status), &json!(false)), "{row}");
        }
        let each = |sum: f64| json!(sum / batch as f64);
        let units = Units::of(&calls);
        let requests = if outcome.cancelled { 2 * batch } else { batch };
        let of_functions = logged.since(&logged_before);
        let of_lambda = of_functions.invocations * lines_of_lambda();
        let tables = self.names_of_tables().await;
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
            ("log_bytes_of_the_api".to_owned(), each((requests * (ACCESS.len() + A_LINE)) as f64)),
            ("write_units_by".to_owned(), by_table(&units.written, &tables, batch)),
            ("read_units_by".to_owned(), by_table(&units.read, &tables, batch)),
        ])
    }

    /// Carries what the orders' events lead to, until they lead to nothing more.
    async fn drive(&self, orders: &[String], batch: usize, way: &mut Way) {
        loop {
            let mut waiting = self.carried_so_far(orders, way).await;
            if waiting.is_empty() {
                return;
            }
            while !waiting.is_empty() {
                let mut round = Vec::new();
                waiting.retain_mut(|of_one_order: &mut Vec<BusEvent>| {
                    round.push(of_one_order.remove(0));
                    !of_one_order.is_empty()
                });
                way.carried += round.len();
                way.bytes += round.iter().map(|event| event.detail.len()).sum::<usize>();
                assert!(round.iter().all(|event| event.detail.len() < 60_000), "billed as one");
                self.world.bus.bus.put(&round).await.unwrap();
                self.work(&round, batch, way).await;
            }
        }
    }

    /// The events that the pipe has carried and nobody was told of yet, by order; waits until those are all.
    async fn carried_so_far(&self, orders: &[String], way: &mut Way) -> Vec<Vec<BusEvent>> {
        let mut expected = 0;
        way.records = 0;
        for order in orders {
            let pk = StreamKey::Order(OrderId::parse(order).unwrap()).pk();
            let stream = self.world.store.read_stream(&pk).await.unwrap();
            way.records += stream.len();
            let passes = |name: &str, producer: &str| {
                let image = json!({ "event_name": { "S": name }, "producer": { "S": producer } });
                let record = json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } });
                carried(&self.world.pipe.pipe, &record).unwrap().is_some()
            };
            expected += stream.iter().filter(|event| passes(&event.event_name, &event.producer)).count();
        }
        let missing = expected - way.carried;
        let held = until("the pipe has carried everything", async || {
            let mut held = self.world.bus.held.lock().unwrap();
            let held = held.as_mut().unwrap();
            if held.len() == missing { Ok(std::mem::take(held)) } else { Err(json!([held.len(), missing])) }
        })
        .await;
        let mut by_order: BTreeMap<String, Vec<(String, BusEvent)>> = BTreeMap::new();
        for event in held {
            let detail: Value = serde_json::from_str(&event.detail).unwrap();
            let [pk, id] = ["pk", "event_id"].map(|name| detail[name].as_str().unwrap().to_owned());
            by_order.entry(pk).or_default().push((id, event));
        }
        let in_order = |mut events: Vec<(String, BusEvent)>| {
            events.sort_by(|one, other| one.0.cmp(&other.0));
            events.into_iter().map(|(_, event)| event).collect()
        };
        by_order.into_values().map(in_order).collect()
    }

    /// Works on the queues, one after the other, until what the bus was given is done.
    async fn work(&self, events: &[BusEvent], batch: usize, way: &mut Way) {
        let world = self.world;
        for source in sources(world) {
            let is_sent = |event: &&BusEvent| {
                let detail: Value = serde_json::from_str(&event.detail).unwrap();
                let event =
                    json!({ "source": event.source, "detail-type": event.detail_type, "detail": detail });
                let mut targets = world.topology.rules.iter().filter(|rule| rule.pattern.matches(&event));
                targets.any(|rule| rule.targets.iter().any(|target| target.queue == source.queue))
            };
            let mut left = events.iter().filter(is_sent).count();
            way.sent += left;
            until("the bus has delivered", async || {
                let depth = world.depth(&source.queue).await;
                if depth as usize == left { Ok(()) } else { Err(json!([source.queue, depth, left])) }
            })
            .await;
            while left > 0 {
                let size = batch.min(source.batch_size as usize);
                left -= self.invoke(&source.queue, size.min(left), way).await;
            }
        }
    }

    /// One batch of a queue's messages, as Lambda's poller hands it over; says how many they were.
    async fn invoke(&self, queue: &str, size: usize, way: &mut Way) -> usize {
        let world = self.world;
        let function = world
            .topology
            .functions
            .iter()
            .find(|function| function.sources().any(|source| source.queue == queue));
        let receive = world.sqs.receive_message().queue_url(world.url(queue));
        let received = receive.max_number_of_messages(size as i32).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        assert_eq!(messages.len(), size, "one batch");
        assert!(
            messages.iter().map(|message| message.body().unwrap().len()).sum::<usize>() < 64_000,
            "billed as one"
        );
        let records = messages.iter().map(|message| {
            json!({
                "messageId": message.message_id(), "receiptHandle": message.receipt_handle(), "body": message.body(),
                "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "awsRegion": "us-east-1",
                "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            })
        });
        let path = format!("functions/{}/invocations", function.unwrap().binary);
        let event = json!({ "Records": Vec::from_iter(records) });
        let answer = world.lambda(Method::POST, &path, event).await;
        assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
        for message in &messages {
            let delete = world.sqs.delete_message().queue_url(world.url(queue));
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
        // Lambda deletes a batch with one request.
        (way.received, way.deleted) = (way.received + 1, way.deleted + 1);
        size
    }

    /// What the functions have logged so far.
    async fn logged(&self) -> Logged {
        // The double writes the log of an invocation after it has answered.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut logged = Logged::default();
        for function in &self.world.topology.functions {
            let group = format!("/aws/lambda/{}", function.binary);
            let asked = json!({ "logGroupName": group });
            let found = self.world.aws("logs", "Logs_20140328.FilterLogEvents", asked).await;
            let lines = found["events"].as_array().into_iter().flatten();
            for line in lines.filter_map(|event| event["message"].as_str()) {
                logged.add(line, function.memory_mb);
            }
        }
        logged
    }

    /// The names that the templates give the tables, by the names that they have.
    async fn names_of_tables(&self) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for stack in ["sagaline-oms", "sagaline-ims"] {
            for (logical, physical) in end_to_end::deploy::resources(&self.world.double, stack).await.unwrap()
            {
                names.insert(physical, logical);
            }
        }
        names
    }
}

/// Bytes that Lambda logs itself about an invocation that went well: none where it is to log warnings only.
fn lines_of_lambda() -> usize {
    let level = |template: &Source<'_>| {
        template.document().unwrap()["Globals"]["Function"]["LoggingConfig"]["SystemLogLevel"] == "WARN"
    };
    if TEMPLATES.iter().all(level) {
        0
    } else {
        LOGGED_BY_LAMBDA.iter().map(|line| line.len() + A_LINE).sum()
    }
}

/// Customers are the shops' own, and an order's id is as long as the ones that are made here.
fn order_of(outcome: &Outcome, batch: usize, number: usize) -> String {
    let words: String = outcome.name.chars().filter(char::is_ascii_alphabetic).take(12).collect();
    format!("cost-{words:-<12}-{batch:02}-{number:04}")
}

fn sources(world: &World) -> Vec<QueueSource> {
    world.topology.functions.iter().flat_map(|function| function.queues.clone()).collect()
}

fn by_table(units: &BTreeMap<String, f64>, names: &BTreeMap<String, String>, batch: usize) -> Value {
    let name = |of: &str| {
        let (table, index) = of.split_once('/').unwrap_or((of, ""));
        let table = names.get(table).cloned().unwrap_or_else(|| table.to_owned());
        if index.is_empty() { table } else { format!("{table}/{index}") }
    };
    units.iter().map(|(of, units)| (name(of), json!(units / batch as f64))).collect::<Map<_, _>>().into()
}

/// What was counted on an order's way from the log to the workers.
#[derive(Default)]
struct Way {
    records: usize,
    carried: usize,
    bytes: usize,
    sent: usize,
    received: usize,
    deleted: usize,
}

/// What functions have logged, and what the double logged of them.
#[derive(Default)]
struct Logged {
    invocations: usize,
    megabyte_milliseconds: f64,
    bytes: usize,
}

impl Logged {
    fn add(&mut self, line: &str, memory_mb: u32) {
        if let Some(report) = line.strip_prefix("REPORT ") {
            let billed = report.split("Billed Duration: ").nth(1).and_then(|rest| rest.split(' ').next());
            self.megabyte_milliseconds += f64::from(memory_mb) * billed.unwrap().parse::<f64>().unwrap();
            self.invocations += 1;
        } else if !line.starts_with("START ") && !line.starts_with("END ") {
            self.bytes += line.len() + A_LINE;
        }
    }

    fn since(&self, before: &Logged) -> Logged {
        Logged {
            invocations: self.invocations - before.invocations,
            megabyte_milliseconds: self.megabyte_milliseconds - before.megabyte_milliseconds,
            bytes: self.bytes - before.bytes,
        }
    }
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
