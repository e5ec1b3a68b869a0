//! Opening the folder: who may, what is in it, and what to say when it is not what it should be.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// The database's file in the folder.
const DATABASE: &str = "sagaline.db";
/// Says that the folder holds a store, even when the database is gone.
const MARKER: &str = "sagaline-store";
/// Held by the process that has the store open.
const LOCK: &str = "sagaline.lock";
/// "SAGL": says that an SQLite file is ours.
const APPLICATION_ID: i32 = 0x5341_474C;
/// The version of schema.sql.
const FORMAT: i32 = 1;

/// Why a store could not be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process; stop that one, or choose another folder with --data", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It was written by another version.
    #[error("{} has format {found}, this version reads format {FORMAT}; use the version that wrote it, or start over with --fresh", path.display())]
    OtherFormat {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i32,
    },
    /// It is somebody else's database.
    #[error("{} is no sagaline store; choose another folder with --data", path.display())]
    NotOurs {
        /// The database.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("{} is damaged: {what}; restore the folder from a copy, or start over with --fresh", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file system said no.
    #[error("failed to open {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
}

/// Held as long as the store is open. Closing its file gives the lock back.
pub(crate) struct FolderLock(File);

impl FolderLock {
    fn name_this_process(&self) -> io::Result<()> {
        self.0.set_len(0)?;
        writeln!(&self.0, "{}", std::process::id())
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The process that it names may soon be another one.
        self.0.set_len(0).ok();
    }
}

/// Locks the folder and opens its database for writing, or makes one.
pub(crate) fn open(folder: &Path) -> Result<(FolderLock, PathBuf, Connection), OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |cause| OpenError::Io { path, cause }
    };
    fs::create_dir_all(folder).map_err(io(folder))?;
    let lock = lock(folder)?;
    let path = folder.join(DATABASE);
    let marker = folder.join(MARKER);
    let length = fs::metadata(&path).map(|about| about.len()).ok();
    if marker.exists() && length.is_none_or(|length| length == 0) {
        let what = format!("{DATABASE} is {}", if length.is_none() { "missing" } else { "empty" });
        return Err(OpenError::Damaged { path, what });
    }
    if length.is_none() && path.with_extension("db-wal").exists() {
        let what = format!("{DATABASE} is missing beside its write-ahead log");
        return Err(OpenError::Damaged { path, what });
    }
    let connection =
        connect(&path, length.is_none_or(|length| length == 0) || (!marker.exists() && is_blank(&path)))?;
    // For people: which process it is.
    lock.name_this_process().map_err(io(folder))?;
    if !marker.exists() {
        let text =
            format!("This folder holds a sagaline store, format {FORMAT}. Do not delete {DATABASE}*.\n");
        let written = File::create(&marker).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(io(&marker))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))?;
    }
    Ok((lock, path, connection))
}

/// Removes the store of a folder, if there is one and nobody has it open. Other files stay.
pub(crate) fn erase(folder: &Path) -> Result<(), OpenError> {
    if !folder.exists() {
        return Ok(());
    }
    let _lock = lock(folder)?;
    let database = folder.join(DATABASE);
    if !folder.join(MARKER).exists() && database.exists() && !is_ours(&database) {
        return Err(OpenError::NotOurs { path: database });
    }
    // The marker goes last: cut short, the folder still says that a store was here.
    for file in [DATABASE, "sagaline.db-wal", "sagaline.db-shm", MARKER] {
        let path = folder.join(file);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path, cause });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a file is a database of ours, or one whose making was cut short.
fn is_ours(database: &Path) -> bool {
    if fs::metadata(database).is_ok_and(|about| about.len() == 0) || is_blank(database) {
        return true;
    }
    let id = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|connection| connection.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0)));
    id.is_ok_and(|id| id == APPLICATION_ID)
}

/// Whether a database has nothing in it: its making was cut short before anything was committed.
fn is_blank(database: &Path) -> bool {
    let blank = "SELECT (SELECT count(*) FROM sqlite_master) = 0
        AND (SELECT application_id FROM pragma_application_id) = 0";
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| connection.query_row(blank, [], |row| row.get(0)))
        .unwrap_or(false)
}

/// Whether a folder holds a store, whole or not.
pub(crate) fn exists(folder: &Path) -> bool {
    folder.join(MARKER).exists() || folder.join(DATABASE).exists()
}

fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let path = folder.join(LOCK);
    let io = |cause| OpenError::Io { path: path.clone(), cause };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(io(cause)),
    }
}

/// One thread uses a connection at a time, so SQLite need not lock it.
const FOR_WRITING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn connect(path: &Path, fresh: bool) -> Result<Connection, OpenError> {
    let damaged =
        |cause: rusqlite::Error| OpenError::Damaged { path: path.to_owned(), what: cause.to_string() };
    let mut connection = Connection::open_with_flags(path, FOR_WRITING).map_err(damaged)?;
    if fresh {
        create(&mut connection).map_err(damaged)?;
    }
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(damaged);
    if number("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    let found = number("PRAGMA user_version")? as i32;
    if found != FORMAT {
        return Err(OpenError::OtherFormat { path: path.to_owned(), found });
    }
    settings(&connection).map_err(damaged)?;
    let (pages, size) = (number("PRAGMA page_count")?, number("PRAGMA page_size")?);
    check_ends(&connection).map_err(damaged)?;
    let wal = fs::metadata(path.with_extension("db-wal")).map_or(0, |about| about.len());
    let length = fs::metadata(path).map_or(0, |about| about.len());
    if wal == 0 && (length as i64) < pages * size {
        let what = format!("it has {length} bytes and should have {}", pages * size);
        return Err(OpenError::Damaged { path: path.to_owned(), what });
    }
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 4096)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer decides when, off the commit's path.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -64_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is deleted or overwritten, personal data above all, does not linger in free pages.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.busy_timeout(std::time::Duration::from_secs(10))
}

/// Reads both ends of every table that grows: a file cut short or overwritten shows here.
fn check_ends(connection: &Connection) -> rusqlite::Result<()> {
    for (table, key) in
        [("events", "position"), ("streams", "stream"), ("orders", "stream"), ("stock", "number")]
    {
        for end in ["ASC", "DESC"] {
            let one = format!("SELECT * FROM {table} ORDER BY {key} {end} LIMIT 1");
            connection.prepare(&one)?.query([])?.next()?;
        }
    }
    Ok(())
}

/// The position of the latest event.
pub(crate) fn head(connection: &Connection) -> Result<u64, OpenError> {
    let latest = "SELECT coalesce(max(position), 0) FROM events";
    let head = connection.query_row(latest, [], |row| row.get::<_, i64>(0));
    head.map(i64::unsigned_abs).map_err(|cause| OpenError::Damaged {
        path: connection.path().unwrap_or_default().into(),
        what: cause.to_string(),
    })
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}
