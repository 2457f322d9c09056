//! Memory maps of input files, and the signals that can end a tool between two instructions.
//!
//! Reading a map beyond the end of a file that has shrunk since raises SIGBUS. The handler here turns
//! that into an error line and exit 2. For the same reason it lives here that SIGINT, SIGTERM and SIGHUP
//! take unfinished outputs with them: a handler runs anywhere, so it may use nothing but atomics,
//! `write`, `unlink`, `sigaction`, `raise` and `_exit` (the list of POSIX for signal handlers).
//!
//! ```text
//!   MAPS       [ start | end | line ]  x 1024    which file owns the address that faulted, and what to say
//!   LITTER     [ path ]                x 1024    unfinished outputs, removed by every handler
//! ```
//!
//! Invariants:
//! - this and `letters.rs` are the only files of the tools with `unsafe`;
//! - a slot is filled from back to front (line, end, then start or path last), so a handler that finds
//!   the last part set sees the others; what a slot points to is never freed.
#![allow(unsafe_code)]

use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, Once, PoisonError};

const SLOTS: usize = 1024;
static MAPS: [MapSlot; SLOTS] = [const { MapSlot::new() }; SLOTS];
static LITTER: [AtomicPtr<libc::c_char>; SLOTS] = [const { AtomicPtr::new(null_mut()) }; SLOTS];
static HANDLERS: Once = Once::new();
/// Bytes that may stay in memory behind the place that [`Map::passed`] was told.
const BEHIND: usize = 4 << 20;

struct MapSlot {
    taken: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    line: AtomicPtr<libc::c_char>,
}

impl MapSlot {
    const fn new() -> MapSlot {
        MapSlot {
            taken: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            line: AtomicPtr::new(null_mut()),
        }
    }
}

/// The bytes of a regular file, read through a private map.
#[derive(Debug)]
pub struct Map {
    bytes: Mmap,
    slot: usize,
    /// What stands before this was given back.
    released: AtomicUsize,
}

impl Map {
    /// Maps `file`, which error lines call `name`, from its start to its present end.
    ///
    /// Errors: the system refuses the map, or 1024 maps exist already.
    pub fn new(file: &File, name: &str) -> io::Result<Map> {
        install_handlers();
        let slot = MAPS
            .iter()
            .position(|slot| slot.taken.compare_exchange(0, 1, SeqCst, SeqCst).is_ok())
            .ok_or_else(|| io::Error::other("too many files are mapped at once"))?;
        // SAFETY: the map is private and read-only, but its bytes can change when another process writes the file, and the
        // language has no `&[u8]` over memory that changes: no reader can make that sound. What is done about it: readers
        // take every byte as untrusted at each read, and whoever needs to check bytes and then rely on it (text for JSON)
        // checks a copy. The one `&str` made in place, for `str::parse::<f64>` in `format::text::double`, is used only
        // byte by byte. So a change gives a wrong value or an error. A shrunken file gives SIGBUS, which is handled below.
        let bytes = match unsafe { Mmap::map(file) } {
            Ok(bytes) => bytes,
            Err(error) => {
                MAPS[slot].taken.store(0, SeqCst);
                return Err(error);
            }
        };
        // Advice is a favour: a system that cannot take it still reads correctly.
        let _ = bytes.advise(Advice::Sequential);
        let line = format!(
            "{}: {name}: the file shrank while it was read; {} bytes were there at the start\n",
            crate::outcome::tool_name(),
            bytes.len()
        );
        let start = bytes.as_ptr() as usize;
        MAPS[slot].line.store(kept(line.into_bytes()), SeqCst);
        MAPS[slot].end.store(start + bytes.len(), SeqCst);
        MAPS[slot].start.store(start, SeqCst);
        Ok(Map {
            bytes,
            slot,
            released: AtomicUsize::new(0),
        })
    }
}

impl Map {
    /// The reader has come to `at`: what stands far before it leaves memory, and is read from the file again if somebody
    /// goes back. Cheap enough to be called for each record.
    #[inline]
    pub fn passed(&self, at: usize) {
        // A reader that has gone back is far from there, too.
        if at.wrapping_sub(self.released.load(Relaxed)) >= 2 * BEHIND {
            self.release(at.saturating_sub(BEHIND));
        }
    }

    #[cold]
    fn release(&self, end: usize) {
        let end = end.min(self.bytes.len()) & !(BEHIND - 1);
        let begin = self.released.swap(end, Relaxed);
        if begin < end {
            // SAFETY: nobody writes to this map, so what comes back is what the file has, as at the first reading. Who holds a
            // slice of it sees the same memory. A system that refuses keeps the pages, which is no harm.
            let _ = unsafe {
                self.bytes
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, begin, end - begin)
            };
        }
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        MAPS[self.slot].start.store(0, SeqCst);
        MAPS[self.slot].taken.store(0, SeqCst);
    }
}

/// Remembers an unfinished output until it is dropped, so that a signal removes it.
#[derive(Debug)]
pub struct Litter {
    slot: Option<usize>,
}

impl Litter {
    /// Watches over `path`. With all slots taken, or a path no system call can take, a signal would leave the file.
    pub fn watch(path: &Path) -> Litter {
        install_handlers();
        // The handler may run in another folder's process image only in theory, but a relative path costs nothing to make whole.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = kept(path.as_os_str().as_bytes().to_vec());
        let slot = LITTER.iter().position(|slot| {
            slot.compare_exchange(null_mut(), name, SeqCst, SeqCst)
                .is_ok()
        });
        Litter { slot }
    }
}

impl Drop for Litter {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            LITTER[slot].store(null_mut(), SeqCst);
        }
    }
}

/// Strings that handlers read.
static KEPT: Mutex<Vec<CString>> = Mutex::new(Vec::new());

/// A C string that lives to the end of the process, since a handler may be reading it at any time.
/// A tool makes one for each map and output, so what is never freed is a few hundred bytes.
fn kept(bytes: Vec<u8>) -> *mut libc::c_char {
    let Ok(string) = CString::new(bytes) else {
        return null_mut();
    };
    // Its bytes stay where they are when the list moves.
    let place = string.as_ptr().cast_mut();
    KEPT.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(string);
    place
}

fn install_handlers() {
    HANDLERS.call_once(|| {
        install(libc::SIGBUS, on_bus as *const () as usize);
        // A file that may not grow further is an error of the write, which has a name, and not the end of the tool.
        install(libc::SIGXFSZ, libc::SIG_IGN);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            if !is_ignored(signal) {
                install(signal, on_end as *const () as usize);
            }
        }
    });
}

/// `nohup` starts a program with SIGHUP ignored, and it must stay so.
fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: zeroed is a valid `sigaction` (no flags, default handler), and the call only fills it in.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

fn install(signal: libc::c_int, handler: usize) {
    // SAFETY: zeroed is a valid `sigaction`; `handler` is a function of this file with the signature that
    // SA_SIGINFO asks for, SIG_DFL or SIG_IGN, and uses only what a handler may. Failure leaves the default action, which is to die.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, null_mut());
    }
}

extern "C" fn on_bus(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler installed with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &MAPS {
        let start = slot.start.load(SeqCst);
        if start != 0 && address >= start && address < slot.end.load(SeqCst) {
            let line = slot.line.load(SeqCst);
            if !line.is_null() {
                // SAFETY: `line` came from `kept`: a C string that is never freed.
                unsafe { libc::write(2, line.cast(), libc::strlen(line)) };
            }
            remove_litter();
            // SAFETY: `_exit` ends the process at once and is allowed in a handler.
            unsafe { libc::_exit(2) };
        }
    }
    // Not one of our maps: a fault of our own, which must look like one. Returning repeats the instruction.
    remove_litter();
    install(signal, libc::SIG_DFL);
}

/// From now on the first signal that would end the tool only asks it to: [`is_asked_to_end`] tells, so that it can report what it did.
/// The next one ends it.
pub fn ask_before_end() {
    install_handlers();
    ASKS.store(true, SeqCst);
}

/// Whether a signal has asked the tool to end ([`ask_before_end`]).
pub fn is_asked_to_end() -> bool {
    ASKED.load(SeqCst)
}

/// Whether the first signal only asks, and whether it came.
static ASKS: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_end(signal: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if ASKS.load(SeqCst) && !ASKED.swap(true, SeqCst) {
        return;
    }
    remove_litter();
    install(signal, libc::SIG_DFL);
    // SAFETY: `raise` is allowed in a handler; the signal is delivered with its default action when this one returns,
    // so the shell sees a process that died of it.
    unsafe { libc::raise(signal) };
}

fn remove_litter() {
    for slot in &LITTER {
        let path = slot.swap(null_mut(), SeqCst);
        if !path.is_null() {
            // SAFETY: `path` came from `kept`: a C string that is never freed.
            unsafe { libc::unlink(path) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_map_shows_the_file_and_gives_its_slot_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        for _ in 0..SLOTS + 3 {
            assert_eq!(&Map::new(&file, "x").unwrap()[..], b"bytes");
        }
    }

    /// Bytes of this map that are in memory, by the kernel's count.
    fn resident(map: &Map) -> usize {
        let start = format!("{:x}-", map.as_ptr() as usize);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        let line = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim()
            .trim_end_matches(" kB")
            .parse::<usize>()
            .unwrap()
            << 10
    }

    #[test]
    fn what_was_passed_leaves_memory_and_comes_back_when_it_is_read_again() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..6 * BEHIND).map(|i| (i / 4096) as u8).collect();
        file.write_all(&bytes).unwrap();
        let map = Map::new(&file, "x").unwrap();
        for _ in 0..2 {
            for at in (0..bytes.len()).step_by(4096) {
                assert_eq!(map[at], bytes[at]);
                map.passed(at);
            }
            assert!(resident(&map) <= 4 * BEHIND, "{}", resident(&map));
        }
        map.passed(usize::MAX);
        assert!(map[..] == bytes[..]);
    }
}
