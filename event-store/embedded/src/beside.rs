//! What is kept beside the log and its rows: answers that were given, messages, dead letters, and why
//! operators did what they did to those.

use ::event_store::{Beside, StoreError, StoredText};
use async_trait::async_trait;
use rusqlite::params;

use crate::EmbeddedStore;

/// What each place is, and how it is read: keys are texts, in whose order it is read.
const PLACES: [(&str, &str); 4] = [
    ("answer", "SELECT key, kept FROM kept_answers WHERE key > ?1 ORDER BY key LIMIT ?2"),
    (
        "message",
        "SELECT printf('%020d', id), body FROM queue_messages WHERE id > CAST(?1 AS INTEGER) ORDER BY id LIMIT ?2",
    ),
    (
        "dead letter",
        "SELECT printf('%020d', id), json_array(body, error) FROM dead_letters WHERE id > CAST(?1 AS INTEGER)
         ORDER BY id LIMIT ?2",
    ),
    (
        "action",
        "SELECT printf('%020d', id), reason FROM actions WHERE id > CAST(?1 AS INTEGER) ORDER BY id LIMIT ?2",
    ),
];

#[async_trait]
impl Beside for EmbeddedStore {
    async fn beside(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<StoredText>, Option<String>), StoreError> {
        let (number, key) = after.and_then(|cursor| cursor.split_once(' ')).unwrap_or(("0", ""));
        let number: usize = number.parse().unwrap_or(PLACES.len());
        let Some((place, read)) = PLACES.get(number).copied() else { return Ok((Vec::new(), None)) };
        let key = key.to_owned();
        let texts = self
            .read_long(move |sql| {
                let mut read = sql.prepare_cached(read)?;
                let texts = read.query_map(params![key, limit as i64], |row| {
                    Ok(StoredText { place, key: row.get(0)?, text: row.get(1)? })
                })?;
                texts.collect::<rusqlite::Result<Vec<_>>>()
            })
            .await?;
        let next = match texts.last() {
            Some(last) if texts.len() == limit => Some(format!("{number} {}", last.key)),
            _ if number + 1 < PLACES.len() => Some(format!("{} ", number + 1)),
            _ => None,
        };
        Ok((texts, next))
    }
}
