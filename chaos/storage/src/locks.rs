//! What connections to one database share beside its bytes: locks, and the memory of its write-ahead log.
//! All of it is gone when the power is cut or the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Who holds a lock: one open file.
pub(crate) type Holder = u64;

/// A part of the shared memory. Kept by all who may point into it.
pub(crate) type Region = Arc<[AtomicU64]>;

/// How far a connection has locked the database's file: SQLite's SQLITE_LOCK_NONE to SQLITE_LOCK_EXCLUSIVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

/// The locks and the shared memory of one file.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    levels: BTreeMap<Holder, Level>,
    slots: [Slot; SLOTS],
    regions: Vec<Region>,
    sharing: BTreeSet<Holder>,
}

/// How many locks the shared memory has: SQLITE_SHM_NLOCK.
const SLOTS: usize = 8;

#[derive(Debug, Default)]
struct Slot {
    shared: Vec<Holder>,
    exclusive: Option<Holder>,
}

impl Locks {
    /// Says whether the lock was given.
    pub(crate) fn lock(&mut self, holder: Holder, level: Level) -> bool {
        let others = self.levels.iter().filter(|(other, _)| **other != holder).map(|(_, level)| *level);
        let highest = others.max().unwrap_or(Level::None);
        let given = match level {
            Level::None => true,
            Level::Shared => highest < Level::Pending,
            Level::Reserved | Level::Pending => highest < Level::Reserved,
            Level::Exclusive => highest == Level::None,
        };
        if given {
            self.levels.insert(holder, level);
        } else if level == Level::Exclusive && highest < Level::Reserved {
            // Those who read may finish, and nobody begins.
            self.levels.insert(holder, Level::Pending);
        }
        given
    }

    pub(crate) fn unlock(&mut self, holder: Holder, level: Level) {
        match level {
            Level::None => drop(self.levels.remove(&holder)),
            level => drop(self.levels.insert(holder, level)),
        }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.levels.values().any(|level| *level >= Level::Reserved)
    }

    /// A part of the shared memory; `None` if it is not there and must not be made.
    pub(crate) fn share(&mut self, holder: Holder, index: usize, bytes: usize, make: bool) -> Option<Region> {
        self.sharing.insert(holder);
        while self.regions.len() <= index && make {
            self.regions.push((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect());
        }
        self.regions.get(index).cloned()
    }

    /// Says whether the locks of the shared memory were given, all of them or none.
    pub(crate) fn lock_slots(&mut self, holder: Holder, first: usize, count: usize, exclusive: bool) -> bool {
        let slots = &mut self.slots[first..first + count];
        let free = |slot: &Slot| {
            let mine = slot.exclusive.is_none_or(|other| other == holder);
            mine && (!exclusive || slot.shared.iter().all(|other| *other == holder))
        };
        let given = slots.iter().all(free);
        for slot in slots.iter_mut().filter(|_| given) {
            match exclusive {
                true => slot.exclusive = Some(holder),
                false if slot.shared.contains(&holder) => {}
                false => slot.shared.push(holder),
            }
        }
        given
    }

    pub(crate) fn unlock_slots(&mut self, holder: Holder, first: usize, count: usize) {
        for slot in &mut self.slots[first..first + count] {
            slot.shared.retain(|other| *other != holder);
            slot.exclusive = slot.exclusive.filter(|other| *other != holder);
        }
    }

    /// Somebody does not use the shared memory any more. With the last of them it goes away.
    pub(crate) fn unshare(&mut self, holder: Holder) {
        self.unlock_slots(holder, 0, SLOTS);
        self.sharing.remove(&holder);
        if self.sharing.is_empty() {
            self.regions.clear();
        }
    }

    /// Somebody closed the file.
    pub(crate) fn forget(&mut self, holder: Holder) {
        self.levels.remove(&holder);
        self.unshare(holder);
    }
}
