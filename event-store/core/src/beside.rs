//! What is stored beside the log, its rows and those who may ask: for whoever has to look everywhere.

use async_trait::async_trait;

use crate::log::StoreError;

/// A text that is stored somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredText {
    /// What it is: `answer`, `message`, `dead letter`.
    pub place: &'static str,
    /// Under which key.
    pub key: String,
    /// What it says.
    pub text: String,
}

/// Everything that a store keeps beside the log, the rows, users and keys, and that says what somebody sent or was told.
///
/// What must hold: what was there when the first page was asked for and is there still comes exactly once.
#[async_trait]
pub trait Beside: Send + Sync {
    /// Some of it behind a cursor, about `limit`, and the cursor behind them; `None` at the end.
    async fn beside(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<StoredText>, Option<String>), StoreError>;
}
