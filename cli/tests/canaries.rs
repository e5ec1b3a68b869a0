//! Nothing that somebody sends is in what is logged, measured or traced; ids are, for they say nothing of anybody.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod asking;

use std::fs;
use std::fs::File;

use asking::Asking;
use serde_json::{Map, Value, json};
use telemetry::collector::Collector;
use tempfile::TempDir;

/// Our own crates, at their most verbose.
const EVERYTHING: &str = "sagaline=trace,local=trace,apis=trace,auth=trace,workers=trace,views=trace,\
    event_store=trace,event_store_embedded=trace,topology=trace,telemetry=trace,error";

/// Every field that any route reads, and some that none does.
const FIELDS: [&str; 48] = [
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
    "phone",
    "status",
    "reason",
    "carrier",
    "tracking",
    "by",
    "reference",
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
    "username",
    "password",
    "role",
    "token",
    "api_key",
    "view",
    "queue",
    "ids",
    "patience",
    "personal",
    "diff",
    "swap",
    "rate",
    "seconds",
    "dry_run",
];

/// Every header that we read, and some that others do. A trace that is none is not continued, so its word is nobody's id.
const HEADERS: [&str; 12] = [
    "user-agent",
    "cookie",
    "referer",
    "origin",
    "x-forwarded-for",
    "x-real-ip",
    "idempotency-key",
    "if-match",
    "prefer",
    "traceparent",
    "tracestate",
    "baggage",
];

/// Words that nobody else writes, each with where it was sent.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn sing(&mut self, place: impl Into<String>) -> String {
        let word = format!("canary{:05}bird", self.0.len());
        self.0.push((word.clone(), place.into()));
        word
    }

    /// Something that was made for somebody and is theirs to keep.
    fn secret(&mut self, word: &str, what: &str) {
        self.0.push((word.to_owned(), what.to_owned()));
    }

    fn that_stand_in<'a>(&'a self, text: &str) -> Vec<&'a str> {
        let found = self.0.iter().filter(|(word, _)| text.contains(word.as_str()));
        found.map(|(_, place)| place.as_str()).collect()
    }
}

/// Every route with a canary in whatever it reads, asked by an admin and by whoever shows a canary.
async fn everywhere(server: &Asking, key: &str, canaries: &mut Canaries) {
    let routes = local::routes();
    assert!(routes.len() > 50, "{routes:?}");
    for (method, path) in routes {
        let here = format!("{method} {path}");
        let (mut filled, mut rest) = (String::new(), path);
        while let Some((before, behind)) = rest.split_once('{') {
            filled += before;
            filled += &canaries.sing(format!("{here}: path"));
            rest = behind.split_once('}').unwrap().1;
        }
        filled += rest;
        let query = canaries.sing(format!("{here}: query"));
        let asked = format!("{filled}?{query}={query}&customer_id={query}&next_token={query}&status={query}");
        let fields = FIELDS.iter().map(|field| {
            let word = canaries.sing(format!("{here}: field {field}"));
            ((*field).to_owned(), word.into())
        });
        let fields = Value::Object(fields.collect::<Map<String, Value>>()).to_string();
        let word = canaries.sing(format!("{here}: body"));
        let bad = canaries.sing(format!("{here}: a key or token"));
        let bearer = format!("Bearer {bad}");
        // The id of a request is logged as it was sent, so it is no canary's place; what is none is replaced.
        let (id, none) =
            ("request-1", format!("{} is none", canaries.sing(format!("{here}: no request id"))));
        for (body, path, proof, id) in [
            (&fields, &filled, ("x-api-key", key), id),
            (&format!("{{\"{word}\": {word}"), &asked, ("x-api-key", key), &none),
            (&fields, &filled, ("x-api-key", &*bad), &none),
            (&word, &asked, ("authorization", &*bearer), id),
        ] {
            let sent: Vec<(&str, String)> =
                HEADERS.map(|name| (name, canaries.sing(format!("{here}: header {name}")))).into();
            let mut headers: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, &**value)).collect();
            headers.extend([("content-type", "application/json"), ("x-request-id", id), proof]);
            let (status, said) = server.ask(method, path, &headers, body.clone()).await;
            assert!(status < 500, "{method} {path}: {status} {said}");
        }
    }
}

/// What a shop does, with a canary in everything that may say who somebody is, or that somebody writes as they like.
async fn a_days_work(server: &Asking, key: &str, canaries: &mut Canaries) {
    let post = async |path: &str, body: Value| server.done(key, "POST", path, &body).await;
    let [name, email, address] =
        ["name", "email", "address"].map(|what| canaries.sing(format!("a customer's {what}")));
    let anna = json!({ "customer_id": "anna-1", "name": name, "email": format!("{email}@example.org"), "address": address });
    post("/customers", anna).await;
    let [user, password, wrong] = ["username", "password", "wrong password"].map(|what| canaries.sing(what));
    let user = format!("{user}@example.org");
    let (password, wrong) = (format!("{password} is long"), format!("{wrong} is long"));
    post("/users", json!({ "username": user, "password": password, "name": canaries.sing("a user's name") }))
        .await;
    let json = [("content-type", "application/json")];
    let login = json!({ "username": user, "password": password }).to_string();
    let (status, answer) = server.ask("POST", "/login", &json, login).await;
    assert_eq!(status, 200, "{answer}");
    let token = answer["token"].as_str().unwrap();
    canaries.secret(token.rsplit('.').next().unwrap(), "a token");
    let bearer = format!("Bearer {token}");
    assert_eq!(server.ask("GET", "/users/me", &[("authorization", &bearer)], "").await.0, 200);
    let login = json!({ "username": user, "password": wrong }).to_string();
    assert_eq!(server.ask("POST", "/login", &json, login).await.0, 401);
    let made = post("/keys", json!({ "name": canaries.sing("a key's name"), "role": "operator" })).await;
    canaries.secret(made["api_key"].as_str().unwrap().splitn(3, '_').nth(2).unwrap(), "a key");
    canaries.secret(key.splitn(3, '_').nth(2).unwrap(), "the first key");

    let product = canaries.sing("a product's name");
    post("/products", json!({ "product_id": "lamp", "sku": "lamp", "name": product, "price": 2.5 })).await;
    post("/inventory/restocks", json!({ "sku": "lamp", "units": 10, "lot_id": "lot-1" })).await;
    server.until(key, "/inventory/skus", |list| list["skus"][0]["available"] == 10).await;
    // Whoever reserves for this one finds the slot taken by what nobody knows.
    let blocked = json!({
        "pk": "EVENTS#ORDER_ID#order-3", "sk": "EVENT#Reservation",
        "event_name": canaries.sing("a raw event's name"), "data": { "note": canaries.sing("a raw event's data") },
    });
    post("/chaos/raw-events", blocked).await;
    for order in ["order-1", "order-2", "order-3"] {
        let items = json!([{ "sku": "lamp", "quantity": 1 }]);
        post("/orders", json!({ "order_id": order, "customer_id": "anna-1", "items": items })).await;
    }
    for order in ["order-1", "order-2"] {
        server.until(key, &format!("/orders/{order}"), |order| order["status"] == "PAID").await;
    }
    let shipped = json!({ "status": "SHIPPED", "carrier": canaries.sing("a carrier"), "tracking": canaries.sing("tracking") });
    server.done(key, "PATCH", "/orders/order-1", &shipped).await;
    let cancelled = json!({ "status": "CANCELLED", "reason": canaries.sing("a reason") });
    server.done(key, "PATCH", "/orders/order-2", &cancelled).await;
    let unreadable = [
        ("EVENTS#ORDER_ID#order-4", "EVENT#OrderPlaced", "OrderPlaced"),
        ("EVENTS#ORDER_ID#order-1", "EVENT#Delivery", "OrderDelivered"),
        ("EVENTS#SKU#lamp", "EVENT#SkuRestocked#LOT_ID#lot-2", "SkuRestocked"),
        ("EVENTS#CUSTOMER_ID#anna-1", "EVENT#CustomerErased", "CustomerErased"),
    ];
    for (pk, sk, event_name) in unreadable {
        let data = json!({ "order_id": canaries.sing(format!("{event_name}: an id that is none")), "sku": [canaries.sing("sku")],
            "customer_id": { "name": canaries.sing("name") }, "units": canaries.sing("units"), "items": canaries.sing("items") });
        post("/chaos/raw-events", json!({ "pk": pk, "sk": sk, "event_name": event_name, "data": data }))
            .await;
    }
    let nowhere = canaries.sing("the key of a stream of no kind");
    post(
        "/chaos/raw-events",
        json!({ "pk": nowhere, "sk": "EVENT#OrderPlaced", "event_name": "OrderPlaced", "data": {} }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_anybody_sends_is_logged_measured_traced_or_told_of_a_dead_letter_but_ids() {
    let folder = TempDir::new().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let collector = Collector::start().await.unwrap();
    let server = Asking::start(
        &data,
        File::create(&log).unwrap(),
        &["--log", EVERYTHING, "--otlp-endpoint", collector.endpoint()],
    );
    let key = server.key.clone().unwrap();
    let mut canaries = Canaries::default();
    a_days_work(&server, &key, &mut canaries).await;
    everywhere(&server, &key, &mut canaries).await;
    let letters = server
        .until(&key, "/ops/dead-letters", |list| !list["dead_letters"].as_array().unwrap().is_empty())
        .await;
    server.stop();

    let errors: Vec<&Value> =
        letters["dead_letters"].as_array().unwrap().iter().map(|letter| &letter["error"]).collect();
    assert_eq!(canaries.that_stand_in(&format!("{errors:?}")), Vec::<&str>::new(), "{errors:?}");
    let logged = fs::read_to_string(&log).unwrap();
    // It is looked where something is.
    assert!(
        logged.contains("order-1") && logged.contains("request-1") && logged.contains("POST"),
        "{logged}"
    );
    let shown = canaries.that_stand_in(&logged);
    let lines: Vec<&str> = logged.lines().filter(|line| line.contains("bird")).take(5).collect();
    assert_eq!(shown, Vec::<&str>::new(), "{lines:#?}");
    let exported = collector.bytes();
    let exported = String::from_utf8_lossy(&exported);
    assert!(exported.contains("POST /orders") && exported.contains("orders_placed"), "nothing was exported");
    assert_eq!(canaries.that_stand_in(&exported), Vec::<&str>::new());
}
