//! An event as an item: each attribute under its own name, so that pipes and people can read it.

use std::sync::Arc;

use event_store::StoreError;
use events::{Causes, Priority, RecordedEvent, Stamp, StockDelta, Timestamp, Ulid};

use crate::row_item::{Item, json, json_of, number, number_of, text, text_of, text_or_empty, unreadable};

/// Stands for a trace that nobody began: the pipe's template names only attributes that are always written.
const NO_TRACE: &str = "-";

pub(crate) fn of_event(event: &RecordedEvent) -> Item {
    let mut item = Item::from([
        ("pk".to_owned(), text(&*event.pk)),
        ("sk".to_owned(), text(&*event.sk)),
        ("event_id".to_owned(), text(event.event_id.to_string())),
        ("schema_version".to_owned(), number(event.schema_version)),
        ("occurred_at".to_owned(), text(event.occurred_at.to_string())),
        ("priority".to_owned(), text(event.priority.as_str())),
        ("traceparent".to_owned(), text(event.traceparent.as_deref().unwrap_or(NO_TRACE))),
    ]);
    let may_be_empty = [
        ("event_name", &event.event_name),
        ("data", &event.data),
        ("producer", &event.producer),
        ("correlation_id", &event.correlation_id),
    ];
    for (name, value) in may_be_empty.into_iter().filter(|(_, value)| !value.is_empty()) {
        item.insert(name.into(), text(&**value));
    }
    for (name, id) in [("causation_id", event.causation_id), ("request_seed", event.request_seed)] {
        if let Some(id) = id {
            item.insert(name.into(), text(id.to_string()));
        }
    }
    if event.moved_counters() {
        item.insert("counters".into(), json(&event.counters));
    }
    item
}

/// Reads an item of the log.
///
/// # Errors
/// An item that nothing of ours has written; the error names it, so that somebody can look.
pub fn to_event(item: &Item) -> Result<RecordedEvent, StoreError> {
    read(item).map_err(|error| {
        let [pk, sk] = ["pk", "sk"].map(|name| text_or_empty(item, name));
        StoreError::Unavailable(format!("the log's item {pk} {sk} cannot be read: {error}"))
    })
}

fn read(item: &Item) -> Result<RecordedEvent, StoreError> {
    let ulid = |name: &str| Ulid::from_string(text_of(item, name)?).map_err(|_| unreadable(name));
    let optional = |name: &str| item.contains_key(name).then(|| ulid(name)).transpose();
    let traceparent = text_or_empty(item, "traceparent");
    let stamp = Stamp {
        event_id: ulid("event_id")?,
        occurred_at: Timestamp::parse(text_of(item, "occurred_at")?)
            .map_err(|_| unreadable("occurred_at"))?,
        producer: text_or_empty(item, "producer").into(),
    };
    let causes = Causes {
        priority: priority_of(text_of(item, "priority")?)?,
        correlation_id: text_or_empty(item, "correlation_id").into(),
        causation_id: optional("causation_id")?,
        request_seed: optional("request_seed")?,
        traceparent: (!["", NO_TRACE].contains(&traceparent)).then(|| Arc::from(traceparent)),
    };
    let counters: Vec<StockDelta> =
        if item.contains_key("counters") { json_of(item, "counters")? } else { Vec::new() };
    Ok(RecordedEvent::raw(
        (text_of(item, "pk")?, text_of(item, "sk")?),
        (text_or_empty(item, "event_name"), number_of(item, "schema_version")?, text_or_empty(item, "data")),
        counters,
        stamp,
        causes,
    ))
}

fn priority_of(text: &str) -> Result<Priority, StoreError> {
    let named = [Priority::Standard, Priority::Express].into_iter().find(|lane| lane.as_str() == text);
    named.ok_or_else(|| unreadable("priority"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_nobody_can_read_is_named() {
        let item = Item::from(
            [("pk", "EVENTS#ORDER_ID#o-1"), ("sk", "EVENT#Odd")]
                .map(|(name, value)| (name.to_owned(), text(value))),
        );
        let error = to_event(&item).unwrap_err().to_string();
        assert!(error.contains("EVENTS#ORDER_ID#o-1 EVENT#Odd") && error.contains("event_id"), "{error}");
    }
}
