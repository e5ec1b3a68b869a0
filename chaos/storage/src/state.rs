//! What is on a simulated disk, and what of it would be after a power cut.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::faults::{Call, Fate, Faults};
use crate::file::File;
use crate::locks::Locks;
use crate::trace::Trace;

pub(crate) type FileId = u64;

pub(crate) struct State {
    /// How often the machine or the process began anew: what was open before is open no more.
    pub(crate) boot: u64,
    pub(crate) life: Life,
    /// Nothing goes wrong, and nothing is counted.
    pub(crate) is_calm: bool,
    pub(crate) names: BTreeMap<String, FileId>,
    synced_names: BTreeMap<String, FileId>,
    unsynced_names: Vec<(String, Option<FileId>)>,
    pub(crate) files: BTreeMap<FileId, File>,
    pub(crate) locks: BTreeMap<FileId, Locks>,
    last_id: u64,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) ignores_sync: bool,
    pub(crate) meanwhile: Option<(u64, Meanwhile)>,
    pub(crate) trace: Trace,
}

/// Whether there is a process that can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// There is.
    Lives,
    /// It was killed. What it had written is there.
    Killed,
    /// The power was cut. What was not synced may be gone.
    Cut,
}

/// What another thread does in the middle of a call.
pub(crate) type Meanwhile = Box<dyn FnOnce() + Send>;

/// Whoever calls does not live any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        State {
            boot: 0,
            life: Life::Lives,
            is_calm: false,
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            files: BTreeMap::new(),
            locks: BTreeMap::new(),
            last_id: 0,
            rng: Rng::with_seed(seed),
            faults: Faults::default(),
            ignores_sync: false,
            meanwhile: None,
            trace: Trace::default(),
        }
    }

    /// What programs see here, on a disk that nothing is wrong with.
    pub(crate) fn copy(&self) -> Self {
        let settled = |id: &FileId| (*id, File::settled(self.files[id].bytes().to_vec()));
        State {
            names: self.names.clone(),
            synced_names: self.names.clone(),
            files: self.names.values().map(settled).collect(),
            last_id: self.last_id,
            ..State::new(0)
        }
    }

    pub(crate) fn begin_anew(&mut self) {
        self.boot += 1;
        self.life = Life::Lives;
        self.faults = Faults::default();
        self.meanwhile = None;
        self.locks.clear();
    }

    /// What another thread does before the next call, if it is time.
    pub(crate) fn due(&mut self) -> Option<Meanwhile> {
        let (left, _) = self.meanwhile.as_mut()?;
        *left = left.saturating_sub(1);
        if *left > 0 {
            return None;
        }
        self.meanwhile.take().map(|(_, work)| work)
    }

    /// What becomes of a call.
    pub(crate) fn fate(&mut self, call: Call, name: &str, about: &[u64]) -> Fate {
        let fate = self.faults.next(call, &mut self.rng);
        self.trace.note(call, name, about, fate);
        fate
    }

    /// Whether what was opened at `boot` is still open.
    pub(crate) fn still(&self, boot: u64) -> Result<(), Gone> {
        if self.life == Life::Lives && self.boot == boot { Ok(()) } else { Err(Gone) }
    }

    /// What was planned for this call.
    pub(crate) fn cut(&mut self) {
        if self.faults.kills { self.kill() } else { self.cut_power() }
    }

    pub(crate) fn kill(&mut self) {
        if self.life == Life::Lives {
            self.life = Life::Killed;
            self.trace.life_ended(self.life);
        }
    }

    pub(crate) fn cut_power(&mut self) {
        if self.life != Life::Lives {
            return;
        }
        self.life = Life::Cut;
        let keeps = [0.0, 0.1, 0.5, 0.9, 1.0][self.rng.usize(..5)];
        let tears = [0.0, 0.05, 0.5][self.rng.usize(..3)];
        for (name, id) in std::mem::take(&mut self.unsynced_names) {
            if self.rng.f64() < keeps {
                set(&mut self.synced_names, name, id);
            }
        }
        self.names.clone_from(&self.synced_names);
        let named: Vec<FileId> = self.names.values().copied().collect();
        self.files.retain(|id, _| named.contains(id));
        for file in self.files.values_mut() {
            file.lose_power(keeps, tears, &mut self.rng);
        }
        self.trace.life_ended(self.life);
    }

    pub(crate) fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[file].bytes().len() as u64).sum()
    }

    /// How many of the bytes that are to be written there is room for.
    pub(crate) fn fitting(&self, file: FileId, at: u64, bytes: usize) -> usize {
        let Some(room) = self.faults.room.filter(|_| !self.is_calm) else { return bytes };
        let grows = (at + bytes as u64).saturating_sub(self.files[&file].bytes().len() as u64);
        let too_many = (self.used() + grows).saturating_sub(room.max(self.used()));
        bytes - (too_many as usize).min(bytes)
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Gives a name to a file, or takes it away. It is durable with the next sync of the folder.
    pub(crate) fn rename(&mut self, name: &str, id: Option<FileId>) {
        set(&mut self.names, name.to_owned(), id);
        self.unsynced_names.push((name.to_owned(), id));
    }

    pub(crate) fn sync_folder(&mut self) {
        if self.ignores_sync {
            return;
        }
        for (name, id) in std::mem::take(&mut self.unsynced_names) {
            set(&mut self.synced_names, name, id);
        }
    }

    pub(crate) fn sync(&mut self, file: FileId, fate: Fate) {
        let State { files, rng, ignores_sync, .. } = self;
        let Some(file) = files.get_mut(&file).filter(|_| !*ignores_sync) else { return };
        match fate {
            Fate::Fine => file.sync(),
            Fate::Fails => file.sync_failed(rng),
            // What is on its way to the disk when the power is cut may arrive.
            Fate::Cut => {}
        }
    }

    pub(crate) fn file(&mut self, id: FileId) -> &mut File {
        self.files.entry(id).or_default()
    }
}

fn set(names: &mut BTreeMap<String, FileId>, name: String, id: Option<FileId>) {
    match id {
        Some(id) => drop(names.insert(name, id)),
        None => drop(names.remove(&name)),
    }
}
