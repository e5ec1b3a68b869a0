//! No input breaks it.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::world::World;

/// Names of fields, some of them of these routes, so that bodies come close to what is accepted.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "customer_id",
        "items",
        "order_id",
        "priority",
        "sku",
        "quantity",
        "units",
        "lot_id",
        "product_id",
        "name",
        "price",
        "currency",
        "email",
        "address",
        "status",
        "reason",
        "carrier",
        "pk",
        "sk",
        "event_name",
        "data",
        "schema_version",
        "orderId",
        "userId",
        "lotId",
        "limit",
        "sortDirection",
        "eventName",
        "eventData",
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
    ];
    prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let words = [
        "lamp",
        "sock",
        "cust-1",
        "ord-1",
        "express",
        "GBP",
        "CANCELLED",
        "asc",
        "EVENTS#ORDER_ID#ord-1",
        "EVENT#OrderPlaced",
        "OrderPlaced",
        "ORDER_PLACED_EVENT",
        "\0\0\0\0",
        "a@b",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..5).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A body that would be accepted, with one field replaced.
fn nearly() -> impl Strategy<Value = Value> {
    let good = [
        json!({"order_id": "ord-1", "customer_id": "cust-1", "items": [{"sku": "lamp", "quantity": 1}], "priority": "express"}),
        json!({"sku": "lamp", "units": 3, "lot_id": "lot-1"}),
        json!({"items": [{"sku": "lamp", "quantity": 1}]}),
        json!({"customer_id": "cust-2", "name": "Bob", "email": "b@c"}),
        json!({"product_id": "prod-2", "sku": "lamp", "name": "A lamp", "price": 1.5}),
        json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#OrderPlaced", "event_name": "OrderPlaced", "data": {}}),
        json!({"orderId": "ord-1", "sku": "lamp", "units": 1, "price": 5, "userId": "cust-1"}),
        json!({"sku": "lamp", "units": 1, "lotId": "lot-1"}),
        json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#OrderPlaced", "eventName": "ORDER_PLACED_EVENT",
            "eventData": {"orderId": "ord-1", "sku": "lamp", "units": 1, "price": 5, "userId": "cust-1"}}),
        json!({"status": "SHIPPED"}),
    ];
    (select(good.to_vec()), name(), value(), any::<bool>()).prop_map(|(mut body, name, value, change)| {
        if change {
            body[name] = value;
        }
        body
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let text = |value: Value| value.to_string().into_bytes();
    prop_oneof![
        2 => vec(any::<u8>(), 0..64),
        2 => "[\\[\\]{}\",:0-9eE.\\\\ a-z-]{0,40}".prop_map(String::into_bytes),
        4 => value().prop_map(text),
        6 => nearly().prop_map(text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn no_body_breaks_a_route_and_what_is_refused_leaves_no_trace(body in body()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::open().await;
            for (method, path) in apis::routes().into_iter().filter(|(method, _)| ["POST", "PATCH"].contains(method)) {
                let path = path.replace("{id}", "ord-1");
                let size = world.size().await;
                let reply = world.text(method, &path, body.clone()).await;
                prop_assert!(reply.status < 500, "{} {} {}", method, path, reply.body);
                if reply.status >= 400 {
                    prop_assert_eq!(world.size().await, size, "{} {} {}", method, path, reply.body);
                }
            }
            // Whatever is in the log now, it can be read.
            for path in ["/orders/ord-1", "/orders/ord-1/events", "/orders/ord-1/payments", "/customers", "/products"] {
                let reply = world.get(path).await;
                prop_assert!(reply.status < 500, "{} {}", path, reply.body);
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_path_or_query_breaks_it(path in "(/(orders|customers|products|inventory|skus|name|%[0-9A-F]{2}|[!-~&&[^#?]]{0,8})){1,5}(\\?[!-~&&[^#]]{0,30})?") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::empty();
            let Ok(uri) = path.parse::<axum::http::Uri>() else { return Ok(()) };
            for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
                let request = axum::http::Request::builder().method(method).uri(uri.clone());
                let reply = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
                prop_assert!(reply.status < 500, "{} {} {}", method, path, reply.body);
            }
            Ok(())
        })?;
    }
}
