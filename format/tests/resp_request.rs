//! The request parser against recorded answers of Redis 7.2, and against itself under any split.

use cairn_format::resp::request::{Limits, ProtocolError, RequestParser, Step};
use cairn_format::resp::value::{write_argument, write_command};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// What a connection gets to see.
#[derive(Debug, PartialEq, Clone)]
enum Seen {
    Command(Vec<Vec<u8>>),
    Error(String),
}

/// Feed `input` in the given pieces, moving the buffer as a connection does.
fn feed(pieces: &[&[u8]], limits: &Limits) -> Vec<Seen> {
    let mut parser = RequestParser::new();
    let (mut buffer, mut seen, mut args) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut start = 0;
        loop {
            args.clear();
            match parser.next(&buffer, start, &mut args, limits) {
                Step::Command { end } => {
                    let owned = args
                        .iter()
                        .map(|r| buffer[r.start as usize..r.end as usize].to_vec());
                    seen.push(Seen::Command(owned.collect()));
                    start = end;
                }
                Step::Inline { args, end } => {
                    seen.push(Seen::Command(args));
                    start = end;
                }
                Step::Skip { end } => start = end,
                Step::Incomplete { need } => {
                    assert!(need > 0 && args.is_empty());
                    break;
                }
                Step::Error(error) => {
                    seen.push(Seen::Error(error.to_string()));
                    return seen;
                }
            }
        }
        buffer.drain(..start);
    }
    seen
}

fn whole(input: &[u8]) -> Vec<Seen> {
    feed(&[input], &Limits::default())
}

fn command(args: &[&str]) -> Seen {
    Seen::Command(args.iter().map(|a| a.as_bytes().to_vec()).collect())
}

fn error(text: &str) -> Seen {
    Seen::Error(format!("Protocol error: {text}"))
}

#[test]
fn answers_as_recorded_from_redis_7_2() {
    let ping = || command(&["PING"]);
    let cases: Vec<(&[u8], Vec<Seen>)> = vec![
        (b"PING hi\r\n", vec![command(&["PING", "hi"])]),
        (b"PING\n", vec![ping()]),
        (b"*1\r\n$4\r\nPING\r\n", vec![ping()]),
        (b"*a\r\n", vec![error("invalid multibulk length")]),
        (
            b"*+1\r\n$4\r\nPING\r\n",
            vec![error("invalid multibulk length")],
        ),
        (b"*2147483648\r\n", vec![error("invalid multibulk length")]),
        (b"*1048577\r\n$1\r\n", vec![]),
        (b"*1\r\nPING\r\n", vec![error("expected '$', got 'P'")]),
        (b"*1\r\n:4\r\n", vec![error("expected '$', got ':'")]),
        (b"*1\r\n\r\n", vec![error("expected '$', got ' '")]),
        (
            b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
            vec![command(&["GET", ""])],
        ),
        (b"*1\r\n$0\r\n\r\n", vec![command(&[""])]),
        (b"*0\r\nPING\r\n", vec![ping()]),
        (b"*-1\r\nPING\r\n", vec![ping()]),
        (b"*1\r\n$-1\r\n", vec![error("invalid bulk length")]),
        (b"*1\r\n$536870913\r\n", vec![error("invalid bulk length")]),
        (
            b"*2\r\n$4\r\nECHO\r\n$03\r\nabc\r\n",
            vec![error("invalid bulk length")],
        ),
        (
            b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
            vec![ping(), ping()],
        ),
        (
            b"GET \"unbalanced\r\n",
            vec![error("unbalanced quotes in request")],
        ),
        (b"   PING   \r\n", vec![ping()]),
        (b"\r\n\r\nPING\r\n", vec![ping()]),
        (
            b"SET k \"a b\"\r\nGET k\r\n",
            vec![command(&["SET", "k", "a b"]), command(&["GET", "k"])],
        ),
        (
            b"SET k 'a b'\r\nGET k\r\n",
            vec![command(&["SET", "k", "a b"]), command(&["GET", "k"])],
        ),
        (
            b"MULTI\r\n*1\r\n$4\r\nPING\r\n",
            vec![command(&["MULTI"]), ping()],
        ),
        (
            b"POST / HTTP/1.1\r\n",
            vec![command(&["POST", "/", "HTTP/1.1"])],
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(whole(input), expected, "{}", input.escape_ascii());
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let seen = feed(&bytes, &Limits::default());
        assert_eq!(seen, expected, "one by one: {}", input.escape_ascii());
    }
}

#[test]
fn lines_end_within_64_kb() {
    let long = |prefix: &str| [prefix.as_bytes(), &vec![b'1'; 65_537]].concat();
    assert_eq!(whole(&long("")), [error("too big inline request")]);
    assert_eq!(whole(&long("*")), [error("too big mbulk count string")]);
    assert_eq!(
        whole(&long("*1\r\n$")),
        [error("too big bulk count string")]
    );
    assert_eq!(whole(&vec![b'x'; 65_536]), []);
    // A NUL hides the end of its line: the server waits.
    assert_eq!(whole(b"PI\0NG\r\n"), []);
}

#[test]
fn clients_without_password_have_small_limits() {
    let limits = Limits {
        authenticated: false,
        ..Limits::default()
    };
    let see = |input: &[u8]| feed(&[input], &limits);
    assert_eq!(see(b"*11\r\n"), [error("unauthenticated multibulk length")]);
    assert_eq!(
        see(b"*1\r\n$16385\r\n"),
        [error("unauthenticated bulk length")]
    );
    assert_eq!(see(b"*1\r\n$536870913\r\n"), [error("invalid bulk length")]);
    assert_eq!(see(b"*1\r\n$4\r\nPING\r\n"), [command(&["PING"])]);
}

#[test]
fn limit_of_an_argument_is_what_is_configured() {
    let limits = Limits {
        bulk_max: 3,
        authenticated: true,
    };
    assert_eq!(
        feed(&[b"*1\r\n$3\r\nabc\r\n"], &limits),
        [command(&["abc"])]
    );
    assert_eq!(
        feed(&[b"*1\r\n$4\r\nabcd\r\n"], &limits),
        [error("invalid bulk length")]
    );
}

#[test]
fn error_texts_hold_any_byte_but_line_ends() {
    let mut text = Vec::new();
    ProtocolError::ExpectedBulk(0xff).append_to(&mut text);
    assert_eq!(text, b"Protocol error: expected '$', got '\xff'");
}

#[test]
fn ranges_are_appended_and_relative_to_the_input() {
    let input = b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    let (mut parser, mut args) = (RequestParser::new(), Vec::new());
    let limits = Limits::default();
    assert_eq!(
        parser.next(input, 0, &mut args, &limits),
        Step::Command { end: 14 }
    );
    assert_eq!(
        parser.next(input, 14, &mut args, &limits),
        Step::Command { end: input.len() }
    );
    assert_eq!(args, [8..12, 22..25, 31..32]);
    let step = parser.next(input, input.len(), &mut args, &limits);
    assert_eq!(step, Step::Incomplete { need: 1 });
    assert!(parser.is_idle() && args.len() == 3);
}

#[test]
fn need_counts_the_missing_bytes() {
    let mut parser = RequestParser::new();
    let input = b"*2\r\n$3\r\nSET\r\n$10000\r\nab";
    let step = parser.next(input, 0, &mut Vec::new(), &Limits::default());
    assert_eq!(step, Step::Incomplete { need: 10_000 });
}

/// A million arguments in pieces of 16 KB: were each piece parsed from the start, this would take
/// hundreds of times the time of one pass.
#[test]
fn huge_commands_cost_linear_time() {
    let mut input = b"*1000000\r\n".to_vec();
    (0..1_000_000).for_each(|i: u32| write_argument(&mut input, i.to_string().as_bytes()));
    let (mut parser, mut args) = (RequestParser::new(), Vec::new());
    let (start, mut calls, mut given) = (Instant::now(), 0, 0);
    let end = loop {
        given = (given + 16 * 1024).min(input.len());
        calls += 1;
        match parser.next(&input[..given], 0, &mut args, &Limits::default()) {
            Step::Command { end } => break end,
            Step::Incomplete { .. } => assert!(given < input.len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((end, args.len()), (input.len(), 1_000_000));
    assert!(calls > 500 && parser.is_idle());
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "took {:?}",
        start.elapsed()
    );
}

fn any_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let short = prop::collection::vec(any::<u8>(), 0..40);
    let long = prop::collection::vec(any::<u8>(), 90..1200);
    prop::collection::vec(prop_oneof![8 => short, 1 => long], 1..14)
}

fn cut<'a>(input: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = places.iter().map(|p| p.index(input.len() + 1)).collect();
    at.extend([0, input.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| &input[w[0]..w[1]]).collect()
}

proptest! {
    #[test]
    fn any_split_gives_the_same_commands(
        commands in prop::collection::vec(any_command(), 1..12),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut input = Vec::new();
        commands.iter().for_each(|c| write_command(&mut input, c));
        let expected: Vec<Seen> = commands.into_iter().map(Seen::Command).collect();
        prop_assert_eq!(whole(&input), expected.clone());
        prop_assert_eq!(feed(&cut(&input, &places), &Limits::default()), expected);
    }

    #[test]
    fn damaged_pipelines_are_cut_up_alike(
        commands in prop::collection::vec(any_command(), 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut input = Vec::new();
        commands.iter().for_each(|c| write_command(&mut input, c));
        for (place, byte) in damage {
            let at = place.index(input.len());
            input[at] = byte;
        }
        prop_assert_eq!(feed(&cut(&input, &places), &Limits::default()), whole(&input));
    }

    #[test]
    fn any_bytes_give_an_answer(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let pieces: Vec<&[u8]> = input.chunks(7).collect();
        prop_assert_eq!(feed(&pieces, &Limits::default()), whole(&input));
    }
}
