//! Raw events: any item, put into the log as it is, to see what readers make of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::StoreError;
use events::recorded::RAW_PRODUCER;
use events::{Priority, RecordedEvent, Stamp};
use serde_json::{Value, json};

use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Bad, Fields, whole};
use crate::problem::Problem;
use crate::request::Caller;
use crate::settle::Settled;
use crate::table::Table;
use crate::{Api, Environment};

pub(crate) fn routes(table: Table) -> Table {
    table.post(Needs::ADMIN, "/chaos/raw-events", append)
}

/// An item of the log as somebody wants it.
pub(crate) struct RawEvent {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) name: String,
    pub(crate) version: u32,
    /// JSON text, or anything else that is to be tried.
    pub(crate) data: String,
}

/// The longest partition key, sort key and name, in bytes: what DynamoDB takes for keys.
pub(crate) const MAX_PK: usize = 2_048;
pub(crate) const MAX_SK: usize = 1_024;
pub(crate) const MAX_NAME: usize = 256;

impl Api {
    /// Puts the item into the log, behind everything in its stream.
    pub(crate) async fn append_raw(&self, raw: &RawEvent, caller: &Caller) -> Result<Settled, StoreError> {
        let stream = self.log.read_stream(&raw.pk).await?;
        let latest = stream.iter().map(|item| item.event_id).max();
        // Whoever serves it: what was written by hand can be told from what the system decided.
        let stamp = Stamp { producer: RAW_PRODUCER.into(), ..self.stamper.stamp(latest) };
        let causes = caller.causes(raw.priority());
        let what = (&*raw.name, raw.version, &*raw.data);
        self.append(RecordedEvent::raw((&raw.pk, &raw.sk), what, Vec::new(), stamp, causes)).await
    }

    /// Whether raw events are taken at all.
    pub(crate) fn takes_raw_events(&self) -> bool {
        match self.environment {
            Environment::Dev => true,
            Environment::Prod => false,
        }
    }
}

impl RawEvent {
    /// The lane that the payload names.
    fn priority(&self) -> Priority {
        let data: Option<Value> = serde_json::from_str(&self.data).ok();
        match data.as_ref().and_then(|data| data["priority"].as_str()) {
            Some("express") => Priority::Express,
            _ => Priority::Standard,
        }
    }
}

/// `POST /chaos/raw-events` {pk, sk, event_name, data?, schema_version?}. `data` is an object, or a string
/// that becomes the payload's text as it is, so that payloads which are no JSON can be tried.
async fn append(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Result<Fields, Problem>,
) -> Result<Answer, Problem> {
    if !api.takes_raw_events() {
        let detail = "this environment takes no raw events; send the request that makes the event";
        return Err(Problem::new(StatusCode::FORBIDDEN, "raw_events_disabled", detail));
    }
    let raw = read(body?)?;
    let (event, stored) = match api.append_raw(&raw, &caller).await? {
        Settled::Now(event) => (event, true),
        Settled::Before(event) => (event, false),
    };
    Ok(Answer::accepted(&json!({
        "pk": event.pk, "sk": event.sk, "event_id": event.event_id, "event_name": event.event_name, "stored": stored,
    })))
}

fn read(mut body: Fields) -> Result<RawEvent, Problem> {
    let pk = body.required("pk", key(MAX_PK));
    let sk = body.required("sk", key(MAX_SK));
    let name = body.required("event_name", key(MAX_NAME));
    let version = body.optional("schema_version", whole(1..=u64::from(u32::MAX)));
    let text = body.text_of("data");
    let data = body.optional("data", |value| match value {
        Value::Object(_) => Ok(text.unwrap_or_default()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(Bad::kind("must be an object, or a string that is the payload's text")),
    });
    let ((pk, sk), name) = body.finish(pk.zip(sk).zip(name))?;
    let version = version.and_then(|version| u32::try_from(version).ok()).unwrap_or(1);
    Ok(RawEvent { pk, sk, name, version, data: data.unwrap_or_else(|| "{}".into()) })
}

/// A key or name: any text that is not blank, bounded, without NUL, which not every store keeps.
pub(crate) fn key(longest: usize) -> impl Fn(&Value) -> Result<String, Bad> {
    move |value| {
        let text = value.as_str().ok_or(Bad::kind("must be a string"))?;
        if text.trim().is_empty() {
            return Err(Bad("empty", "must not be blank".into()));
        }
        if text.len() > longest {
            return Err(Bad("too_long", format!("must have at most {longest} bytes").into()));
        }
        if text.contains('\0') {
            return Err(Bad("control_character", "must not contain NUL".into()));
        }
        Ok(text.to_owned())
    }
}
