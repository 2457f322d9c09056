//! Whether an answer is the recorded one, by the kind of match that the recording asks for.

use cairn_format::rdb::dump::{Payload, encode};
use cairn_format::rdb::writer::WriteOptions;
use cairn_format::rdb::{Check, Dialect};
use cairn_format::resp::value::Value;

use super::pattern;
use super::script::{Expected, Step};

/// Index behind the frame that begins at `at`; none while it is incomplete.
pub fn frame_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut need = 1usize;
    while need > 0 {
        let line_end = at + bytes.get(at..)?.windows(2).position(|w| w == b"\r\n")?;
        let kind = bytes[at];
        let count = || {
            std::str::from_utf8(&bytes[at + 1..line_end])
                .ok()?
                .parse::<i64>()
                .ok()
        };
        let behind = line_end + 2;
        need -= 1;
        match kind {
            b'$' | b'=' | b'!' => {
                let len = count().unwrap_or(-1);
                at = behind + if len >= 0 { len as usize + 2 } else { 0 };
                if at > bytes.len() {
                    return None;
                }
            }
            b'*' | b'~' | b'>' => {
                need += count().unwrap_or(0).max(0) as usize;
                at = behind;
            }
            b'%' => {
                need += 2 * count().unwrap_or(0).max(0) as usize;
                at = behind;
            }
            _ => at = behind,
        }
    }
    Some(at)
}

/// Number of frames; an incomplete last one counts.
pub fn frames(bytes: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        count += 1;
        match frame_end(bytes, at) {
            Some(end) => at = end,
            None => return count,
        }
    }
    count
}

/// Whether `got` is what `want` and the kind of match ask for.
pub fn fits(kind: Option<&str>, want: &[u8], got: &[u8]) -> bool {
    let Some(kind) = kind else { return want == got };
    match kind.split_once(':').unwrap_or((kind, "")) {
        ("any", _) => want.is_empty() == got.is_empty(),
        _ if want == got => true,
        ("unordered", pairs) => normal(want, pairs == "2") == normal(got, pairs == "2"),
        ("infokeys", _) => info_keys(want) == info_keys(got),
        ("regex", pattern) => pattern::matches(pattern, got),
        ("approx", within) => near(want, got, within.parse().expect("a distance")),
        _ => panic!("match kind {kind} is not known"),
    }
}

/// The frames as text in which the order of arrays, sets and maps is gone.
fn normal(bytes: &[u8], pairs: bool) -> Vec<Vec<u8>> {
    let (mut at, mut out) = (0, Vec::new());
    while at < bytes.len() {
        out.push(normal_frame(bytes, &mut at, pairs));
    }
    out
}

fn normal_frame(bytes: &[u8], at: &mut usize, pairs: bool) -> Vec<u8> {
    let start = *at;
    let end = frame_end(bytes, start).unwrap_or(bytes.len());
    let kind = bytes[start];
    if !matches!(kind, b'*' | b'~' | b'>' | b'%') {
        *at = end;
        return bytes[start..end].to_vec();
    }
    *at = start
        + bytes[start..end]
            .windows(2)
            .position(|w| w == b"\r\n")
            .map_or(end - start, |n| n + 2);
    let head = bytes[start..*at].to_vec();
    let mut items = Vec::new();
    while *at < end {
        items.push(normal_frame(bytes, at, pairs));
    }
    if kind == b'%' || pairs && items.len().is_multiple_of(2) {
        items = items.chunks(2).map(<[_]>::concat).collect();
    }
    items.sort();
    [head, items.concat()].concat()
}

fn info_keys(bytes: &[u8]) -> Vec<Vec<u8>> {
    let body = bytes
        .windows(2)
        .position(|w| w == b"\r\n")
        .map_or(bytes, |n| &bytes[n + 2..]);
    let body = body.strip_prefix(b"txt:").unwrap_or(body);
    let key = |line: &[u8]| {
        line.split(|b| *b == b':')
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    body.split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|l| !l.is_empty())
        .map(key)
        .collect()
}

/// Same type, same sign, and no further apart than this.
fn near(want: &[u8], got: &[u8], within: f64) -> bool {
    let number = |bytes: &[u8]| -> Option<(u8, f64)> {
        let text = std::str::from_utf8(bytes).ok()?;
        let kind = *bytes.first()?;
        let digits = if kind == b'$' {
            text.split("\r\n").nth(1)?
        } else {
            text[1..].trim_end()
        };
        Some((kind, digits.parse().ok()?))
    };
    match (number(want), number(got)) {
        (Some((a, x)), Some((b, y))) => a == b && (x < 0.0) == (y < 0.0) && (x - y).abs() <= within,
        _ => false,
    }
}

/// Whether propagated commands are the recorded ones.
pub fn propagated(want: &[Vec<Expected>], got: &[Vec<Vec<u8>>]) -> bool {
    let one = |(want, got): (&Expected, &Vec<u8>)| match want {
        Expected::Bytes(bytes) => bytes == got,
        Expected::Pattern(pattern) => pattern::matches(pattern, got),
    };
    want.len() == got.len()
        && want
            .iter()
            .zip(got)
            .all(|(want, got)| want.len() == got.len() && want.iter().zip(got).all(one))
}

#[test]
fn order_does_not_count_where_it_is_free() {
    let (a, b) = (
        b"*2\r\n$1\r\na\r\n~2\r\n:1\r\n:2\r\n",
        b"*2\r\n~2\r\n:2\r\n:1\r\n$1\r\na\r\n",
    );
    assert!(fits(Some("unordered"), a, b) && !fits(None, a, b));
    let (a, b) = (
        b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
        b"*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n",
    );
    assert!(fits(Some("unordered:2"), a, b));
    assert!(!fits(
        Some("unordered:2"),
        a,
        b"*4\r\n:2\r\n:1\r\n:3\r\n:4\r\n"
    ));
    assert!(
        fits(Some("approx:5"), b":10\r\n", b":13\r\n")
            && !fits(Some("approx:5"), b":-1\r\n", b":1\r\n")
    );
}

/// DUMP: the compressed parts may be other bytes, because there is more than one way to compress; what they hold may not.
pub fn same_payload(step: &Step, got: &[u8]) -> bool {
    if !step
        .command()
        .first()
        .is_some_and(|word| word.eq_ignore_ascii_case(b"dump"))
    {
        return false;
    }
    match (plain_payload(&step.reply), plain_payload(got)) {
        (Some(want), Some(got)) => want == got,
        _ => false,
    }
}

/// The payload in a reply, written again without compression.
fn plain_payload(reply: &[u8]) -> Option<Vec<u8>> {
    let (value, _) = Value::decode(reply).ok()?;
    let payload = Payload::open(value.as_bytes()?, Dialect::REDIS_7_2).ok()?;
    let mut scratch = Vec::new();
    let object = payload.value(&mut scratch, Check::Strict).ok()?;
    let plain = WriteOptions {
        compress: false,
        ..WriteOptions::new(Dialect::REDIS_7_2)
    };
    encode(plain, &object).ok()
}

/// Steps in which 7.2 is wrong and we follow later versions, with the reason.
const BETTER: &[(&str, &[u64], &str)] = &[
    (
        "stream/groups",
        &[74, 75, 76, 77, 78, 85],
        "an entry that was deleted unread counts as read once it is passed: lag 0 where nothing is left, not 1",
    ),
    (
        "stream/lag",
        &[11],
        "what lies behind a deleted entry is not known to the number: 7.2 says 2 where 1 is left",
    ),
    (
        "propagation/stream",
        &[22],
        "a consumer that was given nothing is told, too; 7.2 forgets it",
    ),
];

/// Whether the step is one where 7.2 is known to be wrong.
pub fn is_better(step: &Step) -> bool {
    BETTER
        .iter()
        .any(|(session, steps, _)| step.session == *session && steps.contains(&step.number))
}

/// Categories to which newer commands belong, or some that are not there yet; COMMAND INFO is compared command by command elsewhere.
const OTHER_CATEGORIES: [&[u8]; 8] = [
    b"hash",
    b"string",
    b"set",
    b"stream",
    b"connection",
    b"fast",
    b"admin",
    b"dangerous",
];

/// What 7.2 refuses and 7.4 has: NOVALUES of HSCAN. Also lists of commands with newer ones among them.
pub fn is_newer(step: &Step) -> bool {
    let words = step.command();
    let is = |i: usize, word: &[u8]| {
        words
            .get(i)
            .is_some_and(|w: &Vec<u8>| w.eq_ignore_ascii_case(word))
    };
    let lists = is(0, b"acl") && is(1, b"cat");
    if lists && OTHER_CATEGORIES.iter().any(|category| is(2, category)) {
        return true;
    }
    is(0, b"hscan") && (3..words.len()).any(|i| is(i, b"novalues"))
}
