//! A tap on the line between the functions and the double: what they ask for passes through, and is written down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A call that a function made, and what it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What was asked for, as the service calls it: `DynamoDB_20120810.PutItem`.
    pub target: String,
    /// The request.
    pub request: Value,
    /// The status code of the answer.
    pub status: u16,
    /// The answer.
    pub answer: Value,
}

/// What passes through while it is there.
pub struct Tap {
    endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
    listening: JoinHandle<()>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// What the answers to calls of DynamoDB say, whether they were asked to or not.
const CAPACITY: &str = "ReturnConsumedCapacity";

impl Tap {
    /// Listens at an address, and passes on to a server: `http://127.0.0.1:4566`.
    ///
    /// # Errors
    /// An address that is taken.
    pub async fn open(address: SocketAddr, server: &str) -> anyhow::Result<Tap> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("failed to listen at {address}"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let calls = Arc::new(Mutex::default());
        let line = Line {
            server: server.to_owned(),
            calls: Arc::clone(&calls),
            http: Client::builder(TokioExecutor::new()).build_http(),
        };
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(line.clone().serve(stream));
            }
        });
        Ok(Tap { endpoint, calls, listening })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The calls since they were last taken.
    ///
    /// # Panics
    /// If whoever wrote down the last call did.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().expect("nobody panics while writing down"))
    }
}

#[derive(Clone)]
struct Line {
    server: String,
    calls: Arc<Mutex<Vec<Call>>>,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Line {
    async fn serve(self, stream: TcpStream) {
        let pass = service_fn(|request| self.pass(request));
        // Whoever hangs up in the middle of a call has its reasons: functions are killed here.
        drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await);
    }

    async fn pass(&self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let target = target.unwrap_or_default().to_owned();
        let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        if target.starts_with("DynamoDB_") && asked.is_object() {
            asked[CAPACITY] = json!("INDEXES");
            body = asked.to_string().into();
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("{}{path}", self.server).parse()?;
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        let answer = self.http.request(Request::from_parts(head, Full::new(body))).await?;
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = serde_json::from_slice(&body).unwrap_or_default();
        let call = Call { target, request: asked, status: head.status.as_u16(), answer };
        self.calls.lock().expect("nobody panics while writing down").push(call);
        head.headers.remove(TRANSFER_ENCODING);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A server that answers with what it was asked.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = service_fn(|request: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(request.into_body()))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_call_passes_with_its_answer_is_written_down_and_says_what_it_consumed() {
        let tap = Tap::open("127.0.0.1:0".parse().unwrap(), &echo().await).await.unwrap();
        let http: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(tap.endpoint()).header("x-amz-target", "DynamoDB_20120810.GetItem");
        let answer = http.request(request.body(Full::new(r#"{"Key":{}}"#.into())).unwrap()).await.unwrap();
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        let asked = json!({ "Key": {}, "ReturnConsumedCapacity": "INDEXES" });
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), asked);
        let call = Call {
            target: "DynamoDB_20120810.GetItem".into(),
            request: asked.clone(),
            status: 200,
            answer: asked,
        };
        assert_eq!(tap.take(), [call]);
        assert_eq!(tap.take(), []);
    }
}
