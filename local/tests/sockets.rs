//! Clients that misbehave, over real sockets: each is got rid of, and everybody else is served.

mod serving;

use std::net::SocketAddr;
use std::time::Duration;

use local::Clients;
use serving::{LONG, connect, is_problem, rest, serving, told};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

fn short() -> Duration {
    Duration::from_millis(300)
}

async fn is_alive(address: SocketAddr) {
    let said = told(address, b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_or_drips_the_head_of_a_request_is_closed() {
    let (machine, _folder) = serving(Clients { head: short(), ..Clients::default() }).await;
    let address = machine.address();
    for head in ["", "GET /livez HTTP/1.1\r\nhost: localhost\r\nx-slow: 1"] {
        let mut stream = connect(address).await;
        stream.write_all(head.as_bytes()).await.expect("it is open");
        let said = rest(&mut stream).await;
        assert!(!said.contains(" 200 "), "{said}");
    }
    // Between two requests, too.
    let mut stream = connect(address).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it is open");
    assert_eq!(rest(&mut stream).await.matches("HTTP/1.1 200 ").count(), 1);
    is_alive(address).await;
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_to_its_end_in_time_is_given_up() {
    let (machine, _folder) = serving(Clients { body: short(), ..Clients::default() }).await;
    let address = machine.address();
    let half = b"POST /customers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"na";
    is_problem(&told(address, half).await, 408, "body_too_slow");
    // One that drips for ever is no better.
    let mut stream = connect(address).await;
    let head = "POST /customers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it is open");
    let dripping = async {
        while stream.write_all(b"1\r\n \r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, dripping).await.expect("it is closed");
    is_alive(address).await;
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_end_is_refused_when_it_is_too_large_on_the_operators_routes_too() {
    let (machine, _folder) = serving(Clients::default()).await;
    for path in [
        "/customers",
        "/ops/replays",
        "/ops/audits",
        "/ops/dead-letters/redrive",
        "/orders/process-queue",
        "/ops/sweeps",
    ] {
        let mut endless = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        for _ in 0..80 {
            endless.extend_from_slice(b"400\r\n");
            endless.extend_from_slice(&[b' '; 1024]);
            endless.extend_from_slice(b"\r\n");
        }
        is_problem(&told(machine.address(), &endless).await, 413, "body_too_large");
    }
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_and_does_not_take_the_answers_is_hung_up_on() {
    let (machine, _folder) = serving(Clients { stall: short(), ..Clients::default() }).await;
    let mut stream = connect(machine.address()).await;
    let many = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    let asking = async { while stream.write_all(&many).await.is_ok() {} };
    timeout(LONG, asking).await.expect("it is closed");
    is_alive(machine.address()).await;
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_when_there_are_too_many_waits_until_somebody_leaves() {
    let (machine, _folder) = serving(Clients { connections: 2, ..Clients::default() }).await;
    let (first, _second) = (connect(machine.address()).await, connect(machine.address()).await);
    let mut third = connect(machine.address()).await;
    third
        .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .expect("it is open");
    let mut byte = [0];
    assert!(timeout(short(), third.read(&mut byte)).await.is_err(), "it was served beside two others");
    drop(first);
    assert!(rest(&mut third).await.starts_with("HTTP/1.1 200 "));
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused() {
    let (machine, _folder) = serving(Clients::default()).await;
    let address = machine.address();
    let with = |header: String| {
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n")
    };
    let large = told(address, with(format!("x-much: {}\r\n", "x".repeat(12_000))).as_bytes()).await;
    is_problem(&large, 431, "headers_too_large");
    let path = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", "x".repeat(9_000));
    is_problem(&told(address, path.as_bytes()).await, 414, "uri_too_long");
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let huge = format!("x-much: {}\r\n", "x".repeat(100_000));
    for header in [many, huge] {
        let said = told(address, with(header).as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
    is_alive(address).await;
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_refused_wherever_it_stands_and_breaks_nothing() {
    let (machine, _folder) = serving(Clients { head: short(), ..Clients::default() }).await;
    let address = machine.address();
    let fine = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for garbage in [
        "\0\u{1}\u{2}garbage\r\n\r\n",
        "GET /livez HTTP/9.9\r\n\r\n",
        "GET  /livez  HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: localhost\r\nx: \0\r\n\r\n",
        "POST /customers HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5, 6\r\n\r\n",
        "POST /customers HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        "POST /customers HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: nonsense\r\n\r\n",
        "{\"json\":true}\r\n\r\n",
    ] {
        let alone = told(address, garbage.as_bytes()).await;
        assert!(!alone.contains(" 200 ") && !alone.contains(" 500 "), "{garbage:?}: {alone}");
        // Behind a request that is fine, which is answered first.
        let behind = told(address, format!("{fine}{garbage}").as_bytes()).await;
        assert!(behind.starts_with("HTTP/1.1 200 ") && !behind.contains(" 500 "), "{garbage:?}: {behind}");
        assert_eq!(behind.matches("HTTP/1.1 200 ").count(), 1, "{garbage:?}: {behind}");
    }
    is_alive(address).await;
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_no_text_is_a_problem_on_the_operators_routes_too() {
    let (machine, _folder) = serving(Clients::default()).await;
    for path in
        ["/keys/%FF", "/orders/%FF", "/ops/dead-letters/%FF", "/ops/replays/%FF", "/ops/audits/%FF", "/%FF"]
    {
        for method in ["GET", "DELETE", "POST"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
            let said = told(machine.address(), request.as_bytes()).await;
            assert!(
                said.starts_with("HTTP/1.1 4") && said.contains("application/problem+json"),
                "{request}{said}"
            );
        }
    }
    machine.stop().await;
}
