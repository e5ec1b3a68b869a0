//! The tour of the README, typed word for word.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use server::BINARY;
use tempfile::TempDir;

/// The tour's blocks, in their order: what they are marked as, and what is typed.
fn blocks(readme: &str) -> Vec<(String, String)> {
    let tour = readme.split("## The tour").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut blocks = Vec::new();
    for block in tour.split("```sh").skip(1) {
        let (head, rest) = block.split_once('\n').unwrap();
        let text = rest.split("```").next().unwrap();
        blocks.push((head.trim().to_owned(), text.to_owned()));
    }
    blocks
}

/// A shell script that types the tour. Only four things differ from what a stranger types: the server is
/// the binary that is tested, it listens on a free port, both terminals are one, and the line with the first key is
/// copied by a program.
fn script(root: &Path) -> String {
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut script = String::from(
        r#"set -eu
up() {
    "$BINARY" up --port "$PORT" > up.log & SERVER=$!
    for _ in $(seq 100); do grep -q "is up" up.log 2>/dev/null && return; sleep 0.1; done
    echo "the server did not start"; exit 1
}
trap 'kill "$SERVER" 2>/dev/null || true' EXIT
export PATH="$(dirname "$BINARY"):$PATH" SAGALINE_URL="http://127.0.0.1:$PORT"
"#,
    );
    for (mark, text) in blocks(&readme) {
        match mark.as_str() {
            "up" => {
                assert_eq!(text.trim(), "cargo run --release -- up");
                script.push_str("rm -f up.log; wait 2>/dev/null || true; up\n");
            }
            "key" => {
                assert_eq!(text.trim(), "export SAGALINE_API_KEY=sgl_…");
                script.push_str("eval \"$(grep -o 'export SAGALINE_API_KEY=sgl_.*' up.log)\"\n");
            }
            _ => script.push_str(&text),
        }
    }
    script
}

#[test]
fn the_tour_of_the_readme_works_word_for_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples")).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let done = Command::new("bash")
        .arg("-c")
        .arg(script(root))
        .current_dir(folder.path())
        .env("BINARY", BINARY)
        .env("PORT", free.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{complained}");
    let in_this_order = [
        "order-0001 is PAID",
        "StockReceived",
        "InventoryReservationFailed",
        "exit code 4",
        "InventoryReturned",
        "OrderPaymentRefunded",
        "exit code 4",
        r#""status":"PAID""#,
        "DELIVERED",
        "Parcels & Sons",
        "precondition_failed",
        "price       27.5",
        "25.00 USD",
        "HTTP/1.1 201",
        "HTTP/1.1 201",
        "idempotent-replayed: true",
        "HTTP/1.1 422",
        "idempotency_key_reused",
        "the packers",
        "order-0001",
        "TEAPOT-RED",
        "erased people",
        r#""username":"cleo""#,
        r#""role":"customer""#,
        "username     cleo",
        "ORDER_RETRACTED_EVENT",
        "anomalies    2",
        "order-11-kill is PAID",
        "order-14-kill is PAID",
        "differences  0",
        "differences  2",
        "differences  0",
        "two on the shelf, three ordered: all or nothing",
        "shop-pending",
        "OrderPaymentRefunded",
        "dead letters",
        "somebody says it is mended",
        "OMS-PaymentsPriorityQueue",
        "swept at",
        "out of stock",
        "POST to settled",
    ];
    let complaints = [
        "order-0002 is CANCELLED (reservation_failed: out_of_stock)",
        "order-0001 is CANCELLED (cancelled_on_request: wrong colour)",
        "this takes the role operator, and yours is customer",
        "send an API key in x-api-key",
        "the order is DELIVERED and stays so",
    ];
    for refused in complaints {
        assert!(complained.contains(refused), "{refused} is missing in\n{complained}");
    }
    let mut rest = &*said;
    for expected in in_this_order {
        let Some((_, after)) = rest.split_once(expected) else {
            panic!("{expected} is missing in what is left of the tour:\n{rest}\nof\n{said}\n{complained}")
        };
        rest = after;
    }
}
