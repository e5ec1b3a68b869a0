//! What is said of the operator's routes in the description of the API.
//!
//! A route has no row in [`super::ROUTES`] without a function here. Bodies and queries are read by serde; what is said of
//! them is what serde takes, null included. Whether it is so, schemathesis tries (`cargo xtask test openapi`).

use apis::openapi::Operation;
use axum::http::StatusCode;
use event_store::View;
use serde_json::{Map, Value, json};

/// A field: its name, its schema, and what it is. One whose name ends with `?` may be missing.
type Field = (&'static str, Value, &'static str);

fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, mut schema, what) in fields {
        schema["description"] = what.into();
        if !name.ends_with('?') {
            required.push(name);
        }
        properties.insert(name.trim_end_matches('?').to_owned(), schema);
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// A body: nothing but these fields is taken.
fn body(fields: impl IntoIterator<Item = Field>) -> Value {
    let mut body = object(fields);
    body["additionalProperties"] = false.into();
    body
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn id() -> Value {
    json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX })
}

fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn takes_query(says: &mut Operation) {
    let when = "A parameter is wrong or unknown.";
    says.refuses(StatusCode::BAD_REQUEST, "bad_query", when);
}

fn takes_body(says: &mut Operation) {
    says.refuses(StatusCode::BAD_REQUEST, "bad_body", "The body is no JSON.")
        .refuses(StatusCode::PAYLOAD_TOO_LARGE, "bad_body", "The body is too large.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "bad_body", "A field is wrong, missing or unknown.");
}

fn takes_json(says: &mut Operation) {
    takes_body(says);
    let when = "The content-type is not application/json.";
    says.refuses(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_body", when);
}

fn not_there(says: &mut Operation, what: &str) {
    says.refuses(StatusCode::NOT_FOUND, "not_found", &format!("There is no such {what}."));
}

pub(super) fn docs(says: &mut Operation) {
    let page = (text(), json!("<!doctype html>…"));
    says.summary("This description, for people").answers_in(
        "text/html; charset=utf-8",
        200,
        "One page, that needs nothing else.",
        page,
    );
}

pub(super) fn events(says: &mut Operation) {
    takes_query(says);
    let event = object([
        ("position", count(), "Where it stands in the log of this machine."),
        ("pk", text(), "The stream."),
        ("sk", text(), "The slot."),
        ("event_id", text(), "A ULID, greater than that of every event it was decided from."),
        ("event_name", text(), "What happened."),
        ("schema_version", count(), "Version of `data`."),
        ("data", text(), "What it carries, as JSON text."),
        ("occurred_at", json!({ "type": "string", "format": "date-time" }), "When it was appended."),
        ("priority", json!({ "type": "string", "enum": ["standard", "express"] }), "The lane of its order."),
        ("counters?", json!({ "type": "array", "items": { "type": "object" } }), "How counters moved."),
        ("producer", text(), "Who appended it."),
        ("correlation_id", text(), "The request that began it all."),
        ("causation_id?", text(), "The event because of which it was appended."),
        ("traceparent?", text(), "The W3C trace of the request that began it all."),
    ]);
    let schema = object([
        ("events", json!({ "type": "array", "items": event }), "The events, in the order of the log."),
        ("next", count(), "Where to go on, as `after`."),
        ("head", count(), "Where the log ends now."),
    ]);
    says.summary("Follow the log")
        .in_query("after", "Only events behind this position.", count())
        .in_query(
            "limit",
            "How many events there are at most; 100, if nothing is said, and never over 1,000.",
            count(),
        )
        .in_query("event_name", "Only events of these names, with commas between them.", text())
        .in_query("wait", "For how many seconds to wait for one where there is none; 30 at most.", count())
        .answers_with(200, "What is there.", schema, json!({ "events": [], "next": 42, "head": 42 }));
}

pub(super) fn queues(says: &mut Operation) {
    let of_worked = "Of queues that are worked on.";
    let queue = object([
        ("name", text(), "The queue."),
        ("function", nullable("string"), "Who works on it; null for dead letters."),
        ("dead_letter", json!({ "type": "boolean" }), "Whether it holds what was given up."),
        ("visible", count(), "Messages that can be taken now."),
        ("in_flight?", count(), of_worked),
        ("delayed?", count(), of_worked),
        ("received?", count(), of_worked),
        ("deleted?", count(), of_worked),
        ("dead_lettered?", count(), of_worked),
        ("position?", count(), "Up to where of the log it has read."),
        ("behind?", count(), "How many events it has yet to read."),
    ]);
    let list = json!({ "type": "array", "items": queue });
    says.summary("Show the queues").answers_with(
        200,
        "Every queue, and what is in it.",
        object([("queues", list, "The queues.")]),
        json!({ "queues": [{
            "name": "inventory-queue", "function": "inventory-worker", "dead_letter": false, "visible": 0,
            "in_flight": 0, "delayed": 0, "received": 4, "deleted": 4, "dead_lettered": 0, "position": 42, "behind": 0,
        }]}),
    );
}

fn letter() -> (Value, Value) {
    let schema = object([
        ("id", id(), "Names the letter."),
        ("queue", text(), "The queue that it is in."),
        ("source_queue", text(), "The queue that gave it up."),
        ("event_id", json!({}), "The event that it is about, where its body can be read; else null."),
        ("event_name", json!({}), "As `event_id`."),
        ("pk", json!({}), "As `event_id`."),
        ("sk", json!({}), "As `event_id`."),
        ("receive_count", count(), "How often it was tried."),
        ("error", nullable("string"), "What was wrong the last time."),
        ("dead_at", json!({ "type": "string", "format": "date-time" }), "When it was given up."),
        ("body", text(), "The message."),
    ]);
    let example = json!({
        "id": 7, "queue": "inventory-dlq", "source_queue": "inventory-queue", "event_id": null, "event_name": null,
        "pk": null, "sk": null, "receive_count": 5, "error": "unreadable message", "dead_at": "2010-12-01T08:26:00.000Z",
        "body": "…",
    });
    (schema, example)
}

pub(super) fn dead_letters(says: &mut Operation) {
    takes_query(says);
    let (schema, example) = letter();
    says.summary("List dead letters")
        .in_query("queue", "Only of this queue.", text())
        .in_query("after", "Only letters with a greater id.", id())
        .in_query(
            "limit",
            "How many there are at most; 100, if nothing is said, and never over 1,000.",
            count(),
        )
        .answers_with(
            200,
            "What was given up.",
            object([("dead_letters", json!({ "type": "array", "items": schema }), "The letters.")]),
            json!({ "dead_letters": [example] }),
        );
}

pub(super) fn dead_letter(says: &mut Operation) {
    not_there(says, "dead letter");
    let (schema, example) = letter();
    says.summary("Show a dead letter").in_path("id", "Names the letter.", "7").answers_with(
        200,
        "The letter.",
        schema,
        example,
    );
}

pub(super) fn redrive(says: &mut Operation) {
    takes_json(says);
    let ids = json!({ "type": ["array", "null"], "items": id() });
    let limit = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX });
    says.takes(body([
        ("queue?", nullable("string"), "Only letters of this queue."),
        ("ids?", ids, "Only these letters."),
        ("limit?", limit, "How many at most."),
    ]));
    let schema =
        object([("redriven", count(), "How many were sent back."), ("left", count(), "How many were not.")]);
    says.summary("Send dead letters back to the queues they came from")
        .example("ten at most", json!({ "limit": 10 }))
        .answers_with(200, "What was done.", schema, json!({ "redriven": 3, "left": 0 }));
}

/// A replay or audit that was started.
fn starts(says: &mut Operation, what: &str) {
    let schema = object([("id", count(), "Asks for it.")]);
    let running = format!("The same {what} is running; wait for its end.");
    says.answers_with(202, "It is running.", schema, json!({ "id": 1 }))
        .with_header(&[202], "Location")
        .refuses(StatusCode::CONFLICT, "already_running", &running);
}

/// What a replay or audit shows of itself.
fn shows(says: &mut Operation, what: &'static str) {
    not_there(says, what);
    let schema = object([
        ("id", count(), "Names it."),
        ("state", json!({ "type": "string", "enum": ["running", "done", "failed"] }), "How far it is."),
        ("events", count(), "How many events were looked at."),
        ("total", count(), "How many there are."),
        ("events_per_second", count(), "How fast."),
        ("error?", text(), "Why it failed."),
    ]);
    says.detail("Where it is done, what it found stands beside these.").in_path("id", "Names it.", "1").answers_with(
        200,
        "How far it is, or what it found.",
        schema,
        json!({ "id": 1, "state": "running", "events": 1_000, "total": 20_000, "events_per_second": 100_000 }),
    );
}

pub(super) fn start_replay(says: &mut Operation) {
    takes_json(says);
    let views = json!({ "type": "string", "enum": View::ALL.map(View::as_str) });
    let yes = || json!({ "type": "boolean" });
    says.takes(body([
        ("view", views, "Which read model."),
        ("diff?", yes(), "Whether to name each difference."),
        ("swap?", yes(), "Whether to put the rebuilt rows in the place of those that differ."),
    ]));
    says.summary("Rebuild a read model from the log")
        .example("compare the orders", json!({ "view": "orders", "diff": true }))
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "unknown_view", "There is no such read model.");
    starts(says, "replay");
}

pub(super) fn show_replay(says: &mut Operation) {
    says.summary("Show a replay");
    shows(says, "replay");
}

pub(super) fn start_audit(says: &mut Operation) {
    takes_body(says);
    let patience = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX });
    let what = "For how many seconds something may stand still that somebody owes something.";
    says.takes(body([("patience?", patience, what)])).perhaps_without_a_body();
    says.summary("Check every promise against the log").example("at once", json!({ "patience": 0 }));
    starts(says, "audit");
}

pub(super) fn show_audit(says: &mut Operation) {
    says.summary("Show an audit");
    shows(says, "audit");
}
