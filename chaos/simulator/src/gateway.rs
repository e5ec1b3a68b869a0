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
use crate::swarm::Switch;

/// A gateway outside of the system: one intent per order, which is its idempotency key.
pub struct OutsideGateway {
    /// How it is reached.
    pub ports: Ports,
}

impl OutsideGateway {
    /// Changes an order's intent in the gateway's own books, which nothing interrupts.
    fn change<T>(
        ports: &Ports,
        order: &OrderId,
        change: impl FnOnce(&mut Intent) -> T,
    ) -> Result<T, GatewayError> {
        let store = &*ports.store;
        let Versioned { mut intent, version } =
            at_once(store.load(order)).map_err(|cause| GatewayError(cause.to_string()))?;
        let answer = change(&mut intent);
        ports.sim.core().said.push(Said::Asked(order.clone()));
        at_once(store.save(order, intent, version)).map_err(|cause| GatewayError(cause.to_string()))?;
        Ok(answer)
    }

    /// Whether it cannot for now.
    fn fails(ports: &Ports) -> bool {
        let mut core = ports.sim.core();
        let share = core.swarm.gateway_failures;
        !core.peace && core.fate.f32() < share && core.strikes(ports.sim.now(), Switch::GatewayFailures)
    }
}

#[async_trait]
impl Gateway for OutsideGateway {
    async fn charge(&self, order: &OrderId, amount: Money) -> Result<Charged, GatewayError> {
        let id = order.clone();
        let charged = self.ports.write(Call::Charge, move |ports| {
            let fails = OutsideGateway::fails(ports);
            OutsideGateway::change(ports, &id, |intent| intent.charge(amount, fails))
        });
        let charged = charged.await?;
        match charged {
            Charge::Charged => Ok(Charged::Charged { payment_id: format!("pay-{order}") }),
            Charge::Declined(reason) => Ok(Charged::Declined { reason: reason.to_owned() }),
            Charge::Refused => Ok(Charged::Refused),
            Charge::Failed => Err(GatewayError("not now".into())),
        }
    }

    async fn cancel(&self, order: &OrderId) -> Result<Option<String>, GatewayError> {
        let id = order.clone();
        let cancel = move |ports: &Ports| OutsideGateway::change(ports, &id, Intent::cancel);
        let charged = self.ports.write(Call::CancelIntent, cancel).await?;
        if charged {
            self.ports.sim.saw(Sometimes::ChargedUnseen);
        }
        Ok(charged.then(|| format!("pay-{order}")))
    }

    async fn refund(&self, order: &OrderId) -> Result<(), GatewayError> {
        let id = order.clone();
        let refund = move |ports: &Ports| OutsideGateway::change(ports, &id, Intent::refund);
        self.ports.write(Call::Refund, refund).await
    }
}
