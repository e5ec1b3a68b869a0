//! Who may ask a server that asks who they are.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod asking;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use asking::{Asking, BINARY};
use serde_json::Value;
use tempfile::TempDir;

/// A server that asks, and logs where the test does.
fn started(data: &Path) -> Asking {
    Asking::start(data, Stdio::inherit(), &[])
}

fn run(url: &str, key: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["--url", url]).args(arguments).env_remove("SAGALINE_API_KEY");
    if let Some(key) = key {
        command.env("SAGALINE_API_KEY", key);
    }
    command.output().unwrap()
}

impl Asking {
    /// What a command that succeeds answers.
    fn json(&self, key: &str, arguments: &[&str]) -> Value {
        let output = run(&self.url, Some(key), &[arguments, &["-o", "json"]].concat());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Why a command is refused.
    fn refused(&self, key: Option<&str>, arguments: &[&str]) -> String {
        let output = run(&self.url, key, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn the_first_key_is_shown_once_and_opens_everything_and_without_one_nothing_is_told() {
    let folder = TempDir::new().unwrap();
    let server = started(folder.path());
    let key = server.key.clone().expect("the first start shows the first key");
    let refused = server.refused(None, &["order", "list"]);
    assert!(
        refused.contains("send an API key in x-api-key") && refused.contains("SAGALINE_API_KEY"),
        "{refused}"
    );
    for route in ["/ops/queues", "/events", "/ops/dead-letters"] {
        let quietly = ["-s", "-o", "/dev/null", "-w", "%{http_code}"];
        let asked = Command::new("curl").args(quietly).arg(format!("{}{route}", server.url)).output();
        assert_eq!(String::from_utf8(asked.unwrap().stdout).unwrap(), "401", "{route}");
    }
    assert!(server.json(&key, &["queue", "list"])["queues"].is_array());
    // It stands nowhere in the folder.
    let secret = key.splitn(3, '_').nth(2).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    server.stop();

    let again = started(folder.path());
    assert_eq!(again.key, None, "there is a key already");
    assert!(again.json(&key, &["order", "list"])["orders"].is_array());
    again.stop();
}

#[test]
fn a_key_opens_what_its_role_may_until_it_is_revoked() {
    let folder = TempDir::new().unwrap();
    let server = started(folder.path());
    let admin = server.key.clone().unwrap();
    let made = server.json(&admin, &["key", "create", "packers", "--role", "operator"]);
    let operator = made["api_key"].as_str().unwrap();
    assert!(server.json(operator, &["customer", "add", "--id", "anna-1"])["customer_id"].is_string());
    assert!(
        server
            .refused(Some(operator), &["key", "list"])
            .contains("takes the role admin, and yours is operator")
    );
    let made = server.json(&admin, &["key", "create", "anna", "--role", "customer", "--customer", "anna-1"]);
    let anna = made["api_key"].as_str().unwrap();
    assert_eq!(server.json(anna, &["customer", "get", "anna-1"])["customer_id"], "anna-1");
    assert!(server.refused(Some(anna), &["customer", "list"]).contains("takes the role operator"));
    assert!(server.refused(Some(anna), &["customer", "get", "bert-1"]).contains("no customer with this id"));

    let listed = server.json(&admin, &["key", "list"]);
    let names: Vec<&str> =
        listed["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["anna", "packers", "the first"]);
    assert!(!listed.to_string().contains(anna.splitn(3, '_').nth(2).unwrap()));
    server.json(&admin, &["key", "revoke", anna.split('_').nth(1).unwrap()]);
    assert!(server.refused(Some(anna), &["customer", "get", "anna-1"]).contains("not good"));
    server.stop();
}

#[tokio::test]
async fn users_are_listed_and_removed() {
    let folder = TempDir::new().unwrap();
    let server = started(folder.path());
    let admin = server.key.clone().unwrap();
    let headers = [("x-api-key", &*admin), ("content-type", "application/json")];
    for name in ["olga", "anna@example.org"] {
        let user =
            serde_json::json!({ "username": name, "password": "correct horse battery", "role": "operator" });
        assert_eq!(server.ask("POST", "/users", &headers, user.to_string()).await.0, 201);
    }
    let names = || {
        let listed = server.json(&admin, &["user", "list"]);
        let users = listed["users"].as_array().unwrap().iter();
        users.map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["anna@example.org", "olga"]);
    assert_eq!(server.json(&admin, &["user", "remove", "anna@example.org"])["role"], "operator");
    assert_eq!(names(), ["olga"]);
    assert!(
        server
            .refused(Some(&admin), &["user", "remove", "anna@example.org"])
            .contains("no user of this name")
    );
    server.stop();
}

/// The routes that only one machine has, and the least that opens each.
const OF_THIS_MACHINE: [(&str, &str, Option<&str>); 17] = [
    ("GET", "/docs", None),
    ("GET", "/events", Some("operator")),
    ("GET", "/ops/actions", Some("operator")),
    ("GET", "/ops/actions/{id}", Some("operator")),
    ("GET", "/ops/audits/{id}", Some("operator")),
    ("GET", "/ops/dead-letters", Some("operator")),
    ("GET", "/ops/dead-letters/{id}", Some("operator")),
    ("GET", "/ops/queues", Some("operator")),
    ("GET", "/ops/replays/{id}", Some("operator")),
    ("GET", "/ops/report", Some("operator")),
    ("GET", "/ops/sweeps/{id}", Some("operator")),
    ("POST", "/ops/audits", Some("operator")),
    ("POST", "/ops/dead-letters/discard", Some("operator")),
    ("POST", "/ops/dead-letters/redrive", Some("operator")),
    ("POST", "/ops/replays", Some("operator")),
    ("POST", "/ops/sweeps", Some("operator")),
    ("POST", "/orders/process-queue", Some("operator")),
];

#[tokio::test]
async fn every_route_of_this_machine_asks_everybody_for_what_the_table_says() {
    let everywhere = apis::routes();
    let mut here: Vec<_> = local::routes().into_iter().filter(|route| !everywhere.contains(route)).collect();
    here.sort_unstable();
    assert_eq!(here, OF_THIS_MACHINE.map(|(method, path, _)| (method, path)));

    let folder = TempDir::new().unwrap();
    let server = started(folder.path());
    let admin = server.key.clone().unwrap();
    server.json(&admin, &["customer", "add", "--id", "anna-1"]);
    let made = |name: &str, role: &[&str]| {
        let made = server.json(&admin, &[&["key", "create", name, "--role"], role].concat());
        made["api_key"].as_str().unwrap().to_owned()
    };
    let customer = made("anna", &["customer", "--customer", "anna-1"]);
    let operator = made("packers", &["operator"]);
    for (method, path, needs) in OF_THIS_MACHINE {
        let path = path.replace("{id}", "nothing");
        let least = needs.map_or(0, |_| 2);
        for (rank, key) in [None, Some(&customer), Some(&operator), Some(&admin)].into_iter().enumerate() {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(key.map(|key| ("x-api-key", &**key)));
            let (status, answer) = server.ask(method, &path, &headers, r#"{"x":1}"#).await;
            let asked = format!("{method} {path} as number {rank}: {status} {answer}");
            match rank {
                _ if rank >= least => assert!(![401, 403].contains(&status), "{asked}"),
                0 => assert_eq!(status, 401, "{asked}"),
                _ => assert_eq!(status, 403, "{asked}"),
            }
        }
    }
    server.stop();
}

#[test]
fn who_has_lost_every_key_makes_one_in_the_folder_while_no_server_has_it_open() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = started(folder.path());
    let create = ["key", "create", "spare", "--role", "admin", "--data", data];
    let busy = server.refused(None, &create);
    assert!(busy.contains("in use by another process"), "{busy}");
    server.stop();
    let made = run("http://127.0.0.1:1", None, &[&create[..], &["-o", "json"]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let server = started(folder.path());
    assert!(server.json(made["api_key"].as_str().unwrap(), &["key", "list"])["keys"].is_array());
    server.stop();
}

#[test]
fn a_first_key_that_could_not_be_shown_is_not_kept_and_the_next_start_shows_one() {
    let folder = TempDir::new().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Nothing can be written there.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut process = Command::new(BINARY)
        .args(["up", "--port", &free.to_string(), "--data"])
        .arg(folder.path())
        .stdout(full)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let alive = || std::net::TcpStream::connect(("127.0.0.1", free)).is_ok();
    let is_up = (0..600).any(|_| {
        alive() || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }
    });
    let id = process.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    process.wait().unwrap();
    assert!(is_up, "it did not start");
    let server = started(folder.path());
    let key = server.key.clone().expect("somebody has to be shown a key");
    assert!(server.json(&key, &["key", "list"])["keys"].is_array());
    server.stop();
}
