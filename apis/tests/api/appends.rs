//! Which request appends which event.

use apis::appends::APPENDS;
use event_store::{ChangeFeed, Position};
use events::EventName;
use serde_json::{Value, json};

use crate::world::Step::{Paid, Reserved, Shipped};
use crate::world::{Step, World};

/// A request after which the event is there: what the order has come to before, the method, the path and the body.
fn request(event: EventName, method: &str, path: &str) -> (&'static [Step], String, Value) {
    let path = path.replace("{id}", if path.starts_with("/customers") { "cust-1" } else { "ord-1" });
    let order =
        json!({ "order_id": "ord-2", "customer_id": "cust-1", "items": [{ "sku": "lamp", "quantity": 1 }] });
    let lot = json!({ "sku": "lamp", "units": 3, "lot_id": "lot-1" });
    let of_old = json!({ "orderId": "ord-2", "sku": "lamp", "units": 2, "price": 25.99, "userId": "user-1" });
    let lot_of_old = json!({ "sku": "lamp", "units": 3, "lotId": "lot-1" });
    let product = json!({ "sku": "vase", "name": "A vase", "price": 3, "currency": "GBP" });
    let (steps, body): (&[Step], Value) = match (event, path.as_str()) {
        (EventName::OrderPlaced, "/orders") => (&[], order),
        (EventName::OrderPlaced, _) => (&[], of_old),
        (EventName::ManualPaymentRecorded, _) => (&[Reserved], json!({ "status": "PAID" })),
        (EventName::OrderShipped, _) => (&[Reserved, Paid], json!({ "status": "SHIPPED" })),
        (EventName::OrderDelivered, _) => (&[Reserved, Paid, Shipped], json!({ "status": "DELIVERED" })),
        (EventName::OrderCancelled, _) if method == "PATCH" => (&[], json!({ "status": "CANCELLED" })),
        (EventName::SkuRestocked, "/inventory/restocks") => (&[], lot),
        (EventName::SkuRestocked, _) => (&[], lot_of_old),
        (EventName::CustomerRegistered, "/users") => {
            (&[], json!({ "username": "boris", "password": "a long password" }))
        }
        (EventName::CustomerRegistered, _) => (&[], json!({ "customer_id": "cust-2", "name": "Bo" })),
        (EventName::ProductListed, _) => (&[], product),
        (EventName::ProductRepriced, _) => {
            return (&[], "/products/lamp".to_owned(), json!({ "price": 3 }));
        }
        (EventName::ProductWithdrawn, _) => return (&[], "/products/lamp".to_owned(), Value::Null),
        (EventName::OrderCancelled | EventName::CustomerErased, _) => (&[], Value::Null),
        (other, path) => panic!("no request is known here after which {other} is there: {method} {path}"),
    };
    (steps, path, body)
}

#[tokio::test]
async fn a_request_appends_the_event_that_the_table_says_and_no_other() {
    for (event, method, path) in APPENDS {
        assert!(apis::routes().contains(&(*method, *path)), "{method} {path}");
        let world = World::open().await;
        world.place("ord-1").await;
        let (steps, path, body) = request(*event, method, path);
        world.bring("ord-1", steps).await;
        let before = world.store.head().await.unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = world.text(method, &path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        let Position(known) = world.store.head().await.unwrap();
        assert_eq!(known, before.0 + 1, "{method} {path}");
        let appended = world.store.follow(before, 10).await.unwrap();
        assert_eq!(appended[0].1.event().unwrap().name(), *event, "{method} {path}");
    }
}
