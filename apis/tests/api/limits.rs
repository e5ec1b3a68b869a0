//! How many requests each caller may send.

use std::net::IpAddr;

use apis::limits::Origin;
use auth::key;
use axum::body::Body;
use axum::http::Request;
use event_store::{Added, Keys, Role};
use events::{CustomerId, Timestamp};
use serde_json::json;

use crate::world::{Reply, World};

async fn key_of(world: &World, role: Role, customer: Option<&str>) -> String {
    let customer = customer.map(|id| CustomerId::parse(id).unwrap());
    let (key, shown) = key::new("test".into(), role, customer, Timestamp::from_millis(0));
    assert_eq!(world.store.add_key(key).await, Ok(Added::New));
    shown
}

async fn get(world: &World, key: &str, path: &str) -> Reply {
    world.send(Request::get(path).header("x-api-key", key).body(Body::empty()).unwrap()).await
}

async fn from(world: &World, address: &str, path: &str) -> Reply {
    let origin = Origin(address.parse::<IpAddr>().unwrap());
    world.send(Request::get(path).extension(origin).body(Body::empty()).unwrap()).await
}

fn standing(reply: &Reply) -> (u16, &str, &str) {
    (reply.status, reply.header("ratelimit-policy"), reply.header("ratelimit"))
}

#[tokio::test]
async fn every_answer_says_what_is_left_and_who_has_nothing_left_is_told_when_to_come_back() {
    let world = World::limited("3/h");
    let key = key_of(&world, Role::Operator, None).await;
    let policy = r#""caller";q=3;w=3600"#;
    for (path, status, left) in
        [("/orders", 200, "2;t=1200"), ("/orders/none", 404, "1;t=2400"), ("/users", 403, "0;t=1200")]
    {
        let answer = get(&world, &key, path).await;
        assert_eq!(standing(&answer), (status, policy, &*format!(r#""caller";r={left}"#)), "{path}");
    }
    let refused = get(&world, &key, "/orders").await;
    assert_eq!(standing(&refused), (429, policy, r#""caller";r=0;t=1200"#));
    assert_eq!((refused.code(), refused.header("retry-after")), ("too_many_requests", "1200"));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.body["violated-policies"], json!(["caller"]));
    let other = key_of(&world, Role::Operator, None).await;
    assert_eq!(get(&world, &other, "/orders").await.status, 200, "who else there is, is not kept out");
}

#[tokio::test]
async fn a_customers_keys_share_what_the_customer_has() {
    let world = World::limited("2/h");
    let [first, second] = [
        key_of(&world, Role::Customer, Some("cust-1")).await,
        key_of(&world, Role::Customer, Some("cust-1")).await,
    ];
    let other = key_of(&world, Role::Customer, Some("cust-2")).await;
    let mut found = Vec::new();
    for key in [&first, &second, &first, &other] {
        found.push(get(&world, key, "/orders").await.status);
    }
    assert_eq!(found, [200, 200, 429, 200]);
}

#[tokio::test]
async fn admins_and_whoever_asks_whether_it_lives_are_not_limited() {
    let world = World::limited("1/h");
    let admin = key_of(&world, Role::Admin, None).await;
    for _ in 0..3 {
        for path in ["/orders", "/products"] {
            assert_eq!(standing(&get(&world, &admin, path).await), (200, "", ""));
        }
        assert_eq!(standing(&world.get("/livez").await), (200, "", ""));
        assert_eq!(standing(&world.get("/readyz").await), (200, "", ""));
    }
}

#[tokio::test]
async fn nobody_has_as_much_as_anybody_at_each_address_whatever_they_show() {
    let world = World::limited("2/h");
    assert_eq!(from(&world, "192.0.2.1", "/products").await.status, 200);
    let guess = Request::get("/orders").header("x-api-key", "sgl_guess");
    let guess = guess.extension(Origin("192.0.2.1".parse().unwrap())).body(Body::empty()).unwrap();
    assert_eq!(world.send(guess).await.status, 401);
    assert_eq!(from(&world, "192.0.2.1", "/products").await.status, 429);
    assert_eq!(from(&world, "192.0.2.1", "/nowhere").await.status, 429);
    assert_eq!(from(&world, "192.0.2.2", "/products").await.status, 200);
}

#[tokio::test]
async fn what_is_too_much_claims_nothing_and_nobody_ever_does() {
    let world = World::limited("1/h");
    let key = key_of(&world, Role::Operator, None).await;
    let post = async |key: Option<&str>| {
        let mut request = Request::post("/customers").header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        world.send(request.header("idempotency-key", "k").body("{}".into()).unwrap()).await.status
    };
    assert_eq!(post(None).await, 401);
    assert_eq!(world.store.kept_answers().len(), 0);
    assert_eq!((post(Some(&key)).await, post(Some(&key)).await), (201, 429));
    assert_eq!(world.store.kept_answers().len(), 1);
}
