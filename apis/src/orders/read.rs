//! One order: its row, its events, its payment, its delivery.
//!
//! A row that is not there yet is folded from the stream, so a client can read what it just wrote.

use std::sync::Arc;

use axum::extract::State;
use events::{Anomaly, OrderId, Priority, RecordedEvent, StockDelta, Timestamp, Ulid};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use views::project::seen;

use super::pk;
use crate::Api;
use crate::answer::Answer;
use crate::prefer::Wait;
use crate::problem::Problem;
use crate::request::{Caller, Named, unknown};

/// `GET /orders/{id}`; with `Prefer: wait=5`, as soon as it has settled.
pub(crate) async fn order(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
    wait: Wait,
) -> Result<Answer, Problem> {
    // Nobody waits for what is not theirs.
    if wait != Wait(0) {
        api.check_owner(&id, &caller).await?;
    }
    let shown = if wait == Wait(0) { api.orders.order(&id).await? } else { None };
    let row = match shown {
        Some(row) => row,
        None => api.settled(&id, wait).await?.ok_or_else(|| unknown::<OrderId>().about(&id))?,
    };
    caller.sees(&row.customer_id, || unknown::<OrderId>().about(&id))?;
    Ok(Answer::ok(&row).seen(row.seen).waited(wait).about(&id))
}

pub(crate) async fn payments(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    api.check_owner(&id, &caller).await?;
    let row = api.orders.payment(&id).await?;
    let (seen, row) = match row {
        Some(row) => (row.seen, Some(row)),
        None => api.folded(&id).await.map(|rows| (rows.order.seen, rows.payment))?,
    };
    Ok(Answer::ok(&json!({ "payments": Vec::from_iter(row) })).seen(seen).about(&id))
}

pub(crate) async fn deliveries(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    api.check_owner(&id, &caller).await?;
    let row = api.orders.delivery(&id).await?;
    let (seen, row) = match row {
        Some(row) => (row.seen, Some(row)),
        None => api.folded(&id).await.map(|rows| (rows.order.seen, rows.delivery))?,
    };
    Ok(Answer::ok(&json!({ "deliveries": Vec::from_iter(row) })).seen(seen).about(&id))
}

/// Everything that stands in the stream, also of an order that was never placed: what cannot be read
/// is shown, and named among the anomalies.
pub(crate) async fn events(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    api.check_owner(&id, &caller).await?;
    let mut stream = api.log.read_stream(&pk(&id)).await?;
    if stream.is_empty() {
        return Err(unknown::<OrderId>().about(&id));
    }
    stream.sort_by_key(|item| item.event_id);
    let items = || stream.iter().map(|item| &**item);
    let anomalies = events::anomalies(items());
    let history = History {
        order_id: &id,
        events: items().map(EventItem::of).collect(),
        anomalies: anomalies.iter().map(AnomalyItem::of).collect(),
    };
    Ok(Answer::ok(&history).seen(seen(&stream)).about(&id))
}

#[derive(Serialize)]
struct History<'a> {
    order_id: &'a OrderId,
    events: Vec<EventItem<'a>>,
    anomalies: Vec<AnomalyItem<'a>>,
}

#[derive(Serialize)]
struct EventItem<'a> {
    event_id: Ulid,
    event_name: &'a str,
    slot: &'a str,
    schema_version: u32,
    data: Data<'a>,
    occurred_at: Timestamp,
    priority: Priority,
    counters: &'a [StockDelta],
    producer: &'a str,
    correlation_id: &'a str,
    causation_id: Option<Ulid>,
    traceparent: Option<&'a str>,
}

/// The payload as it stands in the log; as a string where it is no JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

#[derive(Serialize)]
struct AnomalyItem<'a> {
    event_id: Ulid,
    event_name: &'a str,
    slot: &'a str,
    why: String,
}

impl<'a> EventItem<'a> {
    fn of(item: &'a RecordedEvent) -> Self {
        EventItem {
            event_id: item.event_id,
            event_name: &item.event_name,
            slot: &item.sk,
            schema_version: item.schema_version,
            data: serde_json::from_str(&item.data).map_or(Data::Text(&item.data), Data::Json),
            occurred_at: item.occurred_at,
            priority: item.priority,
            counters: &item.counters,
            producer: &item.producer,
            correlation_id: &item.correlation_id,
            causation_id: item.causation_id,
            traceparent: item.traceparent.as_deref(),
        }
    }
}

impl<'a> AnomalyItem<'a> {
    fn of(anomaly: &'a Anomaly) -> Self {
        AnomalyItem {
            event_id: anomaly.event_id,
            event_name: &anomaly.event_name,
            slot: &anomaly.sk,
            why: anomaly.why.to_string(),
        }
    }
}
