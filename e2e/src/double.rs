//! A server that stands for the whole of AWS on this machine, and the few calls that no client is built in for.

use std::env;

use anyhow::{Context, bail};
use event_store_dynamodb::Connection;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The double, which believes whoever asks.
#[derive(Clone)]
pub struct Double {
    endpoint: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// What kind of body it has.
    pub content_type: String,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The region that the double takes calls for if nobody says another.
pub const REGION: &str = "us-east-1";

impl Double {
    /// The double that `SAGALINE_MINISTACK` names.
    ///
    /// # Errors
    /// The variable is not set.
    pub fn of_variables() -> anyhow::Result<Double> {
        let endpoint = env::var("SAGALINE_MINISTACK")
            .context("SAGALINE_MINISTACK names no server; `cargo xtask test e2e` starts it")?;
        let http = Client::builder(TokioExecutor::new()).build_http();
        Ok(Double { endpoint: endpoint.trim_end_matches('/').to_owned(), http })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How clients reach it.
    pub fn connection(&self) -> Connection {
        let mut connection = Connection::to_a_double(&self.endpoint);
        connection.region = REGION.into();
        connection
    }

    /// Asks a service. The signature only says which one: the double checks none.
    ///
    /// # Errors
    /// A server that does not answer.
    pub async fn ask(
        &self,
        service: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let scope = format!("Credential=test/20260101/{REGION}/{service}/aws4_request");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        if !service.is_empty() {
            let signed = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
            request = request.header("authorization", signed);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.http.request(request.body(Full::new(body.into()))?).await;
        let answer = answer.with_context(|| format!("failed to ask {service} at {path}"))?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, content_type, text: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Asks a service for something that must be done.
    ///
    /// # Errors
    /// A server that does not answer, or refuses.
    pub async fn done(
        &self,
        service: &str,
        call: (Method, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let path = call.1.to_owned();
        let answer = self.ask(service, call, headers, body).await?;
        if answer.status >= 300 {
            bail!("{service} refused {path} with {}: {}", answer.status, answer.text);
        }
        Ok(answer)
    }
}
