//! Dead letters of a server: counted, sent back, thrown away, and a record of each that survives kills.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use hyper::Method;
use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

const QUEUE: &str = "IMS-InventoryDLQ";

/// A server with so many letters that no worker can read.
async fn with_letters(folder: &TempDir, letters: usize) -> Server {
    let server = Server::start(folder.path(), &[]);
    for n in 0..letters {
        let pk = format!("NOT#A#STREAM#{n}");
        let nonsense = json!({ "pk": pk, "sk": "EVENT#1", "event_name": "SkuRestocked" });
        server.post("/chaos/raw-events", nonsense).await;
    }
    until_there_are(&server, letters).await;
    server
}

async fn until_there_are(server: &Server, letters: usize) -> Value {
    let all = |shown: &Value| shown["dead_letters"].as_array().is_some_and(|all| all.len() == letters);
    server.until("/ops/dead-letters?limit=1000", all).await
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    Command::new(BINARY).args(["--url", &server.url, "-o", "json"]).args(arguments).output().unwrap()
}

fn shown(server: &Server, arguments: &[&str]) -> Value {
    let output = run(server, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ids(letters: &Value) -> BTreeSet<i64> {
    letters["dead_letters"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

/// What the letters are about, each as often as there is one.
fn streams(letters: &Value) -> Vec<String> {
    let letters = letters["dead_letters"].as_array().unwrap().iter();
    let mut streams: Vec<String> = letters.map(|one| one["pk"].as_str().unwrap().to_owned()).collect();
    streams.sort();
    streams
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_counts_and_takes_nothing_and_a_discard_takes_what_was_counted() {
    let folder = TempDir::new().unwrap();
    let server = with_letters(&folder, 5).await;
    let before = server.get("/ops/dead-letters").await;
    let preview = shown(&server, &["dlq", "discard", "--queue", QUEUE, "--limit", "3", "--dry-run"]);
    let queues =
        json!([{ "queue": QUEUE, "source_queue": "IMS-InventoryQueue", "letters": 5, "stay": false }]);
    let counted = json!({ "action": "discard", "dry_run": true, "letters": 3, "stay": 0, "queues": queues });
    assert_eq!(preview, counted);
    assert_eq!(server.get("/ops/dead-letters").await, before);
    assert_eq!(shown(&server, &["dlq", "log"]), json!({ "actions": [] }), "nothing was done");

    let reason = "a test of the raw event API";
    let done = shown(&server, &["dlq", "discard", "--queue", QUEUE, "--limit", "3", "--reason", reason]);
    assert_eq!(
        ["state", "done", "left", "total"].map(|field| &done[field]),
        [&json!("done"), &json!(3), &json!(2), &json!(3)]
    );
    let left = ids(&server.get("/ops/dead-letters").await);
    assert_eq!(left, ids(&before).into_iter().skip(3).collect::<BTreeSet<_>>(), "the oldest went");

    let log = shown(&server, &["dlq", "log"]);
    let record = &log["actions"][0];
    let fields = ["action", "by", "reason", "queue", "limit", "done", "state"].map(|field| &record[field]);
    let expected = [
        &json!("discard"),
        &json!("anyone"),
        &json!(reason),
        &json!(QUEUE),
        &json!(3),
        &json!(3),
        &json!("done"),
    ];
    assert_eq!(fields, expected);
    assert!(record["began_at"].as_str() <= record["ended_at"].as_str());
    server.kill();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(server.get("/ops/actions").await, log, "the record is there after a kill");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_killed_again_and_again_sends_every_letter_back_once() {
    const LETTERS: usize = 60;
    let folder = TempDir::new().unwrap();
    let mut server = with_letters(&folder, LETTERS).await;
    let before = server.get("/ops/dead-letters?limit=1000").await;
    // Whoever asked for it goes away at once.
    let wanted = json!({ "queue": QUEUE, "rate": 40, "reason": "mended" });
    let begun = server.post("/ops/dead-letters/redrive", wanted).await;
    let route = format!("/ops/actions/{}", begun["id"]);
    for share in [1, 2] {
        let some = LETTERS * share / 4;
        server.until(&route, |action| action["done"].as_u64() >= Some(some as u64)).await;
        server.kill();
        server = Server::start(folder.path(), &[]);
        let found = server.get(&route).await;
        assert!(found["done"].as_u64() >= Some(some as u64), "what was counted stays counted: {found}");
    }
    let done = server.until(&route, |action| action["state"] == "done").await;
    assert_eq!((&done["done"], &done["left"]), (&json!(LETTERS), &json!(0)));
    // Nothing was mended, so each comes back as another letter, and none twice.
    let behind_all = |shown: &Value| {
        let newest = ids(&before).last().copied().unwrap();
        ids(shown).len() == LETTERS && ids(shown).iter().all(|id| *id > newest)
    };
    let after = server.until("/ops/dead-letters?limit=1000", behind_all).await;
    assert_eq!(streams(&after), streams(&before));
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_that_is_killed_throws_away_what_was_there_when_it_began_and_nothing_that_came_later() {
    let folder = TempDir::new().unwrap();
    let server = with_letters(&folder, 40).await;
    let wanted = json!({ "queue": QUEUE, "rate": 20, "reason": "forged" });
    let begun = server.post("/ops/dead-letters/discard", wanted).await;
    let route = format!("/ops/actions/{}", begun["id"]);
    let later = json!({ "pk": "NOT#A#STREAM#later", "sk": "EVENT#1", "event_name": "SkuRestocked" });
    server.post("/chaos/raw-events", later).await;
    server.until(&route, |action| action["done"].as_u64() > Some(5)).await;
    server.kill();
    let server = Server::start(folder.path(), &[]);
    let done = server.until(&route, |action| action["state"] == "done").await;
    assert_eq!((&done["done"], &done["total"]), (&json!(40), &json!(40)));
    let left = until_there_are(&server, 1).await;
    assert_eq!(streams(&left), ["NOT#A#STREAM#later"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_away_without_saying_which_and_why() {
    let folder = TempDir::new().unwrap();
    let server = with_letters(&folder, 1).await;
    let before = server.get("/ops/dead-letters").await;
    for (deed, wanted, code) in [
        ("discard", json!({}), "choice_required"),
        ("discard", json!({ "reason": "all of it" }), "choice_required"),
        ("discard", json!({ "queue": QUEUE }), "reason_required"),
        ("discard", json!({ "ids": [1], "reason": "  " }), "reason_required"),
        ("discard", json!({ "queue": "IMS-InventoryQueue", "reason": "x" }), "unknown_queue"),
        ("discard", json!({ "queue": QUEUE, "reason": "x".repeat(257) }), "reason_too_long"),
        ("redrive", json!({ "queue": "nowhere" }), "unknown_queue"),
        ("redrive", json!({ "rate": 0 }), "invalid_rate"),
        ("redrive", json!({ "ids": vec![1; 1_001] }), "too_many_ids"),
        ("redrive", json!({ "id": 1 }), "bad_body"),
    ] {
        let path = format!("/ops/dead-letters/{deed}");
        let (status, problem) = server.ask(Method::POST, &path, Some(wanted.clone())).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{deed} {wanted}");
    }
    assert_eq!(server.get("/ops/dead-letters").await, before);
    assert_eq!(server.get("/ops/actions").await, json!({ "actions": [] }));
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_drained_by_hand_within_limits_that_are_said() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let drained = shown(&server, &["queue", "drain"]);
    assert_eq!(drained, json!({ "queue": "OMS-OrderEventsQueue", "done": 0, "failed": 0, "left": 0 }));
    let drained = shown(&server, &["queue", "drain", "OMS-PaymentsPriorityQueue", "--limit", "5"]);
    assert_eq!(drained["queue"], "OMS-PaymentsPriorityQueue");
    for (wanted, code) in [
        (json!({ "queue": "OMS-OrderEventsDLQ" }), "unknown_queue"),
        (json!({ "limit": 0 }), "invalid_limit"),
        (json!({ "limit": 10_001 }), "invalid_limit"),
        (json!({ "seconds": 0 }), "invalid_seconds"),
        (json!({ "seconds": 21 }), "invalid_seconds"),
        (json!({ "messages": 1 }), "bad_body"),
    ] {
        let (status, problem) = server.ask(Method::POST, "/orders/process-queue", Some(wanted.clone())).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{wanted}");
    }
    server.stop();
}
