//! The process itself: background, limits, memory, names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::host::CpuTimes;

/// Descriptors that the server needs besides those of its clients, as Redis reserves them.
const RESERVED_FILES: u64 = 32;

/// Process id.
pub fn pid() -> u32 {
    std::process::id()
}

/// Writes the process id and a line end to `path`.
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    std::fs::write(path, format!("{}\n", pid()))
}

/// Sets which permissions new files never get; returns the mask of before.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: cannot fail and touches nothing else.
    unsafe { libc::umask(mask as libc::mode_t) as u32 }
}

/// What became of the limit of open files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenFiles {
    /// The limit was high enough.
    Enough,
    /// It was raised.
    Raised {
        /// Limit of before.
        from: u64,
        /// Limit now.
        to: u64,
    },
    /// The system allows fewer than needed.
    Reduced {
        /// Clients that can be served.
        maxclients: u64,
        /// Limit now.
        limit: u64,
        /// Limit that `maxclients` as configured needs.
        needed: u64,
        /// The system's words.
        reason: String,
    },
    /// Not even the reserved descriptors are allowed: the server cannot start.
    TooFew {
        /// Limit now.
        limit: u64,
        /// Limit that `maxclients` as configured needs.
        needed: u64,
    },
}

/// Raises the limit of open files to what `maxclients` needs: those and 32 for the server's own, in the way of Redis.
pub fn adjust_open_files(maxclients: u64) -> OpenFiles {
    let needed = maxclients.saturating_add(RESERVED_FILES);
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is ours and lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) } != 0 {
        // Unknown limit: as Redis does, assume the traditional 1024.
        limits.rlim_cur = 1024;
    }
    let from = limits.rlim_cur;
    if from >= needed {
        return OpenFiles::Enough;
    }
    let (best, reason) = raise_limit(needed, limits);
    if best >= needed {
        return OpenFiles::Raised { from, to: best };
    }
    if best <= RESERVED_FILES {
        return OpenFiles::TooFew {
            limit: best,
            needed,
        };
    }
    OpenFiles::Reduced {
        maxclients: best - RESERVED_FILES,
        limit: best,
        needed,
        reason,
    }
}

/// Raises the limit to `needed`, or as far as the system lets it; returns what was reached and why not more. The hard
/// limit is raised where that is allowed and never lowered.
fn raise_limit(needed: u64, old: libc::rlimit) -> (u64, String) {
    let set = |attempt: u64| {
        let limits = libc::rlimit {
            rlim_cur: attempt,
            rlim_max: old.rlim_max.max(attempt),
        };
        // SAFETY: the structure is ours and lives through the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) == 0 }
    };
    if set(needed) {
        return (needed, String::new());
    }
    let reason = super::error_text(&io::Error::last_os_error());
    // What is allowed is allowed for everything below it, too: halve the range between what works and what does not.
    let (mut works, mut fails) = (old.rlim_cur, needed);
    while fails - works > 1 {
        let middle = works + (fails - works) / 2;
        if set(middle) {
            works = middle;
        } else {
            fails = middle;
        }
    }
    (works, reason)
}

/// Bytes of memory that the process occupies now. Where the system does not tell: the most it ever did.
pub fn resident_bytes() -> u64 {
    if let Ok(text) = std::fs::read_to_string("/proc/self/statm")
        && let Some(pages) = text
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|word| word.parse::<u64>().ok())
    {
        return pages * page_size();
    }
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    usage(libc::RUSAGE_SELF).map_or(0, |usage| usage.ru_maxrss as u64 * unit)
}

/// Bytes of memory that this process shares with no other one; 0 where the system does not tell.
pub fn private_dirty_bytes() -> u64 {
    let Ok(mut file) = std::fs::File::open("/proc/self/smaps_rollup")
        .or_else(|_| std::fs::File::open("/proc/self/smaps"))
    else {
        return 0;
    };
    let mut text = String::new();
    if file.read_to_string(&mut text).is_err() {
        return 0;
    }
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("Private_Dirty:"));
    let kilobytes = lines.filter_map(|rest| {
        rest.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kilobytes.sum::<u64>() * 1024
}

pub(super) fn page_size() -> u64 {
    // SAFETY: a question without arguments.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as u64
}

/// Bytes of memory of the machine at the first call; 0 when it does not tell.
pub fn total_memory() -> u64 {
    static TOLD: LazyLock<u64> = LazyLock::new(ask_total_memory);
    *TOLD
}

fn ask_total_memory() -> u64 {
    // SAFETY: a question without arguments.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    pages.max(0) as u64 * page_size()
}

/// Processor time used so far: INFO CPU.
pub fn cpu_times() -> CpuTimes {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let of = |who| {
        usage(who).map_or((0.0, 0.0), |usage| {
            (seconds(usage.ru_stime), seconds(usage.ru_utime))
        })
    };
    let (system, user) = of(libc::RUSAGE_SELF);
    let (system_children, user_children) = of(libc::RUSAGE_CHILDREN);
    CpuTimes {
        system,
        user,
        system_children,
        user_children,
    }
}

fn usage(who: libc::c_int) -> Option<libc::rusage> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the structure is ours; all zero bytes are a valid one, and the call fills it.
    unsafe { (libc::getrusage(who, usage.as_mut_ptr()) == 0).then(|| usage.assume_init()) }
}

/// Name, release and machine of the system, as INFO's `os` prints them: `Linux 6.1.0 x86_64`. Asked once.
pub fn system_name() -> &'static str {
    static TOLD: LazyLock<String> = LazyLock::new(ask_system_name);
    &TOLD
}

fn ask_system_name() -> String {
    let mut names = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the structure is ours; the call fills it with texts that end in zero.
    let names = unsafe {
        if libc::uname(names.as_mut_ptr()) != 0 {
            return std::env::consts::OS.to_string();
        }
        names.assume_init()
    };
    let text = |field: &[libc::c_char]| {
        // SAFETY: each field is an array that ends in zero.
        let name = unsafe { std::ffi::CStr::from_ptr(field.as_ptr()) };
        name.to_string_lossy().into_owned()
    };
    format!(
        "{} {} {}",
        text(&names.sysname),
        text(&names.release),
        text(&names.machine)
    )
}

/// The program's own path, for INFO. Asked once.
pub fn executable() -> &'static Path {
    static TOLD: LazyLock<PathBuf> = LazyLock::new(|| std::env::current_exe().unwrap_or_default());
    &TOLD
}

/// Fills `bytes` with unpredictable ones.
///
/// # Panics
/// When the system has no source of randomness: seeds that can be guessed would invite flooding of the hash tables.
pub fn random(bytes: &mut [u8]) {
    let filled =
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes));
    assert!(filled.is_ok(), "/dev/urandom: {filled:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_itself() {
        assert!(resident_bytes() > 1 << 20);
        assert!(total_memory() > resident_bytes());
        assert!(system_name().split(' ').count() >= 3, "{}", system_name());
        assert!(cpu_times().user >= 0.0);
        assert!(executable().is_absolute());
        let (mut first, mut second) = ([0; 16], [0; 16]);
        random(&mut first);
        random(&mut second);
        assert_ne!(first, second);
        #[cfg(target_os = "linux")]
        assert!(private_dirty_bytes() > 0);
    }

    #[test]
    fn a_limit_that_is_there_is_left_alone() {
        assert_eq!(adjust_open_files(1), OpenFiles::Enough);
        // More than any system gives without being asked nicely: either it is raised or clients are taken away.
        match adjust_open_files(1 << 40) {
            OpenFiles::Enough | OpenFiles::Raised { .. } => {}
            OpenFiles::Reduced {
                maxclients, limit, ..
            } => assert_eq!(maxclients + RESERVED_FILES, limit),
            OpenFiles::TooFew { limit, .. } => assert!(limit <= RESERVED_FILES),
        }
    }
}
