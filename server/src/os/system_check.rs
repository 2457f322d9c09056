//! Settings of the system that make a server slow or lose data: `--check-system`, and two of them at each start.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Fine,
    /// This system does not tell, or it is not about this machine.
    Skipped,
    /// What is wrong and what to do about it.
    Warning(String),
}

/// One check; `root` is the folder that `/proc` and `/sys` are in.
struct Check {
    name: &'static str,
    run: fn(root: &Path) -> Verdict,
}

/// In the order of Redis 7, by its names.
const CHECKS: [Check; 5] = [
    Check {
        name: "slow-clocksource",
        run: slow_clock,
    },
    Check {
        name: "xen-clocksource",
        run: xen_clock,
    },
    Check {
        name: "overcommit",
        run: overcommit,
    },
    Check {
        name: "THP",
        run: huge_pages,
    },
    Check {
        name: "madvise-free-fork-bug",
        run: lost_pages,
    },
];

/// The name of the check of `lost_pages` in `ignore-warnings`.
pub const LOST_PAGES: &str = "ARM64-COW-BUG";

/// Runs all checks and writes what they found; whether none warns.
///
/// # Errors
/// Nobody reads it.
pub fn run(out: &mut dyn Write) -> io::Result<bool> {
    run_in(Path::new("/"), out)
}

fn run_in(root: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let mut fine = true;
    for check in &CHECKS {
        write!(out, "[{}]...", check.name)?;
        out.flush()?;
        match (check.run)(root) {
            Verdict::Fine => writeln!(out, "OK")?,
            Verdict::Skipped => writeln!(out, "skipped")?,
            Verdict::Warning(text) => {
                fine = false;
                writeln!(out, "WARNING:\n{text}\n")?;
            }
        }
    }
    Ok(fine)
}

/// What the log of each start warns of. `kept_out` of huge pages, nothing is said of them.
pub fn at_start(kept_out: bool) -> Vec<String> {
    let root = Path::new("/");
    let pages = match kept_out {
        true => Verdict::Fine,
        false => huge_pages(root),
    };
    let verdicts = [overcommit(root), pages].into_iter();
    let warnings = verdicts.filter_map(|verdict| match verdict {
        Verdict::Warning(text) => Some(format!("WARNING {text}")),
        Verdict::Fine | Verdict::Skipped => None,
    });
    warnings.collect()
}

/// Whether a start on this system would lose data of children: only some kernels on ARM do.
pub fn loses_pages() -> Option<String> {
    match cfg!(target_arch = "aarch64").then(|| lost_pages(Path::new("/"))) {
        Some(Verdict::Warning(text)) => Some(text),
        _ => None,
    }
}

/// The warning, unless the list of `ignore-warnings` names it.
pub fn unless_ignored(found: Option<String>, ignored: &str) -> Option<String> {
    let mut names = ignored.split_ascii_whitespace();
    found.filter(|_| !names.any(|name| name.eq_ignore_ascii_case(LOST_PAGES)))
}

fn read(root: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(root.join(name)).ok()
}

/// What the kernel tells time by, below the root.
pub(super) const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Reading the clock must not be a system call: each command reads it.
fn slow_clock(root: &Path) -> Verdict {
    /// Part of the time in the system from which it is one, percent.
    const SHARE_MAX: f64 = 10.0;
    /// How long the clock is read.
    const TIME: Duration = Duration::from_millis(50);
    let Some(name) = read(root, CLOCK) else {
        return Verdict::Skipped;
    };
    let before = super::process::cpu_times();
    let start = Instant::now();
    let mut reads = 0u64;
    while start.elapsed() < TIME {
        reads += 1;
    }
    let after = super::process::cpu_times();
    let system = after.system - before.system;
    let all = system + after.user - before.user;
    if all > 0.0 && system / all * 100.0 > SHARE_MAX {
        return Verdict::Warning(format!(
            "Reading the clock is slow here: {:.0}% of the time of {reads} readings was spent in the kernel, so the clock source '{}' is \
             not read from user space. Each command reads it. `cat /{}` lists what this machine has instead, and 'tsc', where it is listed, \
             is chosen by `echo tsc > /{CLOCK}`.",
            system / all * 100.0,
            name.trim(),
            CLOCK.replace("current", "available"),
        ));
    }
    Verdict::Fine
}

fn xen_clock(root: &Path) -> Verdict {
    match read(root, CLOCK).as_deref().map(str::trim) {
        None => Verdict::Skipped,
        Some("xen") => Verdict::Warning(format!(
            "The clock source is 'xen', which is slow to read; `echo tsc > /{CLOCK}` chooses the processor's own."
        )),
        Some(_) => Verdict::Fine,
    }
}

fn overcommit(root: &Path) -> Verdict {
    const NAME: &str = "proc/sys/vm/overcommit_memory";
    match read(root, NAME).as_deref().map(str::trim) {
        None => Verdict::Skipped,
        Some("1") => Verdict::Fine,
        Some(_) => Verdict::Warning(
            "Memory overcommit must be enabled! The child that saves shares the server's memory, but the kernel may refuse it as if it needed \
             all of it once more: then saves fail while there is memory enough. `sysctl vm.overcommit_memory=1` mends it now, and the line \
             'vm.overcommit_memory = 1' in /etc/sysctl.conf from the next start of the machine on."
                .into(),
        ),
    }
}

fn huge_pages(root: &Path) -> Verdict {
    const NAME: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    match read(root, NAME) {
        None => Verdict::Skipped,
        Some(text) if text.contains("[always]") => Verdict::Warning(format!(
            "Transparent huge pages are always on: while a child saves, each write copies 2 MB instead of 4 kB, which costs memory and \
             time. `echo madvise > /{NAME}` as root mends it until the next start of the machine; 'disable-thp yes' keeps this server out of it."
        )),
        Some(_) => Verdict::Fine,
    }
}

/// Some kernels on ARM forget that a page was written when it had been given back (MADV_FREE), written again and then shared with
/// a child: the child sees zeros, and so would a snapshot.
fn lost_pages(_: &Path) -> Verdict {
    if !cfg!(target_os = "linux") {
        return Verdict::Skipped;
    }
    match child_sees_dirty_page() {
        Ok(Some(true)) => Verdict::Fine,
        Ok(Some(false)) => Verdict::Warning(
            "This kernel can lose memory of a child: a page that was given back and written again is not seen as written after a fork. \
             Snapshots and rewritten logs could be damaged. A newer kernel mends it."
                .into(),
        ),
        Ok(None) | Err(_) => Verdict::Skipped,
    }
}

/// Whether a page that was given back and written again counts as written in a child; none if the child cannot tell.
fn child_sees_dirty_page() -> io::Result<Option<bool>> {
    let page = Page::new()?;
    page.write();
    page.give_back()?;
    page.write();
    let mut child = super::fork::spawn_child(
        &[],
        Box::new(|_| match page.is_dirty() {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        }),
    )?;
    Ok(match crate::host::Child::wait(&mut child) {
        crate::host::ChildExit::Code(0) => Some(true),
        crate::host::ChildExit::Code(1) => Some(false),
        _ => None,
    })
}

/// A page between two that are not touched, so that it is listed as a range of its own.
struct Page {
    memory: *mut libc::c_void,
    size: usize,
}

impl Page {
    fn new() -> io::Result<Page> {
        let size = super::process::page_size() as usize;
        // SAFETY: a new mapping; its middle page is made writable.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(
                std::ptr::null_mut(),
                3 * size,
                libc::PROT_NONE,
                flags,
                -1,
                0,
            );
            if memory == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let page = Page { memory, size };
            match libc::mprotect(page.middle(), size, libc::PROT_READ | libc::PROT_WRITE) {
                0 => Ok(page),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    fn middle(&self) -> *mut libc::c_void {
        self.memory.wrapping_byte_add(self.size)
    }

    fn write(&self) {
        // SAFETY: the middle page is writable and ours.
        unsafe { self.middle().cast::<u8>().write_volatile(1) };
    }

    fn give_back(&self) -> io::Result<()> {
        // SAFETY: as above; its bytes are not needed any more.
        match unsafe { libc::madvise(self.middle(), self.size, libc::MADV_FREE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Whether the system counts it as written; none if it does not tell.
    fn is_dirty(&self) -> Option<bool> {
        let mut text = String::new();
        let mut file = std::fs::File::open("/proc/self/smaps").ok()?;
        file.read_to_string(&mut text).ok()?;
        let start = format!("{:x}-", self.middle().addr());
        let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
        let dirty = lines.find_map(|line| line.strip_prefix("Shared_Dirty:"))?;
        let kilobytes: u64 = dirty.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes > 0)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the whole mapping is ours, and nobody uses it any more.
        unsafe { libc::munmap(self.memory, 3 * self.size) };
    }
}

/// Keeps this process and its children out of transparent huge pages; whether the system took it.
pub fn disable_huge_pages() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: numbers only.
    return unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 };
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn verdicts(folder: &tempfile::TempDir) -> (bool, String) {
        let mut out = Vec::new();
        let fine = run_in(folder.path(), &mut out).unwrap();
        (fine, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_the_system_does_not_tell_is_skipped() {
        let (fine, text) = verdicts(&system(&[]));
        assert!(fine);
        assert!(
            text.starts_with("[slow-clocksource]...skipped\n[xen-clocksource]...skipped\n[overcommit]...skipped\n[THP]...skipped\n"),
            "{text}"
        );
    }

    #[test]
    fn each_bad_setting_is_told_with_its_remedy() {
        let overcommit = "proc/sys/vm/overcommit_memory";
        let pages = "sys/kernel/mm/transparent_hugepage/enabled";
        let good = [
            (CLOCK, "tsc\n"),
            (overcommit, "1\n"),
            (pages, "always [madvise] never\n"),
        ];
        let (_, text) = verdicts(&system(&good));
        for name in ["xen-clocksource", "overcommit", "THP"] {
            assert!(text.contains(&format!("[{name}]...OK\n")), "{text}");
        }
        for (bad, name, remedy) in [
            ((CLOCK, "xen\n"), "xen-clocksource", "echo tsc"),
            ((overcommit, "0\n"), "overcommit", "vm.overcommit_memory=1"),
            ((overcommit, "2\n"), "overcommit", "vm.overcommit_memory=1"),
            ((pages, "[always] madvise never\n"), "THP", "echo madvise"),
        ] {
            let mut files = good.to_vec();
            files.retain(|(path, _)| *path != bad.0);
            files.push(bad);
            let (fine, text) = verdicts(&system(&files));
            assert!(!fine);
            let after = text
                .split(&format!("[{name}]...WARNING:\n"))
                .nth(1)
                .unwrap_or_default();
            assert!(after.contains(remedy), "{name}: {text}");
        }
    }

    #[test]
    fn a_flaw_ends_the_start_unless_it_is_to_be_ignored() {
        let found = || Some("bad".to_string());
        assert_eq!(unless_ignored(found(), ""), found());
        assert_eq!(unless_ignored(found(), "other"), found());
        assert_eq!(unless_ignored(found(), "other arm64-cow-bug"), None);
        assert_eq!(unless_ignored(None, ""), None);
    }

    #[test]
    fn a_written_page_is_seen_as_written() {
        let page = Page::new().unwrap();
        assert_eq!(page.is_dirty(), Some(false));
        // This machine's kernel is a sound one.
        #[cfg(target_arch = "x86_64")]
        assert_eq!(lost_pages(Path::new("/")), Verdict::Fine);
    }
}
