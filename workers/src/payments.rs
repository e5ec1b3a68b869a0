//! The payments worker: the only one that talks to the gateway and writes down what came of it.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{Appended, EventLog, Stamper};
use events::{Event, Money, OrderId, OrderPaymentAccepted, RecordedEvent, StreamKey};
use payments::{Closure, MAX_ATTEMPTS, Owed, Step, accepted, attempted, declined, refunded};

use crate::gateway::{Charged, Gateway};
use crate::reconcile::{MAX_STEPS, append, too_many_steps};
use crate::{Nudge, Reconcile, Worker, WorkerError};

/// What the payments worker needs.
pub struct PaymentsWorker {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where money is taken.
    pub gateway: Arc<dyn Gateway>,
    /// Its clock and ids.
    pub stamper: Arc<dyn Stamper>,
}

/// Whether the worker looks at the order again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    LookAgain,
    Stop,
}

#[async_trait]
impl Reconcile for PaymentsWorker {
    fn name(&self) -> &'static str {
        Worker::Payments.binary()
    }

    async fn reconcile(&self, stream: &StreamKey, _nudge: &Nudge) -> Result<(), WorkerError> {
        let StreamKey::Order(order) = stream else { return Ok(()) };
        let pk = stream.pk();
        for _ in 0..MAX_STEPS {
            let events = self.log.read_stream(&pk).await?;
            let facts = payments::fold(events.iter().map(|item| &**item));
            let Some(owed) = payments::decide(&facts) else { return Ok(()) };
            let decided = Decided { order, events: &events, because_of: owed.because_of };
            if self.settle(&decided, &owed).await? == Next::Stop {
                return Ok(());
            }
        }
        Err(too_many_steps(stream))
    }
}

/// What a step was decided from.
struct Decided<'a> {
    order: &'a OrderId,
    events: &'a [Arc<RecordedEvent>],
    because_of: &'a RecordedEvent,
}

impl PaymentsWorker {
    async fn settle(&self, decided: &Decided<'_>, owed: &Owed<'_>) -> Result<Next, WorkerError> {
        match &owed.what {
            Step::Attempt { number, amount, currency } => {
                self.attempt(decided, *number, *amount, currency).await
            }
            Step::Close(closure) => self.close(decided, closure).await,
            Step::Refund(paid) => self.refund(decided, paid).await,
        }
    }

    /// Claims an attempt, and only then asks for the money. A claim that is taken is somebody else's,
    /// and so is what follows from it.
    async fn attempt(
        &self,
        decided: &Decided<'_>,
        number: u32,
        amount: Money,
        currency: &events::Currency,
    ) -> Result<Next, WorkerError> {
        let order = decided.order;
        let Appended::Stored(claim) = self.append(decided, attempted(order, number)).await? else {
            return Ok(Next::Stop);
        };
        let outcome = match self.gateway.charge(order, amount).await {
            // Nothing is left to try, so there is nothing to wait for: the next look closes the intent.
            Err(_) if number >= MAX_ATTEMPTS => return Ok(Next::LookAgain),
            charged => charged?,
        };
        let outcome = match outcome {
            Charged::Charged { payment_id } => accepted(order, &payment_id, amount, currency),
            Charged::Declined { reason } => declined(order, &reason, number),
            Charged::Refused => return Ok(Next::LookAgain),
        };
        let because_of_the_claim = Decided {
            order,
            events: &[decided.events, std::slice::from_ref(&claim)].concat(),
            because_of: &claim,
        };
        self.append(&because_of_the_claim, outcome).await?;
        Ok(Next::LookAgain)
    }

    /// Closes the intent, so that no late charge can come, and writes down what turned out to be true.
    async fn close(&self, decided: &Decided<'_>, closure: &Closure<'_>) -> Result<Next, WorkerError> {
        let charged = self.gateway.cancel(decided.order).await?;
        self.append(decided, closure.outcome(charged.as_deref())).await?;
        Ok(Next::LookAgain)
    }

    /// Gives the money back, then says so: said first, a crash would keep it.
    async fn refund(&self, decided: &Decided<'_>, paid: &OrderPaymentAccepted) -> Result<Next, WorkerError> {
        self.gateway.refund(decided.order).await?;
        self.append(decided, refunded(paid)).await?;
        Ok(Next::LookAgain)
    }

    async fn append(&self, decided: &Decided<'_>, event: Event) -> Result<Appended, WorkerError> {
        let Decided { events, because_of, .. } = decided;
        append(&*self.log, &*self.stamper, events, event, Vec::new(), because_of).await
    }
}
