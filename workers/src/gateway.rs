//! The port to whoever takes the money.

use async_trait::async_trait;
use events::{Money, OrderId};

use crate::WorkerError;

/// How a charge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charged {
    /// The money is taken, now or by an earlier call.
    Charged {
        /// The gateway's id of the payment.
        payment_id: String,
    },
    /// The gateway says no, for good.
    Declined {
        /// Why.
        reason: String,
    },
    /// The intent was closed by [`Gateway::cancel`] before.
    Refused,
}

/// The gateway did not answer, or answered that it cannot now. The call may have had its effect;
/// repeating it is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to reach the payment gateway: {0}")]
pub struct GatewayError(pub String);

impl From<GatewayError> for WorkerError {
    fn from(error: GatewayError) -> Self {
        WorkerError::Transient(error.to_string())
    }
}

/// A payment gateway with one intent per order.
///
/// What must hold: `charge` repeated answers its first outcome and takes money at most once; after
/// `cancel` no charge succeeds, and `cancel` says whether one had; `refund` repeated gives back once.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Takes the money of an order.
    async fn charge(&self, order: &OrderId, amount: Money) -> Result<Charged, GatewayError>;

    /// Closes the intent for good; gives the payment's id if money had been taken.
    async fn cancel(&self, order: &OrderId) -> Result<Option<String>, GatewayError>;

    /// Gives the money back, if it was taken.
    async fn refund(&self, order: &OrderId) -> Result<(), GatewayError>;
}
