//! Opening the folder: what is in it, and what to say when it is not what it should be.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::checkpoint::copy;
use crate::disk::{Disk, FileSystem};
use crate::folder::lock;

/// The database's file in the folder.
const DATABASE: &str = "sagaline.db";
/// Says that the folder holds a store, even when the database is gone.
const MARKER: &str = "sagaline-store";
/// "SAGL": says that an SQLite file is ours.
const APPLICATION_ID: i32 = 0x5341_474C;
/// What makes each version of the schema from the one before: the first of them from nothing.
const SCHEMA: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("access.sql"),
    include_str!("actions.sql"),
    include_str!("request_seed.sql"),
];
/// The version of the schema.
const FORMAT: i32 = SCHEMA.len() as i32;

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
    #[error("{} has format {found}, this version reads formats 1 to {FORMAT}; use the version that wrote it, or start over with --fresh", path.display())]
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
    /// The file system said no. Nothing is known to be wrong with the store.
    #[error("failed to open {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
}

/// What SQLite says of a database: the disk may have failed it, or the database may be damaged.
fn refused(path: &Path, cause: rusqlite::Error) -> OpenError {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly,
        SystemIoFailure,
    };
    let path = path.to_owned();
    match cause.sqlite_error_code() {
        Some(
            CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | PermissionDenied | ReadOnly
            | SystemIoFailure,
        ) => OpenError::Io { path, cause: io::Error::other(cause) },
        _ => OpenError::Damaged { path, what: cause.to_string() },
    }
}

/// Opens the database of a folder for writing, or makes one.
pub(crate) fn open(disk: &dyn Disk, folder: &Path) -> Result<(PathBuf, Connection), OpenError> {
    let length =
        |path: &Path| disk.length(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause });
    let (path, marker) = (folder.join(DATABASE), folder.join(MARKER));
    let (database, marked) = (length(&path)?, length(&marker)?.is_some());
    // SQLite takes a file of one byte for an empty one, and removes the write-ahead log beside it.
    let is_empty = database.is_none_or(|length| length <= 1);
    if marked && is_empty {
        let what = format!("{DATABASE} is {}", if database.is_none() { "missing" } else { "empty" });
        return Err(OpenError::Damaged { path, what });
    }
    if database.is_none() && length(&path.with_extension("db-wal"))?.is_some() {
        let what = format!("{DATABASE} is missing beside its write-ahead log");
        return Err(OpenError::Damaged { path, what });
    }
    let held = match (is_empty, marked) {
        (true, _) => Held::Nothing,
        (_, true) => Held::Store,
        // Its making may have been cut short.
        (_, false) => held(disk, &path).map_err(|cause| refused(&path, cause))?,
    };
    if held == Held::Store {
        // What is read from the log goes into the database. If the log had it in the system's memory only, and not
        // on the disk, a power cut would leave a database that is newer than its log.
        let wal = path.with_extension("db-wal");
        disk.rewrite(&wal).map_err(|cause| OpenError::Io { path: wal, cause })?;
    }
    let fresh = held == Held::Nothing;
    let connection = connect(disk, &path, fresh).map_err(|refusal| match refusal {
        // The marker says whose it is; what is wrong is the database, or the log that it is completed from.
        OpenError::NotOurs { path } if marked => {
            OpenError::Damaged { path, what: "it no longer says that it is a store".to_owned() }
        }
        other => other,
    })?;
    if !marked {
        let text =
            format!("This folder holds a sagaline store, format {FORMAT}. Do not delete {DATABASE}*.\n");
        disk.put(&marker, &text).map_err(|cause| OpenError::Io { path: marker, cause })?;
    }
    Ok((path, connection))
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
    fs::metadata(database).is_ok_and(|about| about.len() == 0)
        || held(&FileSystem, database).is_ok_and(|held| held != Held::Other)
}

/// What a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nothing: its making was cut short before anything was committed.
    Nothing,
    /// A store, whole or not.
    Store,
    /// Somebody else's data.
    Other,
}

fn held(disk: &dyn Disk, database: &Path) -> rusqlite::Result<Held> {
    let look = "SELECT (SELECT count(*) FROM sqlite_master), application_id FROM pragma_application_id";
    let connection = disk.connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    keep_log(&connection)?;
    connection.query_row(look, [], |row| {
        Ok(match (row.get::<_, i64>(0)?, row.get::<_, i32>(1)?) {
            (_, APPLICATION_ID) => Held::Store,
            (0, 0) => Held::Nothing,
            _ => Held::Other,
        })
    })
}

/// Whether a folder holds a store, whole or not.
pub(crate) fn exists(folder: &Path) -> bool {
    folder.join(MARKER).exists() || folder.join(DATABASE).exists()
}

/// One thread uses a connection at a time, so SQLite need not lock it.
const FOR_WRITING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn connect(disk: &dyn Disk, path: &Path, fresh: bool) -> Result<Connection, OpenError> {
    let refused = |cause| refused(path, cause);
    let mut connection = disk.connect(path, FOR_WRITING).map_err(refused)?;
    keep_log(&connection).map_err(refused)?;
    if fresh {
        create(&mut connection).map_err(refused)?;
    }
    let number = |connection: &Connection, pragma: &str| {
        connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(refused)
    };
    if number(&connection, "PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    let found = number(&connection, "PRAGMA user_version")? as i32;
    if !(1..=FORMAT).contains(&found) {
        return Err(OpenError::OtherFormat { path: path.to_owned(), found });
    }
    settings(&connection).map_err(refused)?;
    if found < FORMAT {
        raise(&mut connection, found).map_err(refused)?;
    }
    let (pages, size) = (number(&connection, "PRAGMA page_count")?, number(&connection, "PRAGMA page_size")?);
    check_ends(&connection).map_err(refused)?;
    let length =
        |path: &Path| disk.length(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause });
    let wal = length(&path.with_extension("db-wal"))?.unwrap_or(0);
    let length = length(path)?.unwrap_or(0);
    if wal == 0 && (length as i64) < pages * size {
        let what = format!("it has {length} bytes and should have {}", pages * size);
        return Err(OpenError::Damaged { path: path.to_owned(), what });
    }
    // What a killed process wrote and did not sync is found again, and may yet be lost in a power cut: it is
    // shown to nobody before it is in the database, and synced.
    copy(&connection, "TRUNCATE").map_err(refused)?;
    Ok(connection)
}

/// Closing the database leaves its write-ahead log as it is. SQLite would remove one of which it can read nothing; a
/// database that is refused keeps it, because somebody may yet save what is in there.
fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 4096)?;
    use_write_ahead_log(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    raise(connection, 0)
}

/// Makes a store of an older format one of this: in one transaction, so that it is the one or the other.
fn raise(connection: &mut Connection, from: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for version in &SCHEMA[from as usize..] {
        transaction.execute_batch(version)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// SQLite answers with the new mode before it is durable. What fails then it says behind its answer.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut change = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes = change.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if modes == ["wal"] {
        return Ok(());
    }
    let why = format!("failed to begin a write-ahead log; the journal's mode is {}", modes.join(", "));
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(why)))
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    use_write_ahead_log(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer decides when, off the commit's path.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -64_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is deleted or overwritten, personal data above all, does not linger in pages, nor in free ones: those are what
    // "FAST" leaves as they are. Placing orders frees no page.
    connection.pragma_update(None, "secure_delete", true)?;
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
    head.map(i64::unsigned_abs)
        .map_err(|cause| refused(connection.path().unwrap_or_default().as_ref(), cause))
}

/// A connection that only reads.
pub(crate) fn reader(disk: &dyn Disk, path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = disk.connect(path, flags)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}
