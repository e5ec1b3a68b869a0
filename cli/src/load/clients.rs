//! The clients of a load: each holds one connection and places one order at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::bodies::Bodies;
use super::book::Book;
use super::wire::{Target, Wire};

/// When the next order is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// When a client has nothing else to do.
    Closed,
    /// By the clock.
    Open {
        /// Orders a second.
        rate: u64,
    },
}

impl Pace {
    /// When an order is due by the clock, in microseconds since the load began.
    fn due(self, number: u64) -> Option<u64> {
        match self {
            Pace::Closed => None,
            Pace::Open { rate } => Some(number * 1_000_000 / rate),
        }
    }
}

/// A load under way.
pub struct Load {
    pub target: Target,
    pub bodies: Bodies,
    pub total: u64,
    pace: Pace,
    began: Instant,
    next: AtomicU64,
    /// Orders that are due and not taken by a client.
    turns: Semaphore,
    book: Mutex<Book>,
    stopped: AtomicBool,
    lost: Mutex<Option<String>>,
}

impl Load {
    pub fn new(target: Target, pace: Pace, total: u64, bodies: Bodies) -> Self {
        Load {
            target,
            bodies,
            total,
            pace,
            began: Instant::now(),
            next: AtomicU64::new(0),
            turns: Semaphore::new(0),
            book: Mutex::new(Book::new(total)),
            stopped: AtomicBool::new(false),
            lost: Mutex::new(None),
        }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while writing in the book")
    }

    /// How many orders are accepted, and how many of them settled.
    pub fn counts(&self) -> (u64, u64) {
        let book = self.book();
        (book.accepted(), book.settled())
    }

    /// Microseconds since the load began.
    pub fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Nothing more is sent.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Why a client gave up, if one did.
    pub fn lost(&self) -> Option<String> {
        self.lost.lock().expect("nobody panics while holding the cause").clone()
    }

    /// The next order that is due, and since when; `None` when there is no more.
    async fn turn(&self) -> Option<(u64, u64)> {
        if self.pace != Pace::Closed {
            self.turns.acquire().await.ok()?.forget();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_one = number < self.total && !self.stopped.load(Ordering::Relaxed);
        is_one.then(|| (number, self.pace.due(number).unwrap_or_else(|| self.now())))
    }

    /// Hands out turns by the clock, on a thread of its own: the runtime's timers tick in milliseconds, which
    /// would be seen in the latencies.
    fn hand_out_turns(&self, clients: u16) {
        let mut given = 0;
        while given < self.total && !self.stopped.load(Ordering::Relaxed) {
            let now = self.now();
            let mut due = given;
            while due < self.total && self.pace.due(due).is_none_or(|at| at <= now) {
                due += 1;
            }
            self.turns.add_permits((due - given) as usize);
            given = due;
            let ahead = self.pace.due(given).unwrap_or(now).saturating_sub(self.now());
            // So fine that a wake-up hands out at most a few, so coarse that waking up costs little.
            std::thread::sleep(Duration::from_micros(ahead.clamp(100, 50_000)));
        }
        // One more turn each, by which every client sees that it is over.
        self.turns.add_permits(usize::from(clients));
    }
}

/// Places every order. Ends when all are answered, or the server is gone.
pub async fn run(load: &Arc<Load>, clients: u16) {
    if load.pace != Pace::Closed {
        let load = load.clone();
        std::thread::spawn(move || load.hand_out_turns(clients));
    }
    let mut set: JoinSet<()> = (0..clients).map(|_| client(load.clone())).collect();
    while set.join_next().await.is_some() {}
}

async fn client(load: Arc<Load>) {
    let mut wire = None;
    while let Some((number, due)) = load.turn().await {
        load.book().begin(number, due);
        if wire.is_none() {
            match connect(&load).await {
                Ok(connected) => wire = Some(connected),
                Err(error) => {
                    load.book().fail(number, "no connection".to_owned());
                    *load.lost.lock().expect("nobody panics while holding the cause") =
                        Some(error.to_string());
                    // The others need not try for as long again.
                    return load.stop();
                }
            }
        }
        let Some(open) = &mut wire else { continue };
        match open.call(Method::POST, "/orders", load.bodies.body(number)).await {
            Ok((status, _)) if status.is_success() => load.book().accept(due, load.now()),
            Ok((status, _)) => load.book().fail(number, status.as_u16().to_string()),
            Err(_) => {
                wire = None;
                load.book().fail(number, "connection lost".to_owned());
            }
        }
    }
}

/// A server that is being started again is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

async fn connect(load: &Load) -> anyhow::Result<Wire> {
    let began = Instant::now();
    loop {
        match Wire::open(&load.target).await {
            Err(_) if began.elapsed() < PATIENCE && !load.stopped.load(Ordering::Relaxed) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_due_evenly_and_never_drift() {
        let pace = Pace::Open { rate: 3 };
        let due: Vec<u64> = (0..7).filter_map(|number| pace.due(number)).collect();
        assert_eq!(due, [0, 333_333, 666_666, 1_000_000, 1_333_333, 1_666_666, 2_000_000]);
        assert_eq!(Pace::Open { rate: 1_000_000 }.due(9_999_999), Some(9_999_999));
        assert_eq!(Pace::Closed.due(5), None);
    }
}
