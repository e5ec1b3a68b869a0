//! Erasing a customer: who it was is nowhere any more, and what was ordered stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use apis::Environment;
use apis::access::Guard;
use async_trait::async_trait;
use auth::key;
use axum::body::Body;
use axum::http::Request;
use event_store::memory::MemoryStore;
use event_store::{Added, CatalogViews, Key, KeyRow, Keys, Page, Personal, Role, StoreError, Users, Window};
use events::{CustomerErased, CustomerId, Event, Timestamp};
use serde_json::{Value, json};

use crate::world::{Log, Reply, World};

const ANN: [&str; 3] = ["Ann Secret", "ann@secret.example", "1 Secret Street"];

fn ann() -> Value {
    json!({ "customer_id": "cust-9", "name": ANN[0], "email": ANN[1], "address": ANN[2] })
}

async fn under_a_key(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    let request = Request::builder().method(method).uri(path).header("idempotency-key", "k");
    world
        .send(request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn who_was_erased_is_nobody_and_their_orders_stay() {
    let world = World::open().await;
    assert_eq!(under_a_key(&world, "POST", "/customers", &ann()).await.status, 201);
    let order = json!({ "order_id": "order-9", "customer_id": "cust-9", "items": [{ "sku": "lamp", "quantity": 1 }] });
    assert_eq!(world.post("/orders", order.clone()).await.status, 201);
    world.project("order-9").await;

    let erased = world.delete("/customers/cust-9").await;
    assert_eq!((erased.status, &erased.body["erased"]), (200, &json!(true)));
    let id = CustomerId::parse("cust-9").unwrap();
    assert_eq!(world.store.customer(&id).await.unwrap().unwrap().personal, Personal::default());
    for path in [
        "/customers/cust-9",
        "/customers",
        "/customers/cust-9/orders",
        "/orders/order-9",
        "/orders/order-9/events",
    ] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(ANN.iter().all(|word| !reply.body.to_string().contains(word)), "{path}: {}", reply.body);
    }
    let kept = format!("{:?}", world.store.kept_answers());
    assert!(kept.contains("cust-9") && ANN.iter().all(|word| !kept.contains(word)), "{kept}");
    assert_eq!(world.get("/orders/order-9").await.body["customer_id"], "cust-9");

    let again = world.post("/customers", ann()).await;
    assert_eq!((again.status, again.code()), (409, "customer_erased"));
    let more = json!({ "customer_id": "cust-9", "items": [{ "sku": "lamp", "quantity": 1 }] });
    let refused = world.post("/orders", more).await;
    assert_eq!((refused.status, refused.code()), (422, "unknown_customer"));
    assert_eq!(world.post("/orders", order).await.status, 200, "what was ordered before is still a repeat");
}

#[tokio::test]
async fn erasing_again_erases_what_an_earlier_try_left() {
    let world = World::open().await;
    assert_eq!(world.post("/customers", ann()).await.status, 201);
    assert_eq!(world.delete("/customers/cust-9").await.status, 200);
    let size = world.size().await;
    assert_eq!(world.delete("/customers/cust-9").await.status, 200);
    assert_eq!(world.size().await, size);
    let nobody = world.delete("/customers/cust-8").await;
    assert_eq!((nobody.status, nobody.code()), (404, "customer_not_found"));
}

#[tokio::test]
async fn whoever_is_erased_while_they_register_was_registered_and_nothing_of_them_is_kept() {
    let world = World::empty();
    let id = CustomerId::parse("cust-9").unwrap();
    let erased = Event::CustomerErased(CustomerErased { customer_id: id.clone() });
    let erased = world.by_a_rival(erased);
    let world = World::over(world.store.clone(), Environment::Dev, |store| {
        Arc::new(Log::Racing(store, Mutex::new(vec![erased])))
    });
    let registered = world.post("/customers", ann()).await;
    assert_eq!((registered.status, &registered.body["erased"]), (201, &json!(true)));
    assert!(ANN.iter().all(|word| !registered.body.to_string().contains(word)), "{}", registered.body);
    assert_eq!(world.store.customer(&id).await.unwrap().unwrap().personal, Personal::default());
    assert_eq!(world.size().await, 2);
}

#[tokio::test]
async fn whoever_could_act_for_an_erased_customer_is_gone_too() {
    let world = World::guarded(Guard::Here);
    let keys = [(Role::Admin, None), (Role::Customer, Some("cust-9")), (Role::Customer, Some("cust-8"))];
    let mut shown = Vec::new();
    for (role, customer) in keys {
        let customer = customer.map(|id| CustomerId::parse(id).unwrap());
        let (key, text) = key::new("test".into(), role, customer, Timestamp::from_millis(0));
        assert_eq!(world.store.add_key(key).await, Ok(Added::New));
        shown.push(text);
    }
    let ask = async |key: &str, method: &str, path: &str, body: &Value| {
        let request = Request::builder().method(method).uri(path).header("x-api-key", key);
        let request = request.header("idempotency-key", "k").header("content-type", "application/json");
        world.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let [admin, _, stranger] = &shown[..] else { panic!("three keys") };
    assert_eq!(ask(admin, "POST", "/customers", &ann()).await.status, 201);
    let berta = json!({ "username": "berta@secret.example", "password": "correct horse battery", "name": "Berta Secret" });
    let made = ask(admin, "POST", "/users", &berta).await;
    assert_eq!(made.status, 201);
    let berta = format!("/customers/{}", made.body["customer_id"].as_str().unwrap());

    assert_eq!(ask(stranger, "DELETE", "/customers/cust-9", &Value::Null).await.status, 404);
    for path in ["/customers/cust-9", &berta] {
        assert_eq!(ask(admin, "DELETE", path, &Value::Null).await.status, 200);
    }
    let all = Window { limit: 10, ..Window::default() };
    assert_eq!(world.store.users(&all).await.unwrap().rows, []);
    let left = world.store.keys(&all).await.unwrap().rows;
    assert_eq!(left.len(), 2, "the admin's, and the stranger's");
    assert!(
        left.iter().all(|key| key.customer_id.as_ref().is_none_or(|id| id.as_str() == "cust-8")),
        "{left:?}"
    );
    assert_eq!(ask(&shown[1], "GET", "/customers/cust-9", &Value::Null).await.status, 401);
    let kept = format!("{:?}", world.store.kept_answers());
    assert!(kept.contains("cust-9") && !kept.contains("ecret"), "{kept}");
    // Nor can anybody be made later who would act for them.
    let late = json!({ "name": "late", "role": "customer", "customer_id": "cust-9" });
    assert_eq!(ask(admin, "POST", "/keys", &late).await.code(), "customer_erased");
    let late = json!({ "username": "late", "password": "correct horse battery", "role": "customer", "customer_id": "cust-9" });
    assert_eq!(ask(admin, "POST", "/users", &late).await.code(), "customer_erased");
    assert_eq!(world.store.users(&all).await.unwrap().rows, []);
}

#[tokio::test]
async fn customers_erase_themselves() {
    let world = World::guarded(Guard::Here);
    let body = json!({ "username": "berta", "password": "correct horse battery", "name": "Berta Secret" });
    let registered = world.post("/users", body.clone()).await;
    assert_eq!(registered.status, 201);
    let path = format!("/customers/{}", registered.body["customer_id"].as_str().unwrap());
    let token = world.post("/login", body).await;
    assert_eq!(token.status, 422, "a login has no name");
    let login = json!({ "username": "berta", "password": "correct horse battery" });
    let token = world.post("/login", login.clone()).await.body["token"].as_str().unwrap().to_owned();
    let request = Request::delete(&path).header("authorization", format!("Bearer {token}"));
    assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(world.post("/login", login).await.code(), "invalid_login");
}

#[tokio::test]
async fn whoever_registers_under_a_name_that_was_erased_is_let_in_at_once_and_the_old_token_never_again() {
    let world = World::guarded(Guard::Here);
    let login = json!({ "username": "berta", "password": "correct horse battery" });
    let me = async |token: &str| {
        let request = Request::get("/users/me").header("authorization", format!("Bearer {token}"));
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let registered = world.post("/users", login.clone()).await;
        assert_eq!(registered.status, 201);
        let token = world.post("/login", login.clone()).await.body["token"].as_str().unwrap().to_owned();
        assert_eq!(me(&token).await.body["customer_id"], registered.body["customer_id"]);
        tokens.push((token, format!("/customers/{}", registered.body["customer_id"].as_str().unwrap())));
        if let [(token, path)] = &tokens[..] {
            let request = Request::delete(path).header("authorization", format!("Bearer {token}"));
            assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, 200);
            assert_eq!(me(token).await.status, 401, "nor is it remembered for a while");
        }
    }
    assert_eq!((me(&tokens[0].0).await.status, me(&tokens[1].0).await.status), (401, 200));
}

/// Keys of which the first one is stored and nobody hears so, and which somebody takes away before it is looked up.
struct Interrupted {
    store: Arc<MemoryStore>,
    loses_an_answer: AtomicBool,
    forgets: Mutex<Option<CustomerId>>,
}

impl Interrupted {
    /// A world with such keys.
    fn world(forgets: Option<CustomerId>) -> World {
        let world = World::empty();
        let store = world.store.clone();
        let keys =
            Interrupted { store, loses_an_answer: AtomicBool::new(true), forgets: Mutex::new(forgets) };
        world.with(|access| access.keys = Arc::new(keys))
    }
}

#[async_trait]
impl Keys for Interrupted {
    async fn add_key(&self, key: Key) -> Result<Added, StoreError> {
        let added = self.store.add_key(key).await?;
        if self.loses_an_answer.swap(false, Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the answer was lost".into()));
        }
        Ok(added)
    }

    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        let forgotten = self.forgets.lock().unwrap().take();
        if let Some(customer) = forgotten {
            self.store.forget_customer(&customer).await?;
        }
        self.store.key(key_id).await
    }

    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        self.store.keys(window).await
    }

    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        self.store.revoke_key(key_id, at).await
    }
}

#[tokio::test]
async fn a_key_whose_making_broke_off_is_the_same_when_it_is_asked_for_again() {
    for forgets in [None, Some(CustomerId::parse("cust-1").unwrap())] {
        let world = Interrupted::world(forgets);
        let key = json!({ "name": "a till", "role": "customer", "customer_id": "cust-1" });
        let lost = under_a_key(&world, "POST", "/keys", &key).await;
        assert_eq!(lost.status, 503);
        let again = under_a_key(&world, "POST", "/keys", &key).await;
        assert_eq!(again.status, 201);
        let shown = key::ApiKey::read(again.body["api_key"].as_str().unwrap()).unwrap();
        let stored = world.store.keys(&Window { limit: 10, ..Window::default() }).await.unwrap().rows;
        assert_eq!(stored.iter().map(|row| row.key_id.as_str()).collect::<Vec<_>>(), [shown.id]);
        let kept = world.store.key(shown.id).await.unwrap().unwrap();
        assert!(shown.is(&kept.secret_hash));
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_before_anybody_was_shown_it_is_not_shown() {
    let world = Interrupted::world(None);
    let key = json!({ "name": "the packers", "role": "operator" });
    assert_eq!(under_a_key(&world, "POST", "/keys", &key).await.status, 503);
    let unknown = world.store.keys(&Window { limit: 10, ..Window::default() }).await.unwrap().rows;
    world.store.revoke_key(&unknown[0].key_id, Timestamp::from_millis(5)).await.unwrap();
    let again = under_a_key(&world, "POST", "/keys", &key).await;
    assert_eq!((again.status, again.code(), &again.body["api_key"]), (409, "key_revoked", &Value::Null));
}

#[tokio::test]
async fn what_an_erased_user_tried_is_forgotten_with_them() {
    let world = World::guarded(Guard::Here);
    let body = json!({ "username": "berta", "password": "correct horse battery" });
    let registered = world.post("/users", body).await;
    let wrong = json!({ "username": "berta", "password": "wrong horse battery!!" });
    assert_eq!(world.post("/login", wrong).await.status, 401);
    // Those that are counted by where they come from name nobody.
    let at_names = || world.store.known_tries().into_iter().filter(|whose| !whose.contains(" from "));
    assert_eq!(at_names().count(), 1);
    assert!(!at_names().any(|whose| whose.contains("berta")), "a name may be somebody's address");
    let (admin, shown) = key::new("test".into(), Role::Admin, None, Timestamp::from_millis(0));
    assert_eq!(world.store.add_key(admin).await, Ok(Added::New));
    let path = format!("/customers/{}", registered.body["customer_id"].as_str().unwrap());
    let request = Request::delete(path).header("x-api-key", shown).body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status, 200);
    assert_eq!(at_names().collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_customers_key_is_called_is_in_no_kept_answer() {
    let world = World::open().await;
    let key = json!({ "name": "Ann Secret", "role": "customer", "customer_id": "cust-1" });
    let made = under_a_key(&world, "POST", "/keys", &key).await;
    assert_eq!((made.status, &made.body["name"]), (201, &json!("Ann Secret")));
    let path = format!("/keys/{}", made.body["key_id"].as_str().unwrap());
    assert_eq!(under_a_key(&world, "DELETE", &path, &Value::Null).await.status, 200);
    let kept = format!("{:?}", world.store.kept_answers());
    assert!(kept.contains("cust-1") && !kept.contains("Secret"), "{kept}");
}

#[tokio::test]
async fn what_a_customer_is_called_at_the_login_is_in_no_kept_answer() {
    let world = World::open().await;
    let ann = json!({ "username": "ann-secret", "password": "correct horse battery" });
    assert_eq!(world.post("/users", ann).await.status, 201);
    assert_eq!(under_a_key(&world, "DELETE", "/users/ann-secret", &Value::Null).await.status, 200);
    let kept = format!("{:?}", world.store.kept_answers());
    assert!(kept.contains("usr-") && !kept.contains("secret"), "{kept}");
}
