//! Stock: counters that move with the log, and their ledger.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use event_store::{LedgerEntry, Page, StockRow, StockViews, StoreError, Window};
use events::{Sku, StockDelta, Timestamp};

use crate::DynamoStore;
use crate::lists::{List, place, place_of, shelf_of};
use crate::row_item::{Item, number, number_of, text, text_of, unreadable};

/// How often counters and ledger are read until both are of one moment.
const LOOKS: usize = 100;
/// So many looks at counters that stand still and do not agree with their ledger are enough.
const STILL: usize = 5;

pub(crate) fn key(sku: &Sku) -> Item {
    crate::row_item::key("id", sku.as_str())
}

/// Counters, and how many events moved them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counters {
    pub(crate) row: StockRow,
    pub(crate) moves: u64,
}

pub(crate) fn to_counters(item: &Item) -> Result<Counters, StoreError> {
    let time = |text: &str, name| Timestamp::parse(text).map_err(|_| unreadable(name));
    let row = StockRow {
        sku: Sku::recorded(text_of(item, "id")?).map_err(|_| unreadable("id"))?,
        available: number_of(item, "available")?,
        reserved: number_of(item, "reserved")?,
        sold: number_of(item, "sold")?,
        created_at: place_of(text_of(item, "created_at")?)?.created_at,
        updated_at: time(text_of(item, "updated_at")?, "updated_at")?,
    };
    Ok(Counters { row, moves: number_of(item, "moves")? })
}

#[async_trait]
impl StockViews for DynamoStore {
    async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
        Ok(self.counters(sku).await?.map(|counters| counters.row))
    }

    async fn stocks(&self, window: &Window) -> Result<Page<StockRow>, StoreError> {
        let list = List::of_shelves(&self.tables.stock, "GSI1");
        self.list(&list, window, (None, None), |item| Ok(Some(to_counters(item)?.row))).await
    }

    async fn counted(&self, sku: &Sku) -> Result<(Option<StockRow>, Option<StockRow>), StoreError> {
        let (live, sum) = self.of_one_moment(sku).await?;
        Ok((live.map(|counters| counters.row), sum.map(|counters| counters.row)))
    }

    async fn ledger(&self, sku: &Sku, after: u64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError> {
        let entries = self.movements(sku, Some((after as usize).saturating_add(limit))).await?;
        Ok(entries.into_iter().skip(after as usize).collect())
    }
}

impl DynamoStore {
    pub(crate) async fn counters(&self, sku: &Sku) -> Result<Option<Counters>, StoreError> {
        self.get(&self.tables.stock, key(sku)).await?.as_ref().map(to_counters).transpose()
    }

    /// The counters, and what their ledger sums up to. No read spans both tables at one moment, but as many
    /// movements as the counters count, read between two looks at them, are exactly theirs.
    pub(crate) async fn of_one_moment(
        &self,
        sku: &Sku,
    ) -> Result<(Option<Counters>, Option<Counters>), StoreError> {
        let mut before = self.counters(sku).await?;
        let mut still = 0;
        for _ in 0..LOOKS {
            let entries = self.movements(sku, None).await?;
            let after = self.counters(sku).await?;
            let count = entries.len() as u64;
            let counts = |counters: &Option<Counters>| counters.as_ref().map_or(0, |of| of.moves) == count;
            still = if before == after { still + 1 } else { 0 };
            let live = if counts(&before) { &before } else { &after };
            if counts(live) || still == STILL {
                let sum = sum(sku, &entries, live.as_ref());
                return Ok((live.clone(), sum));
            }
            before = after;
        }
        Err(StoreError::Unavailable(format!("the counters of {sku} move too fast to be compared; try again")))
    }

    /// Moves counters if none of them goes below zero.
    pub(crate) fn move_counters(&self, delta: &StockDelta, now: Timestamp) -> TransactWriteItem {
        let id = delta.sku.as_str();
        let mut update = Update::builder()
            .table_name(&self.tables.stock)
            .set_key(Some(key(&delta.sku)))
            .update_expression(
                "ADD available :available, reserved :reserved, sold :sold, moves :one \
                 SET created_at = if_not_exists(created_at, :place), shelf = :shelf, updated_at = :now",
            )
            .expression_attribute_values(":available", number(delta.available))
            .expression_attribute_values(":reserved", number(delta.reserved))
            .expression_attribute_values(":sold", number(delta.sold))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":place", text(place(now, id)))
            .expression_attribute_values(":shelf", text(shelf_of("", id)))
            .expression_attribute_values(":now", text(now.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut floors = Vec::new();
        for (name, change) in
            [("available", delta.available), ("reserved", delta.reserved), ("sold", delta.sold)]
        {
            if change < 0 {
                floors.push(format!("{name} >= :least_{name}"));
                update = update.expression_attribute_values(format!(":least_{name}"), number(-change));
            }
        }
        if !floors.is_empty() {
            update = update.condition_expression(floors.join(" AND "));
        }
        let update = update.build().expect("a table, a key and an expression are given");
        TransactWriteItem::builder().update(update).build()
    }
}

/// What movements sum up to. When they began and ended is what the counters say: a ledger is in the order of
/// its ids, which is not that of append.
fn sum(sku: &Sku, entries: &[LedgerEntry], live: Option<&Counters>) -> Option<Counters> {
    let (first, last) = (entries.first()?, entries.last()?);
    let (created_at, updated_at) =
        live.map_or((first.occurred_at, last.occurred_at), |live| (live.row.created_at, live.row.updated_at));
    let mut row = StockRow { sku: sku.clone(), available: 0, reserved: 0, sold: 0, created_at, updated_at };
    for entry in entries {
        row.available += entry.available;
        row.reserved += entry.reserved;
        row.sold += entry.sold;
    }
    Some(Counters { row, moves: entries.len() as u64 })
}
