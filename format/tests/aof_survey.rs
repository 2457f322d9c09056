//! What is found in damaged logs, and what is left of them.

use cairn_format::aof::extent::{Rules, check};
use cairn_format::aof::reader::SliceReader;
use cairn_format::aof::survey::survey;

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn log(lines: &[&str]) -> Vec<u8> {
    let words = |line: &str| command(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(|line| words(line)).collect()
}

/// The commands that are left, one a line, and the problems.
fn left(bytes: &[u8]) -> (Vec<String>, Vec<&'static str>) {
    let found = survey(bytes, 7, Rules::default(), |_| ());
    let mut kept = bytes.to_vec();
    for range in found.dropped.iter().rev() {
        kept.drain(range.start as usize - 7..range.end as usize - 7);
    }
    let mut reader = SliceReader::new(&kept, 0);
    let mut lines = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if item.annotation().is_some() {
            continue;
        }
        let words: Vec<_> = item.args().map(String::from_utf8_lossy).collect();
        lines.push(words.join(" "));
    }
    assert_eq!(found.kept, lines.len() as u64);
    let damage = check(&kept, 0, Rules::default()).damage;
    assert_eq!(damage, None, "{lines:?} of {}", bytes.escape_ascii());
    assert!(
        found
            .dropped
            .windows(2)
            .all(|pair| pair[0].end < pair[1].start)
    );
    assert_eq!(found.lost_bytes, (bytes.len() - kept.len()) as u64);
    assert!(found.total >= found.faults.len() as u64);
    let words = found.faults.iter().map(|fault| fault.problem.name());
    (lines, words.collect())
}

const LINES: [&str; 8] = [
    "SELECT 0", "SET a 1", "SET b 2", "MULTI", "SET c 3", "INCR d", "EXEC", "SET e 5",
];

/// Damages the first place where `from` stands.
fn damage(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    bytes.splice(at..at + from.len(), to.bytes());
}

#[test]
fn one_command_is_dropped_and_the_rest_kept() {
    for (from, to, problem) in [
        ("$1\r\na", "$7\r\na", "no-record"),
        ("$1\r\na", "1\r\na", "no-record"),
        (
            "*3\r\n$3\r\nSET\r\n$1\r\na",
            "*7\r\n$3\r\nSET\r\n$1\r\na",
            "no-record",
        ),
        (
            "*3\r\n$3\r\nSET\r\n$1\r\na",
            "*2\r\n$3\r\nSET\r\n$1\r\na",
            "arity",
        ),
        ("SET\r\n$1\r\na", "SEU\r\n$1\r\na", "unknown-command"),
    ] {
        let mut bytes = log(&LINES);
        damage(&mut bytes, from, to);
        let (lines, problems) = left(&bytes);
        let mut expected = LINES.to_vec();
        expected.remove(1);
        assert_eq!(lines, expected, "{to}");
        assert_eq!(problems[0], problem, "{to}");
    }
}

#[test]
fn a_command_that_lost_arguments_does_not_stay() {
    let mut bytes = log(&["SADD s a b", "SET b 2", "SET c 3", "SET d 4"]);
    damage(&mut bytes, "*4", "*3");
    let (lines, problems) = left(&bytes);
    assert_eq!(lines, ["SET b 2", "SET c 3", "SET d 4"]);
    assert_eq!(problems, ["shortened"]);
}

#[test]
fn half_a_transaction_never_stays() {
    for (from, to) in [("MULTI", "MUL"), ("INCR", "INC\0"), ("INCR", "IN")] {
        let mut bytes = log(&LINES);
        damage(&mut bytes, from, to);
        let (lines, problems) = left(&bytes);
        assert_eq!(lines, ["SELECT 0", "SET a 1", "SET b 2", "SET e 5"], "{to}");
        assert_eq!(problems.last(), Some(&"broken-transaction"), "{to}");
    }
    // Without its EXEC; what follows is outside.
    let mut bytes = log(&LINES);
    damage(&mut bytes, "EXEC", "E\0EC");
    assert_eq!(
        left(&bytes).0,
        ["SELECT 0", "SET a 1", "SET b 2", "SET e 5"]
    );
}

#[test]
fn a_log_within_a_value_is_no_log() {
    let inner = String::from_utf8(log(&["SET x 1", "SET y 2", "SET z 3", "SET x 4"])).unwrap();
    let mut bytes = log(&["SET a 1"]);
    bytes.extend(command(&["SET", "backup", &inner]));
    bytes.extend(log(&["SET b 2", "SET c 3", "SET d 4"]));
    damage(&mut bytes, &format!("${}", inner.len()), "$9");
    let (lines, problems) = left(&bytes);
    assert_eq!(lines, ["SET a 1", "SET b 2", "SET c 3", "SET d 4"]);
    assert!(problems.contains(&"content"), "{problems:?}");
}

#[test]
fn what_follows_a_damaged_select_has_no_database() {
    let mut bytes = log(&[
        "SELECT 0", "SET a 1", "SELECT 5", "SET b 2", "SET c 3", "SELECT 0", "SET d 4",
    ]);
    damage(&mut bytes, "SELECT\r\n$1\r\n5", "SEL\0CT\r\n$1\r\n5");
    let (lines, problems) = left(&bytes);
    assert_eq!(lines, ["SELECT 0", "SET a 1", "SELECT 0", "SET d 4"]);
    assert_eq!(problems, ["unknown-command", "lost-select"]);
    // It says the database that is selected anyway.
    let mut bytes = log(&LINES);
    damage(&mut bytes, "SELECT", "SELET");
    assert_eq!(left(&bytes).0, LINES[1..]);
}

#[test]
fn zeros_and_torn_ends_go() {
    let whole = log(&LINES);
    let zeros = [&whole[..], &[0; 4096]].concat();
    assert_eq!(
        left(&zeros),
        (LINES.map(String::from).to_vec(), vec!["zeros"])
    );
    let torn = &whole[..whole.len() - 3];
    assert_eq!(left(torn).0, LINES[..7]);
    let both = [torn, &[0; 100]].concat();
    assert_eq!(left(&both).1, ["torn", "zeros"]);
    let open = log(&LINES[..6]);
    assert_eq!(
        left(&open),
        (
            LINES[..3].iter().map(|l| l.to_string()).collect(),
            vec!["torn"]
        )
    );
    // Two logs one behind the other, the first of them cut.
    let spliced = [torn, &whole].concat();
    assert_eq!(left(&spliced).0, [&LINES[..7], &LINES].concat());
}

#[test]
fn multi_inside_and_exec_outside_go_alone() {
    let bytes = log(&[
        "MULTI", "SET a 1", "MULTI", "SET b 2", "EXEC", "EXEC", "SET c 3",
    ]);
    let (lines, problems) = left(&bytes);
    assert_eq!(lines, ["MULTI", "SET a 1", "SET b 2", "EXEC", "SET c 3"]);
    assert_eq!(problems, ["multi-inside", "exec-alone"]);
}

/// Whatever is done to one byte, what is left is a valid log, and most of it is there.
#[test]
fn any_one_byte() {
    let whole = log(&LINES);
    for at in 0..whole.len() {
        for byte in [
            0,
            b'*',
            b'$',
            b'\r',
            b'9',
            b'1',
            whole[at] ^ 1,
            whole[at] ^ 64,
        ] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let (lines, _) = left(&bytes);
            // Without the number of the database, and what tells it from a length, nothing is known.
            let missing = LINES.len() - lines.len();
            assert!(
                missing <= 5 || (19..=20).contains(&at),
                "{at} {byte}: {lines:?}"
            );
        }
        let mut bytes = whole.clone();
        bytes.remove(at);
        let _ = left(&bytes);
    }
}

/// Bytes changed, gone, added, moved and doubled at many places: what is left is valid, and the counts are right.
#[test]
fn any_damage_leaves_a_valid_log() {
    let inner = String::from_utf8(log(&LINES)).unwrap();
    let mut whole = log(&LINES);
    whole.extend(command(&["SET", "log", &inner]));
    whole.extend(log(&["SELECT 3", "MULTI", "SADD s a b c", "EXEC"]));
    whole.extend(log(&LINES));
    let mut state = 20_261_129_u64;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % n as u64) as usize
    };
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = below(bytes.len());
            let end = (at + 1 + below(40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            match below(6) {
                0 => bytes[at] = b"*$\r\n0123456789#\0MULTISELECTEXEC"[below(31)],
                1 => bytes[at..end].fill(0),
                2 => drop(bytes.drain(at..end)),
                3 => drop(bytes.splice(at..at, piece)),
                4 => bytes.truncate(at.max(1)),
                _ => {
                    let to = below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        let (lines, problems) = left(&bytes);
        let damage = check(&bytes, 0, Rules::default()).damage;
        assert_eq!(
            damage.is_none(),
            problems.is_empty(),
            "{damage:?} {lines:?}"
        );
    }
}
