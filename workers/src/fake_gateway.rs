//! The built-in gateway: durable intents, and failures that a seed decides.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{IntentStore, StoreError};
use events::{Money, OrderId};
use payments::intent::{Charge, Intent};

use crate::gateway::{Charged, Gateway, GatewayError};

/// A gateway that takes no real money. Amounts of 0 and from 100,000 on are declined; a share of the
/// charges fails on the way, decided by seed, order and how often the order was charged before.
pub struct FakeGateway {
    /// Where it keeps its intents.
    pub intents: Arc<dyn IntentStore>,
    /// Which share of charges fails on the way, 0 to 1.
    pub failure_share: f64,
    /// Decides which.
    pub seed: u64,
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        GatewayError(error.to_string())
    }
}

impl FakeGateway {
    /// Changes an intent, however often somebody else is faster.
    async fn change<T>(
        &self,
        order: &OrderId,
        change: impl Fn(&mut Intent) -> T + Send + Sync,
    ) -> Result<T, GatewayError> {
        loop {
            let stored = self.intents.load(order).await?;
            let mut intent = stored.intent.clone();
            let answer = change(&mut intent);
            if intent == stored.intent || self.intents.save(order, intent, stored.version).await? {
                return Ok(answer);
            }
        }
    }

    fn fails(&self, order: &OrderId, call: u32) -> bool {
        let drawn = draw(self.seed, order.as_str(), call) >> 11;
        (drawn as f64 / (1u64 << 53) as f64) < self.failure_share
    }
}

/// The gateway's id of an order's payment.
fn payment_id(order: &OrderId) -> String {
    format!("pay-{order}")
}

#[async_trait]
impl Gateway for FakeGateway {
    async fn charge(&self, order: &OrderId, amount: Money) -> Result<Charged, GatewayError> {
        let charge = |intent: &mut Intent| intent.charge(amount, self.fails(order, intent.calls));
        match self.change(order, charge).await? {
            Charge::Charged => Ok(Charged::Charged { payment_id: payment_id(order) }),
            Charge::Declined(reason) => Ok(Charged::Declined { reason: reason.to_owned() }),
            Charge::Refused => Ok(Charged::Refused),
            Charge::Failed => Err(GatewayError("it failed on the way, as its seed decided".into())),
        }
    }

    async fn cancel(&self, order: &OrderId) -> Result<Option<String>, GatewayError> {
        let charged = self.change(order, Intent::cancel).await?;
        Ok(charged.then(|| payment_id(order)))
    }

    async fn refund(&self, order: &OrderId) -> Result<(), GatewayError> {
        self.change(order, Intent::refund).await
    }
}

/// 64 bits from a seed, an order and a number: FNV-1a over the text, mixed by SplitMix64. Both are
/// fixed by their definitions, so a seed means the same in every build.
fn draw(seed: u64, order: &str, call: u32) -> u64 {
    let text = order.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = text ^ seed.rotate_left(32) ^ u64::from(call).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_draws_falls_below_that_share() {
        let draws = (0..10_000).map(|order| draw(7, &format!("order-{order}"), 0) >> 11);
        let below = draws.filter(|drawn| (*drawn as f64 / (1u64 << 53) as f64) < 0.7).count();
        assert!((6_800..7_200).contains(&below), "{below}");
    }

    /// The figures are those of the definitions, computed by another program.
    #[test]
    fn a_seed_draws_the_same_in_every_build() {
        let draws = [(7, "order-1", 0), (7, "order-1", 1), (8, "order-1", 0), (7, "order-2", 0), (0, "", 0)];
        let drawn = draws.map(|(seed, order, call)| draw(seed, order, call));
        assert_eq!(
            drawn,
            [
                0x3bb7_01ae_666e_ff13,
                0x7ee3_2c6e_8007_8b90,
                0x9004_d6f4_c1fe_992a,
                0x0678_f205_550d_82a9,
                0xf52a_15e9_a9b5_e89b
            ]
        );
    }
}
