//! A secret that every process over one store shares, read once.

use std::sync::{Arc, OnceLock};

use event_store::{Secrets, StoreError};

use crate::random;

/// What tokens are signed with: [`crate::token`].
pub const TOKENS: &str = "tokens";
/// What the cursors of lists are signed with.
pub const CURSORS: &str = "cursors";

/// A secret of a name, made by whoever needs it first.
pub struct SharedSecret {
    secrets: Arc<dyn Secrets>,
    name: &'static str,
    known: OnceLock<[u8; 32]>,
}

impl SharedSecret {
    /// The secret of a name; it is asked for when it is needed.
    pub fn new(secrets: Arc<dyn Secrets>, name: &'static str) -> SharedSecret {
        SharedSecret { secrets, name, known: OnceLock::new() }
    }

    /// The secret.
    ///
    /// # Errors
    /// The store's.
    pub async fn get(&self) -> Result<[u8; 32], StoreError> {
        if let Some(known) = self.known.get() {
            return Ok(*known);
        }
        let secret = self.secrets.secret(self.name, random::bytes()).await?;
        Ok(*self.known.get_or_init(|| secret))
    }

    /// The secret, if it was ever needed; for whoever looks at what others signed, and may not write.
    ///
    /// # Errors
    /// The store's.
    pub async fn if_any(&self) -> Result<Option<[u8; 32]>, StoreError> {
        if let Some(known) = self.known.get() {
            return Ok(Some(*known));
        }
        let secret = self.secrets.known_secret(self.name).await?;
        Ok(secret.map(|secret| *self.known.get_or_init(|| secret)))
    }
}
