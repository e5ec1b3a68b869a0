//! The operator's routes, asked for things they cannot give, and across restarts.

mod serving;

use std::net::SocketAddr;

use local::Clients;
use serde_json::Value;
use serving::{serving, started, told};

/// An answer: its status, and its body if that is JSON.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    let said = told(address, request.as_bytes()).await;
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let is_problem = said.contains("content-type: application/problem+json");
    let status = status.unwrap_or_else(|| panic!("{request}{said}"));
    assert_eq!(status >= 400, is_problem, "{request}{said}");
    (status, serde_json::from_str(body).unwrap_or_default())
}

const JSON: &str = "content-type: application/json\r\n";

const BODIES: [&str; 24] = [
    "",
    "{",
    "null",
    "[]",
    "\"text\"",
    "{}",
    "\u{0}",
    r#"{"unknown":1}"#,
    r#"{"view":7}"#,
    r#"{"view":"nothing"}"#,
    r#"{"view":"orders","diff":"yes"}"#,
    r#"{"patience":-1}"#,
    r#"{"patience":18446744073709551615}"#,
    r#"{"patience":9223372036854775807}"#,
    r#"{"patience":1e300}"#,
    r#"{"queue":"IMS-InventoryDLQ","limit":18446744073709551615,"dry_run":true}"#,
    r#"{"queue":"\u0000"}"#,
    r#"{"ids":[-9223372036854775808,9223372036854775807,0],"reason":"x"}"#,
    r#"{"ids":[9223372036854775808]}"#,
    r#"{"ids":[],"limit":0,"rate":4294967295}"#,
    r#"{"rate":4294967296}"#,
    r#"{"limit":10000,"seconds":18446744073709551615}"#,
    r#"{"limit":18446744073709551615}"#,
    r#"{"queue":"IMS-InventoryQueue","queue":"OMS-PaymentsQueue"}"#,
];

const QUERIES: [&str; 15] = [
    "unknown=1",
    "limit",
    "limit=",
    "limit=-1",
    "limit=0",
    "limit=18446744073709551615",
    "limit=18446744073709551616",
    "after=-9223372036854775808",
    "after=18446744073709551615",
    "before=-9223372036854775808",
    "after=1&after=2",
    "wait=x",
    "event_name=,,%00,",
    "queue=%FF",
    "%",
];

const IDS: [&str; 9] = [
    "0",
    "-1",
    "1e9",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "%00",
    "x%2Fy",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_an_operator_asks_for_is_answered_or_refused_and_breaks_nothing() {
    let (machine, _folder) = serving(Clients::default()).await;
    let address = machine.address();
    let theirs = apis::routes();
    let own: Vec<_> = local::routes().into_iter().filter(|route| !theirs.contains(route)).collect();
    assert!(own.len() > 15, "{own:?}");
    for (method, path) in own {
        let ids = if path.contains("{id}") { &IDS[..] } else { &["1"] };
        for path in ids.iter().map(|id| path.replace("{id}", id)) {
            for query in QUERIES {
                let asked = format!("{path}?{query}");
                let (status, said) = ask(address, method, &asked, JSON, "{}").await;
                assert!(status < 500, "{method} {asked}: {said}");
            }
            for (headers, body) in BODIES.iter().flat_map(|body| [("", body), (JSON, body)]) {
                let (status, said) = ask(address, method, &path, headers, body).await;
                assert!(status < 500, "{method} {path} {body}: {said}");
                // What was begun comes to its end, too.
                let Some(id) = said["id"].as_u64().filter(|_| status == 202) else { continue };
                let run = match path.as_str() {
                    "/ops/dead-letters/redrive" | "/ops/dead-letters/discard" => format!("/ops/actions/{id}"),
                    kind => format!("{kind}/{id}"),
                };
                loop {
                    match ask(address, "GET", &run, "", "").await.1["state"].as_str() {
                        Some("running") => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
                        state => break assert_eq!(state, Some("done"), "{run} of {body}"),
                    }
                }
            }
        }
    }
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_names_nobody_elses_run_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let machine = started(folder.path(), Clients::default()).await;
    let once = format!("{JSON}idempotency-key: one\r\n");
    let (_, begun) = ask(machine.address(), "POST", "/ops/audits", &once, "{}").await;
    machine.stop().await;

    let machine = started(folder.path(), Clients::default()).await;
    let address = machine.address();
    let (_, others) = ask(address, "POST", "/ops/audits", JSON, "{}").await;
    assert_eq!(ask(address, "POST", "/ops/audits", &once, "{}").await.1, begun, "it is kept");
    assert_ne!(others["id"], begun["id"]);
    let (status, _) = ask(address, "GET", &format!("/ops/audits/{}", begun["id"]), "", "").await;
    assert_eq!(status, 404);
    machine.stop().await;
}

type Refused = (&'static str, &'static str, &'static str, u16, &'static str);

/// Method, path with its query, body, status, and what the problem is called.
#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    ("GET", "/events?after=x", "", 400, "bad_query"),
    ("GET", "/events?after=-1", "", 400, "bad_query"),
    ("GET", "/events?limit=18446744073709551616", "", 400, "bad_query"),
    ("GET", "/events?after=1&after=2", "", 400, "bad_query"),
    ("GET", "/events?before=1", "", 400, "bad_query"),
    ("GET", "/ops/dead-letters?limit=many", "", 400, "bad_query"),
    ("GET", "/ops/dead-letters?unknown=1", "", 400, "bad_query"),
    ("GET", "/ops/dead-letters?queue=OMS-PaymentsQueue", "", 400, "unknown_queue"),
    ("GET", "/ops/dead-letters/x", "", 404, "not_found"),
    // What reads no query string takes none: a preview that is asked for in the wrong place is none.
    ("POST", "/ops/dead-letters/discard?dry_run=true", r#"{"queue":"OMS-PaymentsDLQ","reason":"a preview"}"#, 400, "invalid_parameters"),
    ("POST", "/ops/dead-letters/redrive?limit=1", "{}", 400, "invalid_parameters"),
    ("POST", "/orders/process-queue?limit=1", "", 400, "invalid_parameters"),
    ("POST", "/ops/audits?patience=0", "", 400, "invalid_parameters"),
    ("GET", "/ops/queues?queue=OMS-PaymentsQueue", "", 400, "invalid_parameters"),
    ("GET", "/docs?x=1", "", 400, "invalid_parameters"),
    ("GET", "/ops/dead-letters/9223372036854775808", "", 404, "not_found"),
    ("GET", "/ops/actions?before=x", "", 400, "bad_query"),
    ("GET", "/ops/actions/0", "", 404, "not_found"),
    ("GET", "/ops/replays/1", "", 404, "not_found"),
    ("GET", "/ops/audits/-1", "", 404, "not_found"),
    ("GET", "/ops/sweeps/%00", "", 404, "not_found"),
    ("PUT", "/ops/queues", "", 405, "method_not_allowed"),
    ("DELETE", "/ops/dead-letters/1", "", 405, "method_not_allowed"),
    ("POST", "/ops/dead-letters/redrive", "", 400, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", "{", 400, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", "[]", 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", "null", 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"queue":"OMS-PaymentsQueue"}"#, 422, "unknown_queue"),
    ("POST", "/ops/dead-letters/redrive", r#"{"queue":"\u0000"}"#, 422, "unknown_queue"),
    ("POST", "/ops/dead-letters/redrive", r#"{"queue":7}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"rate":0}"#, 422, "invalid_rate"),
    ("POST", "/ops/dead-letters/redrive", r#"{"rate":4294967296}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"limit":-1}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"ids":[9223372036854775808]}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"ids":["1"]}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"dry_run":"yes"}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"ids":[],"ids":[]}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/redrive", r#"{"all":true}"#, 422, "bad_body"),
    ("POST", "/ops/dead-letters/discard", "{}", 422, "choice_required"),
    ("POST", "/ops/dead-letters/discard", r#"{"ids":[1]}"#, 422, "reason_required"),
    ("POST", "/ops/dead-letters/discard", r#"{"ids":[1],"reason":" \t"}"#, 422, "reason_required"),
    ("POST", "/orders/process-queue", r#"{"queue":"OMS-OrderEventsDLQ"}"#, 422, "unknown_queue"),
    ("POST", "/orders/process-queue", r#"{"limit":0}"#, 422, "invalid_limit"),
    ("POST", "/orders/process-queue", r#"{"limit":10001}"#, 422, "invalid_limit"),
    ("POST", "/orders/process-queue", r#"{"limit":1.0}"#, 422, "bad_body"),
    ("POST", "/orders/process-queue", r#"{"seconds":0}"#, 422, "invalid_seconds"),
    ("POST", "/orders/process-queue", r#"{"seconds":21}"#, 422, "invalid_seconds"),
    ("POST", "/orders/process-queue", "{}{}", 400, "bad_body"),
    ("POST", "/ops/replays", "{}", 422, "bad_body"),
    ("POST", "/ops/replays", r#"{"view":"nothing"}"#, 422, "unknown_view"),
    ("POST", "/ops/replays", r#"{"view":"Orders"}"#, 422, "unknown_view"),
    ("POST", "/ops/replays", r#"{"view":"orders","diff":1}"#, 422, "bad_body"),
    ("POST", "/ops/audits", r#"{"patience":-1}"#, 422, "bad_body"),
    ("POST", "/ops/audits", r#"{"patience":1e300}"#, 422, "bad_body"),
    ("POST", "/ops/audits", r#"{"personal":"no"}"#, 422, "bad_body"),
    ("POST", "/ops/audits", "nope", 400, "bad_body"),
    ("POST", "/ops/audits", "null", 422, "bad_body"),
    ("POST", "/ops/sweeps", r#"{"expire_after":60}"#, 422, "bad_body"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_asks_for_in_vain_is_refused_for_its_reason_and_nothing_is_begun() {
    let (machine, _folder) = serving(Clients::default()).await;
    let address = machine.address();
    let mut wrong = Vec::new();
    for (method, path, body, status, code) in REFUSED {
        let headers = if *method == "POST" { JSON } else { "" };
        let answered = ask(address, method, path, headers, body).await;
        if (answered.0, answered.1["code"].as_str()) != (*status, Some(*code)) {
            wrong.push(format!("{method} {path} {body}: {answered:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for path in
        ["/ops/dead-letters/redrive", "/ops/audits", "/ops/sweeps", "/ops/replays", "/orders/process-queue"]
    {
        let (status, said) = ask(address, "POST", path, "content-type: text/plain\r\n", "{}").await;
        assert_eq!((status, said["code"].as_str()), (415, Some("bad_body")), "{path}");
    }
    let text = "a".repeat(257);
    let many = vec!["1"; 1_001].join(",");
    for (body, code) in [
        (format!(r#"{{"ids":[1],"reason":"{text}"}}"#), "reason_too_long"),
        (format!(r#"{{"ids":[{many}]}}"#), "too_many_ids"),
    ] {
        let (status, said) = ask(address, "POST", "/ops/dead-letters/discard", JSON, &body).await;
        assert_eq!((status, said["code"].as_str()), (422, Some(code)));
    }
    let (_, actions) = ask(address, "GET", "/ops/actions", "", "").await;
    assert_eq!(actions["actions"].as_array().map(Vec::len), Some(0), "{actions}");
    machine.stop().await;
}
