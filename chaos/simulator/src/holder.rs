//! Who asks, in worlds where that is asked: the holders of keys, and what each of them may.

use auth::digest;
use event_store::{Key, KeyRow, Role};
use events::{CustomerId, Timestamp};

use crate::ask::{Ask, Change, Wants};

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

    /// Whether they may ask for something; `None` where everybody may. `is_theirs` says whether the order that it is
    /// about is that customer's.
    pub fn may(&self, ask: &Ask, is_theirs: impl Fn(&str) -> bool) -> Option<bool> {
        let door = Door::of(ask);
        Some(match (self, door) {
            (_, Door::Everybody) => return None,
            (Holder::Nobody, _) => false,
            (Holder::Admin, _) | (_, Door::Anybody) => true,
            (Holder::Program(_), Door::Admin) => false,
            (Holder::Program(_), _) => true,
            (Holder::Customer(own), Door::Customer(of)) => own == of,
            (Holder::Customer(own), Door::Order) => is_theirs(own),
            (Holder::Customer(_), Door::Operator | Door::Admin) => false,
        })
    }
}

/// Who may ask for something.
pub(crate) enum Door<'a> {
    /// Whoever comes.
    Everybody,
    /// Whoever has a key.
    Anybody,
    /// This customer, and operators.
    Customer(&'a str),
    /// Whose order it is, and operators.
    Order,
    /// Operators.
    Operator,
    /// Admins.
    Admin,
}

impl Door<'_> {
    /// That of a request.
    pub(crate) fn of(ask: &Ask) -> Door<'_> {
        match &ask.wants {
            Wants::Place { customer_id, .. } | Wants::Erase { customer_id } => Door::Customer(customer_id),
            Wants::Change { into: Change::Cancelled, .. } | Wants::ReadOrder { .. } => Door::Order,
            Wants::Raw { .. } | Wants::MakeKey { .. } | Wants::Revoke { .. } => Door::Admin,
            Wants::Read => Door::of_look(&ask.path),
            _ => Door::Operator,
        }
    }

    fn of_look(path: &str) -> Door<'_> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (&parts[..], query.strip_prefix("customer_id=")) {
            ([""] | ["products", ..], _) => Door::Everybody,
            (["orders"], Some(customer)) | (&["customers", customer, ..], _) => Door::Customer(customer),
            (["orders"] | ["inventory", "check"], _) => Door::Anybody,
            (["orders", ..], _) => Door::Order,
            _ => Door::Operator,
        }
    }
}
