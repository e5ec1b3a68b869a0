//! Moving the write-ahead log into the database, off the path of commits.
//!
//! A thread with a connection of its own copies most of it while commits go on. What it could not
//! finish, because commits kept coming, the writer finishes between two commits: little is left then,
//! and the write-ahead log starts over from its beginning instead of growing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ::event_store::StoreError;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::disk::Disk;
use crate::unavailable;

/// When the write-ahead log is copied. A simulator takes small numbers, to see in a few commits what else
/// takes hours.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From this size on the write-ahead log is copied in the background.
    pub start_bytes: u64,
    /// From this size on a commit may wait longer for readers, so that it does not grow without end.
    pub large_bytes: u64,
    /// How many commits pass between two tries to start the write-ahead log over.
    pub restart_every: u32,
    /// How many commits pass between two looks at its size.
    pub look_every: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            start_bytes: 16 * 1024 * 1024,
            large_bytes: 128 * 1024 * 1024,
            restart_every: 8,
            look_every: 64,
        }
    }
}

/// The writer's side: it sees when there is something to copy, and finishes what the copier began.
pub(crate) struct Checkpointer {
    disk: Arc<dyn Disk>,
    wal: PathBuf,
    pace: Pace,
    commits: u32,
    said: Arc<Said>,
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The side that copies while commits go on.
pub struct Copier {
    disk: Arc<dyn Disk>,
    database: PathBuf,
    said: Arc<Said>,
    asked: Receiver<()>,
}

/// What both sides know.
#[derive(Default)]
struct Said {
    copied: AtomicBool,
    busy: AtomicBool,
    forgotten: AtomicBool,
}

impl Said {
    /// Copies, and says whether nobody was in the way.
    fn copy(&self, connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
        let done = copy(connection, mode);
        if done.as_ref().is_err_and(is_failed_sync) {
            self.forgotten.store(true, Ordering::Release);
        }
        done
    }

    /// When a sync of the database fails, the system may have forgotten what was copied, and a later sync will
    /// not say so: SQLite would start its log over, and acknowledged events would be lost. The log still has
    /// them, and whoever opens the store next copies all of it anew; so nobody goes on with this one.
    /// Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    fn end_if_forgotten(&self) {
        if self.has_forgotten() {
            tracing::error!("failed to sync the database; the process ends, and the next start recovers it");
            std::process::abort();
        }
    }

    fn has_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }
}

fn is_failed_sync(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error().is_some_and(|cause| cause.extended_code == ffi::SQLITE_IOERR_FSYNC)
}

impl Copier {
    fn run(self) {
        while self.asked.recv().is_ok() {
            self.copy();
            self.said.end_if_forgotten();
        }
    }

    fn copy(&self) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.disk.connect(&self.database, flags);
        if let Err(cause) = connection.and_then(|connection| self.said.copy(&connection, "PASSIVE")) {
            tracing::warn!(%cause, "failed to copy the write-ahead log; it is tried again");
        }
        if self.said.has_forgotten() {
            return;
        }
        self.said.copied.store(true, Ordering::Release);
        self.said.busy.store(false, Ordering::Release);
    }

    /// Copies if it was asked to, and says whether it was.
    #[cfg(feature = "by-hand")]
    pub fn copy_if_asked(&self) -> bool {
        let asked = self.asked.try_recv().is_ok();
        if asked {
            self.copy();
        }
        asked
    }
}

impl Checkpointer {
    pub(crate) fn new(disk: Arc<dyn Disk>, database: &Path, pace: Pace) -> (Self, Copier) {
        let (ask, asked) = channel();
        let said = Arc::new(Said::default());
        let copier = Copier { disk: disk.clone(), database: database.to_owned(), said: said.clone(), asked };
        let wal = database.with_extension("db-wal");
        (Checkpointer { disk, wal, pace, commits: 0, said, ask: Some(ask), thread: None }, copier)
    }

    /// From now on a thread copies.
    pub(crate) fn start(&mut self, copier: Copier) -> io::Result<()> {
        self.thread = Some(Builder::new().name("store-checkpoint".into()).spawn(move || copier.run())?);
        Ok(())
    }

    /// Called by the writer between two commits.
    pub(crate) fn after_commit(&mut self, connection: &Connection) {
        if self.said.has_forgotten() {
            return;
        }
        self.commits += 1;
        if self.said.copied.load(Ordering::Acquire) && self.commits.is_multiple_of(self.pace.restart_every) {
            // Little is left to copy. A reader in the way only means: a few commits later. The longer it takes,
            // the longer it may wait.
            let patience = if self.size() > self.pace.large_bytes { 200 } else { 2 };
            connection.busy_timeout(Duration::from_millis(patience)).ok();
            if self.said.copy(connection, "RESTART").is_ok_and(|done| done) {
                self.said.copied.store(false, Ordering::Release);
            }
            connection.busy_timeout(Duration::from_secs(10)).ok();
        }
        let looks = self.commits.is_multiple_of(self.pace.look_every);
        if !looks || self.said.busy.load(Ordering::Acquire) {
            return;
        }
        if self.size() >= self.pace.start_bytes && self.frames_waiting(connection) {
            self.said.busy.store(true, Ordering::Release);
            if let Some(ask) = &self.ask {
                ask.send(()).ok();
            }
        }
    }

    /// Moves everything into the database and empties the write-ahead log, in which else what was overwritten would stand
    /// until it is written over some day. What a reader kept it from, whoever erases asks for again.
    pub(crate) fn scrub(&self, connection: &Connection) -> Result<(), StoreError> {
        match self.said.copy(connection, "TRUNCATE") {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::Unavailable("a reader is in the way of erasing; ask again".into())),
            Err(cause) => Err(unavailable(&cause)),
        }
    }

    /// How large the write-ahead log's file is.
    fn size(&self) -> u64 {
        self.disk.length(&self.wal).ok().flatten().unwrap_or(0)
    }

    /// Whether the write-ahead log holds enough that is not copied yet. Its file never shrinks while the
    /// store is open, so its size alone does not tell.
    fn frames_waiting(&self, connection: &Connection) -> bool {
        let pages = connection
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
            .and_then(|mut ask| ask.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))));
        pages.is_ok_and(|(in_log, copied)| (in_log - copied) * 4096 >= self.pace.start_bytes as i64)
    }

    /// Ends the process if a copy may have been forgotten.
    pub(crate) fn end_if_forgotten(&self) {
        self.said.end_if_forgotten();
    }

    /// Whether a copy may have been forgotten. Nothing more may be done with the store then.
    #[cfg(feature = "by-hand")]
    pub(crate) fn has_forgotten(&self) -> bool {
        self.said.has_forgotten()
    }

    /// Copies everything and empties the write-ahead log: the store closes.
    pub(crate) fn finish(mut self, connection: &Connection) {
        self.ask.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        if !self.said.has_forgotten() {
            copy(connection, "TRUNCATE").ok();
        }
    }
}

/// Says whether nobody was in the way.
pub(crate) fn copy(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok(row.get::<_, i64>(0)? == 0))
}
