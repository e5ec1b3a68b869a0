//! The promises: what must hold of streams, payments and counters, said and checked in one place.
//!
//! The audit, the simulator and the printed table use these functions and no others, so that none of them can
//! promise what another does not check. They read what they are given, ask nobody, and allocate nothing for a
//! stream that is as it should be, but for what the domains' own facts need.

mod at_rest;
mod by_hand;
mod payment;
mod stock;
mod stream;
mod stuck;

use std::borrow::Borrow;
use std::fmt;

use events::RecordedEvent;
use serde::Serialize;

pub use at_rest::{excused_at_rest, of_lots_at_rest, of_order_at_rest};
pub use by_hand::{has_raw_events, is_decided_by_hand};
pub use payment::of_payment;
pub use stock::{StockBook, held_by};
pub use stream::{MAX_CAUSATION_DEPTH, of_stream};
pub use stuck::{Stuck, stuck};

/// When a promise must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At every instant, whatever is under way.
    Always,
    /// Once everything that is under way has arrived.
    AtRest,
}

/// A promise that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub invariant: Invariant,
    /// Where, and what is there instead.
    pub detail: String,
}

macro_rules! promises {
    ($($invariant:ident $name:literal $when:ident $promise:literal;)*) => {
        /// A promise that must hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Invariant {
            $(#[doc = $promise] $invariant,)*
        }

        impl Invariant {
            /// Every promise, in the order of the table.
            pub const ALL: [Invariant; [$($name),*].len()] = [$(Invariant::$invariant),*];

            /// The name by which reports call it. It does not change.
            pub fn name(self) -> &'static str {
                match self { $(Invariant::$invariant => $name,)* }
            }

            /// The promise in one sentence.
            pub fn promise(self) -> &'static str {
                match self { $(Invariant::$invariant => $promise,)* }
            }

            /// When it must hold.
            pub fn when(self) -> When {
                match self { $(Invariant::$invariant => When::$when,)* }
            }
        }
    };
}

promises! {
    // Of one stream.
    Cause "cause" Always "An event that was not written by hand names no cause, or one in its own stream.";
    Answer "answer" Always "What a worker appends names the event because of which it was owed.";
    CauseOrder "cause_order" Always "An event's id is greater than its cause's, so no event is its own cause.";
    CausationDepth "causation_depth" Always "No event has more than 16 causes above it.";
    Slot "slot" Always
        "An event that was not written by hand stands under the key of the decision that it settles.";
    Movement "movement" Always
        "Counters move only with an event that reserves, settles, returns or receives, by the units of its lines, and never with one that was written by hand.";
    Taken "taken" Always "An order gives back and sells no more units than were taken for it.";
    Amount "amount" Always
        "Unless anything of it was written by hand, an order's total is what the gateway takes, and what payment and refund say.";
    Ended "ended" Always "An order counts as ended exactly if it is decided and nobody owes it anything.";
    // Of an order and its payment.
    ChargedOnce "charged_once" Always "No order is charged twice.";
    Calls "calls" Always "The gateway is asked to charge at most as often as an attempt was claimed.";
    Claimed "claimed" Always "Money is taken only for an order with a claimed attempt.";
    NotAfterCancel "not_after_cancel" Always
        "Nobody who looked at an order after it was cancelled claims an attempt to charge it.";
    Outcome "outcome" Always
        "Unless an order was decided by hand, what the log says of its payment is what the gateway did.";
    Refund "refund" Always
        "Unless an order was decided by hand, its money is given back only if it is cancelled.";
    // Of the counters.
    Counters "counters" Always "A SKU's counters are what the log's deltas sum up to.";
    Conservation "conservation" Always "`available + reserved + sold` of a SKU are the units of its received lots.";
    NotNegative "not_negative" Always "No counter is below zero.";
    Reserved "reserved" Always "`reserved` of a SKU is what the orders hold that are reserved and not settled.";
    // Once nothing is under way.
    End "end" AtRest "Every placed order comes to its one end: nobody owes it anything that can still be done.";
    GivenBack "given_back" AtRest
        "Unless decided by hand, a cancelled order holds nothing and has sold nothing.";
    Sold "sold" AtRest
        "Unless decided by hand, an order that lives holds nothing and has sold what it reserved: what was ordered, if nothing was written by hand.";
    Gateway "gateway" AtRest "Unless decided by hand, the gateway keeps no money of a cancelled order.";
    Paid "paid" AtRest
        "Unless decided by hand, the gateway keeps the money of an order that lives exactly if the log says that the gateway took it.";
    HeldShipment "held_shipment" AtRest
        "Unless a raw event stands in the way, no shipment waits for a payment, and no delivery of a shipped order does.";
    Lots "lots" AtRest "Every restocked lot is counted onto the shelf.";
    Row "row" AtRest "Every row is what its stream folds to.";
    OrphanRow "orphan_row" AtRest "Every row has a stream.";
    Replay "replay" AtRest "A replay from the log alone rebuilds every row as it is.";
    // Of requests and deliveries.
    Acknowledged "acknowledged" Always "Every acknowledged request is in the log, exactly once.";
    Refused "refused" Always "A refused request leaves nothing in the log.";
    Repeated "repeated" Always "A request or a delivery that is repeated changes nothing.";
    Admitted "admitted" Always
        "Where it is asked who asks, those are answered who may and no others: a good key opens its doors, and one that was revoked opens none a minute later.";
    Priced "priced" Always
        "An order costs what its products cost when it was placed, or as long before as an index lags.";
}

impl When {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            When::Always => "always",
            When::AtRest => "at rest",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// The stream that these are the events of.
fn pk<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> &str {
    stream.first().map_or("", |item| &item.borrow().pk)
}

/// What was found so far. A detail is put into words only if there is something to say.
type Found = Vec<Violation>;

fn must(found: &mut Found, holds: bool, invariant: Invariant, detail: impl FnOnce() -> String) {
    if !holds {
        found.push(Violation { invariant, detail: detail() });
    }
}
