//! Where reports of a crash or of a loop that is stuck go, and which thread is the server's: what handlers ask.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Seconds that a stack trace may take, or another step that may hang.
pub(super) const TRACE_SECONDS: u32 = 10;
/// The log file's name, or null for standard output; never freed, since a handler may be reading it.
static LOG_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());
/// The server's thread, by its number in the system's thread library.
static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);

/// Says where reports go: the file of `logfile`, or standard output for `None`.
pub fn set_log_file(path: Option<&Path>) {
    let name = path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    LOG_FILE.store(
        name.map_or(ptr::null_mut(), CString::into_raw),
        Ordering::SeqCst,
    );
}

/// The calling thread is the server's.
pub(super) fn note_main_thread() {
    MAIN_THREAD.store(this_thread(), Ordering::SeqCst);
}

fn this_thread() -> usize {
    // SAFETY: a question about the calling thread, which a handler may ask, too.
    unsafe { libc::pthread_self() as usize }
}

/// Whether the calling thread is the server's.
pub(super) fn is_main_thread() -> bool {
    this_thread() == MAIN_THREAD.load(Ordering::SeqCst)
}

/// A descriptor to write a report to.
pub(super) fn open_log() -> i32 {
    let name = LOG_FILE.load(Ordering::SeqCst);
    if name.is_null() {
        return 1;
    }
    // SAFETY: `open` may be called in a handler; the name ends in zero and is never freed.
    let fd = unsafe { libc::open(name, libc::O_APPEND | libc::O_CREAT | libc::O_WRONLY, 0o644) };
    if fd < 0 { 1 } else { fd }
}
