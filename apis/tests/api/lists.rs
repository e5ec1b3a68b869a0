//! Lists: filters, pages, tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::Step::*;
use crate::world::World;

/// Ten orders `ord-0` … `ord-9`, a while between them; every third is cancelled.
async fn ten_orders() -> World {
    let world = World::open().await;
    for i in 0..10 {
        let id = format!("ord-{i}");
        world.place(&id).await;
        if i % 3 == 0 {
            world.bring(&id, &[Cancelled]).await;
        }
        world.project(&id).await;
    }
    world
}

fn ids(body: &Value, list: &str, key: &str) -> Vec<String> {
    body[list].as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

/// Every page of a list, by its tokens.
async fn pages(world: &World, path: &str, list: &str, key: &str) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), None);
    loop {
        let next = token.map_or_else(String::new, |token| format!("&next_token={token}"));
        let reply = world.get(&format!("{path}{next}")).await;
        assert_eq!(reply.status, 200, "{path} {}", reply.body);
        pages.push(ids(&reply.body, list, key));
        match reply.body.get("next_token") {
            Some(next) => token = Some(next.as_str().unwrap().to_owned()),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_list_newest_first() {
    let world = ten_orders().await;
    let all: Vec<String> = (0..10).rev().map(|i| format!("ord-{i}")).collect();
    for limit in [1, 3, 10, 200] {
        for path in [format!("/orders?limit={limit}"), format!("/customers/cust-1/orders?limit={limit}")] {
            let pages = pages(&world, &path, "orders", "order_id").await;
            assert!(pages.iter().all(|page| page.len() <= limit), "{path}");
            assert_eq!(pages.concat(), all, "{path}");
        }
    }
    let cancelled = pages(&world, "/orders?status=CANCELLED&limit=3", "orders", "order_id").await.concat();
    assert_eq!(cancelled, ["ord-9", "ord-6", "ord-3", "ord-0"]);
}

#[tokio::test]
async fn every_condition_must_hold() {
    let world = ten_orders().await;
    let created = |i: usize| {
        let world = &world;
        async move {
            let row = world.get(&format!("/orders/ord-{i}")).await.body;
            row["created_at"].as_str().unwrap().to_owned()
        }
    };
    let (from, until) = (created(3).await, created(6).await);
    let listed = |query: String| {
        let world = &world;
        async move { ids(&world.get(&format!("/orders?{query}")).await.body, "orders", "order_id") }
    };
    // The end of a range of moments is not part of it; a day as end is meant whole.
    assert_eq!(listed(format!("start_date={from}&end_date={until}")).await, ["ord-5", "ord-4", "ord-3"]);
    assert_eq!(listed("start_date=2010-12-01&end_date=2010-12-01".into()).await.len(), 10);
    assert_eq!(listed("start_date=2010-12-02".into()).await.len(), 0);
    assert_eq!(listed(format!("status=CANCELLED&start_date={from}&end_date={until}")).await, ["ord-3"]);
    assert_eq!(listed("customer_id=cust-1&status=PENDING_INVENTORY".into()).await.len(), 6);
    assert_eq!(listed("customer_id=cust-2".into()).await.len(), 0);
}

#[tokio::test]
async fn a_parameter_that_is_wrong_unknown_or_repeated_is_named() {
    let world = ten_orders().await;
    let token = world.get("/orders?limit=1").await.body["next_token"].as_str().unwrap().to_owned();
    let cases = [
        ("/orders?limit=0", vec!["limit"]),
        ("/orders?limit=201", vec!["limit"]),
        (
            "/orders?limit=ten&status=GONE&start_date=soon&end_date=2010-13-01",
            vec!["end_date", "limit", "start_date", "status"],
        ),
        ("/orders?limit=1&limit=2", vec!["limit"]),
        ("/orders?colour=red&size=9", vec!["colour", "size"]),
        ("/orders?status=paid", vec!["status"]),
        ("/orders?customer_id=", vec!["customer_id"]),
        ("/orders?customer_id=a%00b", vec!["customer_id"]),
        ("/orders?start_date=2010-12-02&end_date=2010-12-01T00:00:00Z", vec!["end_date"]),
        ("/orders?start_date=2010-12-02&end_date=2010-12-01", vec!["end_date"]),
        ("/orders?next_token=!", vec!["next_token"]),
        ("/orders?next_token=", vec!["next_token"]),
        ("/orders?next_token=WyJ4Il0", vec!["next_token"]),
        ("/customers/cust-1/orders?customer_id=cust-1", vec!["customer_id"]),
        ("/products?page=2", vec!["page"]),
        ("/customers?limit=-1", vec!["limit"]),
        ("/inventory/skus?limit=1.5", vec!["limit"]),
        ("/inventory/skus/lamp/ledger?after=3", vec!["after"]),
        ("/orders/ord-1?expand=all", vec!["expand"]),
        ("/orders/ord-1/events?limit=3", vec!["limit"]),
        ("/livez?x", vec!["x"]),
    ];
    for (path, wrong) in cases {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.code(), reply.wrong()), (400, "invalid_parameters", wrong), "{path}");
    }
    // A token belongs to its query; only the limit may change.
    for other in ["status=CANCELLED", "customer_id=cust-1", "start_date=2010-12-01", "end_date=2010-12-01"] {
        let reply = world.get(&format!("/orders?{other}&next_token={token}")).await;
        assert_eq!((reply.status, reply.wrong()), (400, vec!["next_token"]), "{other}");
        assert_eq!(reply.body["errors"][0]["code"], "token_of_another_query");
    }
    let elsewhere = world.get(&format!("/products?next_token={token}")).await;
    assert_eq!(elsewhere.status, 400);
    assert_eq!(world.get(&format!("/orders?limit=2&next_token={token}")).await.status, 200);
}

#[tokio::test]
async fn a_cursor_that_is_changed_anywhere_is_no_cursor() {
    let world = ten_orders().await;
    let token = world.get("/orders?limit=1").await.body["next_token"].as_str().unwrap().to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let refused = async |forged: &[u8]| {
        let forged = URL_SAFE_NO_PAD.encode(forged);
        let reply = world.get(&format!("/orders?limit=1&next_token={forged}")).await;
        (reply.status, reply.body["errors"][0]["code"] == "invalid_token")
    };
    for place in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[place] ^= 1;
        assert_eq!(refused(&forged).await, (400, true), "byte {place}");
    }
    for length in 0..bytes.len() {
        assert_eq!(refused(&bytes[..length]).await, (400, true), "{length} bytes");
    }
    // What was signed by another system is worth nothing here.
    let stranger = ten_orders().await;
    let theirs = stranger.get("/orders?limit=1").await.body["next_token"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("/orders?limit=1&next_token={theirs}")).await.status, 400);
}

#[tokio::test]
async fn customers_products_and_skus_are_paged_too() {
    let world = World::open().await;
    for i in 0..5 {
        world.post("/customers", json!({"customer_id": format!("more-{i}")})).await;
        world.post("/products", json!({"sku": format!("more-{i}"), "name": "More", "price": 1})).await;
    }
    for (path, list, key, count) in
        [("/customers", "customers", "customer_id", 6), ("/products", "products", "product_id", 7)]
    {
        let paged = pages(&world, &format!("{path}?limit=2"), list, key).await.concat();
        assert_eq!((paged.len(), paged[0].as_str()), (count, "more-4"), "{path}");
        assert_eq!(pages(&world, &format!("{path}?limit=200"), list, key).await.concat(), paged);
    }
}

#[tokio::test]
async fn orders_of_a_customer_nobody_knows_are_404_and_of_one_who_ordered_through_compat_are_not() {
    let world = World::open().await;
    assert_eq!(world.get("/customers/cust-1/orders").await.body, json!({"orders": []}));
    assert_eq!(world.get("/customers/cust-9/orders").await.status, 404);
    let order = json!({"orderId": "old-1", "sku": "lamp", "units": 1, "price": 5, "userId": "user-9"});
    assert_eq!(world.post("/api/v1/orders/placeOrder", order).await.status, 202);
    world.project("old-1").await;
    assert_eq!(ids(&world.get("/customers/user-9/orders").await.body, "orders", "order_id"), ["old-1"]);
    let none = world.get("/customers/user-9/orders?status=PAID").await;
    assert_eq!((none.status, none.body), (200, json!({"orders": []})));
}
