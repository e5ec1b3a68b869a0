//! Who may ask a server that asks who they are.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use server::BINARY;
use tempfile::TempDir;

/// A server that asks, what it said at its start, and where it is.
struct Asking {
    process: Child,
    url: String,
    key: Option<String>,
}

impl Asking {
    fn start(data: &Path) -> Asking {
        let mut process = Command::new(BINARY)
            .args(["up", "--port", "0", "--data"])
            .arg(data)
            .env_remove("SAGALINE_API_KEY")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut url, mut key) = (None, None);
        for line in BufReader::new(process.stdout.as_mut().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(shown) = line.trim().strip_prefix("export SAGALINE_API_KEY=") {
                key = Some(shown.to_owned());
            }
            let said = line.split_whitespace().find(|word| word.starts_with("http://"));
            url = url.or(said.map(|word| word.trim_end_matches(',').to_owned()));
            if line.contains("listOrders") {
                break;
            }
        }
        Asking { process, url: url.unwrap(), key }
    }

    fn run(&self, key: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(["--url", &self.url]).args(arguments).env_remove("SAGALINE_API_KEY");
        if let Some(key) = key {
            command.env("SAGALINE_API_KEY", key);
        }
        command.output().unwrap()
    }

    /// What a command that succeeds answers.
    fn json(&self, key: &str, arguments: &[&str]) -> Value {
        let output = self.run(Some(key), &[arguments, &["-o", "json"]].concat());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Why a command is refused.
    fn refused(&self, key: Option<&str>, arguments: &[&str]) -> String {
        let output = self.run(key, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn the_first_key_is_shown_once_and_opens_everything_and_without_one_nothing_is_told() {
    let folder = TempDir::new().unwrap();
    let server = Asking::start(folder.path());
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

    let again = Asking::start(folder.path());
    assert_eq!(again.key, None, "there is a key already");
    assert!(again.json(&key, &["order", "list"])["orders"].is_array());
    again.stop();
}

#[test]
fn a_key_opens_what_its_role_may_until_it_is_revoked() {
    let folder = TempDir::new().unwrap();
    let server = Asking::start(folder.path());
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

#[test]
fn who_has_lost_every_key_makes_one_in_the_folder_while_no_server_has_it_open() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Asking::start(folder.path());
    let create = ["key", "create", "spare", "--role", "admin", "--data", data];
    let busy = server.refused(None, &create);
    assert!(busy.contains("in use by another process"), "{busy}");
    server.stop();
    let gone = Asking {
        process: Command::new("true").spawn().unwrap(),
        url: "http://127.0.0.1:1".into(),
        key: None,
    };
    let made = gone.run(None, &[&create[..], &["-o", "json"]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let server = Asking::start(folder.path());
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
    let server = Asking::start(folder.path());
    let key = server.key.clone().expect("somebody has to be shown a key");
    assert!(server.json(&key, &["key", "list"])["keys"].is_array());
    server.stop();
}
