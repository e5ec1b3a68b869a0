//! Who asks, in worlds where that is asked: the holders of keys, and what each of them may.

use auth::digest;
use event_store::{Key, KeyRow, Role};
use events::{CustomerId, Timestamp};

use crate::ask::{Change, Wants};

/// So many programs have keys of operators.
pub const PROGRAMS: u8 = 4;

/// Somebody who shows a key, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Somebody who shows nothing.
    Nobody,
    /// A customer, by their id.
    Customer(String),
    /// One of the operator's programs.
    Program(u8),
    /// The admin, whose key is never revoked.
    Admin,
}

impl Holder {
    fn name(&self) -> String {
        match self {
            Holder::Nobody => "nobody".into(),
            Holder::Customer(id) => format!("customer {id}"),
            Holder::Program(number) => format!("program {number}"),
            Holder::Admin => "admin".into(),
        }
    }

    fn secret(&self) -> String {
        digest(&format!("{}'s secret", self.name()))[..43].to_owned()
    }

    /// The id of the key. What keys are made of is drawn by nobody here, so that a run says the same each time.
    pub fn key_id(&self) -> String {
        digest(&self.name())[..24].to_owned()
    }

    /// What is sent as `x-api-key`.
    pub fn shown(&self) -> Option<String> {
        (*self != Holder::Nobody).then(|| format!("sgl_{}_{}", self.key_id(), self.secret()))
    }

    /// The key as it is kept.
    pub fn key(&self) -> Option<Key> {
        let (role, customer_id) = match self {
            Holder::Nobody => return None,
            Holder::Customer(id) => (Role::Customer, Some(CustomerId::recorded(id).ok()?)),
            Holder::Program(_) => (Role::Operator, None),
            Holder::Admin => (Role::Admin, None),
        };
        let (key_id, name, created_at) = (self.key_id(), self.name(), Timestamp::from_millis(0));
        let row = KeyRow { key_id, name, role, customer_id, created_at, revoked_at: None };
        Some(Key { row, secret_hash: digest(&self.secret()) })
    }

    /// Whether they may ask for something; `None` where everybody's answer is as good. `is_theirs` says whether an order
    /// is that customer's.
    pub fn may(&self, wants: &Wants, is_theirs: impl Fn(&str) -> bool) -> Option<bool> {
        Some(match (self, wants) {
            (_, Wants::Read) => return None,
            (Holder::Nobody, _) => false,
            (Holder::Admin, _) => true,
            (Holder::Program(_), Wants::Raw { .. } | Wants::Revoke { .. }) => false,
            (Holder::Program(_), _) => true,
            (Holder::Customer(own), Wants::Place { customer_id, .. } | Wants::Erase { customer_id }) => {
                own == customer_id
            }
            (
                Holder::Customer(own),
                Wants::Change { into: Change::Cancelled, .. } | Wants::ReadOrder { .. },
            ) => is_theirs(own),
            (Holder::Customer(_), _) => false,
        })
    }
}
