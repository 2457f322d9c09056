//! The report of a crash: a few lines in the log, then the end that the signal would have brought anyway.
//!
//! What comes first is made on the stack and written with plain `write`; the stack trace needs the allocator and may
//! hang when the crash was inside it, so an alarm stands ready to end the process. The words are those that
//! programs which watch a Redis log look for.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::signals::write_raw;

/// The signals that mean a broken program.
const CRASHES: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];
/// Seconds that a stack trace may take.
const TRACE_SECONDS: u32 = 10;
/// The stack trace is made on a stack of its own, since the real one may have overflowed. In bytes.
const STACK_SIZE: usize = 512 * 1024;

/// The log file's name, or null for standard output; never freed, since a handler may be reading it.
static LOG_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());
static STACK_READY: AtomicBool = AtomicBool::new(false);

/// Says where reports go: the file of `logfile`, or standard output for `None`.
pub fn set_log_file(path: Option<&Path>) {
    let name = path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    LOG_FILE.store(
        name.map_or(ptr::null_mut(), CString::into_raw),
        Ordering::SeqCst,
    );
}

/// Installs the report for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT (`crash-log-enabled yes`). Call it on the main thread.
pub fn install() -> io::Result<()> {
    if !STACK_READY.swap(true, Ordering::SeqCst) {
        prepare_thread()?;
    }
    for signal in CRASHES {
        // SAFETY: all zero bytes are a valid sigaction; the handler has the signature that SA_SIGINFO asks for.
        let answer = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_crash as *const () as libc::sighandler_t;
            // Reset at once: a crash inside the report ends the process.
            action.sa_flags =
                libc::SA_NODEFER | libc::SA_RESETHAND | libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(signal, &action, ptr::null_mut())
        };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives the signals back their default action (`crash-log-enabled no`, and in children).
pub fn uninstall() {
    for signal in CRASHES {
        // Fails only for signals that do not exist.
        let _ = super::signals::set_handler(signal, libc::SIG_DFL);
    }
}

/// Ends the process as an invalid memory access does (DEBUG SEGFAULT).
pub fn segfault() -> ! {
    // SAFETY: raising a signal at ourselves touches no memory; what it does is what is asked for.
    unsafe { libc::raise(libc::SIGSEGV) };
    std::process::abort()
}

/// Gives the calling thread the stack that a report needs; [`install`] does it for the main thread. On a thread
/// without it the report may end after its first lines. The stack is never freed: for threads that live long.
pub fn prepare_thread() -> io::Result<()> {
    let memory: &'static mut [u8] = Box::leak(vec![0u8; STACK_SIZE].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: STACK_SIZE,
    };
    // SAFETY: the memory is never freed and used for nothing else.
    let answer = unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_crash(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    let fd = open_log();
    write_raw(
        fd,
        b"\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n",
    );
    // SAFETY: getpid may be called in a handler; the system hands in a valid siginfo.
    let (pid, code, address) = unsafe {
        let info = info.as_ref();
        let code = info.map_or(0, |info| info.si_code);
        let address = info.map_or(ptr::null_mut(), |info| info.si_addr());
        (libc::getpid(), code, address)
    };
    let mut line = Line::new();
    line.number(pid as i64);
    line.text(b":M # Cairn ");
    line.text(env!("CARGO_PKG_VERSION").as_bytes());
    line.text(b" crashed by signal: ");
    line.number(signal as i64);
    line.text(b", si_code: ");
    line.number(code as i64);
    line.text(b"\n");
    // Only a fault of memory has an address.
    if (signal == libc::SIGSEGV || signal == libc::SIGBUS) && code > 0 {
        line.number(pid as i64);
        line.text(b":M # Accessing address: 0x");
        line.hex(address as usize);
        line.text(b"\n");
    }
    line.text(b"\n------ STACK TRACE ------\n");
    write_raw(fd, line.bytes());
    // SAFETY: `alarm` may be called in a handler.
    unsafe { libc::alarm(TRACE_SECONDS) };
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    write_raw(fd, trace.as_bytes());
    write_raw(
        fd,
        b"\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n",
    );
    // SAFETY: the default action is in place (SA_RESETHAND), so raising ends the process as the signal would have;
    // `_exit` is for a signal that somebody blocked.
    unsafe {
        libc::raise(signal);
        libc::_exit(128 + signal);
    }
}

fn open_log() -> i32 {
    let name = LOG_FILE.load(Ordering::SeqCst);
    if name.is_null() {
        return 1;
    }
    // SAFETY: `open` may be called in a handler; the name ends in zero and is never freed.
    let fd = unsafe { libc::open(name, libc::O_APPEND | libc::O_CREAT | libc::O_WRONLY, 0o644) };
    if fd < 0 { 1 } else { fd }
}

/// A line that is put together without the allocator.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line {
            bytes: [0; 512],
            len: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn text(&mut self, text: &[u8]) {
        let count = text.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&text[..count]);
        self.len += count;
    }

    fn number(&mut self, number: i64) {
        if number < 0 {
            self.text(b"-");
        }
        self.digits(number.unsigned_abs(), 10);
    }

    fn hex(&mut self, number: usize) {
        self.digits(number as u64, 16);
    }

    fn digits(&mut self, mut number: u64, base: u64) {
        let mut text = [0u8; 20];
        let mut at = text.len();
        loop {
            at -= 1;
            text[at] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
            if number == 0 {
                break;
            }
        }
        self.text(&text[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_put_together_on_the_stack() {
        let mut line = Line::new();
        line.text(b"a ");
        line.number(-120);
        line.text(b" 0x");
        line.hex(0xdeadbeef);
        line.number(0);
        assert_eq!(line.bytes(), b"a -120 0xdeadbeef0");
        line.text(&[b'x'; 600]);
        assert_eq!(line.bytes().len(), 512);
    }
}
