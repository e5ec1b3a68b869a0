//! Reading one order.

use serde_json::json;

use crate::world::Step::*;
use crate::world::World;

#[tokio::test]
async fn an_order_is_read_from_its_row_and_before_that_from_its_stream() {
    let world = World::open().await;
    let placed = world.place("ord-1").await;
    assert_eq!(world.get("/orders/ord-1").await.body, placed.body);
    world.project("ord-1").await;
    world.bring("ord-1", &[Reserved]).await;
    let stale = world.get("/orders/ord-1").await;
    assert_eq!((stale.status, stale.header("etag"), &stale.body), (200, "\"1\"", &placed.body));
    world.project("ord-1").await;
    let fresh = world.get("/orders/ord-1").await;
    assert_eq!((fresh.header("etag"), &fresh.body["status"]), ("\"2\"", &json!("CONFIRMED")));
}

#[tokio::test]
async fn an_id_that_cannot_exist_is_as_unknown_as_one_that_does_not() {
    let world = World::open().await;
    let long = "x".repeat(600);
    for id in ["nope", "%00", "%FF%FE", "a%2Fb", "..", "%E2%98%83", "a%0Ab", &long] {
        for path in ["", "/events", "/payments", "/deliveries"] {
            let reply = world.get(&format!("/orders/{id}{path}")).await;
            assert_eq!((reply.status, reply.code()), (404, "order_not_found"), "{id}{path}");
        }
        for (path, code) in [
            (format!("/customers/{id}"), "customer_not_found"),
            (format!("/customers/{id}/orders"), "customer_not_found"),
            (format!("/products/{id}"), "product_not_found"),
            (format!("/products/name/{id}"), "product_not_found"),
            (format!("/inventory/skus/{id}"), "sku_not_found"),
            (format!("/inventory/skus/{id}/ledger"), "sku_not_found"),
        ] {
            let reply = world.get(&path).await;
            assert_eq!((reply.status, reply.code()), (404, code), "{path}");
        }
        assert_eq!(world.delete(&format!("/orders/{id}")).await.status, 404, "{id}");
        assert_eq!(world.delete(&format!("/products/{id}")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn payments_and_deliveries_come_from_rows_and_before_that_from_the_stream() {
    let world = World::open().await;
    world.place("ord-1").await;
    assert_eq!(world.get("/orders/ord-1/payments").await.body, json!({"payments": []}));
    assert_eq!(world.get("/orders/ord-1/deliveries").await.body, json!({"deliveries": []}));
    world.project("ord-1").await;
    world.bring("ord-1", &[Reserved, Attempt(1), Paid]).await;
    for _ in 0..2 {
        let paid = world.get("/orders/ord-1/payments").await;
        let payment = &paid.body["payments"][0];
        assert_eq!((paid.status, paid.header("etag")), (200, "\"4\""));
        assert_eq!(
            (&payment["status"], &payment["payment_id"], &payment["retries"]),
            (&json!("ACCEPTED"), &json!("pay-1"), &json!(0))
        );
        let delivery = world.get("/orders/ord-1/deliveries").await;
        assert_eq!(
            (&delivery.body["deliveries"][0]["status"], delivery.header("etag")),
            (&json!("PENDING"), "\"4\"")
        );
        world.project("ord-1").await;
    }
}

#[tokio::test]
async fn every_event_of_the_stream_is_shown_with_what_is_wrong_with_it() {
    let world = World::open().await;
    world.place("ord-1").await;
    world.bring("ord-1", &[Reserved]).await;
    let pk = "EVENTS#ORDER_ID#ord-1";
    for raw in [
        json!({"pk": pk, "sk": "EVENT#X", "event_name": "ORDER_RETRACTED_EVENT", "data": "no json", "schema_version": 7}),
        json!({"pk": pk, "sk": "EVENT#Y", "event_name": "InventoryReserved", "data": {"order_id": "ord-1", "items": []}}),
    ] {
        assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    }
    let reply = world.get("/orders/ord-1/events").await;
    let events = reply.body["events"].as_array().unwrap();
    let names: Vec<_> = events.iter().map(|event| event["event_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["OrderPlaced", "InventoryReserved", "ORDER_RETRACTED_EVENT", "InventoryReserved"]);
    assert_eq!(events[0]["data"]["customer_id"], "cust-1");
    let keys: Vec<_> = events[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "causation_id",
            "correlation_id",
            "counters",
            "data",
            "event_id",
            "event_name",
            "occurred_at",
            "priority",
            "producer",
            "schema_version",
            "slot",
            "traceparent"
        ]
    );
    let strange = &events[2];
    assert_eq!(
        [&strange["slot"], &strange["data"], &strange["schema_version"]],
        [&json!("EVENT#X"), &json!("no json"), &json!(7)]
    );
    let anomalies = reply.body["anomalies"].as_array().unwrap();
    let slots: Vec<_> = anomalies.iter().map(|anomaly| anomaly["slot"].as_str().unwrap()).collect();
    assert_eq!(slots, ["EVENT#X", "EVENT#Y"]);
    assert_eq!(anomalies[0]["why"], "unknown event name");
}

#[tokio::test]
async fn events_of_an_order_that_was_never_placed_are_shown_and_the_order_is_not() {
    let world = World::open().await;
    world.bring("orphan", &[Reserved]).await;
    let reply = world.get("/orders/orphan/events").await;
    assert_eq!((reply.status, &reply.body["anomalies"][0]["slot"]), (200, &json!("EVENT#Reservation")));
    for path in ["", "/payments", "/deliveries"] {
        assert_eq!(world.get(&format!("/orders/orphan{path}")).await.status, 404);
    }
}
