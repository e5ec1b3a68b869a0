//! Where the built-in gateway keeps its payment intents.

use async_trait::async_trait;
use events::OrderId;
use payments::intent::Intent;

use crate::log::StoreError;

/// An intent and how often it was written; 0 for one that is not there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versioned {
    /// The intent.
    pub intent: Intent,
    /// How often it was written.
    pub version: u64,
}

/// Payment intents, one per order. What must hold: an intent is written only over the version that it
/// was computed from, and a write that was acknowledged survives a crash of everything.
#[async_trait]
pub trait IntentStore: Send + Sync {
    /// The intent of an order; a fresh one of version 0 if there is none.
    async fn load(&self, order: &OrderId) -> Result<Versioned, StoreError>;

    /// Writes the intent if the stored version is still `computed_from`; says whether it was.
    async fn save(&self, order: &OrderId, intent: Intent, computed_from: u64) -> Result<bool, StoreError>;
}
