//! How far functions that the clock starts have come, across restarts.

use ::event_store::StoreError;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::orders::{from_json, json};
use crate::queues::QueueStore;

impl QueueStore {
    /// What was put under a name last; `None` if nothing was, or nothing that can be read as this.
    ///
    /// # Errors
    /// The store's.
    pub fn bookmark<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT bookmark FROM bookmarks WHERE name = ?1")?;
            // An older version's, perhaps: whoever finds none begins anew.
            find.query_row([name], |row| Ok(from_json(row, 0).ok())).optional().map(Option::flatten)
        })
    }

    /// Puts something in the place of what was under a name.
    ///
    /// # Errors
    /// The store's.
    pub async fn put_bookmark(
        &self,
        name: &'static str,
        bookmark: &impl Serialize,
    ) -> Result<(), StoreError> {
        let text = json(bookmark);
        self.write(move |sql| {
            let put = "INSERT OR REPLACE INTO bookmarks (name, bookmark) VALUES (?1, ?2)";
            sql.prepare_cached(put)?.execute(params![name, text]).map(drop)
        })
        .await
    }
}
