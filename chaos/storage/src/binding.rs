//! The simulated disk as a virtual file system of SQLite: the functions that it calls, and nothing else.
//!
//! The only unsafe code of the workspace. What it relies on is SQLite's contract of `sqlite3_vfs` and
//! `sqlite3_io_methods`: pointers to names, buffers and results are valid for the call, a `sqlite3_file` has
//! `szOsFile` bytes from `xOpen` to `xClose`, and only one thread at a time calls with the same file.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::slice;
use std::sync::Once;
use std::sync::atomic::{Ordering, fence};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::locks::Level;
use crate::open_file::{Code, How, OpenFile};

/// Under this name SQLite finds the simulated disks.
pub(crate) const NAME: &CStr = c"simulated";

/// Makes the simulated disks known to SQLite, once.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let vfs = Box::leak(Box::new(file_system()));
        // SAFETY: the structure lives as long as the process, and has every function of its version.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes a file system that is complete");
    });
}

/// What SQLite keeps of an open file. Its first field is what SQLite itself knows.
#[repr(C)]
struct Opened {
    base: sqlite3_file,
    file: *mut OpenFile,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Version 2: with shared memory, without memory-mapped reads.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn file_system() -> sqlite3_vfs {
    sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Opened>() as c_int,
        mxPathname: 512,
        pNext: null_mut(),
        zName: NAME.as_ptr(),
        pAppData: null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

fn code(done: Result<(), Code>) -> c_int {
    done.err().unwrap_or(ffi::SQLITE_OK)
}

/// # Safety
/// `name` is null or a text that ends with a zero.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: as above.
    (!name.is_null())
        .then(|| unsafe { CStr::from_ptr(name) })
        .and_then(|name| name.to_str().ok())
        .map(Path::new)
}

/// # Safety
/// `file` was opened by [`open`] and not closed.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: `open` put a box there, and SQLite calls with one file from one thread at a time.
    unsafe { &mut *(*file.cast::<Opened>()).file }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let has = |flag: c_int| flags & flag != 0;
    let how = How {
        make: has(ffi::SQLITE_OPEN_CREATE),
        must_be_new: has(ffi::SQLITE_OPEN_EXCLUSIVE) && has(ffi::SQLITE_OPEN_CREATE),
        syncs_folder: has(ffi::SQLITE_OPEN_WAL) || has(ffi::SQLITE_OPEN_MAIN_JOURNAL),
        only_reads: has(ffi::SQLITE_OPEN_READONLY),
    };
    // SAFETY: SQLite gave `szOsFile` bytes. Without methods it will not close what was not opened.
    unsafe { (*file).pMethods = std::ptr::null() };
    // SAFETY: SQLite's names end with a zero. It asks for no temporary files: they are in its memory.
    let Some(path) = (unsafe { path(name) }) else { return ffi::SQLITE_CANTOPEN };
    match OpenFile::open(path, how) {
        Err(code) => code,
        Ok(opened) => {
            let opened =
                Opened { base: sqlite3_file { pMethods: &METHODS }, file: Box::into_raw(Box::new(opened)) };
            // SAFETY: as above; what was there has no destructor.
            unsafe { file.cast::<Opened>().write(opened) };
            if !out_flags.is_null() {
                // SAFETY: SQLite gave it to be written to.
                unsafe { *out_flags = flags };
            }
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: `open` made the box, and SQLite closes a file once.
    drop(unsafe { Box::from_raw((*file.cast::<Opened>()).file) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let Some(path) = (unsafe { path(name) }) else { return ffi::SQLITE_IOERR_DELETE };
    code(OpenFile::delete(path, sync_folder != 0))
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let Some(path) = (unsafe { path(name) }) else { return ffi::SQLITE_IOERR_ACCESS };
    code(OpenFile::length(path).map(|length| {
        // As on Unix, an empty file counts as none. SAFETY: SQLite gave `out` to be written to.
        unsafe { *out = c_int::from(length.is_some_and(|length| length > 0)) }
    }))
}

unsafe extern "C" fn full_pathname(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's names end with a zero, and `out` has `length` bytes.
    let (name, out) = unsafe {
        (
            CStr::from_ptr(name).to_bytes_with_nul(),
            slice::from_raw_parts_mut(out.cast::<u8>(), length as usize),
        )
    };
    let Some(out) = out.get_mut(..name.len()) else { return ffi::SQLITE_CANTOPEN };
    out.copy_from_slice(name);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the buffer has `length` bytes.
    let (file, into) =
        unsafe { (opened(file), slice::from_raw_parts_mut(into.cast::<u8>(), length as usize)) };
    match file.read(at as u64, into) {
        Err(code) => code,
        Ok(read) if read < into.len() => {
            into[read..].fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Ok(_) => ffi::SQLITE_OK,
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the buffer has `length` bytes.
    let (file, bytes) = unsafe { (opened(file), slice::from_raw_parts(bytes.cast::<u8>(), length as usize)) };
    code(file.write(at as u64, bytes))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, to: i64) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { opened(file) }.shorten(to as u64))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { opened(file) }.sync())
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, and SQLite gave `out` to be written to.
    code(unsafe { opened(file) }.measure().map(|length| unsafe { *out = length as i64 }))
}

fn level(level: c_int) -> Level {
    match level {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        ffi::SQLITE_LOCK_PENDING => Level::Pending,
        _ => Level::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, to: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { opened(file) }.lock(level(to)))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, to: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { opened(file) }.unlock(level(to));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and SQLite gave `out` to be written to.
    unsafe { *out = c_int::from(opened(file).is_reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

/// What SQLite's file system for Unix says, too.
unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    index: c_int,
    bytes: c_int,
    make: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open.
    let region = unsafe { opened(file) }.share(index as usize, bytes as usize, make != 0);
    code(region.map(|region| {
        let start = region.map_or(null_mut(), |region| region.as_ptr().cast_mut().cast());
        // The memory is made of atomics, so that all may write to it, and the open file keeps it until SQLite
        // gives it back. SAFETY: SQLite gave `out` to be written to.
        unsafe { *out = start }
    }))
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    let (first, count) = (first as usize, count as usize);
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        file.unlock_slots(first, count);
        return ffi::SQLITE_OK;
    }
    code(file.lock_slots(first, count, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
}

unsafe extern "C" fn shm_barrier(_: *mut sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { opened(file) }.unshare();
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `out` has `length` bytes. SQLite asks its default file system, not this one.
    unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), length as usize) }.fill(7);
    length
}

/// Nobody else would go on meanwhile.
unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

/// Noon of 2025-01-01, as a Julian day.
const NOW: f64 = 2_460_677.0;

unsafe extern "C" fn current_time(_: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite gave `out` to be written to.
    unsafe { *out = NOW };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_: *mut sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: SQLite gave `out` to be written to.
    unsafe { *out = (NOW * 86_400_000.0) as i64 };
    ffi::SQLITE_OK
}
