//! The folder of a store: made so that it lasts, and used by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::OpenError;

/// Held by the process that has the store open.
const LOCK: &str = "sagaline.lock";

/// Held as long as the store is open. Closing its file gives the lock back.
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// For people: which process it is.
    pub(crate) fn name_this_process(&self) -> io::Result<()> {
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

/// Makes the folder, if there is none, and keeps everybody else out of it.
pub(crate) fn enter(folder: &Path) -> Result<FolderLock, OpenError> {
    make(folder).map_err(|cause| OpenError::Io { path: folder.to_owned(), cause })?;
    lock(folder)
}

/// A folder that was made is found again after a power cut only if the one around it is synced. Who may ask is in it, so
/// only its owner may look.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let around = folder.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(around)?;
    let mut private = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
    private.recursive(true).create(folder)?;
    File::open(around)?.sync_all()
}

/// Keeps everybody else out of the folder.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let path = folder.join(LOCK);
    let io = |cause| OpenError::Io { path: path.clone(), cause };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(io(cause)),
    }
}
