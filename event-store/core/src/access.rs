//! Who may ask: users, keys, and what tokens are signed with. None of it is in the log: it can be taken away for good.

use std::fmt;

use async_trait::async_trait;
use events::{CustomerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::log::StoreError;
use crate::views::{Page, Window};

/// What somebody may ask for. Each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Orders of their own.
    Customer,
    /// Everybody's orders, stock, queues.
    Operator,
    /// Users, keys, raw events.
    Admin,
}

impl Role {
    /// Every role, from the one that may least.
    pub const ALL: [Role; 3] = [Role::Customer, Role::Operator, Role::Admin];

    /// `customer`, `operator` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody who can log in, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// The key: what is typed at the login, in lower case.
    pub username: String,
    /// Stands for the user in tokens.
    pub user_id: String,
    /// What the user may ask for.
    pub role: Role,
    /// Who the user is as a customer; always there for [`Role::Customer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// When the user was registered.
    pub created_at: Timestamp,
}

/// A user, and what proves a password: an argon2id hash in PHC format. The two are apart so that a hash cannot be
/// shown by showing a row.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// What may be shown.
    pub row: UserRow,
    /// What may not.
    pub password_hash: String,
}

/// A key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The key of the row; the part of an API key that is no secret.
    pub key_id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// What it may ask for.
    pub role: Role,
    /// Whose orders; always there for [`Role::Customer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is good for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A key, and the SHA-256 of its secret: 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What may be shown.
    pub row: KeyRow,
    /// What may not.
    pub secret_hash: String,
}

/// What may not be shown is not shown to whoever prints it either.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("row", &self.row).finish_non_exhaustive()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("row", &self.row).finish_non_exhaustive()
    }
}

/// What became of somebody who was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// They are there from now on.
    New,
    /// The name or the id is somebody's already.
    Taken,
    /// They would act for a customer whose row says that they were erased, whether or not the name or the id is taken.
    Erased,
}

/// Who was taken away with a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The names of users.
    pub usernames: Vec<String>,
    /// The ids of keys.
    pub key_ids: Vec<String>,
}

/// Those who can log in.
///
/// What must hold: a look-up sees every write that was acknowledged before; a list may be a moment behind. Nobody is added
/// who would act for a customer whose row ([`crate::CustomerRow`]) says that they were erased, however long the write was
/// on its way: whoever erases a customer writes the row first, and forgets the customer then.
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user.
    async fn add_user(&self, user: User) -> Result<Added, StoreError>;
    /// The user of a name.
    async fn user(&self, username: &str) -> Result<Option<User>, StoreError>;
    /// Users by the time of their registration.
    async fn users(&self, window: &Window) -> Result<Page<UserRow>, StoreError>;
    /// Takes a user away, and says who it was; `None` if there is nobody of this name. What then cannot be read any more is
    /// said of [`Users::forget_customer`].
    async fn remove_user(&self, username: &str) -> Result<Option<UserRow>, StoreError>;
    /// Takes away every user and every key of a customer whose adding was acknowledged, and says which. Once this answers, nothing that was
    /// overwritten or taken away before, here or in the rows, can be read from what the store keeps, by whatever means.
    async fn forget_customer(&self, customer: &CustomerId) -> Result<Forgotten, StoreError>;
}

/// Keys of programs.
///
/// What must hold: as in [`Users`].
#[async_trait]
pub trait Keys: Send + Sync {
    /// Adds a key.
    async fn add_key(&self, key: Key) -> Result<Added, StoreError>;
    /// The key of an id, revoked or not.
    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError>;
    /// Keys by the time they were made, revoked ones too.
    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError>;
    /// Revokes a key, unless it is revoked already; gives it as it is now, or `None` if there is no such key.
    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError>;
}

/// Secrets that every process over one store shares.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret of a name. Where there is none yet, the one that is offered becomes it: of many that are offered at
    /// once, one.
    async fn secret(&self, name: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError>;
    /// The secret of a name, if there is one. Writes nothing.
    async fn known_secret(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError>;
}

/// How often something may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// So many times by one of those who try …
    pub each: usize,
    /// … so many times by all of them together …
    pub all: usize,
    /// … within any so many milliseconds.
    pub within: i64,
}

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

impl Allowance {
    /// Takes one try, if one is left; else says when the next one is.
    pub fn take(self, tries: &mut Vec<Try>, by: &str, now: Timestamp) -> Result<(), Timestamp> {
        let end_of = |tried: &Try| Timestamp::from_millis(tried.at.millis().saturating_add(self.within));
        // A try of later than now was made where a clock goes ahead: it counts.
        tries.retain(|tried| end_of(tried) > now);
        let next = |ends: Vec<Timestamp>, most| if ends.len() < most { None } else { ends.into_iter().min() };
        let own = next(tries.iter().filter(|tried| tried.by == by).map(end_of).collect(), self.each);
        let all = next(tries.iter().map(end_of).collect(), self.all);
        match own.max(all) {
            Some(again) => Err(again),
            None => {
                tries.push(Try { at: now, by: by.to_owned() });
                Ok(())
            }
        }
    }
}

/// What was tried lately, for limits that hold whichever process is asked.
#[async_trait]
pub trait Tries: Send + Sync {
    /// Takes one of the tries that `by` has at `whose`, and gives `None`; or, where none is left, the moment of the next
    /// one. Of many that are taken at once no more are given than there are. Tries older than the allowance looks
    /// back may be forgotten.
    async fn take_try(
        &self,
        whose: &str,
        by: &str,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Forgets every try at `whose`, at once or a while after `now`; all of them are there again at once.
    async fn forget_tries(&self, whose: &str, now: Timestamp) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_prints_a_user_or_a_key_does_not_see_what_proves_it() {
        let row = UserRow {
            username: "ann".into(),
            user_id: "usr-1".into(),
            role: Role::Customer,
            customer_id: None,
            created_at: Timestamp::from_millis(0),
        };
        let key = KeyRow {
            key_id: "k-1".into(),
            name: "packers".into(),
            role: Role::Operator,
            customer_id: None,
            created_at: Timestamp::from_millis(0),
            revoked_at: None,
        };
        let user = format!("{:?}", User { row, password_hash: "$argon2id$canary".into() });
        let key = format!("{:?}", Key { row: key, secret_hash: "canary".into() });
        assert!(user.contains("ann") && key.contains("packers"), "{user} {key}");
        assert!(!user.contains("canary") && !key.contains("canary"), "{user} {key}");
    }
}
