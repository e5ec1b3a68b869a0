//! Users, keys, tries and kept answers in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use async_trait::async_trait;
use events::{CustomerId, Timestamp};

use super::{MemoryStore, World, page_of};
use crate::CustomerRow;
use crate::access::{
    Added, Allowance, Forgotten, Key, KeyRow, Keys, Secrets, Tries, Try, User, UserRow, Users,
};
use crate::idempotency::{Claim, Claimed, Held, Idempotency, Kept, KeptAnswer};
use crate::log::StoreError;
use crate::views::{Page, Window};

/// What is kept beside the log and its read models.
#[derive(Default)]
pub(super) struct Beside {
    users: BTreeMap<String, User>,
    keys: BTreeMap<String, Key>,
    secrets: BTreeMap<String, [u8; 32]>,
    tries: BTreeMap<String, Vec<Try>>,
    kept: BTreeMap<String, Kept>,
}

impl MemoryStore {
    /// What is stored under each `Idempotency-Key`.
    pub fn kept_answers(&self) -> BTreeMap<String, Kept> {
        self.world().beside.kept.clone()
    }

    /// Whose tries are known.
    pub fn known_tries(&self) -> Vec<String> {
        self.world().beside.tries.keys().cloned().collect()
    }

    /// Changes what is stored under a key; says whether that was to be changed.
    fn keep_as(&self, key: &str, change: impl FnOnce(Option<Kept>) -> Option<Kept>) -> bool {
        let kept = &mut self.world().beside.kept;
        let changed = change(kept.get(key).cloned());
        changed.map(|changed| kept.insert(key.to_owned(), changed)).is_some()
    }

    /// Whether the row of the customer whom somebody would act for says that they were erased.
    fn is_erased(&self, world: &World, customer: Option<&CustomerId>) -> bool {
        #[cfg(feature = "planted")]
        if self.broken == Some(super::Broken::Erased) {
            return false;
        }
        let row = customer.and_then(|id| world.live.get::<CustomerRow>(id.as_str()));
        row.is_some_and(|row| row.erased)
    }

    /// Forgets every `Idempotency-Key`.
    pub fn forget_kept_answers(&self) {
        self.world().beside.kept.clear();
    }
}

fn added<Row>(rows: &mut BTreeMap<String, Row>, id: String, row: Row) -> Added {
    match rows.entry(id) {
        Entry::Occupied(_) => Added::Taken,
        Entry::Vacant(place) => {
            place.insert(row);
            Added::New
        }
    }
}

#[async_trait]
impl Users for MemoryStore {
    async fn add_user(&self, user: User) -> Result<Added, StoreError> {
        let mut world = self.world();
        if self.is_erased(&world, user.row.customer_id.as_ref()) {
            return Ok(Added::Erased);
        }
        Ok(added(&mut world.beside.users, user.row.username.clone(), user))
    }

    async fn user(&self, username: &str) -> Result<Option<User>, StoreError> {
        Ok(self.world().beside.users.get(username).cloned())
    }

    async fn users(&self, window: &Window) -> Result<Page<UserRow>, StoreError> {
        let rows = self.world().beside.users.values().map(|user| user.row.clone()).collect();
        Ok(page_of(rows, window, |row| (row.created_at, row.username.clone())))
    }

    async fn remove_user(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        Ok(self.world().beside.users.remove(username).map(|user| user.row))
    }

    async fn forget_customer(&self, customer: &CustomerId) -> Result<Forgotten, StoreError> {
        let beside = &mut self.world().beside;
        let users = beside.users.extract_if(.., |_, user| user.row.customer_id.as_ref() == Some(customer));
        let usernames = users.map(|(name, _)| name).collect();
        let keys = beside.keys.extract_if(.., |_, key| key.row.customer_id.as_ref() == Some(customer));
        Ok(Forgotten { usernames, key_ids: keys.map(|(id, _)| id).collect() })
    }
}

#[async_trait]
impl Keys for MemoryStore {
    async fn add_key(&self, key: Key) -> Result<Added, StoreError> {
        let mut world = self.world();
        if self.is_erased(&world, key.row.customer_id.as_ref()) {
            return Ok(Added::Erased);
        }
        Ok(added(&mut world.beside.keys, key.row.key_id.clone(), key))
    }

    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        Ok(self.world().beside.keys.get(key_id).cloned())
    }

    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        let rows = self.world().beside.keys.values().map(|key| key.row.clone()).collect();
        Ok(page_of(rows, window, |row| (row.created_at, row.key_id.clone())))
    }

    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        let keys = &mut self.world().beside.keys;
        Ok(keys.get_mut(key_id).map(|key| {
            key.row.revoked_at.get_or_insert(at);
            key.row.clone()
        }))
    }
}

#[async_trait]
impl Secrets for MemoryStore {
    async fn secret(&self, name: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.world().beside.secrets.entry(name.to_owned()).or_insert(offered))
    }

    async fn known_secret(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        Ok(self.world().beside.secrets.get(name).copied())
    }
}

#[async_trait]
impl Tries for MemoryStore {
    async fn take_try(
        &self,
        whose: &str,
        by: &str,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let tries = &mut self.world().beside.tries;
        Ok(allowance.take(tries.entry(whose.to_owned()).or_default(), by, now).err())
    }

    async fn forget_tries(&self, whose: &str, _now: Timestamp) -> Result<(), StoreError> {
        self.world().beside.tries.remove(whose);
        Ok(())
    }
}

#[async_trait]
impl Idempotency for MemoryStore {
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        let kept = &mut self.world().beside.kept;
        let (claimed, stored) = Kept::claimed(kept.get(key), claim, now);
        if let Some(stored) = stored {
            kept.insert(key.to_owned(), stored);
        }
        Ok(claimed)
    }

    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError> {
        Ok(self.keep_as(key, |stored| Kept::answered(stored, held, answer)))
    }

    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError> {
        Ok(self.keep_as(key, |stored| Kept::given_up(stored, held)))
    }
}
