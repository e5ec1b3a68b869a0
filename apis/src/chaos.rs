//! Raw events: any item, put into the log as it is, to see what readers make of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::StoreError;
use events::recorded::RAW_PRODUCER;
use events::{Priority, RecordedEvent, Stamp, Ulid};
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Bad, Fields, Kind, kind, string, whole};
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::request::{Caller, Said, Sent};
use crate::settle::Settled;
use crate::shape;
use crate::table::Table;
use crate::{Api, Environment};

pub(crate) fn routes(table: Table) -> Table {
    table.post(Needs::ADMIN, "/chaos/raw-events", append, append_says)
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
        self.append(RecordedEvent::raw((&raw.pk, &raw.sk), what, Vec::new(), stamp, causes), caller).await
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
    sent: Result<Sent<RawEvent>, Problem>,
) -> Result<Answer, Problem> {
    if !api.takes_raw_events() {
        let detail = "this environment takes no raw events; send the request that makes the event";
        return Err(Problem::new(StatusCode::FORBIDDEN, "raw_events_disabled", detail));
    }
    let Sent(raw) = sent?;
    let (event, stored) = match api.append_raw(&raw, &caller).await? {
        Settled::Now(event) | Settled::Again(event) => (event, true),
        Settled::Before(event) => (event, false),
    };
    let (pk, sk, event_name) = (&*event.pk, &*event.sk, &*event.event_name);
    Ok(Answer::accepted(&Shown { pk, sk, event_id: event.event_id, event_name, stored }))
}

fn append_says(says: &mut Operation) {
    says.summary("Write an event by hand")
        .detail(
            "Any item, put into the log as it is, behind everything in its stream, to see what readers make of it. There \
             is none of this in prod.",
        )
        .field("pk", "The stream. At most 2,048 bytes.")
        .field("sk", "The slot. At most 1,024 bytes.")
        .field("event_name", "What it calls itself. At most 256 bytes.")
        .field("schema_version", "Version of `data`; 1, if nothing is said.")
        .field("data", "What it carries; a string becomes the payload's text as it is, be it JSON or not.")
        .example("an event that nobody knows", json!({
            "pk": "EVENTS#ORDER_ID#order-0001", "sk": "EVENT#Surprise", "event_name": "ORDER_RETRACTED_EVENT",
            "data": { "by": "nobody" },
        }))
        .answers::<Shown<'_>>(202, "The event that stands in the slot now.")
        .refuses(StatusCode::FORBIDDEN, "raw_events_disabled", "This environment takes no raw events.")
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "payload_too_large", "The payload has more than 240 KB.");
}

#[derive(Serialize)]
struct Shown<'a> {
    pk: &'a str,
    sk: &'a str,
    event_id: Ulid,
    event_name: &'a str,
    stored: bool,
}

shape! {
    "What stands in a slot.",
    Shown<'_> as "RawEvent" {
        pk: "The stream." = "EVENTS#ORDER_ID#order-0001",
        sk: "The slot." = "EVENT#Surprise",
        event_id: "The event.",
        event_name: "What it calls itself." = "ORDER_RETRACTED_EVENT",
        stored: "Whether it is the one that was sent; else the slot was taken.",
    }
}

impl Said for RawEvent {
    fn read(body: &mut Fields) -> Option<Self> {
        let pk = body.required("pk", key(MAX_PK));
        let sk = body.required("sk", key(MAX_SK));
        let name = body.required("event_name", key(MAX_NAME));
        let version = body.optional("schema_version", whole(1..=u64::from(u32::MAX)));
        let text = body.text_of("data");
        let data = body.optional("data", payload(text));
        let version = version.and_then(|version| u32::try_from(version).ok()).unwrap_or(1);
        let data = data.unwrap_or_else(|| "{}".into());
        Some(RawEvent { pk: pk?, sk: sk?, name: name?, version, data })
    }
}

/// An object, of which the text is taken as it was sent, or a text.
fn payload(sent: Option<String>) -> impl Kind<Value, String> {
    let schema = || json!({ "type": ["object", "string"] });
    kind(schema, move |value: &Value| match value {
        Value::Object(_) => Ok(sent.unwrap_or_default()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(Bad::kind("must be an object, or a string that is the payload's text")),
    })
}

/// A key or name: any text that is not blank, bounded, without NUL, which not every store keeps.
pub(crate) fn key(longest: usize) -> impl Kind<Value, String> {
    let pattern = r"^[^\x00]*[^\s\x00][^\x00]*$";
    let schema = move || json!({ "type": "string", "maxLength": longest, "pattern": pattern });
    kind(schema, move |value: &Value| {
        let text = string(value)?;
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
    })
}
