//! What no server writes but every server loads (`testdata/odd`): a start takes it, and so does RESTORE.

mod support;

use std::path::Path;

use cairn_engine::persist::load::{LoadError, LoadReport, Loader};
use cairn_format::crc64::crc64;
use cairn_format::rdb::{Options, SliceReader, verify};
use support::Bench;

fn odd(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/odd");
    std::fs::read(path.join(name)).expect(name)
}

fn load(bench: &mut Bench, bytes: &[u8]) -> Result<LoadReport, LoadError> {
    let mut loader = Loader::new(bytes, 16, true, true)?;
    loader.run(&mut bench.engine.ks)?;
    Ok(loader.finish().0)
}

/// Opcodes between the attributes of a key and the key change nothing.
#[test]
fn attributes_wait_for_their_key() {
    for name in [
        "keydb-aux-after-expire.rdb",
        "keydb-aux-before-expire.rdb",
        "keydb-expire-lfu-aux.rdb",
        "expire-resizedb.rdb",
    ] {
        let mut bench = Bench::new();
        let report = load(&mut bench, &odd(name)).expect(name);
        assert_eq!(report.keys, 2, "{name}");
        assert_eq!(
            bench.line("PEXPIRETIME cart:1"),
            ":4102444800000\r\n",
            "{name}"
        );
    }
    for (name, keys) in [
        ("keydb-subexpire.rdb", 2),
        ("expire-aux-eof.rdb", 1),
        ("expire-selectdb.rdb", 2),
    ] {
        let mut bench = Bench::new();
        assert_eq!(
            load(&mut bench, &odd(name)).expect(name).keys,
            keys,
            "{name}"
        );
    }
}

/// A wrong counter does not cost the entries, nor the file; it is told.
#[test]
fn streams_have_the_entries_that_are_there() {
    for (name, said) in [
        ("stream-len-less-t21.rdb", 3),
        ("stream-len-more-t15.rdb", 7),
        ("stream-len-more-t19.rdb", 7),
        ("stream-len-more-t21.rdb", 7),
        ("stream-len-zero-t21.rdb", 0),
    ] {
        let mut bench = Bench::new();
        let report = load(&mut bench, &odd(name)).expect(name);
        assert_eq!(report.miscounts, [(b"trim".to_vec(), said, 5)], "{name}");
        assert_eq!(bench.line("XLEN trim"), ":5\r\n", "{name}");
        let entries = bench.value("XRANGE trim - +");
        assert_eq!(entries.as_array().expect("entries").len(), 5, "{name}");
    }
    let right = load(&mut Bench::new(), &odd("stream-len-right-t21.rdb")).expect("right");
    assert_eq!(right.miscounted, 0);
}

/// The version behind a payload is that of its writer, and says nothing about the type: that has its own number.
#[test]
fn payloads_of_any_older_version_are_taken() {
    let names = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/odd"));
    let mut seen = 0;
    for path in names
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
    {
        if path.extension().is_none_or(|ending| ending != "bin") {
            continue;
        }
        let payload = odd(&file_name(&path));
        for version in [0_u16, 1, 6, 9, 11, 15] {
            let mut bench = Bench::new();
            let mut changed = payload[..payload.len() - 10].to_vec();
            changed.extend_from_slice(&version.to_le_bytes());
            let sum = crc64(&changed);
            changed.extend_from_slice(&sum.to_le_bytes());
            let answer = bench.run(&[b"RESTORE".as_slice(), b"k", b"0", &changed]);
            assert_eq!(answer, b"+OK\r\n", "{path:?} version {version}");
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

/// The same file may hold any type that the reader knows.
#[test]
fn types_newer_than_the_version_of_the_file_are_read() {
    for (name, keys) in [
        ("stream-len-right-t21.rdb", 2),
        ("keydb-aux-before-expire.rdb", 2),
    ] {
        let mut bytes = odd(name);
        bytes[5..9].copy_from_slice(b"0005");
        let end = bytes.len() - 8;
        let sum = crc64(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(load(&mut Bench::new(), &bytes).expect(name).keys, keys);
        let mut strict = SliceReader::from_slice(&bytes, Options::deep()).expect("a header");
        assert_eq!(
            verify(&mut strict).is_err(),
            name.starts_with("stream"),
            "{name}"
        );
    }
}

/// A packed sorted set that is out of order would be searched in vain: it is put in order.
#[test]
fn sorted_sets_out_of_order_are_put_in_order() {
    let mut bench = Bench::new();
    let pack = b"\x19\x00\x00\x00\x06\x00\x81a\x02\x05\x01\x81b\x02\x01\x01\x81c\x02\x01\x01\xff";
    let mut payload = vec![17, pack.len() as u8];
    payload.extend_from_slice(pack);
    payload[2] = pack.len() as u8;
    payload.extend_from_slice(&[10, 0]);
    let sum = crc64(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    assert_eq!(
        bench.run(&[b"RESTORE".as_slice(), b"z", b"0", &payload]),
        b"+OK\r\n"
    );
    assert_eq!(bench.line("OBJECT ENCODING z"), "$8\r\nlistpack\r\n");
    assert_eq!(
        bench.line("ZRANGE z 0 -1"),
        "*3\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\na\r\n"
    );
    assert_eq!(bench.line("ZCOUNT z 1 1"), ":2\r\n");
}

/// A type that is known by name stands there by intent: the key before it is not to blame.
#[test]
fn a_module_value_of_old_is_named() {
    for name in ["module-prega.rdb", "module-prega-2.rdb"] {
        let bytes = odd(name);
        for options in [Options::sound(), Options::deep()] {
            let mut reader = SliceReader::from_slice(&bytes, options).expect("a header");
            let error = verify(&mut reader).expect_err(name);
            assert_eq!(
                error.what,
                "type 6 is a module value as release candidates of 4.0 wrote it"
            );
        }
    }
}
