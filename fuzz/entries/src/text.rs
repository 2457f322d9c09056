//! Numbers, patterns and quoted words against plain models.

use cairn_format::text::double::{parse_f64, write_f64, write_f64_17};
use cairn_format::text::glob::glob_match;
use cairn_format::text::long_double::{LongDouble, write_f64_human};
use cairn_format::text::number::{I64Text, parse_i64};
use cairn_format::text::words::{quote, split_words};

use crate::steps::Steps;

/// One element of a pattern.
enum Element {
    Star,
    Any,
    Literal(u8),
    Class { negated: bool, members: Vec<Member> },
}

/// One member of a class. An escaped byte is compared exactly, whatever the case, as in Redis.
enum Member {
    Exact(u8),
    Byte(u8),
    Span(u8, u8),
}

fn elements(pattern: &[u8]) -> Vec<Element> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        found.push(match (first, after) {
            (b'*', _) => Element::Star,
            (b'?', _) => Element::Any,
            (b'[', _) => class(&mut rest),
            (b'\\', [literal, after @ ..]) => {
                rest = after;
                Element::Literal(*literal)
            }
            (literal, _) => Element::Literal(literal),
        });
    }
    found
}

fn class(rest: &mut &[u8]) -> Element {
    let mut members = Vec::new();
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    loop {
        let (member, size) = match *rest {
            [] => break,
            [b'\\', literal, ..] => (Member::Exact(*literal), 2),
            [b']', ..] => {
                *rest = &rest[1..];
                break;
            }
            [from, b'-', to, ..] => (Member::Span(*from, *to), 3),
            [literal, ..] => (Member::Byte(*literal), 1),
        };
        members.push(member);
        *rest = &rest[size..];
    }
    Element::Class { negated, members }
}

impl Element {
    fn takes(&self, byte: u8, nocase: bool) -> bool {
        let fold = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
        match self {
            Element::Star | Element::Any => true,
            Element::Literal(literal) => fold(*literal) == fold(byte),
            Element::Class { negated, members } => {
                let hit = members.iter().any(|member| match member {
                    Member::Exact(b) => *b == byte,
                    Member::Byte(b) => fold(*b) == fold(byte),
                    Member::Span(a, b) => (fold(*a.min(b))..=fold(*a.max(b))).contains(&fold(byte)),
                });
                hit != *negated
            }
        }
    }
}

/// The textbook way: which prefixes of the text each prefix of the pattern matches.
fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty() || pattern == b"*";
    }
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for element in elements(pattern) {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let by_star =
                matches!(element, Element::Star) && (reached[at] || at > 0 && next[at - 1]);
            let by_byte = !matches!(element, Element::Star)
                && at > 0
                && reached[at - 1]
                && element.takes(text[at - 1], nocase);
            next[at] = by_star || by_byte;
        }
        reached = next;
    }
    reached[text.len()]
}

/// Few different bytes, so that matches happen: most inputs are mapped on these.
const LETTERS: &[u8] = b"ab*?[]^-\\cA*";

/// Patterns match as the textbook way says, and quoted words come back.
pub fn glob(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let (nocase, plain, split) = (steps.flip(), steps.flip(), steps.byte());
    let rest: Vec<u8> = match plain {
        true => steps.rest().to_vec(),
        false => steps
            .rest()
            .iter()
            .map(|b| LETTERS[usize::from(*b) % LETTERS.len()])
            .collect(),
    };
    let (pattern, text) = rest.split_at(usize::from(split).min(rest.len()));
    assert_eq!(
        glob_match(pattern, text, nocase),
        matches(pattern, text, nocase),
        "{} on {}, nocase {nocase}",
        pattern.escape_ascii(),
        text.escape_ascii()
    );
    words(bytes);
}

/// What can be split is the same after being quoted and split again.
fn words(line: &[u8]) {
    let Ok(words) = split_words(line) else { return };
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    assert_eq!(
        split_words(quoted.join(" ").as_bytes()),
        Ok(words),
        "{quoted:?}"
    );
}

/// Numbers are read and printed as the standard library does, where both say the same thing in the same way.
pub fn number(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let kind = steps.byte() % 4;
    match kind {
        0 => parsed(steps.rest()),
        1 => {
            let text: Vec<u8> = steps
                .rest()
                .iter()
                .map(|b| b"0123456789.e-+"[usize::from(*b) % 14])
                .collect();
            parsed(&text);
        }
        _ => printed(steps.int(), f64::from_bits(steps.long())),
    }
}

fn parsed(text: &[u8]) {
    let std_text = std::str::from_utf8(text).unwrap_or("no number");
    let int = std_text
        .parse::<i64>()
        .ok()
        .filter(|int| int.to_string() == std_text);
    assert_eq!(parse_i64(text), int, "{}", text.escape_ascii());
    let double = parse_f64(text);
    if text
        .iter()
        .all(|b| b.is_ascii_digit() || b".eE+-".contains(b))
    {
        let mantissa = text
            .split(|b| b.eq_ignore_ascii_case(&b'e'))
            .next()
            .unwrap_or_default();
        let is_zero = !mantissa.iter().any(|b| matches!(b, b'1'..=b'9'));
        // Redis refuses what overflows, and what is not zero but too small.
        let expected = std_text
            .parse::<f64>()
            .ok()
            .filter(|v| v.is_finite() && (*v != 0.0 || is_zero));
        assert_eq!(
            double.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{}",
            text.escape_ascii()
        );
    }
    assert!(!double.is_some_and(f64::is_nan), "{}", text.escape_ascii());
    if let Some(long) = LongDouble::parse(text) {
        let mut out = Vec::new();
        long.write_human(&mut out);
        assert!(
            !long.is_finite() || LongDouble::parse(&out).is_some(),
            "{}",
            text.escape_ascii()
        );
        let twice = long.checked_add(long);
        // An overflow gives an infinity.
        assert!(twice.is_some_and(|sum| long.is_finite() || !sum.is_finite()));
    }
}

fn printed(int: i64, double: f64) {
    assert_eq!(I64Text::new().format(int), int.to_string().as_bytes());
    assert_eq!(
        I64Text::new().format_u64(int as u64),
        (int as u64).to_string().as_bytes()
    );
    for double in [double, int as f64, int as f64 / 1e3] {
        let mut texts = [Vec::new(), Vec::new(), Vec::new()];
        write_f64(&mut texts[0], double);
        write_f64_17(&mut texts[1], double);
        write_f64_human(&mut texts[2], double);
        if double.is_nan() {
            continue;
        }
        for text in &texts[..2] {
            assert_eq!(
                parse_f64(text).map(f64::to_bits),
                Some(double.to_bits()),
                "{}",
                text.escape_ascii()
            );
        }
        let exact = format!("{double:.17}");
        let exact = exact.trim_end_matches('0').trim_end_matches('.');
        if double.is_finite() && double.abs() < 1e15 && double.abs() > 1e-3 {
            let human = String::from_utf8_lossy(&texts[2]);
            assert_eq!(human, exact, "{double:e}");
        }
    }
}
