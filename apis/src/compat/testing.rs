//! `simulateRawEvent`.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Posted, Refusal, bad};
use crate::Api;
use crate::answer::Answer;
use crate::chaos::{MAX_NAME, MAX_PK, MAX_SK, RawEvent, key};
use crate::fields::Bad;
use crate::request::Caller;

pub(super) async fn simulate_raw_event(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Result<Posted, Refusal>,
) -> Result<Answer, Refusal> {
    if !api.takes_raw_events() {
        return Err(Refusal::Forbidden);
    }
    let Posted(mut body) = body?;
    let pk = body.required("pk", trimmed(MAX_PK));
    let sk = body.required("sk", trimmed(MAX_SK));
    let name = body.required("eventName", trimmed(MAX_NAME));
    let text = body.text_of("eventData");
    let data = body.optional("eventData", |value| match (value, text) {
        (Value::Object(_), Some(text)) => Ok(text),
        _ => Err(bad()),
    });
    let ((pk, sk), name) = body.finish(pk.zip(sk).zip(name))?;
    let sent = data.clone();
    let raw = RawEvent { pk, sk, name, version: 1, data: data.unwrap_or_else(|| "{}".into()) };
    api.append_raw(&raw, &caller).await?;
    let event_data = sent.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Ok(Answer::accepted(&Echo { pk: &raw.pk, sk: &raw.sk, event_name: &raw.name, event_data }))
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

fn trimmed(longest: usize) -> impl Fn(&Value) -> Result<String, Bad> {
    move |value| key(longest)(&Value::from(value.as_str().ok_or(bad())?.trim()))
}
