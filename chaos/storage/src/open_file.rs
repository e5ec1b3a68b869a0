//! A file that somebody has open on a simulated disk, with the calls that SQLite makes of one.

use std::path::Path;
use std::sync::MutexGuard;

use rusqlite::ffi;

use crate::disk::SimulatedDisk;
use crate::faults::{Call, Fate};
use crate::locks::{Holder, Level, Locks, Region};
use crate::state::{FileId, Gone, State};
use crate::trace::content;

/// What SQLite is told: one of its result codes.
pub(crate) type Code = i32;

pub(crate) struct OpenFile {
    disk: SimulatedDisk,
    boot: u64,
    id: Holder,
    file: FileId,
    name: String,
    /// The first sync of a new log makes its name durable, as SQLite does on Unix.
    syncs_folder: bool,
    only_reads: bool,
    /// Of so many failed syncs its owner was told.
    told_of: u64,
    /// What SQLite may point into.
    regions: Vec<Region>,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) make: bool,
    pub(crate) must_be_new: bool,
    pub(crate) syncs_folder: bool,
    pub(crate) only_reads: bool,
}

impl OpenFile {
    pub(crate) fn open(path: &Path, how: How) -> Result<OpenFile, Code> {
        const NO: Code = ffi::SQLITE_CANTOPEN;
        let (disk, name) = SimulatedDisk::find(path).ok_or(NO)?;
        let boot = disk.boot();
        let (mut state, fate) = disk.begin(boot, Call::Open, &name, &[]).map_err(|Gone| NO)?;
        if fate == Fate::Fails {
            return Err(NO);
        }
        let file = match state.names.get(&name) {
            Some(_) if how.must_be_new => return Err(NO),
            Some(file) => *file,
            None if how.make => {
                let file = state.new_id();
                state.file(file);
                state.rename(&name, Some(file));
                file
            }
            None => return Err(NO),
        };
        cut(&mut state, fate, NO)?;
        let (id, told_of) = (state.new_id(), state.file(file).failed_syncs);
        drop(state);
        let syncs_folder = how.syncs_folder && how.make;
        let only_reads = how.only_reads;
        Ok(OpenFile { disk, boot, id, file, name, syncs_folder, only_reads, told_of, regions: Vec::new() })
    }

    /// Deletes a file; with `sync_folder` it stays deleted.
    pub(crate) fn delete(path: &Path, sync_folder: bool) -> Result<(), Code> {
        const NO: Code = ffi::SQLITE_IOERR_DELETE;
        let (disk, name) = SimulatedDisk::find(path).ok_or(NO)?;
        let (mut state, fate) = disk.begin(disk.boot(), Call::Delete, &name, &[]).map_err(|Gone| NO)?;
        if fate == Fate::Fails {
            return Err(NO);
        }
        if !state.names.contains_key(&name) {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        state.rename(&name, None);
        cut(&mut state, fate, NO)?;
        drop(state);
        if sync_folder {
            sync_folder_of(&disk, disk.boot(), ffi::SQLITE_IOERR_DIR_FSYNC)?;
        }
        Ok(())
    }

    /// How long a file is; `None` if there is none.
    pub(crate) fn length(path: &Path) -> Result<Option<u64>, Code> {
        const NO: Code = ffi::SQLITE_IOERR_ACCESS;
        let (disk, name) = SimulatedDisk::find(path).ok_or(NO)?;
        let (mut state, fate) = disk.begin(disk.boot(), Call::Look, &name, &[]).map_err(|Gone| NO)?;
        harmless(&mut state, fate, NO)?;
        let file = state.names.get(&name).copied();
        Ok(file.map(|file| state.file(file).bytes().len() as u64))
    }

    fn begin(&self, call: Call, about: &[u64], no: Code) -> Result<(MutexGuard<'_, State>, Fate), Code> {
        self.disk.begin(self.boot, call, &self.name, about).map_err(|Gone| no)
    }

    /// How many bytes were there to read.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, Code> {
        const NO: Code = ffi::SQLITE_IOERR_READ;
        let (mut state, fate) = self.begin(Call::Read, &[at, into.len() as u64], NO)?;
        harmless(&mut state, fate, NO)?;
        let bytes = state.file(self.file).bytes();
        let there = bytes.get(at as usize..).unwrap_or_default();
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Code> {
        const NO: Code = ffi::SQLITE_IOERR_WRITE;
        if self.only_reads {
            return Err(NO);
        }
        let about = [at, bytes.len() as u64, content(&self.name, bytes)];
        let (mut state, fate) = self.begin(Call::Write, &about, NO)?;
        let fitting = state.fitting(self.file, at, bytes.len());
        let written = match fate {
            Fate::Fine | Fate::Cut => fitting,
            Fate::Fails if state.rng.bool() => 0,
            Fate::Fails => state.rng.usize(0..=fitting),
        };
        state.file(self.file).write(at, &bytes[..written]);
        cut(&mut state, fate, NO)?;
        match fate {
            Fate::Fails => Err(NO),
            _ if fitting < bytes.len() => Err(ffi::SQLITE_FULL),
            _ => Ok(()),
        }
    }

    pub(crate) fn shorten(&self, to: u64) -> Result<(), Code> {
        const NO: Code = ffi::SQLITE_IOERR_TRUNCATE;
        let (mut state, fate) = self.begin(Call::Shorten, &[to], NO)?;
        if fate == Fate::Fails {
            return Err(NO);
        }
        state.file(self.file).shorten(to);
        cut(&mut state, fate, NO)
    }

    pub(crate) fn sync(&mut self) -> Result<(), Code> {
        const NO: Code = ffi::SQLITE_IOERR_FSYNC;
        let (mut state, fate) = self.begin(Call::Sync, &[], NO)?;
        state.sync(self.file, fate);
        cut(&mut state, fate, NO)?;
        let failed_syncs = state.file(self.file).failed_syncs;
        drop(state);
        if std::mem::replace(&mut self.told_of, failed_syncs) != failed_syncs {
            return Err(NO);
        }
        if std::mem::take(&mut self.syncs_folder) {
            sync_folder_of(&self.disk, self.boot, NO)?;
        }
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<u64, Code> {
        const NO: Code = ffi::SQLITE_IOERR_FSTAT;
        let (mut state, fate) = self.begin(Call::Measure, &[], NO)?;
        harmless(&mut state, fate, NO)?;
        Ok(state.file(self.file).bytes().len() as u64)
    }

    /// A part of the shared memory; `None` if it is not there and must not be made.
    pub(crate) fn share(&mut self, index: usize, bytes: usize, make: bool) -> Result<Option<Region>, Code> {
        const NO: Code = ffi::SQLITE_IOERR_SHMMAP;
        let (mut state, fate) = self.begin(Call::Share, &[index as u64], NO)?;
        harmless(&mut state, fate, NO)?;
        let region = locks(&mut state, self.file).share(self.id, index, bytes, make);
        drop(state);
        self.regions.extend(region.clone());
        Ok(region)
    }

    pub(crate) fn lock(&self, level: Level) -> Result<(), Code> {
        if self.only_reads && level > Level::Shared {
            return Err(ffi::SQLITE_IOERR_LOCK);
        }
        self.locked(|locks| locks.lock(self.id, level))
    }

    pub(crate) fn unlock(&self, level: Level) {
        self.locked(|locks| {
            locks.unlock(self.id, level);
            true
        })
        .ok();
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.locked(|locks| locks.is_reserved()).is_ok()
    }

    pub(crate) fn lock_slots(&self, first: usize, count: usize, exclusive: bool) -> Result<(), Code> {
        self.locked(|locks| locks.lock_slots(self.id, first, count, exclusive))
    }

    pub(crate) fn unlock_slots(&self, first: usize, count: usize) {
        self.locked(|locks| {
            locks.unlock_slots(self.id, first, count);
            true
        })
        .ok();
    }

    pub(crate) fn unshare(&mut self) {
        self.locked(|locks| {
            locks.unshare(self.id);
            true
        })
        .ok();
        self.regions.clear();
    }

    /// Locks are not calls to the disk: nothing goes wrong with them but that somebody else has them.
    fn locked(&self, work: impl FnOnce(&mut Locks) -> bool) -> Result<(), Code> {
        let mut state = self.disk.state();
        state.still(self.boot).map_err(|Gone| ffi::SQLITE_IOERR_LOCK)?;
        if work(locks(&mut state, self.file)) { Ok(()) } else { Err(ffi::SQLITE_BUSY) }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.locked(|locks| {
            locks.forget(self.id);
            true
        })
        .ok();
    }
}

fn locks(state: &mut State, file: FileId) -> &mut Locks {
    state.locks.entry(file).or_default()
}

/// Makes the names in the folder durable. Its failing is not simulated: SQLite does not look whether it did.
fn sync_folder_of(disk: &SimulatedDisk, boot: u64, no: Code) -> Result<(), Code> {
    let (mut state, fate) = disk.begin(boot, Call::SyncFolder, "", &[]).map_err(|Gone| no)?;
    cut(&mut state, fate, no)?;
    state.sync_folder();
    Ok(())
}

/// Cuts the power after what the call did has reached the system's memory.
fn cut(state: &mut State, fate: Fate, no: Code) -> Result<(), Code> {
    if fate == Fate::Cut {
        state.cut();
        return Err(no);
    }
    Ok(())
}

/// The same for a call that changes nothing, and may fail.
fn harmless(state: &mut State, fate: Fate, no: Code) -> Result<(), Code> {
    cut(state, fate, no)?;
    if fate == Fate::Fails { Err(no) } else { Ok(()) }
}
