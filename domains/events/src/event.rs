//! The table of published events: name, version, slot, and what an older system called it.

use std::fmt;

use crate::payload::*;
use crate::{Slot, StreamKey};

macro_rules! published_events {
    ($($(#[doc = $doc:literal])* $name:ident version $version:literal stream $stream:ident($id:ident)
        slot |$event:ident| $slot:expr, also $also:expr;)*) => {
        /// An event with its payload.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[doc = $doc])* $name($name),)*
        }

        /// The name of a published event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName {
            $($(#[doc = $doc])* $name,)*
        }

        impl EventName {
            /// Every published event, in the order of the table.
            pub const ALL: &'static [EventName] = &[$(EventName::$name,)*];

            /// The PascalCase name that is stored.
            pub fn as_str(self) -> &'static str {
                match self { $(EventName::$name => stringify!($name),)* }
            }

            /// What an older system of the same shape called it.
            pub fn also(self) -> &'static [&'static str] {
                match self { $(EventName::$name => &$also,)* }
            }

            /// The version of the payload that this code writes.
            pub fn version(self) -> u32 {
                match self { $(EventName::$name => $version,)* }
            }

            /// What it is, in one sentence.
            pub fn says(self) -> &'static str {
                match self { $(EventName::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The schema of its payload.
            #[cfg(feature = "schema")]
            pub(crate) fn schema(self, generator: schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(EventName::$name => generator.into_root_schema_for::<$name>(),)* }
            }
        }

        impl Event {
            /// What the event is called.
            pub fn name(&self) -> EventName {
                match self { $(Event::$name(_) => EventName::$name,)* }
            }

            /// The decision it settles.
            pub fn slot(&self) -> Slot {
                match self { $(Event::$name($event) => $slot,)* }
            }

            /// The stream it belongs to.
            pub fn stream(&self) -> StreamKey {
                match self { $(Event::$name(event) => StreamKey::$stream(event.$id.clone()),)* }
            }

            /// The payload as JSON text, fields in the order of the struct, so equal payloads are equal texts.
            pub fn to_data(&self) -> String {
                let text = match self { $(Event::$name(event) => serde_json::to_string(event),)* };
                text.expect("a payload has only text keys and finite numbers")
            }

            /// Reads a payload of the version that this code writes.
            pub(crate) fn from_data(name: EventName, data: &str) -> Result<Event, serde_json::Error> {
                match name { $(EventName::$name => serde_json::from_str(data).map(Event::$name),)* }
            }
        }
    };
}

published_events! {
    /// A customer placed an order.
    OrderPlaced version 1 stream Order(order_id) slot |_e| Slot::OrderPlaced, also ["ORDER_PLACED_EVENT"];
    /// The order asks for its stock.
    ReserveInventory version 1 stream Order(order_id) slot |_e| Slot::ReserveInventory, also ["ORDER_CREATED_EVENT"];
    /// Every line of the order is held.
    InventoryReserved version 1 stream Order(order_id) slot |_e| Slot::Reservation, also ["ORDER_STOCK_ALLOCATED_EVENT"];
    /// Nothing of the order could be held.
    InventoryReservationFailed version 1 stream Order(order_id) slot |_e| Slot::Reservation, also ["ORDER_STOCK_DEPLETED_EVENT"];
    /// A payments worker took the right to call the gateway once.
    PaymentAttempted version 1 stream Order(order_id) slot |e| Slot::PaymentAttempt(e.attempt), also [];
    /// An operator says that the order was paid by another way.
    ManualPaymentRecorded version 1 stream Order(order_id) slot |_e| Slot::ManualPayment, also [];
    /// The order is paid.
    OrderPaymentAccepted version 1 stream Order(order_id) slot |_e| Slot::Payment, also ["ORDER_PAYMENT_ACCEPTED_EVENT"];
    /// The order will never be paid.
    OrderPaymentRejected version 1 stream Order(order_id) slot |_e| Slot::Payment, also ["ORDER_PAYMENT_REJECTED_EVENT"];
    /// Held stock was sold.
    InventoryCommitted version 1 stream Order(order_id) slot |_e| Slot::Settlement, also [];
    /// Held stock went back to the shelf.
    InventoryReleased version 1 stream Order(order_id) slot |_e| Slot::Settlement, also [];
    /// The order was cancelled on request.
    OrderCancelled version 1 stream Order(order_id) slot |_e| Slot::Closing, also ["ORDER_CANCELED_EVENT", "ORDER_CANCELLED_EVENT"];
    /// The parcel left.
    OrderShipped version 1 stream Order(order_id) slot |_e| Slot::Closing, also ["ORDER_SHIPPED_EVENT"];
    /// The parcel arrived.
    OrderDelivered version 1 stream Order(order_id) slot |_e| Slot::Delivery, also ["ORDER_DELIVERED_EVENT"];
    /// Money was given back.
    OrderPaymentRefunded version 1 stream Order(order_id) slot |_e| Slot::Refund, also [];
    /// Sold stock came back to the shelf.
    InventoryReturned version 1 stream Order(order_id) slot |_e| Slot::Return, also [];
    /// Somebody sent a lot of units.
    SkuRestocked version 1 stream Sku(sku) slot |e| Slot::SkuRestocked(e.lot_id.clone()), also ["SKU_RESTOCKED_EVENT"];
    /// The lot was counted onto the shelf.
    StockReceived version 1 stream Sku(sku) slot |e| Slot::StockReceived(e.lot_id.clone()), also [];
    /// The customer exists.
    CustomerRegistered version 1 stream Customer(customer_id) slot |_e| Slot::CustomerRegistered, also [];
    /// The customer's personal data is gone.
    CustomerErased version 1 stream Customer(customer_id) slot |_e| Slot::CustomerErased, also [];
    /// The product can be ordered.
    ProductListed version 1 stream Product(product_id) slot |_e| Slot::ProductListed, also [];
    /// The product costs something else from now on.
    ProductRepriced version 1 stream Product(product_id) slot |e| Slot::ProductRepriced(e.revision), also [];
    /// The product can no longer be ordered.
    ProductWithdrawn version 1 stream Product(product_id) slot |_e| Slot::ProductWithdrawn, also [];
}

impl EventName {
    /// Finds a published event by the name that is stored; `None` for a name nobody knows.
    /// The second value says whether the name is the older system's.
    pub fn find(name: &str) -> Option<(EventName, bool)> {
        let own = EventName::ALL.iter().find(|known| known.as_str() == name);
        let older = || EventName::ALL.iter().find(|known| known.also().contains(&name));
        own.map(|known| (*known, false)).or_else(|| older().map(|known| (*known, true)))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
