//! Who asks, once it is proven.

use event_store::Role;
use events::CustomerId;
use serde::{Deserialize, Serialize};

/// Who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Stands for a user or a key, in logs and in what is scoped by caller: `user:usr-01j…`, `key:4f0a…`, `anyone`
    /// where nobody is asked, `nobody` where somebody was and said nothing.
    pub id: String,
    /// What they may ask for; nobody may nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Who they are as a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

impl Principal {
    /// Whoever reaches the loopback address, where nobody has to prove who they are.
    pub fn anyone() -> Principal {
        Principal { id: "anyone".into(), role: Some(Role::Admin), customer_id: None }
    }

    /// Whoever shows nothing.
    pub fn nobody() -> Principal {
        Principal { id: "nobody".into(), role: None, customer_id: None }
    }

    /// Whether this is the customer's business: an operator's always is.
    pub fn may_act_for(&self, customer: &CustomerId) -> bool {
        self.role >= Some(Role::Operator) || self.customer_id.as_ref() == Some(customer)
    }

    /// Whose business they may see.
    pub fn sees(&self) -> Sees<'_> {
        match &self.customer_id {
            _ if self.role >= Some(Role::Operator) => Sees::Everybody,
            Some(customer) => Sees::Only(customer),
            None => Sees::Nobody,
        }
    }
}

/// Whose business somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees<'a> {
    /// Everybody's.
    Everybody,
    /// This customer's.
    Only(&'a CustomerId),
    /// Nobody's.
    Nobody,
}
