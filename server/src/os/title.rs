//! The title that `ps` shows: the memory of the arguments, written over.
//!
//! ```text
//!   arg_start        arg_end = env_start                    env_end
//!   | argv[0] 0 argv[1] 0 ... 0 | NAME=value 0 NAME=value 0 ... |
//!   | the title, then zeros                                     |   up to here once the environment lives elsewhere
//! ```
//!
//! The kernel shows the bytes up to `arg_end`, and goes on to the first zero behind it when the last one before it is none. So
//! a title may be longer than the arguments were, if the environment has been copied away first.

use std::ffi::CStr;
use std::ptr;

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// The memory that a title is written to. There is one in a process.
#[derive(Debug)]
pub struct TitleArea {
    start: *mut u8,
    len: usize,
}

impl TitleArea {
    /// Takes the memory of the arguments and of the environment, which goes elsewhere; none where the system does not
    /// tell where they are.
    ///
    /// # Safety
    /// No other thread may run, and nobody may ask for the arguments afterwards or keep pointers into either.
    pub unsafe fn claim() -> Option<TitleArea> {
        let [arg_start, arg_end, env_start, env_end] =
            areas(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
        let mut end = arg_end;
        // Elsewhere the two do not touch.
        if arg_end == env_start {
            // SAFETY: the caller vouches that nobody else looks at the environment now.
            unsafe { move_environment(env_start, env_end) };
            end = env_end;
        }
        Some(TitleArea {
            start: ptr::with_exposed_provenance_mut(arg_start),
            len: end - arg_start,
        })
    }

    /// Shows a title, cut off where there is no more room.
    pub fn show(&self, title: &str) {
        let count = title.len().min(self.len - 1);
        // SAFETY: the memory is the process's own, writable and claimed for this alone; the count is below its length.
        unsafe {
            ptr::copy_nonoverlapping(title.as_ptr(), self.start, count);
            ptr::write_bytes(self.start.add(count), 0, self.len - count);
        }
    }
}

/// Copies the variables that lie between the two addresses.
///
/// # Safety
/// No other thread may run.
unsafe fn move_environment(start: usize, end: usize) {
    // SAFETY: the array ends in null, each of its pointers is to a text that ends in zero, and nobody else looks at it.
    unsafe {
        let mut place = environ;
        while !place.is_null() && !(*place).is_null() {
            if (start..end).contains(&(*place).expose_provenance()) {
                *place = CStr::from_ptr(*place).to_owned().into_raw();
            }
            place = place.add(1);
        }
    }
}

/// Where arguments and environment begin and end, of a line of `/proc/PID/stat`.
fn areas(stat: &str) -> Option<[usize; 4]> {
    /// Of `arg_start`, counted behind the name in brackets, which may hold anything; the others follow it.
    const PLACE: usize = 45;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest
        .split_ascii_whitespace()
        .skip(PLACE)
        .map_while(|word| word.parse::<usize>().ok());
    let found = [words.next()?, words.next()?, words.next()?, words.next()?];
    let in_order = found.is_sorted() && found[0] != 0 && found[1] > found[0];
    in_order.then_some(found)
}

/// Names the calling thread; the first 15 bytes are shown.
pub fn name_thread(name: &str) {
    let mut bytes = [0; 16];
    let count = name.len().min(15);
    bytes[..count].copy_from_slice(&name.as_bytes()[..count]);
    #[cfg(target_os = "linux")]
    // SAFETY: the text ends in zero and lives through the call.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, bytes.as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_areas_are_found_behind_any_name() {
        let numbers: Vec<String> = (3..=52).map(|field| (field * 10).to_string()).collect();
        let stat = format!("17 (a) b) S {}", numbers[1..].join(" "));
        assert_eq!(areas(&stat), Some([480, 490, 500, 510]));
        for bad in [
            "",
            "17 (x) S 1 2 3",
            &stat.replace("490", "479"),
            &stat.replace("480", "0"),
        ] {
            assert_eq!(areas(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_title_fills_its_memory_and_no_more() {
        let mut memory = *b"program\0--option\0NAME=value\0!";
        let area = TitleArea {
            start: memory.as_mut_ptr(),
            len: memory.len() - 1,
        };
        area.show("server *:6379");
        assert_eq!(&memory[..14], b"server *:6379\0");
        area.show(&"x".repeat(100));
        assert_eq!(&memory[25..], b"xx\0!");
    }
}
