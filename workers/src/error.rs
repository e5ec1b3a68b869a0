//! Why a worker did not finish, and whether it is worth asking it again.

use event_store::StoreError;

/// Why a message was not handled. A refusal of the domain is never here: it is an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The world is broken for now: ask again later.
    #[error("{0}")]
    Transient(String),
    /// No repetition will help: the message belongs into the dead-letter queue, for a person to look at.
    #[error("{0}")]
    Permanent(String),
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => WorkerError::Transient(error.to_string()),
            StoreError::TooLarge { .. } | StoreError::TooManyCounters { .. } => {
                WorkerError::Permanent(error.to_string())
            }
        }
    }
}
