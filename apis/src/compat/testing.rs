//! `simulateRawEvent`.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Message, Posted, Refusal, bad};
use crate::Api;
use crate::answer::Answer;
use crate::chaos::{MAX_NAME, MAX_PK, MAX_SK, RawEvent, key};
use crate::fields::{Fields, Kind, kind};
use crate::openapi::{Operation, Schemas, Shape};
use crate::request::{Caller, Said};
use crate::shape;

pub(super) async fn simulate_raw_event(
    State(api): State<Arc<Api>>,
    caller: Caller,
    sent: Result<Posted<Asked>, Refusal>,
) -> Result<Answer, Refusal> {
    if !api.takes_raw_events() {
        return Err(Refusal::Forbidden);
    }
    let Posted(Asked { pk, sk, name, data: sent }) = sent?;
    let data = sent.clone().unwrap_or_else(|| "{}".into());
    let raw = RawEvent { pk, sk, name, version: 1, data };
    api.append_raw(&raw, &caller).await?;
    let event_data = sent.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Ok(Answer::accepted(&Echo { pk: &raw.pk, sk: &raw.sk, event_name: &raw.name, event_data }))
}

pub(super) fn simulate_says(says: &mut Operation) {
    says.summary("Write an event by hand")
        .detail("There is none of this in prod.")
        .field("pk", "The stream. At most 2,048 bytes.")
        .field("sk", "The slot. At most 1,024 bytes.")
        .field("eventName", "What it calls itself. At most 256 bytes.")
        .field("eventData", "What it carries.")
        .example(
            "an event that nobody knows",
            json!({
                "pk": "EVENTS#ORDER_ID#order-0001", "sk": "EVENT#Surprise", "eventName": "ORDER_RETRACTED_EVENT",
                "eventData": { "by": "nobody" },
            }),
        )
        .answers::<Message>(403, "This environment takes no raw events.")
        .answers::<Echo<'_>>(202, "What was understood.");
}

/// An event, as it comes.
#[derive(Debug)]
pub(super) struct Asked {
    pk: String,
    sk: String,
    name: String,
    data: Option<String>,
}

impl Said for Asked {
    fn read(body: &mut Fields) -> Option<Self> {
        let pk = body.required("pk", trimmed(MAX_PK));
        let sk = body.required("sk", trimmed(MAX_SK));
        let name = body.required("eventName", trimmed(MAX_NAME));
        let text = body.text_of("eventData");
        let object = kind(
            || json!({ "type": "object" }),
            |value: &Value| match (value, text) {
                (Value::Object(_), Some(text)) => Ok(text),
                _ => Err(bad()),
            },
        );
        let data = body.optional("eventData", object);
        Some(Asked { pk: pk?, sk: sk?, name: name?, data })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Echo<'a> {
    pk: &'a str,
    sk: &'a str,
    event_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_data: Option<&'a RawValue>,
}

shape! {
    "An event that was written by hand.",
    Echo<'_> as "CompatEvent" {
        pk: "The stream." = "EVENTS#ORDER_ID#order-0001",
        sk: "The slot." = "EVENT#Surprise",
        event_name as "eventName": "What it calls itself." = "ORDER_RETRACTED_EVENT",
    } perhaps {
        event_data as "eventData": "What it carries.",
    }
}

impl Shape for RawValue {
    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "object" })
    }

    fn example() -> Value {
        json!({ "by": "nobody" })
    }
}

fn trimmed(longest: usize) -> impl Kind<Value, String> {
    let schema = move || Kind::<Value, String>::schema(&key(longest));
    kind(schema, move |value: &Value| key(longest).read(&Value::from(value.as_str().ok_or(bad())?.trim())))
}
