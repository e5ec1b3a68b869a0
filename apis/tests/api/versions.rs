//! Versions of an order: deciding from one, and not sending one again.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use serde_json::json;

use crate::change::raced;
use crate::world::Step::*;
use crate::world::{Reply, World};

async fn ask(world: &World, method: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri("/orders/ord-1");
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn paid() -> World {
    let world = World::open().await;
    world.place("ord-1").await;
    world.bring("ord-1", &[Reserved, Paid]).await;
    world
}

const SHIP: &str = r#"{"status":"SHIPPED"}"#;

#[tokio::test]
async fn a_change_decided_from_another_version_is_412_and_stores_nothing() {
    for stale in ["\"1\"", "\"99\"", "W/\"3\"", "\"1\", \"2\"", "nonsense", ""] {
        let world = paid().await;
        let (size, current) =
            (world.size().await, world.get("/orders/ord-1").await.header("etag").to_owned());
        for (method, body) in [("PATCH", SHIP), ("DELETE", "")] {
            let refused = ask(&world, method, &[("if-match", stale)], body).await;
            assert_eq!((refused.status, refused.code()), (412, "precondition_failed"), "{stale}");
            assert_eq!(refused.body["current_etag"], current);
        }
        assert_eq!(world.size().await, size);
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_holds_for_nothing() {
    let world = paid().await;
    let unreadable = HeaderValue::from_bytes(b"\"4\xff").unwrap();
    for path in ["/orders/ord-1", "/products/lamp"] {
        let request = Request::delete(path).header("if-match", &unreadable).body(Body::empty());
        assert_eq!(world.send(request.unwrap()).await.code(), "precondition_failed", "{path}");
    }
}

#[tokio::test]
async fn a_change_decided_from_the_version_that_there_is_is_made() {
    for wanted in ["*", "current", "\"1\", current"] {
        let world = paid().await;
        let current = world.get("/orders/ord-1").await.header("etag").to_owned();
        let if_match = wanted.replace("current", &current);
        let shipped = ask(&world, "PATCH", &[("if-match", &if_match)], SHIP).await;
        assert_eq!((shipped.status, &shipped.body["status"]), (200, &json!("SHIPPED")), "{if_match}");
        assert_ne!(shipped.header("etag"), current);
    }
}

#[tokio::test]
async fn the_repeat_of_a_change_whose_answer_was_lost_finds_it_made() {
    let world = paid().await;
    let current = world.get("/orders/ord-1").await.header("etag").to_owned();
    let both = [(); 2].map(|()| [("if-match", &*current)]);
    for if_match in both {
        assert_eq!(ask(&world, "PATCH", &if_match, SHIP).await.status, 200);
    }
}

#[tokio::test]
async fn a_version_is_looked_at_again_by_whoever_loses_the_race_for_a_slot_and_by_nobody_else() {
    // Both are about how the order ends, of which there is one.
    let world = raced(&[Reserved, Paid], |world| world.by_a_rival(Shipped.event("ord-1"))).await;
    let current = world.get("/orders/ord-1").await.header("etag").to_owned();
    let refused = ask(&world, "DELETE", &[("if-match", &current)], "").await;
    assert_eq!((refused.status, refused.code()), (412, "precondition_failed"));
    assert_ne!(refused.body["current_etag"], current);

    // What a worker says at the same moment is about something else.
    let world = raced(&[Requested], |world| world.by_a_rival(Reserved.event("ord-1"))).await;
    let current = world.get("/orders/ord-1").await.header("etag").to_owned();
    let cancelled = ask(&world, "DELETE", &[("if-match", &current)], "").await;
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("CANCELLED")));
}

#[tokio::test]
async fn an_order_that_there_is_not_has_no_version() {
    let world = World::open().await;
    for (method, body) in [("PATCH", SHIP), ("DELETE", "")] {
        assert_eq!(ask(&world, method, &[("if-match", "\"1\"")], body).await.status, 404);
    }
}

#[tokio::test]
async fn whoever_has_the_version_is_not_sent_it_again() {
    let world = paid().await;
    let current = world.get("/orders/ord-1").await.header("etag").to_owned();
    for known in [current.clone(), format!("W/{current}"), format!("\"77\", {current}"), "*".to_owned()] {
        let spared = ask(&world, "GET", &[("if-none-match", &known)], "").await;
        assert_eq!((spared.status, spared.header("etag"), &spared.body), (304, &*current, &json!(null)));
    }
    let sent = ask(&world, "GET", &[("if-none-match", "\"1\"")], "").await;
    assert_eq!((sent.status, &sent.body["status"]), (200, &json!("PAID")));
}

#[tokio::test]
async fn whoever_has_something_else_than_what_there_is_is_sent_it() {
    let world = paid().await;
    let tag = async |path: &str| world.get(path).await.header("etag").to_owned();
    let spared = async |path: &str, tag: &str| {
        let request = Request::get(path).header("if-none-match", tag).body(Body::empty()).unwrap();
        world.send(request).await.status == 304
    };
    let hat = |id: &str, price: f64| json!({"product_id": id, "sku": id, "name": "Hat", "price": price});
    assert_eq!(world.post("/products", hat("hat-a", 1.0)).await.status, 201);
    assert_eq!(world.post("/customers", json!({"customer_id": "cust-7"})).await.status, 201);
    let paths = ["/products/name/Hat", "/customers/cust-7", "/orders/ord-1/events"];
    let mut tags = Vec::new();
    for path in paths {
        tags.push(tag(path).await);
    }

    // Another product of the name, something that no event says, and an event that no version counts.
    assert_eq!(world.delete("/products/hat-a").await.status, 200);
    assert_eq!(world.post("/products", hat("hat-b", 99.0)).await.status, 201);
    assert_eq!(world.post("/customers", json!({"customer_id": "cust-7", "name": "Anna"})).await.status, 200);
    let raw = json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#Own", "event_name": "OF_OUR_OWN"});
    assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    for (path, before) in paths.iter().zip(tags) {
        assert!(!spared(path, &before).await, "{path}: {before} is not what there is");
        assert!(spared(path, &tag(path).await).await, "{path}");
    }
}
