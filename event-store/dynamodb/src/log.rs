//! Appending: one conditional put, or one transaction where counters ride along.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use event_store::{Appended, EventLog, StoreError, check};
use events::{Quantity, RecordedEvent, Shortage, Sku, StockDelta};
use futures_util::future::try_join_all;

use crate::calls::{Refused, failed};
use crate::event_item::{of_event, to_event};
use crate::meter::units;
use crate::row_item::{Item, number_of, text};
use crate::{DynamoStore, ledger, stock};

/// True of a key that no item has.
const SLOT_IS_EMPTY: &str = "attribute_not_exists(pk)";

#[async_trait]
impl EventLog for DynamoStore {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        check(&event)?;
        if event.moved_counters() { self.append_moving(event).await } else { self.append_alone(event).await }
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let (mut events, _) = self.stream_behind(pk, None).await?;
        events.sort_by_key(|event| event.event_id);
        Ok(events.into_iter().map(Arc::new).collect())
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        let key = Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))]);
        let item = self.get(&self.tables.events, key).await?;
        item.as_ref().map(to_event).transpose().map(|event| event.map(Arc::new))
    }

    async fn finish(&self, event: &RecordedEvent) -> Result<(), StoreError> {
        let moves = sums(&event.counters);
        if self.ledger_fits(&moves) {
            return Ok(());
        }
        self.write_ledger(moves.iter().map(|delta| ledger::entry(delta, event)).collect()).await
    }
}

impl DynamoStore {
    async fn append_alone(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(of_event(&event)))
            .condition_expression(SLOT_IS_EMPTY)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| put.clone().send()).await {
            Ok(_) => Ok(Appended::Stored(Arc::new(event))),
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(taken), again)) => {
                self.taken(event, taken.item, again).await
            }
            Err(refused) => Err(refused.into()),
        }
    }

    async fn append_moving(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        let moves = sums(&event.counters);
        let put = Put::builder()
            .table_name(&self.tables.events)
            .set_item(Some(of_event(&event)))
            .condition_expression(SLOT_IS_EMPTY)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .expect("a table and an item are given");
        let mut items = vec![TransactWriteItem::builder().put(put).build()];
        items.extend(moves.iter().map(|delta| self.move_counters(delta, event.occurred_at)));
        if items.len() > self.limits.transaction_items {
            return Err(StoreError::TooManyCounters { counters: moves.len() });
        }
        // An order of more lines than fit has its ledger written behind the transaction: see `ledger`.
        if self.ledger_fits(&moves) {
            items.extend(moves.iter().map(|delta| self.put_entry(ledger::entry(delta, &event))));
        }
        match self.transact(items).await {
            Ok(()) => {}
            Err(Refused::ByService(
                TransactWriteItemsError::TransactionCanceledException(cancelled),
                again,
            )) => {
                let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                return self.not_appended(event, &moves, reasons, again).await;
            }
            Err(refused) => return Err(refused.into()),
        }
        self.finish(&event).await?;
        Ok(Appended::Stored(Arc::new(event)))
    }

    /// Why a transaction was cancelled: the slot is told before any counter is looked at.
    async fn not_appended(
        &self,
        event: RecordedEvent,
        moves: &[StockDelta],
        reasons: Vec<CancellationReason>,
        again: bool,
    ) -> Result<Appended, StoreError> {
        let mut reasons = reasons.into_iter();
        let slot = reasons.next().ok_or_else(|| unexplained("no reason"))?;
        if failed(&slot) {
            return self.taken(event, slot.item, again).await;
        }
        let short = moves.iter().zip(reasons).filter(|(_, reason)| failed(reason));
        let short = short.map(|(delta, reason)| self.shortage(delta, reason.item));
        let short = try_join_all(short).await?;
        if short.is_empty() { Err(unexplained("no condition failed")) } else { Ok(Appended::Short(short)) }
    }

    /// The event that has the slot; it may be our own, of a try whose answer was lost.
    async fn taken(
        &self,
        event: RecordedEvent,
        item: Option<Item>,
        again: bool,
    ) -> Result<Appended, StoreError> {
        let settled = match item.filter(|item| !item.is_empty()) {
            Some(item) => Arc::new(to_event(&item)?),
            // Not every server gives it back.
            None => {
                self.read_slot(&event.pk, &event.sk).await?.ok_or_else(|| unexplained("an empty slot"))?
            }
        };
        if event.moved_counters() {
            // Whoever appended it may have died before it wrote all of the ledger.
            self.finish(&settled).await?;
        }
        if again && *settled == event { Ok(Appended::Stored(settled)) } else { Ok(Appended::Taken(settled)) }
    }

    /// Whether the ledger of so many movements is written in the transaction that moves the counters.
    fn ledger_fits(&self, moves: &[StockDelta]) -> bool {
        let (event, counters, entries) = (1, moves.len(), moves.len());
        event + counters + entries <= self.limits.transaction_items
    }

    async fn shortage(&self, delta: &StockDelta, item: Option<Item>) -> Result<Shortage, StoreError> {
        let item = match item.filter(|item| !item.is_empty()) {
            Some(item) => Some(item),
            None => self.get(&self.tables.stock, stock::key(&delta.sku)).await?,
        };
        let available = item.as_ref().map(|item| number_of(item, "available")).transpose()?;
        let taken = [delta.available, delta.reserved, delta.sold].into_iter().min().unwrap_or_default();
        let units = taken.unsigned_abs().clamp(1, u64::from(Quantity::MAX));
        let requested = Quantity::new(units).expect("between one and the most");
        Ok(Shortage { sku: delta.sku.clone(), requested, available })
    }

    /// A stream behind a slot, in the order of its slots, and the read units that it took.
    pub(crate) async fn stream_behind(
        &self,
        pk: &str,
        mut from: Option<Item>,
    ) -> Result<(Vec<RecordedEvent>, f64), StoreError> {
        let (mut events, mut taken) = (Vec::new(), 0.0);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.tables.events)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(pk))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = self.call(|| query.clone().send()).await?;
            taken += units(page.consumed_capacity.as_ref());
            for item in page.items.unwrap_or_default() {
                events.push(to_event(&item)?);
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok((events, taken));
            }
        }
    }

    /// One item, strongly consistent.
    pub(crate) async fn get(&self, table: &str, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        Ok(self.call(|| get.clone().send()).await?.item)
    }
}

/// A SKU that an event names twice moves by the sum: a transaction takes each item once.
pub(crate) fn sums(counters: &[StockDelta]) -> Vec<StockDelta> {
    let mut sums: BTreeMap<&Sku, StockDelta> = BTreeMap::new();
    for delta in counters {
        let none = StockDelta { sku: delta.sku.clone(), available: 0, reserved: 0, sold: 0 };
        let sum = sums.entry(&delta.sku).or_insert(none);
        sum.available += delta.available;
        sum.reserved += delta.reserved;
        sum.sold += delta.sold;
    }
    sums.into_values().collect()
}

fn unexplained(found: &str) -> StoreError {
    StoreError::Unavailable(format!("an append was refused, and the reason given was {found}"))
}
