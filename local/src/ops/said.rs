//! What is said of the operator's routes in the description of the API.
//!
//! A route has no row in `ROUTES` without a function here. Bodies and queries are read by serde; what is said of
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

fn takes_json(says: &mut Operation) {
    apis::say_unread(says);
    says.refuses(StatusCode::BAD_REQUEST, "bad_body", "The body is no JSON.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "bad_body", "A field is wrong, missing or unknown.")
        .refuses(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_body", "The content-type is not application/json.");
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
        (
            "request_seed?",
            text(),
            "What a request with an `Idempotency-Key` made its ids from, however often it came.",
        ),
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
        (
            "oldest_sent_at?",
            json!({ "type": ["string", "null"], "format": "date-time" }),
            "Since when the oldest waits.",
        ),
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
            "name": "IMS-InventoryQueue", "function": "inventory-worker", "dead_letter": false, "visible": 0,
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
        "id": 7, "queue": "IMS-InventoryDLQ", "source_queue": "IMS-InventoryQueue", "event_id": null, "event_name": null,
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
        .refuses(StatusCode::BAD_REQUEST, "unknown_queue", "There is no dead-letter queue of this name.")
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

fn whole(least: u64, most: u64) -> Value {
    json!({ "type": ["integer", "null"], "minimum": least, "maximum": most })
}

/// Somebody's deed: letters that are sent back, or thrown away.
fn action() -> (Vec<Field>, Value) {
    let time = |kind: Value| json!({ "type": kind, "format": "date-time" });
    let fields = vec![
        ("id", id(), "Names what was done."),
        (
            "action",
            json!({ "type": "string", "enum": ["redrive", "discard"] }),
            "What is done to the letters.",
        ),
        ("by", text(), "Who asked for it."),
        ("reason", nullable("string"), "Why."),
        ("queue", nullable("string"), "Only letters of this queue."),
        ("ids", json!({ "type": ["array", "null"], "items": id() }), "Only these letters."),
        ("limit", whole(0, u64::MAX), "How many at most."),
        ("rate", whole(1, u64::from(u32::MAX)), "How many a second at most."),
        ("began_at", time(json!("string")), "When it began."),
        ("ended_at", time(json!(["string", "null"])), "When it ended."),
        ("state", json!({ "type": "string", "enum": ["running", "done"] }), "Whether it has ended."),
        ("done", count(), "How many letters it was done to."),
    ];
    let example = json!({
        "id": 3, "action": "redrive", "by": "key:4f0a1c2b3d4e5f60", "reason": "the gateway is back", "queue": null,
        "ids": null, "limit": null, "rate": 10, "began_at": "2010-12-01T08:26:00.000Z", "ended_at": null,
        "state": "running", "done": 20,
    });
    (fields, example)
}

fn action_in_full() -> (Value, Value) {
    let (mut fields, mut example) = action();
    fields.push(("left", count(), "How many letters are left of those that were meant."));
    fields.push(("total", count(), "How many it will have been."));
    example["left"] = json!(80);
    example["total"] = json!(100);
    (object(fields), example)
}

fn take(says: &mut Operation, name: &str, wanted: Value) {
    takes_json(says);
    says.takes(body([
        ("queue?", nullable("string"), "Only letters of this dead-letter queue."),
        (
            "ids?",
            json!({ "type": ["array", "null"], "items": id(), "maxItems": 1_000 }),
            "Only these letters.",
        ),
        ("limit?", whole(0, u64::MAX), "How many at most."),
        ("rate?", whole(1, u64::from(u32::MAX)), "How many a second at most."),
        ("reason?", json!({ "type": "string", "maxLength": 256 }), "Why; it is kept with what was done."),
        ("dry_run?", json!({ "type": "boolean" }), "Whether to count them only."),
    ]));
    let group = object([
        ("queue", text(), "Where they are."),
        ("source_queue", text(), "Where they came from."),
        ("letters", count(), "How many."),
        (
            "stay",
            json!({ "type": "boolean" }),
            "Whether they cannot go back, because nobody reads that queue any more.",
        ),
    ]);
    let preview = object([
        ("action", json!({ "type": "string", "enum": ["redrive", "discard"] }), "What would be done."),
        ("dry_run", json!({ "const": true }), "Nothing was done."),
        ("letters", count(), "To how many letters."),
        ("stay", count(), "How many could not go back."),
        ("queues", json!({ "type": "array", "items": group }), "Queue by queue."),
    ]);
    let (begun, example) = action_in_full();
    let unknown = "There is no such dead-letter queue.";
    says.answers_with(
        202,
        "It is written down, and goes on whether its client stays or not.",
        begun,
        example,
    )
    .with_header(&[202], "Location")
    .answers_with(
        200,
        "With `dry_run`: what would be done.",
        preview,
        json!({ "action": "redrive", "dry_run": true, "letters": 100, "stay": 0, "queues": [] }),
    )
    .example(name, wanted)
    .refuses(StatusCode::UNPROCESSABLE_ENTITY, "unknown_queue", unknown)
    .refuses(StatusCode::UNPROCESSABLE_ENTITY, "too_many_ids", "More than 1,000 letters are named.")
    .refuses(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rate", "The rate is 0.")
    .refuses(StatusCode::UNPROCESSABLE_ENTITY, "reason_too_long", "The reason has over 256 characters.");
}

pub(super) fn redrive(says: &mut Operation) {
    says.summary("Send dead letters back to the queues they came from");
    take(says, "ten a second", json!({ "rate": 10, "reason": "the gateway is back" }));
}

pub(super) fn discard(says: &mut Operation) {
    says.summary("Throw dead letters away").detail("Say which, and why: it cannot be undone.");
    take(says, "those of one queue", json!({ "queue": "OMS-OrderEventsDLQ", "reason": "left by a test" }));
    says.refuses(StatusCode::UNPROCESSABLE_ENTITY, "choice_required", "Neither queue nor ids is said.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "reason_required", "It is not said why.");
}

pub(super) fn actions(says: &mut Operation) {
    takes_query(says);
    let (fields, example) = action();
    let list = json!({ "type": "array", "items": object(fields) });
    says.summary("List what was done to dead letters")
        .in_query("before", "Only what was done before this, by its id.", id())
        .in_query(
            "limit",
            "How many there are at most; 100, if nothing is said, and never over 1,000.",
            count(),
        )
        .answers_with(
            200,
            "Who did what, when, to how many and why; the latest first.",
            object([("actions", list, "What was done.")]),
            json!({ "actions": [example] }),
        );
}

pub(super) fn show_action(says: &mut Operation) {
    not_there(says, "action");
    let (schema, example) = action_in_full();
    says.summary("Show what was done to dead letters").in_path("id", "Names it.", "3").answers_with(
        200,
        "How far it is.",
        schema,
        example,
    );
}

pub(super) fn drain(says: &mut Operation) {
    takes_json(says);
    says.takes(body([
        ("queue?", nullable("string"), "Which queue; that of orders, if nothing is said."),
        ("limit?", whole(1, 10_000), "At most so many messages; 100, if nothing is said."),
        ("seconds?", whole(1, 20), "No batch begins after so many seconds; 10, if nothing is said."),
    ]))
    .perhaps_without_a_body();
    let schema = object([
        ("queue", text(), "The queue."),
        ("done", count(), "Messages that were handled."),
        ("failed", count(), "Messages that were not, and come again."),
        ("left", count(), "Messages that are left."),
    ]);
    says.summary("Receive from a queue by hand")
        .detail("By the rules of whoever reads it: receive counts, visibility, dead letters.")
        .example("ten messages", json!({ "queue": "IMS-InventoryQueue", "limit": 10 }))
        .answers_with(
            200,
            "What was done.",
            schema,
            json!({ "queue": "IMS-InventoryQueue", "done": 10, "failed": 0, "left": 3 }),
        )
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "invalid_limit", "The limit is not from 1 to 10,000.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "invalid_seconds", "The seconds are not from 1 to 20.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "unknown_queue", "No worker reads such a queue.");
}

/// What a sweep found, and an example of it.
fn sweep() -> (Vec<Field>, Value) {
    let counts = || json!({ "type": "object", "additionalProperties": count() });
    let time = json!({ "type": "string", "format": "date-time" });
    let shortage = object([("orders", count(), "Orders."), ("units", count(), "Units.")]);
    let fields = vec![
        ("began_at", time, "When the sweep began."),
        ("events", count(), "Events that were read."),
        ("orders", counts(), "Orders by state."),
        ("open", count(), "Orders to which something is still to come."),
        ("stuck", count(), "Open orders that have stood still for too long."),
        (
            "longest",
            json!({ "type": "array" }),
            "Those that have for longest: since when, and which; 20 at most.",
        ),
        ("short", count(), "Orders of the last day that were short of stock."),
        (
            "shortages",
            json!({ "type": "object", "additionalProperties": shortage }),
            "Of which SKUs, and how short; the worst 20.",
        ),
        ("shortages_left_out", count(), "Of how many SKUs more."),
        ("expired", count(), "Orders that were cancelled because they had stood still for too long."),
        ("dead_letters", json!({ "type": ["object", "null"] }), "Letters by dead-letter queue."),
    ];
    let example = json!({
        "began_at": "2010-12-01T08:26:00.000Z", "events": 1_200, "orders": { "PAID": 180, "CANCELLED": 20 }, "open": 0,
        "stuck": 0, "longest": [], "short": 1, "shortages": { "CUP-BLUE": { "orders": 1, "units": 2 } },
        "shortages_left_out": 0, "expired": 0,
        "dead_letters": { "OMS-OrderEventsDLQ": 0 },
    });
    (fields, example)
}

pub(super) fn report(says: &mut Operation) {
    let none = "Nothing was swept yet; ask for it with POST /ops/sweeps.";
    says.refuses(StatusCode::NOT_FOUND, "not_found", none);
    let (fields, example) = sweep();
    says.summary("Show the daily report").answers_with(
        200,
        "What the last sweep found.",
        object(fields),
        example,
    );
}

pub(super) fn start_sweep(says: &mut Operation) {
    takes_json(says);
    says.takes(body([])).perhaps_without_a_body();
    says.summary("Do now what is done once a day").example("now", json!({}))
        .detail("Looks at the whole log, nudges whoever owes something, writes the report; orders expire where that is set.");
    starts(says, "sweep");
}

pub(super) fn show_sweep(says: &mut Operation) {
    says.summary("Show a sweep");
    shows(says, "sweep");
}

/// A replay, audit or sweep that was started.
fn starts(says: &mut Operation, what: &str) {
    let schema = object([("id", count(), "Asks for it.")]);
    let running = format!("The same {what} is running; wait for its end.");
    says.answers_with(202, "It is running.", schema, json!({ "id": 1 }))
        .with_header(&[202], "Location")
        .refuses(StatusCode::CONFLICT, "already_running", &running);
}

/// What a replay, audit or sweep shows of itself.
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
    takes_json(says);
    let patience = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX });
    let what = "For how many seconds something may stand still that somebody owes something.";
    let personal = "Whether to look for what is left of people who were erased, and for nothing else.";
    let fields = [("patience?", patience, what), ("personal?", json!({ "type": "boolean" }), personal)];
    says.takes(body(fields)).perhaps_without_a_body();
    says.summary("Check every promise against the log").example("at once", json!({ "patience": 0 }));
    starts(says, "audit");
}

pub(super) fn show_audit(says: &mut Operation) {
    says.summary("Show an audit");
    shows(says, "audit");
}
