//! How the service is reached: region, endpoint, credentials.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};
use aws_types::SdkConfig;

/// Where the service is, and who asks.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The region: `eu-central-1`.
    pub region: String,
    /// Another address than the region's: `http://127.0.0.1:8000`.
    pub endpoint_url: Option<String>,
    /// Who asks.
    pub credentials: Credentials,
    /// How long one try may take.
    pub timeout: Duration,
    /// The way to the network.
    https: SharedHttpClient,
}

/// How long a server may take to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the service may take for one try: it answers within milliseconds, or something is wrong.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a double may take, which shares the machine with what asks it.
const TIMEOUT_OF_A_DOUBLE: Duration = Duration::from_secs(60);

impl Connection {
    /// What the variables say that AWS sets for a function: `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, and `AWS_ENDPOINT_URL` for another address.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Connection, String> {
        let required = |name: &str| variable(name).ok_or_else(|| format!("{name} is not set"));
        Ok(Connection {
            region: required("AWS_REGION")?,
            endpoint_url: variable("AWS_ENDPOINT_URL"),
            credentials: Credentials::from_keys(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                variable("AWS_SESSION_TOKEN"),
            ),
            timeout: TIMEOUT,
            https: https(),
        })
    }

    /// A server that stands for the service and believes whoever asks.
    pub fn to_a_double(endpoint_url: &str) -> Connection {
        Connection {
            region: "eu-central-1".into(),
            endpoint_url: Some(endpoint_url.into()),
            credentials: Credentials::from_keys("local", "local", None),
            timeout: TIMEOUT_OF_A_DOUBLE,
            https: https(),
        }
    }

    /// The client's way to the network, which other services' clients share.
    pub fn https(&self) -> SharedHttpClient {
        self.https.clone()
    }

    /// How long one try may take.
    pub fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(self.timeout)
            .build()
    }

    /// The configuration of other services' clients, which try again by themselves.
    pub fn config(&self) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .retry_config(RetryConfig::standard())
            .timeout_config(self.timeouts())
            .http_client(self.https());
        config.set_endpoint_url(self.endpoint_url.clone());
        config.build()
    }

    /// A client that asks once: what is tried again, and until when, is decided by whoever knows what it means.
    pub(crate) fn client(&self) -> Client {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(self.timeouts())
            .http_client(self.https());
        config.set_endpoint_url(self.endpoint_url.clone());
        Client::from_conf(config.build())
    }
}

/// A way to the network that is made once. The SDK's own would read every certificate of the machine for each client
/// that is made, throw that away, and read them again for the first request.
fn https() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder().connector_settings(settings);
    let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn the_clients_of_a_connection_ask_through_one_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::to_a_double(&format!("http://{}", listener.local_addr().unwrap()));
        connection.timeout = Duration::from_secs(5);
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            for _ in 0..2 {
                let mut asked = Vec::new();
                while !asked.ends_with(b"{}") {
                    let mut some = [0; 4096];
                    let length = socket.read(&mut some).unwrap();
                    asked.extend(&some[..length]);
                }
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            }
        });
        for client in [connection.client(), connection.clone().client()] {
            client.list_tables().send().await.unwrap();
        }
        server.join().unwrap();
    }
}
