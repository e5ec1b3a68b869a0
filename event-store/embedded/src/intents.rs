//! The built-in gateway's payment intents.

use ::event_store::{IntentStore, StoreError, Versioned};
use async_trait::async_trait;
use events::OrderId;
use payments::intent::Intent;
use rusqlite::{OptionalExtension, params};

use crate::EmbeddedStore;
use crate::orders::{from_json, json};
use crate::writer::Transaction;

#[async_trait]
impl IntentStore for EmbeddedStore {
    async fn load(&self, order: &OrderId) -> Result<Versioned, StoreError> {
        let stored = self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT intent, version FROM intents WHERE order_id = ?1")?;
            let versioned = |row: &rusqlite::Row<'_>| {
                Ok(Versioned { intent: from_json(row, 0)?, version: row.get::<_, i64>(1)?.unsigned_abs() })
            };
            find.query_row([order.as_str()], versioned).optional()
        })?;
        Ok(stored.unwrap_or_default())
    }

    async fn save(&self, order: &OrderId, intent: Intent, computed_from: u64) -> Result<bool, StoreError> {
        let order = order.clone();
        let write = move |transaction: &mut Transaction<'_>| {
            let statement = match computed_from {
                0 => {
                    "INSERT INTO intents (order_id, version, intent) VALUES (?1, ?2 + 1, ?3)
                     ON CONFLICT (order_id) DO NOTHING"
                }
                _ => "UPDATE intents SET version = ?2 + 1, intent = ?3 WHERE order_id = ?1 AND version = ?2",
            };
            let mut save = transaction.sql.prepare_cached(statement)?;
            Ok(save.execute(params![order.as_str(), computed_from as i64, json(&intent)])? > 0)
        };
        self.inner.writer.write(write).await
    }
}
