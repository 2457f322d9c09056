//! On which processors a thread may run.

use std::io;

/// Processors as the system takes them.
#[derive(Clone, Copy)]
pub struct Processors(libc::cpu_set_t);

impl std::fmt::Debug for Processors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.numbers()).finish()
    }
}

/// How a list of processors is written, for who wrote another thing.
const FORM: &str = "a list of processors is such as 0,2 or 0-3 or 0-10:2";

impl Processors {
    /// The processors of a list: numbers, ranges, ranges with a step.
    ///
    /// # Errors
    /// What is wrong with the list.
    pub fn parse(list: &str) -> Result<Processors, String> {
        // SAFETY: all zero bytes are the empty set.
        let mut set = Processors(unsafe { std::mem::zeroed() });
        for part in list.split(',') {
            let numbers = range(part.trim()).ok_or_else(|| format!("'{part}': {FORM}"))?;
            for number in numbers {
                // SAFETY: `range` lets only numbers through that the set has room for.
                unsafe { libc::CPU_SET(number, &mut set.0) };
            }
        }
        Ok(set)
    }

    /// Those that the calling thread may run on.
    pub fn of_this_thread() -> io::Result<Processors> {
        // SAFETY: all zero bytes are the empty set; the call fills it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            match libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) {
                0 => Ok(Processors(set)),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Keeps the calling thread on these, and the threads that it starts.
    pub fn take_this_thread(&self) -> io::Result<()> {
        // SAFETY: the set is ours.
        match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        // SAFETY: the numbers are below the size of the set.
        (0..libc::CPU_SETSIZE as usize)
            .filter(|number| unsafe { libc::CPU_ISSET(*number, &self.0) })
    }
}

/// Keeps the calling thread on the processors of a list; the empty one says nothing.
///
/// # Errors
/// What is wrong with the list, or that the machine has none of these.
pub fn pin(list: &str) -> Result<(), String> {
    if list.is_empty() {
        return Ok(());
    }
    let processors = Processors::parse(list)?;
    processors
        .take_this_thread()
        .map_err(|error| format!("'{list}': {}", super::error_text(&error)))
}

fn range(text: &str) -> Option<impl Iterator<Item = usize>> {
    let (ends, step) = text.split_once(':').unwrap_or((text, "1"));
    let (first, last) = ends.split_once('-').unwrap_or((ends, ends));
    let number = |text: &str| text.parse::<usize>().ok();
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    let fits = first <= last && last < libc::CPU_SETSIZE as usize && step > 0;
    fits.then(|| (first..=last).step_by(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbers_and_ranges() {
        for (list, numbers) in [
            ("0", &[0][..]),
            ("0,2", &[0, 2]),
            ("1-3, 7", &[1, 2, 3, 7]),
            ("0-7:3", &[0, 3, 6]),
        ] {
            let set = Processors::parse(list).unwrap();
            assert_eq!(set.numbers().collect::<Vec<_>>(), numbers, "{list}");
        }
        for bad in [
            "",
            "x",
            "-1",
            "3-1",
            "0-4:0",
            "1024",
            "0-99999999999",
            "1,,2",
            "1-",
            "0-3:",
        ] {
            assert!(Processors::parse(bad).unwrap_err().contains(FORM), "{bad}");
        }
    }

    #[test]
    fn a_thread_is_kept_where_it_is_told() {
        let before = Processors::of_this_thread().unwrap();
        let first = before.numbers().next().unwrap();
        std::thread::spawn(move || {
            pin("").unwrap();
            pin(&first.to_string()).unwrap();
            let now = Processors::of_this_thread().unwrap();
            assert_eq!(now.numbers().collect::<Vec<_>>(), [first]);
            assert!(pin("1023").unwrap_err().starts_with("'1023': "));
        })
        .join()
        .unwrap();
    }
}
