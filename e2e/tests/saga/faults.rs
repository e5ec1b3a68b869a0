//! What comes twice, late, wrong or not at all, and ends as it would have ended anyway.

use std::fs;
use std::process::Command;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use event_store::{EventLog, LogScan, Segment};
use event_store_dynamodb::stream::StreamReader;
use events::{OrderId, StreamKey};
use hyper::Method;
use serde_json::{Value, json};

use crate::world::{World, until};

pub async fn everything_delivered_twice_changes_nothing(world: &World) {
    world.until_quiet().await;
    let before = everything(world).await;
    let mut reader = StreamReader::of_log(&world.store, &world.double.connection()).await.unwrap();
    let mut records = Vec::new();
    loop {
        match reader.poll().await.unwrap() {
            more if more.is_empty() => break,
            more => records.extend(more),
        }
    }
    assert!(records.len() > 20, "{} records", records.len());
    world.pipe.carry(&records).await;
    world.until_quiet().await;
    assert_eq!(everything(world).await, before);
}

/// The log, and what clients see of it.
async fn everything(world: &World) -> Vec<String> {
    let page = world.store.scan(Segment { index: 0, of: 1 }, None, 100_000).await.unwrap();
    assert_eq!(page.next, None);
    let mut all: Vec<String> = page.streams.iter().map(|stream| format!("{stream:?}")).collect();
    all.sort_unstable();
    for path in ["/inventory/skus", "/customers", "/products"] {
        all.push(world.get(path).await.to_string());
    }
    for stream in page.streams.iter().filter_map(|stream| stream.first()) {
        if let Some(order) = stream.pk.strip_prefix("EVENTS#ORDER_ID#") {
            all.push(world.get(&format!("/orders/{order}")).await.to_string());
            all.push(world.get(&format!("/orders/{order}/payments")).await.to_string());
        }
    }
    all
}

pub async fn what_the_pipe_gave_up_on_is_carried_all_the_same(world: &World) {
    world.shop("vase", 10).await;
    // Every try of the pipe fails; the function that reads its dead letters has a bus that works.
    world.bus.refused.lock().unwrap().insert("order-vase".into());
    world.order("vase", "order-vase", 1).await;
    world.until_order("order-vase", "PAID").await;
    world.until_stock("vase", [9, 0, 1]).await;
    world.until_quiet().await;
    world.bus.refused.lock().unwrap().clear();
}

pub async fn a_poison_message_ends_in_its_dead_letter_queue_and_is_handled_once_mended(world: &World) {
    world.shop("teapot", 10).await;
    world.bus.lost.lock().unwrap().insert("order-teapot".into());
    world.order("teapot", "order-teapot", 4).await;
    // What should have been about the order is about nothing.
    let poison =
        json!({ "pk": "EVENTS#TEAPOT#order-teapot", "sk": "EVENT#OrderPlaced", "event_name": "OrderPlaced" });
    world.send("OMS-OrderEventsQueue", &poison).await;
    let mut dead = world.take("OMS-OrderEventsDLQ").await;
    assert_eq!(dead, poison);
    assert_eq!(world.depth("OMS-OrderEventsQueue").await, 0);
    assert_eq!(world.get("/orders/order-teapot").await["status"], "PENDING_INVENTORY");

    world.bus.lost.lock().unwrap().clear();
    dead["pk"] = json!("EVENTS#ORDER_ID#order-teapot");
    world.send("OMS-OrderEventsQueue", &dead).await;
    world.until_order("order-teapot", "PAID").await;
    world.until_stock("teapot", [6, 0, 4]).await;
    world.until_quiet().await;
}

pub async fn what_the_stream_has_forgotten_ends_in_the_next_dead_letter_queue(world: &World) {
    let letter = json!({ "DDBStreamBatchInfo": {
        "shardId": "shardId-00000000000000000000-00000000", "startSequenceNumber": "1", "endSequenceNumber": "1",
    } });
    world.send("OMS-PipeDLQ", &letter).await;
    assert_eq!(world.take("OMS-PipeGivenUpDLQ").await, letter);
    assert_eq!(world.depth("OMS-PipeDLQ").await, 0);
}

pub async fn an_order_whose_message_was_lost_is_found_by_the_sweeper(world: &World) {
    world.shop("mirror", 10).await;
    world.order("mirror", "order-mirror", 1).await;
    world.until_order("order-mirror", "PAID").await;
    world.bus.lost.lock().unwrap().insert("order-frame".into());
    world.order("mirror", "order-frame", 2).await;
    // Its row is there, and then nothing happens any more.
    world
        .send(
            "OMS-OrderEventsQueue",
            &json!({ "pk": "EVENTS#ORDER_ID#order-frame", "sk": "EVENT#OrderPlaced" }),
        )
        .await;
    world.until_quiet().await;
    world.bus.lost.lock().unwrap().clear();
    assert_eq!(world.get("/orders/order-frame").await["status"], "PENDING_INVENTORY");

    // Its patience of a minute is too long to wait here.
    let path = "functions/oms-sweeper/configuration";
    let mut environment = world.lambda(Method::GET, path, Value::Null).await["Environment"].take();
    environment["Variables"]["PATIENCE_SECONDS"] = json!("0");
    world.lambda(Method::PUT, path, json!({ "Environment": environment })).await;
    until("the sweeper has found it", async || {
        world.lambda(Method::POST, "functions/oms-sweeper/invocations", json!({})).await;
        let row = world.get("/orders/order-frame").await;
        (row["status"] == "PAID").then_some(()).ok_or(row)
    })
    .await;
    world.until_stock("mirror", [7, 0, 3]).await;
    world.until_quiet().await;
}

/// Who dies.
const WORKER: &str = "payments-worker";
/// How many orders it is charging then.
const ORDERS: u32 = 10;

pub async fn what_a_worker_held_when_it_died_is_handled_later(world: &World) {
    const QUEUE: &str = "OMS-PaymentsQueue";
    // The template's three minutes are too long to wait here.
    let shorter = world.sqs.set_queue_attributes().queue_url(world.url(QUEUE));
    shorter.attributes(QueueAttributeName::VisibilityTimeout, "5").send().await.unwrap();
    let mapping = mapping_of(world, QUEUE).await;
    for attempt in 1.. {
        let sku = format!("book-{attempt}");
        let orders: Vec<String> = (0..ORDERS).map(|number| format!("order-{sku}-{number}")).collect();
        world.shop(&sku, ORDERS).await;
        world.until_quiet().await;
        enable(world, &mapping, false).await;
        for order in &orders {
            world.order(&sku, order, 1).await;
        }
        world.until_stock(&sku, [0, ORDERS, 0]).await;
        enable(world, &mapping, true).await;
        let (settled, killed) = {
            let _wakes = Wakes(world);
            (until_some_is_paid(world, &orders).await, signal(world, WORKER, "-KILL"))
        };
        println!("  killed {killed} processes after {settled} of {} events", 2 * ORDERS);
        for order in &orders {
            world.until_order(order, "PAID").await;
        }
        world.until_stock(&sku, [0, 0, ORDERS]).await;
        world.until_quiet().await;
        if killed > 0 && settled < 2 * ORDERS as usize {
            return;
        }
        assert!(attempt < 5, "the worker was always done before it could be killed");
    }
}

/// Lets the worker go on, whatever happened: a process that stands still does not even end.
struct Wakes<'a>(&'a World);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        signal(self.0, WORKER, "-CONT");
    }
}

/// Lets the worker go on for a few milliseconds at a time, until it has done something; it stands still then.
async fn until_some_is_paid(world: &World, orders: &[String]) -> usize {
    for _ in 0..2_000 {
        signal(world, WORKER, "-CONT");
        tokio::time::sleep(Duration::from_millis(2)).await;
        signal(world, WORKER, "-STOP");
        let settled = payment_events(world, orders).await;
        if settled > 0 {
            return settled;
        }
    }
    panic!("nobody was charged");
}

/// How many payments were claimed, and how many claims are settled.
async fn payment_events(world: &World, orders: &[String]) -> usize {
    let mut found = 0;
    for order in orders {
        let order = OrderId::parse(order).unwrap();
        let stream = world.store.read_stream(&StreamKey::Order(order).pk()).await.unwrap();
        let of_payment = ["PaymentAttempted", "OrderPaymentAccepted"];
        found += stream.iter().filter(|event| of_payment.contains(&&*event.event_name)).count();
    }
    found
}

/// Sends a signal to every process of a function; says how many there were.
fn signal(world: &World, function: &str, signal: &str) -> usize {
    let wanted = [
        format!("AWS_LAMBDA_FUNCTION_NAME={function}"),
        format!("AWS_ENDPOINT_URL={}", world.tap.endpoint()),
    ];
    let is_meant = |process: &fs::DirEntry| {
        let told = fs::read(process.path().join("environ")).unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        wanted.iter().all(|wanted| told.split('\0').any(|variable| variable == wanted))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(is_meant);
    let ids: Vec<_> = processes.map(|process| process.file_name()).collect();
    if !ids.is_empty() {
        // One that ended meanwhile is no harm.
        drop(Command::new("kill").arg(signal).args(&ids).output().unwrap());
    }
    ids.len()
}

/// The mapping that feeds a function from a queue.
pub async fn mapping_of(world: &World, queue: &str) -> String {
    let mappings = world.lambda(Method::GET, "event-source-mappings/", Value::Null).await;
    let mappings = mappings["EventSourceMappings"].as_array().unwrap();
    let of_queue = |it: &&Value| it["EventSourceArn"].as_str().unwrap().ends_with(&format!(":{queue}"));
    mappings.iter().find(of_queue).unwrap()["UUID"].as_str().unwrap().to_owned()
}

pub async fn enable(world: &World, mapping: &str, enabled: bool) {
    world
        .lambda(Method::PUT, &format!("event-source-mappings/{mapping}"), json!({ "Enabled": enabled }))
        .await;
}
