//! What a request, an answer or an event says.

use event_store::Personal;
use events::{Event, OrderId, RecordedEvent};

use super::{Answer, Entry};
use crate::ask::{Ask, Change, Wants};
use crate::holder::Holder;

/// Whether a customer is shown orders that are not theirs.
pub(super) fn shows_others(entry: &Entry, answer: &Answer) -> bool {
    let Some(Holder::Customer(own)) = &entry.ask.holder else { return false };
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let orders = body["orders"].as_array().into_iter().flatten();
    orders.filter_map(|order| order["customer_id"].as_str()).any(|customer| customer != own)
}

/// Whether an event that was stored for an older system's client, or for somebody who writes by hand, says what they
/// said.
pub(super) fn is_what_was_said(ask: &Ask, stored: &RecordedEvent) -> bool {
    let said: serde_json::Value = serde_json::from_str(&ask.body).unwrap_or_default();
    if let Wants::Raw { pk, sk } = &ask.wants {
        let data = match &said["data"] {
            serde_json::Value::String(text) => *text == *stored.data,
            // The next version says more.
            data => serde_json::from_str::<serde_json::Value>(&stored.data).is_ok_and(|kept| {
                let fields = data.as_object().into_iter().flatten();
                fields.into_iter().all(|(name, value)| kept[name] == *value)
            }),
        };
        return (&*stored.pk, &*stored.sk) == (pk, sk) && said["event_name"] == *stored.event_name && data;
    }
    let Ok(Event::OrderPlaced(placed)) = stored.event() else { return false };
    let [line] = &placed.items[..] else { return false };
    let cost = said["price"].as_f64().map(|price| (price * 100.0).round() as i64);
    said["sku"] == line.sku.as_str()
        && said["units"] == line.quantity.get()
        && said["userId"] == placed.customer_id.as_str()
        && cost == Some(placed.total.minor())
}

/// Whether an event is the change that a request asks for, with everything that it says of it.
pub(super) fn is_change(ask: &Ask, into: Change, stored: &RecordedEvent) -> bool {
    let is_it = matches!(
        (into, stored.event()),
        (Change::Paid, Ok(Event::ManualPaymentRecorded(_)))
            | (Change::Shipped, Ok(Event::OrderShipped(_)))
            | (Change::Delivered, Ok(Event::OrderDelivered(_)))
            | (Change::Cancelled, Ok(Event::OrderCancelled(_)))
    );
    let said: serde_json::Value = serde_json::from_str(&ask.body).unwrap_or_default();
    let kept: serde_json::Value = serde_json::from_str(&stored.data).unwrap_or_default();
    let told = ["reference", "carrier", "tracking", "reason"];
    is_it && told.into_iter().all(|field| said[field].is_null() || said[field] == kept[field])
}

/// Whether an event announces a lot of so many units.
pub(super) fn is_lot_of(event: &RecordedEvent, units: u32) -> bool {
    matches!(event.event(), Ok(Event::SkuRestocked(lot)) if lot.units.get() == units)
}

/// Who somebody is, by an answer.
pub(super) fn personal_in(answer: &Answer) -> Personal {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = |field: &str| body[field].as_str().map(str::to_owned);
    Personal { name: said("name"), email: said("email"), address: said("address") }
}

pub(super) fn code_of(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn key_id_of(answer: &Answer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    body["key_id"].as_str().map(str::to_owned)
}

pub(super) fn order_id_of(answer: &Answer) -> Option<OrderId> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    OrderId::recorded(body["order_id"].as_str()?).ok()
}

/// Whether a stored event is the order that was asked for.
pub(super) fn is_what_was_asked(wants: &Wants, stored: &RecordedEvent) -> bool {
    let (Wants::Place { customer_id, lines, express, .. }, Ok(Event::OrderPlaced(placed))) =
        (wants, stored.event())
    else {
        return false;
    };
    let lane = if *express { events::Priority::Express } else { events::Priority::Standard };
    // Lines have no order.
    let said = |(sku, units): &(events::Sku, u32)| {
        placed.items.iter().any(|line| line.sku == *sku && line.quantity.get() == *units)
    };
    placed.customer_id.as_str() == customer_id
        && placed.priority == lane
        && placed.items.len() == lines.len()
        && lines.iter().all(said)
}
