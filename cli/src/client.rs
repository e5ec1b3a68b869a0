//! HTTP to a server: JSON there and back, connections kept alive, refusals as [`Failure`]s.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::{Failure, Refusal};

/// A connection that is not there after this long is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than the longest wait that a server is asked for.
const ANSWER: Duration = Duration::from_secs(60);
/// A server that wants to be asked again only after longer than this is not waited for.
const WAIT: Duration = Duration::from_secs(60);
/// So often it is asked again.
const AGAIN: u32 = 5;

/// Where a server is: `http://host[:port][/prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
}

impl BaseUrl {
    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path that every route hangs under; empty, or begins with a slash and ends without one.
    pub fn prefix(&self) -> &str {
        self.text["http://".len()..].find('/').map_or("", |slash| &self.text["http://".len() + slash..])
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|error| format!("{error}; write http://host:port"))?;
        let authority = uri.authority().ok_or("write http://host:port")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err("sagaline speaks plain http only and has no TLS inside; \
                    for a server behind https, forward a local port to it and name that one"
                    .to_owned());
            }
            _ => return Err("write http://host:port".to_owned()),
        }
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("write http://host:port, without user, password or query".to_owned());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(BaseUrl { text: text.to_owned(), host: authority.host().to_owned(), port })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is shown with every request: `sgl_…`. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// As it goes into the header `x-api-key`.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl FromStr for ApiKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let value = HeaderValue::from_str(text).ok().filter(|_| is_plain);
        let mut value = value.ok_or("write an API key as it was shown, such as sgl_…")?;
        value.set_sensitive(true);
        Ok(ApiKey(value))
    }
}

/// The header that shows a key.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a server answered when it did not refuse.
#[derive(Debug)]
pub struct Answer {
    /// 200, 201 or 202.
    pub status: StatusCode,
    /// The JSON; null when there was no body.
    pub body: Value,
}

/// Talks to one server.
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    url: BaseUrl,
    key: Option<ApiKey>,
    /// Held by whoever asks again what was too much: all at once they would be told so again.
    turn: Mutex<()>,
}

impl Client {
    pub fn new(url: BaseUrl, key: Option<ApiKey>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Client { http, url, key, turn: Mutex::default() }
    }

    /// Asks for something, as [`Client::insist`] does.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.insist(Method::GET, path, None).await?.body)
    }

    /// Asks for something once, for whoever wants to know at once that it cannot be told for now.
    pub async fn look(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.send(Method::GET, path, None).await?.body)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::DELETE, path, None).await
    }

    /// Like [`Client::send`], but asks again a few times when the store behind the server is not available
    /// for the moment, or when the server was asked too much: then as late as it says, and one request after the other.
    /// For requests that may be repeated.
    pub async fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let (mut pause, mut turn) = (Duration::from_millis(100), None);
        for _ in 0..AGAIN {
            let refusal = match self.send(method.clone(), path, body).await {
                Err(Failure::Refused(refusal)) if refusal.is_for_now() => refusal,
                answer => return answer,
            };
            let is_too_much = refusal.status == 429;
            let wait = refusal.retry_after.filter(|_| is_too_much).unwrap_or(pause);
            if wait > WAIT {
                return Err(Failure::Refused(refusal));
            }
            let again_at = Instant::now() + wait;
            if is_too_much && turn.is_none() {
                turn = Some(self.turn.lock().await);
            }
            tokio::time::sleep_until(again_at).await;
            pause *= 2;
        }
        self.send(method, path, body).await
    }

    /// One request.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Refused`] for every status but 2xx, [`Failure::NotSagaline`].
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let body_bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(ACCEPT, "application/json");
        if let Some(key) = &self.key {
            request = request.header(X_API_KEY, key.header());
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(body_bytes)).map_err(|error| Failure::Usage(error.to_string()))?;
        let (answer, bytes) = tokio::time::timeout(ANSWER, self.exchange(request))
            .await
            .map_err(|_| self.unreachable(format!("no answer within {} seconds", ANSWER.as_secs())))??;
        let status = answer.status;
        if !status.is_success() {
            let problem = serde_json::from_slice(&bytes).unwrap_or_default();
            let seconds = answer.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
            let mut refusal = Refusal::read(status.as_u16(), &problem);
            refusal.retry_after = seconds.map(Duration::from_secs);
            return Err(Failure::Refused(refusal));
        }
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .map_err(|_| Failure::NotSagaline { url: self.url.to_string(), status: status.as_u16() })?,
        };
        Ok(Answer { status, body })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(Parts, Bytes), Failure> {
        let response = self.http.request(request).await.map_err(|error| self.unreachable(root(&error)))?;
        let (answer, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| self.unreachable(root(&error)))?;
        Ok((answer, body.to_bytes()))
    }

    fn unreachable(&self, cause: String) -> Failure {
        Failure::Unreachable { url: self.url.to_string(), cause }
    }
}

/// The cause at the bottom: "Connection refused" says more than "client error (Connect)".
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A path of segments, each escaped: an id may hold whatever a raw event may hold.
pub fn path(segments: &[&str]) -> String {
    segments.iter().flat_map(|segment| ["/".to_owned(), escaped(segment)]).collect()
}

/// A path with a query string of the parameters that have a value.
pub fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<BaseUrl, String> {
        text.parse()
    }

    #[test]
    fn a_url_is_plain_http_with_a_host() {
        let url = parsed("http://127.0.0.1:3000/").unwrap();
        assert_eq!(
            (url.host(), url.port(), url.prefix(), url.to_string().as_str()),
            ("127.0.0.1", 3000, "", "http://127.0.0.1:3000")
        );
        let url = parsed("http://[::1]/dev").unwrap();
        assert_eq!((url.host(), url.port(), url.prefix()), ("::1", 80, "/dev"));
        for bad in
            ["127.0.0.1:3000", "localhost", "ftp://x", "http://", "http://u:p@127.0.0.1", "http://x?y", ""]
        {
            assert!(parsed(bad).is_err(), "{bad}");
        }
        assert!(parsed("https://orders.example").unwrap_err().contains("no TLS"));
    }

    #[test]
    fn an_id_cannot_break_out_of_its_segment() {
        assert_eq!(path(&["orders", "a/b?c d", "events"]), "/orders/a%2Fb%3Fc%20d/events");
        assert_eq!(query("/events", &[("after", Some("7")), ("event_name", None)]), "/events?after=7");
        assert_eq!(query("/orders", &[("status", None)]), "/orders");
    }
}
