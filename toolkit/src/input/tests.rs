//! What becomes an input, and how it is read.

use super::*;
use std::io::Write;

#[test]
fn files_are_mapped_and_links_share_their_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    File::create(&path).unwrap().write_all(b"abc").unwrap();
    let link = folder.path().join("b");
    std::fs::hard_link(&path, &link).unwrap();
    let (a, b) = (Input::open(&path).unwrap(), Input::open(&link).unwrap());
    assert_eq!((a.bytes(), a.len()), (Some(&b"abc"[..]), Some(3)));
    assert!(a.id().is_some());
    assert_eq!(a.id(), b.id());
}

#[test]
fn a_folder_and_a_missing_file_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let line = Input::open(folder.path())
        .unwrap_err()
        .line()
        .unwrap()
        .to_owned();
    assert!(line.ends_with(": is a directory"), "{line}");
    let line = Input::open(&folder.path().join("no"))
        .unwrap_err()
        .line()
        .unwrap()
        .to_owned();
    assert!(line.ends_with("/no: no such file or directory"), "{line}");
}

#[test]
fn an_empty_file_is_a_stream_of_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let input = Input::open(file.path()).unwrap();
    assert!(input.bytes().is_none());
    let mut all = Vec::new();
    input.reader().read_to_end(&mut all).unwrap();
    assert!(all.is_empty());
}

fn of_tests(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata")).join(name)
}

fn all(input: &Input) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    input.reader().read_to_end(&mut all).map(|_| all)
}

#[test]
fn compressed_files_are_read_as_what_is_in_them() {
    let plain = std::fs::read(of_tests("bad/ok-base.rdb")).unwrap();
    for name in ["ok-base.rdb.gz", "ok-base.rdb.zst", "ok-base.rdb.lz4"] {
        let path = of_tests("packed").join(name);
        let input = Input::open(&path).unwrap();
        assert!(input.is_packed() && input.bytes().is_none(), "{name}");
        assert_eq!(all(&input).unwrap(), plain, "{name}");
        // Two members one behind the other, and a file that is cut.
        let packed = std::fs::read(&path).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[&packed[..], &packed].concat()).unwrap();
        let twice = all(&Input::open(file.path()).unwrap()).unwrap();
        assert_eq!(twice, [&plain[..], &plain].concat(), "{name}");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&packed[..packed.len() - 9]).unwrap();
        assert!(all(&Input::open(file.path()).unwrap()).is_err(), "{name}");
    }
}

#[test]
fn a_device_is_no_input() {
    let failure = Input::open(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(failure.line(), Some("/dev/zero: is a device, not a file"));
}
