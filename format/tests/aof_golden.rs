//! Logs of real servers parse whole, and any damage to them gives a value or an error.

use cairn_format::aof::extent::{Rules, check, check_records};
use cairn_format::aof::manifest::{self, Manifest, Part, PartType};
use cairn_format::aof::reader::{Batch, SliceReader, StreamReader};
use cairn_format::aof::writer::{LogState, write_pexpireat, write_timestamp};
use cairn_format::aof::{Form, form};
use cairn_format::resp::value::write_command;
use std::io::Read;
use std::path::{Path, PathBuf};

/// All logs in command form and all manifests below `testdata/aof`.
fn golden(end: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    collect(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/aof")),
        end,
        &mut found,
    );
    found.sort();
    found
}

fn collect(folder: &Path, end: &str, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, end, found);
        } else if path.to_str().unwrap().ends_with(end) {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
}

/// Gives a few bytes at a time, as a slow pipe does.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(buffer.len()).min(self.0.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn logs_of_real_servers_are_valid_to_their_end() {
    let mut seen = 0;
    for (path, log) in golden(".aof") {
        if form(&log) == Form::Preamble {
            continue;
        }
        let extent = check(&log, 0, Rules::default());
        assert_eq!(extent.damage, None, "{}", path.display());
        assert_eq!(extent.valid_end, log.len() as u64);
        let streamed = check_records(
            &mut StreamReader::new(Drops(&log, 777), 0),
            Rules::default(),
            |_| (),
        );
        assert_eq!(format!("{:?}", streamed.unwrap()), format!("{extent:?}"));
        seen += 1;
    }
    assert!(seen > 60, "{seen} logs");
}

#[test]
fn records_written_again_are_the_same_bytes() {
    for (path, log) in golden(".aof") {
        if form(&log) == Form::Preamble {
            continue;
        }
        let mut reader = SliceReader::new(&log, 0);
        let mut written = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            assert_eq!(item.offset, written.len() as u64);
            match item.annotation() {
                Some(text) => {
                    written.extend_from_slice(text);
                    written.extend_from_slice(b"\r\n");
                }
                None => write_command(&mut written, &item.args().collect::<Vec<_>>()),
            }
            assert_eq!(item.end(), written.len() as u64);
        }
        assert!(written == log, "{}", path.display());
    }
}

/// Where the records of a log begin and end, with their arguments, and what ends it.
type Records = (Vec<(u64, u64, Vec<Vec<u8>>)>, Option<String>);

fn one_by_one(log: &[u8]) -> Records {
    let (mut reader, mut records) = (SliceReader::new(log, 7), Vec::new());
    loop {
        match reader.next_item() {
            Ok(Some(item)) => {
                let args = item.args().map(<[u8]>::to_vec).collect();
                records.push((item.offset, item.end(), args));
            }
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error.to_string())),
        }
    }
}

fn in_batches(log: &[u8]) -> Records {
    let (mut reader, mut records) = (SliceReader::new(log, 7), Vec::new());
    let mut batch = Batch::default();
    loop {
        match reader.next_batch(&mut batch) {
            Ok(()) if batch.is_empty() => return (records, None),
            Ok(()) => {}
            Err(error) => return (records, Some(error.to_string())),
        }
        for index in 0..batch.len() {
            let item = reader.of_batch(&batch, index);
            let args = item.places().map(|place| item.raw[place].to_vec());
            records.push((item.offset, item.end(), args.collect()));
        }
    }
}

#[test]
fn a_log_in_batches_has_the_same_records_and_the_same_end() {
    for (path, mut log) in golden(".aof") {
        if form(&log) == Form::Preamble || log.len() > 100_000 {
            continue;
        }
        assert_eq!(in_batches(&log), one_by_one(&log), "{}", path.display());
        for at in places(&log).into_iter().step_by(7) {
            let cut = &log[..at];
            assert_eq!(in_batches(cut), one_by_one(cut), "cut at {at}");
            log[at] ^= 0x11;
            assert_eq!(in_batches(&log), one_by_one(&log), "changed at {at}");
            log[at] ^= 0x11;
        }
    }
}

/// Small logs at every byte, large ones at the edges of records and at regular places.
fn places(log: &[u8]) -> Vec<usize> {
    if log.len() <= 8 * 1024 {
        return (0..log.len()).collect();
    }
    let mut places: Vec<usize> = (0..2000).map(|i| i * (log.len() / 2000)).collect();
    let mut reader = SliceReader::new(log, 0);
    while let Some(item) = reader.next_item().unwrap() {
        let edge = item.offset as usize;
        places.extend(edge.saturating_sub(2)..(edge + 3).min(log.len()));
    }
    places
}

#[test]
fn cut_logs_are_valid_to_the_last_whole_transaction() {
    for (path, log) in golden(".aof") {
        if form(&log) == Form::Preamble {
            continue;
        }
        let ends = unit_ends(&log);
        let mut units = ends.iter().peekable();
        let mut last = 0;
        let mut cuts = places(&log);
        cuts.sort_unstable();
        for cut in cuts {
            while units.peek().is_some_and(|end| **end <= cut) {
                last = *units.next().unwrap();
            }
            let extent = check(&log[..cut], 0, Rules::default());
            assert_eq!(
                extent.valid_end,
                last as u64,
                "{} cut at {cut}",
                path.display()
            );
            let kind = extent.damage.map(|d| d.kind.name());
            assert_eq!(
                kind,
                (cut != last).then_some("aof-truncated"),
                "{} cut at {cut}",
                path.display()
            );
        }
    }
}

/// Ends of annotations and commands outside transactions, and of whole transactions.
fn unit_ends(log: &[u8]) -> Vec<usize> {
    let (mut ends, mut inside) = (Vec::new(), false);
    let mut reader = SliceReader::new(log, 0);
    while let Some(item) = reader.next_item().unwrap() {
        let name = item.arg(0).unwrap_or_default().to_ascii_uppercase();
        inside = match &name[..] {
            b"MULTI" => true,
            b"EXEC" => false,
            _ => inside,
        };
        if !inside {
            ends.push(item.end() as usize);
        }
    }
    ends
}

#[test]
fn changed_bytes_give_a_value_or_an_error_within_the_log() {
    for (_, mut log) in golden(".aof") {
        if form(&log) == Form::Preamble || log.len() > 100_000 {
            continue;
        }
        for at in places(&log) {
            let before = log[at];
            for change in [0x01, 0x80, before ^ b'\r', before ^ b'9', before ^ b'-'] {
                log[at] ^= change;
                let extent = check(&log, 0, Rules::default());
                assert!(extent.valid_end <= log.len() as u64);
                if let Some(damage) = extent.damage {
                    assert!(damage.offset >= extent.valid_end && damage.offset <= log.len() as u64);
                }
                log[at] = before;
            }
        }
    }
}

#[test]
fn false_claims_reserve_nothing() {
    for log in [
        "*2147483647\r\n$1\r\na\r\n",
        "*1\r\n$536870912\r\nabc",
        "*1\r\n$9223372036854775807\r\n",
    ] {
        let mut reader = StreamReader::new(log.as_bytes(), 0);
        let extent = check_records(&mut reader, Rules::default(), |_| ()).unwrap();
        assert_eq!(extent.valid_end, 0);
        assert!(extent.damage.unwrap().kind.name().starts_with("aof-"));
    }
}

#[test]
fn large_records_come_through_a_slow_stream_once() {
    let mut log = Vec::new();
    write_command(
        &mut log,
        &[b"SET".to_vec(), b"k".to_vec(), vec![b'v'; 3_000_000]],
    );
    write_command(&mut log, &["DEL", "k"]);
    let mut reader = StreamReader::new(Drops(&log, 4096), 0);
    let first = reader.next_item().unwrap().unwrap();
    assert_eq!((first.argc(), first.arg(2).unwrap().len()), (3, 3_000_000));
    let second = reader.next_item().unwrap().unwrap();
    assert_eq!(second.args().collect::<Vec<_>>(), [&b"DEL"[..], b"k"]);
    assert_eq!(second.end(), log.len() as u64);
    assert!(reader.next_item().unwrap().is_none());
}

#[test]
fn the_writer_selects_and_stamps_where_due() {
    let mut log = Vec::new();
    let mut state = LogState::new();
    for (db, second) in [(0, Some(7)), (0, Some(7)), (3, Some(8)), (3, None)] {
        state.before_command(&mut log, db, second);
        write_pexpireat(&mut log, b"k", 1_700_000_000_123);
    }
    write_timestamp(&mut log, -1);
    let mut reader = SliceReader::new(&log, 0);
    let mut seen = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        let words: Vec<_> = item.args().map(String::from_utf8_lossy).collect();
        match item.annotation() {
            Some(text) => seen.push(String::from_utf8_lossy(text).into_owned()),
            None => seen.push(words.join(" ")),
        }
    }
    let expire = "PEXPIREAT k 1700000000123";
    assert_eq!(
        seen,
        [
            "#TS:7", "SELECT 0", expire, expire, "#TS:8", "SELECT 3", expire, expire, "#TS:-1"
        ]
    );
    assert_eq!(state.db(), Some(3));
}

/// A unit is written as one thing: its annotation before it, SELECT where the database changes, also inside.
#[test]
fn the_writer_keeps_a_unit_together() {
    let mut log = Vec::new();
    let mut state = LogState::new();
    let commands: [(u64, &[u8]); 3] = [(2, b"A"), (2, b"B"), (5, b"C")];
    state.write_unit(&mut log, commands.into_iter(), true, Some(7));
    state.write_unit(&mut log, [(5, &b"D"[..])].into_iter(), false, Some(8));
    state.write_unit(&mut log, std::iter::empty(), true, Some(9));
    let text = String::from_utf8(log).unwrap().replace("\r\n", " ");
    assert_eq!(
        text,
        "#TS:7 *2 $6 SELECT $1 2 *1 $5 MULTI AB*2 $6 SELECT $1 5 C*1 $4 EXEC #TS:8 D"
    );
}

#[test]
fn manifests_of_real_servers_are_written_as_they_were() {
    let found = golden(".manifest");
    assert!(found.len() > 10);
    for (path, text) in found {
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.to_text(), text, "{}", path.display());
        let base = manifest.base.as_ref().unwrap();
        let prefix = path.file_stem().unwrap().to_str().unwrap();
        let name = std::str::from_utf8(&base.name).unwrap();
        assert_eq!(
            name,
            manifest::base_name(prefix, base.seq, name.ends_with("rdb"))
        );
        assert_eq!(
            path.file_name().unwrap().to_str(),
            Some(&manifest::manifest_name(prefix)[..])
        );
        for part in &manifest.incr {
            assert_eq!(
                part.name,
                manifest::incr_name(prefix, part.seq).into_bytes()
            );
        }
        assert_eq!(manifest.last_incr_seq(), manifest.incr.last().unwrap().seq);
    }
}

#[test]
fn names_of_parts_survive_quoting() {
    for name in [
        "plain.aof",
        "with space",
        "quo\"te",
        "apo'strophe",
        "new\nline",
        "\u{e9}\u{1}",
        "#x",
    ] {
        let mut manifest = Manifest::default();
        manifest.incr.push(Part::new(name, 3, PartType::Incr));
        let text = manifest.to_text();
        assert_eq!(
            Manifest::parse(&text).unwrap(),
            manifest,
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn manifests_are_read_as_laxly_as_redis_reads_them() {
    let manifest = Manifest::parse(b"  FILE a Seq 12x TYPE incremental other 1\r\n").unwrap();
    assert_eq!(
        (manifest.incr[0].seq, &manifest.incr[0].name[..]),
        (12, &b"a"[..])
    );
    assert_eq!(manifest.incr[0].extra, [(b"other".to_vec(), b"1".to_vec())]);
    assert_eq!(manifest.to_load().count(), 1);
    assert!(Manifest::parse(b"# only a comment\n").unwrap().is_empty());
    assert!(Manifest::parse(b"file a seq -1 type i\n").is_err());
    assert!(Manifest::parse(b"file a seq 1 type \"\"\n").is_err());
    assert!(Manifest::parse(b"file \"a seq 1 type i\n").is_err());
    assert!(Manifest::parse(b"file a\0b seq 1 type i\n").is_err());
}

#[test]
fn damaged_manifests_give_a_value_or_an_error() {
    for (_, mut text) in golden(".manifest") {
        for at in 0..text.len() {
            let before = text[at];
            for byte in [0, b'\n', b'"', b'#', 0xff, before ^ 1] {
                text[at] = byte;
                if let Err(error) = Manifest::parse(&text) {
                    assert!(error.offset < text.len() as u64);
                }
            }
            text[at] = before;
        }
        for cut in 0..text.len() {
            let whole_lines = cut > 0 && text[cut - 1] == b'\n';
            assert_eq!(Manifest::parse(&text[..cut]).is_ok(), whole_lines);
        }
    }
}

/// The log at the top of `docs/formats/aof.md` and the manifest below it are what this code reads.
#[test]
fn the_examples_of_the_format_page_hold() {
    let page = include_str!("../../docs/formats/aof.md");
    let blocks: Vec<&str> = page.split("```\n").skip(1).step_by(2).collect();
    let log = blocks[0].replace('\n', "").replace("\\r\\n", "\r\n");
    let extent = check(log.as_bytes(), 0, Rules::default());
    assert_eq!(
        (extent.damage, extent.commands, extent.annotations),
        (None, 2, 1)
    );
    assert_eq!(extent.timestamps, Some((1_700_000_000, 1_700_000_000)));
    let manifest = Manifest::parse(blocks[1].as_bytes()).unwrap();
    assert_eq!(manifest.to_load().count(), 2);
    assert_eq!(manifest.history.len(), 1);
}
