//! Replies as bytes, and read back by the client's side.

use cairn_format::resp::reply::{self, Protocol};
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};
use proptest::prelude::*;

const TWO: Protocol = Protocol::Resp2;
const THREE: Protocol = Protocol::Resp3;

/// What a function appends behind bytes that are there already.
fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert!(out.starts_with(b"before"));
    String::from_utf8(out.split_off(6)).unwrap()
}

/// The forms of both protocols, one after the other.
fn both(write: impl Fn(&mut Vec<u8>, Protocol)) -> String {
    bytes(|o| write(o, TWO)) + &bytes(|o| write(o, THREE))
}

#[test]
fn replies_that_are_the_same_in_both_protocols() {
    assert_eq!(bytes(|o| reply::simple(o, "OK")), "+OK\r\n");
    assert_eq!(bytes(|o| reply::error(o, "ERR a\r\nb")), "-ERR a  b\r\n");
    for number in [0, 9, 10, 99, 100, -1, i64::MIN, i64::MAX] {
        assert_eq!(bytes(|o| reply::int(o, number)), format!(":{number}\r\n"));
    }
    for length in [0, 5, 10, 99, 100, 12_345] {
        let text = "x".repeat(length);
        assert_eq!(
            bytes(|o| reply::bulk(o, text.as_bytes())),
            format!("${length}\r\n{text}\r\n")
        );
    }
    assert_eq!(bytes(|o| reply::bulk_header(o, 77)), "$77\r\n");
    assert_eq!(bytes(|o| reply::bulk_int(o, -42)), "$3\r\n-42\r\n");
    assert_eq!(bytes(|o| reply::array_header(o, 12)), "*12\r\n");
    assert_eq!(bytes(|o| reply::attribute_header(o, 1)), "|1\r\n");
    assert_eq!(bytes(|o| reply::bulk_double(o, 0.1)), "$3\r\n0.1\r\n");
}

#[test]
fn replies_that_differ_between_the_protocols() {
    assert_eq!(both(reply::null), "$-1\r\n_\r\n");
    assert_eq!(both(reply::null_array), "*-1\r\n_\r\n");
    assert_eq!(both(|o, p| reply::map_header(o, p, 6)), "*12\r\n%6\r\n");
    assert_eq!(both(|o, p| reply::set_header(o, p, 6)), "*6\r\n~6\r\n");
    assert_eq!(both(|o, p| reply::push_header(o, p, 3)), "*3\r\n>3\r\n");
    assert_eq!(
        both(|o, p| reply::double(o, p, 1.5)),
        "$3\r\n1.5\r\n,1.5\r\n"
    );
    assert_eq!(both(|o, p| reply::double(o, p, 3.0)), "$1\r\n3\r\n,3\r\n");
    assert_eq!(
        both(|o, p| reply::double(o, p, f64::INFINITY)),
        "$3\r\ninf\r\n,inf\r\n"
    );
    assert_eq!(both(|o, p| reply::boolean(o, p, true)), ":1\r\n#t\r\n");
    assert_eq!(both(|o, p| reply::boolean(o, p, false)), ":0\r\n#f\r\n");
    assert_eq!(
        both(|o, p| reply::big_number(o, p, b"12")),
        "$2\r\n12\r\n(12\r\n"
    );
    assert_eq!(
        both(|o, p| reply::verbatim(o, p, b"txt", b"hi")),
        "$2\r\nhi\r\n=6\r\ntxt:hi\r\n"
    );
}

#[test]
fn every_kind_reads_back() {
    let input = b"*9\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\na\n\r\n$-1\r\n*-1\r\n*0\r\n%1\r\n+k\r\n,1.5\r\n~1\r\n#t\r\n";
    let (value, length) = Value::decode(input).unwrap();
    assert_eq!(length, input.len());
    let expected = vec![
        Value::Simple(b"OK".to_vec()),
        Value::Error(b"ERR no".to_vec()),
        Value::Int(-7),
        Value::Bulk(b"a\n".to_vec()),
        Value::Null,
        Value::Null,
        Value::Array(vec![]),
        Value::Map(vec![(Value::Simple(b"k".to_vec()), Value::Double(1.5))]),
        Value::Set(vec![Value::Bool(true)]),
    ];
    assert_eq!(value, Value::Array(expected));
    let (value, _) = Value::decode(b">2\r\n(123\r\n=5\r\nmkd:x\r\n").unwrap();
    let expected = vec![
        Value::BigNumber(b"123".to_vec()),
        Value::Verbatim(*b"mkd", b"x".to_vec()),
    ];
    assert_eq!(value, Value::Push(expected));
    let (value, _) = Value::decode(b"|1\r\n+ttl\r\n:5\r\n_\r\n").unwrap();
    let pairs = vec![(Value::Simple(b"ttl".to_vec()), Value::Int(5))];
    assert_eq!(value, Value::Attributed(pairs, Box::new(Value::Null)));
    assert!(Value::decode(b"!5\r\nERR x\r\n").unwrap().0.is_error());
}

#[test]
fn what_is_no_reply_is_refused_with_its_offset() {
    let cases: [(&[u8], usize); 8] = [
        (b"hello\r\n", 0),
        (b"$x\r\n", 0),
        (b"*2\r\n:1\r\n?\r\n", 8),
        (b"$2\r\nabc\r\n", 0),
        (b"%-1\r\n", 0),
        (b"\r\n", 0),
        (b"#x\r\n", 0),
        (b"$-2\r\n", 0),
    ];
    for (input, offset) in cases {
        let scanned = ReplyScanner::new().next(input, 0);
        assert_eq!(
            scanned.unwrap_err().offset,
            offset,
            "{}",
            input.escape_ascii()
        );
        let decoded = Value::decode(input);
        assert_eq!(
            decoded.unwrap_err().offset,
            offset,
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn claims_and_depth_are_bounded() {
    assert!(Value::decode(b"*1000000000000\r\n:1\r\n").is_err());
    assert!(Value::decode(b"$1000000000000\r\nabc\r\n").is_err());
    assert!(Value::decode("*1\r\n".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn commands_are_written_as_arrays_of_strings() {
    let mut out = Vec::new();
    write_command(&mut out, &["SET", "key", ""]);
    assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
}

fn any_value() -> impl Strategy<Value = Value> {
    let byte = || any::<u8>().prop_filter("one line", |b| !b"\r\n".contains(b));
    let text = || prop::collection::vec(byte(), 0..20);
    let leaf = prop_oneof![
        text().prop_map(Value::Simple),
        text().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Int),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Value::Bulk),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Set),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Simple(text) => reply::simple(out, text),
        Value::Error(text) => reply::error(out, text),
        Value::Int(number) => reply::int(out, *number),
        Value::Bulk(bytes) => reply::bulk(out, bytes),
        Value::Null => reply::null(out, THREE),
        Value::Bool(truth) => reply::boolean(out, THREE, *truth),
        Value::Array(items) => {
            reply::array_header(out, items.len());
            items.iter().for_each(|v| encode(out, v));
        }
        Value::Set(items) => {
            reply::set_header(out, THREE, items.len());
            items.iter().for_each(|v| encode(out, v));
        }
        Value::Map(pairs) => {
            reply::map_header(out, THREE, pairs.len());
            for (key, value) in pairs {
                encode(out, key);
                encode(out, value);
            }
        }
        other => panic!("not generated: {other:?}"),
    }
}

proptest! {
    #[test]
    fn values_survive_the_wire_in_any_pieces(
        values in prop::collection::vec(any_value(), 1..5),
        step in 1usize..50,
    ) {
        let mut wire = Vec::new();
        values.iter().for_each(|v| encode(&mut wire, v));
        let (mut scanner, mut found) = (ReplyScanner::new(), Vec::new());
        let (mut start, mut given) = (0, 0);
        while found.len() < values.len() {
            match scanner.next(&wire[..given], start).unwrap() {
                ReplyStep::Complete { end } => {
                    let (value, length) = Value::decode(&wire[start..end]).unwrap();
                    prop_assert_eq!(start + length, end);
                    found.push(value);
                    start = end;
                }
                ReplyStep::Incomplete { need } => {
                    prop_assert!(need > 0 && given < wire.len());
                    given = (given + step).min(wire.len());
                }
            }
        }
        prop_assert_eq!(start, wire.len());
        prop_assert_eq!(found, values);
    }

    #[test]
    fn any_bytes_give_an_answer(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let scanned = ReplyScanner::new().next(&input, 0);
        if let Ok((_, length)) = Value::decode(&input) {
            prop_assert_eq!(scanned, Ok(ReplyStep::Complete { end: length }));
        }
    }
}
