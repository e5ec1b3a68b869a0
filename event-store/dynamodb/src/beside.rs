//! What is kept beside the log and its rows: answers that were given.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use event_store::{Beside, StoreError, StoredText};

use crate::DynamoStore;
use crate::row_item::{key, text_of, text_or_empty};

#[async_trait]
impl Beside for DynamoStore {
    async fn beside(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<StoredText>, Option<String>), StoreError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.tables.idempotency)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|id| key("id", id)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let page = self.call(|| scan.clone().send()).await?;
        let mut texts = Vec::new();
        for item in page.items.unwrap_or_default() {
            if let Some(("ANSWER", key)) = text_of(&item, "id")?.split_once('#') {
                let text = text_or_empty(&item, "state").to_owned();
                texts.push(StoredText { place: "answer", key: key.to_owned(), text });
            }
        }
        let next = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((texts, next.map(|key| text_of(&key, "id").map(str::to_owned)).transpose()?))
    }
}
