//! A record of the log's stream on its way to the bus: the pipe's filter and input template, and the sending.
//!
//! In an account the pipe does this. What it gave up on is carried by a function, and where there is no pipe, by
//! the tests: all by the same declaration.

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use event_store_dynamodb::Connection;
use serde_json::Value;
use topology::{DetailType, InputTemplateError, Pipe};

/// An event as the bus takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// Who sends it.
    pub source: String,
    /// What kind of event it is: the name of the log's event.
    pub detail_type: String,
    /// The flat JSON object of its attributes.
    pub detail: String,
}

/// Why an event did not reach the bus.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CarryError {
    /// The record does not fit the pipe's template.
    #[error(transparent)]
    Template(#[from] InputTemplateError),
    /// The bus did not take it.
    #[error("failed to put events on the bus: {0}")]
    Bus(String),
}

/// What the pipe makes of a record; nothing of one that its filter holds back.
///
/// # Errors
/// A record that does not fit the template.
pub fn carried(pipe: &Pipe, record: &Value) -> Result<Option<BusEvent>, CarryError> {
    if !pipe.filters.is_empty() && !pipe.filters.iter().any(|filter| filter.matches(record)) {
        return Ok(None);
    }
    let detail_type = match &pipe.detail_type {
        DetailType::Literal(text) => text.as_str(),
        DetailType::Path(path) => path.select(record).and_then(Value::as_str).unwrap_or_default(),
    };
    Ok(Some(BusEvent {
        source: pipe.source_name.clone(),
        detail_type: detail_type.to_owned(),
        detail: pipe.input_template.render(record)?,
    }))
}

/// Where events go. Putting one twice is allowed; an error says that some may not have arrived.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Puts all of them on the bus.
    async fn put(&self, events: &[BusEvent]) -> Result<(), CarryError>;
}

/// A bus of EventBridge.
pub struct EventBus {
    client: Client,
    name: String,
}

/// Events in one request.
const LIMIT: usize = 10;

impl EventBus {
    /// The bus of that name.
    pub fn new(connection: &Connection, name: &str) -> EventBus {
        let mut config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(aws_sdk_eventbridge::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_eventbridge::config::Region::new(connection.region.clone()))
            .credentials_provider(connection.credentials.clone())
            .timeout_config(connection.timeouts())
            .http_client(connection.https());
        config.set_endpoint_url(connection.endpoint_url.clone());
        EventBus { client: Client::from_conf(config.build()), name: name.to_owned() }
    }
}

#[async_trait]
impl Bus for EventBus {
    async fn put(&self, events: &[BusEvent]) -> Result<(), CarryError> {
        for events in events.chunks(LIMIT) {
            let entries = events.iter().map(|event| {
                PutEventsRequestEntry::builder()
                    .event_bus_name(&self.name)
                    .source(&event.source)
                    .detail_type(&event.detail_type)
                    .detail(&event.detail)
                    .build()
            });
            let put = self.client.put_events().set_entries(Some(entries.collect())).send().await;
            let put = put.map_err(|error| CarryError::Bus(DisplayErrorContext(error).to_string()))?;
            // One that was refused does not fail the request.
            if let Some(refused) = put.entries().iter().find(|entry| entry.error_code.is_some()) {
                let code = refused.error_code().unwrap_or_default();
                let message = refused.error_message().unwrap_or_default();
                return Err(CarryError::Bus(format!("{code}: {message}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use topology::{Parameters, Source, Topology};

    use super::*;

    fn pipe() -> Pipe {
        let text = include_str!("../../../template-oms.yaml");
        Topology::load(&[Source { name: "template-oms.yaml", text }], &Parameters::default()).unwrap().pipe
    }

    fn record(change: &str, name: &str) -> Value {
        json!({ "eventName": change, "dynamodb": { "NewImage": {
            "pk": { "S": "EVENTS#ORDER_ID#o-1" }, "event_name": { "S": name }, "schema_version": { "N": "1" },
        } } })
    }

    #[test]
    fn a_record_is_carried_as_the_template_says() {
        let event = carried(&pipe(), &record("INSERT", "OrderPlaced")).unwrap().unwrap();
        assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("sagaline.log", "OrderPlaced"));
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        assert_eq!((&detail["pk"], &detail["schema_version"]), (&json!("EVENTS#ORDER_ID#o-1"), &json!("1")));
        assert_eq!(detail["data"], json!(""), "what a record does not have is left empty");
    }

    #[test]
    fn what_nobody_listens_to_is_held_back() {
        assert_eq!(carried(&pipe(), &record("INSERT", "StockReceived")), Ok(None));
        assert_eq!(carried(&pipe(), &record("MODIFY", "OrderPlaced")), Ok(None));
    }
}
