//! A server that answers as a test tells it to, for what no double does: lose answers, leave items over, take its time.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_sdk_dynamodb::types::AttributeValue;
use events::{Causes, Priority, RecordedEvent, Stamp, Timestamp, Ulid};
use serde_json::{Value, json};

use crate::row_item::Item;
use crate::{Connection, DynamoStore, Limits, Tables};

/// What the server does with one request.
pub(crate) enum Answer {
    /// Says this, under this status.
    Says(u16, String),
    /// Hangs up without a word, whatever it may have done.
    HangsUp,
    /// Says nothing for as long as somebody waits.
    Waits,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Answer {
        Answer::Says(200, body.to_string())
    }

    /// An error of the service, by its name.
    pub(crate) fn error(code: &str) -> Answer {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}") });
        Answer::Says(400, body.to_string())
    }
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `PutItem`.
    pub(crate) operation: String,
    pub(crate) body: Value,
}

pub(crate) struct Server {
    pub(crate) connection: Connection,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    /// A server that gives these answers, one after the other; whoever asks more is hung up on.
    pub(crate) fn that(answers: impl IntoIterator<Item = Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::to_a_double(&format!("http://{}", listener.local_addr().unwrap()));
        let script =
            Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), ..Script::default() });
        let of_server = script.clone();
        // It ends with the test's process.
        thread::spawn(move || {
            for socket in listener.incoming() {
                let script = of_server.clone();
                thread::spawn(move || script.serve(socket.unwrap()));
            }
        });
        Server { connection, script }
    }

    pub(crate) fn store(&self, limits: Limits) -> DynamoStore {
        DynamoStore::new(&self.connection, Tables::prefixed("scripted-"), limits)
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// The operations that it was asked for so far.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.operation).collect()
    }
}

impl Script {
    fn serve(&self, socket: TcpStream) {
        let mut lines = BufReader::new(socket.try_clone().unwrap());
        let mut socket = socket;
        while let Some(asked) = read(&mut lines) {
            self.asked.lock().unwrap().push(asked);
            let next = self.answers.lock().unwrap().pop_front();
            match next.unwrap_or(Answer::HangsUp) {
                Answer::Says(status, body) => {
                    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len());
                    socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
                }
                Answer::HangsUp => return drop(socket.shutdown(std::net::Shutdown::Both)),
                Answer::Waits => {}
            }
        }
    }
}

/// One request; nothing if the client has hung up.
fn read(lines: &mut BufReader<TcpStream>) -> Option<Asked> {
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match &*name.to_lowercase() {
            "x-amz-target" => operation = value.rsplit('.').next().unwrap_or_default().to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some(Asked { operation, body: serde_json::from_slice(&body).unwrap() })
}

/// An item as the service sends it.
pub(crate) fn as_sent(item: &Item) -> Value {
    let attribute = |value: &AttributeValue| match value {
        AttributeValue::N(digits) => json!({ "N": digits }),
        other => json!({ "S": other.as_s().unwrap() }),
    };
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// An event.
pub(crate) fn noted() -> RecordedEvent {
    let at = Timestamp::from_millis(1_735_689_600_000);
    let stamp = Stamp { event_id: Ulid(7), occurred_at: at, producer: "test".into() };
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "request-1".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    };
    RecordedEvent::raw(("PK", "SK"), ("Noted", 1, "{}"), Vec::new(), stamp, causes)
}
