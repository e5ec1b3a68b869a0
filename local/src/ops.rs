//! What an operator sees and does over HTTP: the feed, queues, dead letters, replays, audits.

mod drain;
mod letters;
pub(crate) mod report;
mod said;

use std::sync::Arc;
use std::time::Duration;

use apis::Beside;
use apis::access::Needs;
use apis::problem::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use event_store::{ChangeFeed, Position, StoreError, View};
use event_store_embedded::QueueStore;
use events::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use views::audit::{PATIENCE, still_since};
use views::replay::Mode;

use crate::dispatch::Dispatch;
use crate::docs;
use crate::letters::{Letters, at_length};
use crate::queue::{Queue, now};
use crate::runs::Runs;
use crate::sweeps::Sweeps;
use crate::wiring::Wiring;

pub(crate) struct Ops {
    pub(crate) feed: Arc<dyn ChangeFeed>,
    pub(crate) queues: Vec<Arc<Queue>>,
    /// Who reads them, in their order.
    pub(crate) dispatchers: Vec<Arc<Dispatch>>,
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) letters: Arc<Letters>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) sweeps: Arc<Sweeps>,
    /// Says that the server is about to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

type Answer = Result<Response, Problem>;

/// A route: what is said of it, and who answers.
type Route = (Beside, fn() -> MethodRouter<Arc<Ops>>);

/// Every route here.
const ROUTES: [Route; 17] = [
    (("GET", "/docs", Needs::Nothing, said::docs), || get(docs::page)),
    (("GET", "/events", Needs::OPERATOR, said::events), || get(events)),
    (("GET", "/ops/queues", Needs::OPERATOR, said::queues), || get(queues)),
    (("GET", "/ops/dead-letters", Needs::OPERATOR, said::dead_letters), || get(letters::list)),
    (("GET", "/ops/dead-letters/{id}", Needs::OPERATOR, said::dead_letter), || get(letters::show)),
    (("POST", "/ops/dead-letters/redrive", Needs::OPERATOR, said::redrive), || post(letters::redrive)),
    (("POST", "/ops/dead-letters/discard", Needs::OPERATOR, said::discard), || post(letters::discard)),
    (("GET", "/ops/actions", Needs::OPERATOR, said::actions), || get(letters::actions)),
    (("GET", "/ops/actions/{id}", Needs::OPERATOR, said::show_action), || get(letters::action)),
    (("POST", "/orders/process-queue", Needs::OPERATOR, said::drain), || post(drain::drain)),
    (("POST", "/ops/replays", Needs::OPERATOR, said::start_replay), || post(start_replay)),
    (("GET", "/ops/replays/{id}", Needs::OPERATOR, said::show_replay), || get(show_replay)),
    (("POST", "/ops/audits", Needs::OPERATOR, said::start_audit), || post(start_audit)),
    (("GET", "/ops/audits/{id}", Needs::OPERATOR, said::show_audit), || get(show_audit)),
    (("GET", "/ops/report", Needs::OPERATOR, said::report), || get(report::last)),
    (("POST", "/ops/sweeps", Needs::OPERATOR, said::start_sweep), || post(report::sweep)),
    (("GET", "/ops/sweeps/{id}", Needs::OPERATOR, said::show_sweep), || get(report::show_sweep)),
];

/// Every route here, with who may ask for it and what is said of it.
pub(crate) fn beside() -> Vec<Beside> {
    ROUTES.iter().map(|(route, _)| *route).collect()
}

/// Every route that one machine answers, as (method, path template): the API's and these.
pub fn routes() -> Vec<(&'static str, &'static str)> {
    let own = beside().into_iter().map(|(method, path, ..)| (method, path));
    apis::routes().into_iter().chain(own).collect()
}

pub(crate) fn router(ops: Arc<Ops>) -> Router {
    let routes =
        ROUTES.iter().fold(Router::new(), |router, ((_, path, ..), answered)| router.route(path, answered()));
    routes.layer(from_fn(in_memory)).with_state(ops)
}

/// Reads bodies as the API does, and as much of them.
async fn in_memory(request: Request, next: Next) -> Answer {
    let (parts, body) = request.into_parts();
    let body = apis::read_body(&parts.headers, body).await?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// A JSON body, or none: then nothing in particular is wanted.
struct Perhaps<T>(T);

impl<T: Default + DeserializeOwned, S: Send + Sync> FromRequest<S> for Perhaps<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        // It is in memory.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        if body.is_empty() {
            return Ok(Perhaps(T::default()));
        }
        let read = Json::from_request(Request::from_parts(parts, Body::from(body)), state).await;
        read.map(|Json(said)| Perhaps(said)).map_err(|rejection| bad_body(&rejection))
    }
}

fn store(error: StoreError) -> Problem {
    Problem::from(error)
}

fn bad_query(rejection: &QueryRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", rejection.body_text())
}

fn bad_body(rejection: &JsonRejection) -> Problem {
    Problem::new(rejection.status(), "bad_body", rejection.body_text())
}

fn not_found(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedQuery {
    #[serde(default)]
    after: u64,
    #[serde(default = "page")]
    limit: usize,
    #[serde(default)]
    event_name: String,
    #[serde(default)]
    wait: u64,
}

fn page() -> usize {
    100
}

/// How many events behind a position are looked at for one answer.
const LOOK: usize = 1_000;
/// The longest wait for an event, in seconds.
const MAX_WAIT: u64 = 30;

async fn events(State(ops): State<Arc<Ops>>, query: Result<Query<FeedQuery>, QueryRejection>) -> Answer {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let names: Vec<&str> = query.event_name.split(',').filter(|name| !name.is_empty()).collect();
    let limit = query.limit.clamp(1, LOOK);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(query.wait.min(MAX_WAIT));
    let (mut next, mut found) = (Position(query.after), Vec::new());
    loop {
        // What is there already is looked at however short the wait is.
        let follow = ops.feed.follow(next, LOOK);
        let page = if ops.feed.head().await.map_err(store)? > next {
            follow.await
        } else {
            let mut stop = ops.stop.clone();
            tokio::select! {
                page = follow => page,
                () = tokio::time::sleep_until(deadline) => break,
                _ = stop.wait_for(|stop| *stop) => break,
            }
        };
        let page = page.map_err(store)?;
        for (position, event) in page {
            next = position;
            if names.is_empty() || names.contains(&&*event.event_name) {
                let mut shown = json!(*event);
                shown["position"] = position.0.into();
                found.push(shown);
                if found.len() == limit {
                    break;
                }
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    let head = ops.feed.head().await.map_err(store)?;
    Ok(Json(json!({ "events": found, "next": next.0, "head": head.0 })).into_response())
}

async fn queues(State(ops): State<Arc<Ops>>) -> Answer {
    let head = ops.feed.head().await.map_err(store)?.0;
    let mut shown: Vec<Value> = Vec::new();
    for (source, queue) in ops.wiring.queues.iter().zip(&ops.queues) {
        let (counts, position) = (queue.counts(), queue.lock().read_to());
        let oldest = queue.lock().oldest_sent_at().map(Timestamp::from_millis);
        shown.push(json!({
            "name": source.queue.name,
            "function": source.function.binary,
            "dead_letter": false,
            "visible": counts.visible,
            "in_flight": counts.in_flight,
            "delayed": counts.delayed,
            "oldest_sent_at": oldest,
            "received": counts.received,
            "deleted": counts.deleted,
            "dead_lettered": counts.dead_lettered,
            "position": position,
            "behind": head.saturating_sub(position),
        }));
    }
    let counts = at_length(&ops.letters.store, QueueStore::dead_letter_counts).await.map_err(store)?;
    for name in letters::dead_letter_queues(&ops) {
        let visible = counts.iter().find(|(queue, _)| queue == name).map_or(0, |(_, count)| *count);
        shown.push(json!({ "name": name, "function": null, "dead_letter": true, "visible": visible }));
    }
    Ok(Json(json!({ "queues": shown })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartReplay {
    view: String,
    #[serde(default)]
    diff: bool,
    #[serde(default)]
    swap: bool,
}

async fn start_replay(State(ops): State<Arc<Ops>>, body: Result<Json<StartReplay>, JsonRejection>) -> Answer {
    let Json(StartReplay { view, diff, swap }) = body.map_err(|rejection| bad_body(&rejection))?;
    let Some(view) = View::parse(&view) else {
        let views = View::ALL.map(View::as_str).join(", ");
        let detail = format!("there is no view {view}; choose one of {views}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_view", detail));
    };
    match ops.runs.replay(view, Mode { diff, swap }) {
        Some(id) => Ok(started("replays", id)),
        None => {
            let detail = format!("a replay of {view} is running; wait for its end");
            Err(Problem::new(StatusCode::CONFLICT, "already_running", detail).retry_after(1))
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartAudit {
    /// How many seconds something may stand still that somebody owes something.
    patience: Option<u64>,
    /// Whether it is looked for what is left of people who were erased, and for nothing else.
    #[serde(default)]
    personal: bool,
}

async fn start_audit(
    State(ops): State<Arc<Ops>>,
    Perhaps(StartAudit { patience, personal }): Perhaps<StartAudit>,
) -> Answer {
    let patience = patience.map_or(PATIENCE, Duration::from_secs);
    let started_run = if personal {
        ops.runs.personal()
    } else {
        ops.runs.audit(still_since(Timestamp::from_millis(now()), patience))
    };
    match started_run {
        Some(id) => Ok(started("audits", id)),
        None => {
            let detail = "an audit is running; wait for its end";
            Err(Problem::new(StatusCode::CONFLICT, "already_running", detail).retry_after(1))
        }
    }
}

fn started(kind: &str, id: u64) -> Response {
    let location = [("location", format!("/ops/{kind}/{id}"))];
    (StatusCode::ACCEPTED, location, Json(json!({ "id": id }))).into_response()
}

async fn show_replay(State(ops): State<Arc<Ops>>, Path(id): Path<String>) -> Answer {
    show(&ops, "replay", &id)
}

async fn show_audit(State(ops): State<Arc<Ops>>, Path(id): Path<String>) -> Answer {
    show(&ops, "audit", &id)
}

fn show(ops: &Ops, kind: &str, id: &str) -> Answer {
    let shown = id.parse().ok().and_then(|id| ops.runs.show(kind, id));
    shown.map(|shown| Json(shown).into_response()).ok_or_else(|| not_found(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_this_process_is_described_and_nothing_is_left_out_of_what_is_said_of_it() {
        assert_eq!(apis::mistakes(&beside()), Vec::<String>::new());
        let description = apis::description(&beside());
        for (method, path, ..) in beside() {
            let said = &description["paths"][path][method.to_ascii_lowercase()];
            assert!(said.is_object(), "{method} {path}");
        }
        let described = description["paths"].as_object().into_iter().flatten();
        let described: usize =
            described.map(|(_, methods)| methods.as_object().map_or(0, serde_json::Map::len)).sum();
        assert_eq!(described, apis::routes().len() + ROUTES.len());
    }
}
