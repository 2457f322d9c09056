//! What a replayed log may do to the engine: run what servers log, and end with a place and a reason at anything else.

mod support;

use cairn_engine::Engine;
use cairn_engine::base::time::Now;
use cairn_engine::replay::{Refused, Replay, Why};
use cairn_format::aof::reader::SliceReader;
use cairn_format::resp::value::write_command;

use support::{Bench, World};

/// The words of each line as commands of a log.
fn log(lines: &[&str]) -> Vec<u8> {
    let mut log = Vec::new();
    for line in lines {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        write_command(&mut log, &words);
    }
    log
}

/// A log played into an engine: what was passed over, and how it ended.
struct Played {
    engine: Engine,
    notes: Vec<String>,
    end: Result<(), Refused>,
    commands: u64,
}

fn play(lines: &[&str]) -> Played {
    let log = log(lines);
    let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
    let mut world = World::default();
    let mut replay = Replay::begin(&mut engine, Now::default(), 0);
    let mut reader = SliceReader::new(&log, 0);
    let (mut notes, mut end) = (Vec::new(), Ok(()));
    while let Some(item) = reader.next_item().expect("a log") {
        match replay.run(&mut engine, &mut world, &item) {
            Ok(note) => notes.extend(note),
            Err(refused) => {
                end = Err(refused);
                break;
            }
        }
    }
    let commands = replay.commands();
    replay.end(&mut engine);
    Played {
        engine,
        notes,
        end,
        commands,
    }
}

impl Played {
    fn keys(&self) -> usize {
        self.engine.ks.database(0).len()
    }
}

/// A log of a few bytes that claims a value of any size ends the replay, and not the process.
#[test]
fn claimed_sizes_are_refused_with_their_place() {
    for (claim, error) in [
        ("SETRANGE k 9223372036854775000 x", "string exceeds maximum"),
        ("SETRANGE k 9223372036854775807 x", "string exceeds maximum"),
        ("SETRANGE k 2147483648 x", "string exceeds maximum"),
        ("SETBIT k 9223372036854775807 1", "bit offset is not"),
        ("SETBIT k 17179869184 1", "bit offset is not"),
        (
            "BITFIELD k SET u8 9223372036854775000 1",
            "bit offset is not",
        ),
        (
            "BITFIELD k INCRBY i64 #144115188075855871 1",
            "bit offset is not",
        ),
    ] {
        let played = play(&["SET a 1", claim, "SET b 1"]);
        let refused = played.end.unwrap_err();
        assert_eq!((refused.offset, refused.number), (27, 2), "{claim}");
        assert!(claim.starts_with(&refused.command), "{claim}");
        assert!(refused.to_string().contains(error), "{refused}");
        assert_eq!(played.engine.ks.database(0).len(), 1, "{claim}");
    }
}

/// The origin may have allowed longer strings than the default.
#[test]
fn strings_may_grow_beyond_the_limit_of_clients() {
    let lines = ["SETRANGE k 600 x", "SETBIT bits 4800 1", "APPEND k tail"];
    let log = log(&lines);
    let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
    engine.ks.limits.string_bytes_max = 512;
    let mut replay = Replay::begin(&mut engine, Now::default(), 0);
    let mut reader = SliceReader::new(&log, 0);
    while let Some(item) = reader.next_item().expect("a log") {
        let answer = replay.run(&mut engine, &mut World::default(), &item);
        assert_eq!(answer, Ok(None));
    }
    replay.end(&mut engine);
    let mut bench = Bench::new();
    bench.engine.ks.limits.string_bytes_max = 512;
    for line in lines.iter().take(2) {
        assert!(bench.line(line).starts_with("-ERR"), "{line}");
    }
}

/// What a client would be refused ends the replay: the data behind it would not be that of the origin.
#[test]
fn refused_commands_end_the_replay() {
    for (line, told) in [
        ("LPUSH a x", "WRONGTYPE"),
        ("SET k v NOSUCH x", "ERR syntax error"),
        ("SELECT 99", "out of range"),
        ("SET k", "wrong number of arguments for 'set'"),
        (
            "XGROUP CREATE s g",
            "wrong number of arguments for 'xgroup|create'",
        ),
        ("NOSUCH k", "unknown here"),
        ("XGROUP NOSUCH k", "unknown here"),
        ("RESET", "another database"),
        ("MIGRATE 127.0.0.1 1 a 0 10", "another server"),
    ] {
        let played = play(&["SET a 1", line, "SET b 1"]);
        let refused = played.end.expect_err(line);
        assert_eq!((refused.offset, refused.number), (27, 2), "{line}");
        assert!(refused.to_string().contains(told), "{line}: {refused}");
        assert_eq!(played.commands, 2, "{line}");
    }
    let unknown = play(&["XGROUP NOSUCH k"]).end.unwrap_err();
    assert_eq!(unknown.command, "XGROUP NOSUCH");
    assert_eq!(unknown.why, Why::Unknown);
}

#[test]
fn the_command_of_a_transaction_is_named() {
    let lines = ["MULTI", "SET a 1", "LPUSH a x", "SET b 1", "EXEC"];
    let refused = play(&lines).end.unwrap_err();
    let start = log(&lines[..2]).len() as u64;
    assert_eq!((refused.offset, refused.number), (start, 3));
    assert!(refused.to_string().contains("LPUSH, is refused: WRONGTYPE"));
}

/// Transactions within transactions were logged by old servers; the data is that of all their commands.
#[test]
fn transactions_within_transactions_lose_nothing() {
    let lines = [
        "MULTI", "SET a 1", "MULTI", "SET b 1", "EXEC", "SET c 1", "EXEC", "DISCARD",
    ];
    let played = play(&lines);
    assert_eq!(played.end, Ok(()));
    assert_eq!(played.keys(), 3);
    assert_eq!(
        played.notes,
        [
            "MULTI is passed over, inside a transaction",
            "EXEC is passed over, outside of any transaction",
            "DISCARD is passed over, outside of any transaction",
        ]
    );
    let open = play(&["MULTI", "SET a 1", "DISCARD", "SET b 1"]);
    assert_eq!((open.keys(), open.notes.len()), (1, 0));
}

/// A replay neither reads, nor subscribes, nor waits: a count of any size costs nothing.
#[test]
fn what_changes_no_data_is_passed_over() {
    let lines = [
        "SADD s a",
        "SRANDMEMBER s -9223372036854775807",
        "HRANDFIELD s -9223372036854775807",
        "GET s",
        "SUBSCRIBE c",
        "PUBLISH c x",
        "PING",
        "AUTH x",
        "WATCH s",
        "MULTI",
        "WAIT 1 0",
        "LCS s s",
        "EXEC",
        "PFCOUNT nothing",
        "BLPOP nothing 0",
        "SET last 1",
    ];
    let played = play(&lines);
    assert_eq!(played.end, Ok(()));
    assert_eq!((played.keys(), played.notes.len()), (2, 10));
    assert_eq!(
        played.notes[0],
        "SRANDMEMBER is passed over, which changes no data"
    );
}

/// An error in a transaction is told, stops none of its commands, and ends it: who goes on finds the log outside of it.
#[test]
fn an_error_inside_a_transaction_ends_with_it() {
    let lines = [
        "SET s 1",
        "MULTI",
        "SET t 2",
        "LPUSH s x",
        "SET u 3",
        "EXEC",
        "SET v 4",
    ];
    let log = log(&lines);
    let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
    let mut world = World::default();
    let mut replay = Replay::begin(&mut engine, Now::default(), 0);
    let mut reader = SliceReader::new(&log, 0);
    let mut refused = Vec::new();
    while let Some(item) = reader.next_item().expect("a log") {
        refused.extend(replay.run(&mut engine, &mut world, &item).err());
        assert!(!replay.is_inside_transaction() || item.offset < log.len() as u64 - 30);
    }
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].number, &refused[0].command[..]), (4, "LPUSH"));
    assert!(!replay.is_inside_transaction());
    assert_eq!(replay.valid_end(), log.len() as u64);
    replay.end(&mut engine);
    assert_eq!(engine.ks.database(0).len(), 4);
}
