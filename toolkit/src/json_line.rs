//! A line of JSON, read where it stands: whoever knows what a line should say asks for it piece by piece, and whatever else stands there
//! is an error with its place.
//!
//! Invariants: `at` stands on the boundary of a character within the text; nesting is counted, not recursed into.

use std::borrow::Cow;
use std::ops::Range;

/// What is wrong, and where: a byte offset within the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Offset of the byte.
    pub at: usize,
    /// What was expected there.
    pub what: String,
}

/// What reading gives.
pub type Read<T> = Result<T, Wrong>;

/// Reads a line from front to back.
#[derive(Clone, Debug)]
pub struct JsonLine<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonLine<'a> {
    /// At the begin of a line.
    ///
    /// # Errors
    /// Bytes that are not UTF-8.
    pub fn new(line: &'a [u8]) -> Read<JsonLine<'a>> {
        match std::str::from_utf8(line) {
            Ok(text) => Ok(JsonLine { text, at: 0 }),
            Err(error) => Err(Wrong {
                at: error.valid_up_to(),
                what: "the bytes are not UTF-8".to_owned(),
            }),
        }
    }

    /// The same line at another place, one that [`JsonLine::skip`] gave.
    pub fn from(&self, span: &Range<usize>) -> JsonLine<'a> {
        JsonLine {
            text: self.text,
            at: span.start,
        }
    }

    /// Where the next value begins.
    pub fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// An error about the value that begins at `at`.
    pub fn wrong(at: usize, what: impl Into<String>) -> Wrong {
        Wrong {
            at,
            what: what.into(),
        }
    }

    fn expected<T>(&self, what: &str) -> Read<T> {
        let found = match self.text[self.at..].chars().next() {
            None => "the line ends".to_owned(),
            Some(other) => format!("found {other:?}"),
        };
        Err(Self::wrong(self.at, format!("expected {what}, {found}")))
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let spaces = rest
            .iter()
            .take_while(|byte| b" \t\r\n".contains(byte))
            .count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn token(&mut self, byte: u8, what: &str) -> Read<()> {
        match self.takes(byte) {
            true => Ok(()),
            false => self.expected(what),
        }
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.expected("the end of the line"),
        }
    }

    /// An object: `each` is asked to read the value behind each name.
    ///
    /// # Errors
    /// No object, or what `each` says.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        self.token(b'{', "an object")?;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            self.peek();
            let name = self.string()?;
            self.token(b':', "':'")?;
            each(self, &name)?;
            if self.takes(b'}') {
                return Ok(());
            }
            self.token(b',', "',' or '}'")?;
        }
    }

    /// An array: `each` is asked to read each element.
    ///
    /// # Errors
    /// No array, or what `each` says.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.token(b'[', "an array")?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.takes(b']') {
                return Ok(());
            }
            self.token(b',', "',' or ']'")?;
        }
    }

    /// The begin of an array of a known number of elements; [`JsonLine::comma`] stands between them.
    ///
    /// # Errors
    /// No array.
    pub fn open(&mut self) -> Read<()> {
        self.token(b'[', "an array")
    }

    /// A comma.
    ///
    /// # Errors
    /// Something else.
    pub fn comma(&mut self) -> Read<()> {
        self.token(b',', "','")
    }

    /// The end of such an array.
    ///
    /// # Errors
    /// More elements.
    pub fn close(&mut self) -> Read<()> {
        self.token(b']', "']'")
    }

    /// Whether `null` stands there, which is passed then.
    pub fn is_null(&mut self) -> bool {
        self.word("null")
    }

    fn word(&mut self, word: &str) -> bool {
        self.peek();
        let is_there = self.text[self.at..].starts_with(word);
        self.at += if is_there { word.len() } else { 0 };
        is_there
    }

    /// A boolean.
    ///
    /// # Errors
    /// None stands there.
    pub fn boolean(&mut self) -> Read<bool> {
        match (self.word("true"), self.word("false")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => self.expected("true or false"),
        }
    }

    /// A number, as any type that reads its text.
    ///
    /// # Errors
    /// None stands there, or one that the type cannot hold.
    pub fn number<T: std::str::FromStr>(&mut self) -> Read<T> {
        let start = self.place();
        let text = self.digits();
        if text.is_empty() {
            return self.expected("a number");
        }
        text.parse()
            .map_err(|_| Self::wrong(start, format!("the number {text} is out of range here")))
    }

    fn digits(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
            .count();
        self.at += end;
        &rest[..end]
    }

    /// A string.
    ///
    /// # Errors
    /// None stands there, or it is malformed.
    pub fn string(&mut self) -> Read<Cow<'a, str>> {
        self.token(b'"', "a string")?;
        let mut whole = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            let Some(stop) = stop else {
                self.at = self.text.len();
                return self.expected("'\"'");
            };
            let plain = &rest[..stop];
            self.at += stop;
            match rest.as_bytes()[stop] {
                b'"' => {
                    self.at += 1;
                    if whole.is_empty() {
                        return Ok(Cow::Borrowed(plain));
                    }
                    whole.push_str(plain);
                    return Ok(Cow::Owned(whole));
                }
                b'\\' => {
                    whole.push_str(plain);
                    whole.push(self.escaped()?);
                }
                _ => return self.expected("a character that needs no escape"),
            }
        }
    }

    fn escaped(&mut self) -> Read<char> {
        let start = self.at;
        let Some(letter) = self.text.as_bytes().get(start + 1) else {
            return self.expected("an escape");
        };
        let character = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.expected("an escape"),
        };
        self.at += 2;
        Ok(character)
    }

    /// `\u0041`, or two such for what is beyond.
    fn unicode(&mut self) -> Read<char> {
        let start = self.at;
        let unit = |at: usize| -> Option<u32> {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(digits, 16).ok().filter(|_| all)
        };
        let one = match (unit(start), unit(start + 6)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                self.at += 12;
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            (Some(unit), _) => {
                self.at += 6;
                char::from_u32(unit)
            }
            (None, _) => None,
        };
        one.ok_or_else(|| Self::wrong(start, "the escape is no character"))
    }

    /// Passes a value, whatever it is, and says where it stands.
    ///
    /// # Errors
    /// No value stands there.
    pub fn skip(&mut self) -> Read<Range<usize>> {
        let start = self.place();
        // What is open: true for an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    if !self.takes(b'}') {
                        open.push(true);
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.takes(b']') {
                        open.push(false);
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => {
                    let is_word = self.is_null() || self.word("true") || self.word("false");
                    if !is_word && self.digits().is_empty() {
                        return self.expected("a value");
                    }
                }
            }
            // Behind a value: what is open ends, or goes on.
            loop {
                let Some(is_object) = open.last().copied() else {
                    return Ok(start..self.at);
                };
                if self.takes(if is_object { b'}' } else { b']' }) {
                    open.pop();
                    continue;
                }
                self.token(b',', "',' or the end of what is open")?;
                if is_object {
                    self.name()?;
                }
                break;
            }
        }
    }

    fn name(&mut self) -> Read<()> {
        self.peek();
        self.string()?;
        self.token(b':', "':'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Read<String> {
        JsonLine::new(text.as_bytes())?
            .string()
            .map(Cow::into_owned)
    }

    #[test]
    fn strings_are_those_of_a_json_library() {
        for text in [
            "\"\"",
            "\"plain\"",
            "\"a\\\"b\\\\c\\/\\b\\f\\n\\r\\t\"",
            "\"\\u0041\\u00e9\\ud83d\\ude00\"",
            "\"h\u{e9}\"",
        ] {
            let expected: String = serde_json::from_str(text).expect("good JSON");
            assert_eq!(string(text), Ok(expected), "{text}");
        }
        for text in [
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud83d\"",
            "\"\\udc00\"",
            "\"\n\"",
            "x",
            "",
            "\"\\u+041\"",
        ] {
            assert!(string(text).is_err(), "{text}");
            assert!(serde_json::from_str::<String>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_skipped_is_one_value() {
        for (text, end) in [
            ("{\"a\":[1,{\"b\":null}],\"c\":\"]\"},7", 28),
            (" [ ] ,", 4),
            ("-1.5e+3,", 7),
            ("true]", 4),
        ] {
            let mut line = JsonLine::new(text.as_bytes()).expect("UTF-8");
            assert_eq!(line.skip().map(|span| span.end), Ok(end), "{text}");
        }
        let deep = "[".repeat(100_000);
        for text in ["{\"a\"}", "[1 2]", "{1:2}", "nul", &deep] {
            let mut line = JsonLine::new(text.as_bytes()).expect("UTF-8");
            assert!(line.skip().is_err());
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        let mut line = JsonLine::new(b"[1, x]").expect("UTF-8");
        let wrong = line
            .array(|line| line.number::<u8>().map(|_| ()))
            .unwrap_err();
        assert_eq!(
            (wrong.at, wrong.what.as_str()),
            (4, "expected a number, found 'x'")
        );
        let mut line = JsonLine::new(b"300").expect("UTF-8");
        assert!(
            line.number::<u8>()
                .unwrap_err()
                .what
                .contains("out of range")
        );
        assert_eq!(JsonLine::new(b"ab\xff").unwrap_err().at, 2);
    }
}
