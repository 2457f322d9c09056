//! The report of a crash in the log, then the end of the process: of a signal that means a broken program, and of a panic.
//!
//! | | signal | panic of the server's thread | panic of another thread or of a child |
//! |---|---|---|---|
//! | what happened, stack, who ran what | in the handler (`on_crash`) | in the hook | in the hook, without the client |
//! | INFO, CLIENT LIST | no: nothing can be trusted | after unwinding ([`finish`]) | no: they are not its own |
//! | end | as the signal ends it | abort | abort |
//!
//! What a handler writes first is made on the stack and written with plain `write`; the stack trace needs the allocator and
//! may hang when the crash was inside it, so an alarm stands ready to end the process. The words are those that programs
//! which watch a Redis log look for.

use std::any::Any;
use std::fmt::Write;
use std::io;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::line::Line;
use super::report::{
    TRACE_SECONDS, interrupted_at, is_main_thread, note_base, note_main_thread, open_log,
    write_address,
};
use super::running;
use super::signals::{remove_emergency_file, write_raw};

pub use super::report::set_log_file;

/// The signals that mean a broken program.
const CRASHES: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];
/// The stack trace is made on a stack of its own, since the real one may have overflowed. In bytes.
const STACK_SIZE: usize = 512 * 1024;

const START: &str = "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n";
const TRACE: &str = "\n------ STACK TRACE ------\n";
const END: &str = "\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n";

static STACK_READY: AtomicBool = AtomicBool::new(false);
/// `crash-log-enabled`.
static REPORTS: AtomicBool = AtomicBool::new(false);
/// `use-exit-on-panic`.
static EXITS: AtomicBool = AtomicBool::new(false);
/// This process is a child: what it shows of its parent's is a copy.
static CHILD: AtomicBool = AtomicBool::new(false);
/// How far the report is.
static STAGE: AtomicU8 = AtomicU8::new(NO_REPORT);
const NO_REPORT: u8 = 0;
/// A panic is being reported.
const REPORTING: u8 = 1;
/// What the server says of itself is collected; a panic on the way only ends that.
const LAST_WORDS: u8 = 2;

/// Whether a panic ends with exit status 1 instead of SIGABRT, which leaves a core file (`use-exit-on-panic`).
pub fn set_exit_on_panic(on: bool) {
    EXITS.store(on, Ordering::SeqCst);
}

/// Installs the report for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT (`crash-log-enabled yes`), and of panics that are
/// caught ([`catch_panics`]). Call it on the main thread.
pub fn install() -> io::Result<()> {
    note_base();
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
    REPORTS.store(true, Ordering::SeqCst);
    Ok(())
}

/// Gives the signals back their default action (`crash-log-enabled no`). Of a panic only its message is written then.
pub fn uninstall() {
    reset_signals();
    REPORTS.store(false, Ordering::SeqCst);
}

/// In a child: signals end it as they always did, the parent tells of it. A panic is still reported.
pub(super) fn enter_child() {
    reset_signals();
    CHILD.store(true, Ordering::SeqCst);
}

fn reset_signals() {
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
fn prepare_thread() -> io::Result<()> {
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

// ---- panics ----

/// From here on a panic is written to the log and ends the process, whichever thread it is on. The calling thread is the
/// server's: it unwinds to [`survive`] first, so that the server can say how it stands.
pub fn catch_panics() {
    note_main_thread();
    std::panic::set_hook(Box::new(on_panic));
}

/// Runs something; none if it panicked, which then is in the log. What it was about is not to be trusted any more.
pub fn survive<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Ends the report of a panic with what the server says of itself, and the process with it.
pub fn finish(last_words: impl FnOnce() -> Vec<u8>) -> ! {
    if REPORTS.load(Ordering::SeqCst) {
        STAGE.store(LAST_WORDS, Ordering::SeqCst);
        write_raw(open_log(), &survive(last_words).unwrap_or_default());
        write_raw(open_log(), END.as_bytes());
    }
    end_of_panic()
}

fn end_of_panic() -> ! {
    // What follows is no second crash.
    reset_signals();
    remove_emergency_file();
    if EXITS.load(Ordering::SeqCst) {
        // SAFETY: ends the process without running what a panic may have left half done.
        unsafe { libc::_exit(1) };
    }
    std::process::abort()
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let is_main = is_main_thread() && !CHILD.load(Ordering::SeqCst);
    match STAGE.swap(REPORTING, Ordering::SeqCst) {
        NO_REPORT => {}
        // `survive` goes on without it.
        LAST_WORDS if is_main => return STAGE.store(LAST_WORDS, Ordering::SeqCst),
        // While it unwinds, or by two threads at once: the first report counts.
        _ if is_main => end_of_panic(),
        _ => loop {
            std::thread::park();
        },
    }
    let mut text = String::new();
    describe(info, &mut text);
    write_raw(2, text.as_bytes());
    let fd = open_log();
    if !REPORTS.load(Ordering::SeqCst) {
        write_raw(fd, text.as_bytes());
    } else {
        write_raw(fd, START.as_bytes());
        write_raw(fd, text.as_bytes());
        write_raw(fd, TRACE.as_bytes());
        write_trace(fd);
        if is_main {
            running::write(fd);
        } else {
            write_raw(fd, END.as_bytes());
        }
    }
    if !is_main {
        end_of_panic();
    }
}

/// What happened, in the words of Redis: a failed assertion, or a panic.
fn describe(info: &PanicHookInfo<'_>, text: &mut String) {
    let message = message_of(info.payload());
    let (file, line) = info.location().map_or(("?", 0), |l| (l.file(), l.line()));
    let lines = match message.strip_prefix("assertion failed: ") {
        Some(condition) => vec![
            "=== ASSERTION FAILED ===".to_string(),
            format!("==> {file}:{line} '{condition}' is not true"),
        ],
        None => vec![
            "------------------------------------------------".to_string(),
            "!!! Software Failure. Press left mouse button to continue".to_string(),
            format!("Guru Meditation: {message} #{file}:{line}"),
            "------------------------------------------------".to_string(),
        ],
    };
    let (pid, role) = (std::process::id(), role());
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{pid}:{role} # {line}");
    }
    let name = std::thread::current().name().unwrap_or("?").to_string();
    let _ = writeln!(
        text,
        "{pid}:{role} # Cairn {} crashed by a panic of thread '{name}'",
        env!("CARGO_PKG_VERSION")
    );
}

fn message_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a value that is no text")
}

fn role() -> char {
    if CHILD.load(Ordering::SeqCst) {
        'C'
    } else {
        'M'
    }
}

// ---- signals ----

extern "C" fn on_crash(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let fd = open_log();
    write_raw(fd, START.as_bytes());
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
    if let Some(address) = interrupted_at(context) {
        line.number(pid as i64);
        line.text(b":M # Crashed running the instruction at: ");
        write_address(&mut line, address);
        line.text(b" (for addr2line -fipe)\n");
    }
    write_raw(fd, line.bytes());
    if is_main_thread() {
        running::write(fd);
    }
    write_raw(fd, TRACE.as_bytes());
    write_trace(fd);
    super::memtest::run(fd);
    write_raw(fd, END.as_bytes());
    remove_emergency_file();
    // SAFETY: the default action is in place (SA_RESETHAND), so raising ends the process as the signal would have;
    // `_exit` is for a signal that somebody blocked.
    unsafe {
        libc::raise(signal);
        libc::_exit(128 + signal);
    }
}

fn write_trace(fd: i32) {
    super::watchdog::stop();
    // SAFETY: `alarm` may be called in a handler.
    unsafe { libc::alarm(TRACE_SECONDS) };
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    // SAFETY: as above.
    unsafe { libc::alarm(0) };
    write_raw(fd, trace.as_bytes());
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
        line.escaped(b"\n'");
        assert_eq!(line.bytes(), b"a -120 0xdeadbeef0\\n\\'");
        line.text(&[b'x'; 600]);
        assert_eq!(line.bytes().len(), 512);
    }
}
