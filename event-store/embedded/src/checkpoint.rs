//! Moving the write-ahead log into the database, off the path of commits.
//!
//! A thread with a connection of its own copies most of it while commits go on. What it could not
//! finish, because commits kept coming, the writer finishes between two commits: little is left then,
//! and the write-ahead log starts over from its beginning instead of growing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

/// From this size on the write-ahead log is copied in the background.
const START_BYTES: u64 = 16 * 1024 * 1024;
/// From this size on a commit may wait longer for readers, so that it does not grow without end.
const LARGE_BYTES: u64 = 128 * 1024 * 1024;
/// How many commits pass between two tries to start the write-ahead log over.
const RESTART_EVERY: u32 = 8;
/// How many commits pass between two looks at its size.
const LOOK_EVERY: u32 = 64;

pub(crate) struct Checkpointer {
    wal: PathBuf,
    commits: u32,
    copied: Arc<AtomicBool>,
    busy: Arc<AtomicBool>,
    start: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(database: &Path) -> io::Result<Self> {
        let (start, started) = channel::<()>();
        let (copied, busy) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (path, done, working) = (database.to_owned(), copied.clone(), busy.clone());
        let thread = Builder::new().name("store-checkpoint".into()).spawn(move || {
            while started.recv().is_ok() {
                if let Err(cause) =
                    Connection::open(&path).and_then(|connection| copy(&connection, "PASSIVE"))
                {
                    tracing::warn!(%cause, "failed to copy the write-ahead log; it is tried again");
                }
                done.store(true, Ordering::Release);
                working.store(false, Ordering::Release);
            }
        })?;
        Ok(Checkpointer {
            wal: database.with_extension("db-wal"),
            commits: 0,
            copied,
            busy,
            start: Some(start),
            thread: Some(thread),
        })
    }

    /// Called by the writer between two commits.
    pub(crate) fn after_commit(&mut self, connection: &Connection) {
        self.commits += 1;
        if self.copied.load(Ordering::Acquire) && self.commits.is_multiple_of(RESTART_EVERY) {
            // Little is left to copy. A reader in the way only means: a few commits later. The longer it takes,
            // the longer it may wait.
            let size = fs::metadata(&self.wal).map_or(0, |about| about.len());
            let patience = if size > LARGE_BYTES { 200 } else { 2 };
            connection.busy_timeout(Duration::from_millis(patience)).ok();
            if copy(connection, "RESTART").is_ok_and(|done| done) {
                self.copied.store(false, Ordering::Release);
            }
            connection.busy_timeout(Duration::from_secs(10)).ok();
        }
        if !self.commits.is_multiple_of(LOOK_EVERY) || self.busy.load(Ordering::Acquire) {
            return;
        }
        let size = fs::metadata(&self.wal).map_or(0, |about| about.len());
        if size >= START_BYTES && frames_waiting(connection) {
            self.busy.store(true, Ordering::Release);
            if let Some(start) = &self.start {
                start.send(()).ok();
            }
        }
    }

    /// Copies everything and empties the write-ahead log: the store closes.
    pub(crate) fn finish(mut self, connection: &Connection) {
        self.start.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        copy(connection, "TRUNCATE").ok();
    }
}

/// Whether the write-ahead log holds enough that is not copied yet. Its file never shrinks while the
/// store is open, so its size alone does not tell.
fn frames_waiting(connection: &Connection) -> bool {
    let pages = connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
        .and_then(|mut ask| ask.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))));
    pages.is_ok_and(|(in_log, copied)| (in_log - copied) * 4096 >= START_BYTES as i64)
}

/// Says whether nobody was in the way.
fn copy(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok(row.get::<_, i64>(0)? == 0))
}
