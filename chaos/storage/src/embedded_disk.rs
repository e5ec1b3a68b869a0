//! The simulated disk as the embedded store's.

use std::io;
use std::path::Path;

use event_store_embedded::Disk;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::binding;
use crate::disk::SimulatedDisk;
use crate::open_file::{Code, How, OpenFile};

impl Disk for SimulatedDisk {
    fn connect(&self, database: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
        binding::register();
        Connection::open_with_flags_and_vfs(database, flags, binding::NAME)
    }

    fn length(&self, file: &Path) -> io::Result<Option<u64>> {
        OpenFile::length(file).map_err(error)
    }

    fn put(&self, file: &Path, text: &str) -> io::Result<()> {
        let how = How { make: true, must_be_new: false, syncs_folder: true, only_reads: false };
        let mut made = OpenFile::open(file, how).map_err(error)?;
        made.shorten(0).map_err(error)?;
        made.write(0, text.as_bytes()).map_err(error)?;
        made.sync().map_err(error)
    }

    fn rewrite(&self, file: &Path) -> io::Result<()> {
        if self.length(file)?.is_none() {
            return Ok(());
        }
        let how = How { make: false, must_be_new: false, syncs_folder: false, only_reads: false };
        let mut file = OpenFile::open(file, how).map_err(error)?;
        let mut bytes = vec![0; 1 << 15];
        let mut at = 0;
        loop {
            let length = file.read(at, &mut bytes).map_err(error)?;
            if length == 0 {
                return file.sync().map_err(error);
            }
            file.write(at, &bytes[..length]).map_err(error)?;
            at += length as u64;
        }
    }
}

fn error(code: Code) -> io::Error {
    match code {
        ffi::SQLITE_FULL => io::ErrorKind::StorageFull.into(),
        code => io::Error::other(ffi::code_to_str(code)),
    }
}
