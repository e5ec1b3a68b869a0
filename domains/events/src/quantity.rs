//! How many units: at least one, and never so many that a sum of them could overflow.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of units, 1 to [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Quantity(u32);

/// A number that is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to {}", Quantity::MAX)]
pub struct BadQuantity;

impl Quantity {
    /// The most units one line or lot can name.
    pub const MAX: u32 = 1_000_000_000;

    /// So many units.
    ///
    /// # Errors
    /// 0, or more than [`Quantity::MAX`].
    pub fn new(units: u64) -> Result<Self, BadQuantity> {
        match u32::try_from(units) {
            Ok(units @ 1..=Self::MAX) => Ok(Quantity(units)),
            _ => Err(BadQuantity),
        }
    }

    /// The number of units.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The sum of both, if it is a quantity.
    pub fn plus(self, other: Quantity) -> Option<Quantity> {
        Quantity::new(u64::from(self.0) + u64::from(other.0)).ok()
    }

    /// The number of units as a counter movement.
    pub fn units(self) -> i64 {
        i64::from(self.0)
    }
}

impl TryFrom<u64> for Quantity {
    type Error = BadQuantity;
    fn try_from(units: u64) -> Result<Self, BadQuantity> {
        Quantity::new(units)
    }
}

impl From<Quantity> for u64 {
    fn from(quantity: Quantity) -> Self {
        u64::from(quantity.0)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_one_to_a_thousand_million() {
        assert!(Quantity::new(1).is_ok() && Quantity::new(1_000_000_000).is_ok());
        for bad in [0, 1_000_000_001, u64::MAX] {
            assert_eq!(Quantity::new(bad), Err(BadQuantity));
        }
        assert!(serde_json::from_str::<Quantity>("-1").is_err());
        assert!(serde_json::from_str::<Quantity>("1.5").is_err());
    }

    #[test]
    fn units_are_the_same_number_in_a_sum_in_a_counter_and_in_words() {
        let (two, five) = (Quantity(2), Quantity(5));
        assert_eq!((five.get(), five.units(), five.to_string()), (5, 5, "5".to_owned()));
        assert_eq!(two.plus(five), Some(Quantity(7)));
        assert_eq!(Quantity(Quantity::MAX - 2).plus(two), Some(Quantity(Quantity::MAX)));
        assert_eq!(Quantity(Quantity::MAX).plus(two), None);
    }
}
