//! What a replay builds beside the live rows, and what it needs to compare the two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, ReturnConsumedCapacity, Select, WriteRequest};
use event_store::{
    Copy, CustomerRow, DeliveryRow, LogScan, OrderRow, PaymentRow, ProductRow, Progress, Segment,
    ShadowViews, StockRow, StoreError, View, ViewRow,
};
use events::Sku;
use futures_util::future::try_join_all;

use crate::DynamoStore;
use crate::calls::Refused;
use crate::catalog::{OfARepeat, of_product, to_customer};
use crate::ledger;
use crate::lists::{insert, place, shelf_of, shelves};
use crate::log::sums;
use crate::meter::units;
use crate::orders::{of_delivery, of_order, of_payment};
use crate::row_item::{Item, json, json_of, key, number, number_of, text, text_of};
use crate::stock::to_counters;

/// The keys of the live rows, sorted, as they were when a walk over them began. A table knows no order of its
/// keys, and an index that kept one would cost a write with every row, for a walk that a replay makes once a
/// year: so the walk reads all keys first, some 100 bytes each.
#[derive(Default)]
pub(crate) struct LiveKeys(Mutex<BTreeMap<View, Arc<Vec<String>>>>);

/// Where replays keep how far they are.
const PROGRESS: &str = "progress";
/// Segments in which all keys are read.
const SEGMENTS: i32 = 4;
/// Items in one `BatchWriteItem`.
const BATCH: usize = 25;
/// The log as one segment, and how many of its events are read at once.
const WHOLE: Segment = Segment { index: 0, of: 1 };
const PAGE: usize = 1_000;

#[async_trait]
impl ShadowViews for DynamoStore {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        match copy {
            Copy::Live => self.live_rows(view, after, limit).await,
            Copy::Shadow => self.shadow_rows(view, after, limit).await,
        }
    }

    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        let item = match copy {
            Copy::Live => self.get(self.tables.of(view), key("id", id)).await?,
            Copy::Shadow => self.get(&self.tables.shadow, shadow_key(view, id)).await?,
        };
        item.as_ref().map(|item| to_row(view, copy, item)).transpose()
    }

    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        // A row that comes twice is the row that came last: a batch takes each key once.
        let items: BTreeMap<String, Item> = rows
            .iter()
            .map(|row| {
                let mut item = shadow_key(view, row.id());
                insert(&mut item, "row", json(row));
                (row.id().to_owned(), item)
            })
            .collect();
        let items: Vec<Item> = items.into_values().collect();
        let batches = items.chunks(BATCH).map(|batch| {
            let put = |item: &Item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                WriteRequest::builder().put_request(put.expect("an item is given")).build()
            };
            self.write_batch(&self.tables.shadow, batch.iter().map(put).collect())
        });
        try_join_all(batches).await?;
        // The progress comes last: rows that it does not stand for yet are written again.
        let mut item = progress_key(view);
        insert(&mut item, "row", json(&progress));
        self.put_aside(item).await
    }

    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        let item = self.get(&self.tables.shadow, progress_key(view)).await?;
        item.as_ref().map(|item| json_of(item, "row")).transpose()
    }

    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        let skus =
            rows.iter().filter_map(|row| if let ViewRow::Stock(row) = row { Some(&row.sku) } else { None });
        self.complete_ledger(&skus.collect()).await?;
        try_join_all(rows.iter().map(|row| self.adopt_one(row))).await?;
        let gone = gone.iter().map(|id| async move {
            let delete = self
                .client
                .delete_item()
                .table_name(self.tables.of(view))
                .set_key(Some(key("id", id)))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            self.call(|| delete.clone().send()).await.map(drop).map_err(StoreError::from)
        });
        try_join_all(gone).await.map(drop)
    }

    async fn discard(&self, view: View) -> Result<(), StoreError> {
        // The progress goes first: what is left of a discard that was cut short belongs to nobody, and goes with
        // the next.
        let begun = self
            .client
            .delete_item()
            .table_name(&self.tables.shadow)
            .set_key(Some(progress_key(view)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.call(|| begun.clone().send()).await?;
        let shelves = shelves(view.as_str());
        try_join_all(shelves.iter().map(|shelf| self.clear(shelf))).await.map(drop)
    }
}

impl DynamoStore {
    async fn live_rows(
        &self,
        view: View,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        let known =
            self.live_keys.0.lock().expect("nobody panics while holding the keys").get(&view).cloned();
        let keys = match known.filter(|_| after.is_some()) {
            Some(keys) => keys,
            None => {
                let keys = Arc::new(self.all_keys(self.tables.of(view)).await?);
                let mut kept = self.live_keys.0.lock().expect("nobody panics while holding the keys");
                kept.insert(view, keys.clone());
                keys
            }
        };
        let mut at = after.map_or(0, |after| keys.partition_point(|id| id.as_str() <= after));
        let mut rows = Vec::new();
        while rows.len() < limit && at < keys.len() {
            let ids = &keys[at..keys.len().min(at + limit - rows.len())];
            at += ids.len();
            let items = self.get_all(self.tables.of(view), ids).await?;
            for item in items.iter().flatten() {
                rows.push(to_row(view, Copy::Live, item)?);
            }
        }
        Ok(rows)
    }

    /// Writes an item of the shadow table, whatever was there.
    pub(crate) async fn put_aside(&self, item: Item) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.shadow)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.call(|| put.clone().send()).await?;
        Ok(())
    }

    /// The keys of a table, sorted.
    async fn all_keys(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let segments = (0..SEGMENTS).map(|segment| async move {
            let (mut ids, mut from) = (Vec::new(), None);
            loop {
                let scan = self
                    .client
                    .scan()
                    .table_name(table)
                    .consistent_read(true)
                    .projection_expression("id")
                    .segment(segment)
                    .total_segments(SEGMENTS)
                    .set_exclusive_start_key(from)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let page = self.call(|| scan.clone().send()).await?;
                for item in page.items.unwrap_or_default() {
                    ids.push(text_of(&item, "id")?.to_owned());
                }
                from = page.last_evaluated_key.filter(|key| !key.is_empty());
                if from.is_none() {
                    return Ok::<_, StoreError>(ids);
                }
            }
        });
        let mut ids: Vec<String> = try_join_all(segments).await?.into_iter().flatten().collect();
        ids.sort_unstable();
        Ok(ids)
    }

    async fn shadow_rows(
        &self,
        view: View,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        let shelves = shelves(view.as_str());
        let found = shelves.iter().map(|shelf| self.shelf(shelf, after, limit));
        let mut items: Vec<Item> = try_join_all(found).await?.into_iter().flatten().collect();
        items.sort_by(|one, other| text_of(one, "id").ok().cmp(&text_of(other, "id").ok()));
        items.truncate(limit);
        items.iter().map(|item| to_row(view, Copy::Shadow, item)).collect()
    }

    /// The items of one shelf of the shadow in the order of their ids.
    async fn shelf(&self, shelf: &str, after: Option<&str>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let mut query = self
                .client
                .query()
                .table_name(&self.tables.shadow)
                .consistent_read(true)
                .expression_attribute_values(":shelf", text(shelf))
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            query = match after {
                Some(after) => query
                    .key_condition_expression("shelf = :shelf AND id > :after")
                    .expression_attribute_values(":after", text(after)),
                None => query.key_condition_expression("shelf = :shelf"),
            };
            let page = self.call(|| query.clone().send()).await?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    async fn clear(&self, shelf: &str) -> Result<(), StoreError> {
        loop {
            let items = self.shelf(shelf, None, BATCH).await?;
            if items.is_empty() {
                return Ok(());
            }
            let delete = |mut item: Item| {
                item.retain(|name, _| name == "shelf" || name == "id");
                let delete = DeleteRequest::builder().set_key(Some(item)).build();
                WriteRequest::builder().delete_request(delete.expect("a key is given")).build()
            };
            self.write_batch(&self.tables.shadow, items.into_iter().map(delete).collect()).await?;
        }
    }

    async fn adopt_one(&self, row: &ViewRow) -> Result<(), StoreError> {
        match row {
            ViewRow::Stock(row) => return self.adopt_counters(&row.sku).await,
            ViewRow::Customer(row) => loop {
                let Some(seen) = self.replaceable(&ViewRow::Customer(row.clone())).await? else {
                    return Ok(());
                };
                let update = self.update_customer(row);
                let update = match seen {
                    0 => update.condition_expression("attribute_not_exists(seen)"),
                    _ => update
                        .condition_expression("seen = :stored")
                        .expression_attribute_values(":stored", number(seen)),
                };
                if self.update(update, OfARepeat::SaysNothing).await? {
                    return Ok(());
                }
            },
            _ => {}
        }
        let item = of_row(row);
        while let Some(seen) = self.replaceable(row).await? {
            let put = self
                .client
                .put_item()
                .table_name(self.tables.of(row.view()))
                .set_item(Some(item.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let put = match seen {
                0 => put.condition_expression("attribute_not_exists(seen)"),
                _ => put
                    .condition_expression("seen = :stored")
                    .expression_attribute_values(":stored", number(seen)),
            };
            match self.call(|| put.clone().send()).await {
                Ok(_) => return Ok(()),
                // Somebody wrote it meanwhile: look again.
                Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), _)) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }

    /// What the live row that a rebuilt one may replace has seen, 0 if there is none; `None` if it has seen more,
    /// and its stream has so many events.
    async fn replaceable(&self, row: &ViewRow) -> Result<Option<u32>, StoreError> {
        let live = self.get(self.tables.of(row.view()), key("id", row.id())).await?;
        let Some(seen) = live.as_ref().map(|item| number_of::<u32>(item, "seen")).transpose()? else {
            return Ok(Some(0));
        };
        if seen <= row.seen() {
            return Ok(Some(seen));
        }
        let events = match row.stream() {
            Some(stream) => self.length_of(&stream.pk()).await?,
            None => 0,
        };
        Ok((u64::from(seen) > events).then_some(seen))
    }

    pub(crate) async fn length_of(&self, pk: &str) -> Result<u64, StoreError> {
        let (mut length, mut from) = (0, None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.tables.events)
                .consistent_read(true)
                .select(Select::Count)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(pk))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            self.pace.wait().await?;
            let page = self.call(|| query.clone().send()).await?;
            self.pace.took(units(page.consumed_capacity.as_ref()));
            length += page.count.max(0) as u64;
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(length);
            }
        }
    }

    /// Writes the movements of some SKUs that the log knows and their ledger does not: see [`crate::ledger`].
    async fn complete_ledger(&self, skus: &BTreeSet<&Sku>) -> Result<(), StoreError> {
        if skus.is_empty() {
            return Ok(());
        }
        let mut after = None::<String>;
        loop {
            let page = self.scan(WHOLE, after.as_deref(), PAGE).await?;
            let mut entries = Vec::new();
            for event in page.streams.iter().flatten() {
                let moved = sums(&event.counters);
                let wanted = moved.iter().filter(|delta| skus.contains(&delta.sku));
                entries.extend(wanted.map(|delta| ledger::entry(delta, event)));
            }
            self.write_ledger(entries).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Sets counters to what their ledger sums up to, unless they move meanwhile: then again.
    pub(crate) async fn adopt_counters(&self, sku: &Sku) -> Result<(), StoreError> {
        loop {
            let (live, sum) = self.of_one_moment(sku).await?;
            let Some(sum) = sum else { return Ok(()) };
            let id = sku.as_str();
            let update = self
                .client
                .update_item()
                .table_name(&self.tables.stock)
                .set_key(Some(key("id", id)))
                .update_expression(
                    "SET available = :available, reserved = :reserved, sold = :sold, moves = :moves, \
                     created_at = :place, shelf = :shelf, updated_at = :updated",
                )
                .expression_attribute_values(":available", number(sum.row.available))
                .expression_attribute_values(":reserved", number(sum.row.reserved))
                .expression_attribute_values(":sold", number(sum.row.sold))
                .expression_attribute_values(":moves", number(sum.moves))
                .expression_attribute_values(":place", text(place(sum.row.created_at, id)))
                .expression_attribute_values(":shelf", text(shelf_of("", id)))
                .expression_attribute_values(":updated", text(sum.row.updated_at.to_string()));
            let update = match live {
                None => update.condition_expression("attribute_not_exists(moves)"),
                Some(live) => update
                    .condition_expression("moves = :stood")
                    .expression_attribute_values(":stood", number(live.moves)),
            };
            if self.update(update, OfARepeat::SaysNothing).await? {
                return Ok(());
            }
        }
    }
}

fn of_row(row: &ViewRow) -> Item {
    match row {
        ViewRow::Order(row) => of_order(row),
        ViewRow::Payment(row) => of_payment(row),
        ViewRow::Delivery(row) => of_delivery(row),
        ViewRow::Product(row) => of_product(row),
        ViewRow::Customer(_) | ViewRow::Stock(_) => unreachable!("these are updated, never put"),
    }
}

fn to_row(view: View, copy: Copy, item: &Item) -> Result<ViewRow, StoreError> {
    Ok(match (view, copy) {
        (View::Orders, _) => ViewRow::Order(json_of::<OrderRow>(item, "row")?),
        (View::Payments, _) => ViewRow::Payment(json_of::<PaymentRow>(item, "row")?),
        (View::Deliveries, _) => ViewRow::Delivery(json_of::<DeliveryRow>(item, "row")?),
        (View::Products, _) => ViewRow::Product(json_of::<ProductRow>(item, "row")?),
        (View::Customers, Copy::Live) => ViewRow::Customer(to_customer(item)?),
        (View::Customers, Copy::Shadow) => ViewRow::Customer(json_of::<CustomerRow>(item, "row")?),
        (View::Stock, Copy::Live) => ViewRow::Stock(to_counters(item)?.row),
        (View::Stock, Copy::Shadow) => ViewRow::Stock(json_of::<StockRow>(item, "row")?),
    })
}

fn shadow_key(view: View, id: &str) -> Item {
    let mut key = key("id", id);
    insert(&mut key, "shelf", text(shelf_of(view.as_str(), id)));
    key
}

fn progress_key(view: View) -> Item {
    let mut key = key("id", view.as_str());
    insert(&mut key, "shelf", text(PROGRESS));
    key
}
