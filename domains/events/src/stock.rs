//! How the counters of one SKU move together with the event that explains it.

use serde::{Deserialize, Serialize};

use crate::{Quantity, Sku};

/// The movement of one SKU's counters, in units. A field that does not move is left out of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockDelta {
    /// Whose counters.
    pub sku: Sku,
    /// Change of what can still be promised.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub available: i64,
    /// Change of what is held for orders that are not settled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: i64,
    /// Change of what was sold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sold: i64,
}

fn is_zero(units: &i64) -> bool {
    *units == 0
}

impl StockDelta {
    fn moving(sku: &Sku, available: i64, reserved: i64, sold: i64) -> Self {
        StockDelta { sku: sku.clone(), available, reserved, sold }
    }

    /// A lot arrives: `available +q`.
    pub fn receive(sku: &Sku, quantity: Quantity) -> Self {
        Self::moving(sku, quantity.units(), 0, 0)
    }

    /// Units are held for an order: `available -q`, `reserved +q`.
    pub fn reserve(sku: &Sku, quantity: Quantity) -> Self {
        Self::moving(sku, -quantity.units(), quantity.units(), 0)
    }

    /// Held units are sold: `reserved -q`, `sold +q`.
    pub fn commit(sku: &Sku, quantity: Quantity) -> Self {
        Self::moving(sku, 0, -quantity.units(), quantity.units())
    }

    /// Held units go back: `reserved -q`, `available +q`.
    pub fn release(sku: &Sku, quantity: Quantity) -> Self {
        Self::moving(sku, quantity.units(), -quantity.units(), 0)
    }

    /// Sold units come back: `sold -q`, `available +q`.
    pub fn give_back(sku: &Sku, quantity: Quantity) -> Self {
        Self::moving(sku, quantity.units(), 0, -quantity.units())
    }
}
