//! Following the log: the changes of its table, shard by shard, each shard in the order of its changes.
//!
//! In an account this is the pipe's business. Here it is for what runs without one: the one-machine process over a
//! DynamoDB table, and the tests that stand in for a pipe.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::DisplayErrorContext;
use aws_sdk_dynamodbstreams::types::{AttributeValue as Streamed, ShardIteratorType};
use event_store::StoreError;
use serde_json::{Map, Value, json};

use crate::row_item::Item;
use crate::{Connection, DynamoStore};

/// A change of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The shard it came from.
    pub shard: String,
    /// Its place in the shard.
    pub sequence_number: String,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub change: String,
    /// When it happened, in seconds since 1970.
    pub happened_at: i64,
    /// The item as it is now; empty when it was removed.
    pub image: Item,
}

impl Record {
    /// The record as a pipe's patterns and templates see it.
    pub fn json(&self) -> Value {
        let attributes = self.image.iter().filter_map(|(name, value)| {
            let value = match value {
                AttributeValue::S(text) => json!({ "S": text }),
                AttributeValue::N(digits) => json!({ "N": digits }),
                _ => return None,
            };
            Some((name.clone(), value))
        });
        json!({
            "eventName": self.change,
            "eventSource": "aws:dynamodb",
            "dynamodb": {
                "ApproximateCreationDateTime": self.happened_at,
                "NewImage": attributes.collect::<Map<String, Value>>(),
                "SequenceNumber": self.sequence_number,
            },
        })
    }
}

/// Walks along the stream of a table from its beginning, which is a day ago.
pub struct StreamReader {
    client: Client,
    stream: String,
    shards: BTreeMap<String, Shard>,
    /// Every shard has been read up to its end at least once since somebody asked for the list of them.
    list_is_old: bool,
    /// What went wrong with one shard in a call that had records of others to give.
    untold: Option<StoreError>,
}

struct Shard {
    parent: Option<String>,
    iterator: Option<String>,
    /// The last record that was given: where to go on when the iterator has expired.
    last: Option<String>,
    /// Read to its end: it is closed, and its children hold what came later.
    is_done: bool,
}

/// Records in one answer.
const LIMIT: i32 = 1000;

/// The clients of the service's two halves share how they reach it.
pub(crate) fn client(connection: &Connection) -> Client {
    let mut config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_dynamodbstreams::config::Region::new(connection.region.clone()))
        .credentials_provider(connection.credentials.clone())
        .timeout_config(connection.timeouts())
        .http_client(connection.https());
    config.set_endpoint_url(connection.endpoint_url.clone());
    Client::from_conf(config.build())
}

impl StreamReader {
    /// The stream of a store's log, from its beginning.
    ///
    /// # Errors
    /// A table without a stream, or a server that does not answer.
    pub async fn of_log(store: &DynamoStore, connection: &Connection) -> Result<StreamReader, StoreError> {
        let table = &store.tables.events;
        let describe = store.client.describe_table().table_name(table);
        let described = store.call(|| describe.clone().send()).await?.table;
        let stream = described.and_then(|table| table.latest_stream_arn);
        let stream =
            stream.ok_or_else(|| StoreError::Unavailable(format!("the table {table} has no stream")))?;
        Ok(StreamReader {
            client: client(connection),
            stream,
            shards: BTreeMap::new(),
            list_is_old: true,
            untold: None,
        })
    }

    /// The stream that is followed.
    pub fn arn(&self) -> &str {
        &self.stream
    }

    /// What has changed since the last call; nothing if nothing has.
    ///
    /// # Errors
    /// A server that does not answer. What was not given is given by the next call. An error about one shard comes
    /// behind what the others gave.
    pub async fn poll(&mut self) -> Result<Vec<Record>, StoreError> {
        if let Some(error) = self.untold.take() {
            return Err(error);
        }
        if self.list_is_old {
            self.list_shards().await?;
            self.list_is_old = false;
        }
        let mut records = Vec::new();
        let ids: Vec<String> = self.shards.keys().cloned().collect();
        for id in ids {
            if self.may_be_read(&id) {
                match self.read(&id).await {
                    Ok(some) => records.extend(some),
                    Err(error) => self.untold = Some(error),
                }
            }
        }
        if records.is_empty()
            && let Some(error) = self.untold.take()
        {
            return Err(error);
        }
        // A quiet moment is when new shards are looked for: those that are closed say so themselves.
        self.list_is_old |= records.is_empty();
        Ok(records)
    }

    /// A shard comes after its parent, where that is still there.
    fn may_be_read(&self, id: &str) -> bool {
        let parent = |shard: &Shard| shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
        self.shards.get(id).is_some_and(|shard| !shard.is_done && parent(shard).is_none_or(|of| of.is_done))
    }

    async fn list_shards(&mut self) -> Result<(), StoreError> {
        let (mut from, mut listed) = (None, BTreeSet::new());
        loop {
            let describe =
                self.client.describe_stream().stream_arn(&self.stream).set_exclusive_start_shard_id(from);
            let description = describe.send().await.map_err(|error| failed("list shards", error))?;
            let Some(description) = description.stream_description else { break };
            for shard in description.shards.unwrap_or_default() {
                let Some(id) = shard.shard_id else { continue };
                listed.insert(id.clone());
                let parent = shard.parent_shard_id;
                self.shards.entry(id).or_insert(Shard { parent, iterator: None, last: None, is_done: false });
            }
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                break;
            }
        }
        self.shards.retain(|id, _| listed.contains(id));
        Ok(())
    }

    async fn read(&mut self, id: &str) -> Result<Vec<Record>, StoreError> {
        let Some(shard) = self.shards.get_mut(id) else { return Ok(Vec::new()) };
        let iterator = match shard.iterator.take() {
            Some(iterator) => iterator,
            None => {
                let from = match shard.last {
                    Some(_) => ShardIteratorType::AfterSequenceNumber,
                    None => ShardIteratorType::TrimHorizon,
                };
                let iterator = self
                    .client
                    .get_shard_iterator()
                    .stream_arn(&self.stream)
                    .shard_id(id)
                    .shard_iterator_type(from)
                    .set_sequence_number(shard.last.clone());
                let given = iterator.send().await.map_err(|error| failed("begin a shard", error))?;
                given.shard_iterator.ok_or_else(|| failed("begin a shard", "no iterator was given"))?
            }
        };
        let get = self.client.get_records().shard_iterator(&iterator).limit(LIMIT);
        let page = match get.send().await {
            Ok(page) => page,
            Err(error) => {
                // It may be used again until it expires, after fifteen minutes.
                let why = error.as_service_error();
                let expired = why.is_some_and(|of| of.is_expired_iterator_exception());
                // What came next is forgotten. The oldest record that is left may be given a second time.
                let forgotten = why.is_some_and(|of| of.is_trimmed_data_access_exception());
                shard.iterator = Some(iterator).filter(|_| !expired && !forgotten);
                shard.last = shard.last.take().filter(|_| !forgotten);
                return Err(failed("read a shard", error));
            }
        };
        shard.iterator = page.next_shard_iterator;
        if shard.iterator.is_none() {
            shard.is_done = true;
            self.list_is_old = true;
        }
        let records = page.records.unwrap_or_default().into_iter();
        let records: Vec<Record> = records.filter_map(|record| to_record(id, record)).collect();
        shard.last = records.last().map(|record| record.sequence_number.clone()).or(shard.last.take());
        Ok(records)
    }
}

/// So many pages without a record, one after the other, are taken for the end of a shard that is open and so has none.
/// A page may be empty in the middle of a shard too.
const EMPTY_PAGES: u32 = 10;

/// Records of one shard, from one sequence number to another, both included, that somebody has seen before; nothing
/// if the stream has forgotten them.
///
/// # Errors
/// A server that does not answer.
pub async fn records_between(
    connection: &Connection,
    stream: &str,
    shard: &str,
    (first, last): (&str, &str),
) -> Result<Option<Vec<Record>>, StoreError> {
    let client = client(connection);
    let begin = client
        .get_shard_iterator()
        .stream_arn(stream)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
        .sequence_number(first);
    let mut iterator = match begin.send().await {
        Ok(begun) => begun.shard_iterator,
        Err(error) => {
            let is_gone = error.as_service_error().is_some_and(|why| {
                why.is_trimmed_data_access_exception() || why.is_resource_not_found_exception()
            });
            return if is_gone { Ok(None) } else { Err(failed("find a record again", error)) };
        }
    };
    let (mut found, mut empty_pages) = (Vec::new(), 0);
    while let Some(from) = iterator.filter(|_| empty_pages < EMPTY_PAGES) {
        let get = client.get_records().shard_iterator(from).limit(LIMIT);
        let page = get.send().await.map_err(|error| failed("read records again", error))?;
        let records = page.records.unwrap_or_default();
        iterator = page.next_shard_iterator;
        empty_pages = if records.is_empty() { empty_pages + 1 } else { 0 };
        for record in records.into_iter().filter_map(|record| to_record(shard, record)) {
            if found.is_empty() && record.sequence_number != first {
                return Ok(None);
            }
            let is_last = record.sequence_number == last;
            found.push(record);
            if is_last {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

fn to_record(shard: &str, record: aws_sdk_dynamodbstreams::types::Record) -> Option<Record> {
    let change = record.event_name?.as_str().to_owned();
    let of_item = record.dynamodb?;
    let happened_at = of_item.approximate_creation_date_time.map_or(0, |at| at.secs());
    let image = of_item.new_image.unwrap_or_default();
    Some(Record {
        shard: shard.to_owned(),
        sequence_number: of_item.sequence_number?,
        change,
        happened_at,
        image: image.into_iter().filter_map(|(name, value)| Some((name, attribute(value)?))).collect(),
    })
}

/// The log's items hold texts and numbers only.
fn attribute(value: Streamed) -> Option<AttributeValue> {
    match value {
        Streamed::S(text) => Some(AttributeValue::S(text)),
        Streamed::N(digits) => Some(AttributeValue::N(digits)),
        _ => None,
    }
}

fn failed(what: &str, error: impl Into<Box<dyn std::error::Error>>) -> StoreError {
    let error = error.into();
    StoreError::Unavailable(format!("failed to {what}: {}", DisplayErrorContext(&*error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Answer, Server};

    fn reader(server: &Server) -> StreamReader {
        StreamReader {
            client: client(&server.connection),
            stream: "stream".into(),
            shards: BTreeMap::new(),
            list_is_old: true,
            untold: None,
        }
    }

    fn shards(ids: &[&str]) -> Answer {
        let shards: Vec<Value> = ids.iter().map(|id| json!({ "ShardId": id })).collect();
        Answer::ok(json!({ "StreamDescription": { "Shards": shards } }))
    }

    fn iterator(name: &str) -> Answer {
        Answer::ok(json!({ "ShardIterator": name }))
    }

    fn record(sequence_number: &str) -> Answer {
        let record = json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": sequence_number } });
        Answer::ok(json!({ "Records": [record], "NextShardIterator": format!("after-{sequence_number}") }))
    }

    fn numbers(records: Vec<Record>) -> Vec<String> {
        records.into_iter().map(|record| record.sequence_number).collect()
    }

    #[tokio::test]
    async fn where_the_stream_has_forgotten_what_came_next_it_is_followed_from_the_oldest_that_is_left() {
        let server = Server::that([
            shards(&["shard-1"]),
            iterator("first"),
            record("1"),
            Answer::error("TrimmedDataAccessException"),
            iterator("second"),
            record("7"),
        ]);
        let mut reader = reader(&server);
        assert_eq!(numbers(reader.poll().await.unwrap()), ["1"]);
        assert!(reader.poll().await.is_err(), "it is said that something is missing");
        assert_eq!(numbers(reader.poll().await.unwrap()), ["7"]);
        let again = &server.asked()[4];
        assert_eq!(again.body["ShardIteratorType"], "TRIM_HORIZON");
        assert_eq!(again.body["SequenceNumber"], Value::Null);
    }

    #[tokio::test]
    async fn what_one_shard_gave_is_not_lost_because_another_does_not_answer() {
        let server = Server::that([
            shards(&["shard-a", "shard-b"]),
            iterator("a"),
            record("1"),
            iterator("b"),
            Answer::error("TrimmedDataAccessException"),
            record("2"),
            iterator("b"),
            record("7"),
        ]);
        let mut reader = reader(&server);
        assert_eq!(numbers(reader.poll().await.unwrap()), ["1"]);
        assert!(reader.poll().await.is_err(), "it is said that something is missing");
        assert_eq!(numbers(reader.poll().await.unwrap()), ["2", "7"]);
        assert_eq!(server.asked()[5].body["ShardIterator"], "after-1");
    }
}
