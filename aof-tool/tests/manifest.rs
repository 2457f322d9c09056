//! `aof-tool check` of folders: manifests that are damaged, gaps, what lies beside a log, sealed backup sets.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::RealServer;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tool::{bad, command, run};

/// A folder with these files; a name may have a folder in front.
fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The lines of a manifest in what `check` proposes.
fn proposed(stderr: &str) -> Vec<&str> {
    let lines = stderr.lines();
    lines.filter(|line| line.starts_with("file ")).collect()
}

/// The manifest cannot be read, and its parts are looked at all the same, each with all that is wrong with it.
#[test]
fn parts_under_a_damaged_manifest_are_checked() {
    for name in [
        "manifest-blank-line",
        "manifest-dup-seq",
        "manifest-empty",
        "manifest-long-line",
        "manifest-no-newline",
        "manifest-no-seq",
        "manifest-two-bases",
        "manifest-unknown-type",
    ] {
        let path = bad(name);
        let told = run(&["check", &path]);
        assert_eq!(told.code, 1, "{name}: {told:?}");
        assert!(
            told.stdout.contains("appendonly.aof.1.incr.aof: valid"),
            "{name}: {told:?}"
        );
        let lines = proposed(&told.stderr).join("\n") + "\n";
        let folder = tempfile::tempdir().unwrap();
        for part in fs::read_dir(&path).unwrap().flatten() {
            fs::copy(part.path(), folder.path().join(part.file_name())).unwrap();
        }
        fs::write(folder.path().join("appendonly.aof.manifest"), lines).unwrap();
        let mended = run(&["check", text(folder.path())]);
        assert_eq!(mended.code, 0, "{name}: {mended:?}");
        // Other commands do not guess.
        let dump = run(&["dump", &path]);
        assert!(dump.code != 0 && dump.stdout.is_empty(), "{dump:?}");
    }
}

/// What a readable line calls history was in a base already.
#[test]
fn a_proposal_leaves_out_what_was_history() {
    let folder = folder_of(&[
        (
            "a.manifest",
            "file a.1.incr.aof seq 1 type h\nfile a.2.incr.aof seq 2 typ\n",
        ),
        ("a.1.incr.aof", &command("INCR n")),
        ("a.2.incr.aof", &command("INCR n")),
    ]);
    let told = run(&["check", text(folder.path())]);
    assert_eq!(
        proposed(&told.stderr),
        ["file a.2.incr.aof seq 2 type i"],
        "{told:?}"
    );
    assert_eq!(told.stdout.matches(": valid").count(), 1, "{told:?}");
}

#[test]
fn a_gap_between_increments_is_told() {
    let told = run(&["check", &bad("manifest-seq-gap")]);
    assert_eq!((told.code, &told.stderr[..]), (0, ""), "{told:?}");
    assert!(
        told.stdout
            .contains("lists no increment with numbers 2 to 4;"),
        "{told:?}"
    );
    let json = run(&["check", "--json", &bad("manifest-seq-gap")]);
    let line: Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["gaps"], serde_json::json!([[2, 4]]));
}

const SNAPSHOT: &str = "REDIS";
const PARTS: &str = "appendonlydir/appendonly.aof";

/// A server says what is true: with which of log and snapshot it begins.
#[test]
fn which_of_log_and_snapshot_a_server_loads() {
    let snapshot = tempfile::tempdir().unwrap();
    let server = RealServer::start(snapshot.path(), &[]);
    server.ask("SET of snapshot\r\nSAVE");
    drop(server);
    let log = command("SET of log");
    let increment = format!("{PARTS}.1.incr.aof");
    let manifest = format!("{PARTS}.manifest");
    let line = "file appendonly.aof.1.incr.aof seq 1 type i\n";
    for (files, told, value) in [
        (vec![("appendonly.aof", &log[..])], "loads the log", "log"),
        (
            vec![(&increment[..], &log[..]), (&manifest, line)],
            "loads the log",
            "log",
        ),
        (
            vec![(&increment[..], &log[..])],
            "loads neither and begins empty",
            "$-1",
        ),
    ] {
        let folder = folder_of(&files);
        fs::copy(
            snapshot.path().join("dump.rdb"),
            folder.path().join("dump.rdb"),
        )
        .unwrap();
        let checked = run(&["check", text(folder.path())]);
        assert!(checked.stdout.contains(told), "{told}: {checked:?}");
        let server = RealServer::start(folder.path(), &["--appendonly", "yes"]);
        let reply = server.ask("GET of");
        assert!(reply.contains(value), "{told}: {reply}");
    }
    let folder = folder_of(&[
        (&increment, &log),
        (&manifest, "no manifest\n"),
        ("dump.rdb", SNAPSHOT),
    ]);
    let checked = run(&["check", text(folder.path())]);
    assert!(
        checked
            .stdout
            .contains("servers do not start over such a manifest"),
        "{checked:?}"
    );
    for appendonly in ["yes", "no"] {
        let mut server = std::process::Command::new(real_server::Program::Redis7.path());
        let port = ["--port", "0", "--unixsocket", "sock", "--dir"];
        server.args(port).arg(folder.path());
        let ended = server.args(["--appendonly", appendonly]).output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{appendonly}");
    }
}

/// `BACKUP` of Redis 8.10 lays its files into a folder with the names that they have in the log: first the base alone, at `BACKUP SEAL`
/// the increment and a manifest of these two. No such server was at hand; base and increment are of one that was.
#[test]
fn a_backup_set_is_a_log_when_it_is_sealed_and_told_before() {
    let data = tempfile::tempdir().unwrap();
    let server = RealServer::start(
        data.path(),
        &["--appendonly", "yes", "--aof-timestamp-enabled", "yes"],
    );
    server.ask("SET before 1\r\nBGREWRITEAOF");
    while !server
        .ask("INFO persistence")
        .contains("aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
    {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.ask("SET behind 1\r\nINCR behind");
    let digest = server.ask("DEBUG DIGEST");
    drop(server);
    let backup = tempfile::tempdir().unwrap();
    let set = backup.path().join("backupdir");
    fs::create_dir(&set).unwrap();
    let (base, increment) = ("appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof");
    let link = |name: &str| {
        fs::hard_link(data.path().join("appendonlydir").join(name), set.join(name)).unwrap();
    };
    link(base);
    let open = run(&["check", text(&set)]);
    assert_eq!(open.code, 1, "{open:?}");
    assert!(open.stderr.contains("BACKUP SEAL"), "{open:?}");
    assert!(
        open.stdout.contains("base.rdb: valid") && open.stdout.contains("snapshot of 1 key"),
        "{open:?}"
    );
    link(increment);
    fs::write(
        set.join("appendonly.aof.manifest"),
        format!(
            "file {base} seq 2 type b\nfile {increment} seq 2 type i startoffset 35 endoffset 99\n"
        ),
    )
    .unwrap();
    let sealed = run(&["check", text(&set)]);
    assert_eq!((sealed.code, &sealed.stderr[..]), (0, ""), "{sealed:?}");
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("appendonlydir");
    let restored = run(&["restore", "--folder", text(&set), "-o", text(&folder)]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let loaded = RealServer::start(out.path(), &["--appendonly", "yes"]);
    assert_eq!(loaded.ask("DEBUG DIGEST"), digest);
}
