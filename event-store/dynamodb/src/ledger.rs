//! The ledger: every movement of a SKU's counters, with the event that explains it.
//!
//! It is written in the transaction that moves the counters, as far as its entries fit: a transaction takes 100
//! items, and an event with n counters fills 1 + 2n. Beyond that (an order of more than 49 lines) they are
//! written right behind it. If the writer dies just then, whoever comes to the event next writes them, under the
//! same keys: an append that finds the slot taken, or a worker that finds nothing to do and has the event finished.
//! If nobody comes, the audit says that the ledger and the counters differ, and a replay of the log writes what is
//! missing.

use aws_sdk_dynamodb::types::{Put, PutRequest, ReturnConsumedCapacity, TransactWriteItem, WriteRequest};
use event_store::{LedgerEntry, StoreError};
use events::{RecordedEvent, Sku, StockDelta, Timestamp, Ulid};
use futures_util::future::try_join_all;

use crate::DynamoStore;
use crate::row_item::{Item, number, number_of, text, text_of, text_or_empty, unreadable};

/// Items in one `BatchWriteItem`. Source: "Quotas in Amazon DynamoDB".
const BATCH: usize = 25;

pub(crate) fn entry(delta: &StockDelta, event: &RecordedEvent) -> Item {
    Item::from([
        ("sku".to_owned(), text(delta.sku.as_str())),
        ("event_id".to_owned(), text(event.event_id.to_string())),
        ("event_name".to_owned(), text(&*event.event_name)),
        ("pk".to_owned(), text(&*event.pk)),
        ("occurred_at".to_owned(), text(event.occurred_at.to_string())),
        ("available".to_owned(), number(delta.available)),
        ("reserved".to_owned(), number(delta.reserved)),
        ("sold".to_owned(), number(delta.sold)),
    ])
}

fn to_entry(item: &Item) -> Result<LedgerEntry, StoreError> {
    Ok(LedgerEntry {
        event_id: Ulid::from_string(text_of(item, "event_id")?).map_err(|_| unreadable("event_id"))?,
        event_name: text_or_empty(item, "event_name").to_owned(),
        pk: text_of(item, "pk")?.to_owned(),
        occurred_at: Timestamp::parse(text_of(item, "occurred_at")?)
            .map_err(|_| unreadable("occurred_at"))?,
        available: number_of(item, "available")?,
        reserved: number_of(item, "reserved")?,
        sold: number_of(item, "sold")?,
    })
}

impl DynamoStore {
    pub(crate) fn put_entry(&self, entry: Item) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.tables.stock_ledger).set_item(Some(entry));
        TransactWriteItem::builder().put(put.build().expect("a table and an item are given")).build()
    }

    pub(crate) async fn write_ledger(&self, entries: Vec<Item>) -> Result<(), StoreError> {
        let request = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().expect("an item is given");
            WriteRequest::builder().put_request(put).build()
        };
        let batches = entries.chunks(BATCH).map(|batch| {
            self.write_batch(&self.tables.stock_ledger, batch.iter().cloned().map(request).collect())
        });
        try_join_all(batches).await.map(drop)
    }

    /// Writes all of a batch, however often the service takes a part of it.
    pub(crate) async fn write_batch(&self, table: &str, batch: Vec<WriteRequest>) -> Result<(), StoreError> {
        let write = async |requests| {
            let write = self
                .client
                .batch_write_item()
                .request_items(table, requests)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output = self.call(|| write.clone().send()).await?;
            let left = output.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
            Ok((Vec::<()>::new(), left))
        };
        self.in_parts(batch, write).await.map(drop)
    }

    /// Takes an entry out of the ledger, as if its writer had died before it: for tests.
    ///
    /// # Errors
    /// A server that does not answer.
    #[cfg(feature = "doubles")]
    pub async fn forget_entry(&self, sku: &Sku, event_id: Ulid) -> Result<(), StoreError> {
        let key = Item::from([
            ("sku".to_owned(), text(sku.as_str())),
            ("event_id".to_owned(), text(event_id.to_string())),
        ]);
        let delete = self.client.delete_item().table_name(&self.tables.stock_ledger).set_key(Some(key));
        self.call(|| delete.clone().send()).await?;
        Ok(())
    }

    /// The movements of a SKU in the order of their ids.
    pub(crate) async fn movements(
        &self,
        sku: &Sku,
        most: Option<usize>,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let (mut entries, mut from) = (Vec::new(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.tables.stock_ledger)
                .consistent_read(true)
                .key_condition_expression("sku = :sku")
                .expression_attribute_values(":sku", text(sku.as_str()))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = self.call(|| query.clone().send()).await?;
            for item in page.items.unwrap_or_default() {
                entries.push(to_entry(&item)?);
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if let Some(most) = most.filter(|most| entries.len() >= *most) {
                entries.truncate(most);
                return Ok(entries);
            }
            if from.is_none() {
                return Ok(entries);
            }
        }
    }
}
