//! Bodies that are refused, each with its exact status, code and pointers; none leaves a trace.

use serde_json::json;

use crate::world::World;

const ORDERS: &str = "/orders";
const RESTOCKS: &str = "/inventory/restocks";
const CHECK: &str = "/inventory/check";
const CUSTOMERS: &str = "/customers";
const PRODUCTS: &str = "/products";
const RAW: &str = "/chaos/raw-events";
const USERS: &str = "/users";
const LOGIN: &str = "/login";
const KEYS: &str = "/keys";
const ORDER: &str = "/orders/ord-1";

const FIELDS: (u16, &str) = (422, "invalid_fields");
const JSON: (u16, &str) = (400, "malformed_json");

type Case = (&'static str, &'static str, (u16, &'static str), &'static [(&'static str, &'static str)]);

/// Path (a PATCH for one order, else a POST), body, status and problem code, and for each bad field its
/// pointer and code, sorted by pointer.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // No JSON object at all.
    (ORDERS, "", JSON, &[]),
    (ORDERS, "nope", JSON, &[]),
    (ORDERS, "{", JSON, &[]),
    (ORDERS, "{} {}", JSON, &[]),
    (ORDERS, "\u{feff}{}", JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1,"quantity":1}]}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1e999}]}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"\ud800","items":[]}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":'cust-1'}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1",}"#, JSON, &[]),
    (ORDERS, "null", FIELDS, &[("", "wrong_type")]),
    (ORDERS, "[]", FIELDS, &[("", "wrong_type")]),
    (ORDERS, "\"text\"", FIELDS, &[("", "wrong_type")]),
    (ORDERS, "7", FIELDS, &[("", "wrong_type")]),
    // Placing an order.
    (ORDERS, "{}", FIELDS, &[("/customer_id", "required"), ("/items", "required")]),
    (ORDERS, r#"{"customer_id":null,"items":null}"#, FIELDS, &[("/customer_id", "wrong_type"), ("/items", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[]}"#, FIELDS, &[("/items", "empty")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":{}}"#, FIELDS, &[("/items", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":"lamp"}"#, FIELDS, &[("/items", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":["lamp",null,[]]}"#, FIELDS, &[("/items/0", "wrong_type"), ("/items/1", "wrong_type"), ("/items/2", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{}]}"#, FIELDS, &[("/items/0/quantity", "required"), ("/items/0/sku", "required")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":0}]}"#, FIELDS, &[("/items/0/quantity", "out_of_range")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":-1}]}"#, FIELDS, &[("/items/0/quantity", "out_of_range")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1000001}]}"#, FIELDS, &[("/items/0/quantity", "out_of_range")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":18446744073709551616}]}"#, FIELDS, &[("/items/0/quantity", "out_of_range")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1.0}]}"#, FIELDS, &[("/items/0/quantity", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1e0}]}"#, FIELDS, &[("/items/0/quantity", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1.5}]}"#, FIELDS, &[("/items/0/quantity", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":"1"}]}"#, FIELDS, &[("/items/0/quantity", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":true}]}"#, FIELDS, &[("/items/0/quantity", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"abc","quantity":1}]}"#, FIELDS, &[("/items/0/sku", "invalid_id")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"la mp","quantity":1},{"sku":7,"quantity":1}]}"#, FIELDS, &[("/items/0/sku", "invalid_id"), ("/items/1/sku", "wrong_type")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1,"price":1}]}"#, FIELDS, &[("/items/0/price", "unknown_field")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}],"total":1,"a/b~c":2}"#, FIELDS, &[("/a~1b~0c", "unknown_field"), ("/total", "unknown_field")]),
    (ORDERS, r#"{"customer_id":"cus","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/customer_id", "invalid_id")]),
    (ORDERS, r#"{"customer_id":"cust\u00001","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/customer_id", "invalid_id")]),
    (ORDERS, r#"{"customer_id":["cust-1"],"items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/customer_id", "wrong_type")]),
    (ORDERS, r#"{"order_id":"","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/order_id", "invalid_id")]),
    (ORDERS, r#"{"order_id":"ord#1","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/order_id", "invalid_id")]),
    (ORDERS, r#"{"order_id":null,"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/order_id", "wrong_type")]),
    (ORDERS, r#"{"order_id":12345,"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/order_id", "wrong_type")]),
    (ORDERS, r#"{"order_id":"process-queue","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/order_id", "invalid_value")]),
    (ORDERS, r#"{"priority":"fast","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/priority", "invalid_value")]),
    (ORDERS, r#"{"priority":"Express","customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/priority", "invalid_value")]),
    (ORDERS, r#"{"priority":1,"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/priority", "wrong_type")]),
    (ORDERS, r#"{"order_id":"x","priority":"y","customer_id":"z","items":[{"sku":"s","quantity":0}],"q":1}"#, FIELDS, &[("/customer_id", "invalid_id"), ("/items/0/quantity", "out_of_range"), ("/items/0/sku", "invalid_id"), ("/order_id", "invalid_id"), ("/priority", "invalid_value"), ("/q", "unknown_field")]),
    (ORDERS, r#"{"customer_id":"cust-9","items":[{"sku":"lamp","quantity":1}]}"#, (422, "unknown_customer"), &[("/customer_id", "unknown_customer")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"none","quantity":1}]}"#, (422, "unknown_sku"), &[("/items/0/sku", "unknown_sku")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":1},{"sku":"lamp","quantity":1},{"sku":"none","quantity":1}]}"#, (422, "unknown_sku"), &[("/items/2/sku", "unknown_sku")]),
    // Changing one.
    (ORDER, "{}", FIELDS, &[("/status", "required")]),
    (ORDER, r#"{"status":"CONFIRMED"}"#, FIELDS, &[("/status", "invalid_value")]),
    (ORDER, r#"{"status":"shipped"}"#, FIELDS, &[("/status", "invalid_value")]),
    (ORDER, r#"{"status":1}"#, FIELDS, &[("/status", "wrong_type")]),
    (ORDER, r#"{"status":"SHIPPED","reason":"x","by":"y"}"#, FIELDS, &[("/by", "not_applicable"), ("/reason", "not_applicable")]),
    (ORDER, r#"{"status":"CANCELLED","carrier":"x","tracking":"y","reference":"z"}"#, FIELDS, &[("/carrier", "not_applicable"), ("/reference", "not_applicable"), ("/tracking", "not_applicable")]),
    (ORDER, r#"{"status":"CANCELLED","reason":"  "}"#, FIELDS, &[("/reason", "empty")]),
    (ORDER, r#"{"status":"CANCELLED","reason":"a\u0000b"}"#, FIELDS, &[("/reason", "control_character")]),
    (ORDER, r#"{"status":"CANCELLED","total":0}"#, FIELDS, &[("/total", "unknown_field")]),
    (ORDER, r#"{"status":"SHIPPED"}"#, (409, "transition_not_allowed"), &[]),
    // Restocking.
    (RESTOCKS, "{}", FIELDS, &[("/lot_id", "required"), ("/sku", "required"), ("/units", "required")]),
    (RESTOCKS, r#"{"sku":"lamp","units":0,"lot_id":"lot-1"}"#, FIELDS, &[("/units", "out_of_range")]),
    (RESTOCKS, r#"{"sku":"lamp","units":1000000001,"lot_id":"lot-1"}"#, FIELDS, &[("/units", "out_of_range")]),
    (RESTOCKS, r#"{"sku":"lamp","units":5.0,"lot_id":"lot-1"}"#, FIELDS, &[("/units", "wrong_type")]),
    (RESTOCKS, r#"{"sku":"lamp","units":5,"lot_id":"lot"}"#, FIELDS, &[("/lot_id", "invalid_id")]),
    (RESTOCKS, r#"{"sku":"lamp","units":5,"lotId":"lot-1"}"#, FIELDS, &[("/lot_id", "required"), ("/lotId", "unknown_field")]),
    // Checking.
    (CHECK, "{}", FIELDS, &[("/items", "required")]),
    (CHECK, r#"{"items":[{"sku":"lamp"}],"x":1}"#, FIELDS, &[("/items/0/quantity", "required"), ("/x", "unknown_field")]),
    // Customers.
    (CUSTOMERS, r#"{"customer_id":"a b c"}"#, FIELDS, &[("/customer_id", "invalid_id")]),
    (CUSTOMERS, r#"{"name":""}"#, FIELDS, &[("/name", "empty")]),
    (CUSTOMERS, r#"{"name":"A\nB"}"#, FIELDS, &[("/name", "control_character")]),
    (CUSTOMERS, r#"{"name":7,"email":7,"address":7}"#, FIELDS, &[("/address", "wrong_type"), ("/email", "wrong_type"), ("/name", "wrong_type")]),
    (CUSTOMERS, r#"{"email":"ann"}"#, FIELDS, &[("/email", "invalid_email")]),
    (CUSTOMERS, r#"{"email":"@example.org"}"#, FIELDS, &[("/email", "invalid_email")]),
    (CUSTOMERS, r#"{"email":"a@b@c"}"#, FIELDS, &[("/email", "invalid_email")]),
    (CUSTOMERS, r#"{"email":"a b@c"}"#, FIELDS, &[("/email", "invalid_email")]),
    (CUSTOMERS, r#"{"address":"\u0000"}"#, FIELDS, &[("/address", "control_character")]),
    (CUSTOMERS, r#"{"phone":"1"}"#, FIELDS, &[("/phone", "unknown_field")]),
    (CUSTOMERS, r#"{"customer_id":"cust-1","name":"Bob"}"#, (409, "customer_exists"), &[]),
    // Products.
    (PRODUCTS, "{}", FIELDS, &[("/name", "required"), ("/price", "required"), ("/sku", "required")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":-1}"#, FIELDS, &[("/price", "out_of_range")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":1.999}"#, FIELDS, &[("/price", "too_fine")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":1e300}"#, FIELDS, &[("/price", "out_of_range")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":"5"}"#, FIELDS, &[("/price", "wrong_type")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":5,"currency":"eur"}"#, FIELDS, &[("/currency", "invalid_currency")]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":5,"currency":978}"#, FIELDS, &[("/currency", "wrong_type")]),
    (PRODUCTS, r#"{"sku":"h","product_id":"p","name":"\t","price":5}"#, FIELDS, &[("/name", "empty"), ("/product_id", "invalid_id"), ("/sku", "invalid_id")]),
    (PRODUCTS, r#"{"sku":"lamp","name":"A lamp","price":20,"currency":"GBP"}"#, (409, "product_exists"), &[]),
    // Raw events.
    (RAW, "{}", FIELDS, &[("/event_name", "required"), ("/pk", "required"), ("/sk", "required")]),
    (RAW, r#"{"pk":" ","sk":"\t","event_name":""}"#, FIELDS, &[("/event_name", "empty"), ("/pk", "empty"), ("/sk", "empty")]),
    (RAW, r#"{"pk":"a\u0000","sk":"b","event_name":"E"}"#, FIELDS, &[("/pk", "control_character")]),
    (RAW, r#"{"pk":1,"sk":"b","event_name":"E"}"#, FIELDS, &[("/pk", "wrong_type")]),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"E","data":[1]}"#, FIELDS, &[("/data", "wrong_type")]),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"E","data":null}"#, FIELDS, &[("/data", "wrong_type")]),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"E","data":{"x":1,"x":2}}"#, JSON, &[]),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"E","schema_version":0}"#, FIELDS, &[("/schema_version", "out_of_range")]),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"E","eventData":{}}"#, FIELDS, &[("/eventData", "unknown_field")]),
    // Cut short, and numbers that are none.
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quan"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":+1}]}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"lamp","quantity":01}]}"#, JSON, &[]),
    (PRODUCTS, r#"{"sku":"hat-1","name":"Hat","price":NaN}"#, JSON, &[]),
    (RESTOCKS, r#"{"sku":"lamp","units":1e400,"lot_id":"lot-1"}"#, JSON, &[]),
    (ORDERS, r#"{"customer_id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","items":[{"sku":"lamp","quantity":1}]}"#, FIELDS, &[("/customer_id", "invalid_id")]),
    (ORDERS, r#"{"customer_id":"cust-1","items":[{"sku":"l\u00e4mp","quantity":1}]}"#, FIELDS, &[("/items/0/sku", "invalid_id")]),
    // Users.
    (USERS, "{}", FIELDS, &[("/password", "required"), ("/username", "required")]),
    (USERS, r#"{"username":null,"password":null}"#, FIELDS, &[("/password", "wrong_type"), ("/username", "wrong_type")]),
    (USERS, r#"{"username":"ab","password":"correct horse battery"}"#, FIELDS, &[("/username", "invalid_username")]),
    (USERS, r#"{"username":"an na","password":"correct horse battery"}"#, FIELDS, &[("/username", "invalid_username")]),
    (USERS, r#"{"username":"\u00e4nna","password":"correct horse battery"}"#, FIELDS, &[("/username", "invalid_username")]),
    (USERS, r#"{"username":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","password":"correct horse battery"}"#, FIELDS, &[("/username", "invalid_username")]),
    (USERS, r#"{"username":"anna","password":"fourteen chars"}"#, FIELDS, &[("/password", "too_short")]),
    (USERS, r#"{"username":"anna","password":"correct horse battery","role":"king"}"#, FIELDS, &[("/role", "invalid_value")]),
    (USERS, r#"{"username":"anna","password":"correct horse battery","role":7}"#, FIELDS, &[("/role", "wrong_type")]),
    (USERS, r#"{"username":"anna","password":"correct horse battery","customer_id":"x"}"#, FIELDS, &[("/customer_id", "invalid_id")]),
    (USERS, r#"{"username":"anna","password":"correct horse battery","email":"no"}"#, FIELDS, &[("/email", "invalid_email")]),
    (USERS, r#"{"username":"anna","password":"correct horse battery","admin":true}"#, FIELDS, &[("/admin", "unknown_field")]),
    // Logging in.
    (LOGIN, "{}", FIELDS, &[("/password", "required"), ("/username", "required")]),
    (LOGIN, r#"{"username":["anna"],"password":{}}"#, FIELDS, &[("/password", "wrong_type"), ("/username", "wrong_type")]),
    (LOGIN, r#"{"username":"anna","password":"x","remember":true}"#, FIELDS, &[("/remember", "unknown_field")]),
    (LOGIN, r#"{"username":"nobody","password":"correct horse battery"}"#, (401, "invalid_login"), &[]),
    // Keys.
    (KEYS, "{}", FIELDS, &[("/name", "required"), ("/role", "required")]),
    (KEYS, r#"{"name":7,"role":null}"#, FIELDS, &[("/name", "wrong_type"), ("/role", "wrong_type")]),
    (KEYS, r#"{"name":"","role":"root"}"#, FIELDS, &[("/name", "empty"), ("/role", "invalid_value")]),
    (KEYS, r#"{"name":"till","role":"customer"}"#, FIELDS, &[("/customer_id", "required")]),
    (KEYS, r#"{"name":"a\u0007b","role":"admin"}"#, FIELDS, &[("/name", "control_character")]),
    (KEYS, r#"{"name":"till","role":"admin","secret":"x"}"#, FIELDS, &[("/secret", "unknown_field")]),
];

#[tokio::test]
async fn every_bad_body_is_refused_for_all_its_reasons_and_leaves_no_trace() {
    let world = World::open().await;
    world.place("ord-1").await;
    let before = snapshot(&world).await;
    for (path, body, (status, code), wrong) in CASES {
        let method = if *path == ORDER { "PATCH" } else { "POST" };
        let reply = world.text(method, path, *body).await;
        let case = format!("{method} {path} {body}: {}", reply.body);
        assert_eq!((reply.status, reply.code()), (*status, *code), "{case}");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{case}");
        assert_eq!(reply.body["status"], *status, "{case}");
        assert_eq!(reply.body["instance"], reply.header("x-request-id"), "{case}");
        let errors = reply.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found: Vec<(&str, &str)> = errors
            .iter()
            .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect();
        found.sort_by_key(|(pointer, _)| pointer.to_lowercase());
        let mut wrong = wrong.to_vec();
        wrong.sort_by_key(|(pointer, _)| pointer.to_lowercase());
        assert_eq!(found, wrong, "{case}");
        assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()), "{case}");
    }
    assert_eq!(snapshot(&world).await, before);
    assert!(CASES.len() >= 120, "{}", CASES.len());
}

/// Everything that could have changed.
async fn snapshot(world: &World) -> (u64, Vec<serde_json::Value>) {
    let mut lists = Vec::new();
    for path in
        ["/orders", "/customers", "/products", "/inventory/skus", "/orders/ord-1/events", "/users", "/keys"]
    {
        lists.push(world.get(path).await.body);
    }
    (world.size().await, lists)
}

/// Path, a body whose `…` is a text, its field, and how long that may be at most, in characters.
const TEXTS: [(&str, &str, &str, usize); 12] = [
    (CUSTOMERS, r#"{"name":"…"}"#, "/name", 200),
    (CUSTOMERS, r#"{"address":"…"}"#, "/address", 1_000),
    (PRODUCTS, r#"{"sku":"hat-1","name":"…","price":5}"#, "/name", 200),
    (KEYS, r#"{"name":"…","role":"admin"}"#, "/name", 100),
    (ORDER, r#"{"status":"CANCELLED","reason":"…"}"#, "/reason", 256),
    (ORDER, r#"{"status":"CANCELLED","by":"…"}"#, "/by", 256),
    (ORDER, r#"{"status":"PAID","reference":"…"}"#, "/reference", 256),
    (ORDER, r#"{"status":"SHIPPED","carrier":"…"}"#, "/carrier", 256),
    (ORDER, r#"{"status":"SHIPPED","tracking":"…"}"#, "/tracking", 256),
    (RAW, r#"{"pk":"…","sk":"b","event_name":"E"}"#, "/pk", 2_048),
    (RAW, r#"{"pk":"a","sk":"…","event_name":"E"}"#, "/sk", 1_024),
    (RAW, r#"{"pk":"a","sk":"b","event_name":"…"}"#, "/event_name", 256),
];

#[tokio::test]
async fn a_text_is_as_long_as_it_may_be_and_not_one_character_longer() {
    for (path, body, pointer, longest) in TEXTS {
        let world = World::open().await;
        world.place("ord-1").await;
        let method = if path == ORDER { "PATCH" } else { "POST" };
        let before = snapshot(&world).await;
        let of = |length: usize| body.replace('…', &"x".repeat(length));
        let reply = world.text(method, path, of(longest + 1)).await;
        assert_eq!((reply.status, reply.code()), FIELDS, "{path} {body}: {}", reply.body);
        let [error] = &reply.body["errors"].as_array().unwrap()[..] else { panic!("{}", reply.body) };
        assert_eq!(
            (&error["pointer"], &error["code"]),
            (&json!(pointer), &json!("too_long")),
            "{path} {body}"
        );
        assert_eq!(snapshot(&world).await, before, "{path} {body}");
        let reply = world.text(method, path, of(longest)).await;
        assert_ne!(reply.code(), FIELDS.1, "{path} {body}: {}", reply.body);
    }
}

#[tokio::test]
async fn nesting_without_end_is_refused_wherever_there_is_a_body() {
    let world = World::open().await;
    world.place("ord-1").await;
    let before = snapshot(&world).await;
    let deep = format!(r#"{{"data":{}1{}}}"#, r#"{"a":"#.repeat(9_000), "}".repeat(9_000));
    let compat = ["/api/v1/testing/simulateRawEvent", "/api/v1/orders/placeOrder"];
    let paths = [ORDERS, RESTOCKS, CHECK, CUSTOMERS, PRODUCTS, RAW, USERS, LOGIN, KEYS];
    for path in paths.into_iter().chain(compat) {
        assert_eq!(world.text("POST", path, deep.clone()).await.status, 400, "{path}");
    }
    assert_eq!(world.text("PATCH", ORDER, deep).await.status, 400);
    assert_eq!(snapshot(&world).await, before);
}

#[tokio::test]
async fn a_body_full_of_mistakes_gets_an_answer_of_bounded_length() {
    let world = World::empty();
    let reply = world.text("POST", "/orders", format!(r#"{{"items":[{}{{}}]}}"#, "{},".repeat(20_000))).await;
    assert_eq!((reply.status, reply.body["errors"].as_array().unwrap().len()), (422, 256));
    assert!(reply.body["detail"].as_str().unwrap().starts_with("40003 values"), "{}", reply.body["detail"]);
}
