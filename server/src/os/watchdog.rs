//! A watch on the loop: if it does not come round in time, what it is at goes into the log.
//!
//! The loop winds a timer up each time that it comes round; when the timer runs out, SIGALRM interrupts whatever runs, and its
//! handler writes the command at hand and the stack, then lets it go on. It takes no lock and allocates nothing, because it may
//! have come into the middle of either: the stack is of addresses, which `addr2line` turns into lines.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, ptr};

use super::line::Line;
use super::report::{interrupted_at, is_main_thread, note_base, open_log, write_address};
use super::running;
use super::signals::{Errno, set_handler, set_info_handler, write_raw};

/// Most frames that are shown.
const FRAMES_MAX: usize = 100;

static INSTALLED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: extern "C" fn(*mut c_void, *mut c_void) -> libc::c_int,
        data: *mut c_void,
    ) -> libc::c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Winds the timer up, so many milliseconds from now; 0 stops it.
///
/// # Errors
/// The system does not take the handler.
pub fn wind(period_ms: u64) -> io::Result<()> {
    if period_ms > 0 && !INSTALLED.swap(true, Ordering::SeqCst) {
        note_base();
        set_info_handler(libc::SIGALRM, on_alarm as *const () as libc::sighandler_t)?;
    }
    set_timer(period_ms);
    if period_ms == 0 && INSTALLED.swap(false, Ordering::SeqCst) {
        set_handler(libc::SIGALRM, libc::SIG_DFL)?;
    }
    Ok(())
}

/// Stops the timer for good, in a handler or a child: SIGALRM does what it does by default.
pub(super) fn stop() {
    set_timer(0);
    // Fails only for signals that do not exist.
    let _ = set_handler(libc::SIGALRM, libc::SIG_DFL);
}

fn set_timer(ms: u64) {
    let time = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: (ms / 1000) as _,
            tv_usec: (ms % 1000 * 1000) as _,
        },
    };
    // SAFETY: the structure is ours; the old value is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &time, ptr::null_mut()) };
}

extern "C" fn on_alarm(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::save();
    let fd = open_log();
    write_raw(fd, b"\n--- WATCHDOG TIMER EXPIRED ---\n");
    if is_main_thread() {
        running::write(fd);
    }
    write_raw(
        fd,
        b"stack, innermost first; addr2line -fipe cairn-server 0x... tells the lines:\n",
    );
    // A static program's stack cannot be walked through the signal, so where it came is told by itself.
    if let Some(address) = interrupted_at(context) {
        let mut line = Line::new();
        line.text(b"interrupted at: ");
        write_address(&mut line, address);
        line.text(b"\n");
        write_raw(fd, line.bytes());
    }
    let mut trace = Trace { fd, frames: 0 };
    // SAFETY: the data is a `Trace` that lives through the call, as the visitor expects.
    unsafe { _Unwind_Backtrace(visit, (&raw mut trace).cast()) };
    write_raw(fd, b"--------\n");
    if fd > 2 {
        // SAFETY: the descriptor was opened above, and nobody else knows it.
        unsafe { libc::close(fd) };
    }
    errno.restore();
}

struct Trace {
    fd: i32,
    frames: usize,
}

extern "C" fn visit(context: *mut c_void, trace: *mut c_void) -> libc::c_int {
    /// `_URC_NO_REASON` goes on, anything else ends.
    const GO_ON: libc::c_int = 0;
    const END: libc::c_int = 4;
    // SAFETY: the context is the unwinder's, and the data the `Trace` that `on_alarm` handed in.
    let (address, trace) = unsafe { (_Unwind_GetIP(context), &mut *trace.cast::<Trace>()) };
    trace.frames += 1;
    if address == 0 || trace.frames > FRAMES_MAX {
        return END;
    }
    let mut line = Line::new();
    line.number(trace.frames as i64 - 1);
    line.text(b": ");
    write_address(&mut line, address);
    line.text(b"\n");
    write_raw(trace.fd, line.bytes());
    GO_ON
}
