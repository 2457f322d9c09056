//! The files of the append log: start, rewrite, upgrade, and a power cut at every step of them.

#[path = "support/fed.rs"]
mod fed;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_server::files::append::{FlushMode, Flushed, SyncPolicy};
use cairn_server::files::append_files::{AppendFiles, write_rewrite};
use cairn_server::files::append_names::AppendNames;
use cairn_server::files::snapshot::{self, SnapshotError};
use cairn_server::host::faulty::FaultyDisk;
use cairn_server::host::{Disk, Level, Logger, read_all};
use fed::FedLog;

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Logger for Lines {
    fn log(&self, _level: Level, line: &str) {
        self.0.borrow_mut().push(line.to_string());
    }
}

const PID: u32 = 77;

fn names() -> AppendNames {
    AppendNames {
        folder: PathBuf::from("appendonlydir"),
        prefix: "appendonly.aof".to_string(),
    }
}

fn load(disk: &FaultyDisk, lines: &Lines) -> AppendFiles {
    AppendFiles::load(Arc::new(disk.clone()), names(), lines).unwrap()
}

fn write(bytes: &'static [u8]) -> impl FnOnce(&mut dyn Write) -> std::io::Result<()> {
    move |out| out.write_all(bytes)
}

fn manifest(disk: &FaultyDisk) -> String {
    String::from_utf8(disk.seen("appendonlydir/appendonly.aof.manifest").unwrap()).unwrap()
}

#[test]
fn a_new_log_gets_a_base_an_increment_and_a_manifest() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    assert!(files.to_load().is_empty());
    let path = files
        .open_at_start(PID, true, write(b"REDIS"), &lines)
        .unwrap();
    assert_eq!(path, Path::new("appendonlydir/appendonly.aof.1.incr.aof"));
    disk.crash(0);
    let expected = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(manifest(&disk), expected);
    assert_eq!(
        disk.seen("appendonlydir/appendonly.aof.1.base.rdb")
            .unwrap(),
        b"REDIS"
    );
    assert_eq!(
        lines.0.into_inner(),
        [
            "Creating AOF base file appendonly.aof.1.base.rdb on server start",
            "Creating AOF incr file appendonly.aof.1.incr.aof on server start"
        ]
    );
    // The second start finds what the first one left, and makes nothing.
    let lines = Lines::default();
    let mut files = load(&disk, &lines);
    assert_eq!(files.to_load().len(), 2);
    assert_eq!(files.sizes().unwrap(), (5, 5));
    let again = files
        .open_at_start(PID, true, |_| Err("must not be asked"), &lines)
        .unwrap();
    assert_eq!(again, path);
    assert!(lines.0.borrow().is_empty());
}

#[test]
fn a_rewrite_replaces_base_and_increments() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    files
        .open_at_start(PID, true, write(b"one"), &lines)
        .unwrap();
    lines.0.borrow_mut().clear();
    let incr = files.begin_rewrite(&lines).unwrap();
    assert_eq!(incr, Path::new("appendonlydir/appendonly.aof.2.incr.aof"));
    assert_eq!(write_rewrite(&disk, PID, true, write(b"two")).unwrap(), 3);
    assert_eq!(
        files.finish_rewrite(PID, true, false, &lines).unwrap(),
        incr
    );
    files.wait_for_cleanup();
    disk.sync_dir(Path::new("appendonlydir")).unwrap();
    disk.crash(0);
    let expected = "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n";
    assert_eq!(manifest(&disk), expected);
    let mut left = disk.list(Path::new("appendonlydir")).unwrap();
    left.sort();
    assert_eq!(
        left,
        [
            "appendonly.aof.2.base.rdb",
            "appendonly.aof.2.incr.aof",
            "appendonly.aof.manifest"
        ]
    );
    assert_eq!(
        lines.0.into_inner(),
        [
            "Creating AOF incr file appendonly.aof.2.incr.aof on background rewrite",
            "Successfully renamed the temporary AOF base file temp-rewriteaof-bg-77.aof into appendonly.aof.2.base.rdb",
            "Removing the history file appendonly.aof.1.incr.aof in the background",
            "Removing the history file appendonly.aof.1.base.rdb in the background",
        ]
    );
}

#[test]
fn failed_rewrites_keep_their_increments_and_are_delayed() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    files
        .open_at_start(PID, false, write(b"one"), &lines)
        .unwrap();
    for round in 0..3 {
        assert!(files.rewrite_allowed(0, &lines), "round {round}");
        files.begin_rewrite(&lines).unwrap();
        disk.create(Path::new("temp-rewriteaof-77.aof")).unwrap();
        files.fail_rewrite(PID, false);
        assert_eq!(disk.seen("temp-rewriteaof-77.aof"), None);
    }
    assert_eq!(files.to_load().len(), 5);
    assert!(!files.rewrite_allowed(0, &lines));
    assert!(
        lines
            .0
            .borrow()
            .last()
            .unwrap()
            .ends_with("triggered the limit, will retry in 1 minutes")
    );
    assert!(!files.rewrite_allowed(59_999, &lines));
    assert!(files.rewrite_allowed(60_000, &lines));
    files.fail_rewrite(PID, false);
    assert!(!files.rewrite_allowed(60_001, &lines));
    assert!(
        lines
            .0
            .borrow()
            .last()
            .unwrap()
            .ends_with("will retry in 2 minutes")
    );
    assert!(files.rewrite_allowed(60_001 + 120_000, &lines));
    // A success ends the delays; a kill on purpose is no failure.
    files.begin_rewrite(&lines).unwrap();
    write_rewrite(&disk, PID, true, write(b"two")).unwrap();
    files.finish_rewrite(PID, false, false, &lines).unwrap();
    files.fail_rewrite(PID, true);
    assert_eq!(files.failures(), 0);
    assert_eq!(files.to_load().len(), 2);
    // The data of a failed switch is untouched when the disk has no room for the next manifest.
    let before = manifest(&disk);
    disk.set_space(Some(3));
    assert!(files.begin_rewrite(&lines).is_err());
    disk.set_space(None);
    assert_eq!(manifest(&disk), before);
    assert!(files.begin_rewrite(&lines).is_ok());
}

/// What a first attempt appended is in the base of the second. A file that is emptied and written anew may have its old content
/// after a power cut, though it has its new name: so the second attempt has a file of its own.
#[test]
fn a_second_attempt_to_switch_on_has_nothing_of_the_first() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    let first = files.begin_first_rewrite(&lines).unwrap();
    let mut file = disk.append(&first).unwrap();
    file.write_all(b"old changes").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("appendonlydir")).unwrap();
    drop(file);
    // The disk is busy: what is put away goes later.
    files.abandon_first_rewrite(&lines);
    let second = files.begin_first_rewrite(&lines).unwrap();
    files.wait_for_cleanup();
    assert_eq!(disk.seen(&second).unwrap(), b"", "it is there, and empty");
    disk.append(&second)
        .unwrap()
        .write_all(b"new changes")
        .unwrap();
    write_rewrite(&disk, PID, true, write(b"data with the old changes")).unwrap();
    let incr = files.finish_rewrite(PID, true, true, &lines).unwrap();
    disk.crash(0);
    let after = disk.seen(&incr).unwrap();
    assert!(
        b"new changes".starts_with(&after),
        "{}",
        after.escape_ascii()
    );
    assert_eq!(load(&disk, &lines).to_load().len(), 2);
}

#[test]
fn switching_on_lists_nothing_before_the_base_is_there() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    let temporary = files.begin_first_rewrite(&lines).unwrap();
    assert_eq!(
        temporary,
        Path::new("appendonlydir/temp-appendonly.aof.incr")
    );
    assert!(load(&disk, &lines).to_load().is_empty());
    files.abandon_first_rewrite(&lines);
    files.wait_for_cleanup();
    assert_eq!(disk.seen(&temporary), None);
    assert!(
        lines
            .0
            .borrow()
            .last()
            .unwrap()
            .starts_with("Removing the temp incr aof file temp-appendonly.aof.incr")
    );
    let temporary = files.begin_first_rewrite(&lines).unwrap();
    disk.append(&temporary)
        .unwrap()
        .write_all(b"changes")
        .unwrap();
    write_rewrite(&disk, PID, true, write(b"data")).unwrap();
    let incr = files.finish_rewrite(PID, true, true, &lines).unwrap();
    assert_eq!(disk.seen(&incr).unwrap(), b"changes");
    let to_load = load(&disk, &lines).to_load();
    assert_eq!(
        to_load,
        [Path::new("appendonlydir/appendonly.aof.1.base.rdb"), &incr]
    );
}

#[test]
fn a_single_file_log_is_moved_in_wherever_the_power_fails() {
    for stop in 0..40 {
        let (disk, lines) = (FaultyDisk::new(), Lines::default());
        let mut file = disk.create(Path::new("appendonly.aof")).unwrap();
        file.write_all(b"old log").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new(".")).unwrap();
        disk.stop_after(stop);
        let first = AppendFiles::load(Arc::new(disk.clone()), names(), &lines);
        disk.crash(0);
        let files = load(&disk, &lines);
        let to_load = files.to_load();
        assert_eq!(
            to_load,
            [Path::new("appendonlydir/appendonly.aof")],
            "stop {stop}"
        );
        assert_eq!(
            read_all(&disk, &to_load[0], 100).unwrap(),
            b"old log",
            "stop {stop}"
        );
        assert_eq!(manifest(&disk), "file appendonly.aof seq 1 type b\n");
        // A rename between two folders of which only the target was synced may show both names: the same file.
        assert!(
            disk.seen("appendonly.aof")
                .is_none_or(|left| left == b"old log"),
            "stop {stop}"
        );
        if first.is_ok() && stop > 20 {
            assert_eq!(
                lines.0.borrow()[0],
                "Successfully migrated an old-style AOF configuration (appendonly.aof) into the AOF directory (appendonlydir)."
            );
        }
    }
}

/// A base without its manifest would end the next start as somebody's data.
#[test]
fn a_first_start_is_finished_by_the_next_wherever_the_power_fails() {
    let mut finished = 0;
    for stop in 0..40 {
        let (disk, lines) = (FaultyDisk::new(), Lines::default());
        disk.stop_after(stop);
        // Cut off or not, the next start decides.
        let _ = load(&disk, &lines).open_at_start(PID, true, write(b"base"), &lines);
        disk.crash(0);
        let mut files = load(&disk, &lines);
        finished += lines
            .0
            .borrow()
            .iter()
            .filter(|line| line.starts_with("Finished what"))
            .count();
        files
            .open_at_start(PID, true, write(b"base"), &lines)
            .unwrap();
        let expected = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
        assert_eq!(manifest(&disk), expected, "stop {stop}");
        let base = disk.seen("appendonlydir/appendonly.aof.1.base.rdb");
        assert_eq!(base.unwrap(), b"base", "stop {stop}");
    }
    assert!(finished > 0);
}

#[test]
fn files_that_nothing_lists_are_never_overwritten() {
    let (disk, lines) = (FaultyDisk::new(), Lines::default());
    let mut files = load(&disk, &lines);
    files
        .open_at_start(PID, true, write(b"one"), &lines)
        .unwrap();
    let strays = ["2.base.rdb", "3.base.aof", "2.incr.aof"]
        .map(|name| format!("appendonlydir/appendonly.aof.{name}"));
    for stray in &strays {
        let mut file = disk.create(Path::new(stray)).unwrap();
        file.write_all(b"somebody's").unwrap();
    }
    let lines = Lines::default();
    let mut files = load(&disk, &lines);
    assert_eq!(lines.0.borrow().len(), 3, "{:?}", lines.0.borrow());
    let incr = files.begin_rewrite(&lines).unwrap();
    assert_eq!(incr, Path::new("appendonlydir/appendonly.aof.3.incr.aof"));
    write_rewrite(&disk, PID, true, write(b"two")).unwrap();
    files.finish_rewrite(PID, true, false, &lines).unwrap();
    files.wait_for_cleanup();
    assert!(manifest(&disk).starts_with("file appendonly.aof.4.base.rdb seq 4 type b\n"));
    for stray in &strays {
        assert_eq!(disk.seen(stray).unwrap(), b"somebody's", "{stray}");
    }
}

#[test]
fn a_damaged_manifest_ends_the_start() {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new("appendonlydir")).unwrap();
    let mut file = disk
        .create(Path::new("appendonlydir/appendonly.aof.manifest"))
        .unwrap();
    file.write_all(b"file a seq 1 type i\nfile b seq 1 type i\n")
        .unwrap();
    let error = AppendFiles::load(Arc::new(disk), names(), &Lines::default())
        .err()
        .unwrap();
    assert!(
        error.starts_with("appendonlydir/appendonly.aof.manifest: "),
        "{error}"
    );
    assert!(
        error.contains("Found a non-monotonic sequence number"),
        "{error}"
    );
}

/// What a start would find: the bytes of all files to load, one after the other.
fn recovered(disk: &FaultyDisk) -> Vec<u8> {
    let files = load(disk, &Lines::default());
    let parts = files
        .to_load()
        .into_iter()
        .map(|path| read_all(disk, &path, 1 << 20).unwrap());
    parts.collect::<Vec<_>>().concat()
}

/// A life of the log in which each command is one letter: starts, appends, rewrites, appends, ends. A base holds the letters
/// it stands for. Returns the letters acknowledged.
fn live(disk: &FaultyDisk, policy: SyncPolicy) -> Result<(), (Vec<u8>, std::io::Error)> {
    let lines = Lines::default();
    let mut acknowledged = Vec::new();
    let mut run = || -> std::io::Result<()> {
        let mut files = AppendFiles::load(Arc::new(disk.clone()), names(), &lines)
            .map_err(std::io::Error::other)?;
        let path = files.open_at_start(PID, false, |_| Ok::<(), Infallible>(()), &lines)?;
        let mut log = FedLog::open(Arc::new(disk.clone()), &path, policy)?;
        let mut append = |log: &mut FedLog, letter: u8| {
            log.feed(0, &[letter], None);
            match log.flush(0, FlushMode::default(), &lines) {
                Flushed::Done => {
                    acknowledged.push(letter);
                    Ok(())
                }
                other => Err(std::io::Error::other(format!("{other:?}"))),
            }
        };
        append(&mut log, b'a')?;
        append(&mut log, b'b')?;
        log.finish(0, &lines)?;
        let path = files.begin_rewrite(&lines)?;
        log.switch_to(&path)?;
        append(&mut log, b'c')?;
        write_rewrite(disk, PID, true, write(b"ab")).map_err(std::io::Error::other)?;
        append(&mut log, b'd')?;
        log.finish(0, &lines)?;
        files.finish_rewrite(PID, false, false, &lines)?;
        files.wait_for_cleanup();
        append(&mut log, b'e')
    };
    run().map_err(|error| (acknowledged, error))
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_fails_in_a_rewrite() {
    let policies = [
        SyncPolicy::Always,
        SyncPolicy::EverySecond,
        SyncPolicy::Never,
    ];
    let mut failures = 0;
    for (stop, policy) in (0..400).flat_map(|stop| policies.map(|policy| (stop, policy))) {
        let disk = FaultyDisk::new();
        disk.stop_after(stop / 2);
        let outcome = live(&disk, policy);
        // Of what was not synced nothing is left, or of each file as much as one letter.
        disk.crash([0, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".len() + 1][stop % 2]);
        let found: Vec<u8> = recovered(&disk)
            .into_iter()
            .filter(u8::is_ascii_lowercase)
            .collect();
        match outcome {
            Ok(()) if policy == SyncPolicy::Always => {
                assert_eq!(found, b"abcde", "stop {stop}");
            }
            Err((ref acknowledged, _)) if policy == SyncPolicy::Always => assert!(
                found.starts_with(acknowledged),
                "stop {stop}: {found:?} of {acknowledged:?}"
            ),
            _ => {}
        }
        failures += u32::from(outcome.is_err());
        // Its end may be gone, never something in the middle.
        assert!(
            b"abcde".starts_with(&found[..]),
            "stop {stop}: {found:?} under {policy:?}"
        );
        // Whatever is there can be gone on with.
        live(&disk, policy).unwrap();
    }
    assert!(failures > 90, "only {failures} power cuts hit");
}

#[test]
fn a_snapshot_is_whole_or_not_there() {
    let (target, temporary) = (Path::new("dump.rdb"), snapshot::temporary_name(PID));
    assert_eq!(temporary, Path::new("temp-77.rdb"));
    for stop in 0..20 {
        let disk = FaultyDisk::new();
        snapshot::write(&disk, target, &temporary, true, write(b"old")).unwrap();
        disk.stop_after(stop);
        let outcome = snapshot::write(&disk, target, &temporary, true, write(b"the new one"));
        disk.crash(1);
        let found = disk.seen(target).unwrap();
        match outcome {
            Ok(bytes) => assert_eq!((bytes, &found[..]), (11, &b"the new one"[..])),
            Err(_) => assert!(
                found == b"old" || found == b"the new one",
                "stop {stop}: {found:?}"
            ),
        }
    }
    let disk = FaultyDisk::new();
    snapshot::write(&disk, target, &temporary, true, write(b"old")).unwrap();
    // A full disk is told as such, also when the content's error hides it, and leaves no temporary file.
    disk.set_space(Some(100_000));
    let full = snapshot::write(&disk, target, &temporary, true, |out| {
        (0..100)
            .try_for_each(|_| out.write_all(&[0; 10_000]))
            .map_err(|_| "hidden")
    });
    assert!(matches!(full, Err(SnapshotError::Disk(_))));
    assert_eq!(full.unwrap_err().to_string(), "No space left on device");
    let refused = snapshot::write(&disk, target, &temporary, true, |_| Err("module value"));
    assert_eq!(refused.unwrap_err().to_string(), "module value");
    assert_eq!(disk.seen(&temporary), None);
    assert_eq!(disk.seen(target).unwrap(), b"old");
}

#[test]
fn a_growing_snapshot_is_synced_on_its_way() {
    use cairn_server::host::faulty::Step;
    let syncs = |incremental| {
        let disk = FaultyDisk::new();
        let block = vec![7u8; 1 << 20];
        snapshot::write(&disk, Path::new("d"), Path::new("t"), incremental, |out| {
            (0..20).try_for_each(|_| out.write_all(&block))
        })
        .unwrap();
        disk.take_steps()
            .iter()
            .filter(|step| matches!(step, Step::Sync(_)))
            .count()
    };
    assert_eq!(syncs(true), 6);
    assert_eq!(syncs(false), 1);
}

/// A folder with a manifest of this text, and the files that it lists.
fn listed(text: &str) -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new("appendonlydir")).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = Path::new("appendonlydir").join(name);
        disk.create(&path).unwrap().write_all(bytes).unwrap();
    };
    put("appendonly.aof.manifest", text.as_bytes());
    for line in text.lines() {
        let name = line.split(' ').nth(1).unwrap();
        put(name, name.as_bytes());
    }
    disk
}

fn rewrite_once(disk: &FaultyDisk) -> std::io::Result<PathBuf> {
    let lines = Lines::default();
    let mut files = load(disk, &lines);
    files.open_at_start(PID, true, write(b"one"), &lines)?;
    files.begin_rewrite(&lines)?;
    write_rewrite(disk, PID, true, write(b"two")).unwrap();
    files.finish_rewrite(PID, true, false, &lines)
}

#[test]
fn numbers_of_a_manifest_from_elsewhere_go_on_where_a_start_takes_them() {
    let disk = listed("file b seq -1 type b\n");
    let incr = rewrite_once(&disk).unwrap();
    assert_eq!(incr, Path::new("appendonlydir/appendonly.aof.2.incr.aof"));
    let text = manifest(&disk);
    assert!(
        text.starts_with("file appendonly.aof.1.base.rdb seq 1 type b\n"),
        "{text}"
    );
    load(&disk, &Lines::default());
    // Behind the last number there is none: refused, and the log is as it was.
    for text in [
        "file b seq 9223372036854775807 type b\nfile i seq 1 type i\n",
        "file b seq 1 type b\nfile i seq 9223372036854775807 type i\n",
    ] {
        let disk = listed(text);
        let error = rewrite_once(&disk).unwrap_err();
        assert!(error.to_string().contains("no number is left"), "{error}");
        let text = manifest(&disk);
        assert!(
            text.contains("file b seq") && text.contains("file i seq"),
            "{text}"
        );
        assert_eq!(disk.seen("appendonlydir/b").unwrap(), b"b");
        assert_eq!(disk.seen("appendonlydir/i").unwrap(), b"i");
    }
}

#[test]
fn a_part_in_use_that_is_listed_as_history_too_is_not_removed() {
    let text =
        "file b seq 1 type b\nfile i seq 7 type h\nfile h seq 6 type h\nfile i seq 8 type i\n";
    let (disk, lines) = (listed(text), Lines::default());
    let mut files = load(&disk, &lines);
    files
        .open_at_start(PID, true, |_| Err("must not be asked"), &lines)
        .unwrap();
    files.wait_for_cleanup();
    assert_eq!(disk.seen("appendonlydir/i").unwrap(), b"i");
    assert_eq!(disk.seen("appendonlydir/h"), None);
    assert_eq!(
        manifest(&disk),
        "file b seq 1 type b\nfile i seq 8 type i\n"
    );
    let lines = lines.0.into_inner();
    assert_eq!(
        lines[0],
        "i is listed as history and as a part in use: it stays"
    );
}
