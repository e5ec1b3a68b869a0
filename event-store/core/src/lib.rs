//! The ports to what endures: the log, the read models, and the gateway's intents.
//!
//! A port's documentation says what must hold; [`conformance`] checks it; every adapter runs the
//! whole suite.

pub mod access;
pub mod beside;
pub mod idempotency;
pub mod intents;
pub mod log;
pub mod rows;
pub mod shadow;
pub mod stamper;
pub mod views;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "conformance")]
pub mod memory;

pub use access::{
    Added, Allowance, Forgotten, Key, KeyRow, Keys, Role, Secrets, Tries, Try, User, UserRow, Users,
};
pub use beside::{Beside, StoredText};
pub use idempotency::{Claim, Claimed, Held, Idempotency, Kept, KeptAnswer};
pub use intents::{IntentStore, Versioned};
pub use log::{Appended, ChangeFeed, EventLog, LogScan, Position, ScanPage, Segment, StoreError, check};
pub use rows::{
    CustomerRow, DeliveryRow, DeliveryStatus, LedgerEntry, OrderRow, OrderRows, PaymentRow, PaymentStatus,
    Personal, ProductRow, StockRow, View, ViewRow,
};
pub use shadow::{Copy, Progress, ShadowViews};
pub use stamper::{Stamper, SystemStamper};
pub use views::{After, CatalogViews, Direction, OrderQuery, OrderViews, Page, StockViews, Window};
