//! The two disks: the real one does what the trait says, the faulty one loses exactly what it may.

use std::io::{Read, Write};
use std::path::Path;

use cairn_server::host::faulty::{FaultyDisk, Step};
use cairn_server::host::{self, Disk};
use cairn_server::os::disk::SystemDisk;

/// What both disks must agree on.
fn exercise(disk: &dyn Disk, folder: &Path) {
    disk.create_dir(folder).unwrap();
    disk.create_dir(folder).unwrap();
    assert!(disk.is_dir(folder));
    let (first, second) = (folder.join("a"), folder.join("b"));
    assert_eq!(disk.size(&first).unwrap(), None);
    assert!(disk.open(&first).is_err());
    let mut file = disk.create(&first).unwrap();
    file.write_all(b"hello world").unwrap();
    file.sync_data().unwrap();
    file.truncate(5).unwrap();
    file.write_all(b"!").unwrap();
    assert_eq!(file.size().unwrap(), 6);
    file.sync_handle().unwrap().sync_data().unwrap();
    let mut file = disk.append(&first).unwrap();
    file.write_all(b" again").unwrap();
    file.truncate(8).unwrap();
    file.write_all(b"z").unwrap();
    disk.rename(&first, &second).unwrap();
    assert_eq!(host::read_all(disk, &second, 100).unwrap(), b"hello! az");
    assert!(host::read_all(disk, &second, 8).is_err());
    assert_eq!(disk.list(folder).unwrap(), ["b"]);
    disk.truncate(&second, 2).unwrap();
    let mut text = String::new();
    disk.open(&second)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "he");
    host::replace_file(disk, &second, &first, b"new").unwrap();
    assert_eq!(host::read_all(disk, &second, 100).unwrap(), b"new");
    disk.remove(&second).unwrap();
    assert!(disk.remove(&second).is_err());
    assert!(disk.list(folder).unwrap().is_empty());
    disk.sync_dir(folder).unwrap();
}

#[test]
fn both_disks_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    exercise(&SystemDisk::default(), &folder.path().join("data"));
    exercise(&FaultyDisk::new(), Path::new("data"));
}

#[test]
fn a_crash_takes_what_was_not_synced() {
    let disk = FaultyDisk::new();
    let path = Path::new("log");
    let mut file = disk.append(path).unwrap();
    file.write_all(b"synced").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    file.write_all(b"not synced").unwrap();
    disk.crash(3);
    assert_eq!(disk.seen(path).unwrap(), b"syncednot");
    assert!(
        file.write_all(b"x").is_err(),
        "a handle from before the crash is dead"
    );
    // What survived the crash is on the disk for good.
    disk.crash(0);
    assert_eq!(disk.seen(path).unwrap(), b"syncednot");
}

#[test]
fn a_name_survives_only_with_its_folder_synced() {
    let disk = FaultyDisk::new();
    let mut file = disk.create(Path::new("one")).unwrap();
    file.write_all(b"1").unwrap();
    file.sync_data().unwrap();
    disk.crash(0);
    assert_eq!(disk.seen("one"), None);
    host::replace_file(&disk, Path::new("two"), Path::new("temp-two"), b"old").unwrap();
    let mut file = disk.create(Path::new("temp-two")).unwrap();
    file.write_all(b"new").unwrap();
    file.sync_data().unwrap();
    disk.rename(Path::new("temp-two"), Path::new("two"))
        .unwrap();
    disk.crash(0);
    assert_eq!(disk.seen("two").unwrap(), b"old");
}

#[test]
fn space_and_syncs_fail_as_planned() {
    let disk = FaultyDisk::new();
    let mut file = disk.create(Path::new("f")).unwrap();
    disk.set_space(Some(4));
    assert_eq!(file.write(b"abcdef").unwrap(), 4);
    assert_eq!(
        file.write(b"ef").unwrap_err().raw_os_error(),
        Some(libc::ENOSPC)
    );
    disk.set_space(None);
    disk.set_write_max(Some(1));
    file.write_all(b"ef").unwrap();
    disk.fail_syncs(1);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(disk.seen("f").unwrap(), b"abcdef");
    let f = || Path::new("f").to_path_buf();
    assert_eq!(
        disk.take_steps(),
        [
            Step::Write(f(), 4),
            Step::Write(f(), 1),
            Step::Write(f(), 1),
            Step::SyncFailed(f()),
            Step::Sync(f())
        ]
    );
}
