//! One connection of a load: a bare HTTP/1.1 client, without a pool and without parsing what it need not know.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::client::{ApiKey, BaseUrl, X_API_KEY};
use crate::failure::Failure;

/// A server that says nothing for so long says nothing.
const ANSWER: Duration = Duration::from_secs(60);

/// A server on this machine.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    host: HeaderValue,
    prefix: String,
    url: BaseUrl,
    key: Option<ApiKey>,
}

impl Target {
    /// Finds the server, and refuses every address that is not this machine's own.
    pub async fn loopback(url: &BaseUrl, key: Option<&ApiKey>) -> Result<Target, Failure> {
        let unreachable = |cause: String| Failure::Unreachable { url: url.to_string(), cause };
        let found = tokio::net::lookup_host((url.host(), url.port())).await;
        let found: Vec<SocketAddr> = found.map_err(|error| unreachable(error.to_string()))?.collect();
        if let Some(stranger) = found.iter().find(|address| !address.ip().is_loopback()) {
            let stranger = stranger.ip();
            return Err(Failure::Usage(format!(
                "{url} is {stranger}, which is not this machine: a load never leaves the loopback"
            )));
        }
        let host = HeaderValue::from_str(&format!("{}:{}", url.host(), url.port()));
        let host = host.map_err(|error| unreachable(error.to_string()))?;
        // A name may stand for several addresses, of which one is listened on.
        let mut cause = "the name has no address".to_owned();
        for address in found {
            match TcpStream::connect(address).await {
                Ok(_) => {
                    let (prefix, url, key) = (url.prefix().to_owned(), url.clone(), key.cloned());
                    return Ok(Target { address, host, prefix, url, key });
                }
                Err(error) => cause = error.to_string(),
            }
        }
        Err(unreachable(cause))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// An open connection. After an error it is of no more use.
pub struct Wire {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    prefix: String,
    key: Option<ApiKey>,
}

impl Wire {
    pub async fn open(target: &Target) -> anyhow::Result<Wire> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection, whose errors the sender sees too.
        tokio::spawn(connection);
        Ok(Wire { sender, host: target.host.clone(), prefix: target.prefix.clone(), key: target.key.clone() })
    }

    /// One request, and the whole of its answer.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        match tokio::time::timeout(ANSWER, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => bail!("no answer within {} seconds", ANSWER.as_secs()),
        }
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body))?;
        if let Some(key) = &self.key {
            request.headers_mut().insert(X_API_KEY, key.header());
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_load_never_leaves_the_loopback() {
        for elsewhere in ["http://192.0.2.1:3000", "http://[2001:db8::1]:3000", "http://0.0.0.0:3000"] {
            let refused = Target::loopback(&elsewhere.parse().unwrap(), None).await.unwrap_err();
            assert!(matches!(refused, Failure::Usage(_)), "{refused}");
        }
    }

    #[tokio::test]
    async fn this_machine_is_found_by_number_and_by_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for here in ["127.0.0.1", "localhost"] {
            let url = format!("http://{here}:{port}").parse().unwrap();
            let target = Target::loopback(&url, None).await.unwrap();
            assert_eq!(target.address.port(), port);
        }
        drop(listener);
        let url = format!("http://127.0.0.1:{port}").parse().unwrap();
        let gone = Target::loopback(&url, None).await.unwrap_err();
        assert!(matches!(gone, Failure::Unreachable { .. }), "{gone}");
    }
}
