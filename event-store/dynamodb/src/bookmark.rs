//! How far something has come that does not fit into one run of a function: a row of the shadow table, beside how far
//! replays have come.

use event_store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DynamoStore;
use crate::lists::insert;
use crate::row_item::{Item, json, json_of, key, text};

/// The shelf of the bookmarks. The templates let a sweeper write nothing else of the table.
const SHELF: &str = "bookmarks";

impl DynamoStore {
    /// The bookmark of that name; nothing if none was left, or one that only another version can read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bookmark<Place: DeserializeOwned>(&self, name: &str) -> Result<Option<Place>, StoreError> {
        let item = self.get(&self.tables.shadow, bookmark_key(name)).await?;
        Ok(item.and_then(|item| json_of(&item, "row").ok()))
    }

    /// Leaves a bookmark, in the place of the one that was there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn put_bookmark<Place: Serialize>(&self, name: &str, place: &Place) -> Result<(), StoreError> {
        let mut item = bookmark_key(name);
        insert(&mut item, "row", json(place));
        self.put_aside(item).await
    }
}

fn bookmark_key(name: &str) -> Item {
    let mut key = key("id", name);
    insert(&mut key, "shelf", text(SHELF));
    key
}
