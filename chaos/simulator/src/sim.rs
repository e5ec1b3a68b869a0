//! What everything in a run shares: the virtual clock, the drawn chances, the faults of calls, the trace.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use event_store::StoreError;
use events::RecordedEvent;
use workers::{GatewayError, Worker, WorkerError};

use crate::Plan;
use crate::executor::{Agenda, Micros, SECOND};
use crate::figures::{Figures, Sometimes};
use crate::happening::Happening;
use crate::numbers::Numbers;
use crate::site::{Call, Fault, Handler};
use crate::swarm::{Swarm, Switch};
use crate::trace::Trace;

#[cfg(feature = "planted")]
use crate::planted::Bug;

/// What the world does next, at its time.
pub enum Due {
    /// A task that waited goes on.
    Wake(Waker),
    /// What somebody wrote has its effect, who does not wait for it any more.
    Land(Effect),
    /// Something outside of all tasks happens.
    Happen(Happening),
}

/// What a call does.
pub type Effect = Box<dyn FnOnce() + Send>;

/// Something that a task did to the world around it, told to the run when the task has been polled.
pub enum Said {
    /// An event was stored.
    Appended(Arc<RecordedEvent>),
    /// A row was written, so the indexes will show it.
    Written(Row),
    /// The gateway was asked about an order.
    Asked(events::OrderId),
    /// The sweeper sends a nudge to a worker's queue.
    Nudged(Worker, events::Priority, Box<RecordedEvent>),
}

/// A row that an index shows later.
pub enum Row {
    /// Of an order, with its payment and delivery.
    Order(Box<event_store::OrderRows>),
    /// Of a customer.
    Customer(event_store::CustomerRow),
    /// Of a product.
    Product(event_store::ProductRow),
    /// Whatever stands in the table under this key when the index gets to it.
    Whatever(event_store::View, String),
}

/// Shared by every port, clock and task of a run.
pub struct Sim {
    now: AtomicU64,
    core: Mutex<Core>,
    #[cfg(feature = "planted")]
    planted: Option<Bug>,
}

/// What the lock of [`Sim`] guards.
pub struct Core {
    /// What is due when.
    pub agenda: Agenda<Due>,
    /// Draws how long things take.
    pub pace: fastrand::Rng,
    /// Draws what goes wrong.
    pub fate: fastrand::Rng,
    /// Which of it comes to pass.
    pub faults: Faults,
    /// What this run has turned on.
    pub swarm: Swarm,
    /// Whether the storm is over: nothing goes wrong any more.
    pub peace: bool,
    /// Whether calls take no time at all.
    pub instant: bool,
    /// Whose code runs now.
    pub handler: Handler,
    /// Whether the task that runs now ended as a crashed process does.
    pub crashed: bool,
    /// How many replays of each of [`event_store::View::ALL`] are running.
    pub replaying: [u32; 6],
    /// What the task that runs now said.
    pub said: Vec<Said>,
    /// What happened.
    pub trace: Trace,
    /// What was seen, counted.
    pub figures: Figures,
}

/// The faults that were drawn, counted from 0 on.
#[derive(Debug, Default)]
pub struct Faults {
    /// How many.
    pub drawn: u64,
    /// Those that come to pass, if not all of them do.
    only: Option<Numbers>,
}

impl Faults {
    /// A fault was drawn. Gives its number, if it comes to pass.
    pub fn strike(&mut self) -> Option<u64> {
        let number = self.drawn;
        self.drawn += 1;
        self.only.as_ref().is_none_or(|only| only.contains(number)).then_some(number)
    }
}

impl Core {
    /// Whether a fault between the ports that was drawn comes to pass.
    pub fn strikes(&mut self, at: Micros, what: Switch) -> bool {
        let number = self.faults.strike();
        if let Some(number) = number {
            self.figures.struck(what);
            self.trace.add(at, what, || format!("{:<18} !{what} {number}", "pipeline"));
        }
        number.is_some()
    }
}

/// What a call is in for.
pub struct Drawn {
    /// What strikes it.
    pub fault: Option<Fault>,
    before: Micros,
    after: Micros,
}

/// So much later than whoever made it gave it up can a late call have its effect.
pub const LATEST: Micros = 30 * SECOND;

/// However unlucky, a call comes through more often than not.
const MOST: f32 = 0.45;

impl Sim {
    /// A world at its beginning.
    pub fn new(plan: &Plan, swarm: Swarm) -> Self {
        let seed = plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rng = |salt: u64| fastrand::Rng::with_seed(seed ^ salt);
        Sim {
            now: AtomicU64::new(0),
            core: Mutex::new(Core {
                agenda: Agenda::default(),
                pace: rng(1),
                fate: rng(2),
                faults: Faults { drawn: 0, only: plan.faults.clone() },
                swarm,
                peace: true,
                instant: false,
                handler: Handler::Read,
                crashed: false,
                replaying: [0; 6],
                said: Vec::new(),
                trace: Trace::new(plan.lines),
                figures: Figures::default(),
            }),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// The same world with a bug in it.
    #[cfg(feature = "planted")]
    pub fn plant(mut self, bug: Option<Bug>) -> Self {
        self.planted = bug;
        self
    }

    /// Whether this bug is planted.
    #[cfg(feature = "planted")]
    pub fn has(&self, bug: Bug) -> bool {
        self.planted == Some(bug)
    }

    /// The core, locked. Never held while a task is polled or a waker is woken. A run in which somebody panicked with
    /// it is over, and what it came to is read all the same.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time it is.
    pub fn now(&self) -> Micros {
        self.now.load(Ordering::Relaxed)
    }

    /// Sets the clock forward.
    pub fn advance(&self, to: Micros) {
        self.now.store(to, Ordering::Relaxed);
    }

    /// Puts something on the agenda, this long from now.
    pub fn after(&self, wait: Micros, happening: Happening) {
        let at = self.now() + wait;
        self.core().agenda.put(at, Due::Happen(happening));
    }

    /// Waits.
    pub fn sleep(&self, wait: Micros) -> Sleep<'_> {
        Sleep { sim: self, until: self.now() + wait, waiting: false }
    }

    /// Says that something happened that should happen sometimes.
    pub fn saw(&self, what: Sometimes) {
        self.core().figures.saw(what);
    }

    /// A call of a port: it takes time, and what the run has turned on can happen to it.
    pub async fn call<T, E: Broken>(
        &self,
        call: Call,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let handler = self.core().handler;
        self.call_of(handler, call, effect).await
    }

    /// A call that is made on the way to what a handler does.
    pub async fn call_of<T, E: Broken>(
        &self,
        handler: Handler,
        call: Call,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let drawn = self.draw(handler, call, false);
        self.carry_out(drawn, effect).await
    }

    /// A call that changes something and may do so late: what its caller's own code is in for.
    pub fn draw_write(&self, call: Call) -> Drawn {
        let handler = self.core().handler;
        self.draw(handler, call, true)
    }

    /// A call as it was drawn, but a late one.
    pub async fn carry_out<T, E: Broken>(
        &self,
        drawn: Drawn,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.sleep(drawn.before).await;
        match drawn.fault {
            Some(Fault::CrashBefore) => self.crash().await,
            Some(Fault::Throttled) => return Err(E::broken("throttled")),
            _ => {}
        }
        let answer = effect();
        if drawn.after > 0 {
            self.sleep(drawn.after).await;
        }
        match drawn.fault {
            Some(Fault::CrashAfter) => self.crash().await,
            Some(Fault::LostAnswer) => Err(E::broken("the answer was lost")),
            _ => answer,
        }
    }

    /// A call that has its effect when whoever made it has given up, or is dead.
    pub async fn be_late<T, E: Broken>(&self, drawn: Drawn, effect: Effect) -> Result<T, E> {
        self.sleep(drawn.before).await;
        let dies = {
            let mut core = self.core();
            let wait = core.pace.u64(SECOND / 100..LATEST);
            core.agenda.put(self.now() + wait, Due::Land(effect));
            core.pace.u8(..3) == 0
        };
        if dies { self.crash().await } else { Err(E::broken("no answer came in time")) }
    }

    /// Ends the task that runs now, as if its process had been killed.
    pub async fn crash(&self) -> ! {
        self.core().crashed = true;
        std::future::pending().await
    }

    fn draw(&self, handler: Handler, call: Call, can_be_late: bool) -> Drawn {
        let mut core = self.core();
        let core = &mut *core;
        let mut fault: Option<(Fault, u64)> = None;
        if !core.peace {
            let shares: f32 = core.swarm.faults.iter().sum();
            let strikes = (shares * handler.bad_luck(call)).min(MOST);
            let drawn = core.fate.f32();
            // Which one, by their shares.
            let mut at = if drawn < strikes { drawn / strikes * shares } else { f32::INFINITY };
            for kind in Fault::ALL {
                let share = core.swarm.of(*kind);
                if at < share {
                    if *kind == Fault::Late && !can_be_late {
                        break;
                    }
                    fault = core.faults.strike().map(|number| (*kind, number));
                    break;
                }
                at -= share;
            }
        }
        let (fault, number) = fault.unzip();
        if !core.peace {
            core.figures.called(handler, call, fault);
        }
        // One to eight milliseconds, as a table in the same region answers.
        let before = 1_000 + u64::from(core.pace.u16(..)) / 9;
        let mut after = if core.pace.u8(..4) == 0 { u64::from(core.pace.u16(..)) / 9 } else { 0 };
        if fault == Some(Fault::Slow) {
            after += core.pace.u64(1..40) * SECOND;
        }
        let at = self.now.load(Ordering::Relaxed);
        core.trace.add(at, (handler, call, fault), || {
            let fault =
                fault.zip(number).map_or(String::new(), |(fault, number)| format!("  !{fault} {number}"));
            format!("{handler:<18} {call}{fault}")
        });
        let (before, after) = if core.instant { (0, 0) } else { (before, after) };
        Drawn { fault, before, after }
    }
}

/// An error that says that the world is broken for now.
pub trait Broken {
    /// With these words.
    fn broken(why: &str) -> Self;
}

impl Broken for StoreError {
    fn broken(why: &str) -> Self {
        StoreError::Unavailable(why.to_owned())
    }
}

impl Broken for GatewayError {
    fn broken(why: &str) -> Self {
        GatewayError(why.to_owned())
    }
}

impl Broken for WorkerError {
    fn broken(why: &str) -> Self {
        WorkerError::Transient(why.to_owned())
    }
}

/// See [`Sim::sleep`].
pub struct Sleep<'a> {
    sim: &'a Sim,
    until: Micros,
    waiting: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sim.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.waiting {
            self.waiting = true;
            let until = self.until;
            self.sim.core().agenda.put(until, Due::Wake(context.waker().clone()));
        }
        Poll::Pending
    }
}
