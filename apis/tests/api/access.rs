//! Who may ask for what.

use apis::access::Guard;
use apis::limits::Origin;
use auth::{Principal, key};
use axum::body::Body;
use axum::http::Request;
use event_store::{Added, Keys, Role};
use events::{CustomerId, Timestamp};
use serde_json::{Value, json};

use crate::world::{Reply, World};

/// Who may ask for a route, said once more and independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Everybody,
    Customers,
    Operators,
    Admins,
}

use Who::{Admins, Customers, Everybody, Operators};

const ROUTES: [(&str, &str, Who); 45] = [
    ("DELETE", "/customers/{id}", Customers),
    ("DELETE", "/keys/{id}", Admins),
    ("DELETE", "/orders/{id}", Customers),
    ("DELETE", "/products/{id}", Operators),
    ("DELETE", "/users/{name}", Admins),
    ("GET", "/customers", Operators),
    ("GET", "/customers/{id}", Customers),
    ("GET", "/customers/{id}/orders", Customers),
    ("GET", "/inventory/skus", Operators),
    ("GET", "/inventory/skus/{sku}", Operators),
    ("GET", "/inventory/skus/{sku}/ledger", Operators),
    ("GET", "/keys", Admins),
    ("GET", "/livez", Everybody),
    ("GET", "/openapi.json", Everybody),
    ("GET", "/orders", Customers),
    ("GET", "/orders/{id}", Customers),
    ("GET", "/orders/{id}/deliveries", Customers),
    ("GET", "/orders/{id}/events", Customers),
    ("GET", "/orders/{id}/payments", Customers),
    ("GET", "/products", Everybody),
    ("GET", "/products/name/{name}", Everybody),
    ("GET", "/products/{id}", Everybody),
    ("GET", "/readyz", Everybody),
    ("GET", "/users", Admins),
    ("GET", "/users/me", Customers),
    ("PATCH", "/orders/{id}", Customers),
    ("PATCH", "/products/{id}", Operators),
    ("POST", "/api/v1/inventory/listSkus", Operators),
    ("POST", "/api/v1/inventory/restockSku", Operators),
    ("POST", "/api/v1/orders/listOrders", Operators),
    ("POST", "/api/v1/orders/placeOrder", Operators),
    ("POST", "/api/v1/payments/listOrderPayments", Operators),
    ("POST", "/api/v1/testing/simulateRawEvent", Admins),
    ("POST", "/chaos/raw-events", Admins),
    ("POST", "/customers", Operators),
    ("POST", "/inventory/check", Customers),
    ("POST", "/inventory/restocks", Operators),
    ("POST", "/keys", Admins),
    ("POST", "/login", Everybody),
    ("POST", "/orders", Customers),
    ("POST", "/products", Operators),
    ("POST", "/users", Everybody),
    // HEAD is GET without a body.
    ("HEAD", "/livez", Everybody),
    ("HEAD", "/orders", Customers),
    ("HEAD", "/users", Admins),
];

/// A world that asks everybody who they are, with `cust-1`, `cust-2`, a lamp and one order of each.
struct Guarded {
    world: World,
    admin: String,
    operator: String,
    anna: String,
}

impl Guarded {
    async fn new() -> Guarded {
        let world = World::guarded(Guard::Here);
        let anna = Some(CustomerId::parse("cust-1").unwrap());
        let admin = made(&world, Role::Admin, None).await;
        let operator = made(&world, Role::Operator, None).await;
        let anna = made(&world, Role::Customer, anna).await;
        let guarded = Guarded { world, admin, operator, anna };
        for customer in ["cust-1", "cust-2"] {
            let registered =
                guarded.post(&guarded.operator, "/customers", json!({ "customer_id": customer })).await;
            assert_eq!(registered.status, 201);
        }
        let lamp = json!({ "product_id": "lamp-1", "sku": "lamp", "name": "A lamp", "price": 19.99 });
        assert_eq!(guarded.post(&guarded.operator, "/products", lamp).await.status, 201);
        for (order, customer) in [("order-1", "cust-1"), ("order-2", "cust-2")] {
            let placed = guarded.post(&guarded.operator, "/orders", order_of(order, customer)).await;
            assert_eq!(placed.status, 201);
            guarded.world.project(order).await;
        }
        guarded
    }

    async fn ask(&self, key: Option<&str>, method: &str, path: &str, body: &Value) -> Reply {
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        self.world.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> Reply {
        self.ask(Some(key), "POST", path, &body).await
    }

    async fn get(&self, key: &str, path: &str) -> Reply {
        self.ask(Some(key), "GET", path, &Value::Null).await
    }
}

async fn made(world: &World, role: Role, customer: Option<CustomerId>) -> String {
    let (key, shown) = key::new("test".into(), role, customer, Timestamp::from_millis(0));
    assert_eq!(world.store.add_key(key).await, Ok(Added::New));
    shown
}

fn order_of(order: &str, customer: &str) -> Value {
    json!({ "order_id": order, "customer_id": customer, "items": [{ "sku": "lamp", "quantity": 1 }] })
}

#[tokio::test]
async fn every_route_asks_everybody_for_what_the_table_says() {
    let mut routes = apis::routes();
    routes.sort_unstable();
    let mut told: Vec<_> =
        ROUTES.iter().filter(|(method, ..)| *method != "HEAD").map(|(m, p, _)| (*m, *p)).collect();
    told.sort_unstable();
    assert_eq!(routes, told);

    let guarded = Guarded::new().await;
    the_table_holds(&guarded.world, async |who, method, path| {
        let key = match who {
            Everybody => None,
            Customers => Some(&*guarded.anna),
            Operators => Some(&*guarded.operator),
            Admins => Some(&*guarded.admin),
        };
        guarded.ask(key, method, path, &json!({ "x": 1 })).await
    })
    .await;
}

/// Asks for every route as whoever could.
async fn the_table_holds(world: &World, ask: impl AsyncFn(Who, &str, &str) -> Reply) {
    for (method, path, needed) in ROUTES {
        let path = path.replace("{id}", "nothing").replace("{sku}", "nothing").replace("{name}", "nothing");
        for is in [Everybody, Customers, Operators, Admins] {
            let size = world.size().await;
            let reply = ask(is, method, &path).await;
            let asked = format!("{method} {path} by {is:?}: {} {}", reply.status, reply.body);
            match is {
                // A login that is none is a 401 of its own; this one is not even that.
                _ if is >= needed => assert!(![401, 403].contains(&reply.status), "{asked}"),
                Everybody => {
                    assert_eq!(reply.status, 401, "{asked}");
                    let challenge = r#"Bearer realm="sagaline", ApiKey realm="sagaline", header="x-api-key""#;
                    assert_eq!(reply.header("www-authenticate"), challenge, "{asked}");
                }
                Customers | Operators | Admins => assert_eq!(reply.status, 403, "{asked}"),
            }
            assert_eq!(world.size().await, size, "{asked}");
        }
    }
}

/// What somebody of whom a gateway says who they are asks for.
fn handed_on(principal: Option<Principal>, method: &str, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let mut request = request.body(Body::from(json!({ "x": 1 }).to_string())).unwrap();
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    request
}

#[tokio::test]
async fn behind_a_gateway_the_same_table_decides_by_what_the_gateway_says() {
    let world = World::guarded(Guard::Gateway);
    the_table_holds(&world, async |who, method, path| {
        let role = match who {
            Everybody => None,
            Customers => Some(Role::Customer),
            Operators => Some(Role::Operator),
            Admins => Some(Role::Admin),
        };
        let customer_id = (who == Customers).then(|| CustomerId::parse("cust-1").unwrap());
        world.send(handed_on(Some(Principal { id: "key:k".into(), role, customer_id }), method, path)).await
    })
    .await;
}

#[tokio::test]
async fn behind_a_gateway_that_says_nothing_nobody_is_let_in_whatever_they_show() {
    let world = World::guarded(Guard::Gateway);
    let key = made(&world, Role::Admin, None).await;
    for (method, path, needed) in ROUTES {
        let path = path.replace("{id}", "nothing").replace("{sku}", "nothing").replace("{name}", "nothing");
        let mut request = handed_on(None, method, &path);
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
        let reply = world.send(request).await;
        let is_public = needed == Everybody && (method, &*path) != ("POST", "/users");
        assert_eq!(reply.status == 500, !is_public, "{method} {path}: {} {}", reply.status, reply.body);
    }
}

#[tokio::test]
async fn a_key_that_is_forged_revoked_unknown_or_shown_beside_a_token_opens_nothing() {
    let guarded = Guarded::new().await;
    let mut forged = guarded.admin.clone();
    let last = if forged.ends_with('A') { 'B' } else { 'A' };
    forged.pop();
    forged.push(last);
    let revoked = made(&guarded.world, Role::Admin, None).await;
    let listed = guarded.get(&guarded.admin, "/keys?limit=200").await;
    let id = revoked.split('_').nth(1).unwrap();
    assert!(listed.body["keys"].as_array().unwrap().iter().any(|key| key["key_id"] == *id));
    assert!(!listed.body.to_string().contains(revoked.splitn(3, '_').nth(2).unwrap()));
    assert_eq!(guarded.get(&revoked, "/orders").await.status, 200);
    let path = format!("/keys/{id}");
    let answer = guarded.ask(Some(&guarded.admin), "DELETE", &path, &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body["revoked_at"].is_string());

    let unknown = format!("sgl_{}_{}", "0".repeat(24), "A".repeat(43));
    for bad in [&*forged, &*revoked, &*unknown, "", "sgl_", "secret", &"x".repeat(9_000)] {
        let reply = guarded.get(bad, "/orders").await;
        assert_eq!((reply.status, reply.code()), (401, "invalid_credentials"), "{bad}");
    }
    let both =
        Request::get("/orders").header("x-api-key", &guarded.admin).header("authorization", "Bearer x");
    assert_eq!(guarded.world.send(both.body(Body::empty()).unwrap()).await.status, 401);
    for scheme in ["Basic YTpi", "Bearer", "", "bearer ", "Bearer a b"] {
        let request = Request::get("/orders").header("authorization", scheme).body(Body::empty()).unwrap();
        assert_eq!(guarded.world.send(request).await.code(), "invalid_credentials", "{scheme}");
    }
}

#[tokio::test]
async fn a_customer_sees_and_changes_what_is_theirs_and_nothing_else_is_there_for_them() {
    let guarded = Guarded::new().await;
    let anna = &*guarded.anna;
    for part in ["", "/events", "/payments", "/deliveries"] {
        assert_eq!(guarded.get(anna, &format!("/orders/order-1{part}")).await.status, 200, "{part}");
        let other = guarded.get(anna, &format!("/orders/order-2{part}")).await;
        let nothing = guarded.get(anna, &format!("/orders/order-3{part}")).await;
        assert_eq!((other.status, other.code()), (404, "order_not_found"), "{part}");
        assert_eq!(other.body["detail"], nothing.body["detail"], "{part}");
    }
    let waits = Request::get("/orders/order-2").header("x-api-key", anna).header("prefer", "wait=1");
    assert_eq!(guarded.world.send(waits.body(Body::empty()).unwrap()).await.status, 404);
    assert_eq!(guarded.get(anna, "/customers/cust-1").await.status, 200);
    assert_eq!(guarded.get(anna, "/customers/cust-2").await.code(), "customer_not_found");
    assert_eq!(guarded.get(anna, "/customers/cust-2/orders").await.code(), "customer_not_found");

    let all = guarded.get(anna, "/orders").await;
    let ids: Vec<_> = all.body["orders"].as_array().unwrap().iter().map(|row| &row["order_id"]).collect();
    assert_eq!(ids, ["order-1"]);
    assert_eq!(guarded.get(anna, "/orders?customer_id=cust-2").await.code(), "not_your_customer");
    assert_eq!(guarded.get(&guarded.operator, "/orders").await.body["orders"].as_array().unwrap().len(), 2);

    let size = guarded.world.size().await;
    let theirs = guarded.post(anna, "/orders", order_of("order-4", "cust-2")).await;
    assert_eq!((theirs.status, theirs.code()), (403, "not_your_customer"));
    for status in ["SHIPPED", "DELIVERED", "PAID"] {
        let change = json!({ "status": status });
        assert_eq!(guarded.ask(Some(anna), "PATCH", "/orders/order-1", &change).await.code(), "forbidden");
    }
    let forged = json!({ "status": "CANCELLED", "by": "operator" });
    assert_eq!(guarded.ask(Some(anna), "PATCH", "/orders/order-1", &forged).await.code(), "forbidden");
    let cancel = json!({ "status": "CANCELLED" });
    for (method, body) in [("PATCH", &cancel), ("DELETE", &Value::Null)] {
        let refused = guarded.ask(Some(anna), method, "/orders/order-2", body).await;
        assert_eq!((refused.status, refused.code()), (404, "order_not_found"));
    }
    assert_eq!(guarded.world.size().await, size);
    assert_eq!(guarded.ask(Some(anna), "PATCH", "/orders/order-1", &cancel).await.status, 200);
    let events = guarded.get(anna, "/orders/order-1/events").await;
    let closing =
        events.body["events"].as_array().unwrap().iter().find(|e| e["event_name"] == "OrderCancelled");
    assert_eq!(closing.unwrap()["data"]["by"], "customer");
    let cancelled = guarded.ask(Some(&guarded.operator), "DELETE", "/orders/order-2", &Value::Null).await;
    assert_eq!(cancelled.status, 200);
    let events = guarded.get(&guarded.operator, "/orders/order-2/events").await;
    let mut events = events.body["events"].as_array().unwrap().iter();
    let closing = events.find(|event| event["event_name"] == "OrderCancelled");
    assert_eq!(closing.unwrap()["data"]["by"], "operator");
    assert_eq!(guarded.post(anna, "/orders", order_of("order-5", "cust-1")).await.status, 201);
}

#[tokio::test]
async fn a_key_is_shown_once_even_to_who_asks_again_under_an_idempotency_key() {
    let guarded = Guarded::new().await;
    let make = async || {
        let wanted = json!({ "name": "till", "role": "customer", "customer_id": "cust-2" });
        let request =
            Request::post("/keys").header("x-api-key", &guarded.admin).header("idempotency-key", "k");
        let request = request.header("content-type", "application/json").body(Body::from(wanted.to_string()));
        guarded.world.send(request.unwrap()).await
    };
    let first = make().await;
    let shown = first.body["api_key"].as_str().unwrap();
    assert_eq!(guarded.get(shown, "/orders/order-2").await.status, 200);
    assert_eq!(guarded.get(shown, "/users/me").await.body["customer_id"], "cust-2");
    let again = make().await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!((&again.body["key_id"], &again.body["api_key"]), (&first.body["key_id"], &Value::Null));
    let kept = format!("{:?}", guarded.world.store.kept_answers());
    assert!(!kept.contains(shown.splitn(3, '_').nth(2).unwrap()));
}

#[tokio::test]
async fn a_user_who_is_removed_is_nobody_from_then_on_and_whoever_takes_the_name_is_somebody_else() {
    let guarded = Guarded::new().await;
    let login = json!({ "username": "olga", "password": "correct horse battery" });
    let register = json!({ "username": "Olga", "password": "correct horse battery", "role": "operator" });
    assert_eq!(guarded.post(&guarded.admin, "/users", register.clone()).await.status, 201);
    let token = guarded.ask(None, "POST", "/login", &login).await.body["token"].as_str().unwrap().to_owned();
    assert_eq!(with_token(&guarded, &token, "/orders/order-2").await.status, 200);
    let remove = async || guarded.ask(Some(&guarded.admin), "DELETE", "/users/OLGA", &Value::Null).await;
    let removed = remove().await;
    assert_eq!((removed.status, &removed.body["username"]), (200, &json!("olga")));
    assert_eq!(remove().await.code(), "user_not_found");
    assert_eq!(with_token(&guarded, &token, "/orders/order-2").await.code(), "invalid_credentials");
    assert_eq!(guarded.ask(None, "POST", "/login", &login).await.code(), "invalid_login");
    assert_eq!(guarded.post(&guarded.admin, "/users", register).await.status, 201);
    assert_eq!(with_token(&guarded, &token, "/orders/order-2").await.status, 401);
    assert_eq!(guarded.ask(None, "POST", "/login", &login).await.status, 200);
}

#[tokio::test]
async fn a_customers_key_needs_a_customer_and_a_name_and_a_role_are_needed_of_every_key() {
    let guarded = Guarded::new().await;
    for (body, wrong) in [
        (json!({}), &["/name", "/role"][..]),
        (json!({ "name": "till", "role": "customer" }), &["/customer_id"]),
        (json!({ "name": "", "role": "king" }), &["/name", "/role"]),
        (json!({ "name": "till", "role": "operator", "secret": "x" }), &["/secret"]),
    ] {
        let refused = guarded.post(&guarded.admin, "/keys", body).await;
        assert_eq!((refused.status, &*refused.wrong()), (422, wrong));
    }
}

/// What a customer who registers and logs in can show.
async fn logged_in(guarded: &Guarded, username: &str, password: &str) -> String {
    let body = json!({ "username": username, "password": password });
    let answer = guarded.ask(None, "POST", "/login", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    answer.body["token"].as_str().unwrap().to_owned()
}

async fn with_token(guarded: &Guarded, token: &str, path: &str) -> Reply {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    guarded.world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn whoever_registers_is_a_customer_and_can_log_in_and_nobody_ever_sees_a_hash() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "Berta", "password": "correct horse battery", "name": "Berta B." });
    let made = guarded.ask(None, "POST", "/users", &body).await;
    assert_eq!(
        (made.status, &made.body["role"], &made.body["username"]),
        (201, &json!("customer"), &json!("berta"))
    );
    let customer = made.body["customer_id"].as_str().unwrap();
    let token = logged_in(&guarded, "berta", "correct horse battery").await;
    let me = with_token(&guarded, &token, "/users/me").await;
    assert_eq!((&me.body["role"], &me.body["customer_id"]), (&json!("customer"), &json!(customer)));
    let own = with_token(&guarded, &token, &format!("/customers/{customer}")).await;
    assert_eq!(own.body["name"], "Berta B.");
    assert_eq!(with_token(&guarded, &token, "/users").await.status, 403);
    let list = guarded.get(&guarded.admin, "/users").await;
    assert_eq!(list.body["users"].as_array().unwrap().len(), 1);
    for shown in [&made.body, &me.body, &list.body] {
        assert!(!shown.to_string().contains("argon2") && !shown.to_string().contains("horse"), "{shown}");
    }
}

#[tokio::test]
async fn a_registration_that_is_repeated_is_one_and_a_name_that_is_taken_is_taken() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "berta", "password": "correct horse battery" });
    let made = guarded.ask(None, "POST", "/users", &body).await;
    let again = guarded.ask(None, "POST", "/users", &body).await;
    assert_eq!((again.status, &again.body), (200, &made.body));
    let stranger = json!({ "username": "BERTA", "password": "another long password" });
    let refused = guarded.ask(None, "POST", "/users", &stranger).await;
    assert_eq!((refused.status, refused.code()), (409, "username_taken"));

    // Who said more of themselves in between is still who they are.
    let more = json!({ "username": "berta", "password": "correct horse battery", "name": "Berta" });
    assert_eq!(guarded.ask(None, "POST", "/users", &more).await.status, 200);
    assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 200);
    let other = json!({ "username": "berta", "password": "correct horse battery", "name": "Bertha" });
    assert_eq!(guarded.ask(None, "POST", "/users", &other).await.code(), "customer_exists");
}

#[tokio::test]
async fn nobody_registers_people_by_the_hundred_from_one_address_but_an_admin() {
    let guarded = Guarded::new().await;
    for n in 0..100 {
        let body = json!({ "username": format!("name-{n}"), "password": "correct horse battery" });
        assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 201);
    }
    let body = json!({ "username": "frieda", "password": "correct horse battery" });
    let refused = guarded.ask(None, "POST", "/users", &body).await;
    assert_eq!((refused.status, refused.code()), (429, "too_many_logins"));
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    assert_eq!(guarded.post(&guarded.admin, "/users", body).await.status, 201);
}

#[tokio::test]
async fn only_an_admin_says_what_somebody_may() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "olaf", "password": "correct horse battery", "role": "operator" });
    assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 401);
    assert_eq!(guarded.post(&guarded.operator, "/users", body.clone()).await.status, 403);
    let made = guarded.post(&guarded.admin, "/users", body).await;
    assert_eq!((made.status, &made.body["role"]), (201, &json!("operator")));
    let token = logged_in(&guarded, "olaf", "correct horse battery").await;
    assert_eq!(with_token(&guarded, &token, "/orders/order-2").await.status, 200);
    // Whoever shows something bad is nobody, even where nothing need be shown.
    let body = json!({ "username": "eve", "password": "correct horse battery" });
    assert_eq!(guarded.post("sgl_bad", "/users", body).await.code(), "invalid_credentials");
}

#[tokio::test]
async fn after_fifteen_tries_nobody_logs_in_for_a_while_whatever_they_know() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "berta", "password": "correct horse battery" });
    assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 201);
    let wrong = json!({ "username": "berta", "password": "wrong horse battery!!" });
    for _ in 0..15 {
        let refused = guarded.ask(None, "POST", "/login", &wrong).await;
        assert_eq!((refused.status, refused.code()), (401, "invalid_login"));
    }
    let limited = guarded.ask(None, "POST", "/login", &body).await;
    assert_eq!((limited.status, limited.code()), (429, "too_many_logins"));
    let seconds: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=601).contains(&seconds), "{seconds}");
    // Somebody else is not kept out by it.
    let other = json!({ "username": "nobody", "password": "wrong horse battery!!" });
    assert_eq!(guarded.ask(None, "POST", "/login", &other).await.code(), "invalid_login");
}

#[tokio::test]
async fn logins_that_succeed_are_not_counted_and_give_back_those_that_failed() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "berta", "password": "correct horse battery" });
    assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 201);
    let wrong = json!({ "username": "berta", "password": "wrong horse battery!!" });
    for _ in 0..2 {
        for _ in 0..14 {
            assert_eq!(guarded.ask(None, "POST", "/login", &wrong).await.status, 401);
        }
        for _ in 0..3 {
            assert_eq!(guarded.ask(None, "POST", "/login", &body).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_stranger_who_uses_up_somebodys_tries_does_not_keep_them_out_where_they_are() {
    let guarded = Guarded::new().await;
    let right = json!({ "username": "berta", "password": "correct horse battery" });
    assert_eq!(guarded.ask(None, "POST", "/users", &right).await.status, 201);
    let wrong = json!({ "username": "berta", "password": "wrong horse battery!!" });
    let from = async |address: &str, body: &Value| {
        let request = Request::post("/login").header("content-type", "application/json");
        let request = request.extension(Origin(address.parse().unwrap()));
        guarded.world.send(request.body(Body::from(body.to_string())).unwrap()).await.status
    };
    for _ in 0..15 {
        assert_eq!(from("192.0.2.1", &wrong).await, 401);
    }
    assert_eq!(from("192.0.2.1", &right).await, 429);
    assert_eq!(from("192.0.2.2", &right).await, 200);
}

#[tokio::test]
async fn who_tries_one_password_at_every_name_is_stopped_where_they_are() {
    let guarded = Guarded::new().await;
    let log_in = async |address: &str, username: String| {
        let body = json!({ "username": username, "password": "correct horse battery" }).to_string();
        let request = Request::post("/login").header("content-type", "application/json");
        let request = request.extension(Origin(address.parse().unwrap()));
        guarded.world.send(request.body(Body::from(body)).unwrap()).await
    };
    for number in 0..100 {
        assert_eq!(log_in("192.0.2.1", format!("name-{number}")).await.status, 401);
    }
    let stopped = log_in("192.0.2.1", "name-100".into()).await;
    assert_eq!((stopped.status, stopped.code()), (429, "too_many_logins"));
    assert_eq!(log_in("192.0.2.2", "name-100".into()).await.status, 401);
}

#[tokio::test]
async fn a_name_is_registered_again_only_as_what_it_is() {
    let guarded = Guarded::new().await;
    let as_somebody = |more: Value| {
        let mut body = json!({ "username": "berta", "password": "correct horse battery" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let made = guarded.post(&guarded.admin, "/users", as_somebody(json!({ "customer_id": "anna-1" }))).await;
    assert_eq!((made.status, &made.body["customer_id"]), (201, &json!("anna-1")));
    for (more, status) in [
        (json!({ "customer_id": "anna-1" }), 200),
        (json!({ "customer_id": "bert-1" }), 409),
        (json!({ "role": "operator" }), 409),
    ] {
        let again = guarded.post(&guarded.admin, "/users", as_somebody(more)).await;
        assert_eq!(again.status, status, "{}", again.body);
    }
    // What would be kept nowhere is not taken.
    for more in
        [json!({ "customer_id": "anna-1", "name": "Anna" }), json!({ "role": "operator", "email": "a@b.c" })]
    {
        let refused = guarded.post(&guarded.admin, "/users", as_somebody(more)).await;
        let why = &refused.body["errors"][0]["code"];
        assert_eq!((refused.status, why), (422, &json!("not_applicable")), "{}", refused.body);
    }
}

#[tokio::test]
async fn where_nobody_is_asked_for_a_key_only_this_machine_may_ask() {
    let world = World::open().await;
    let guarded = Guarded::new().await;
    let ask = async |world: &World, method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.send(request.body(Body::empty()).unwrap()).await
    };
    for ours in ["127.0.0.1:3000", "localhost", "LOCALHOST:3000", "[::1]:3000", "127.0.0.2"] {
        assert_eq!(ask(&world, "GET", "/customers", &[("host", ours)]).await.status, 200, "{ours}");
    }
    for theirs in ["example.org", "localhost.example.org:3000", "192.0.2.1", "", "?"] {
        let refused = ask(&world, "GET", "/customers", &[("host", theirs)]).await;
        assert_eq!((refused.status, refused.code()), (403, "not_from_here"), "{theirs}");
    }
    let by_a_page = [("host", "localhost:3000"), ("sec-fetch-site", "cross-site")];
    assert_eq!(ask(&world, "DELETE", "/products/lamp", &by_a_page).await.code(), "not_from_here");
    // Followed links only read.
    assert_eq!(ask(&world, "GET", "/products", &by_a_page).await.status, 200);
    // Whoever has to show a key shows it wherever they come from.
    let from_afar =
        [("host", "example.org"), ("sec-fetch-site", "cross-site"), ("x-api-key", &*guarded.admin)];
    assert_eq!(ask(&guarded.world, "GET", "/customers", &from_afar).await.status, 200);
}

#[tokio::test]
async fn a_login_is_never_kept_under_an_idempotency_key() {
    let guarded = Guarded::new().await;
    let body = json!({ "username": "berta", "password": "correct horse battery" });
    assert_eq!(guarded.ask(None, "POST", "/users", &body).await.status, 201);
    for _ in 0..2 {
        let request =
            Request::post("/login").header("idempotency-key", "k").header("content-type", "application/json");
        let answer = guarded.world.send(request.body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, ""));
    }
}

#[tokio::test]
async fn bad_names_and_passwords_are_told_and_nobody_is_registered() {
    let guarded = Guarded::new().await;
    let size = guarded.world.size().await;
    for (username, password, wrong) in [
        (json!("ab"), json!("correct horse battery"), "/username"),
        (json!("a b c"), json!("correct horse battery"), "/username"),
        (json!("x".repeat(65)), json!("correct horse battery"), "/username"),
        (json!(7), json!("correct horse battery"), "/username"),
        (json!("berta"), json!("short"), "/password"),
        (json!("berta"), json!("x".repeat(257)), "/password"),
        (json!("berta"), json!(["correct horse battery"]), "/password"),
    ] {
        let body = json!({ "username": username, "password": password });
        let refused = guarded.ask(None, "POST", "/users", &body).await;
        assert_eq!((refused.status, &*refused.wrong()), (422, &[wrong][..]), "{body}");
        assert!(!refused.body.to_string().contains("horse"), "what was sent is not said again");
    }
    assert_eq!(guarded.world.size().await, size);
    assert!(guarded.get(&guarded.admin, "/users").await.body["users"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn two_callers_that_use_one_idempotency_key_are_two() {
    let guarded = Guarded::new().await;
    let order = json!({ "customer_id": "cust-1", "items": [{ "sku": "lamp", "quantity": 1 }] });
    let mut ids = Vec::new();
    for key in [&guarded.anna, &guarded.operator, &guarded.anna] {
        let request = Request::post("/orders").header("x-api-key", key).header("idempotency-key", "k");
        let request = request.header("content-type", "application/json").body(Body::from(order.to_string()));
        ids.push(guarded.world.send(request.unwrap()).await.body["order_id"].clone());
    }
    assert!(ids[0] != ids[1] && ids[0] == ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_refused_as_such_whoever_asks() {
    let guarded = Guarded::new().await;
    for (path, allow) in [("/products", "POST,GET,HEAD"), ("/orders", "POST,GET,HEAD"), ("/keys/k", "DELETE")]
    {
        let refused = guarded.ask(None, "TRACE", path, &json!({})).await;
        let said = (refused.status, refused.code(), refused.header("allow"));
        assert_eq!(said, (405, "method_not_allowed", allow), "{path}");
    }
}
