//! What clients see when nothing goes wrong, and what they are told when there is not enough.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use end_to_end::double::Answer;
use hyper::Method;
use serde_json::json;
use telemetry::collector::roots;
use telemetry::trace;

use crate::world::{World, until};

pub async fn an_order_is_paid_and_its_stock_has_moved(world: &World) {
    world.shop("lamp", 10).await;
    world.order("lamp", "order-lamp", 3).await;
    world.until_order("order-lamp", "PAID").await;
    world.until_stock("lamp", [7, 0, 3]).await;
    world.until_quiet().await;
    let events = [
        "OrderPlaced",
        "ReserveInventory",
        "InventoryReserved",
        "PaymentAttempted",
        "OrderPaymentAccepted",
        "InventoryCommitted",
    ];
    assert_eq!(world.events("order-lamp").await, events);
    let order = json!({
        "order_id": "order-lamp", "customer_id": "lamp-customer", "status": "PAID", "open": false, "seen": 6,
        "items": [{ "sku": "lamp", "name": "lamp", "quantity": 3, "unit_price": 2.5 }],
        "total": 7.5, "currency": "USD", "priority": "standard",
    });
    assert_eq!(world.get("/orders/order-lamp").await, order);
    assert_eq!(world.get("/customers/lamp-customer/orders").await["orders"], json!([order]));
    let payment = json!({
        "order_id": "order-lamp", "payment_id": "pay-order-lamp", "amount": 7.5, "currency": "USD", "by": "gateway",
        "attempts": 1, "retries": 0, "seen": 6, "status": "ACCEPTED",
    });
    assert_eq!(world.get("/orders/order-lamp/payments").await, json!({ "payments": [payment] }));
    let delivery = json!({ "order_id": "order-lamp", "seen": 6, "status": "PENDING" });
    assert_eq!(world.get("/orders/order-lamp/deliveries").await, json!({ "deliveries": [delivery] }));
    let moved = |pk: &str, event_name: &str, [available, reserved, sold]: [i64; 3]| {
        json!([pk, event_name, available, reserved, sold])
    };
    let order = "EVENTS#ORDER_ID#order-lamp";
    let ledger = [
        moved("EVENTS#SKU#lamp", "StockReceived", [10, 0, 0]),
        moved(order, "InventoryReserved", [-3, 3, 0]),
        moved(order, "InventoryCommitted", [0, -3, 3]),
    ];
    let shown = world.get("/inventory/skus/lamp/ledger").await;
    let fields = ["pk", "event_name", "available", "reserved", "sold"];
    let shown = shown["entries"].as_array().unwrap().iter().map(|entry| fields.map(|name| &entry[name]));
    assert_eq!(json!(Vec::from_iter(shown)), json!(ledger));
}

pub async fn an_order_is_one_trace_over_all_functions(world: &World) {
    world.shop("clock", 10).await;
    world.order("clock", "order-clock", 1).await;
    world.until_stock("clock", [9, 0, 1]).await;
    world.until_quiet().await;
    let history = world.get("/orders/order-clock/events").await;
    let appended_in = history["events"].as_array().unwrap().iter();
    let appended_in: Vec<&str> = appended_in.map(|event| event["traceparent"].as_str().unwrap()).collect();
    let seen = until("the spans of the order have arrived", async || {
        let seen = world.collector.trace(trace::id(appended_in[0]));
        let spans: BTreeSet<&str> = seen.iter().map(|span| &*span.span_id).collect();
        let arrived = appended_in.iter().all(|by| spans.contains(by.split('-').nth(2).unwrap()));
        if arrived { Ok(seen) } else { Err(json!(spans)) }
    })
    .await;
    let services: BTreeSet<&str> = seen.iter().map(|span| &*span.service).collect();
    assert_eq!(services, BTreeSet::from(["oms-api", "orders-worker", "inventory-worker", "payments-worker"]));
    let begun_by = roots(&seen);
    let [request] = &begun_by[..] else { panic!("{begun_by:#?}") };
    assert_eq!((&*request.service, &*request.name), ("oms-api", "POST /orders"));
}

pub async fn an_express_order_goes_by_its_own_lanes(world: &World) {
    world.shop("cable", 10).await;
    world.order_by("cable", "order-cable", 1, "express").await;
    world.until_order("order-cable", "PAID").await;
    world.until_stock("cable", [9, 0, 1]).await;
    world.until_quiet().await;
}

pub async fn an_order_that_is_not_in_stock_is_cancelled_and_nothing_moves(world: &World) {
    world.shop("sofa", 2).await;
    world.order("sofa", "order-sofa", 3).await;
    world.until_order("order-sofa", "CANCELLED").await;
    world.until_stock("sofa", [2, 0, 0]).await;
    world.until_quiet().await;
    let events = ["OrderPlaced", "ReserveInventory", "InventoryReservationFailed"];
    assert_eq!(world.events("order-sofa").await, events);
    assert_eq!(world.get("/orders/order-sofa/payments").await, json!({ "payments": [] }));
}

pub async fn a_paid_order_that_is_cancelled_is_refunded_and_its_stock_is_back(world: &World) {
    world.shop("chair", 5).await;
    world.order("chair", "order-chair", 2).await;
    world.until_order("order-chair", "PAID").await;
    world.until_stock("chair", [3, 0, 2]).await;
    let (status, answer) = world.ask(Method::DELETE, "/orders/order-chair", None).await;
    assert_eq!((status, &answer["status"]), (200, &json!("CANCELLED")));
    world.until_stock("chair", [5, 0, 0]).await;
    world.until_quiet().await;
    let events = world.events("order-chair").await;
    assert_eq!(
        events[..6].join(" "),
        "OrderPlaced ReserveInventory InventoryReserved PaymentAttempted OrderPaymentAccepted InventoryCommitted"
    );
    let mut last: Vec<&str> = events[6..].iter().map(String::as_str).collect();
    last.sort_unstable();
    assert_eq!(last, ["InventoryReturned", "OrderCancelled", "OrderPaymentRefunded"]);
    let payments = world.get("/orders/order-chair/payments").await;
    assert_eq!(
        (&payments["payments"][0]["status"], &payments["payments"][0]["amount"]),
        (&json!("REFUNDED"), &json!(5))
    );
    assert_eq!(world.get("/orders/order-chair").await["open"], false);
}

pub async fn a_forged_event_is_taken_shown_and_changes_nothing(world: &World) {
    let before = world.get("/orders/order-lamp").await;
    let forged = json!({
        "pk": "EVENTS#ORDER_ID#order-lamp", "sk": "EVENT#Forged", "event_name": "OrderCancelled", "data": "nonsense",
    });
    assert_eq!(world.post("/chaos/raw-events", forged).await["stored"], true);
    world.until_quiet().await;
    let history = world.get("/orders/order-lamp/events").await;
    assert_eq!(history["anomalies"].as_array().map(Vec::len), Some(1), "{}", history["anomalies"]);
    assert_eq!(world.get("/orders/order-lamp").await, before);
    world.until_stock("lamp", [7, 0, 3]).await;
}

/// API Gateway refuses in the words of the template; the double leaves the authorizer's own as variables.
fn assert_unauthorized(answer: &Answer, shown: &str) {
    assert_eq!((answer.status, &*answer.content_type), (401, "application/problem+json"), "{shown}");
    let body = answer.json();
    assert_eq!((&body["status"], body["instance"].is_string()), (&json!(401), true), "{shown}: {body}");
}

pub async fn nobody_asks_for_what_needs_somebody_without_a_good_key(world: &World) {
    let forged = format!("sgl_{}_{}", "0".repeat(24), "A".repeat(43));
    for path in ["/orders/order-lamp", "/users/me", "/inventory/skus/lamp"] {
        for shown in [&[][..], &[("x-api-key", &*forged)], &[("authorization", "Bearer a.b.c")]] {
            let answer = world.ask_showing(shown, Method::GET, path, None).await;
            assert_unauthorized(&answer, &format!("{path} {shown:?}"));
        }
    }
    for path in ["/livez", "/products", "/products/lamp"] {
        assert_eq!(world.ask_showing(&[], Method::GET, path, None).await.status, 200, "{path}");
    }
    let nowhere = world.ask_showing(&[], Method::GET, "/nowhere", None).await;
    assert_eq!((nowhere.status, &nowhere.json()["code"]), (404, &json!("route_not_found")));
}

pub async fn a_customers_key_opens_what_is_theirs_and_nothing_of_operators_or_admins(world: &World) {
    let key = world.new_key("customer", Some("lamp-customer")).await;
    let (status, order) = world.ask_with(&key, Method::GET, "/orders/order-lamp", None).await;
    assert_eq!((status, &order["customer_id"]), (200, &json!("lamp-customer")));
    let (status, _) = world.ask_with(&key, Method::GET, "/orders/order-sofa", None).await;
    assert_eq!(status, 404, "somebody else's");
    let stock = json!({ "items": [{ "sku": "lamp", "quantity": 1 }] });
    let (status, answer) = world.ask_with(&key, Method::POST, "/inventory/check", Some(stock)).await;
    assert_eq!(status, 200, "{answer}");
    for path in ["/users", "/keys", "/customers", "/inventory/skus"] {
        let (status, refused) = world.ask_with(&key, Method::GET, path, None).await;
        assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{path}");
    }
    // What a client says of itself beside its key.
    let shown = [
        ("x-api-key", &*key),
        ("role", "admin"),
        ("x-amzn-request-context", r#"{"authorizer":{"role":"admin"}}"#),
    ];
    assert_eq!(world.ask_showing(&shown, Method::GET, "/keys", None).await.status, 403);
    world.order_with(&key, "lamp", "order-lamp-by-key", 1, "standard").await;
    world.until_order("order-lamp-by-key", "PAID").await;
    let (status, _) = world.ask_with(&key, Method::DELETE, "/orders/order-lamp-by-key", None).await;
    assert_eq!(status, 200);
    world.until_stock("lamp", [7, 0, 3]).await;
    world.until_quiet().await;
}

pub async fn whoever_registers_is_let_in_by_the_token_of_their_login(world: &World) {
    let berta = json!({ "username": "berta", "password": "correct horse battery" });
    let made = world.ask_showing(&[], Method::POST, "/users", Some(berta.clone())).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let login = world.ask_showing(&[], Method::POST, "/login", Some(berta)).await;
    assert_eq!(login.status, 200, "{}", login.text);
    let token = format!("Bearer {}", login.json()["token"].as_str().unwrap());
    let me = world.ask_showing(&[("authorization", &token)], Method::GET, "/users/me", None).await.json();
    assert_eq!((&me["role"], &me["customer_id"]), (&json!("customer"), &made.json()["customer_id"]));
    // Only an admin says that somebody is an operator, and nobody who shows something bad is taken for nobody.
    let olaf = json!({ "username": "olaf", "password": "correct horse battery", "role": "operator" });
    let register = async |shown: &[(&str, &str)]| {
        world.ask_showing(shown, Method::POST, "/users", Some(olaf.clone())).await.status
    };
    let operator = world.new_key("operator", None).await;
    let refused = [
        register(&[]).await,
        register(&[("x-api-key", "sgl_bad")]).await,
        register(&[("x-api-key", &operator)]).await,
    ];
    assert_eq!(refused, [401, 401, 403]);
    assert_eq!(world.ask(Method::POST, "/users", Some(olaf)).await.0, 201);
}

pub async fn a_key_that_is_revoked_is_refused(world: &World) {
    let revoke = async |key: &str| {
        let path = format!("/keys/{}", key.split('_').nth(1).unwrap());
        assert_eq!(world.ask(Method::DELETE, &path, None).await.0, 200);
    };
    let unseen = world.new_key("operator", None).await;
    revoke(&unseen).await;
    let answer = world.ask_showing(&[("x-api-key", &unseen)], Method::GET, "/orders", None).await;
    assert_unauthorized(&answer, "a key that no authorizer remembers");
    let seen = world.new_key("operator", None).await;
    assert_eq!(world.ask_with(&seen, Method::GET, "/orders", None).await.0, 200);
    revoke(&seen).await;
    *world.revoked.lock().unwrap() = Some((seen, Instant::now()));
}

/// Asked long after the key was revoked, so that nobody has to wait for the minute.
pub async fn a_key_that_was_remembered_when_it_was_revoked_is_refused_within_a_minute(world: &World) {
    let (key, since) = world.revoked.lock().unwrap().take().unwrap();
    let minute = Duration::from_secs(60);
    tokio::time::sleep(minute.saturating_sub(since.elapsed())).await;
    let answer = world.ask_showing(&[("x-api-key", &key)], Method::GET, "/orders", None).await;
    assert_unauthorized(&answer, "a key that an authorizer remembered");
}
