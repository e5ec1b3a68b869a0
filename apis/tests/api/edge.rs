//! What every request goes through.

use apis::access::Needs;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use serde_json::json;

use crate::world::World;

#[test]
fn every_route_is_registered_once_under_the_names_of_the_design() {
    let mut routes = apis::routes();
    routes.sort_unstable();
    let expected = [
        ("DELETE", "/customers/{id}"),
        ("DELETE", "/keys/{id}"),
        ("DELETE", "/orders/{id}"),
        ("DELETE", "/products/{id}"),
        ("DELETE", "/users/{name}"),
        ("GET", "/customers"),
        ("GET", "/customers/{id}"),
        ("GET", "/customers/{id}/orders"),
        ("GET", "/inventory/skus"),
        ("GET", "/inventory/skus/{sku}"),
        ("GET", "/inventory/skus/{sku}/ledger"),
        ("GET", "/keys"),
        ("GET", "/livez"),
        ("GET", "/openapi.json"),
        ("GET", "/orders"),
        ("GET", "/orders/{id}"),
        ("GET", "/orders/{id}/deliveries"),
        ("GET", "/orders/{id}/events"),
        ("GET", "/orders/{id}/payments"),
        ("GET", "/products"),
        ("GET", "/products/name/{name}"),
        ("GET", "/products/{id}"),
        ("GET", "/readyz"),
        ("GET", "/users"),
        ("GET", "/users/me"),
        ("PATCH", "/orders/{id}"),
        ("PATCH", "/products/{id}"),
        ("POST", "/api/v1/inventory/listSkus"),
        ("POST", "/api/v1/inventory/restockSku"),
        ("POST", "/api/v1/orders/listOrders"),
        ("POST", "/api/v1/orders/placeOrder"),
        ("POST", "/api/v1/payments/listOrderPayments"),
        ("POST", "/api/v1/testing/simulateRawEvent"),
        ("POST", "/chaos/raw-events"),
        ("POST", "/customers"),
        ("POST", "/inventory/check"),
        ("POST", "/inventory/restocks"),
        ("POST", "/keys"),
        ("POST", "/login"),
        ("POST", "/orders"),
        ("POST", "/products"),
        ("POST", "/users"),
    ];
    assert_eq!(routes, expected);
}

#[test]
fn every_function_serves_its_own_routes_and_both_apis_say_whether_they_are_ready_and_what_they_take() {
    let (oms, ims) = (apis::routes_of("oms-api"), apis::routes_of("ims-api"));
    let both: Vec<_> = oms.iter().filter(|route| ims.contains(route)).collect();
    assert_eq!(both, [&("GET", "/livez"), &("GET", "/readyz"), &("GET", "/openapi.json")]);
    let mut all = [oms, ims, apis::routes_of("chaos-api")].concat();
    all.sort_unstable();
    all.dedup();
    let mut routes = apis::routes();
    routes.sort_unstable();
    assert_eq!(all, routes);
    assert_eq!(apis::routes_of("orders-worker"), []);
}

#[tokio::test]
async fn every_route_of_the_table_is_served() {
    let world = World::empty();
    for (method, path) in apis::routes() {
        let path =
            path.replace("{id}", "some-id").replace("{sku}", "some-sku").replace("{name}", "some-name");
        let reply = world.text(method, &path, "{}").await;
        assert!(!["route_not_found", "method_not_allowed"].contains(&reply.code()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_or_method_that_is_not_served_is_a_problem() {
    let world = World::empty();
    for path in ["/", "/order", "/orders/", "/orders/a/b", "/api/v1/nothing", "/products/name"] {
        let reply = world.text("POST", path, "{}").await;
        let expected =
            if path == "/products/name" { (405, "method_not_allowed") } else { (404, "route_not_found") };
        assert_eq!((reply.status, reply.code()), expected, "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.body["instance"], reply.header("x-request-id"));
    }
    for (method, path, allow) in [
        ("PUT", "/orders", "POST,GET,HEAD"),
        ("POST", "/orders/ord-1", "GET,HEAD,PATCH,DELETE"),
        ("DELETE", "/inventory/restocks", "POST"),
        ("GET", "/api/v1/orders/placeOrder", "POST"),
    ] {
        let reply = world.text(method, path, "{}").await;
        assert_eq!(
            (reply.status, reply.code(), reply.header("allow")),
            (405, "method_not_allowed", allow),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_problem_says_what_rfc_9457_asks_and_which_request_it_answers() {
    let world = World::empty();
    let request = Request::get("/orders/nope").header("x-request-id", "req-1");
    let reply = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.header("content-length"), reply.body.to_string().len().to_string());
    assert_eq!(
        reply.body,
        json!({
            "type": "urn:sagaline:problem:order_not_found", "title": "Order not found", "status": 404,
            "detail": "there is no order with this id", "code": "order_not_found", "instance": "req-1",
        })
    );
    assert_eq!(
        (reply.header("content-type"), reply.header("x-request-id")),
        ("application/problem+json", "req-1")
    );
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let world = World::open().await;
    for name in ["not good", "", "a\"b", r"a\b", &"x".repeat(129)] {
        let bad = Request::get("/livez").header("x-request-id", name).body(Body::empty()).unwrap();
        let reply = world.send(bad).await;
        assert_eq!((reply.status, reply.header("x-request-id").len()), (200, 26), "{name:?}");
        assert_ne!(world.get("/livez").await.header("x-request-id"), reply.header("x-request-id"));
    }
}

#[tokio::test]
async fn a_body_must_be_json_say_so_and_be_small() {
    let world = World::open().await;
    let size = world.size().await;
    let valid = json!({"sku": "lamp", "units": 1, "lot_id": "lot-1"}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::post("/inventory/restocks").header("content-type", kind);
        let reply = world.send(request.body(valid.clone().into()).unwrap()).await;
        assert_eq!((reply.status, reply.code()), (415, "unsupported_media_type"), "{kind}");
    }
    let none = world.send(Request::post("/inventory/restocks").body(valid.clone().into()).unwrap()).await;
    assert_eq!(none.status, 415);

    let padded = |length: usize| format!("{valid}{}", " ".repeat(length - valid.len()));
    let large = world.text("POST", "/inventory/restocks", padded(65_537)).await;
    assert_eq!((large.status, large.code(), world.size().await), (413, "body_too_large", size));
    let announced = Request::post("/inventory/restocks").header("content-type", "application/json");
    let announced = announced.header("content-length", "65537").body("{}".into()).unwrap();
    assert_eq!(world.send(announced).await.status, 413);
    let charset =
        Request::post("/inventory/restocks").header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(world.send(charset.body(padded(65_536).into()).unwrap()).await.status, 202);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_says_nothing_of_itself() {
    let world = World::down();
    assert_eq!(world.get("/livez").await.status, 200);
    let order = json!({"customer_id": "cust-1", "items": [{"sku": "lamp", "quantity": 1}]});
    for reply in [
        world.get("/readyz").await,
        world.get("/orders/ord-1").await,
        world.post("/inventory/restocks", json!({"sku": "lamp", "units": 1, "lot_id": "lot-1"})).await,
        world.post("/orders", order).await,
        world.delete("/orders/ord-1").await,
    ] {
        assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "unavailable", "1"));
        assert!(!reply.body.to_string().contains("secret"));
    }
    let compat = json!({"sku": "lamp", "units": 1, "lotId": "lot-1"});
    let reply = world.post("/api/v1/inventory/restockSku", compat).await;
    assert_eq!((reply.status, reply.body), (500, json!({"message": "Internal Server Error"})));
}

#[tokio::test]
async fn it_is_ready_when_the_store_answers() {
    let world = World::empty();
    let (alive, ready) = (world.get("/livez").await, world.get("/readyz").await);
    assert_eq!((alive.status, alive.body), (200, json!({"status": "alive"})));
    assert_eq!((ready.status, ready.body), (200, json!({"status": "ready"})));
}

#[tokio::test]
async fn pages_of_any_origin_may_use_the_compatibility_api() {
    let world = World::empty();
    let asked = Request::options("/api/v1/orders/placeOrder")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-mine");
    let reply = world.send(asked.body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, "*"));
    assert_eq!(reply.header("access-control-allow-methods"), "POST, OPTIONS");
    assert_eq!(reply.header("access-control-allow-headers"), "content-type,x-mine");
    for body in ["{}", "bad"] {
        let reply = world.text("POST", "/api/v1/orders/listOrders", body).await;
        assert_eq!(reply.header("access-control-allow-origin"), "*");
    }
    assert_eq!(world.get("/orders").await.header("access-control-allow-origin"), "");
    assert_eq!(world.text("OPTIONS", "/orders", "").await.status, 405);
}

#[tokio::test]
async fn every_answer_says_that_it_is_data_for_whoever_asked_alone() {
    let world = World::open().await;
    assert_eq!(world.place("ord-1").await.status, 201);
    let answers = [
        world.get("/orders/ord-1").await,
        world.get("/orders").await,
        world.get("/nowhere").await,
        world.post("/orders", json!({})).await,
        world.post("/api/v1/orders/listOrders", json!({})).await,
    ];
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {}", answer.body);
        }
    }
    let kept: Vec<&str> = answers.iter().map(|answer| answer.header("cache-control")).collect();
    assert_eq!(kept, ["private, no-cache", "no-store", "no-store", "no-store", "no-store"]);
}

#[tokio::test]
async fn a_path_that_is_no_text_is_nowhere_and_every_route_says_so_in_a_problem() {
    let world = World::open().await;
    for (_, path) in apis::routes() {
        let Some((before, rest)) = path.split_once('{') else { continue };
        let path = format!("{before}%FF{}", rest.split_once('}').unwrap().1);
        for method in ["GET", "DELETE", "PATCH", "PUT"] {
            let reply = world.text(method, &path, "{}").await;
            assert!((400..500).contains(&reply.status), "{method} {path}: {}", reply.status);
            let kind = reply.header("content-type");
            assert_eq!(kind, "application/problem+json", "{method} {path}");
        }
    }
    let reply = world.delete("/keys/%FF").await;
    assert_eq!((reply.status, reply.code()), (404, "key_not_found"));
}

#[tokio::test]
async fn what_the_router_or_an_extractor_refuses_by_itself_is_a_problem_too() {
    let world = World::empty();
    let named = get(async |Path(id): Path<u64>| id.to_string());
    let routes = Router::new().route("/numbers/{id}", named);
    let routes =
        apis::router_beside(routes, &[("GET", "/numbers/{id}", Needs::Nothing, |_| {})], world.api.clone());
    let world = World { router: routes, ..world };
    for path in ["/numbers/one", "/numbers/%FF"] {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.code()), (400, "unreadable_request"), "{path}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for_and_says_nothing_of_what_it_panicked_with() {
    let world = World::empty();
    let panics = get(async || if true { panic!("of Ann Secret") } else { "fine" });
    let routes = Router::new().route("/panics", panics);
    let routes =
        apis::router_beside(routes, &[("GET", "/panics", Needs::Nothing, |_| {})], world.api.clone());
    let world = World { router: routes, ..world };
    let reply = world.get("/panics").await;
    assert_eq!((reply.status, reply.code()), (500, "internal"));
    assert!(!reply.body.to_string().contains("Secret") && !reply.header("x-request-id").is_empty());
}

#[tokio::test]
async fn paths_and_headers_are_at_most_so_long() {
    let world = World::empty();
    let long = world.get(&format!("/orders/{}", "x".repeat(8 * 1024))).await;
    assert_eq!((long.status, long.code()), (414, "uri_too_long"));
    let large = Request::get("/orders").header("x-much", "x".repeat(10_240)).body(Body::empty()).unwrap();
    let large = world.send(large).await;
    assert_eq!((large.status, large.code()), (431, "headers_too_large"));
    let fits = Request::get("/livez").header("x-much", "x".repeat(10_000)).body(Body::empty()).unwrap();
    assert_eq!(world.send(fits).await.status, 200);
}
