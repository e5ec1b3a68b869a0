//! Where a store's files lie: in a folder of the file system, or on a disk that a simulator plays.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What a store needs of the world that holds its files.
///
/// What must hold: what was synced, and nothing else, is there after a power cut.
pub trait Disk: Send + Sync {
    /// Opens a database with SQLite.
    fn connect(&self, database: &Path, flags: OpenFlags) -> rusqlite::Result<Connection>;

    /// How long a file is, in bytes; `None` if there is none.
    fn length(&self, file: &Path) -> io::Result<Option<u64>>;

    /// Makes a file that is there, whole, after a power cut.
    fn put(&self, file: &Path, text: &str) -> io::Result<()>;

    /// Writes a file again as it is read, and syncs it; nothing if there is none. What a failed sync left in the
    /// system's memory, where no later sync takes it from, is durable then.
    fn rewrite(&self, file: &Path) -> io::Result<()>;
}

/// The file system.
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn connect(&self, database: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(database, flags)
    }

    fn length(&self, file: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(file) {
            Ok(about) => Ok(Some(about.len())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn put(&self, file: &Path, text: &str) -> io::Result<()> {
        let mut made = File::create(file)?;
        made.write_all(text.as_bytes())?;
        made.sync_all()?;
        // A file is found again only if its folder's entry for it is synced, too.
        file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    fn rewrite(&self, file: &Path) -> io::Result<()> {
        let mut file = match File::options().read(true).write(true).open(file) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut bytes = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            file.seek(SeekFrom::Start(at))?;
            let length = file.read(&mut bytes)?;
            if length == 0 {
                return file.sync_all();
            }
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes[..length])?;
            at += length as u64;
        }
    }
}
