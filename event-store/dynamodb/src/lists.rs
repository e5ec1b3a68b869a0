//! Lists: rows by time, read from indexes that are spread over shelves.
//!
//! One partition of an index takes 1,000 writes a second (source: "Burst and adaptive capacity", Amazon DynamoDB
//! Developer Guide), and a list of everything would be one partition. So each list is spread over [`SHELVES`]
//! shelves by a hash of the row's key; reading it merges them.

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use event_store::{After, Direction, Page, StoreError, Window};
use events::Timestamp;
use futures_util::future::try_join_all;

use crate::DynamoStore;
use crate::row_item::{Item, key, text, text_of, unreadable};

/// Shelves of one list: 8,000 writes a second. A constant of the stored data: rows stand where they were put.
pub const SHELVES: u64 = 8;

/// Keys in one `BatchGetItem`. Source: "Quotas in Amazon DynamoDB".
const BATCH: usize = 100;

/// An index, and which of its partitions make up the list.
pub(crate) struct List<'a> {
    pub(crate) table: &'a str,
    pub(crate) index: &'static str,
    /// The attribute that the index is partitioned by.
    pub(crate) by: &'static str,
    pub(crate) partitions: Vec<String>,
}

impl<'a> List<'a> {
    /// The list of everything in a table.
    pub(crate) fn of_shelves(table: &'a str, index: &'static str) -> List<'a> {
        List { table, index, by: "shelf", partitions: shelves("") }
    }
}

/// All shelves of one kind.
pub(crate) fn shelves(kind: &str) -> Vec<String> {
    (0..SHELVES).map(|shelf| format!("{kind}#{shelf}")).collect()
}

/// The shelf of a key: FNV-1a, because the stored data depends on it and it will never change.
pub(crate) fn shelf_of(kind: &str, id: &str) -> String {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{kind}#{}", (hash >> 32) % SHELVES)
}

/// The place of a row in a list, as text whose order is that of the list: times have one length.
pub(crate) fn place(created_at: Timestamp, id: &str) -> String {
    format!("{created_at}#{id}")
}

pub(crate) fn place_of(text: &str) -> Result<After, StoreError> {
    let (time, id) = text.split_once('#').ok_or_else(|| unreadable("created_at"))?;
    let created_at = Timestamp::parse(time).map_err(|_| unreadable("created_at"))?;
    Ok(After { created_at, id: id.to_owned() })
}

impl DynamoStore {
    /// One page of a list. The index says which rows may be on it, and `wanted` says of each row, as it is now,
    /// whether it is.
    pub(crate) async fn list<Row>(
        &self,
        list: &List<'_>,
        window: &Window,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        wanted: impl Fn(&Item) -> Result<Option<Row>, StoreError>,
    ) -> Result<Page<Row>, StoreError> {
        let mut after = window.after.as_ref().map(|after| place(after.created_at, &after.id));
        // One row more than asked for, to know whether the list goes on.
        let most = window.limit + 1;
        let mut found: Vec<(String, Row)> = Vec::new();
        loop {
            let bounds = bounds(from, until, after.as_deref(), window.direction);
            // The bounds include the place that the page before ended with.
            let mut places = self.places(list, &bounds, window.direction, most + 1).await?;
            let ends = places.len() <= most;
            places.retain(|place| after.as_ref() != Some(place));
            after = places.last().cloned().or(after);
            let ids = places.iter().map(|place| place_of(place).map(|place| place.id));
            let rows = self.get_all(list.table, &ids.collect::<Result<Vec<_>, _>>()?).await?;
            for (place, item) in places.into_iter().zip(rows) {
                match item.as_ref().map(&wanted).transpose() {
                    Ok(row) => found.extend(row.flatten().map(|row| (place, row))),
                    // One row that somebody else wrote keeps nobody from all others; whoever asks for it is told.
                    Err(error) => {
                        // Its id may be somebody's name.
                        let (table, created_at) = (list.table, place.split('#').next());
                        tracing::error!(table, created_at, %error, "a list passes over a row");
                    }
                }
            }
            if ends || found.len() >= most {
                break;
            }
        }
        let goes_on = found.len() > window.limit;
        found.truncate(window.limit);
        let next = found.last().filter(|_| goes_on).map(|(place, _)| place_of(place)).transpose()?;
        Ok(Page { rows: found.into_iter().map(|(_, row)| row).collect(), next })
    }

    /// The next places of a list, merged from its partitions.
    async fn places(
        &self,
        list: &List<'_>,
        bounds: &(String, String),
        direction: Direction,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        if bounds.0 > bounds.1 {
            return Ok(Vec::new());
        }
        let partitions =
            list.partitions.iter().map(|partition| self.partition(list, partition, bounds, direction, most));
        let mut places: Vec<String> = try_join_all(partitions).await?.into_iter().flatten().collect();
        places.sort_unstable();
        if direction == Direction::Descending {
            places.reverse();
        }
        // A row that is being moved may be on two shelves for a moment.
        places.dedup();
        places.truncate(most);
        Ok(places)
    }

    async fn partition(
        &self,
        list: &List<'_>,
        partition: &str,
        (first, last): &(String, String),
        direction: Direction,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (mut places, mut from) = (Vec::new(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(list.table)
                .index_name(list.index)
                .key_condition_expression("#by = :partition AND created_at BETWEEN :first AND :last")
                .expression_attribute_names("#by", list.by)
                .expression_attribute_values(":partition", text(partition))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last))
                .scan_index_forward(direction == Direction::Ascending)
                .limit(i32::try_from(most - places.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = self.call(|| query.clone().send()).await?;
            for item in page.items.unwrap_or_default() {
                places.push(text_of(&item, "created_at")?.to_owned());
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || places.len() >= most {
                return Ok(places);
            }
        }
    }

    /// Items by their ids, strongly consistent, in the order of the ids.
    pub(crate) async fn get_all(&self, table: &str, ids: &[String]) -> Result<Vec<Option<Item>>, StoreError> {
        let batches = ids.chunks(BATCH).map(|ids| self.get_batch(table, ids));
        let found = try_join_all(batches).await?.into_iter().flatten();
        let mut found: std::collections::HashMap<String, Item> = found
            .map(|item| Ok((text_of(&item, "id")?.to_owned(), item)))
            .collect::<Result<_, StoreError>>()?;
        Ok(ids.iter().map(|id| found.remove(id)).collect())
    }

    async fn get_batch(&self, table: &str, ids: &[String]) -> Result<Vec<Item>, StoreError> {
        let get = async |keys| {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
            let get = self
                .client
                .batch_get_item()
                .request_items(table, keys.build().expect("keys are given"))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let mut output = self.call(|| get.clone().send()).await?;
            let found = output.responses.as_mut().and_then(|tables| tables.remove(table));
            let left = output.unprocessed_keys.unwrap_or_default().remove(table);
            Ok((found.unwrap_or_default(), left.map(|keys| keys.keys).unwrap_or_default()))
        };
        self.in_parts(ids.iter().map(|id| key("id", id)).collect(), get).await
    }
}

/// The first and the last place that a page may have, both inclusive, as `BETWEEN` takes them.
fn bounds(
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<&str>,
    direction: Direction,
) -> (String, String) {
    // A place begins with its time, so a time alone stands before every place of its moment.
    let mut first = from.map_or_else(|| " ".to_owned(), |from| from.to_string());
    let mut last = until.map_or_else(|| "~".to_owned(), |until| until.to_string());
    match (after, direction) {
        (Some(after), Direction::Ascending) => first = first.max(after.to_owned()),
        (Some(after), Direction::Descending) => last = last.min(after.to_owned()),
        (None, _) => {}
    }
    (first, last)
}

/// Index keys of a row that is in a list of everything.
pub(crate) fn in_list(item: &mut Item, created_at: Timestamp, id: &str) {
    insert(item, "created_at", text(place(created_at, id)));
    insert(item, "shelf", text(shelf_of("", id)));
}

pub(crate) fn insert(item: &mut Item, name: &str, value: AttributeValue) {
    item.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use event_store::Users;
    use serde_json::{Value, json};

    use super::*;
    use crate::Limits;
    use crate::scripted::{Answer, Server};

    #[tokio::test]
    async fn a_row_that_nobody_can_read_is_passed_over_and_hides_no_other() {
        let at = |second: u32| format!("2026-01-01T00:00:0{second}.000Z");
        let place =
            |second, name: &str| json!({ "created_at": { "S": format!("{}#USER#{name}", at(second)) } });
        let item = |name: &str, row: Value| json!({ "id": { "S": format!("USER#{name}") }, "row": { "S": row.to_string() } });
        let row = json!({ "username": "ann", "user_id": "usr-1", "role": "admin", "created_at": at(2) });
        let shelf = json!({ "Items": [place(1, "odd"), place(2, "ann")] });
        let others = (1..SHELVES).map(|_| Answer::ok(json!({ "Items": [] })));
        let items = json!([item("odd", json!({ "written": "by hand" })), item("ann", row)]);
        let found = Answer::ok(json!({ "Responses": { "scripted-UserTable": items } }));
        let server = Server::that([Answer::ok(shelf)].into_iter().chain(others).chain([found]));
        let window = Window { limit: 10, after: None, direction: Direction::Ascending };
        let page = server.store(Limits::default()).users(&window).await.unwrap();
        let names: Vec<String> = page.rows.into_iter().map(|user| user.username).collect();
        assert_eq!((names, page.next), (vec!["ann".to_owned()], None));
    }
}
