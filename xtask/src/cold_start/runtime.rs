//! What a function talks to when it starts: Lambda's Runtime API, a DynamoDB that holds nothing, and a collector of
//! traces that forgets them, all on the loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// Something that a function did.
pub enum Seen {
    /// It asked for an event, and waits until it is given one.
    Poll {
        /// When all of the request was there.
        at: Instant,
        /// Takes the event.
        event: Sender<String>,
    },
    /// It answered the event.
    Answer {
        /// When all of the answer was there.
        at: Instant,
        /// The answer.
        body: String,
    },
    /// It could not start, or not answer, and says why.
    Failure(String),
}

/// A server for one function after the other.
pub struct Runtime {
    address: SocketAddr,
    seen: Receiver<Seen>,
}

impl Runtime {
    /// Listens for as long as this program runs.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> anyhow::Result<Runtime> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to listen")?;
        let address = listener.local_addr()?;
        let (sees, seen) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let sees = sees.clone();
                // A function that is ended breaks its connections off, which is no news.
                thread::spawn(move || drop(serve(&connection, &sees)));
            }
        });
        Ok(Runtime { address, seen })
    }

    /// Tells a function where everything is.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let url = format!("http://{}", self.address);
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_ENDPOINT_URL", url.clone()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ]
    }

    /// What is done next, unless nothing is done for so long.
    pub fn wait(&self, patience: Duration) -> Option<Seen> {
        self.seen.recv_timeout(patience).ok()
    }
}

fn serve(mut connection: &TcpStream, sees: &Sender<Seen>) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = read(&mut reader)? {
        let at = Instant::now();
        let answer = if path.ends_with("/invocation/next") {
            let (event, given) = mpsc::channel();
            sees.send(Seen::Poll { at, event })?;
            event_answer(&given.recv()?)?
        } else if path.ends_with("/response") {
            sees.send(Seen::Answer { at, body })?;
            http("202 Accepted", "", "{}")
        } else if path.ends_with("/error") {
            sees.send(Seen::Failure(body))?;
            http("202 Accepted", "", "{}")
        } else {
            // Every question to a DynamoDB that holds nothing, and every span.
            http("200 OK", "", r#"{"Items":[],"Count":0,"ScannedCount":0}"#)
        };
        connection.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// The path and the body of the next request; none if there is no other.
fn read(reader: &mut impl BufRead) -> anyhow::Result<Option<(String, String)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split_whitespace().nth(1).context("a request names a path")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("a length is a number")?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((path, String::from_utf8_lossy(&body).into_owned())))
}

/// An event as Lambda hands it out, with half a minute to answer it.
fn event_answer(event: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let deadline = (now + Duration::from_secs(30)).as_millis();
    let headers = format!(
        "lambda-runtime-aws-request-id: 1\r\n\
         lambda-runtime-deadline-ms: {deadline}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:000000000000:function:cold-start\r\n\
         lambda-runtime-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1\r\n"
    );
    Ok(http("200 OK", &headers, event))
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}
