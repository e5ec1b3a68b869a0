//! What the fuzz targets share: how an input is parted, a small shop in every state, and what every answer keeps.

pub mod shop;

use apis::access::{Access, Guard};
use apis::{Api, Environment};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use event_store::memory::MemoryStore;
use event_store::{
    CatalogViews, EventLog, Idempotency, Keys, LogScan, OrderViews, Secrets, StockViews, Tries, Users,
};
use events::StreamKey;
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use views::Pause;

/// Runs what is async on the thread that asks. Blocking reads of the embedded store get threads of their own.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().enable_time().build().expect("a runtime of one thread needs nothing")
});

/// The parts of an input, between lines of `===`. `None` if there are not exactly so many, or no text.
pub fn parts<const N: usize>(input: &[u8]) -> Option<[&str; N]> {
    let text = str::from_utf8(input).ok()?;
    text.split("\n===\n").collect::<Vec<_>>().try_into().ok()
}

/// The API over a store.
pub fn api<Store>(store: &Arc<Store>) -> Router
where
    Store: EventLog
        + OrderViews
        + StockViews
        + CatalogViews
        + Idempotency
        + Users
        + Keys
        + Secrets
        + Tries
        + 'static,
{
    let clock = Arc::new(shop::Ticking::default());
    apis::router(Arc::new(Api {
        log: store.clone(),
        orders: store.clone(),
        stock: store.clone(),
        catalog: store.clone(),
        kept: store.clone(),
        access: Access::over(store, clock.clone(), Guard::Open),
        pause: Arc::new(NoPause),
        stamper: clock,
        environment: Environment::Dev,
    }))
}

/// Nobody else runs, so nobody is waited for.
struct NoPause;

#[async_trait]
impl Pause for NoPause {
    async fn pause(&self, _: Duration) {}
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub kind: String,
    pub body: Value,
}

/// Sends a request and checks what holds of every answer: it is no fault of the server's, and it says in JSON
/// what became of the request; a refusal has a code, save in the compatibility API, which explains nothing.
pub async fn send(router: &Router, request: Request<Body>) -> Reply {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asked = format!("{method} {}", request.uri());
    let response = router.clone().oneshot(request).await.expect("a router answers everything");
    let (about, body) = response.into_parts();
    let body = body.collect().await.expect("a body in memory is whole").to_bytes();
    let header = about.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap_or("?"));
    let (status, kind) = (about.status.as_u16(), header.to_owned());
    assert!(status < 500, "{asked}: {status} {}", String::from_utf8_lossy(&body));
    if method == Method::HEAD || body.is_empty() {
        assert!(method == Method::HEAD || status == 204, "{asked}: {status} without a body");
        return Reply { status, kind, body: Value::Null };
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|cause| panic!("{asked}: {cause}"));
    let explains_nothing = kind == "application/json" && path.starts_with("/api/v1/");
    match status {
        ..400 => assert_eq!(kind, "application/json", "{asked}: {body}"),
        _ if explains_nothing => assert!(body["message"].is_string(), "{asked}: {body}"),
        _ => {
            assert_eq!(kind, "application/problem+json", "{asked}: {body}");
            assert!(body["code"].as_str().is_some_and(|code| !code.is_empty()), "{asked}: {body}");
            assert_eq!(body["status"], status, "{asked}: {body}");
        }
    }
    Reply { status, kind, body }
}

/// A GET.
pub fn get(path: &str) -> Option<Request<Body>> {
    Request::get(path).body(Body::empty()).ok()
}

/// Reads everything that the API shows of a store: each list, and each thing that its log speaks of.
pub async fn read_all(router: &Router, store: &MemoryStore) {
    let mut paths: Vec<String> =
        ["/orders", "/customers", "/products", "/inventory/skus"].map(str::to_owned).into();
    for stream in shop::streams(store).await {
        let things: &[&str] = match StreamKey::parse(&stream[0].pk) {
            Some(StreamKey::Order(_)) => {
                &["/orders/{}", "/orders/{}/events", "/orders/{}/payments", "/orders/{}/deliveries"]
            }
            Some(StreamKey::Sku(_)) => &["/inventory/skus/{}", "/inventory/skus/{}/ledger"],
            Some(StreamKey::Customer(_)) => &["/customers/{}", "/customers/{}/orders"],
            Some(StreamKey::Product(_)) => &["/products/{}"],
            None => &[],
        };
        let id = stream[0].pk.splitn(3, '#').last().unwrap_or_default();
        let id: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        paths.extend(things.iter().map(|path| path.replace("{}", &id)));
    }
    for path in paths {
        send(router, get(&path).expect("what is percent-encoded is a path")).await;
    }
}

/// How many events a store holds.
pub async fn size(store: &MemoryStore) -> u64 {
    store.size().await.expect("memory answers")
}
