//! Values as commands: every release is given words that it has, and nothing of a stream is lost on the way.

use cairn_format::aof::reader::SliceReader as LogReader;
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::rdb::object::{Consumer, Group, Pending, Stream, StreamId};
use cairn_format::rdb::{Options, SliceReader, Text};
use cairn_format::resp::value::Value;
use std::collections::BTreeSet;
use std::path::Path;

type Command = Vec<Vec<u8>>;

fn commands(log: &[u8]) -> Vec<Command> {
    let mut reader = LogReader::new(log, 0);
    let mut commands = Vec::new();
    while let Some(item) = reader.next_item().expect("what was written is a log") {
        let (value, _) = Value::decode(item.raw).expect("commands only");
        let words = value.as_array().expect("an array").iter();
        commands.push(
            words
                .map(|w| w.as_bytes().expect("bulks").to_vec())
                .collect(),
        );
    }
    commands
}

fn golden_files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/rdb");
    let versions = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = versions
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.is_dir())
        .flat_map(|path| std::fs::read_dir(path).expect("a folder"))
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "rdb"))
        .collect();
    files.sort();
    assert!(files.len() >= 50, "only {} files", files.len());
    files
}

fn rewritten(file: &[u8], target: Release) -> Vec<Command> {
    let mut reader = SliceReader::from_slice(file, Options::deep()).expect("its head is known");
    let mut to = Rewriter::new(target);
    while let Some(found) = reader.next().expect("it is sound") {
        to.event(&found.event).expect("it is sound");
    }
    commands(to.bytes())
}

/// The first release that has what a command says, as the documentation of the commands tells it.
fn needs(command: &Command) -> (&'static str, (u8, u8)) {
    let word = |i: usize| command.get(i).map_or(&b""[..], |w| w);
    let has = |option: &[u8]| command[3..].iter().any(|w| w == option);
    let (name, major, minor) = match word(0) {
        b"SELECT" | b"SET" | b"RPUSH" | b"SADD" | b"ZADD" | b"HMSET" | b"PEXPIREAT" => {
            ("plain", 2, 6)
        }
        b"RESTORE" => ("RESTORE", 4, 0),
        b"XSETID" if has(b"ENTRIESADDED") || has(b"MAXDELETEDID") => ("XSETID with counters", 7, 0),
        b"XGROUP" if word(1) == b"CREATECONSUMER" => ("XGROUP CREATECONSUMER", 6, 2),
        b"XGROUP" if word(1) == b"CREATE" && has(b"ENTRIESREAD") => ("ENTRIESREAD", 7, 0),
        b"XGROUP" if word(1) == b"CREATE" => ("XGROUP CREATE", 5, 0),
        b"XADD" | b"XSETID" | b"XCLAIM" | b"XTRIM" | b"XREADGROUP" => ("streams", 5, 0),
        b"FUNCTION" => ("FUNCTION", 7, 0),
        b"HPEXPIREAT" => ("HPEXPIREAT", 7, 4),
        other => panic!("{} is not known here", other.escape_ascii()),
    };
    (name, (major, minor))
}

/// Groups and consumers that commands make, as (key, group, consumer).
fn members(commands: &[Command]) -> BTreeSet<[Vec<u8>; 3]> {
    let mut all = BTreeSet::new();
    for c in commands {
        let three = |a: usize, b: usize, d: usize| [c[a].clone(), c[b].clone(), c[d].clone()];
        match (&c[0][..], &c[1][..]) {
            (b"XGROUP", b"CREATE") => {
                all.insert([c[2].clone(), c[3].clone(), Vec::new()]);
            }
            (b"XGROUP", _) => {
                all.insert(three(2, 3, 4));
            }
            (b"XCLAIM", _) => {
                all.insert(three(1, 2, 3));
            }
            (b"XREADGROUP", _) => {
                all.insert(three(5, 2, 3));
            }
            _ => {}
        }
    }
    all
}

#[test]
fn every_release_is_given_words_that_it_has_and_loses_no_group() {
    let releases = [
        (2, 6),
        (4, 0),
        (5, 0),
        (6, 0),
        (6, 2),
        (7, 0),
        (7, 2),
        (7, 4),
    ];
    let mut seen = BTreeSet::new();
    for path in golden_files() {
        let file = std::fs::read(&path).expect("it can be read");
        let newest = members(&rewritten(&file, Release::NEWEST));
        for (major, minor) in releases {
            let target = Release::redis(major, minor);
            let commands = rewritten(&file, target);
            for command in &commands {
                let (name, first) = needs(command);
                assert!(
                    first <= (major, minor),
                    "{} for {target}: {name}",
                    path.display()
                );
                seen.insert(name);
            }
            let found = members(&commands);
            let wanted = target.has_streams().then_some(&newest);
            assert_eq!(
                Some(&found).filter(|found| !found.is_empty()),
                wanted.filter(|wanted| !wanted.is_empty()),
                "{} for {target}",
                path.display()
            );
        }
    }
    // The files have all of it.
    assert_eq!(seen.len(), 9, "{seen:?}");
}

fn group<'a>(name: &'a [u8], consumers: &[(&'a [u8], &[StreamId])]) -> Group<'a> {
    let pending = consumers.iter().flat_map(|(_, ids)| ids.iter());
    Group {
        name: Text::Bytes(name),
        last_id: StreamId::new(4, 0),
        entries_read: Some(4),
        pending: pending
            .map(|id| Pending {
                id: *id,
                delivery_ms: 7,
                count: 2,
            })
            .collect(),
        consumers: consumers
            .iter()
            .map(|(name, ids)| Consumer {
                name: Text::Bytes(name),
                seen_ms: 1,
                active_ms: None,
                pending: ids.to_vec(),
            })
            .collect(),
        nacked: Vec::new(),
    }
}

fn lines(stream: &Stream, gone: &[StreamId], entries: &[StreamId], target: Release) -> Vec<String> {
    let mut to = Rewriter::new(target);
    let mut out = to.stream(b"s", stream, gone.iter().copied().collect());
    for id in entries {
        out.entry(*id, |push| push(b"f", b"v"));
    }
    out.end();
    let text = |command: Command| String::from_utf8_lossy(&command.join(&b' ')).into_owned();
    commands(to.bytes()).into_iter().map(text).collect()
}

/// XCLAIM knows only entries that exist, in every version: those that are gone exist until they are claimed, and leave no
/// trace in the counters.
#[test]
fn pending_entries_that_are_gone_are_claimed_before_the_stream_is_filled() {
    let id = |ms| StreamId::new(ms, 0);
    let mut stream = Stream::without_nodes(3);
    (stream.length, stream.last_id) = (1, id(4));
    (stream.max_deleted_id, stream.entries_added) = (Some(id(2)), Some(4));
    stream.groups = vec![
        group(b"g", &[(b"a", &[id(2), id(3)]), (b"idle", &[])]),
        group(b"h", &[(b"b", &[id(9)])]),
    ];
    assert_eq!(
        lines(&stream, &[id(2), id(9)], &[id(3)], Release::NEWEST),
        [
            "XADD s 2-0 x y",
            "XADD s 9-0 x y",
            "XGROUP CREATE s g 4-0 ENTRIESREAD 4",
            "XCLAIM s g a 0 2-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
            "XGROUP CREATE s h 4-0 ENTRIESREAD 4",
            "XCLAIM s h b 0 9-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
            "XTRIM s MAXLEN 0",
            "XSETID s 0-0",
            "XADD s 3-0 f v",
            "XSETID s 4-0 ENTRIESADDED 4 MAXDELETEDID 2-0",
            "XCLAIM s g a 0 3-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
            "XGROUP CREATECONSUMER s g idle",
        ]
    );
    assert_eq!(
        lines(&stream, &[], &[id(2), id(3), id(9)], Release::redis(5, 0)),
        [
            "XADD s 2-0 f v",
            "XADD s 3-0 f v",
            "XADD s 9-0 f v",
            "XSETID s 4-0",
            "XGROUP CREATE s g 4-0",
            "XCLAIM s g a 0 2-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
            "XCLAIM s g a 0 3-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
            "XREADGROUP GROUP g idle STREAMS s 0",
            "XGROUP CREATE s h 4-0",
            "XCLAIM s h b 0 9-0 TIME 7 RETRYCOUNT 2 JUSTID FORCE",
        ]
    );
}

#[test]
fn a_stream_without_entries_is_there() {
    let stream = Stream::without_nodes(1);
    assert_eq!(
        lines(&stream, &[], &[], Release::NEWEST),
        ["XADD s MAXLEN 0 0-1 x y", "XSETID s 0-0"]
    );
}
