//! Receiving from a queue by hand: by the rules of whoever reads it, up to a number of messages and a time.

use std::sync::Arc;
use std::time::Duration;

use apis::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use events::Priority;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use workers::Worker;

use super::{Answer, Ops, Perhaps};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// The queue; that of orders, if nothing is said.
    queue: Option<String>,
    /// At most so many messages.
    limit: Option<usize>,
    /// No batch begins after so many seconds. The last one has as long as its function's timeout.
    seconds: Option<u64>,
}

/// So many messages if nothing is said, and at most.
const MESSAGES: (usize, usize) = (100, 10_000);
/// So many seconds if nothing is said, and at most: with the timeout of a function, less than a client waits, and than an
/// `Idempotency-Key` is held.
const SECONDS: (u64, u64) = (10, 20);

/// `POST /orders/process-queue`.
pub(super) async fn drain(
    State(ops): State<Arc<Ops>>,
    Perhaps(Drain { queue, limit, seconds }): Perhaps<Drain>,
) -> Answer {
    let refuse = |code, detail: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail));
    let limit = limit.unwrap_or(MESSAGES.0);
    if !(1..=MESSAGES.1).contains(&limit) {
        return refuse("invalid_limit", format!("limit is from 1 to {}", MESSAGES.1));
    }
    let seconds = seconds.unwrap_or(SECONDS.0);
    if !(1..=SECONDS.1).contains(&seconds) {
        return refuse("invalid_seconds", format!("seconds is from 1 to {}", SECONDS.1));
    }
    let names: Vec<&str> = ops.wiring.queues.iter().map(|source| source.queue.name.as_str()).collect();
    let index = match &queue {
        Some(queue) => names.iter().position(|name| name == queue),
        None => ops.wiring.lane(Worker::Orders, Priority::Standard),
    };
    let Some(index) = index else {
        let unknown = queue.unwrap_or_default();
        return refuse(
            "unknown_queue",
            format!("no worker reads {unknown}; choose one of {}", names.join(", ")),
        );
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    let drained = ops.dispatchers[index].drain(limit, until).await;
    let counts = ops.queues[index].counts();
    let (done, failed) = (drained.done, drained.failed);
    tracing::info!(queue = names[index], done, failed, "received by hand");
    Ok(Json(json!({
        "queue": names[index],
        "done": done,
        "failed": failed,
        "left": counts.visible + counts.in_flight + counts.delayed,
    }))
    .into_response())
}

#[cfg(test)]
mod tests {
    use apis::access::Guard;
    use axum::http::Request;
    use event_store::SystemStamper;
    use event_store_embedded::EmbeddedStore;
    use serde_json::Value;
    use tokio::sync::{Mutex, Notify, watch};
    use tower::ServiceExt;
    use workers::{FakeGateway, LogSweeper, Ports, Workers};

    use super::*;
    use crate::dispatch::tests::placed;
    use crate::letters::Letters;
    use crate::machine::{declared, dispatchers, open_queues};
    use crate::ops::router;
    use crate::runs::Runs;
    use crate::schedule::LocalNudges;
    use crate::stores::{Ask, Stores};
    use crate::sweeps::{KeptLetters, Sweeps};
    use crate::wiring::Wiring;

    /// The operator's side of a machine on which nobody reads the queues by themselves.
    fn unread(store: &EmbeddedStore) -> Arc<Ops> {
        let clock = Arc::new(SystemStamper::new("a test"));
        let stores = Stores::embedded(store.clone(), Ask { clock: clock.clone(), guard: Guard::Open });
        let shared = Arc::new(store.clone());
        let ports = Ports {
            log: shared.clone(),
            orders: shared.clone(),
            catalog: shared.clone(),
            gateway: Arc::new(FakeGateway { intents: shared.clone(), failure_share: 0.0, seed: 1 }),
        };
        let workers = Arc::new(Workers::new(&ports, |binary| Arc::new(SystemStamper::new(binary))));
        let topology = declared("dev").expect("the templates are fine");
        let wiring = Arc::new(Wiring::new(topology).expect("the templates are fine"));
        let queues = open_queues(&wiring, store, &Arc::new(Notify::new())).expect("the store reads");
        let (_, stop) = watch::channel(false);
        let sweeper = LogSweeper {
            scan: shared.clone(),
            log: shared.clone(),
            orders: shared.clone(),
            catalog: shared,
            nudges: Arc::new(LocalNudges { wiring: wiring.clone(), queues: queues.clone() }),
            letters: Arc::new(KeptLetters(store.queues())),
            stamper: clock.clone(),
            patience: Duration::from_secs(60),
            expire_after: None,
        };
        Arc::new(Ops {
            feed: stores.feed.clone(),
            dispatchers: dispatchers(&wiring, &queues, &workers).expect("every queue has a worker"),
            letters: Arc::new(Letters {
                store: Arc::new(store.queues()),
                queues: queues.clone(),
                clock,
                stop: stop.clone(),
            }),
            runs: Runs::new(stores.ports(), stores.places(), 1),
            sweeps: Arc::new(Sweeps { sweeper, store: store.queues(), sweeping: Mutex::default() }),
            wiring,
            queues,
            stop,
        })
    }

    async fn drained(ops: &Arc<Ops>, wanted: &Value) -> Value {
        let request = Request::post("/orders/process-queue")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(wanted.to_string()))
            .expect("a request that can be sent");
        let Ok(answer) = router(ops.clone()).oneshot(request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("it comes to its end");
        serde_json::from_slice(&body).expect("it is JSON")
    }

    #[tokio::test]
    async fn what_was_received_by_hand_is_told_and_what_is_left() {
        let store = EmbeddedStore::temporary();
        let ops = unread(&store);
        let send = async |queue: &str, body: String| {
            let queue = ops.letters.queue(queue).expect("the templates have it");
            queue.send(body).await.expect("the store takes it");
        };
        for order in ["order-1", "order-2", "order-3"] {
            let message = placed(&store, order).await;
            send("OMS-OrderEventsQueue", message.to_string()).await;
        }
        send("IMS-InventoryQueue", "nonsense".to_owned()).await;
        let told = |queue: &str, [done, failed, left]: [u32; 3]| json!({ "queue": queue, "done": done, "failed": failed, "left": left });
        let orders = |counts| told("OMS-OrderEventsQueue", counts);
        assert_eq!(drained(&ops, &json!({ "limit": 2 })).await, orders([2, 0, 1]));
        assert_eq!(drained(&ops, &json!({ "limit": 2 })).await, orders([1, 0, 0]));
        assert_eq!(drained(&ops, &json!({})).await, orders([0, 0, 0]));
        let nonsense = json!({ "queue": "IMS-InventoryQueue", "limit": 1 });
        assert_eq!(drained(&ops, &nonsense).await, told("IMS-InventoryQueue", [0, 1, 1]));
        let stream = event_store::EventLog::read_stream(&store, "EVENTS#ORDER_ID#order-3").await;
        assert_eq!(stream.expect("it reads").len(), 2, "its worker did what it owed");
    }
}
