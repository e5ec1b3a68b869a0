//! Customers and products.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use event_store::{CatalogViews, CustomerRow, Direction, Page, Personal, ProductRow, StoreError, Window};
use events::{CustomerId, ProductId, Sku};

use crate::DynamoStore;
use crate::calls::Refused;
use crate::lists::{List, in_list, insert, place, shelf_of};
use crate::orders::HAS_SEEN_LESS;
use crate::row_item::{Item, json, json_of, key, number, text, text_of};

/// What is known of a person: attributes of their own, because the log does not know them.
const PERSONAL: [&str; 3] = ["name", "email", "address"];

pub(crate) fn to_customer(item: &Item) -> Result<CustomerRow, StoreError> {
    let known = |name: &str| text_of(item, name).ok().map(str::to_owned);
    let [name, email, address] = PERSONAL.map(known);
    Ok(CustomerRow { personal: Personal { name, email, address }, ..json_of(item, "row")? })
}

pub(crate) fn of_product(row: &ProductRow) -> Item {
    let id = row.product_id.as_str();
    let mut item = key("id", id);
    insert(&mut item, "seen", number(row.seen));
    insert(&mut item, "row", json(row));
    in_list(&mut item, row.created_at, id);
    // What is withdrawn is found by its id alone: an item without an index's key is not in it.
    if !row.withdrawn {
        insert(&mut item, "sku", text(row.sku.as_str()));
        if !row.name.is_empty() {
            insert(&mut item, "name", text(&row.name));
        }
    }
    item
}

/// What it means that a condition no longer holds when an update is tried again whose first answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfARepeat {
    /// The update is done, or something newer is: it makes its own condition false.
    WasDone,
    /// Somebody else made it false, or it never held. Whether the update was done or undone, what it wrote may be
    /// gone: whoever wants it looks again.
    SaysNothing,
}

#[async_trait]
impl CatalogViews for DynamoStore {
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError> {
        let update = self
            .update_customer(&row)
            .condition_expression(HAS_SEEN_LESS)
            .expression_attribute_values(":seen", number(row.seen));
        self.update(update, OfARepeat::WasDone).await
    }

    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError> {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        // What was told, or nothing, stands there before.
        let (mut same, mut nothing) = (Vec::new(), Vec::new());
        let mut update = self.client.update_item().table_name(&self.tables.customers);
        let values = [personal.name, personal.email, personal.address];
        for (name, value) in PERSONAL.into_iter().zip(values) {
            update = update.expression_attribute_names(format!("#{name}"), name);
            nothing.push(format!("attribute_not_exists(#{name})"));
            match value {
                Some(value) => {
                    set.push(format!("#{name} = :{name}"));
                    same.push(format!("#{name} = :{name}"));
                    update = update.expression_attribute_values(format!(":{name}"), text(value));
                }
                None => {
                    remove.push(format!("#{name}"));
                    same.push(format!("attribute_not_exists(#{name})"));
                }
            }
        }
        let (same, nothing) = (same.join(" AND "), nothing.join(" AND "));
        let parts = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, names)| !names.is_empty());
        let expression: Vec<String> =
            parts.map(|(verb, names)| format!("{verb} {}", names.join(", "))).collect();
        let update = update
            .set_key(Some(key("id", id.as_str())))
            .update_expression(expression.join(" "))
            .condition_expression(format!(
                "attribute_exists(seen) AND attribute_not_exists(erased) AND (({nothing}) OR ({same}))"
            ));
        self.update(update, OfARepeat::SaysNothing).await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        let item = self.get(&self.tables.customers, key("id", id.as_str())).await?;
        item.as_ref().map(to_customer).transpose()
    }

    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError> {
        let list = List::of_shelves(&self.tables.customers, "GSI1");
        self.list(&list, window, (None, None), |item| to_customer(item).map(Some)).await
    }

    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError> {
        self.put_if_newer(&self.tables.products, of_product(&row), row.seen).await
    }

    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError> {
        self.row_of(&self.tables.products, id.as_str()).await
    }

    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
        self.listed_first("GSI1", "sku", sku.as_str(), |row| row.sku == *sku).await
    }

    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError> {
        if name.is_empty() {
            return Ok(None);
        }
        self.listed_first("GSI2", "name", name, |row| row.name == name).await
    }

    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError> {
        let list = List::of_shelves(&self.tables.products, "GSI3");
        self.list(&list, window, (None, None), |item| json_of(item, "row").map(Some)).await
    }
}

impl DynamoStore {
    /// Writes what the log knows of a customer; who is erased loses what only this table knew.
    pub(crate) fn update_customer(&self, row: &CustomerRow) -> UpdateItemFluentBuilder {
        let id = row.customer_id.as_str();
        let without_personal = CustomerRow { personal: Personal::default(), ..row.clone() };
        let mut expression = "SET seen = :seen, #row = :row, created_at = :place, shelf = :shelf".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.tables.customers)
            .set_key(Some(key("id", id)))
            .expression_attribute_names("#row", "row")
            .expression_attribute_values(":seen", number(row.seen))
            .expression_attribute_values(":row", json(&without_personal))
            .expression_attribute_values(":place", text(place(row.created_at, id)))
            .expression_attribute_values(":shelf", text(shelf_of("", id)));
        if row.erased {
            expression += ", erased = :one REMOVE #name, email, #address";
            update = update
                .expression_attribute_names("#name", "name")
                .expression_attribute_names("#address", "address")
                .expression_attribute_values(":one", number(1));
        }
        update.update_expression(expression)
    }

    /// Updates an item if its condition holds; says whether it did.
    pub(crate) async fn update(
        &self,
        update: UpdateItemFluentBuilder,
        refusal: OfARepeat,
    ) -> Result<bool, StoreError> {
        let update = update.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| update.clone().send()).await {
            Ok(_) => Ok(true),
            Err(Refused::ByService(UpdateItemError::ConditionalCheckFailedException(_), again)) => {
                Ok(again && refusal == OfARepeat::WasDone)
            }
            Err(refused) => Err(refused.into()),
        }
    }

    async fn listed_first(
        &self,
        index: &'static str,
        by: &'static str,
        value: &str,
        is: impl Fn(&ProductRow) -> bool,
    ) -> Result<Option<ProductRow>, StoreError> {
        let list = List { table: &self.tables.products, index, by, partitions: vec![value.to_owned()] };
        let window = Window { limit: 1, after: None, direction: Direction::Ascending };
        // One that cannot be read may be the one that is looked for.
        let wanted = |item: &Item| match json_of::<ProductRow>(item, "row") {
            Ok(row) => Ok((!row.withdrawn && is(&row)).then_some(Ok(row))),
            Err(error) => Ok(Some(Err(error))),
        };
        self.list(&list, &window, (None, None), wanted).await?.rows.pop().transpose()
    }
}

#[cfg(test)]
mod tests {
    use events::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::Limits;
    use crate::scripted::{Answer, Server};

    #[tokio::test]
    async fn what_is_known_of_a_person_who_was_erased_while_an_answer_was_lost_is_not_stored() {
        let refused = || Answer::error("ConditionalCheckFailedException");
        let server = Server::that([Answer::HangsUp, refused()]);
        let id = CustomerId::recorded("anna").unwrap();
        let personal = Personal { name: Some("Anna".into()), ..Personal::default() };
        assert_eq!(server.store(Limits::default()).put_personal(&id, personal).await, Ok(false));
        assert_eq!(server.operations(), ["UpdateItem", "UpdateItem"]);
    }

    #[tokio::test]
    async fn a_product_that_nobody_can_read_is_not_taken_for_one_that_is_not_there() {
        let place = json!({ "created_at": { "S": "2026-01-01T00:00:01.000Z#lamp" } });
        let item = json!({ "id": { "S": "lamp" }, "row": { "S": "{}" } });
        let server = Server::that([
            Answer::ok(json!({ "Items": [place] })),
            Answer::ok(json!({ "Responses": { "scripted-ProductTable": [item] } })),
        ]);
        let sku = Sku::parse("lamp-1").unwrap();
        assert!(server.store(Limits::default()).product_by_sku(&sku).await.is_err());
    }

    #[tokio::test]
    async fn a_row_that_was_written_while_its_answer_was_lost_is_written() {
        let server = Server::that([Answer::HangsUp, Answer::error("ConditionalCheckFailedException")]);
        let row = CustomerRow {
            customer_id: CustomerId::recorded("anna").unwrap(),
            personal: Personal::default(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            erased: false,
            seen: 1,
        };
        assert_eq!(server.store(Limits::default()).put_customer(row).await, Ok(true));
    }

    #[tokio::test]
    async fn counters_that_somebody_moved_while_an_answer_was_lost_are_looked_at_again() {
        let counters = |moves: &str, available: &str| {
            let time = "1970-01-01T00:00:00.000Z";
            Answer::ok(json!({ "Item": {
                "id": { "S": "lamp" }, "moves": { "N": moves }, "available": { "N": available },
                "reserved": { "N": "0" }, "sold": { "N": "0" }, "updated_at": { "S": time },
                "created_at": { "S": format!("{time}#lamp") },
            } }))
        };
        let ledger = |entries: usize| {
            let entry = |n| {
                json!({
                    "sku": { "S": "lamp" }, "event_id": { "S": format!("{n:026}") }, "pk": { "S": "PK" },
                    "occurred_at": { "S": "1970-01-01T00:00:00.000Z" }, "available": { "N": "1" },
                    "reserved": { "N": "0" }, "sold": { "N": "0" },
                })
            };
            Answer::ok(json!({ "Items": (0..entries).map(entry).collect::<Vec<_>>() }))
        };
        let server = Server::that([
            // They are wrong, and set right; the answer to that is lost, and then somebody moves them.
            counters("1", "9"),
            ledger(1),
            counters("1", "9"),
            Answer::HangsUp,
            Answer::error("ConditionalCheckFailedException"),
            counters("2", "10"),
            ledger(2),
            counters("2", "10"),
            Answer::ok(json!({})),
        ]);
        let store = server.store(Limits::default());
        assert_eq!(store.adopt_counters(&Sku::recorded("lamp").unwrap()).await, Ok(()));
        let asked = server.asked();
        assert_eq!(asked.len(), 9, "{:?}", server.operations());
        assert_eq!(asked[8].body["ExpressionAttributeValues"][":available"]["N"], "2");
    }
}
