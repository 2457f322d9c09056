//! JSON in tokens. A zero byte is the end of it.

use super::read_number::read_number;

/// A piece of JSON.
pub(super) enum Token<'a> {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// The string as it stands in the input.
    String(&'a [u8]),
    /// The string is in the reader's scratch.
    Unescaped,
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    /// No token, and why.
    Wrong(&'static str),
}

impl Token<'_> {
    /// What errors call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String(_) | Token::Unescaped => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Bool(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Wrong(why) => why,
        }
    }
}

pub(super) struct Tokens<'a> {
    data: &'a [u8],
    /// Where the next token is looked for; where a wrong one went wrong.
    pub(super) at: usize,
    /// Where the last token begins.
    pub(super) start: usize,
    /// The last string that had escapes, without them.
    pub(super) scratch: Vec<u8>,
    /// Numbers are read that JSON does not have.
    allow_invalid: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(data: &'a [u8], allow_invalid: bool) -> Tokens<'a> {
        Tokens {
            data,
            at: 0,
            start: 0,
            scratch: Vec::new(),
            allow_invalid,
        }
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        while matches!(self.data.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.start = self.at;
        let sign = match self.data.get(self.at) {
            None | Some(0) => return Token::End,
            Some(b'"') => return self.string(),
            Some(b'-' | b'0'..=b'9') => return self.number(),
            Some(b'{') => Token::ObjectBegin,
            Some(b'}') => Token::ObjectEnd,
            Some(b'[') => Token::ArrayBegin,
            Some(b']') => Token::ArrayEnd,
            Some(b':') => Token::Colon,
            Some(b',') => Token::Comma,
            Some(_) => return self.word(),
        };
        self.at += 1;
        sign
    }

    fn word(&mut self) -> Token<'a> {
        let rest = &self.data[self.at..];
        let (token, len) = match rest {
            [b't', b'r', b'u', b'e', ..] => (Token::Bool(true), 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (Token::Bool(false), 5),
            [b'n', b'u', b'l', b'l', ..] => (Token::Null, 4),
            _ if self.allow_invalid && is_invalid_number(rest) => return self.number(),
            _ => return Token::Wrong("invalid token"),
        };
        self.at += len;
        token
    }

    fn number(&mut self) -> Token<'a> {
        let rest = &self.data[self.at..];
        let is_allowed = self.allow_invalid || !is_invalid_number(rest);
        match read_number(rest) {
            Some((number, len)) if is_allowed => {
                self.at += len;
                Token::Number(number)
            }
            _ => Token::Wrong("invalid number"),
        }
    }

    fn string(&mut self) -> Token<'a> {
        let begin = self.at + 1;
        let end = begin + plain_len(&self.data[begin..]);
        if self.data.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Token::String(&self.data[begin..end]);
        }
        self.scratch.clear();
        self.at = begin;
        loop {
            let rest = &self.data[self.at..];
            let len = plain_len(rest);
            self.scratch.extend_from_slice(&rest[..len]);
            self.at += len;
            let wrong = match &rest[len..] {
                [b'"', ..] => {
                    self.at += 1;
                    return Token::Unescaped;
                }
                [b'\\', b'u', ..] => self.unicode_escape(),
                [b'\\', ..] => self.escape(),
                _ => Err("unexpected end of string"),
            };
            if let Err(why) = wrong {
                self.start = self.at;
                return Token::Wrong(why);
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.data.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => return Err("invalid escape code"),
        };
        self.scratch.push(byte);
        self.at += 2;
        Ok(())
    }

    /// `\uXXXX`, or two of them for what is beyond 16 bits.
    fn unicode_escape(&mut self) -> Result<(), &'static str> {
        const WRONG: &str = "invalid unicode escape code";
        let rest = &self.data[self.at..];
        let first = escaped_unit(rest).ok_or(WRONG)?;
        let (code, len) = match first {
            0xd800..=0xdbff => {
                let second = escaped_unit(&rest[6..]).ok_or(WRONG)?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(WRONG);
                }
                (0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff), 12)
            }
            code => (code, 6),
        };
        // The second of a pair is no character when it stands alone.
        let character = char::from_u32(code).ok_or(WRONG)?;
        let text = &mut [0; 4];
        let text = character.encode_utf8(text).as_bytes();
        self.scratch.extend_from_slice(text);
        self.at += len;
        Ok(())
    }
}

/// The 16 bits of `\uXXXX`.
fn escaped_unit(bytes: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = bytes.get(..6)? else {
        return None;
    };
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })
}

/// How many bytes stand for themselves in a string.
fn plain_len(bytes: &[u8]) -> usize {
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, 0 | b'"' | b'\\'));
    end.unwrap_or(bytes.len())
}

/// Whether this begins like a number that JSON does not have: with a plus sign, a zero before digits, hexadecimal, infinite, none.
fn is_invalid_number(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    match rest {
        _ if bytes.first() == Some(&b'+') => true,
        [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
        [a, b, c, ..] => {
            let word = [*a, *b, *c];
            word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
        }
        _ => false,
    }
}
