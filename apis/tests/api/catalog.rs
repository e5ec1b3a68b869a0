//! Customers and products.

use std::sync::Arc;

use apis::Environment;
use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use event_store::memory::MemoryStore;
use event_store::{Appended, CatalogViews, EventLog, Personal, StoreError};
use events::{CustomerId, CustomerRegistered, Event, ProductId, RecordedEvent};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_customer_is_registered_and_the_log_never_sees_who_it_is() {
    let world = World::empty();
    let ann = json!({"customer_id": "cust-1", "name": "Ann", "email": "ann@example.org", "address": "1 Street\nTown"});
    let reply = world.post("/customers", ann).await;
    assert_eq!((reply.status, reply.header("location")), (201, "/customers/cust-1"));
    assert_eq!([&reply.body["name"], &reply.body["erased"]], [&json!("Ann"), &json!(false)]);
    assert_eq!(world.get("/customers/cust-1").await.body, reply.body);
    assert_eq!(world.get("/customers").await.body, json!({"customers": [reply.body]}));
    let stream = world.store.read_stream("EVENTS#CUSTOMER_ID#cust-1").await.unwrap();
    assert_eq!(stream.iter().map(|item| &*item.data).collect::<Vec<_>>(), [r#"{"customer_id":"cust-1"}"#]);
}

#[tokio::test]
async fn registering_again_is_fine_and_as_somebody_else_is_a_conflict() {
    let world = World::empty();
    let ann = json!({"customer_id": "cust-1", "name": "Ann"});
    let first = world.post("/customers", ann.clone()).await;
    let again = world.post("/customers", ann).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    for other in [json!({"name": "Bob"}), json!({"name": "Ann", "address": "Here"}), json!({})] {
        let mut other = other;
        other["customer_id"] = json!("cust-1");
        let reply = world.post("/customers", other).await;
        assert_eq!((reply.status, reply.code()), (409, "customer_exists"));
    }
    assert_eq!(world.get("/customers/cust-1").await.body["name"], "Ann");
    assert_eq!(world.size().await, 1);
}

#[tokio::test]
async fn a_registration_that_broke_off_is_completed_by_its_repeat() {
    let world = World::empty();
    let customer_id = CustomerId::parse("cust-1").unwrap();
    world.append(Event::CustomerRegistered(CustomerRegistered { customer_id: customer_id.clone() })).await;
    // Its row is not there yet; the log knows the customer.
    assert_eq!(world.get("/customers/cust-1").await.status, 200);
    let reply = world.post("/customers", json!({"customer_id": "cust-1", "name": "Ann"})).await;
    assert_eq!((reply.status, &reply.body["name"]), (200, &json!("Ann")));
    let row = world.store.customer(&customer_id).await.unwrap().unwrap();
    assert_eq!(row.personal, called("Ann"));
}

/// A log during whose reads somebody else tells who a customer is.
struct ToldMeanwhile(Arc<MemoryStore>);

#[async_trait]
impl EventLog for ToldMeanwhile {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        self.0.append(event).await
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let stream = self.0.read_stream(pk).await?;
        if let Some(row) = views::project::customer_row(&stream) {
            self.0.put_customer(row.clone()).await?;
            self.0.put_personal(&row.customer_id, called("Bea")).await?;
        }
        Ok(stream)
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        self.0.read_slot(pk, sk).await
    }
}

fn called(name: &str) -> Personal {
    Personal { name: Some(name.into()), ..Personal::default() }
}

#[tokio::test]
async fn of_two_who_register_one_customer_at_once_only_who_is_believed_hears_so() {
    let ann = json!({"customer_id": "cust-1", "name": "Ann"});
    let told_meanwhile =
        || World::over(Arc::default(), Environment::Dev, |store| Arc::new(ToldMeanwhile(store)));

    // Whoever registered them did so, and sees what is known.
    let world = told_meanwhile();
    let reply = world.post("/customers", ann.clone()).await;
    assert_eq!((reply.status, &reply.body["name"]), (201, &json!("Bea")));

    let world = told_meanwhile();
    let customer_id = CustomerId::parse("cust-1").unwrap();
    world.append(Event::CustomerRegistered(CustomerRegistered { customer_id: customer_id.clone() })).await;
    let reply = world.post("/customers", ann).await;
    assert_eq!((reply.status, reply.code()), (409, "customer_exists"));
    assert_eq!(world.store.customer(&customer_id).await.unwrap().unwrap().personal, called("Bea"));
}

#[tokio::test]
async fn a_customer_without_an_id_gets_one() {
    let world = World::empty();
    let reply = world.post("/customers", json!({})).await;
    assert_eq!(reply.status, 201);
    assert!(reply.body["customer_id"].as_str().unwrap().starts_with("cus-"));
    assert_eq!(world.get(reply.header("location")).await.body, reply.body);
}

#[tokio::test]
async fn a_product_can_be_ordered_as_soon_as_it_is_listed_and_not_after_it_is_withdrawn() {
    let world = World::empty();
    let hat = json!({"sku": "hat-1", "name": "A hat", "price": 9.5, "currency": "EUR"});
    let listed = world.post("/products", hat.clone()).await;
    assert_eq!((listed.status, listed.header("location")), (201, "/products/hat-1"));
    assert_eq!(
        [&listed.body["product_id"], &listed.body["price"], &listed.body["withdrawn"]],
        [&json!("hat-1"), &json!(9.5), &json!(false)]
    );
    assert_eq!(world.post("/products", hat).await.status, 200);
    assert_eq!(world.get("/products/hat-1").await.body, listed.body);
    assert_eq!(world.get("/products/name/A%20hat").await.body, listed.body);

    world.post("/customers", json!({"customer_id": "cust-1"})).await;
    let order = json!({"customer_id": "cust-1", "items": [{"sku": "hat-1", "quantity": 2}]});
    assert_eq!(world.post("/orders", order.clone()).await.body["total"], json!(19));

    for _ in 0..2 {
        let withdrawn = world.delete("/products/hat-1").await;
        assert_eq!((withdrawn.status, &withdrawn.body["withdrawn"]), (200, &json!(true)));
    }
    assert_eq!(world.post("/orders", order).await.code(), "unknown_sku");
    assert_eq!(world.get("/products/name/A%20hat").await.status, 404);
    assert_eq!(world.get("/products/hat-1").await.body["withdrawn"], json!(true));
    assert_eq!(world.delete("/products/none").await.code(), "product_not_found");
}

#[tokio::test]
async fn a_name_that_is_longer_than_any_is_asked_for_nowhere() {
    let world = World::open().await;
    let mut row = world.store.product(&ProductId::parse("lamp").unwrap()).await.unwrap().unwrap();
    for (length, status) in [(200, 200), (201, 404)] {
        row.name = "é".repeat(length);
        row.seen += 1;
        world.store.put_product(row.clone()).await.unwrap();
        let found = world.get(&format!("/products/name/{}", "%C3%A9".repeat(length))).await;
        assert_eq!(found.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_price_that_changes_counts_for_later_orders_alone() {
    let world = World::open().await;
    let before = world.place("ord-1").await;
    let dearer = world.patch("/products/lamp", json!({"price": 25})).await;
    assert_eq!(
        (dearer.status, &dearer.body["price"], &dearer.body["currency"]),
        (200, &json!(25), &json!("GBP"))
    );
    assert_eq!(dearer.body["name"], "A lamp");
    assert_eq!(world.get("/products/lamp").await.body, dearer.body);
    assert_eq!(world.get("/products/name/A%20lamp").await.body, dearer.body);
    assert_eq!(world.get("/orders/ord-1").await.body["total"], before.body["total"]);
    assert_eq!(world.place("ord-1").await.body["total"], before.body["total"], "a repeat is the same order");
    let after = world.place("ord-2").await;
    assert_eq!([&before.body["total"], &after.body["total"]], [&json!(25.99), &json!(31)]);
    let euros = world.patch("/products/lamp", json!({"price": 25, "currency": "EUR"})).await;
    assert_eq!([&euros.body["price"], &euros.body["currency"]], [&json!(25), &json!("EUR")]);
}

#[tokio::test]
async fn changing_a_price_to_what_it_is_changes_nothing() {
    let world = World::open().await;
    let first = world.patch("/products/lamp", json!({"price": 25})).await;
    let size = world.size().await;
    let again = world.patch("/products/lamp", json!({"price": 25.00, "currency": "GBP"})).await;
    assert_eq!((again.status, &again.body, world.size().await), (200, &first.body, size));
    // Back and forth are two changes.
    assert_eq!(world.patch("/products/lamp", json!({"price": 19.99})).await.status, 200);
    assert_eq!(world.patch("/products/lamp", json!({"price": 25})).await.body["price"], 25);
    assert_eq!(world.size().await, size + 2);
}

#[tokio::test]
async fn a_price_is_changed_from_the_version_that_was_read_or_not_at_all() {
    let world = World::open().await;
    let version = world.get("/products/lamp").await.header("etag").to_owned();
    let conditional = |price: u32| {
        let request = Request::patch("/products/lamp").header("if-match", &version);
        let body = json!({ "price": price }).to_string();
        request.header("content-type", "application/json").body(Body::from(body)).unwrap()
    };
    let first = world.send(conditional(25)).await;
    assert_eq!((first.status, first.header("etag")), (200, "\"2\""));
    let withdrawal = Request::delete("/products/lamp").header("if-match", &version).body(Body::empty());
    assert_eq!(world.send(withdrawal.unwrap()).await.code(), "precondition_failed");
    let late = world.send(conditional(30)).await;
    assert_eq!(
        (late.status, late.code(), &late.body["current_etag"]),
        (412, "precondition_failed", &json!("\"2\""))
    );
    // What it wants is so already: an answer that was lost.
    assert_eq!(world.send(conditional(25)).await.status, 200);
    assert_eq!(world.get("/products/lamp").await.body["price"], 25);
}

#[tokio::test]
async fn only_what_can_be_ordered_has_a_price_to_change() {
    let world = World::open().await;
    let unknown = world.patch("/products/none", json!({"price": 1})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "product_not_found"));
    world.delete("/products/lamp").await;
    let size = world.size().await;
    let withdrawn = world.patch("/products/lamp", json!({"price": 1})).await;
    assert_eq!((withdrawn.status, withdrawn.code()), (409, "product_withdrawn"));
    for (body, wrong) in [
        (json!({}), "/price"),
        (json!({"price": -1}), "/price"),
        (json!({"price": 1.999}), "/price"),
        (json!({"price": 1, "name": "Other"}), "/name"),
        (json!({"price": 1, "currency": "pounds"}), "/currency"),
    ] {
        let reply = world.patch("/products/sock", body.clone()).await;
        assert_eq!((reply.status, reply.wrong()), (422, vec![wrong]), "{body}");
    }
    assert_eq!(world.size().await, size);
}

#[tokio::test]
async fn a_forged_change_of_price_stands_in_nobodys_way() {
    let world = World::open().await;
    for (revision, data) in [(1, json!("nonsense")), (2, json!({"product_id": "other"}))] {
        let sk = format!("EVENT#ProductRepriced#{revision}");
        let raw =
            json!({"pk": "EVENTS#PRODUCT_ID#lamp", "sk": sk, "event_name": "ProductRepriced", "data": data});
        assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    }
    let changed = world.patch("/products/lamp", json!({"price": 25})).await;
    assert_eq!((changed.status, &changed.body["price"]), (200, &json!(25)));
    let last = json!({"product_id": "sock", "revision": u32::MAX, "price": 1, "currency": "GBP"});
    let sk = format!("EVENT#ProductRepriced#{}", u32::MAX);
    let raw =
        json!({"pk": "EVENTS#PRODUCT_ID#sock", "sk": sk, "event_name": "ProductRepriced", "data": last});
    assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    let refused = world.patch("/products/sock", json!({"price": 3})).await;
    assert_eq!((refused.status, refused.code()), (409, "slot_taken"));
}

#[tokio::test]
async fn a_product_id_stands_for_one_content() {
    let world = World::empty();
    let hat = json!({"product_id": "prod-1", "sku": "hat-1", "name": "A hat", "price": 9.5});
    assert_eq!(world.post("/products", hat.clone()).await.body["currency"], "USD");
    for (field, other) in
        [("price", json!(9)), ("name", json!("Hat")), ("sku", json!("hat-2")), ("currency", json!("EUR"))]
    {
        let mut changed = hat.clone();
        changed[field] = other;
        let reply = world.post("/products", changed).await;
        assert_eq!((reply.status, reply.code()), (409, "product_exists"), "{field}");
        assert!(reply.body["detail"].as_str().unwrap().contains("DELETE /products/{id}"));
    }
    assert_eq!(world.size().await, 1);
}
