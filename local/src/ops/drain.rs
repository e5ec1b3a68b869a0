//! Receiving from a queue by hand: by the rules of whoever reads it, up to a number of messages and a time.

use std::sync::Arc;
use std::time::Duration;

use apis::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use events::Priority;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use workers::Worker;

use super::{Answer, Ops, bad_body};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
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

/// `POST /orders/process-queue`. Nothing has to be said, so there need be no body.
pub(super) async fn drain(State(ops): State<Arc<Ops>>, body: Bytes) -> Answer {
    let said = if body.is_empty() { Ok(Json(Drain::default())) } else { Json::from_bytes(&body) };
    let Json(Drain { queue, limit, seconds }) = said.map_err(|rejection| bad_body(&rejection))?;
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
