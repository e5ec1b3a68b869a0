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
