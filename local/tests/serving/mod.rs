//! A server in this process, asked with bytes as they are.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use local::{Clients, Machine, Settings, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Who waits for nothing forever: a test that hangs says so.
pub const LONG: Duration = Duration::from_secs(30);

/// A server whose clients may take this, and the folder it is in.
pub async fn serving(clients: Clients) -> (Machine, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    (started(folder.path(), clients).await, folder)
}

/// A server over a folder.
pub async fn started(folder: &Path, clients: Clients) -> Machine {
    let settings = Settings {
        store: Store::Embedded,
        data: folder.to_owned(),
        fresh: false,
        port: 0,
        environment: "dev".into(),
        gateway_failures: 0.0,
        gateway_seed: 1,
        patience: Duration::from_secs(60),
        expire_after: None,
        asks_who: false,
        rate_limit: None,
        behind_proxy: false,
        clients,
    };
    Machine::start(&settings).await.expect("it starts")
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

/// Everything that comes until the server closes the connection.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // Being reset is being closed.
    timeout(LONG, stream.read_to_end(&mut all)).await.expect("it is closed").ok();
    String::from_utf8_lossy(&all).into_owned()
}

/// What is answered to these bytes, up to the end of the connection.
pub async fn told(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address).await;
    // What is refused early is not read to its end.
    stream.write_all(bytes).await.ok();
    rest(&mut stream).await
}

pub fn is_problem(said: &str, status: u16, code: &str) {
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    assert!(said.contains("application/problem+json") && said.contains(code), "{said}");
}
