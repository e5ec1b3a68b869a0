//! The decision an event settles inside its stream: the sort key of the log.

use std::fmt;

use crate::LotId;

/// One decision. The first event that claims it settles it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The order exists.
    OrderPlaced,
    /// Stock was asked for.
    ReserveInventory,
    /// Stock was held, or there was not enough.
    Reservation,
    /// The right to call the gateway for the n-th time.
    PaymentAttempt(u32),
    /// An operator says the money came by another way.
    ManualPayment,
    /// Money was taken, or never will be.
    Payment,
    /// Held stock was sold, or given back.
    Settlement,
    /// The order was cancelled, or shipped.
    Closing,
    /// The parcel arrived.
    Delivery,
    /// Money was given back.
    Refund,
    /// Sold stock came back to the shelf.
    Return,
    /// Somebody sent a lot of units.
    SkuRestocked(LotId),
    /// The lot was counted onto the shelf.
    StockReceived(LotId),
    /// The customer exists.
    CustomerRegistered,
    /// The customer's personal data is gone.
    CustomerErased,
    /// The product can be ordered.
    ProductListed,
    /// The n-th change of price.
    ProductRepriced(u32),
    /// The product can no longer be ordered.
    ProductWithdrawn,
}

impl Slot {
    /// The sort key as it is stored: `EVENT#<slot>`.
    pub fn sk(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EVENT#")?;
        match self {
            Slot::OrderPlaced => f.write_str("OrderPlaced"),
            Slot::ReserveInventory => f.write_str("ReserveInventory"),
            Slot::Reservation => f.write_str("Reservation"),
            Slot::PaymentAttempt(n) => write!(f, "PaymentAttempt#{n}"),
            Slot::ManualPayment => f.write_str("ManualPayment"),
            Slot::Payment => f.write_str("Payment"),
            Slot::Settlement => f.write_str("Settlement"),
            Slot::Closing => f.write_str("Closing"),
            Slot::Delivery => f.write_str("Delivery"),
            Slot::Refund => f.write_str("Refund"),
            Slot::Return => f.write_str("Return"),
            Slot::SkuRestocked(lot) => write!(f, "SkuRestocked#LOT_ID#{lot}"),
            Slot::StockReceived(lot) => write!(f, "StockReceived#LOT_ID#{lot}"),
            Slot::CustomerRegistered => f.write_str("CustomerRegistered"),
            Slot::CustomerErased => f.write_str("CustomerErased"),
            Slot::ProductListed => f.write_str("ProductListed"),
            Slot::ProductRepriced(revision) => write!(f, "ProductRepriced#{revision}"),
            Slot::ProductWithdrawn => f.write_str("ProductWithdrawn"),
        }
    }
}
