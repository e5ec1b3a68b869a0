//! Dead letters over HTTP: shown, counted, sent back or thrown away; and who did what to them, and why.

use std::sync::Arc;

use apis::access::Asking;
use apis::problem::Problem;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use event_store_embedded::{Action, Choice, Chosen, DeadLetter, Deed, Wanted};
use events::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, LOOK, Ops, bad_body, bad_query, not_found, page, store};
use crate::letters::at_length;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LettersQuery {
    queue: Option<String>,
    #[serde(default)]
    after: i64,
    #[serde(default = "page")]
    limit: usize,
}

pub(super) async fn list(
    State(ops): State<Arc<Ops>>,
    query: Result<Query<LettersQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    if let Some(queue) = query.queue.as_deref() {
        known_queue(&ops, queue, StatusCode::BAD_REQUEST)?;
    }
    let limit = query.limit.clamp(1, LOOK);
    let shown = at_length(&ops.letters.store, move |store| {
        let letters = store.dead_letters(query.queue.as_deref(), query.after, limit)?;
        Ok(letters.iter().map(show_letter).collect::<Vec<Value>>())
    });
    Ok(Json(json!({ "dead_letters": shown.await.map_err(store)? })).into_response())
}

pub(super) async fn show(State(ops): State<Arc<Ops>>, Path(id): Path<String>) -> Answer {
    let Ok(id) = id.parse::<i64>() else { return Err(not_found("dead letter")) };
    let before = id.saturating_sub(1);
    let letters = ops.letters.store.dead_letters(None, before, 1).map_err(store)?;
    match letters.first().filter(|letter| letter.id == id) {
        Some(letter) => Ok(Json(show_letter(letter)).into_response()),
        None => Err(not_found("dead letter")),
    }
}

fn show_letter(letter: &DeadLetter) -> Value {
    // What the message is about, where its body can be read at all.
    let about: Value = serde_json::from_str(&letter.body).unwrap_or_default();
    json!({
        "id": letter.id,
        "queue": letter.queue,
        "source_queue": letter.source_queue,
        "event_id": about["event_id"],
        "event_name": about["event_name"],
        "pk": about["pk"],
        "sk": about["sk"],
        "receive_count": letter.receive_count,
        "error": letter.error,
        "dead_at": Timestamp::from_millis(letter.dead_at),
        "body": letter.body,
    })
}

/// Which letters, how fast, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    queue: Option<String>,
    ids: Option<Vec<i64>>,
    limit: Option<u64>,
    rate: Option<u32>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

type TakeBody = Result<Json<Take>, JsonRejection>;

/// Sends dead letters back to the queues they came from.
pub(super) async fn redrive(State(ops): State<Arc<Ops>>, asking: Asking, body: TakeBody) -> Answer {
    take(&ops, Deed::Redrive, asking, body).await
}

/// Throws dead letters away. Whoever does has to say which, and why: it cannot be undone.
pub(super) async fn discard(State(ops): State<Arc<Ops>>, asking: Asking, body: TakeBody) -> Answer {
    take(&ops, Deed::Discard, asking, body).await
}

/// The most numbers that one request names.
const MOST_IDS: usize = 1_000;
/// The longest reason, in characters.
const MAX_REASON: usize = 256;

async fn take(ops: &Ops, deed: Deed, Asking { principal, seed }: Asking, body: TakeBody) -> Answer {
    let Json(Take { queue, ids, limit, rate, reason, dry_run }) =
        body.map_err(|rejection| bad_body(&rejection))?;
    let refuse = |code, detail: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail));
    if let Some(queue) = queue.as_deref() {
        known_queue(ops, queue, StatusCode::UNPROCESSABLE_ENTITY)?;
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS) {
        return refuse("too_many_ids", format!("name at most {MOST_IDS} ids"));
    }
    if rate == Some(0) {
        return refuse("invalid_rate", "rate is letters a second, and at least 1".to_owned());
    }
    let reason = reason.trim();
    if reason.chars().count() > MAX_REASON {
        return refuse("reason_too_long", format!("reason has at most {MAX_REASON} characters"));
    }
    if deed == Deed::Discard && queue.is_none() && ids.is_none() {
        return refuse("choice_required", "say with queue or ids what is thrown away".to_owned());
    }
    if deed == Deed::Discard && reason.is_empty() && !dry_run {
        return refuse("reason_required", "say with reason why these are thrown away".to_owned());
    }
    let choice = Choice { queue, ids, limit, rate };
    if dry_run {
        return Ok(Json(preview(ops, deed, choice).await?).into_response());
    }
    let wanted = Wanted { deed, who: principal.id, reason: reason.to_owned(), choice };
    let action = ops.letters.begin(wanted, seed).await.map_err(store)?;
    let location = [("location", format!("/ops/actions/{}", action.id))];
    Ok((StatusCode::ACCEPTED, location, Json(in_full(ops, action).await?)).into_response())
}

/// What would be done.
async fn preview(ops: &Ops, deed: Deed, choice: Choice) -> Result<Value, Problem> {
    let (mut letters, mut stay, mut queues, limit) = (0, 0, Vec::new(), choice.limit);
    for chosen in count(ops, choice, i64::MAX).await? {
        let goes = deed == Deed::Discard || ops.letters.queue(&chosen.source_queue).is_some();
        *if goes { &mut letters } else { &mut stay } += chosen.letters;
        queues.push(json!({
            "queue": chosen.queue,
            "source_queue": chosen.source_queue,
            "letters": chosen.letters,
            "stay": !goes,
        }));
    }
    let letters = limit.map_or(letters, |limit| limit.min(letters));
    Ok(json!({
        "action": deed,
        "dry_run": true,
        "letters": letters,
        "stay": stay,
        "queues": queues,
    }))
}

/// The letters of a choice, up to a number; there may be many.
async fn count(ops: &Ops, choice: Choice, up_to: i64) -> Result<Vec<Chosen>, Problem> {
    at_length(&ops.letters.store, move |store| store.count(&choice, up_to)).await.map_err(store)
}

/// Refuses the name of a queue that no dead-letter queue has.
fn known_queue(ops: &Ops, queue: &str, status: StatusCode) -> Result<(), Problem> {
    let known = dead_letter_queues(ops);
    if known.contains(&queue) {
        return Ok(());
    }
    let detail = format!("there is no {queue}; choose one of {}", known.join(", "));
    Err(Problem::new(status, "unknown_queue", detail))
}

/// Names of the dead-letter queues of the queues that a worker reads.
pub(super) fn dead_letter_queues(ops: &Ops) -> Vec<&str> {
    let redrives = ops.wiring.queues.iter().filter_map(|source| source.queue.redrive.as_ref());
    let mut names: Vec<&str> = redrives.map(|redrive| redrive.dead_letter_queue.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionsQuery {
    #[serde(default = "latest")]
    before: i64,
    #[serde(default = "page")]
    limit: usize,
}

fn latest() -> i64 {
    i64::MAX
}

/// Everything that was done, the latest first.
pub(super) async fn actions(
    State(ops): State<Arc<Ops>>,
    query: Result<Query<ActionsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    let limit = query.limit.clamp(1, LOOK);
    let actions = at_length(&ops.letters.store, move |store| store.actions(query.before, limit));
    let actions = actions.await.map_err(store)?;
    let shown: Vec<Value> = actions.iter().map(in_short).collect();
    Ok(Json(json!({ "actions": shown })).into_response())
}

pub(super) async fn action(State(ops): State<Arc<Ops>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = id.parse().ok().map(|id| ops.letters.store.action(id).map_err(store)).transpose()?.flatten();
    let action = found.ok_or_else(|| not_found("action"))?;
    Ok(Json(in_full(&ops, action).await?).into_response())
}

fn in_short(action: &Action) -> Value {
    let Wanted { deed, who, reason, choice } = &action.wanted;
    json!({
        "id": action.id,
        "action": deed,
        "by": who,
        "reason": Some(reason).filter(|reason| !reason.is_empty()),
        "queue": choice.queue,
        "ids": choice.ids,
        "limit": choice.limit,
        "rate": choice.rate,
        "began_at": action.began_at,
        "ended_at": action.ended_at,
        "state": if action.ended_at.is_some() { "done" } else { "running" },
        "done": action.taken,
    })
}

/// Beside it, how many letters it leaves, or has left to do.
async fn in_full(ops: &Ops, action: Action) -> Result<Value, Problem> {
    let mut shown = in_short(&action);
    let Action { wanted: Wanted { choice, .. }, up_to, taken, .. } = action;
    let limit = choice.limit;
    let left: u64 = count(ops, choice, up_to).await?.iter().map(|chosen| chosen.letters).sum();
    shown["left"] = left.into();
    shown["total"] = limit.unwrap_or(u64::MAX).min(taken + left).into();
    Ok(shown)
}
