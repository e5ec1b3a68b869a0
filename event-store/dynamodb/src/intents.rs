//! The built-in gateway's payment intents.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use event_store::{IntentStore, StoreError, Versioned};
use events::OrderId;
use payments::intent::Intent;

use crate::DynamoStore;
use crate::calls::Refused;
use crate::lists::insert;
use crate::row_item::{json, json_of, key, number, number_of};

#[async_trait]
impl IntentStore for DynamoStore {
    async fn load(&self, order: &OrderId) -> Result<Versioned, StoreError> {
        match self.get(&self.tables.intents, key("id", order.as_str())).await? {
            Some(item) => {
                Ok(Versioned { intent: json_of(&item, "intent")?, version: number_of(&item, "version")? })
            }
            None => Ok(Versioned::default()),
        }
    }

    async fn save(&self, order: &OrderId, intent: Intent, computed_from: u64) -> Result<bool, StoreError> {
        let mut item = key("id", order.as_str());
        insert(&mut item, "intent", json(&intent));
        insert(&mut item, "version", number(computed_from + 1));
        let mut put = self
            .client
            .put_item()
            .table_name(&self.tables.intents)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        put = match computed_from {
            0 => put.condition_expression("attribute_not_exists(version)"),
            _ => put
                .condition_expression("version = :computed_from")
                .expression_attribute_values(":computed_from", number(computed_from)),
        };
        match self.call(|| put.clone().send()).await {
            Ok(_) => Ok(true),
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), false)) => Ok(false),
            // Perhaps it is our own, of a try whose answer was lost.
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), true)) => {
                let stored = self.load(order).await?;
                Ok(stored == Versioned { intent, version: computed_from + 1 })
            }
            Err(refused) => Err(refused.into()),
        }
    }
}
