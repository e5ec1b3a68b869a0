//! Somebody else's payment gateway: it keeps its own books, and may fail, but never forgets.

use async_trait::async_trait;
use event_store::{IntentStore, Versioned};
use events::{Money, OrderId};
use payments::intent::{Charge, Intent};
use workers::{Charged, Gateway, GatewayError};

use crate::figures::Sometimes;
use crate::ports::{Ports, at_once};
use crate::sim::Said;
use crate::site::Call;

/// A gateway outside of the system: one intent per order, which is its idempotency key.
pub struct OutsideGateway {
    /// How it is reached.
    pub ports: Ports,
}

impl OutsideGateway {
    /// Changes an order's intent in the gateway's own books, which nothing interrupts.
    fn change<T>(&self, order: &OrderId, change: impl FnOnce(&mut Intent) -> T) -> Result<T, GatewayError> {
        let store = &*self.ports.store;
        let Versioned { mut intent, version } =
            at_once(store.load(order)).map_err(|cause| GatewayError(cause.to_string()))?;
        let answer = change(&mut intent);
        self.ports.sim.core().said.push(Said::Asked(order.clone()));
        at_once(store.save(order, intent, version)).map_err(|cause| GatewayError(cause.to_string()))?;
        Ok(answer)
    }

    /// Whether it cannot for now.
    fn fails(&self) -> bool {
        let mut core = self.ports.sim.core();
        let share = core.swarm.gateway_failures;
        !core.peace && core.fate.f32() < share && core.faults.strike().is_some()
    }
}

#[async_trait]
impl Gateway for OutsideGateway {
    async fn charge(&self, order: &OrderId, amount: Money) -> Result<Charged, GatewayError> {
        let charged = self
            .ports
            .sim
            .call(Call::Charge, || {
                let fails = self.fails();
                self.change(order, |intent| intent.charge(amount, fails))
            })
            .await?;
        match charged {
            Charge::Charged => Ok(Charged::Charged { payment_id: format!("pay-{order}") }),
            Charge::Declined(reason) => Ok(Charged::Declined { reason: reason.to_owned() }),
            Charge::Refused => Ok(Charged::Refused),
            Charge::Failed => Err(GatewayError("not now".into())),
        }
    }

    async fn cancel(&self, order: &OrderId) -> Result<Option<String>, GatewayError> {
        let charged = self.ports.sim.call(Call::CancelIntent, || self.change(order, Intent::cancel)).await?;
        if charged {
            self.ports.sim.saw(Sometimes::ChargedUnseen);
        }
        Ok(charged.then(|| format!("pay-{order}")))
    }

    async fn refund(&self, order: &OrderId) -> Result<(), GatewayError> {
        self.ports.sim.call(Call::Refund, || self.change(order, Intent::refund)).await
    }
}
