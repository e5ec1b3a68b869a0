//! The description of the API: it is whole, and what it shows is so. That answers are what it says, every other test of this
//! suite looks at; see [`crate::described`].

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use event_store::{Added, Key, KeyRow, Keys, Role};
use events::{Event, LotId, Quantity, Sku, StockDelta, StockReceived, Timestamp};
use serde_json::{Value, json};

use crate::described::{DESCRIPTION, fits, meant};
use crate::world::Step::*;
use crate::world::{Reply, World};

fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, said)| (method.to_uppercase(), path.as_str(), said))
    })
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let mut described: Vec<_> = operations().map(|(method, path, _)| (method, path.to_owned())).collect();
    let mut routes: Vec<_> =
        apis::routes().into_iter().map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    described.sort_unstable();
    routes.sort_unstable();
    assert_eq!(described, routes);
}

#[test]
fn nothing_is_left_out_of_the_description_and_nothing_is_said_of_what_is_not_there() {
    assert_eq!(apis::mistakes(&[]), Vec::<String>::new());
}

#[test]
fn what_several_routes_refuse_in_the_same_words_is_said_once() {
    let mut said = BTreeSet::new();
    for (method, path, operation) in operations() {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let is_refusal = answer["content"].get("application/problem+json").is_some();
            assert!(!is_refusal || said.insert((status, answer.to_string())), "{method} {path} {status}");
        }
    }
}

#[test]
fn it_says_where_the_routes_are_wherever_it_was_found() {
    // A relative address is one beside the document's own. Source: RFC 3986, section 5.4.
    assert_eq!(DESCRIPTION["servers"][0]["url"], ".");
}

#[test]
fn every_example_of_an_answer_fits_its_schema() {
    let mut examples = 0;
    for (method, path, operation) in operations() {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = meant(answer);
            for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                let several = content["examples"].as_object().into_iter().flat_map(|named| named.values());
                for example in content.get("example").into_iter().chain(several.map(|named| &named["value"]))
                {
                    fits(&content["schema"], example)
                        .unwrap_or_else(|wrong| panic!("{method} {path} {status} {kind}: {wrong}"));
                    examples += 1;
                }
            }
        }
    }
    assert!(examples > 300, "{examples}");
}

#[tokio::test]
async fn it_is_served_to_everybody_as_it_is() {
    let world = World::guarded(apis::access::Guard::Here);
    let reply = world.get("/openapi.json").await;
    assert_eq!((reply.status, &reply.body), (200, &*DESCRIPTION));
    assert_eq!(reply.header("content-type"), "application/json");
}

/// What the examples speak of.
async fn furnished() -> World {
    let world = World::empty();
    let product = json!({ "product_id": "teapot", "sku": "TEAPOT-RED", "name": "Red teapot", "price": 25.5 });
    let order = json!({
        "order_id": "order-0001", "customer_id": "anna-1", "items": [{ "sku": "TEAPOT-RED", "quantity": 2 }],
    });
    for (path, body) in [
        ("/customers", json!({ "customer_id": "anna-1", "name": "Anna" })),
        ("/products", product),
        ("/orders", order),
    ] {
        assert_eq!(world.post(path, body).await.status, 201, "{path}");
    }
    let (sku, units) = (Sku::parse("TEAPOT-RED").unwrap(), Quantity::new(10).unwrap());
    let lot_id = LotId::parse("lot-0001").unwrap();
    let counters = vec![StockDelta::receive(&sku, units)];
    world.append_moving(Event::StockReceived(StockReceived { sku, units, lot_id }), counters).await;
    let row = KeyRow {
        key_id: "4f0a1c2b3d4e5f60".into(),
        name: "the packers".into(),
        role: Role::Operator,
        customer_id: None,
        created_at: Timestamp::from_millis(0),
        revoked_at: None,
    };
    assert_eq!(world.store.add_key(Key { row, secret_hash: String::new() }).await, Ok(Added::New));
    world
}

/// The same, with somebody who can log in where that takes one.
async fn furnished_for(path: &str) -> World {
    let world = furnished().await;
    if ["/login", "/users/{name}"].contains(&path) {
        let user = json!({ "username": "anna", "password": "correct horse battery" });
        assert_eq!(world.post("/users", user).await.status, 201);
    }
    world
}

/// Asks for a route as it is described, with an example of a body.
async fn ask(world: &World, method: &str, path: &str, said: &Value, body: Option<&Value>) -> Reply {
    let mut path = path.to_owned();
    for parameter in said["parameters"].as_array().unwrap().iter().filter(|said| said["in"] == "path") {
        let example = parameter["example"].as_str().unwrap().replace(' ', "%20");
        path = path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &example);
    }
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    world.send(request.body(body.map_or(Body::empty(), |body| body.to_string().into())).unwrap()).await
}

#[tokio::test]
async fn every_example_of_a_request_is_accepted() {
    for (method, path, said) in operations() {
        let Some(examples) = said["requestBody"]["content"]["application/json"]["examples"].as_object()
        else {
            let reply = ask(&furnished_for(path).await, &method, path, said, None).await;
            assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
            continue;
        };
        for example in examples.values().map(|named| &named["value"]) {
            let world = furnished_for(path).await;
            if let (true, Some(status)) = (method == "PATCH", example["status"].as_str()) {
                let before: &[_] = match status {
                    "PAID" => &[Requested, Reserved],
                    "SHIPPED" => &[Requested, Reserved, Paid, Committed],
                    "DELIVERED" => &[Requested, Reserved, Paid, Committed, Shipped],
                    _ => &[],
                };
                world.bring("order-0001", before).await;
            }
            let reply = ask(&world, &method, path, said, Some(example)).await;
            assert!((200..300).contains(&reply.status), "{method} {path} {example}: {}", reply.body);
            let schema = &said["requestBody"]["content"]["application/json"]["schema"];
            fits(schema, example).unwrap_or_else(|wrong| panic!("{method} {path} {example}: {wrong}"));
        }
    }
}
