//! One order: its row, its events, its payment, its delivery.
//!
//! A row that is not there yet is folded from the stream, so a client can read what it just wrote.

use std::sync::Arc;

use axum::extract::State;
use event_store::{DeliveryRow, OrderRow, PaymentRow};
use events::{Anomaly, OrderId, Priority, RecordedEvent, StockDelta, Timestamp, Ulid};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::pk;
use crate::Api;
use crate::answer::Answer;
use crate::openapi::{Operation, Schemas, Shape};
use crate::prefer::Wait;
use crate::problem::Problem;
use crate::request::{Caller, Named, unknown};
use crate::shape;

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

pub(crate) fn order_says(says: &mut Operation) {
    says.summary("Show an order")
        .detail("What you have just written is there. `Prefer: wait=5` waits for the order to settle.")
        .answers::<OrderRow>(200, "The order.")
        .spares();
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
    Ok(Answer::ok(&Payments { payments: Vec::from_iter(row) }).seen(seen).about(&id))
}

#[derive(Serialize)]
struct Payments {
    payments: Vec<PaymentRow>,
}

shape! {
    "An order's payment.",
    Payments as "Payments" { payments: "The payment, or nothing before its first attempt.", }
}

pub(crate) fn payments_says(says: &mut Operation) {
    says.summary("Show an order's payment").answers::<Payments>(200, "One payment, or none yet.").spares();
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
    Ok(Answer::ok(&Deliveries { deliveries: Vec::from_iter(row) }).seen(seen).about(&id))
}

#[derive(Serialize)]
struct Deliveries {
    deliveries: Vec<DeliveryRow>,
}

shape! {
    "An order's delivery.",
    Deliveries as "Deliveries" { deliveries: "The delivery, or nothing before the order is paid.", }
}

pub(crate) fn deliveries_says(says: &mut Operation) {
    says.summary("Show an order's delivery")
        .answers::<Deliveries>(200, "One delivery, or none yet.")
        .spares();
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
    // It shows events, too, that no version of an order counts.
    Ok(Answer::ok(&history).digested().about(&id))
}

pub(crate) fn events_says(says: &mut Operation) {
    says.summary("Show everything that happened to an order")
        .detail(
            "Every event of its stream, oldest first, also of an order that was never placed. What cannot be read is \
             shown, and named among the anomalies.",
        )
        .answers::<History<'_>>(200, "The events.")
        .spares();
}

shape! {
    "What happened to an order.",
    History<'_> as "History" {
        order_id: "The order.",
        events: "Its events, oldest first.",
        anomalies: "What no reader could make sense of." = [(); 0],
    }
}

shape! {
    "An event, as it stands in the log.",
    EventItem<'_> as "OrderEvent" {
        event_id: "Greater than the id of every event it was decided from: a ULID.",
        event_name: "What happened, or anything that was written by hand." = "OrderPlaced",
        slot: "The decision that it settles." = "EVENT#OrderPlaced",
        schema_version: "Version of `data`.",
        data: "What it carries; as a string where it is no JSON.",
        occurred_at: "When it was appended.",
        priority: "The lane of its order.",
        counters: "How counters moved in the same write." = [(); 0],
        producer: "Who appended it." = "oms-api",
        correlation_id: "The request that began it all." = "checkout-4711",
        causation_id: "The event because of which it was appended; null where a request was the cause." = (),
        traceparent: "The W3C trace of the request that began it all." = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
}

shape! {
    "An event of which no reader could make sense.",
    AnomalyItem<'_> as "Anomaly" {
        event_id: "The event.",
        event_name: "What it calls itself." = "ORDER_RETRACTED_EVENT",
        slot: "Where it stands." = "EVENT#Surprise",
        why: "What is wrong with it." = "unknown event name",
    }
}

impl Shape for Data<'_> {
    fn schema(_: &mut Schemas) -> Value {
        json!({})
    }

    fn example() -> Value {
        json!({ "order_id": "order-0001" })
    }
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
