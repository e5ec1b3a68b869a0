//! Whose history an event belongs to: the partition key of the log.

use std::fmt;

use crate::{CustomerId, OrderId, ProductId, Sku};

/// The stream of one order, SKU, customer or product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKey {
    /// `EVENTS#ORDER_ID#<order_id>`
    Order(OrderId),
    /// `EVENTS#SKU#<sku>`
    Sku(Sku),
    /// `EVENTS#CUSTOMER_ID#<id>`
    Customer(CustomerId),
    /// `EVENTS#PRODUCT_ID#<id>`
    Product(ProductId),
}

const ORDER: &str = "EVENTS#ORDER_ID#";
const SKU: &str = "EVENTS#SKU#";
const CUSTOMER: &str = "EVENTS#CUSTOMER_ID#";
const PRODUCT: &str = "EVENTS#PRODUCT_ID#";

impl StreamKey {
    /// Reads a partition key; `None` for a key that only a raw event can have written.
    pub fn parse(pk: &str) -> Option<StreamKey> {
        if let Some(id) = pk.strip_prefix(ORDER) {
            return OrderId::recorded(id).ok().map(StreamKey::Order);
        }
        if let Some(id) = pk.strip_prefix(SKU) {
            return Sku::recorded(id).ok().map(StreamKey::Sku);
        }
        if let Some(id) = pk.strip_prefix(CUSTOMER) {
            return CustomerId::recorded(id).ok().map(StreamKey::Customer);
        }
        let id = pk.strip_prefix(PRODUCT)?;
        ProductId::recorded(id).ok().map(StreamKey::Product)
    }

    /// The partition key as it is stored.
    pub fn pk(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamKey::Order(id) => write!(f, "{ORDER}{id}"),
            StreamKey::Sku(id) => write!(f, "{SKU}{id}"),
            StreamKey::Customer(id) => write!(f, "{CUSTOMER}{id}"),
            StreamKey::Product(id) => write!(f, "{PRODUCT}{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read_back() {
        for pk in ["EVENTS#ORDER_ID#o-1", "EVENTS#SKU#a#b", "EVENTS#CUSTOMER_ID#c", "EVENTS#PRODUCT_ID#p"] {
            assert_eq!(StreamKey::parse(pk).unwrap().pk(), pk);
        }
        for strange in ["", "EVENTS#", "EVENTS#ORDER_ID#", "ORDER#1", "events#sku#1"] {
            assert_eq!(StreamKey::parse(strange), None, "{strange}");
        }
    }
}
