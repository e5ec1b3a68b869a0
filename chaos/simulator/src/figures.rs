//! What was seen, counted: every call with every fault, and facts that should be true sometimes.

use crate::site::{Call, Fault, Handler, SELDOM, SITES, named};
use crate::swarm::Switch;

named! {
    /// A fact that must have been true in some run, or the runs prove less than they seem to.
    Sometimes {
        /// An order was placed.
        Placed = "an order was placed",
        /// Two orders wanted the last unit.
        Shortage = "a reservation found the shelf short",
        /// A cancelled order gave back what was held.
        Released = "held stock was released",
        /// A cancelled order gave back what was sold.
        Returned = "sold stock was taken back",
        /// Money was given back.
        Refunded = "money was refunded",
        /// The gateway said no for good.
        Declined = "the gateway declined",
        /// All attempts failed.
        Exhausted = "every attempt to charge was used up",
        /// An operator's word was settled.
        Manual = "a payment recorded by hand was settled",
        /// An outcome of the reservation was there already.
        ReservationRace = "a reservation lost its race",
        /// A claim was somebody else's.
        ClaimRace = "a claim of an attempt lost its race",
        /// A payment was accepted after the order was cancelled.
        PaidAfterCancel = "a payment raced a cancel and won",
        /// A closed intent refused a charge, or said that it had been charged.
        ChargedUnseen = "closing an intent found money that nobody had heard of",
        /// A message was in its dead-letter queue.
        DeadLetter = "a message became a dead letter",
        /// A dead letter was redriven when nothing was left to do.
        RedrivenLate = "a dead letter was redriven after the order had ended",
        /// A function was cut off.
        TimedOut = "a function ran into its time-out",
        /// What somebody wrote who had given up, or was dead by then, came to be.
        Landed = "a write had its effect when whoever made it had given up",
        /// A process was killed in the middle of a call.
        Crashed = "a process crashed",
        /// A message came back while its first delivery was still handled.
        HandledTwice = "a message was handled by two functions at once",
        /// A batch was handled in part.
        PartialFailure = "a batch failed in part",
        /// The pipe halved a batch.
        Bisected = "the pipe halved a batch",
        /// The pipe gave an event up.
        PipeGaveUp = "the pipe gave an event up",
        /// A rule gave an event up.
        RuleGaveUp = "a rule gave an event up",
        /// A sweep found an order that stood still.
        Swept = "a sweep nudged somebody",
        /// Somebody waited too long for their order to go on.
        Expired = "an order that stood still expired",
        /// A client asked again and found its own event.
        RetryFoundOwn = "a client asked again and found what it had done",
        /// A client was told that an id is taken by something else.
        Collided = "an id was taken by other content",
        /// A request was carried out again, under its key, because whoever did it first was gone.
        TakenOver = "a request was taken over from somebody who was gone",
        /// A request came again under its key, and got the answer that it had got.
        AnsweredAgain = "a request got the answer that was kept under its key",
        /// A request came again under its key while it was carried out.
        StillRunning = "a request came again while it was carried out",
        /// A key was used for another request.
        KeyOfAnother = "a key was used for two requests",
        /// A key was shown that had been revoked.
        TurnedAway = "somebody with a revoked key was turned away",
        /// A key that had been revoked was taken for what it had been.
        StillOpen = "a revoked key opened a door within its minute",
        /// An order was placed after its product had got another price.
        Repriced = "an order was placed at a changed price",
        /// A cause has a later time than its effect.
        ClockBehindCause = "an effect's clock was behind its cause's",
        /// An index did not show what its table held.
        StaleIndex = "an index was behind its table",
        /// A function of this version read an event that one of the next had stored.
        NextVersion = "an event of the next version was read by this one",
        /// An event in an older spelling was stored.
        OlderSpelling = "an event in an older spelling was read",
        /// A stream holds what nobody can read.
        Anomaly = "a stream held what nobody can read",
        /// A forged reservation was settled.
        Forged = "a forged reservation was settled without moving a counter",
        /// A replay ended while orders were placed.
        Replayed = "a replay ran beside live traffic",
        /// A replay went on where a crashed one was.
        ReplayResumed = "a replay went on where another had crashed",
        /// An audit ended while orders were placed.
        Audited = "an audit ran beside live traffic",
        /// An audit named what somebody owed an order for too long.
        Stuck = "an audit beside live traffic named what was stuck",
        /// A shipment came before its payment.
        Held = "a shipment waited for its payment",
        /// An order with more than one SKU was short of one of them.
        PartlyShort = "an order was short of one of its SKUs and held none",
    }
}

/// The faults that strike between the ports: in pipe, bus and queues, and at the gateway.
pub const BETWEEN: &[Switch] = &[
    Switch::Duplicates,
    Switch::Delays,
    Switch::LostMessages,
    Switch::PipeFailures,
    Switch::BusFailures,
    Switch::GatewayFailures,
];

const FATES: usize = 1 + Fault::ALL.len();

/// Counts of one run, or of many added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    calls: Vec<[u64; FATES]>,
    between: [u64; Switch::ALL.len()],
    sometimes: [u64; Sometimes::ALL.len()],
}

impl Default for Figures {
    fn default() -> Self {
        Figures {
            calls: vec![[0; FATES]; Handler::ALL.len() * Call::ALL.len()],
            between: [0; Switch::ALL.len()],
            sometimes: [0; Sometimes::ALL.len()],
        }
    }
}

impl Figures {
    pub(crate) fn called(&mut self, handler: Handler, call: Call, fault: Option<Fault>) {
        let fate = fault.map_or(0, |fault| fault as usize + 1);
        self.calls[handler as usize * Call::ALL.len() + call as usize][fate] += 1;
    }

    pub(crate) fn struck(&mut self, what: Switch) {
        self.between[what as usize] += 1;
    }

    pub(crate) fn saw(&mut self, what: Sometimes) {
        self.sometimes[what as usize] += 1;
    }

    /// How often a fact was true.
    pub fn times(&self, what: Sometimes) -> u64 {
        self.sometimes[what as usize]
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Figures) {
        for (ours, theirs) in self.calls.iter_mut().zip(&other.calls) {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
        }
        self.between.iter_mut().zip(&other.between).for_each(|(ours, theirs)| *ours += theirs);
        self.sometimes.iter_mut().zip(&other.sometimes).for_each(|(ours, theirs)| *ours += theirs);
    }

    /// Every call that was made in a storm, with how often it was made and how often each of [`Fault::ALL`] struck it.
    pub fn calls(&self) -> impl Iterator<Item = (Handler, Call, u64, &[u64])> + '_ {
        let sites =
            Handler::ALL.iter().flat_map(|handler| Call::ALL.iter().map(move |call| (*handler, *call)));
        sites
            .zip(&self.calls)
            .filter(|(_, fates)| fates.iter().any(|count| *count > 0))
            .map(|((handler, call), fates)| (handler, call, fates.iter().sum(), &fates[1..]))
    }

    /// Facts that were never true.
    pub fn never(&self) -> Vec<Sometimes> {
        Sometimes::ALL.iter().copied().filter(|what| self.times(*what) == 0).collect()
    }

    /// How often each of [`BETWEEN`] struck.
    pub fn between(&self) -> impl Iterator<Item = (Switch, u64)> + '_ {
        BETWEEN.iter().map(|what| (*what, self.between[*what as usize]))
    }

    /// Calls of [`SITES`] that some fault never struck.
    pub fn unstruck(&self) -> Vec<(Handler, Call, Fault)> {
        let sites = SITES.iter().flat_map(|(handler, calls)| calls.iter().map(|call| (*handler, *call)));
        let missing = |(handler, call): (Handler, Call)| {
            let fates = &self.calls[handler as usize * Call::ALL.len() + call as usize];
            let of = Fault::ALL.iter().zip(&fates[1..]).filter(|(_, count)| **count == 0);
            let of = of.filter(|(fault, _)| **fault != Fault::Late || call.is_write());
            of.map(move |(fault, _)| (handler, call, *fault)).collect::<Vec<_>>()
        };
        sites.flat_map(missing).collect()
    }

    /// Calls that were made, though neither [`SITES`] nor [`SELDOM`] knows that anybody makes them.
    pub fn unknown(&self) -> Vec<(Handler, Call)> {
        let is_known = |handler: Handler, call: Call| {
            let is_usual = SITES.iter().any(|(of, calls)| *of == handler && calls.contains(&call));
            is_usual || SELDOM.contains(&(handler, call))
        };
        let made = self.calls().map(|(handler, call, ..)| (handler, call));
        made.filter(|(handler, call)| !is_known(*handler, *call)).collect()
    }
}
