//! Raw events through the API of the other routes.

use event_store::EventLog;
use events::Priority;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn anything_goes_into_the_log_as_it_is_and_once() {
    let world = World::empty();
    let raw = r#"{"pk":" odd key ","sk":"EVENT#1","event_name":"ORDER_RETRACTED_EVENT","data": {"n": 1.10,  "priority":"express"},"schema_version":3}"#;
    let first = world.text("POST", "/chaos/raw-events", raw).await;
    let again = world.text("POST", "/chaos/raw-events", raw.replace("1.10", "2")).await;
    assert_eq!((first.status, &first.body["stored"]), (202, &json!(true)));
    assert_eq!((again.status, &again.body["stored"]), (202, &json!(false)));
    assert_eq!((&again.body["event_id"], world.size().await), (&first.body["event_id"], 1));
    let item = world.store.read_slot(" odd key ", "EVENT#1").await.unwrap().unwrap();
    assert_eq!(
        (&*item.event_name, item.schema_version, &*item.data, item.priority),
        ("ORDER_RETRACTED_EVENT", 3, r#"{"n": 1.10,  "priority":"express"}"#, Priority::Express)
    );
}

#[tokio::test]
async fn a_payload_that_is_no_json_can_be_tried() {
    let world = World::empty();
    let raw = json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#OrderPlaced", "event_name": "OrderPlaced", "data": "{"});
    assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    assert_eq!(world.get("/orders/ord-1/events").await.body["events"][0]["data"], "{");
}

#[tokio::test]
async fn production_takes_no_raw_events_whatever_the_body() {
    let world = World::prod();
    for body in ["{}", "no json", r#"{"pk":"pk","sk":"sk","event_name":"E"}"#] {
        let reply = world.text("POST", "/chaos/raw-events", body).await;
        assert_eq!((reply.status, reply.code()), (403, "raw_events_disabled"), "{body}");
        let compat = world.text("POST", "/api/v1/testing/simulateRawEvent", body).await;
        assert_eq!((compat.status, compat.body), (403, json!({"message": "Forbidden"})), "{body}");
    }
    assert_eq!(world.size().await, 0);
}

#[tokio::test]
async fn a_raw_event_stands_behind_everything_in_its_stream() {
    let world = World::open().await;
    let placed = world.place("ord-1").await;
    assert_eq!(placed.status, 201);
    let cancel = json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#Closing", "event_name": "ORDER_CANCELED_EVENT",
        "data": {"orderId": "ord-1"}});
    assert_eq!(world.post("/chaos/raw-events", cancel).await.status, 202);
    assert_eq!(world.get("/orders/ord-1").await.body["status"], "CANCELLED");
}
