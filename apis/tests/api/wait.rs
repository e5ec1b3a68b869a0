//! Waiting for an order to settle.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::world::Step::*;
use crate::world::{Reply, World};

fn place(prefer: &str) -> Request<Body> {
    let items = json!([{"sku": "lamp", "quantity": 1}]);
    let order = json!({"order_id": "ord-1", "customer_id": "cust-1", "items": items});
    let request = Request::builder().method("POST").uri("/orders").header("content-type", "application/json");
    request.header("prefer", prefer).body(Body::from(order.to_string())).unwrap()
}

fn read(prefer: &str) -> Request<Body> {
    Request::builder().uri("/orders/ord-1").header("prefer", prefer).body(Body::empty()).unwrap()
}

/// What a request is answered while somebody brings the order to its end.
async fn while_it_settles(world: &World, request: Request<Body>) -> Reply {
    let settle = async {
        // The order is placed first, if it is the request that places it.
        while world.size().await == 0 || world.get("/orders/ord-1").await.status == 404 {
            tokio::task::yield_now().await;
        }
        world.bring("ord-1", &[Requested, Short]).await;
    };
    let (reply, ()) = tokio::join!(world.send(request), settle);
    reply
}

#[tokio::test]
async fn who_would_wait_is_answered_when_the_order_has_settled() {
    let world = World::open().await;
    let placed = while_it_settles(&world, place("wait=5")).await;
    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CANCELLED")));
    assert_eq!((&placed.body["open"], placed.header("preference-applied")), (&json!(false), "wait=5"));

    let world = World::open().await;
    world.place("ord-1").await;
    let read = while_it_settles(&world, read("wait=2")).await;
    assert_eq!((read.status, &read.body["open"]), (200, &json!(false)));
    assert_eq!(read.header("preference-applied"), "wait=2");
}

#[tokio::test]
async fn an_order_that_does_not_settle_in_time_is_answered_as_it_is() {
    let world = World::open().await;
    let placed = world.send(place("wait=5")).await;
    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("PENDING_INVENTORY")));
    let again = world.send(place("wait=5")).await;
    assert_eq!(
        (again.status, &again.body["open"], again.header("preference-applied")),
        (200, &json!(true), "wait=5")
    );
    let read = world.send(read("wait=1")).await;
    assert_eq!((read.status, &read.body["open"]), (200, &json!(true)));
}

#[tokio::test]
async fn who_does_not_say_so_does_not_wait_and_who_asks_for_nothing_gets_404() {
    let world = World::open().await;
    assert_eq!(world.send(read("wait=5")).await.status, 404);
    let placed = world.send(place("respond-async")).await;
    assert_eq!((placed.status, placed.header("preference-applied")), (201, ""));
}
