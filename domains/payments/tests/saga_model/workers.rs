//! A worker's way through one message, one port call at a time.

use std::sync::Arc;

use events::{Currency, Event, Money, OrderId, RecordedEvent, ReserveInventory, StockDelta, StreamKey};
use inventory::Move;
use payments::Step;
use payments::intent::Charge;

use crate::Rule;
use crate::log::{Appended, Item};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    Orders,
    Inventory,
    Payments,
}

/// A nudge to look at the stream of an event.
#[derive(Debug, Clone)]
pub struct Message {
    pub to: Worker,
    pub about: Item,
}

/// The next port call of a worker.
#[derive(Debug, Clone)]
pub enum Call {
    Read,
    Append(Appending),
    Charge(Claimed),
    Cancel,
    Refund,
}

/// An event on its way into the log.
#[derive(Debug, Clone)]
pub struct Appending {
    pub event: Event,
    pub counters: Vec<StockDelta>,
    pub because_of: Item,
    then: Then,
}

/// What a worker does once its event is stored.
#[derive(Debug, Clone)]
enum Then {
    LookAgain,
    Charge(Claimed),
    OnShortage,
    Stop,
}

/// A claimed attempt.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub number: u32,
    pub amount: Money,
    currency: Currency,
    by: Option<Item>,
}

/// What a port answered.
pub enum Answer {
    Events(Vec<Item>),
    Appended(Appended),
    Charge(Charge),
    /// Whether money had been taken.
    Cancelled(bool),
    Refunded,
}

/// Where a worker goes from an answer.
pub enum Next {
    Call(Call),
    /// The message is done with.
    Done,
    /// The message goes back to its queue.
    Back,
    /// A raw event blocks the slot for good: the message is a dead letter.
    Blocked,
    /// What no history, forged or not, may lead to.
    Impossible(&'static str),
}

/// A worker busy with a message.
pub struct Task {
    pub message: Message,
    pub call: Call,
    /// What the worker knows of the stream: what it decided from.
    pub read: Vec<Item>,
    dropped: Option<Rule>,
}

impl Task {
    pub fn new(message: Message, dropped: Option<Rule>) -> Self {
        Task { message, call: Call::Read, read: Vec::new(), dropped }
    }

    fn drops(&self, rule: Rule) -> bool {
        self.dropped == Some(rule)
    }

    /// Where the worker goes from the answer to its call.
    pub fn next(&mut self, answer: Answer) -> Next {
        match (self.call.clone(), answer) {
            (Call::Read, Answer::Events(events)) => {
                self.read = events;
                self.decide().map_or(Next::Done, Next::Call)
            }
            (Call::Append(appending), Answer::Appended(appended)) => self.appended(appending, appended),
            (Call::Charge(claimed), Answer::Charge(charge)) => self.charged(claimed, charge),
            (Call::Cancel, Answer::Cancelled(charged)) => self.closed(charged),
            (Call::Refund, Answer::Refunded) => self.refunded(),
            _ => unreachable!("a port answers what it was asked"),
        }
    }

    fn decide(&self) -> Option<Call> {
        match (self.message.to, StreamKey::parse(&self.message.about.pk)?) {
            (Worker::Orders, StreamKey::Order(_)) => self.request(),
            (Worker::Inventory, StreamKey::Order(order)) => self.move_stock(&order),
            (Worker::Inventory, StreamKey::Sku(_)) => self.receive(),
            (Worker::Payments, StreamKey::Order(order)) => self.pay(&order),
            _ => None,
        }
    }

    fn events(&self) -> impl Iterator<Item = &RecordedEvent> + Clone {
        self.read.iter().map(|item| &**item)
    }

    fn item(&self, event: &RecordedEvent) -> Item {
        let same = |item: &&Item| item.event_id == event.event_id && item.sk == event.sk;
        self.read.iter().find(same).cloned().unwrap_or_else(|| Arc::new(event.clone()))
    }

    fn request(&self) -> Option<Call> {
        let facts = orders::fold(self.events());
        let orders::Owed::RequestInventory(placed) = orders::decide(&facts)?;
        let event = Event::ReserveInventory(ReserveInventory {
            order_id: placed.order_id.clone(),
            customer_id: placed.customer_id.clone(),
            items: orders::stock_lines(placed),
        });
        let because_of = self.item(facts.placed.by()?);
        Some(append(event, Vec::new(), because_of, Then::LookAgain))
    }

    fn move_stock(&self, order: &OrderId) -> Option<Call> {
        let facts = inventory::fold(self.events());
        let mut owed = inventory::decide(&facts)?;
        if self.drops(Rule::TakeBack) && owed.what == Move::Return {
            return None;
        }
        if self.drops(Rule::ForgedMovesNothing) {
            owed.moves_counters = true;
        }
        let then = if owed.what == Move::Reserve { Then::OnShortage } else { Then::LookAgain };
        Some(append(owed.event(order), owed.deltas(), self.item(owed.because_of), then))
    }

    fn receive(&self) -> Option<Call> {
        let item = self.message.about.clone();
        let Ok(Event::SkuRestocked(lot)) = item.event() else { return None };
        let (event, counters) = inventory::receive(lot);
        Some(append(event, counters, item, Then::Stop))
    }

    fn pay(&self, order: &OrderId) -> Option<Call> {
        let facts = payments::fold(self.events());
        let owed = payments::decide(&facts)?;
        let because_of = self.item(owed.because_of);
        Some(match owed.what {
            Step::Attempt { number, amount, currency } => {
                let claimed = Claimed { number, amount, currency: currency.clone(), by: None };
                if self.drops(Rule::ClaimBeforeCharging) {
                    return Some(Call::Charge(Claimed { by: Some(because_of), ..claimed }));
                }
                append(payments::attempted(order, number), Vec::new(), because_of, Then::Charge(claimed))
            }
            Step::Close(_) if self.is_cancelled() && self.drops(Rule::CloseWhatACancelledOrderClaimed) => {
                return None;
            }
            Step::Close(closure) if self.drops(Rule::CloseBeforeRejecting) => {
                append(closure.outcome(None), Vec::new(), because_of, Then::LookAgain)
            }
            Step::Close(_) => Call::Cancel,
            Step::Refund(_) if self.drops(Rule::Refund) => return None,
            Step::Refund(_) => Call::Refund,
        })
    }

    fn is_cancelled(&self) -> bool {
        orders::fold(self.events()).is_cancelled()
    }

    fn appended(&mut self, appending: Appending, appended: Appended) -> Next {
        let slot = appending.event.slot();
        match (appended, appending.then) {
            (Appended::Taken(taken), _) if !taken.event().is_ok_and(|event| event.slot() == slot) => {
                Next::Blocked
            }
            (Appended::Stored(claim), Then::Charge(claimed)) => {
                self.read.push(claim.clone());
                Next::Call(Call::Charge(Claimed { by: Some(claim), ..claimed }))
            }
            (Appended::Taken(claim), Then::Charge(claimed)) => {
                if self.drops(Rule::LeaveAClaimThatIsTaken) {
                    return Next::Call(Call::Charge(Claimed { by: Some(claim), ..claimed }));
                }
                Next::Done
            }
            (Appended::Short, Then::OnShortage) => {
                self.fall_short(&appending.because_of, &appending.counters)
            }
            (Appended::Short, _) => Next::Impossible("only what was asked for can be short"),
            (_, Then::Stop) => Next::Done,
            (_, Then::LookAgain | Then::OnShortage) => self.look_again(),
        }
    }

    fn fall_short(&mut self, because_of: &Item, asked: &[StockDelta]) -> Next {
        let Some(StreamKey::Order(order)) = StreamKey::parse(&because_of.pk) else { return Next::Blocked };
        if self.drops(Rule::AllLinesOrNone) && asked.len() > 1 {
            let event = match inventory::decide(&inventory::fold(self.events())) {
                Some(owed) => owed.event(&order),
                None => return Next::Done,
            };
            let some = asked[..asked.len() - 1].to_vec();
            return self.go(append(event, some, because_of.clone(), Then::OnShortage));
        }
        let failed = inventory::reservation_failed(&order, Vec::new());
        self.go(append(failed, Vec::new(), because_of.clone(), Then::LookAgain))
    }

    fn charged(&mut self, claimed: Claimed, charge: Charge) -> Next {
        let Some((claim, StreamKey::Order(order))) =
            claimed.by.and_then(|by| StreamKey::parse(&by.pk).map(|stream| (by, stream)))
        else {
            return Next::Done;
        };
        let outcome = match charge {
            Charge::Charged => payments::accepted(&order, "pay", claimed.amount, &claimed.currency),
            Charge::Declined(reason) => payments::declined(&order, reason, claimed.number),
            Charge::Refused => return self.look_again(),
            Charge::Failed if self.drops(Rule::RetryAFailedCharge) => return Next::Done,
            Charge::Failed => return Next::Back,
        };
        self.go(append(outcome, Vec::new(), claim, Then::LookAgain))
    }

    /// Writes down what a closed intent turned out to be, from the facts it was closed for.
    fn closed(&mut self, charged: bool) -> Next {
        let facts = payments::fold(self.events());
        let Some(payments::Owed { what: Step::Close(closure), because_of }) = payments::decide(&facts) else {
            unreachable!("the same facts make the same decision")
        };
        let outcome = closure.outcome(charged.then_some("pay"));
        let call = append(outcome, Vec::new(), self.item(because_of), Then::LookAgain);
        self.go(call)
    }

    fn refunded(&mut self) -> Next {
        let facts = payments::fold(self.events());
        let Some(payments::Owed { what: Step::Refund(paid), because_of }) = payments::decide(&facts) else {
            unreachable!("the same facts make the same decision")
        };
        let call = append(payments::refunded(paid), Vec::new(), self.item(because_of), Then::LookAgain);
        self.go(call)
    }

    fn look_again(&mut self) -> Next {
        if self.drops(Rule::LookAgain) { Next::Done } else { self.go(Call::Read) }
    }

    fn go(&mut self, call: Call) -> Next {
        Next::Call(call)
    }
}

fn append(event: Event, counters: Vec<StockDelta>, because_of: Item, then: Then) -> Call {
    Call::Append(Appending { event, counters, because_of, then })
}

/// Who is woken by an event: what can make a worker owe something. `workers/src/saga.rs` says the same.
pub fn listeners(event: &Event, dropped: Option<Rule>) -> Vec<Worker> {
    let heard = |worker: Worker, rule: Rule| (dropped != Some(rule)).then_some(worker);
    match event {
        Event::OrderPlaced(_) => vec![Worker::Orders],
        Event::ReserveInventory(_) | Event::SkuRestocked(_) => vec![Worker::Inventory],
        Event::InventoryReserved(_) | Event::ManualPaymentRecorded(_) => vec![Worker::Payments],
        Event::OrderPaymentAccepted(_) | Event::OrderPaymentRejected(_) => {
            heard(Worker::Inventory, Rule::InventoryHearsPayments).into_iter().collect()
        }
        Event::OrderCancelled(_) => {
            let inventory = heard(Worker::Inventory, Rule::InventoryHearsCancellations);
            let payments = heard(Worker::Payments, Rule::PaymentsHearsCancellations);
            inventory.into_iter().chain(payments).collect()
        }
        Event::InventoryReservationFailed(_)
        | Event::PaymentAttempted(_)
        | Event::InventoryCommitted(_)
        | Event::InventoryReleased(_)
        | Event::OrderShipped(_)
        | Event::OrderDelivered(_)
        | Event::OrderPaymentRefunded(_)
        | Event::InventoryReturned(_)
        | Event::StockReceived(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_) => Vec::new(),
    }
}
