//! Words on a line, quoted as in `redis.conf`, inline commands and manifests; and the same quoting for people to read.

/// Why a line could not be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl std::fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl std::error::Error for UnbalancedQuotes {}

/// The blanks that C's `isspace` knows.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Splits a line into words as Redis's `sdssplitargs` does: blanks divide, `"..."` knows `\n \r \t \b \a \xHH` and takes any
/// other escaped byte as itself, `'...'` knows only `\'`. A closing quote must be followed by a blank or the end. A NUL ends the line.
///
/// # Errors
/// A quote that is not closed, or closed in the middle of a word.
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).copied().is_some_and(is_blank) {
            at += 1;
        }
        if at == line.len() {
            return Ok(words);
        }
        words.push(take_word(line, &mut at)?);
    }
}

/// One word from `at` on; quotes may open in its middle.
fn take_word(line: &[u8], at: &mut usize) -> Result<Vec<u8>, UnbalancedQuotes> {
    let mut word = Vec::new();
    while let Some(&byte) = line.get(*at) {
        *at += 1;
        match byte {
            b'"' => return take_double(line, at, &mut word).map(|()| word),
            b'\'' => return take_single(line, at, &mut word).map(|()| word),
            byte if is_blank(byte) => return Ok(word),
            byte => word.push(byte),
        }
    }
    Ok(word)
}

fn after_quote(line: &[u8], at: usize) -> Result<(), UnbalancedQuotes> {
    match line.get(at) {
        None => Ok(()),
        Some(&byte) if is_blank(byte) => Ok(()),
        Some(_) => Err(UnbalancedQuotes),
    }
}

fn take_double(line: &[u8], at: &mut usize, word: &mut Vec<u8>) -> Result<(), UnbalancedQuotes> {
    loop {
        match &line[*at..] {
            [] => return Err(UnbalancedQuotes),
            [b'"', ..] => {
                *at += 1;
                return after_quote(line, *at);
            }
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                *at += 4;
            }
            [b'\\', escaped, ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                *at += 2;
            }
            [byte, ..] => {
                word.push(*byte);
                *at += 1;
            }
        }
    }
}

fn take_single(line: &[u8], at: &mut usize, word: &mut Vec<u8>) -> Result<(), UnbalancedQuotes> {
    loop {
        match &line[*at..] {
            [] => return Err(UnbalancedQuotes),
            [b'\\', b'\'', ..] => {
                word.push(b'\'');
                *at += 2;
            }
            [b'\'', ..] => {
                *at += 1;
                return after_quote(line, *at);
            }
            [byte, ..] => {
                word.push(*byte);
                *at += 1;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or_default() as u8
}

/// The bytes in double quotes, all but printable ASCII escaped, as Redis's `sdscatrepr` writes them and [`split_words`] reads them.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    quote_to(&mut out, bytes);
    out
}

/// As [`quote`], behind what is in `out` already.
pub fn quote_to(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend(['\\', byte as char]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(byte as char),
            _ => {
                out.push_str("\\x");
                out.extend(
                    [byte >> 4, byte & 15]
                        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
                );
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_blanks_and_unquotes() {
        let words = split_words(b"  set \"a b\\x41\\n\\q\" 'c\\'d\\n' e\"f\" \"\" \r\n").unwrap();
        assert_eq!(words, [&b"set"[..], b"a bA\nq", b"c'd\\n", b"ef", b""]);
        assert_eq!(split_words(b"").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(split_words(b" \t").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(split_words(b"a\\n b").unwrap(), [&b"a\\n"[..], b"b"]);
        assert_eq!(split_words(b"a\0b c").unwrap(), [b"a"]);
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        for line in [
            "\"a", "'a", "\"a\"b", "'a'b", "\"a\\\"", "x \"", "\"\\", "'\\'",
        ] {
            assert_eq!(
                split_words(line.as_bytes()),
                Err(UnbalancedQuotes),
                "{line}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_splits_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let quoted = quote(&bytes);
            proptest::prop_assert_eq!(split_words(quoted.as_bytes()), Ok(vec![bytes]));
        }

        #[test]
        fn any_line_gives_words_or_an_error(line in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = split_words(&line);
        }
    }
}
