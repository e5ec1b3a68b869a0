//! The files in `requests`, sent as an editor sends them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod asking;
mod http_file;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use asking::Asking;
use http_file::HttpRequest;
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("requests")
}

/// Every file below the folder, by its path there.
fn files() -> BTreeMap<String, String> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "http") {
                let name = path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

fn read(name: &str, text: &str, host: &str, key: &str) -> Vec<HttpRequest> {
    let given = BTreeMap::from([("host", host.to_owned()), ("key", key.to_owned())]);
    http_file::read(text, &given).unwrap_or_else(|wrong| panic!("{name}: {wrong}"))
}

/// How long a person would look before they click again on what is not there yet.
const PATIENCE: Duration = Duration::from_secs(30);

/// The answer. What is only looked at is looked at again until it is as expected, and what is under way already is waited
/// for.
async fn sent(server: &Asking, asked: &HttpRequest, expected: u16, shows: &[&str]) -> (u16, Value) {
    let path = asked.url.strip_prefix(&server.url).unwrap();
    let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = server.ask(&asked.method, path, &headers, &*asked.body).await;
        let may_change = asked.method == "GET" || body["code"] == "already_running";
        let is_as_expected = status == expected && missing(&body, shows).is_none();
        if is_as_expected || !may_change || Instant::now() > deadline {
            return (status, body);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first of these that does not stand in a body.
fn missing<'a>(body: &Value, shows: &[&'a str]) -> Option<&'a str> {
    let body = body.to_string();
    shows.iter().find(|shown| !body.contains(**shown)).copied()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_every_file_is_answered_as_it_says_the_first_time_and_again() {
    for (name, text) in files() {
        let store = TempDir::new().unwrap();
        let server = Asking::start(store.path(), Stdio::inherit(), &[]);
        let key = server.key.clone().unwrap();
        let requests = read(&name, &text, &server.url, &key);
        assert!(!requests.is_empty(), "{name}");
        for is_again in [false, true] {
            for asked in &requests {
                let (first, again) = asked.expects;
                let expected = if is_again { again } else { first };
                let shows = asked.shows.iter().map(|(first, again)| if is_again { again } else { first });
                let shows: Vec<&str> = shows.map(String::as_str).collect();
                let (status, body) = sent(&server, asked, expected, &shows).await;
                let time = if is_again { "sent again" } else { "sent first" };
                assert_eq!(status, expected, "{name}, {} ({time}): {body:#}", asked.title);
                assert_eq!(missing(&body, &shows), None, "{name}, {} ({time}): {body:#}", asked.title);
            }
        }
        server.stop();
    }
}

/// Pastes what an answer has into a file, and sends the request behind it.
async fn pasted(name: &str, from: &str, field: &str, to: &str, into: &str) -> u16 {
    let text = &files()[name];
    let store = TempDir::new().unwrap();
    let server = Asking::start(store.path(), Stdio::inherit(), &[]);
    let key = server.key.clone().unwrap();
    let find = |text: &str, title: &str| {
        let found =
            read(name, text, &server.url, &key).into_iter().find(|asked| asked.title.starts_with(title));
        found.unwrap_or_else(|| panic!("{name} has no {title}"))
    };
    for asked in read(name, text, &server.url, &key) {
        let (_, body) = sent(&server, &asked, asked.expects.0, &[]).await;
        if asked.title.starts_with(from) {
            assert!(text.contains(into), "{into} is not in {name}");
            let asked = find(&text.replace(into, body[field].as_str().unwrap()), to);
            let (status, _) = sent(&server, &asked, 200, &[]).await;
            server.stop();
            return status;
        }
    }
    panic!("{name} has no {from}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_pasted_into_a_file_opens_what_the_file_says() {
    let into = "paste-the-token-of-the-login-here";
    assert_eq!(pasted("users/users.http", "Log in", "token", "Who am I?", into).await, 200);
    let into = "paste-the-key_id-of-the-first-answer-here";
    assert_eq!(pasted("users/keys.http", "A key for", "key_id", "Revoke one.", into).await, 200);
}

#[test]
fn every_route_is_asked_for_in_some_file_and_no_file_asks_for_a_route_that_is_none() {
    let host = "http://host";
    let mut missing: BTreeSet<(&str, &str)> = local::routes().into_iter().collect();
    for (name, text) in files() {
        for asked in read(&name, &text, host, "key") {
            let path = asked.url.strip_prefix(host).unwrap().split('?').next().unwrap();
            let is_asked_for = |route: &(&str, &str)| route.0 == asked.method && fits(path, route.1);
            let known: Vec<_> = local::routes().into_iter().filter(is_asked_for).collect();
            assert!(!known.is_empty(), "{name}: there is no route for {} {path}", asked.method);
            // `/users/me` is not `/users/{id}`: what is spelled out counts.
            let spelled_out = known.iter().min_by_key(|(_, route)| route.matches('{').count()).unwrap();
            missing.remove(spelled_out);
        }
    }
    assert!(missing.is_empty(), "add requests for {missing:?}");
}

fn fits(path: &str, route: &str) -> bool {
    let (path, route): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), route.split('/').collect());
    path.len() == route.len()
        && path.iter().zip(&route).all(|(segment, of_route)| of_route.starts_with('{') || segment == of_route)
}

#[test]
fn both_editors_are_told_where_the_server_is() {
    let read = |path: PathBuf| -> Value { serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let of_code = read(folder().join("../.vscode/settings.json"));
    let of_jetbrains = read(folder().join("http-client.env.json"));
    let shared = &of_code["rest-client.environmentVariables"]["$shared"];
    assert_eq!(shared["host"], "http://127.0.0.1:3000");
    assert_eq!(of_jetbrains["local"]["host"], shared["host"]);
    assert!(shared["key"].is_string());
    // Public variables come before private ones, so a key here would hide everybody's own.
    assert_eq!(of_jetbrains["local"].as_object().unwrap().len(), 1);
}

#[test]
fn what_only_one_editor_understands_is_refused() {
    let given = BTreeMap::from([("host", "http://host".to_owned())]);
    let read = |text: &str| http_file::read(text, &given);
    let asked = read(
        "# A file\n\n@id = 7\n\n### One\n# expects 201, again 200\n# shows 1, again 2\n# shows 3\nPOST {{host}}/a/{{id}}\nx: {{id}}\n\n{ \"a\": {{id}} }\n",
    );
    let expected = HttpRequest {
        title: "One".into(),
        expects: (201, 200),
        shows: vec![("1".into(), "2".into()), ("3".into(), "3".into())],
        method: "POST".into(),
        url: "http://host/a/7".into(),
        headers: vec![("x".into(), "7".into())],
        body: "{ \"a\": 7 }".into(),
    };
    assert_eq!(asked, Ok(vec![expected]));
    for wrong in [
        "### One\nGET {{host}}/\n",
        "\n### One\n# expects 200\nGET {{hots}}/\n",
        "\n### One\n# expects 200\nGET {{host}}/{{$guid}}\n",
        "\n### One\n# expects 200\n# @name one\nGET {{host}}/\n",
        "\n### One\n# expects 200\nGET {{host}}/\n\n> {% client.log(1) %}\n",
        "\n### One\n# expects 200\nGET {{host}}/{{one.response.body.id}}\n",
        "\n### One\n# expects soon\nGET {{host}}/\n",
        "\n### One\n# expects 200\n",
        "GET {{host}}/\n",
    ] {
        assert!(read(wrong).is_err(), "{wrong:?} was taken");
    }
}
