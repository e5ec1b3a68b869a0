//! What an operator does to the deployed stacks with the command.

use hyper::Method;
use serde_json::{Value, json};

use crate::world::{World, until};

const LETTERS: &str = "OMS-OrderEventsDLQ";

pub async fn dead_letters_are_counted_shown_and_sent_back_to_where_they_came_from(world: &World) {
    world.shop("bowl", 10).await;
    let lost = ["order-bowl", "order-plate"];
    world.bus.lost.lock().unwrap().extend(lost.map(str::to_owned));
    for order in lost {
        world.order("bowl", order, 2).await;
    }
    // A message that its worker would understand by now, and one that nobody will ever understand.
    world.send(LETTERS, &nudge("order-bowl")).await;
    world.send("OMS-PriorityQueue", &json!({ "pk": "EVENTS#BOWL#1", "sk": "EVENT#OrderPlaced" })).await;
    // An event that the bus could not deliver, as the bus keeps it.
    let event =
        json!({ "source": "sagaline.log", "detail-type": "OrderPlaced", "detail": nudge("order-plate") });
    let target = "arn:aws:sqs:us-east-1:000000000000:OMS-OrderEventsQueue";
    world
        .send_with("OMS-RulesDLQ", &event, &[("TARGET_ARN", target), ("ERROR_MESSAGE", "access denied")])
        .await;
    // A tick that nobody answered, and records that the stream has forgotten.
    world.send("OMS-SweepersDLQ", &json!({ "detail-type": "Scheduled Event" })).await;
    let forgotten = json!({ "DDBStreamBatchInfo": {
        "shardId": "shardId-00000000000000000000-00000000", "startSequenceNumber": "1", "endSequenceNumber": "1",
        "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
    } });
    world.send("OMS-PipeGivenUpDLQ", &forgotten).await;
    let full = json!({ LETTERS: 2, "OMS-RulesDLQ": 1, "OMS-SweepersDLQ": 1, "OMS-PipeGivenUpDLQ": 1 });
    until("the poison is a dead letter", async || {
        let depths = depths(world).await;
        (depths == full).then_some(()).ok_or(depths)
    })
    .await;

    let shown = world.sagaline(&["dlq", "list", "--stack", "oms", "--queue", LETTERS]).await;
    let mut shown = shown["dead_letters"].as_array().unwrap().clone();
    shown.sort_by_key(|letter| letter["pk"].as_str().unwrap().to_owned());
    let of = |letter: &Value| json!([letter["pk"], letter["goes_back_to"]]);
    let expected = json!([
        ["EVENTS#BOWL#1", "OMS-PriorityQueue"],
        ["EVENTS#ORDER_ID#order-bowl", "OMS-OrderEventsQueue"],
    ]);
    assert_eq!(shown.iter().map(of).collect::<Value>(), expected);
    let id = shown[1]["id"].as_str().unwrap();
    let letter = world.sagaline(&["dlq", "show", id, "--stack", "oms", "--queue", LETTERS]).await;
    assert_eq!(letter["body"], nudge("order-bowl").to_string());
    let bus = world.sagaline(&["dlq", "list", "--stack", "oms", "--queue", "OMS-RulesDLQ"]).await;
    assert_eq!(bus["dead_letters"][0]["error"], "access denied");

    let all = ["dlq", "redrive", "--stack", "oms,ims", "--all", "--rate", "20"];
    let report = world.sagaline(&[&all[..], &["--dry-run"]].concat()).await;
    let back = json!({
        LETTERS: { "OMS-OrderEventsQueue": 1, "OMS-PriorityQueue": 1 }, "OMS-RulesDLQ": { "OMS-OrderEventsQueue": 1 },
    });
    let stayed = json!({ "OMS-SweepersDLQ": [1], "OMS-PipeGivenUpDLQ": [1] });
    assert_eq!((sums(&report, "sent_back"), counts(&report, "stayed")), (back.clone(), stayed.clone()));
    assert_eq!(depths(world).await, full, "it only looked");
    assert_eq!(world.get("/orders/order-bowl").await["status"], "PENDING_INVENTORY");

    world.bus.lost.lock().unwrap().clear();
    let report = world.sagaline(&all).await;
    assert_eq!((sums(&report, "sent_back"), counts(&report, "stayed")), (back, stayed));
    for order in lost {
        world.until_order(order, "PAID").await;
    }
    world.until_stock("bowl", [6, 0, 4]).await;
    // What nobody understands is a dead letter again.
    assert_eq!(world.take(LETTERS).await["pk"], "EVENTS#BOWL#1");
    assert_eq!(world.take("OMS-PipeGivenUpDLQ").await, forgotten);
    world.take("OMS-SweepersDLQ").await;
    world.until_quiet().await;
}

fn nudge(order: &str) -> Value {
    json!({ "pk": format!("EVENTS#ORDER_ID#{order}"), "sk": "EVENT#OrderPlaced", "event_name": "OrderPlaced" })
}

/// The dead-letter queues that hold something, as the command counts them.
async fn depths(world: &World) -> Value {
    let queues = world.sagaline(&["dlq", "list", "--stack", "oms,ims"]).await;
    let queues = queues["queues"].as_array().unwrap().iter();
    let full = queues.filter(|queue| queue["letters"] != 0);
    full.map(|queue| (queue["queue"].as_str().unwrap().to_owned(), queue["letters"].clone())).collect()
}

/// What a redrive says of each queue, where it says something.
fn sums(report: &Value, field: &str) -> Value {
    let queues = report["queues"].as_array().unwrap().iter();
    let told = queues.filter(|queue| queue[field].as_object().is_some_and(|counts| !counts.is_empty()));
    told.map(|queue| (queue["queue"].as_str().unwrap().to_owned(), queue[field].clone())).collect()
}

/// The same without the words.
fn counts(report: &Value, field: &str) -> Value {
    let sums = sums(report, field);
    let sums = sums.as_object().unwrap().iter();
    sums.map(|(queue, counts)| {
        (queue.clone(), counts.as_object().unwrap().values().cloned().collect::<Value>())
    })
    .collect()
}

pub async fn of_whoever_is_erased_nothing_is_left_in_any_table_and_what_is_in_a_dead_letter_is_found(
    world: &World,
) {
    const AUDIT: [&str; 4] = ["audit", "--personal", "--store", "dynamodb"];
    world.shop("pitcher", 10).await;
    world.new_key("customer", Some("pitcher-customer")).await;
    // What is answered here is kept for whoever asks again.
    let shown = [("x-api-key", world.api_key.as_str()), ("idempotency-key", "pitcher")];
    let again = json!({ "customer_id": "pitcher-customer", "name": "Anna" });
    assert_eq!(world.ask_showing(&shown, Method::POST, "/customers", Some(again)).await.status, 200);
    world.order("pitcher", "order-pitcher", 1).await;
    world.until_order("order-pitcher", "PAID").await;
    world.until_quiet().await;
    let (status, _) = world.ask(Method::DELETE, "/customers/pitcher-customer", None).await;
    assert_eq!(status, 200);
    // As somebody sent it around the API.
    let letter = json!({ "customer_id": "pitcher-customer", "name": "Anna" });
    world.send(LETTERS, &letter).await;
    let (is_well, report) = world.is_well(&AUDIT).await;
    assert!(!is_well && report["erased"] == 1 && report["finding_count"] == 1, "{report}");
    let left = &report["findings"][0];
    let found = ["customer_id", "place", "what"].map(|field| left[field].as_str().unwrap());
    assert_eq!(found, ["pitcher-customer", "dead letter", "/name"]);
    assert!(left["key"].as_str().unwrap().starts_with(LETTERS));

    assert_eq!(world.take(LETTERS).await, letter, "it only looked");
    let report = world.sagaline(&AUDIT).await;
    let places = ["event", "customer", "user", "key", "answer"];
    assert!(places.iter().all(|place| report["looked_at"][place].as_u64() > Some(0)), "{report}");
    assert!(report["read_units"].as_f64() > Some(0.0), "{report}");
    world.until_quiet().await;
}

/// The promises of the simulator, over the tables as they are now, and every read model folded anew.
pub async fn the_log_the_rows_and_the_counters_agree(world: &World) {
    world.until_quiet().await;
    let report = world.sagaline(&["audit", "--store", "dynamodb"]).await;
    println!("  {} events, orders: {}", report["events"], report["orders"]);
    assert_eq!((&report["clean"], &report["open"]), (&json!(true), &json!(0)), "{}", report["differences"]);
    assert_eq!(report["anomaly_count"], 1, "{}", report["anomalies"]);
    for view in ["orders", "payments", "deliveries", "customers", "products", "stock"] {
        let replayed = world.sagaline(&["replay", "--view", view, "--diff", "--store", "dynamodb"]).await;
        assert_eq!(replayed["difference_count"], 0, "{view}: {}", replayed["differences"]);
        assert_eq!(replayed["events"], report["events"], "{view}");
        assert!(replayed["rows"].as_u64() > Some(0), "{view}");
    }
}

pub async fn the_log_is_swept_once_a_day_in_as_many_runs_as_it_takes_and_reported(world: &World) {
    const SWEEPER: &str = "oms-log-sweeper";
    let sweep = async |tick: Value| {
        world.lambda(Method::POST, &format!("functions/{SWEEPER}/invocations"), tick).await
    };
    let by_clock = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
    world.until_quiet().await;
    let audit = world.sagaline(&["audit", "--store", "dynamodb"]).await;
    let report = sweep(json!({})).await;
    assert_eq!((&report["orders"], &report["events"]), (&audit["orders"], &audit["events"]));
    assert_eq!((&report["open"], &report["nudged"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(sweep(by_clock.clone()).await, Value::Null, "it was swept a moment ago");

    // As a run leaves it whose time was up: nothing of the log is read yet, and something was found all the same.
    let kept: Option<Value> = world.store.bookmark(SWEEPER).await.unwrap();
    let mut kept = kept.unwrap();
    assert_eq!(kept["has_ended"], true);
    kept["has_ended"] = json!(false);
    world.store.put_bookmark(SWEEPER, &kept).await.unwrap();
    let went_on = sweep(by_clock.clone()).await;
    assert_eq!(went_on["events"].as_u64(), audit["events"].as_u64().map(|events| 2 * events));
    assert_eq!(sweep(by_clock).await, Value::Null, "it has come to its end");
}
