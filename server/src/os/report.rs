//! What all reports that are made in a handler need: where they go, whose they are, where the program was.

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::line::Line;

/// Seconds that a stack trace may take, or another step that may hang.
pub(super) const TRACE_SECONDS: u32 = 10;
/// The log file's name, or null for standard output; never freed, since a handler may be reading it.
static LOG_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());
/// The server's thread, by its number in the system's thread library.
static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);
/// Where the program lies in memory; 0 until somebody looked.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Says where reports go: the file of `logfile`, or standard output for `None`.
pub fn set_log_file(path: Option<&Path>) {
    let name = path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    LOG_FILE.store(
        name.map_or(ptr::null_mut(), CString::into_raw),
        Ordering::SeqCst,
    );
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

/// The calling thread is the server's.
pub(super) fn note_main_thread() {
    MAIN_THREAD.store(this_thread(), Ordering::SeqCst);
}

pub(super) fn is_main_thread() -> bool {
    this_thread() == MAIN_THREAD.load(Ordering::SeqCst)
}

fn this_thread() -> usize {
    // SAFETY: a question about the calling thread, which a handler may ask, too.
    unsafe { libc::pthread_self() as usize }
}

/// Looks where the program lies, which a handler cannot.
pub(super) fn note_base() {
    if BASE.load(Ordering::SeqCst) != 0 {
        return;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = super::process::executable();
    let mut lines = maps.lines();
    // Its first range.
    let line = lines.find(|line| program.to_str().is_some_and(|name| line.ends_with(name)));
    let base = line
        .and_then(|line| line.split('-').next())
        .and_then(|address| usize::from_str_radix(address, 16).ok());
    BASE.store(base.unwrap_or(0), Ordering::SeqCst);
}

/// Writes an address as `addr2line` takes it: counted from where the program lies.
pub(super) fn write_address(line: &mut Line, address: usize) {
    line.text(b"0x");
    line.hex(address.wrapping_sub(BASE.load(Ordering::SeqCst)));
}

/// Where the code was that a signal interrupted; none on machines whose registers are not known here.
pub(super) fn interrupted_at(context: *mut c_void) -> Option<usize> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    // SAFETY: the system hands a handler that asked for it (SA_SIGINFO) a valid context.
    return unsafe { context.cast::<libc::ucontext_t>().as_ref() }
        .map(|context| context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize);
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    // SAFETY: as above.
    return unsafe { context.cast::<libc::ucontext_t>().as_ref() }
        .map(|context| context.uc_mcontext.pc as usize);
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    {
        let _ = context;
        None
    }
}
