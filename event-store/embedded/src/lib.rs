//! The ports over one SQLite file: one writer, group commit, and nothing acknowledged before it is synced.
//!
//! Every write goes to one thread ([`writer`]), which puts all that are waiting into one transaction and
//! answers them when its commit has been synced. Reads use connections of their own, or memory where
//! [`recent`] knows the answer.

mod access;
mod actions;
mod beside;
mod bookmarks;
mod catalog;
mod checkpoint;
mod disk;
mod events_table;
mod folder;
mod intents;
mod log;
mod open;
mod orders;
#[cfg(feature = "planted")]
pub mod planted;
mod queues;
mod recent;
mod shadow;
mod stock;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ::event_store::StoreError;
use rusqlite::Connection;

pub use actions::{Action, Begun, Choice, Chosen, Deed, Taken, Wanted};
#[cfg(feature = "by-hand")]
pub use checkpoint::{Copier, Pace};
#[cfg(feature = "by-hand")]
pub use disk::Disk;
pub use open::OpenError;
pub use queues::{DeadLetter, ParkedMessage, QueueChange, QueueStore};
#[cfg(feature = "by-hand")]
pub use writer::Desk;

/// A store in a folder. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn disk::Disk>,
    path: PathBuf,
    writer: writer::Writer,
    recent: Arc<recent::Recent>,
    readers: Mutex<Vec<Connection>>,
    /// The keys of requests that this process carries out. Nobody else has the store open, so whoever claimed another one
    /// is dead.
    running: Arc<Mutex<BTreeSet<String>>>,
    // Closed last: while it lives, no second process opens the folder.
    lock: Option<folder::FolderLock>,
    #[cfg(feature = "temporary")]
    _folder: Option<tempfile::TempDir>,
}

/// At most so many idle connections are kept for reading.
const IDLE_READERS: usize = 8;

impl EmbeddedStore {
    /// Opens the store in a folder, or makes one where the folder is empty or missing.
    ///
    /// # Errors
    /// [`OpenError`]: another process has it, it has another format, it is damaged. Nothing is changed then.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = folder::enter(folder)?;
        let (mut inner, desk, copier) =
            Inner::open(Arc::new(disk::FileSystem), folder, checkpoint::Pace::default())?;
        let io = |cause| OpenError::Io { path: folder.to_owned(), cause };
        lock.name_this_process().map_err(io)?;
        inner.lock = Some(lock);
        inner.writer.start(desk, copier).map_err(io)?;
        Ok(EmbeddedStore { inner: Arc::new(inner) })
    }

    /// Opens a store without threads, on any disk: what is written waits until the desk is told to commit
    /// it, and the copier copies when it is told to. No two of them may be open on one disk.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    #[cfg(feature = "by-hand")]
    pub fn open_by_hand(
        disk: Arc<dyn Disk>,
        folder: &Path,
        pace: Pace,
    ) -> Result<(Self, Desk, Copier), OpenError> {
        let (inner, desk, copier) = Inner::open(disk, folder, pace)?;
        Ok((EmbeddedStore { inner: Arc::new(inner) }, desk, copier))
    }

    /// Whether a folder holds a store, whole or not. Looks only.
    pub fn exists(folder: &Path) -> bool {
        open::exists(folder)
    }

    /// Removes the store of a folder, if there is one; other files in it stay.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::NotOurs`] for somebody else's database, or what the file system says.
    pub fn erase(folder: &Path) -> Result<(), OpenError> {
        open::erase(folder)
    }

    /// A store in a new folder that is removed with its last clone.
    #[cfg(feature = "temporary")]
    pub fn temporary() -> Self {
        let folder = tempfile::tempdir().expect("the system's folder for temporary files can be written");
        let mut store = Self::open(folder.path()).expect("an empty folder can be opened");
        let inner = Arc::get_mut(&mut store.inner).expect("the store was not cloned yet");
        inner._folder = Some(folder);
        store
    }

    /// Reads with a connection of its own. For look-ups of microseconds: it runs where it is called.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.inner.read(work)
    }

    /// Reads on a thread that may block. For lists and scans.
    async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        let done = tokio::task::spawn_blocking(move || inner.read(work)).await;
        done.unwrap_or_else(|_| Err(StoreError::Unavailable("the store is closing".into())))
    }
}

impl Inner {
    fn open(
        disk: Arc<dyn disk::Disk>,
        folder: &Path,
        pace: checkpoint::Pace,
    ) -> Result<(Self, writer::Desk, checkpoint::Copier), OpenError> {
        let (path, connection) = open::open(&*disk, folder)?;
        let recent = Arc::new(recent::Recent::new(open::head(&connection)?));
        let (checkpointer, copier) = checkpoint::Checkpointer::new(disk.clone(), &path, pace);
        let (writer, desk) = writer::Writer::new(connection, recent.clone(), checkpointer);
        let inner = Inner {
            disk,
            path,
            writer,
            recent,
            readers: Mutex::new(Vec::new()),
            running: Arc::default(),
            lock: None,
            #[cfg(feature = "temporary")]
            _folder: None,
        };
        Ok((inner, desk, copier))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.readers.lock().expect("no reader panics while it holds the list").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&*self.disk, &self.path).map_err(|cause| unavailable(&cause))?,
        };
        let answer = work(&connection).map_err(|cause| unavailable(&cause));
        let mut readers = self.readers.lock().expect("no reader panics while it holds the list");
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        answer
    }
}

/// What SQLite says, with what to do about it.
fn unavailable(cause: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    StoreError::Unavailable(match cause.sqlite_error_code() {
        Some(DiskFull) => "the disk is full; make room, nothing is lost".to_owned(),
        Some(DatabaseCorrupt | NotADatabase) => {
            format!("the store is damaged ({cause}); stop, and restore the folder from a copy")
        }
        _ => cause.to_string(),
    })
}
