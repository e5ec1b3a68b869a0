//! Placing an order.

use events::{CustomerErased, CustomerId, Event};
use serde_json::json;

use crate::world::{Step, World};

#[tokio::test]
async fn an_order_is_placed_at_the_catalogues_prices() {
    let world = World::open().await;
    let reply = world.place("ord-1").await;
    assert_eq!(
        (reply.status, reply.header("location"), reply.header("etag")),
        (201, "/orders/ord-1", "\"1\"")
    );
    assert_eq!(reply.header("content-type"), "application/json");
    let at = reply.body["created_at"].clone();
    assert_eq!(
        reply.body,
        json!({
            "order_id": "ord-1", "seen": 1, "status": "PENDING_INVENTORY", "customer_id": "cust-1",
            "items": [
                {"sku": "lamp", "quantity": 1, "unit_price": 19.99, "name": "A lamp"},
                {"sku": "sock", "quantity": 3, "unit_price": 2, "name": "A sock"},
            ],
            "total": 25.99, "currency": "GBP", "priority": "standard", "open": true,
            "created_at": at, "updated_at": at,
        })
    );
}

#[tokio::test]
async fn an_order_without_an_id_gets_one_that_leads_to_it() {
    let world = World::open().await;
    let body = json!({"customer_id": "cust-1", "items": [{"sku": "lamp", "quantity": 1}]});
    let (one, other) = (world.post("/orders", body.clone()).await, world.post("/orders", body).await);
    assert_eq!((one.status, other.status), (201, 201));
    assert_ne!(one.body["order_id"], other.body["order_id"]);
    let read = world.get(one.header("location")).await;
    assert_eq!((read.status, read.body), (200, one.body.clone()));
    assert!(one.body["order_id"].as_str().unwrap().starts_with("ord-"));
}

#[tokio::test]
async fn lines_of_one_sku_are_added_up() {
    let world = World::open().await;
    let items = json!([{"sku": "sock", "quantity": 1}, {"sku": "lamp", "quantity": 1}, {"sku": "sock", "quantity": 2}]);
    let reply = world.post("/orders", json!({"customer_id": "cust-1", "items": items})).await;
    let quantities: Vec<_> = reply.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["sku"], &line["quantity"]))
        .collect();
    assert_eq!(quantities, [(&json!("sock"), &json!(3)), (&json!("lamp"), &json!(1))]);
    assert_eq!(reply.body["total"], json!(25.99));
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_order_as_it_is_now() {
    let world = World::open().await;
    world.place("ord-1").await;
    world.bring("ord-1", &[Step::Requested, Step::Reserved]).await;
    let size = world.size().await;
    // Other order of lines, one SKU in two of them: the same content.
    let items = json!([{"sku": "sock", "quantity": 1}, {"sku": "sock", "quantity": 2}, {"sku": "lamp", "quantity": 1}]);
    let repeat =
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": items, "priority": "standard"});
    let reply = world.post("/orders", repeat).await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("CONFIRMED")));
    assert_eq!((reply.header("etag"), world.size().await), ("\"3\"", size));
}

#[tokio::test]
async fn other_content_under_the_same_id_is_a_conflict() {
    let world = World::open().await;
    world.post("/customers", json!({"customer_id": "cust-2"})).await;
    world.place("ord-1").await;
    let size = world.size().await;
    let lamp = json!([{"sku": "lamp", "quantity": 1}]);
    let both = json!([{"sku": "lamp", "quantity": 1}, {"sku": "sock", "quantity": 3}]);
    let more = json!([{"sku": "lamp", "quantity": 2}, {"sku": "sock", "quantity": 3}]);
    for other in [
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": lamp}),
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": more}),
        json!({"order_id": "ord-1", "customer_id": "cust-2", "items": both}),
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": both, "priority": "express"}),
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": [{"sku": "none", "quantity": 1}]}),
    ] {
        let reply = world.post("/orders", other.clone()).await;
        assert_eq!((reply.status, reply.code()), (409, "order_exists"), "{other}");
    }
    assert_eq!(world.size().await, size);
}

#[tokio::test]
async fn a_repeat_succeeds_whatever_became_of_the_catalogue() {
    let world = World::open().await;
    world.place("ord-1").await;
    assert_eq!(world.delete("/products/lamp").await.status, 200);
    assert_eq!(world.place("ord-1").await.status, 200);
    let refused = world.place("ord-2").await;
    assert_eq!((refused.status, refused.code(), refused.wrong()), (422, "unknown_sku", vec!["/items/0/sku"]));
    // Its price changed: what is compared is what was asked for.
    let dearer =
        json!({"product_id": "lamp-2", "sku": "lamp", "name": "A lamp", "price": 99, "currency": "GBP"});
    assert_eq!(world.post("/products", dearer).await.status, 201);
    let repeat = world.place("ord-1").await;
    assert_eq!((repeat.status, &repeat.body["total"]), (200, &json!(25.99)));
}

#[tokio::test]
async fn unknown_customers_and_skus_are_all_named() {
    let world = World::open().await;
    let size = world.size().await;
    let items = json!([{"sku": "none", "quantity": 1}, {"sku": "lamp", "quantity": 1}, {"sku": "nope", "quantity": 1}]);
    let reply = world.post("/orders", json!({"customer_id": "nobody", "items": items})).await;
    assert_eq!((reply.status, reply.code()), (422, "unknown_customer"));
    assert_eq!(reply.wrong(), ["/customer_id", "/items/0/sku", "/items/2/sku"]);
    assert_eq!(reply.body["errors"][1]["code"], "unknown_sku");
    assert_eq!(world.size().await, size);
}

#[tokio::test]
async fn an_erased_customer_cannot_order() {
    let world = World::open().await;
    let customer_id = CustomerId::parse("cust-1").unwrap();
    world.append(Event::CustomerErased(CustomerErased { customer_id })).await;
    let stream =
        event_store::EventLog::read_stream(&*world.store, "EVENTS#CUSTOMER_ID#cust-1").await.unwrap();
    let row = views::project::customer_row(&stream).unwrap();
    event_store::CatalogViews::put_customer(&*world.store, row).await.unwrap();
    let reply = world.place("ord-1").await;
    assert_eq!((reply.status, reply.code()), (422, "unknown_customer"));
    let again = world.post("/customers", json!({"customer_id": "cust-1", "name": "Ann"})).await;
    assert_eq!((again.status, again.code()), (409, "customer_erased"));
}

#[tokio::test]
async fn products_of_two_currencies_do_not_go_into_one_order() {
    let world = World::open().await;
    world.post("/products", json!({"sku": "hat1", "name": "Hat", "price": 5, "currency": "EUR"})).await;
    let items = json!([{"sku": "lamp", "quantity": 1}, {"sku": "hat1", "quantity": 1}]);
    let reply = world.post("/orders", json!({"customer_id": "cust-1", "items": items})).await;
    assert_eq!((reply.status, reply.code(), reply.wrong()), (422, "mixed_currencies", vec!["/items/1/sku"]));
}

#[tokio::test]
async fn a_total_that_no_money_can_hold_is_refused() {
    let world = World::open().await;
    world.post("/products", json!({"sku": "moon", "name": "Moon", "price": 10_000_000_000_000u64})).await;
    let order =
        |quantity: u32| json!({"customer_id": "cust-1", "items": [{"sku": "moon", "quantity": quantity}]});
    assert_eq!(world.post("/orders", order(1)).await.status, 201);
    for quantity in [2, 1_000_000] {
        let reply = world.post("/orders", order(quantity)).await;
        assert_eq!((reply.status, reply.code(), reply.wrong()), (422, "total_too_large", vec!["/items"]));
    }
}

#[tokio::test]
async fn ninety_skus_are_an_order_and_ninety_one_are_not() {
    let world = World::open().await;
    let items = |n: usize| -> Vec<_> {
        (0..n).map(|i| json!({"sku": format!("sku-{i:02}"), "quantity": 1})).collect()
    };
    for i in 0..91 {
        let product = json!({"sku": format!("sku-{i:02}"), "name": "Thing", "price": 1});
        assert_eq!(world.post("/products", product).await.status, 201);
    }
    assert_eq!(world.post("/orders", json!({"customer_id": "cust-1", "items": items(90)})).await.status, 201);
    let reply = world.post("/orders", json!({"customer_id": "cust-1", "items": items(91)})).await;
    assert_eq!((reply.status, reply.wrong()), (422, vec!["/items"]));
    assert_eq!(reply.body["errors"][0]["code"], "too_many_skus");
}

#[tokio::test]
async fn units_of_one_sku_are_bounded_when_added_up() {
    let world = World::open().await;
    let line = json!({"sku": "sock", "quantity": 1_000_000});
    let reply = world.post("/orders", json!({"customer_id": "cust-1", "items": vec![line; 1001]})).await;
    assert_eq!((reply.status, reply.wrong()), (422, vec!["/items/1000/quantity"]));
}

#[tokio::test]
async fn what_is_appended_tells_which_request_and_which_lane_it_came_by() {
    let world = World::open().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({"order_id": "ord-1", "customer_id": "cust-1", "priority": "express",
        "items": [{"sku": "lamp", "quantity": 1}]});
    let request = axum::http::Request::post("/orders")
        .header("content-type", "application/json")
        .header("x-request-id", "req-7")
        .header("traceparent", trace);
    let reply = world.send(request.body(body.to_string().into()).unwrap()).await;
    assert_eq!((reply.status, reply.header("x-request-id")), (201, "req-7"));
    world.bring("ord-1", &[Step::Reserved]).await;
    world.delete("/orders/ord-1").await;

    let events = world.get("/orders/ord-1/events").await.body["events"].clone();
    let placed = &events[0];
    assert_eq!(
        [&placed["priority"], &placed["correlation_id"], &placed["traceparent"], &placed["causation_id"]],
        [&json!("express"), &json!("req-7"), &json!(trace), &json!(null)]
    );
    let cancelled = &events[2];
    assert_eq!(
        [&cancelled["event_name"], &cancelled["priority"]],
        [&json!("OrderCancelled"), &json!("express")]
    );
    assert!(cancelled["event_id"].as_str() > events[1]["event_id"].as_str());
    assert_eq!(cancelled["correlation_id"].as_str().unwrap().len(), 26);
}

#[tokio::test]
async fn a_payload_that_nobody_can_read_holds_its_id() {
    let world = World::open().await;
    let raw = json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#OrderPlaced", "event_name": "WHATEVER"});
    assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    let reply = world.place("ord-1").await;
    assert_eq!((reply.status, reply.code()), (409, "order_exists"));
    assert_eq!(world.get("/orders/ord-1").await.status, 404);
}
