//! Reading the whole log, in parallel segments, within a budget of read units.
//!
//! Items of one stream stand together, in the order of their slots (source: "Partitions and data distribution",
//! Amazon DynamoDB Developer Guide). A page may end in the middle of a stream: what is left of it is read at
//! once, and the next page passes over it.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use event_store::{LogScan, ScanPage, Segment, StoreError};
use events::RecordedEvent;
use serde::{Deserialize, Serialize};

use crate::DynamoStore;
use crate::event_item::to_event;
use crate::meter::units;
use crate::row_item::{Item, text};

/// Where a segment is read to: the last item that was given.
#[derive(Serialize, Deserialize)]
struct Cursor {
    pk: String,
    sk: String,
}

impl Cursor {
    fn of(event: &RecordedEvent) -> Cursor {
        Cursor { pk: event.pk.to_string(), sk: event.sk.to_string() }
    }

    fn key(&self) -> Item {
        Item::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

#[async_trait]
impl LogScan for DynamoStore {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let after: Option<Cursor> = after
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| StoreError::Unavailable(format!("not a cursor of this log: {error}")))?;
        let (mut events, mut from) = (Vec::new(), after.as_ref().map(Cursor::key));
        let ends = loop {
            self.pace.wait().await?;
            let page = self.page(segment, from, limit.max(1) - events.len()).await?;
            for item in page.0 {
                let event = to_event(&item)?;
                // Slots that a stream got after it was given.
                if after.as_ref().is_none_or(|after| *event.pk != *after.pk) {
                    events.push(event);
                }
            }
            from = page.1;
            if from.is_none() || events.len() >= limit.max(1) {
                break from.is_none();
            }
        };
        if !ends && let Some(last) = events.last().map(Cursor::of) {
            let (rest, units) = self.stream_behind(&last.pk, Some(last.key())).await?;
            self.pace.took(units);
            events.extend(rest);
        }
        let next = events.last().filter(|_| !ends).map(Cursor::of);
        let next = next.map(|cursor| serde_json::to_string(&cursor).expect("a cursor has only text keys"));
        Ok(ScanPage { streams: streams(events), next })
    }

    /// As the table counts itself, every six hours or so.
    async fn size(&self) -> Result<u64, StoreError> {
        let describe = self.client.describe_table().table_name(&self.tables.events);
        let described = self.call(|| describe.clone().send()).await?;
        let count = described.table.and_then(|table| table.item_count).unwrap_or_default();
        Ok(count.max(0) as u64)
    }
}

impl DynamoStore {
    async fn page(
        &self,
        segment: Segment,
        from: Option<Item>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.tables.events)
            .consistent_read(true)
            .segment(i32::try_from(segment.index).unwrap_or(i32::MAX))
            .total_segments(i32::try_from(segment.of).unwrap_or(i32::MAX))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let page = self.call(|| scan.clone().send()).await?;
        self.pace.took(units(page.consumed_capacity.as_ref()));
        let from = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((page.items.unwrap_or_default(), from))
    }
}

fn streams(events: Vec<RecordedEvent>) -> Vec<Vec<RecordedEvent>> {
    let mut streams: Vec<Vec<RecordedEvent>> = Vec::new();
    for event in events {
        match streams.last_mut() {
            Some(stream) if stream[0].pk == event.pk => stream.push(event),
            _ => streams.push(vec![event]),
        }
    }
    streams.iter_mut().for_each(|stream| stream.sort_by_key(|event| event.event_id));
    streams
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::*;
    use crate::Limits;
    use crate::event_item::of_event;
    use crate::scripted::{Answer, Server, as_sent, noted};

    fn taking(units: f64, mut said: Value) -> Answer {
        said["ConsumedCapacity"] = json!({ "TableName": "EventTable", "CapacityUnits": units });
        Answer::ok(said)
    }

    #[tokio::test]
    async fn what_is_read_behind_a_page_and_what_is_counted_is_paid_for_too() {
        let item = as_sent(&of_event(&noted()));
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        let server = Server::that([
            taking(0.0, json!({ "Items": [item], "LastEvaluatedKey": key })),
            taking(20.0, json!({ "Items": [] })),
            taking(30.0, json!({ "Count": 3 })),
            taking(0.0, json!({ "Items": [] })),
        ]);
        let store = server.store(Limits { scan_units: Some(100.0), ..Limits::default() });
        let whole = Segment { index: 0, of: 1 };
        let began = Instant::now();
        let page = store.scan(whole, None, 1).await.unwrap();
        assert_eq!(store.length_of("PK").await, Ok(3));
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
        store.scan(whole, page.next.as_deref(), 1).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
