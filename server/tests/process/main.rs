//! The process as whoever runs it sees it.
//!
//! - `background`: `daemonize` and pid files.
//! - `looks`: title, out-of-memory score, processors, of the server and its children, beside the reference.
//! - `renames`: `rename-command`.
//! - `supervised`: systemd and upstart.
//! - `system`: `--check-system`, the system's log, locales, where connections come from.
//! - `watched`: the watchdog, and what a crash does.

mod background;
mod looks;
mod renames;
mod supervised;
#[path = "../support/mod.rs"]
mod support;
mod system;
mod watched;

use std::path::Path;

use cairn_format::resp::value::Value;

/// Words before a program that give it a mount table of its own; none where that is not allowed, which is noted.
fn in_own_mounts(test: &str, script: &str) -> Option<Vec<String>> {
    let words = |script: &str| ["unshare", "--mount", "sh", "-c", script, "sh"].map(str::to_string);
    let (status, said) = support::process::run_program("unshare", &["--mount", "true"]);
    if !status.success() {
        support::left_out(test, &format!("no mount table of its own: {said}"));
        return None;
    }
    Some(words(&format!("set -e; {script}; exec \"$@\"")).to_vec())
}

/// A file of a process in `/proc`.
fn proc_file(pid: u32, name: &str) -> String {
    let path = Path::new("/proc").join(pid.to_string()).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of a line of `/proc/PID/status`.
fn status_of(pid: u32, name: &str) -> String {
    let status = proc_file(pid, "status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {status}"))
        .trim()
        .to_string()
}

/// A reply as text: its parts with blanks between them.
fn shown(reply: &Value) -> String {
    match reply {
        Value::Bulk(bytes) | Value::Simple(bytes) | Value::Error(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Value::Array(parts) => parts.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}
