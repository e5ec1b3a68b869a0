//! Names that clients and operators give to things: orders, SKUs, lots, customers, products.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest id a client may choose, in characters.
pub const MAX_CLIENT_ID: usize = 64;
/// Shortest id a client may choose, in characters.
pub const MIN_CLIENT_ID: usize = 4;
/// Longest id that is read from the log or the compatibility API, in bytes. A DynamoDB sort key holds 1,024.
pub const MAX_RECORDED_ID: usize = 512;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Too short, too long, or a character outside `A-Z a-z 0-9 _ -`.
    #[error("must be {MIN_CLIENT_ID} to {MAX_CLIENT_ID} characters of A-Z, a-z, 0-9, _ and -")]
    NotAClientId,
    /// Empty, too long, or a control character: nothing that a log could hold as a name.
    #[error("must be 1 to {MAX_RECORDED_ID} bytes without control characters")]
    NotRecordable,
}

fn is_client_id(text: &str) -> bool {
    (MIN_CLIENT_ID..=MAX_CLIENT_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn is_recordable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_RECORDED_ID && !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Arc<str>", into = "Arc<str>")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id that a client gives to something new.
            ///
            /// # Errors
            /// [`BadId::NotAClientId`] unless it is 4 to 64 characters of `A-Z a-z 0-9 _ -`.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                if is_client_id(text) { Ok(Self(text.into())) } else { Err(BadId::NotAClientId) }
            }

            /// Reads an id that stands in the log, or comes through the compatibility API, whose
            /// rule is looser.
            ///
            /// # Errors
            /// [`BadId::NotRecordable`] if it is empty, longer than 512 bytes or has a control character.
            pub fn recorded(text: &str) -> Result<Self, BadId> {
                if is_recordable(text) { Ok(Self(text.into())) } else { Err(BadId::NotRecordable) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<Arc<str>> for $name {
            type Error = BadId;
            fn try_from(text: Arc<str>) -> Result<Self, BadId> {
                if is_recordable(&text) { Ok(Self(text)) } else { Err(BadId::NotRecordable) }
            }
        }

        impl From<$name> for Arc<str> {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id!(
    /// An order.
    OrderId
);
id!(
    /// A stock keeping unit: one thing that can be counted and sold.
    Sku
);
id!(
    /// One delivery of units to the shelf; the natural key of a restock.
    LotId
);
id!(
    /// A customer. Stands for a person in the log, which never holds the person's name.
    CustomerId
);
id!(
    /// An entry of the catalogue.
    ProductId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_4_to_64_plain_characters() {
        for good in ["abcd", "A-1_z", &"x".repeat(64)] {
            assert_eq!(OrderId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "abc", "a b c", "ab#cd", "äbcd", "a/bc", &"x".repeat(65)] {
            assert_eq!(OrderId::parse(bad), Err(BadId::NotAClientId), "{bad:?}");
        }
    }

    #[test]
    fn a_recorded_id_may_be_looser_but_never_empty_or_a_control_character() {
        assert!(Sku::recorded("a b#ü").is_ok());
        for bad in ["", "a\nb", &"x".repeat(513)] {
            assert_eq!(Sku::recorded(bad), Err(BadId::NotRecordable), "{bad:?}");
        }
    }
}
