//! `Idempotency-Key`: a request that comes again is carried out once, and gets the answer that it got.

use std::sync::Arc;

use apis::Environment;
use axum::body::Body;
use axum::http::Request;
use event_store::{Claim, Claimed, Idempotency};
use events::{Timestamp, Ulid};
use serde_json::{Value, json};

use crate::world::Step::{Paid, Reserved};
use crate::world::{Log, Reply, World};

async fn under(world: &World, key: &str, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("idempotency-key", key);
    world.send(request.header("content-type", "application/json").body(body).unwrap()).await
}

fn order() -> Value {
    json!({ "customer_id": "cust-1", "items": [{ "sku": "lamp", "quantity": 1 }] })
}

#[tokio::test]
async fn the_same_request_under_the_same_key_gets_the_same_answer_and_stores_nothing_more() {
    let world = World::open().await;
    let first = under(&world, "k1", "POST", "/orders", &order()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    let size = world.size().await;
    for _ in 0..3 {
        let again = under(&world, "k1", "POST", "/orders", &order()).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
        assert_eq!(again.body, first.body);
        for header in ["location", "etag", "content-type"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
    }
    assert_eq!(world.size().await, size);
    let without = world.post("/orders", order()).await;
    assert_ne!(without.body["order_id"], first.body["order_id"]);
}

#[tokio::test]
async fn a_key_that_was_used_for_other_content_is_refused() {
    let world = World::open().await;
    let first = under(&world, "k1", "POST", "/orders", &order()).await;
    let other = json!({ "customer_id": "cust-1", "items": [{ "sku": "lamp", "quantity": 2 }] });
    let size = world.size().await;
    let refused = under(&world, "k1", "POST", "/orders", &other).await;
    assert_eq!((refused.status, refused.code()), (422, "idempotency_key_reused"));
    assert_eq!(world.size().await, size);
    // The first request's answer stands.
    assert_eq!(under(&world, "k1", "POST", "/orders", &order()).await.body, first.body);
}

#[tokio::test]
async fn a_key_means_another_request_under_another_path_or_method() {
    let world = World::open().await;
    let made = under(&world, "k1", "POST", "/orders", &order()).await;
    let id = made.body["order_id"].as_str().unwrap();
    let path = format!("/orders/{id}");
    let cancelled = under(&world, "k1", "DELETE", &path, &Value::Null).await;
    assert_eq!((cancelled.status, cancelled.header("idempotent-replayed")), (200, ""));
    let again = under(&world, "k1", "DELETE", &path, &Value::Null).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    let customer = under(&world, "k1", "POST", "/customers", &json!({})).await;
    assert_eq!((customer.status, customer.header("idempotent-replayed")), (201, ""));
}

#[tokio::test]
async fn whoever_asks_while_the_first_request_is_carried_out_is_told_to_ask_again() {
    let world = World::open().await;
    let now = Timestamp::from_millis(1_291_191_960_000);
    // Somebody claimed every key there is a moment ago.
    let first = under(&world, "k1", "POST", "/customers", &json!({})).await;
    assert_eq!(first.status, 201);
    let claims = world.store.kept_answers();
    let key = claims.keys().next().unwrap();
    let claim = Claim {
        fingerprint: claims[key].claim.fingerprint.clone(),
        seed: Ulid(7),
        until: Timestamp::from_millis(now.millis() + 60_000_000),
        forget_at: Timestamp::from_millis(now.millis() + 90_000_000),
    };
    world.store.forget_kept_answers();
    assert_eq!(world.store.claim(key, claim, now).await, Ok(Claimed::Mine(Ulid(7))));
    let running = under(&world, "k1", "POST", "/customers", &json!({})).await;
    assert_eq!((running.status, running.code()), (409, "request_in_progress"));
    assert_eq!(running.header("retry-after"), "1");
}

/// As if the process had died before it kept the one answer that it gave.
async fn lose_the_answer(world: &World) {
    let seed = world.store.kept_answers().values().next().unwrap().claim.seed;
    lose_the_answer_of(world, seed).await;
}

/// The same, where whoever claimed the key drew this seed.
async fn lose_the_answer_of(world: &World, seed: Ulid) {
    let claims = world.store.kept_answers();
    let (key, kept) = claims.iter().next().unwrap();
    let dead = Timestamp::from_millis(0);
    world.store.forget_kept_answers();
    let claim = Claim { until: dead, seed, ..kept.claim.clone() };
    assert_eq!(world.store.claim(key, claim, dead).await, Ok(Claimed::Mine(seed)));
}

#[tokio::test]
async fn a_refusal_by_whoever_was_so_slow_that_another_took_the_request_over_is_none() {
    let world = World::open().await;
    world.place("ord-1").await;
    let slow = World::over(world.store.clone(), Environment::Dev, |store| Arc::new(Log::Slow(store)));
    let ship = json!({ "status": "SHIPPED" });
    let late = under(&slow, "k1", "PATCH", "/orders/ord-1", &ship).await;
    assert_eq!((late.status, late.code(), late.header("retry-after")), (409, "request_in_progress", "1"));
    // What was done is done, however slowly.
    assert_eq!(under(&slow, "k2", "DELETE", "/orders/ord-1", &Value::Null).await.status, 200);
    let again = under(&world, "k2", "DELETE", "/orders/ord-1", &Value::Null).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
}

#[tokio::test]
async fn a_registration_that_said_nothing_of_the_person_stands_though_somebody_else_told_of_them() {
    let world = World::open().await;
    let nobody = json!({ "customer_id": "cust-7" });
    assert_eq!(under(&world, "k1", "POST", "/customers", &nobody).await.status, 201);
    lose_the_answer(&world).await;
    let bea = json!({ "customer_id": "cust-7", "name": "Bea" });
    assert_eq!(world.post("/customers", bea).await.status, 200);
    assert_eq!(under(&world, "k1", "POST", "/customers", &nobody).await.status, 201);
    assert_eq!(under(&world, "k2", "POST", "/customers", &nobody).await.code(), "customer_exists");
    assert_eq!(world.get("/customers/cust-7").await.body["name"], "Bea");
}

#[tokio::test]
async fn whoever_takes_a_request_over_from_the_dead_makes_the_same_ids() {
    let world = World::open().await;
    let first = under(&world, "k1", "POST", "/orders", &order()).await;
    lose_the_answer(&world).await;
    let size = world.size().await;
    let again = under(&world, "k1", "POST", "/orders", &order()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, ""));
    assert_eq!(again.body, first.body);
    assert_eq!(world.size().await, size);
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_stands_though_what_it_names_can_no_longer_be_ordered() {
    let world = World::open().await;
    let first = under(&world, "k1", "POST", "/orders", &order()).await;
    lose_the_answer(&world).await;
    assert_eq!(world.delete("/products/lamp").await.status, 200);
    let again = under(&world, "k1", "POST", "/orders", &order()).await;
    assert_eq!((again.status, &again.body["order_id"]), (201, &first.body["order_id"]));
    let another = under(&world, "k2", "POST", "/orders", &order()).await;
    assert_eq!((another.status, another.code()), (422, "unknown_sku"));
}

#[tokio::test]
async fn a_price_whose_answer_was_lost_is_not_set_again_over_a_later_one() {
    let world = World::open().await;
    let ten = json!({ "price": 10 });
    assert_eq!(under(&world, "k1", "PATCH", "/products/lamp", &ten).await.status, 200);
    lose_the_answer(&world).await;
    assert_eq!(world.patch("/products/lamp", json!({ "price": 12 })).await.status, 200);
    let size = world.size().await;
    let again = under(&world, "k1", "PATCH", "/products/lamp", &ten).await;
    assert_eq!((again.status, &again.body["price"]), (200, &json!(12)));
    assert_eq!(world.size().await, size);
    // Whoever asks for the first time gets what they ask for.
    assert_eq!(under(&world, "k2", "PATCH", "/products/lamp", &ten).await.body["price"], 10);
}

#[tokio::test]
async fn what_somebody_else_did_alike_is_not_taken_for_what_a_repeat_did() {
    let world = World::open().await;
    let ten = json!({ "price": 10 });
    assert_eq!(under(&world, "k1", "PATCH", "/products/lamp", &ten).await.status, 200);
    // Of this claim nothing was done: whoever took the key died at once.
    lose_the_answer_of(&world, Ulid::from_parts(1, 7)).await;
    for other in [12, 10, 13] {
        assert_eq!(world.patch("/products/lamp", json!({ "price": other })).await.status, 200);
    }
    let again = under(&world, "k1", "PATCH", "/products/lamp", &ten).await;
    assert_eq!((again.status, &again.body["price"]), (200, &json!(10)));
}

#[tokio::test]
async fn a_product_whose_listing_was_answered_to_nobody_is_listed_though_it_is_gone_since_and_another_sells_its_sku()
 {
    let world = World::open().await;
    let shade = json!({ "product_id": "shade-1", "sku": "SHADE", "name": "Shade", "price": 5 });
    assert_eq!(under(&world, "k1", "POST", "/products", &shade).await.status, 201);
    lose_the_answer(&world).await;
    assert_eq!(world.delete("/products/shade-1").await.status, 200);
    let again = under(&world, "k1", "POST", "/products", &shade).await;
    assert_eq!((again.status, &again.body["withdrawn"]), (201, &json!(true)));
    lose_the_answer(&world).await;
    let next = json!({ "product_id": "shade-2", "sku": "SHADE", "name": "Shade", "price": 6 });
    assert_eq!(world.post("/products", next).await.status, 201);
    let again = under(&world, "k1", "POST", "/products", &shade).await;
    assert_eq!((again.status, &again.body["product_id"]), (201, &json!("shade-1")));
    assert_eq!(under(&world, "k2", "POST", "/products", &shade).await.code(), "sku_taken");
}

#[tokio::test]
async fn a_price_is_not_set_again_though_the_clock_of_whoever_asked_first_was_ahead() {
    let world = World::open().await;
    let ten = json!({ "price": 10 });
    assert_eq!(under(&world, "k1", "PATCH", "/products/lamp", &ten).await.status, 200);
    let ahead = Ulid::from_parts(1 << 47, 7);
    for other in [12, 13] {
        lose_the_answer_of(&world, ahead).await;
        assert_eq!(world.patch("/products/lamp", json!({ "price": other })).await.status, 200);
        let again = under(&world, "k1", "PATCH", "/products/lamp", &ten).await;
        // The first time somebody died before they set it.
        let expected = if other == 12 { 10 } else { 13 };
        assert_eq!((again.status, &again.body["price"]), (200, &json!(expected)));
    }
}

#[tokio::test]
async fn a_shipment_whose_answer_was_lost_is_no_conflict_when_the_parcel_has_arrived() {
    let world = World::open().await;
    world.place("ord-1").await;
    world.bring("ord-1", &[Reserved, Paid]).await;
    let ship = json!({ "status": "SHIPPED", "carrier": "Parcels & Sons" });
    assert_eq!(under(&world, "k1", "PATCH", "/orders/ord-1", &ship).await.status, 200);
    lose_the_answer(&world).await;
    assert_eq!(world.patch("/orders/ord-1", json!({ "status": "DELIVERED" })).await.status, 200);
    let again = under(&world, "k1", "PATCH", "/orders/ord-1", &ship).await;
    assert_eq!((again.status, &again.body["status"]), (200, &json!("DELIVERED")));
    // Whoever asks for the first time is told what it is.
    assert_eq!(under(&world, "k2", "PATCH", "/orders/ord-1", &ship).await.code(), "transition_not_allowed");
}

#[tokio::test]
async fn a_forged_shipment_that_comes_too_late_to_count_is_not_taken_for_the_one_that_was_asked_for() {
    let world = World::open().await;
    world.place("ord-1").await;
    let ship = json!({ "status": "SHIPPED" });
    assert_eq!(under(&world, "k1", "PATCH", "/orders/ord-1", &ship).await.status, 409);
    lose_the_answer(&world).await;
    assert_eq!(world.delete("/orders/ord-1").await.status, 200);
    let forged = json!({
        "pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#Anything", "event_name": "OrderShipped",
        "data": { "order_id": "ord-1" },
    });
    assert_eq!(world.post("/chaos/raw-events", forged).await.status, 202);
    let again = under(&world, "k1", "PATCH", "/orders/ord-1", &ship).await;
    assert_eq!((again.status, again.code()), (409, "transition_not_allowed"));
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_stands_though_the_customer_was_erased_since() {
    let world = World::open().await;
    let bea = json!({ "customer_id": "cust-7", "name": "Bea" });
    assert_eq!(under(&world, "k1", "POST", "/customers", &bea).await.status, 201);
    lose_the_answer(&world).await;
    assert_eq!(world.delete("/customers/cust-7").await.status, 200);
    let again = under(&world, "k1", "POST", "/customers", &bea).await;
    assert_eq!((again.status, &again.body["erased"], &again.body["name"]), (201, &json!(true), &json!(null)));
    // Whoever asks for the first time is told that there is nobody to register.
    assert_eq!(under(&world, "k2", "POST", "/customers", &bea).await.code(), "customer_erased");
}

#[tokio::test]
async fn what_was_refused_before_anything_was_decided_is_looked_at_again_and_its_key_stands_for_it() {
    let world = World::open().await;
    let wrong = json!({ "customer_id": "cust-1", "items": [] });
    for _ in 0..2 {
        let refused = under(&world, "k1", "POST", "/orders", &wrong).await;
        assert_eq!((refused.status, refused.header("idempotent-replayed")), (422, ""));
    }
    let mended = under(&world, "k1", "POST", "/orders", &order()).await;
    assert_eq!((mended.status, mended.code()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_decision_that_refuses_is_kept_whatever_would_be_decided_later() {
    let world = World::open().await;
    let made = world.post("/orders", order()).await;
    let path = format!("/orders/{}", made.body["order_id"].as_str().unwrap());
    let ship = json!({ "status": "SHIPPED" });
    let refused = under(&world, "k1", "PATCH", &path, &ship).await;
    assert_eq!((refused.status, refused.code()), (409, "transition_not_allowed"));
    let again = under(&world, "k1", "PATCH", &path, &ship).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (409, "true"));
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(again.body["current_status"], refused.body["current_status"]);
    assert_eq!(again.body["instance"], again.header("x-request-id"), "it answers whoever asks again");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_nothing_is_stored() {
    let world = World::open().await;
    let size = world.size().await;
    for bad in ["", &"x".repeat(256), "ü"] {
        let refused = under(&world, bad, "POST", "/orders", &order()).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_idempotency_key"), "{bad}");
    }
    let twice = Request::post("/orders").header("idempotency-key", "a").header("idempotency-key", "b");
    let body = Body::from(order().to_string());
    let refused = world.send(twice.header("content-type", "application/json").body(body).unwrap()).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_idempotency_key"));
    assert_eq!(world.size().await, size);
}

#[tokio::test]
async fn reads_and_the_compatibility_api_take_no_notice_of_a_key() {
    let world = World::open().await;
    for _ in 0..2 {
        let list = under(&world, "k1", "GET", "/orders", &Value::Null).await;
        assert_eq!((list.status, list.header("idempotent-replayed")), (200, ""));
        let lot = json!({ "sku": "lamp", "units": 1, "lotId": "lot-1" });
        let restocked = under(&world, "k1", "POST", "/api/v1/inventory/restockSku", &lot).await;
        assert_eq!((restocked.status, restocked.header("idempotent-replayed")), (202, ""));
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_the_key_is_claimed() {
    let world = World::open().await;
    let large = json!({ "customer_id": "x".repeat(70_000) });
    let refused = under(&world, "k1", "POST", "/customers", &large).await;
    assert_eq!((refused.status, refused.code()), (413, "body_too_large"));
    assert!(world.store.kept_answers().is_empty());
}
