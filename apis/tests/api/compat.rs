//! The compatibility API, to the letter.

use event_store::EventLog;
use events::{Event, LotId, Quantity, Sku, StockDelta, StockReceived};
use serde_json::{Value, json};

use crate::world::Step::*;
use crate::world::{Reply, Step, World};

const RESTOCK: &str = "/api/v1/inventory/restockSku";
const SKUS: &str = "/api/v1/inventory/listSkus";
const PLACE: &str = "/api/v1/orders/placeOrder";
const ORDERS: &str = "/api/v1/orders/listOrders";
const PAYMENTS: &str = "/api/v1/payments/listOrderPayments";
const RAW: &str = "/api/v1/testing/simulateRawEvent";

fn an_order(id: &str) -> Value {
    json!({"orderId": id, "sku": "lamp", "units": 2, "price": 25.99, "userId": "user-1"})
}

async fn place(world: &World, id: &str) {
    assert_eq!(world.post(PLACE, an_order(id)).await.status, 202);
}

fn is_bad_request(reply: &Reply) -> bool {
    (reply.status, &reply.body) == (400, &json!({"message": "Bad Request"}))
}

#[tokio::test]
async fn commands_echo_what_they_accepted_trimmed_and_a_repeat_changes_nothing() {
    let world = World::empty();
    let lot = json!({"sku": "  lamp ", "units": 5, "lotId": "\tlot-1\n", "extra": [1]});
    let reply = world.post(RESTOCK, lot.clone()).await;
    assert_eq!((reply.status, &reply.body), (202, &json!({"sku": "lamp", "units": 5, "lotId": "lot-1"})));
    let item =
        world.store.read_slot("EVENTS#SKU#lamp", "EVENT#SkuRestocked#LOT_ID#lot-1").await.unwrap().unwrap();
    assert_eq!(&*item.data, r#"{"sku":"lamp","units":5,"lot_id":"lot-1"}"#);
    // The first one stands, whatever a later one says.
    let other = world.post(RESTOCK, json!({"sku": "lamp", "units": 9, "lotId": "lot-1"})).await;
    assert_eq!((other.status, &other.body["units"], world.size().await), (202, &json!(9), 1));

    let reply = world.post(PLACE, an_order(" ord-1 ")).await;
    assert_eq!((reply.status, &reply.body), (202, &an_order("ord-1")));
    let mut dearer = an_order("ord-1");
    dearer["price"] = json!(1);
    assert_eq!((world.post(PLACE, dearer).await.status, world.size().await), (202, 2));
    assert_eq!(
        world.get("/orders/ord-1").await.body["items"],
        json!([{"sku": "lamp", "quantity": 2}]),
        "the price of one is not known"
    );
    assert_eq!(world.get("/orders/ord-1").await.body["total"], json!(25.99));
}

#[tokio::test]
async fn any_content_type_is_read_and_a_whole_number_may_have_a_point() {
    let world = World::empty();
    let body = r#"{"sku":"lamp","sku":"sock","units":5.0,"lotId":"lot 1 #ü"}"#;
    for request in [
        axum::http::Request::post(RESTOCK),
        axum::http::Request::post(RESTOCK).header("content-type", "text/plain;charset=UTF-8"),
    ] {
        let reply = world.send(request.body(body.into()).unwrap()).await;
        assert_eq!(
            (reply.status, &reply.body),
            (202, &json!({"sku": "sock", "units": 5, "lotId": "lot 1 #ü"}))
        );
    }
}

#[rustfmt::skip]
const BAD: &[(&str, &str)] = &[
    (RESTOCK, ""),
    (RESTOCK, "nope"),
    (RESTOCK, "[]"),
    (RESTOCK, "null"),
    (RESTOCK, "{}"),
    (RESTOCK, r#"{"sku":"abc","units":1,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"a\"bcd","units":1,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"  abc  ","units":1,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":0,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":-1,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":1.5,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":"1","lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":1000000001,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":"lamp","units":1}"#),
    (RESTOCK, r#"{"sku":"lamp","units":1,"lotId":null}"#),
    (RESTOCK, r#"{"sku":"la\u0000mp","units":1,"lotId":"lot-1"}"#),
    (RESTOCK, r#"{"sku":1234,"units":1,"lotId":"lot-1"}"#),
    (SKUS, ""),
    (SKUS, r#"{"sku":"abc"}"#),
    (SKUS, r#"{"limit":0}"#),
    (SKUS, r#"{"limit":1001}"#),
    (SKUS, r#"{"limit":"5"}"#),
    (SKUS, r#"{"sortDirection":"up"}"#),
    (SKUS, r#"{"sortDirection":"ASC"}"#),
    (SKUS, r#"{"sortDirection":null}"#),
    (PLACE, "{}"),
    (PLACE, r#"{"orderId":"ord","sku":"lamp","units":1,"price":1,"userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lam","units":1,"price":1,"userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":0,"price":1,"userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":1,"price":-0.01,"userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":1,"price":"1","userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":1,"price":1e300,"userId":"user-1"}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":1,"price":1,"userId":"   u   "}"#),
    (PLACE, r#"{"orderId":"ord-1","sku":"lamp","units":1,"price":1}"#),
    (PLACE, r#"{"orderId":"ord\n1","sku":"lamp","units":1,"price":1,"userId":"user-1"}"#),
    (ORDERS, "7"),
    (ORDERS, r#"{"orderId":"abc"}"#),
    (ORDERS, r#"{"orderId":"a\\bcd"}"#),
    (ORDERS, r#"{"limit":1.5}"#),
    (PAYMENTS, "x"),
    (PAYMENTS, r#"{"orderId":5}"#),
    (PAYMENTS, r#"{"limit":-1}"#),
    (RAW, "{}"),
    (RAW, r#"{"pk":" ","sk":"b","eventName":"E"}"#),
    (RAW, r#"{"pk":"a","sk":"b","eventName":"  "}"#),
    (RAW, r#"{"pk":"a","sk":"b"}"#),
    (RAW, r#"{"pk":"a","sk":1,"eventName":"E"}"#),
    (RAW, r#"{"pk":"a","sk":"b","eventName":"E","eventData":"{}"}"#),
    (RAW, r#"{"pk":"a","sk":"b","eventName":"E","eventData":[]}"#),
    (RAW, r#"{"pk":"a","sk":"b","eventName":"E","eventData":null}"#),
    (RAW, r#"{"pk":"a","sk":"b","eventName":"E","unknown":1}"#),
    (RAW, r#"{"pk":"a\u0000","sk":"b","eventName":"E"}"#),
];

#[tokio::test]
async fn whatever_is_wrong_is_a_bad_request_and_leaves_no_trace() {
    let world = World::empty();
    for (path, body) in BAD {
        let reply = world.text("POST", path, *body).await;
        assert!(is_bad_request(&reply), "{path} {body}: {} {}", reply.status, reply.body);
    }
    for path in [RESTOCK, SKUS, PLACE, ORDERS, PAYMENTS, RAW] {
        let reply = world.text("POST", path, " ".repeat(70_000)).await;
        assert!(is_bad_request(&reply), "{path}");
    }
    assert_eq!(world.size().await, 0);
}

/// Steps, order status, and of the payment its id, status and retries.
type State = (&'static [Step], &'static str, Option<(&'static str, &'static str, u32)>);

/// Every way an order can go, and what both lists make of it.
#[rustfmt::skip]
const STATES: &[State] = &[
    (&[], "ORDER_CREATED_STATUS", None),
    (&[Requested], "ORDER_CREATED_STATUS", None),
    (&[Requested, Reserved], "ORDER_STOCK_ALLOCATED_STATUS", None),
    (&[Requested, Short], "ORDER_STOCK_DEPLETED_STATUS", None),
    (&[Reserved, Attempt(1)], "ORDER_STOCK_ALLOCATED_STATUS", Some(("", "PAYMENT_FAILED", 1))),
    (&[Reserved, Attempt(1), Attempt(2)], "ORDER_STOCK_ALLOCATED_STATUS", Some(("", "PAYMENT_FAILED", 2))),
    (&[Reserved, Attempt(1), Paid], "ORDER_PAYMENT_ACCEPTED_STATUS", Some(("pay-1", "PAYMENT_ACCEPTED", 0))),
    (&[Reserved, Attempt(1), Attempt(2), Paid, Committed], "ORDER_PAYMENT_ACCEPTED_STATUS", Some(("pay-1", "PAYMENT_ACCEPTED", 1))),
    (&[Reserved, Attempt(1), Declined], "ORDER_PAYMENT_REJECTED_STATUS", Some(("", "PAYMENT_REJECTED", 0))),
    (&[Reserved, Attempt(1), Attempt(2), Attempt(3), Attempt(4), Exhausted], "ORDER_PAYMENT_REJECTED_STATUS", Some(("", "PAYMENT_REJECTED", 4))),
    (&[Reserved, Attempt(1), Paid, Committed, Shipped], "ORDER_SHIPPED_STATUS", Some(("pay-1", "PAYMENT_ACCEPTED", 0))),
    (&[Reserved, Attempt(1), Paid, Committed, Shipped, Delivered], "ORDER_DELIVERED_STATUS", Some(("pay-1", "PAYMENT_ACCEPTED", 0))),
    (&[Cancelled], "ORDER_CANCELED_STATUS", None),
    (&[Reserved, Attempt(1), Paid, Committed, Cancelled, Refunded], "ORDER_CANCELED_STATUS", Some(("pay-1", "PAYMENT_ACCEPTED", 0))),
];

#[tokio::test]
async fn each_state_has_its_older_name_from_the_stream_as_from_the_row() {
    for (steps, status, payment) in STATES {
        let world = World::empty();
        place(&world, "ord-1").await;
        world.bring("ord-1", steps).await;
        for asked in [json!({"orderId": " ord-1 "}), json!({"orderId": "ord-1", "limit": 1}), json!({})] {
            let orders = world.post(ORDERS, asked.clone()).await;
            let order = &orders.body["orders"][0];
            let (created, updated) = (order["createdAt"].clone(), order["updatedAt"].clone());
            let case = format!("{steps:?} {asked} {}", orders.body);
            assert_eq!(
                (orders.status, &orders.body),
                (
                    200,
                    &json!({"orders": [{"orderId": "ord-1", "orderStatus": status, "sku": "lamp", "units": 2,
                    "price": 25.99, "userId": "user-1", "createdAt": created, "updatedAt": updated}]})
                ),
                "{case}"
            );
            assert!(
                created.as_str().unwrap().ends_with('Z') && created.as_str() <= updated.as_str(),
                "{case}"
            );
            let payments = world.post(PAYMENTS, asked).await;
            let row = &payments.body["orderPayments"][0];
            let (created, updated) = (row["createdAt"].clone(), row["updatedAt"].clone());
            let expected = payment.map(|(id, status, retries)| {
                json!({"orderId": "ord-1", "sku": "lamp", "units": 2, "price": 25.99, "userId": "user-1",
                    "createdAt": created, "updatedAt": updated,
                    "paymentId": id, "paymentStatus": status, "paymentRetries": retries})
            });
            assert_eq!(payments.body, json!({"orderPayments": Vec::from_iter(expected)}), "{case}");
            // From here on the row is there.
            world.project("ord-1").await;
        }
    }
}

#[tokio::test]
async fn an_order_of_several_lines_shows_its_first_sku_and_all_its_units() {
    let world = World::open().await;
    world.place("ord-1").await;
    let order = &world.post(ORDERS, json!({"orderId": "ord-1"})).await.body["orders"][0];
    assert_eq!([&order["sku"], &order["units"], &order["price"]], [&json!("lamp"), &json!(4), &json!(25.99)]);
}

#[tokio::test]
async fn lists_run_by_creation_time_the_way_that_is_asked_for() {
    let world = World::empty();
    for i in 0..60 {
        let id = format!("ord-{i:02}");
        place(&world, &id).await;
        world.bring(&id, &[Reserved, Attempt(1)]).await;
        world.project(&id).await;
        let (sku, units) = (Sku::parse(&format!("sku-{i:02}")).unwrap(), Quantity::new(i + 1).unwrap());
        let delta = StockDelta::receive(&sku, units);
        let lot_id = LotId::parse("lot-1").unwrap();
        world.append_moving(Event::StockReceived(StockReceived { sku, units, lot_id }), vec![delta]).await;
    }
    for (path, list, key, prefix) in [
        (ORDERS, "orders", "orderId", "ord"),
        (PAYMENTS, "orderPayments", "orderId", "ord"),
        (SKUS, "skus", "sku", "sku"),
    ] {
        for (asked, expected) in [
            (json!({}), (0..50).collect::<Vec<_>>()),
            (json!({"limit": 1000}), (0..60).collect()),
            (json!({"limit": 3, "sortDirection": "asc"}), vec![0, 1, 2]),
            (json!({"limit": 3, "sortDirection": " desc ", "ignored": true}), vec![59, 58, 57]),
        ] {
            let body = world.post(path, asked.clone()).await.body;
            let found: Vec<_> =
                body[list].as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect();
            let expected: Vec<String> = expected.into_iter().map(|i| format!("{prefix}-{i:02}")).collect();
            assert_eq!(found, expected, "{path} {asked}");
        }
    }
    let one = world.post(SKUS, json!({"sku": "sku-07"})).await.body["skus"].clone();
    let at = one[0]["createdAt"].clone();
    assert_eq!(one, json!([{"sku": "sku-07", "units": 8, "createdAt": at, "updatedAt": at}]));
}

#[tokio::test]
async fn what_nobody_knows_is_an_empty_list() {
    let world = World::empty();
    assert_eq!(world.post(SKUS, json!({"sku": "none"})).await.body, json!({"skus": []}));
    assert_eq!(world.post(ORDERS, json!({"orderId": "none"})).await.body, json!({"orders": []}));
    assert_eq!(world.post(PAYMENTS, json!({"orderId": "none"})).await.body, json!({"orderPayments": []}));
    for (path, list) in [(SKUS, "skus"), (ORDERS, "orders"), (PAYMENTS, "orderPayments")] {
        let reply = world.post(path, json!({})).await;
        assert_eq!((reply.status, &reply.body[list]), (200, &json!([])));
    }
}

#[tokio::test]
async fn a_simulated_event_goes_into_the_log_exactly_as_given_and_once() {
    let world = World::empty();
    let body = r#"{"pk":" EVENTS#ORDER_ID#ord-1 ","sk":"EVENT#ORDER_PLACED_EVENT","eventName":" ORDER_PLACED_EVENT","eventData":{"orderId":"ord-1", "sku":"lamp","units":2,"price":25.990,"userId":"user-1"}}"#;
    let reply = world.text("POST", RAW, body).await;
    assert_eq!(reply.status, 202);
    assert_eq!(
        reply.body,
        json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#ORDER_PLACED_EVENT", "eventName": "ORDER_PLACED_EVENT",
            "eventData": {"orderId": "ord-1", "sku": "lamp", "units": 2, "price": 25.99, "userId": "user-1"}})
    );
    let item =
        world.store.read_slot("EVENTS#ORDER_ID#ord-1", "EVENT#ORDER_PLACED_EVENT").await.unwrap().unwrap();
    assert_eq!(
        &*item.data,
        r#"{"orderId":"ord-1", "sku":"lamp","units":2,"price":25.990,"userId":"user-1"}"#
    );
    assert_eq!((&*item.event_name, item.schema_version), ("ORDER_PLACED_EVENT", 1));
    assert_eq!(world.get("/orders/ord-1").await.body["total"], json!(25.99));
    assert_eq!((world.text("POST", RAW, body).await.status, world.size().await), (202, 1));

    let bare = json!({"pk": "any", "sk": "thing", "eventName": "ORDER_RETRACTED_EVENT"});
    let reply = world.post(RAW, bare.clone()).await;
    assert_eq!((reply.status, &reply.body), (202, &bare));
    assert_eq!(&*world.store.read_slot("any", "thing").await.unwrap().unwrap().data, "{}");
}

#[tokio::test]
async fn a_price_that_was_computed_is_the_nearest_cent() {
    let world = World::empty();
    let order = r#"{"orderId":"ord-1","sku":"lamp","units":3,"price":59.97000000000001,"userId":"user-1"}"#;
    let reply = world.text("POST", PLACE, order).await;
    assert_eq!((reply.status, &reply.body["price"]), (202, &json!(59.97)));
}
