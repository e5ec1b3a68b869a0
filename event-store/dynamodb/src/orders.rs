//! Orders, payments and deliveries: each a row in a table of its own, the order's written last.
//!
//! Whoever dies in between leaves an order's row that is behind, and with it a message that comes back or an order
//! that the sweeper finds: the rows are written again. A row on its own never goes back to what it had seen before.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use event_store::{
    DeliveryRow, OrderQuery, OrderRow, OrderRows, OrderViews, Page, PaymentRow, StoreError, View, Window,
};
use events::OrderId;
use orders::Status;
use serde::de::DeserializeOwned;

use crate::DynamoStore;
use crate::calls::Refused;
use crate::lists::{List, in_list, insert, place, shelf_of, shelves};
use crate::row_item::{Item, json, json_of, key, number, number_of, text};

/// True of a row that has seen less than the new one, and of none.
pub(crate) const HAS_SEEN_LESS: &str = "attribute_not_exists(seen) OR seen < :seen";

pub(crate) fn of_order(row: &OrderRow) -> Item {
    let id = row.order_id.as_str();
    let mut item = key("id", id);
    insert(&mut item, "seen", number(row.seen));
    insert(&mut item, "row", json(row));
    insert(&mut item, "customer_id", text(row.customer_id.as_str()));
    insert(&mut item, "created_at", text(place(row.created_at, id)));
    insert(&mut item, "shelf", text(shelf_of(&standing(row.status, row.open), id)));
    item
}

pub(crate) fn of_payment(row: &PaymentRow) -> Item {
    let mut item = key("id", row.order_id.as_str());
    insert(&mut item, "seen", number(row.seen));
    insert(&mut item, "row", json(row));
    in_list(&mut item, row.created_at, row.order_id.as_str());
    item
}

pub(crate) fn of_delivery(row: &DeliveryRow) -> Item {
    let mut item = key("id", row.order_id.as_str());
    insert(&mut item, "seen", number(row.seen));
    insert(&mut item, "row", json(row));
    item
}

/// Where an order stands, for the list that it is in: `PAID+` while something is to come, `PAID-` when it ended.
fn standing(status: Status, open: bool) -> String {
    format!("{}{}", status.as_str(), if open { '+' } else { '-' })
}

#[async_trait]
impl OrderViews for DynamoStore {
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError> {
        // A look that changed nothing costs half a read unit here, and up to seven write units if it were refused.
        if self.has_seen(&self.tables.orders, rows.order.order_id.as_str(), rows.order.seen).await? {
            return Ok(false);
        }
        // One after the other: a transaction would take twice the units. The order is the gate, so it comes last.
        if let Some(row) = &rows.payment {
            self.put_if_newer(&self.tables.payments, of_payment(row), row.seen).await?;
        }
        if let Some(row) = &rows.delivery {
            self.put_if_newer(&self.tables.deliveries, of_delivery(row), row.seen).await?;
        }
        self.put_if_newer(&self.tables.orders, of_order(&rows.order), rows.order.seen).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        self.row_of(&self.tables.orders, id.as_str()).await
    }

    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError> {
        self.row_of(&self.tables.payments, id.as_str()).await
    }

    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError> {
        self.row_of(&self.tables.deliveries, id.as_str()).await
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError> {
        let list = self.list_of(query);
        let wanted = |item: &Item| {
            let row: OrderRow = json_of(item, "row")?;
            Ok(is_asked_for(&row, query).then_some(row))
        };
        self.list(&list, &query.window, (query.from, query.until), wanted).await
    }

    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError> {
        let list = List::of_shelves(&self.tables.payments, "GSI1");
        self.list(&list, window, (None, None), |item| json_of(item, "row").map(Some)).await
    }
}

impl DynamoStore {
    /// A customer's own list is one partition; any other is read from the shelves of the standings asked for.
    fn list_of(&self, query: &OrderQuery) -> List<'_> {
        let table = self.tables.of(View::Orders);
        if let Some(customer) = &query.customer_id {
            let partitions = vec![customer.to_string()];
            return List { table, index: "GSI1", by: "customer_id", partitions };
        }
        let asked_for = |status: &Status| query.status.is_none_or(|asked| asked == *status);
        let standings = Status::ALL.into_iter().filter(asked_for).flat_map(|status| {
            let open = [true, false].into_iter().filter(|open| query.open.is_none_or(|asked| asked == *open));
            open.map(move |open| standing(status, open))
        });
        let partitions = standings.flat_map(|standing| shelves(&standing)).collect();
        List { table, index: "GSI2", by: "shelf", partitions }
    }

    /// Whether a row that has seen as much is stored, as far as a read knows that may be a moment behind.
    async fn has_seen(&self, table: &str, id: &str, seen: u32) -> Result<bool, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key("id", id)))
            .projection_expression("seen")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let Some(item) = self.call(|| get.clone().send()).await?.item else { return Ok(false) };
        Ok(number_of::<u32>(&item, "seen")? >= seen)
    }

    /// Puts a row if what is stored has seen less; says whether it had.
    pub(crate) async fn put_if_newer(&self, table: &str, item: Item, seen: u32) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(HAS_SEEN_LESS)
            .expression_attribute_values(":seen", number(seen))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| put.clone().send()).await {
            Ok(_) => Ok(true),
            // A try whose answer was lost may have put it: then the row is there, and nobody is misled.
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), again)) => Ok(again),
            Err(refused) => Err(refused.into()),
        }
    }

    pub(crate) async fn row_of<Row: DeserializeOwned>(
        &self,
        table: &str,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.get(table, key("id", id)).await?.as_ref().map(|item| json_of(item, "row")).transpose()
    }
}

fn is_asked_for(row: &OrderRow, query: &OrderQuery) -> bool {
    query.customer_id.as_ref().is_none_or(|customer| *customer == row.customer_id)
        && query.status.is_none_or(|status| status == row.status)
        && query.from.is_none_or(|from| from <= row.created_at)
        && query.until.is_none_or(|until| until > row.created_at)
        && query.open.is_none_or(|open| open == row.open)
}
