//! A trace of system calls of the running server: the log is synced before the reply leaves, a snapshot before it gets
//! its name.

use std::path::Path;

use crate::support::process::children_of;
use crate::support::{Folder, Setup, wait_until};

const CALLS: &str = "trace=write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,openat";

/// Starts a traced server, lets `work` happen, ends it; answers the calls of each thread that made any.
fn traced(
    folder: &Folder,
    options: &str,
    work: impl FnOnce(&mut crate::support::Connection),
) -> Vec<Vec<String>> {
    let prefix = folder.path("trace");
    let strace = [
        "strace",
        "-f",
        "-ff",
        "-s",
        "300",
        "-e",
        CALLS,
        "-o",
        prefix.to_str().unwrap(),
    ];
    let server = Setup::cairn(folder).with(options).under(&strace).start();
    let mut connection = server.connect();
    work(&mut connection);
    let tracee = children_of(server.pid());
    assert_eq!(tracee.len(), 1, "strace must be allowed to trace its child");
    // What a child that was traced leaves is written when the thread ends.
    crate::support::process::send_signal(tracee[0], libc::SIGTERM);
    let mut server = server;
    server.wait_end();
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(prefix.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("trace.")
        {
            threads.push(lines(&path));
        }
    }
    threads
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(String::from)
        .collect()
}

/// The descriptor that a call is about: the first argument.
fn descriptor(line: &str) -> Option<i32> {
    line.split_once('(')?
        .1
        .split([',', ')'])
        .next()?
        .trim()
        .parse()
        .ok()
}

fn is_sync(line: &str, fd: i32) -> bool {
    (line.starts_with("fdatasync(") || line.starts_with("fsync("))
        && descriptor(line) == Some(fd)
        && line.ends_with("= 0")
}

fn find(lines: &[String], from: usize, what: &str, test: impl Fn(&str) -> bool) -> usize {
    let found = lines[from..].iter().position(|line| test(line));
    from + found.unwrap_or_else(|| panic!("{what}: not behind line {from} of the trace"))
}

fn writes(line: &str) -> bool {
    ["write(", "writev(", "pwrite64("]
        .iter()
        .any(|name| line.starts_with(name))
}

fn sends(line: &str) -> bool {
    ["write(", "writev(", "sendto(", "sendmsg("]
        .iter()
        .any(|name| line.starts_with(name))
}

#[test]
fn under_always_the_log_is_synced_before_the_reply() {
    let folder = Folder::new();
    let threads = traced(
        &folder,
        "--appendonly yes --appendfsync always",
        |connection| {
            for i in 0..20 {
                connection.good(&format!("SET marked-key-{i:02} marked-value"));
                connection.good("GET something-else");
            }
            connection.good("MULTI");
            connection.good("SET marked-key-20 in-a-transaction");
            connection.good("EXEC");
        },
    );
    let main = threads
        .iter()
        .find(|lines| lines.iter().any(|line| line.contains("marked-key-00")))
        .expect("a thread that writes the log");
    for i in 0..=20 {
        let marker = format!("marked-key-{i:02}");
        let write = find(main, 0, "the record in the log", |line| {
            writes(line) && line.contains(&marker)
        });
        let log = descriptor(&main[write]).unwrap();
        let sync = find(main, write, "the sync of the log", |line| {
            is_sync(line, log)
        });
        let reply = find(main, write, "the reply", |line| {
            sends(line)
                && descriptor(line) != Some(log)
                && (line.contains("+OK\\r\\n") || line.contains("*1\\r\\n+OK"))
        });
        assert!(
            write < sync && sync < reply,
            "{marker}: written in {write}, synced in {sync}, answered in {reply}"
        );
        assert!(
            !main[write..sync]
                .iter()
                .any(|line| sends(line) && line.contains("+OK")),
            "{marker}: something was answered between write and sync"
        );
    }
}

#[test]
fn under_always_a_pipeline_is_synced_once_for_many() {
    let folder = Folder::new();
    let threads = traced(
        &folder,
        "--appendonly yes --appendfsync always",
        |connection| {
            let request = b"*3\r\n$3\r\nSET\r\n$6\r\npiped!\r\n$1\r\nv\r\n".repeat(1000);
            connection.send(&request);
            for _ in 0..1000 {
                connection.read();
            }
        },
    );
    let main = threads
        .iter()
        .find(|lines| lines.iter().any(|line| line.contains("piped!")))
        .unwrap();
    let first = find(main, 0, "the first record", |line| {
        writes(line) && line.contains("piped!")
    });
    let log = descriptor(&main[first]).unwrap();
    let syncs = main[first..]
        .iter()
        .filter(|line| is_sync(line, log))
        .count();
    assert!(
        (1..200).contains(&syncs),
        "{syncs} syncs for 1,000 commands in one pipeline"
    );
}

#[test]
fn under_everysec_another_thread_syncs_the_log() {
    let folder = Folder::new();
    let threads = traced(
        &folder,
        "--appendonly yes --appendfsync everysec",
        |connection| {
            for i in 0..25 {
                connection.good(&format!("SET second-{i} v"));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        },
    );
    let main = threads
        .iter()
        .find(|lines| lines.iter().any(|line| line.contains("second-0")))
        .unwrap();
    let first = find(main, 0, "the first record", |line| {
        writes(line) && line.contains("second-0")
    });
    let log = descriptor(&main[first]).unwrap();
    let on = |lines: &[String]| {
        lines
            .iter()
            .filter(|line| line.starts_with("fdatasync(") || line.starts_with("fsync("))
            .count()
    };
    let end = find(main, first, "the last record", |line| {
        writes(line) && line.contains("second-24")
    });
    assert!(
        !main[first..end].iter().any(|line| is_sync(line, log)),
        "the main thread never waits for the disk"
    );
    let others: usize = threads
        .iter()
        .filter(|lines| !std::ptr::eq(*lines, main))
        .map(|lines| on(lines))
        .sum();
    assert!(others >= 2, "{others} syncs by other threads in 2.5 s");
}

#[test]
fn a_snapshot_is_synced_before_it_gets_its_name() {
    let folder = Folder::new();
    let threads = traced(&folder, "", |connection| {
        connection.good("DEBUG POPULATE 1000");
        connection.good("BGSAVE");
        connection.wait_for_children();
    });
    wait_until("the snapshot", || folder.names() == ["dump.rdb"]);
    let is_rename = |line: &str| line.starts_with("rename") && line.contains("dump.rdb");
    let child = threads
        .iter()
        .find(|lines| lines.iter().any(|line| is_rename(line)))
        .expect("a process that renames");
    let open = find(child, 0, "the temporary file", |line| {
        line.starts_with("openat(") && line.contains("temp-") && !line.contains("= -1")
    });
    let fd: i32 = child[open]
        .rsplit("= ")
        .next()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let rename = find(child, open, "the rename", is_rename);
    let last_write = child[..rename]
        .iter()
        .rposition(|line| writes(line) && descriptor(line) == Some(fd))
        .expect("a write");
    let sync = find(child, last_write, "the sync of the file", |line| {
        is_sync(line, fd)
    });
    assert!(
        sync < rename,
        "written last in {last_write}, synced in {sync}, renamed in {rename}"
    );
    let folder_sync = find(child, rename, "the sync of the folder", |line| {
        (line.starts_with("fsync(") || line.starts_with("fdatasync(")) && line.ends_with("= 0")
    });
    assert!(folder_sync > rename);
}
