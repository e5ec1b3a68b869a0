//! What an order costs and where it goes, over HTTP: prices are those of its moment, a delivery is there once it is paid.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use server::Server;
use tempfile::TempDir;

async fn place(server: &Server, order: &str, sku: &str) -> Value {
    let items = json!([{ "sku": sku, "quantity": 2 }]);
    let order = json!({ "order_id": order, "customer_id": "customer-1", "items": items });
    server.post("/orders", order).await
}

async fn deliveries(server: &Server, order: &str) -> Value {
    server.get(&format!("/orders/{order}/deliveries")).await["deliveries"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_is_that_of_later_orders_alone() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("lamp", 10).await;
    place(&server, "order-1", "lamp").await;
    let data = json!({ "product_id": "lamp", "revision": 1, "price": 4, "currency": "EUR" });
    let (pk, sk) = ("EVENTS#PRODUCT_ID#lamp", "EVENT#ProductRepriced#1");
    let repriced = json!({ "pk": pk, "sk": sk, "event_name": "ProductRepriced", "data": data });
    server.post("/chaos/raw-events", repriced).await;
    server.until("/products/lamp", |product| product["price"] == 4).await;
    place(&server, "order-2", "lamp").await;
    for (order, total) in [("order-1", json!(5)), ("order-2", json!(8))] {
        let path = format!("/orders/{order}");
        let order = server.until(&path, |order| order["status"] == "PAID").await;
        assert_eq!(order["total"], total, "{order}");
        let payment = server.get(&format!("{path}/payments")).await;
        assert_eq!(payment["payments"][0]["amount"], total, "{payment}");
    }
    // Asked again, the first is what it was.
    let items = json!([{ "sku": "lamp", "quantity": 2 }]);
    let again = json!({ "order_id": "order-1", "customer_id": "customer-1", "items": items });
    assert_eq!(server.ask(Method::POST, "/orders", Some(again)).await.0, StatusCode::OK);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_comes_to_be_when_an_order_is_paid_and_follows_it() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("lamp", 10).await;
    // What costs so much is never paid: the built-in gateway refuses it.
    server
        .post("/products", json!({ "product_id": "ship", "sku": "ship", "name": "A ship", "price": 100_000 }))
        .await;
    server.post("/inventory/restocks", json!({ "sku": "ship", "units": 10, "lot_id": "lot-2" })).await;
    server.until("/inventory/skus/ship", |row| row["available"] == 10).await;
    place(&server, "order-1", "ship").await;
    server.until("/orders/order-1", |order| order["status"] == "CANCELLED").await;
    assert_eq!(deliveries(&server, "order-1").await, json!([]));

    for order in ["order-2", "order-3"] {
        place(&server, order, "lamp").await;
        server.until(&format!("/orders/{order}"), |order| order["status"] == "PAID").await;
        assert_eq!(deliveries(&server, order).await[0]["status"], "PENDING");
    }
    for status in ["SHIPPED", "DELIVERED"] {
        let (answer, _) =
            server.ask(Method::PATCH, "/orders/order-2", Some(json!({ "status": status }))).await;
        assert_eq!(answer, StatusCode::OK);
        let path = "/orders/order-2/deliveries";
        server.until(path, |list| list["deliveries"][0]["status"] == status).await;
    }
    assert_eq!(server.ask(Method::DELETE, "/orders/order-3", None).await.0, StatusCode::OK);
    let path = "/orders/order-3/deliveries";
    server.until(path, |list| list["deliveries"][0]["status"] == "CANCELLED").await;
    server.stop();
}
