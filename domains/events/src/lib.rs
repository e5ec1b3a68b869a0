//! The published language: every event this system stores, and how it reads one that it did not write.
//!
//! Nothing here knows a clock, a store or a network. What an event is called, which slot of which
//! stream it settles and what it carries is said once, in the table of [`mod@event`]; what a stream
//! item looks like in [`recorded`]; how older spellings are read in [`decode`].

pub mod anomaly;
pub mod decode;
pub mod event;
pub mod fact;
pub mod ids;
pub mod money;
pub mod payload;
pub mod quantity;
pub mod recorded;
#[cfg(feature = "schema")]
pub mod schema;
pub mod slot;
pub mod stock;
pub mod stream;
pub mod timestamp;

pub use anomaly::{Anomaly, anomalies};
pub use decode::Undecodable;
pub use event::{Event, EventName};
pub use fact::{Fact, Settled};
pub use ids::{BadId, CustomerId, LotId, OrderId, ProductId, Sku};
pub use money::{BadMoney, Currency, Money};
pub use payload::*;
pub use quantity::{BadQuantity, Quantity};
pub use recorded::{Causes, RecordedEvent, Stamp, next_event_id};
pub use slot::Slot;
pub use stock::StockDelta;
pub use stream::StreamKey;
pub use timestamp::Timestamp;
pub use ulid::Ulid;
