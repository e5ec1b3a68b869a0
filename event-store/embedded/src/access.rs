//! Users, keys, secrets and tries; and answers that were given already. None of it is in the log.

use ::event_store::{
    Added, Allowance, Claim, Claimed, Forgotten, Held, Idempotency, Kept, KeptAnswer, Key, KeyRow, Keys,
    Page, Secrets, StoreError, Tries, Try, User, UserRow, Users, Window,
};
use async_trait::async_trait;
use events::{CustomerId, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use crate::orders::{from_json, json, list_sql};
use crate::stock::{asked, page, place};
use crate::writer::Transaction;
use crate::{EmbeddedStore, catalog};

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { row: from_json(row, 0)?, password_hash: row.get(1)? })
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { row: from_json(row, 0)?, secret_hash: row.get(1)? })
}

/// Adds somebody, unless the row of the customer whom they would act for says that they were erased.
fn added(
    transaction: &Transaction<'_>,
    customer: Option<&CustomerId>,
    insert: impl FnOnce() -> rusqlite::Result<usize>,
) -> rusqlite::Result<Added> {
    let row = customer.map(|id| catalog::customer(transaction.sql, id.as_str())).transpose()?.flatten();
    if row.is_some_and(|row| row.erased) {
        return Ok(Added::Erased);
    }
    Ok(if insert()? > 0 { Added::New } else { Added::Taken })
}

#[async_trait]
impl Users for EmbeddedStore {
    async fn add_user(&self, user: User) -> Result<Added, StoreError> {
        let write = move |transaction: &mut Transaction<'_>| {
            let mut insert = transaction.sql.prepare_cached(
                "INSERT INTO users (username, created_at, customer_id, user, password_hash) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (username) DO NOTHING",
            )?;
            let User { row, password_hash } = &user;
            let customer = row.customer_id.as_ref().map(CustomerId::as_str);
            let columns = params![row.username, row.created_at.millis(), customer, json(row), password_hash];
            added(transaction, row.customer_id.as_ref(), || insert.execute(columns))
        };
        self.inner.writer.write(write).await
    }

    async fn user(&self, username: &str) -> Result<Option<User>, StoreError> {
        self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT user, password_hash FROM users WHERE username = ?1")?;
            find.query_row([username], user).optional()
        })
    }

    async fn users(&self, window: &Window) -> Result<Page<UserRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let list = list_sql("user", "users", "created_at", "username", "1", &window);
            let (at, id) = place(&window);
            let mut read = sql.prepare_cached(&list)?;
            let rows = read.query_map(params![at, id, asked(&window)], |row| from_json(row, 0))?;
            let rows = rows.collect::<rusqlite::Result<Vec<UserRow>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.username.as_str())))
        })
        .await
    }

    async fn remove_user(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        let username = username.to_owned();
        let write = move |transaction: &mut Transaction<'_>| {
            let mut delete =
                transaction.sql.prepare_cached("DELETE FROM users WHERE username = ?1 RETURNING user")?;
            let removed = delete.query_row([&username], |row| from_json(row, 0)).optional()?;
            transaction.scrub |= removed.is_some();
            Ok(removed)
        };
        self.inner.writer.write(write).await
    }

    async fn forget_customer(&self, customer: &CustomerId) -> Result<Forgotten, StoreError> {
        let customer = customer.clone();
        let write = move |transaction: &mut Transaction<'_>| {
            let delete = |table: &str, key: &str| {
                let delete = format!("DELETE FROM {table} WHERE customer_id = ?1 RETURNING {key}");
                let mut delete = transaction.sql.prepare_cached(&delete)?;
                delete.query_map([customer.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
            };
            let forgotten =
                Forgotten { usernames: delete("users", "username")?, key_ids: delete("keys", "key_id")? };
            transaction.scrub = true;
            Ok(forgotten)
        };
        self.inner.writer.write(write).await
    }
}

#[async_trait]
impl Keys for EmbeddedStore {
    async fn add_key(&self, key: Key) -> Result<Added, StoreError> {
        let write = move |transaction: &mut Transaction<'_>| {
            let mut insert = transaction.sql.prepare_cached(
                "INSERT INTO keys (key_id, created_at, customer_id, key, secret_hash) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (key_id) DO NOTHING",
            )?;
            let Key { row, secret_hash } = &key;
            let customer = row.customer_id.as_ref().map(CustomerId::as_str);
            let columns = params![row.key_id, row.created_at.millis(), customer, json(row), secret_hash];
            added(transaction, row.customer_id.as_ref(), || insert.execute(columns))
        };
        self.inner.writer.write(write).await
    }

    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT key, secret_hash FROM keys WHERE key_id = ?1")?;
            find.query_row([key_id], key).optional()
        })
    }

    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let list = list_sql("key", "keys", "created_at", "key_id", "1", &window);
            let (at, id) = place(&window);
            let mut read = sql.prepare_cached(&list)?;
            let rows = read.query_map(params![at, id, asked(&window)], |row| from_json(row, 0))?;
            let rows = rows.collect::<rusqlite::Result<Vec<KeyRow>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.key_id.as_str())))
        })
        .await
    }

    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        let key_id = key_id.to_owned();
        let write = move |transaction: &mut Transaction<'_>| {
            let mut find = transaction.sql.prepare_cached("SELECT key FROM keys WHERE key_id = ?1")?;
            let Some(mut row) = find.query_row([&key_id], |row| from_json::<KeyRow>(row, 0)).optional()?
            else {
                return Ok(None);
            };
            row.revoked_at.get_or_insert(at);
            let mut update = transaction.sql.prepare_cached("UPDATE keys SET key = ?2 WHERE key_id = ?1")?;
            update.execute(params![key_id, json(&row)])?;
            Ok(Some(row))
        };
        self.inner.writer.write(write).await
    }
}

#[async_trait]
impl Secrets for EmbeddedStore {
    async fn secret(&self, name: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name = name.to_owned();
        let write = move |transaction: &mut Transaction<'_>| {
            let mut offer = transaction.sql.prepare_cached(
                "INSERT INTO secrets (name, secret) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            )?;
            offer.execute(params![name, offered])?;
            let mut read = transaction.sql.prepare_cached("SELECT secret FROM secrets WHERE name = ?1")?;
            read.query_row([&name], |row| row.get(0))
        };
        self.inner.writer.write(write).await
    }

    async fn known_secret(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT secret FROM secrets WHERE name = ?1")?;
            find.query_row([name], |row| row.get(0)).optional()
        })
    }
}

#[async_trait]
impl Tries for EmbeddedStore {
    async fn take_try(
        &self,
        whose: &str,
        by: &str,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (whose, by) = (whose.to_owned(), by.to_owned());
        let write = move |transaction: &mut Transaction<'_>| {
            let mut find = transaction.sql.prepare_cached("SELECT tries FROM tries WHERE whose = ?1")?;
            let tries = find.query_row([&whose], |row| from_json::<Vec<Try>>(row, 0)).optional()?;
            let mut tries = tries.unwrap_or_default();
            let taken = allowance.take(&mut tries, &by, now);
            let mut keep = transaction.sql.prepare_cached(
                "INSERT INTO tries (whose, tries, latest) VALUES (?1, ?2, ?3)
                 ON CONFLICT (whose) DO UPDATE SET tries = ?2, latest = ?3",
            )?;
            keep.execute(params![whose, json(&tries), now.millis()])?;
            let mut forget = transaction.sql.prepare_cached(
                "DELETE FROM tries WHERE whose IN (SELECT whose FROM tries WHERE latest < ?1 ORDER BY latest LIMIT ?2)",
            )?;
            forget.execute(params![now.millis().saturating_sub(FORGOTTEN), AT_ONCE])?;
            Ok(taken.err())
        };
        self.inner.writer.write(write).await
    }

    async fn forget_tries(&self, whose: &str, _now: Timestamp) -> Result<(), StoreError> {
        let whose = whose.to_owned();
        let write = move |transaction: &mut Transaction<'_>| {
            let mut forget = transaction.sql.prepare_cached("DELETE FROM tries WHERE whose = ?1")?;
            forget.execute([whose]).map(drop)
        };
        self.inner.writer.write(write).await
    }
}

/// Tries are kept for an hour, in milliseconds: longer than any allowance looks back.
const FORGOTTEN: i64 = 60 * 60 * 1_000;
/// So many that are over are taken away with each that comes: they become fewer, and nobody waits for a million of them.
const AT_ONCE: i64 = 64;

fn kept(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<Kept>> {
    let mut find = transaction.sql.prepare_cached("SELECT kept FROM kept_answers WHERE key = ?1")?;
    find.query_row([key], |row| from_json(row, 0)).optional()
}

fn keep(transaction: &Transaction<'_>, key: &str, kept: &Kept) -> rusqlite::Result<()> {
    let mut keep = transaction.sql.prepare_cached(
        "INSERT INTO kept_answers (key, forget_at, kept) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET forget_at = ?2, kept = ?3",
    )?;
    keep.execute(params![key, kept.claim.forget_at.millis(), json(kept)]).map(drop)
}

#[async_trait]
impl Idempotency for EmbeddedStore {
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        let (key, running) = (key.to_owned(), self.inner.running.clone());
        let write = move |transaction: &mut Transaction<'_>| {
            let mut forget = transaction.sql.prepare_cached(
                "DELETE FROM kept_answers WHERE key IN
                     (SELECT key FROM kept_answers WHERE forget_at <= ?1 ORDER BY forget_at LIMIT ?2)",
            )?;
            forget.execute(params![now.millis(), AT_ONCE])?;
            let mut stored = kept(transaction, &key)?;
            let mut running = running.lock().expect("nobody panics while holding it");
            if let Some(Kept { claim, answer: None }) = &mut stored
                && !running.contains(&key)
            {
                claim.until = Timestamp::from_millis(0);
            }
            let (claimed, stored) = Kept::claimed(stored.as_ref(), claim, now);
            if let Some(stored) = stored {
                keep(transaction, &key, &stored)?;
                running.insert(key);
            }
            Ok(claimed)
        };
        self.inner.writer.write(write).await
    }

    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError> {
        self.keep_as(key, move |stored| Kept::answered(stored, held, answer.clone())).await
    }

    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError> {
        self.keep_as(key, move |stored| Kept::given_up(stored, held)).await
    }
}

impl EmbeddedStore {
    /// Changes what is stored under a key; says whether that was to be changed.
    async fn keep_as(
        &self,
        key: &str,
        change: impl Fn(Option<Kept>) -> Option<Kept> + Send + 'static,
    ) -> Result<bool, StoreError> {
        let (key, running) = (key.to_owned(), self.inner.running.clone());
        let write = move |transaction: &mut Transaction<'_>| {
            let Some(changed) = change(kept(transaction, &key)?) else { return Ok(false) };
            keep(transaction, &key, &changed)?;
            running.lock().expect("nobody panics while holding it").remove(&key);
            Ok(true)
        };
        self.inner.writer.write(write).await
    }
}
