//! A disk in memory that keeps apart what was written and what was synced, and goes wrong as it is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use crate::faults::{Call, Fate, Faults};
use crate::state::{Gone, Life, State};
use crate::trace::Trace;

/// A simulated disk, and the machine that it is in. Cheap to clone.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Shared>);

struct Shared {
    number: u64,
    state: Mutex<State>,
}

/// The disks that there are, by their numbers: SQLite knows files by their paths only.
static DISKS: LazyLock<Mutex<BTreeMap<u64, Weak<Shared>>>> = LazyLock::new(Mutex::default);
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

impl SimulatedDisk {
    /// An empty disk. What goes wrong on it is drawn from the seed.
    pub fn new(seed: u64) -> Self {
        Self::with(State::new(seed))
    }

    fn with(state: State) -> Self {
        let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared { number, state: Mutex::new(state) });
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|_, disk| disk.strong_count() > 0);
        disks.insert(number, Arc::downgrade(&shared));
        SimulatedDisk(shared)
    }

    /// The disk that a path leads to, and the file's name on it.
    pub(crate) fn find(path: &Path) -> Option<(SimulatedDisk, String)> {
        let number = path.parent()?.file_name()?.to_str()?.parse::<u64>().ok()?;
        let disk = DISKS.lock().unwrap_or_else(PoisonError::into_inner).get(&number)?.upgrade()?;
        Some((SimulatedDisk(disk), path.file_name()?.to_str()?.to_owned()))
    }

    /// The folder that holds its files.
    pub fn folder(&self) -> PathBuf {
        Path::new("/simulated").join(self.0.number.to_string())
    }

    /// A disk that nothing is wrong with, holding what programs see on this one now.
    pub fn copy(&self) -> SimulatedDisk {
        let copy = self.state().copy();
        Self::with(copy)
    }

    /// From now on this goes wrong.
    pub fn plan(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// From now on there is room for so many bytes in all files, or for any number.
    pub fn limit(&self, room: Option<u64>) {
        self.state().faults.room = room;
    }

    /// In the n-th call from now another thread gets to do this first.
    pub fn meanwhile(&self, in_calls: u64, work: impl FnOnce() + Send + 'static) {
        self.state().meanwhile = Some((in_calls, Box::new(work)));
    }

    /// Nobody else does anything from now on. Says whether somebody did.
    pub fn alone(&self) -> bool {
        self.state().meanwhile.take().is_none()
    }

    /// Does something while nothing goes wrong, and nothing is counted.
    pub fn calmly<T>(&self, work: impl FnOnce() -> T) -> T {
        let was = std::mem::replace(&mut self.state().is_calm, true);
        let done = work();
        self.state().is_calm = was;
        done
    }

    /// Every sync says that it is done, and does nothing.
    #[cfg(feature = "planted")]
    pub fn ignore_sync(&self) {
        self.state().ignores_sync = true;
    }

    /// Whether there is a process that can call, and if not, why.
    pub fn life(&self) -> Life {
        self.state().life
    }

    /// Whether there is a process that can call.
    pub fn lives(&self) -> bool {
        self.life() == Life::Lives
    }

    /// Cuts the power. Whoever had a file open has it open no more.
    pub fn cut_power(&self) {
        self.state().cut_power();
    }

    /// Kills the process. Whoever had a file open has it open no more.
    pub fn kill(&self) {
        self.state().kill();
    }

    /// A new process begins, on a disk that nothing is wrong with.
    pub fn begin_anew(&self) {
        self.state().begin_anew();
    }

    /// How many bytes all files have.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// What was called so far.
    pub fn trace(&self) -> Trace {
        self.state().trace.clone()
    }

    /// Shows every call from now on.
    pub fn show_calls(&self) {
        self.state().trace.is_shown = true;
    }

    pub(crate) fn boot(&self) -> u64 {
        self.state().boot
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: what becomes of it? `about` is written into the trace.
    pub(crate) fn begin(
        &self,
        boot: u64,
        call: Call,
        name: &str,
        about: &[u64],
    ) -> Result<(MutexGuard<'_, State>, Fate), Gone> {
        let mut state = self.state();
        state.still(boot)?;
        if state.is_calm {
            return Ok((state, Fate::Fine));
        }
        if let Some(work) = state.due() {
            drop(state);
            work();
            state = self.state();
            state.still(boot)?;
        }
        let fate = state.fate(call, name, about);
        Ok((state, fate))
    }
}
