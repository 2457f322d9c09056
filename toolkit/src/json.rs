//! JSON for programs that read the tools: strings of any bytes, pretty documents, lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::Value;
use std::io::{self, Write};

/// How bytes stand in JSON, whose strings hold only Unicode text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bytes {
    /// Every string is base64: exact for all bytes.
    Base64,
    /// UTF-8 stands as text; what is not UTF-8 becomes `{"base64": "..."}`.
    Text,
}

impl Bytes {
    /// Appends the JSON form of `bytes`.
    #[inline]
    pub fn append(self, out: &mut impl Text, bytes: &[u8]) {
        if self == Bytes::Base64 {
            return append_base64(out, bytes);
        }
        match self.text_of(bytes) {
            Some(text) => append_text(out, &text),
            None => {
                out.put("{\"base64\":");
                append_base64(out, bytes);
                out.put("}");
            }
        }
    }

    /// The same as a value.
    pub fn value(self, bytes: &[u8]) -> Value {
        match self.text_of(bytes) {
            Some(text) => Value::from(text),
            None if self == Bytes::Text => serde_json::json!({ "base64": STANDARD.encode(bytes) }),
            None => Value::from(STANDARD.encode(bytes)),
        }
    }

    /// The bytes as text, if they are to stand as that and are UTF-8. It is a copy that is checked: the bytes may lie in a
    /// mapped file, which another process can change between the check and the use.
    fn text_of(self, bytes: &[u8]) -> Option<String> {
        match self {
            Bytes::Base64 => None,
            Bytes::Text => String::from_utf8(bytes.to_vec()).ok(),
        }
    }
}

/// What JSON is appended to.
pub trait Text {
    /// Appends text.
    fn put(&mut self, text: &str);
    /// Appends the base64 of bytes.
    fn put_base64(&mut self, bytes: &[u8]);
}

impl Text for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        STANDARD.encode_string(bytes, self);
    }
}

/// Of bytes nobody asks again whether they are UTF-8, which would take longer than all else.
impl Text for Vec<u8> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        if bytes.len() <= SHORT {
            return put_short(self, bytes);
        }
        let begin = self.len();
        let room = bytes.len().div_ceil(3) * 4;
        self.resize(begin + room, 0);
        let written = STANDARD.encode_slice(bytes, &mut self[begin..]);
        debug_assert_eq!(
            written.ok(),
            Some(self.len() - begin),
            "there is room for all of it"
        );
    }
}

/// Up to so many bytes the engine spends most of its time on getting ready.
const SHORT: usize = 48;

/// The two letters of base64 for twelve bits, the first in the lower byte.
static LETTERS: [u16; 1 << 12] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters = [0; 1 << 12];
    let mut bits = 0;
    while bits < letters.len() {
        letters[bits] = u16::from_le_bytes([alphabet[bits >> 6], alphabet[bits & 63]]);
        bits += 1;
    }
    letters
};

/// Appends the base64 of a few bytes: six of them become eight letters at once, the last with zeros behind them.
#[inline]
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let (sixes, rest) = bytes.as_chunks();
    for six in sixes {
        out.extend_from_slice(&eight_letters(*six));
    }
    match *rest {
        [a] => {
            let [a, b, ..] = eight_letters([a, 0, 0, 0, 0, 0]);
            out.extend_from_slice(&[a, b, b'=', b'=']);
        }
        [a, b] => {
            let [a, b, c, ..] = eight_letters([a, b, 0, 0, 0, 0]);
            out.extend_from_slice(&[a, b, c, b'=']);
        }
        [a, b, c] => {
            let [a, b, c, d, ..] = eight_letters([a, b, c, 0, 0, 0]);
            out.extend_from_slice(&[a, b, c, d]);
        }
        [a, b, c, d] => {
            let [a, b, c, d, e, f, ..] = eight_letters([a, b, c, d, 0, 0]);
            out.extend_from_slice(&[a, b, c, d, e, f, b'=', b'=']);
        }
        [a, b, c, d, e] => {
            let [a, b, c, d, e, f, g, _] = eight_letters([a, b, c, d, e, 0]);
            out.extend_from_slice(&[a, b, c, d, e, f, g, b'=']);
        }
        _ => {}
    }
}

/// The letters of 48 bits.
#[inline]
fn eight_letters([a, b, c, d, e, f]: [u8; 6]) -> [u8; 8] {
    let (high, low) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]));
    let bits = u64::from(high) << 16 | u64::from(low);
    let pair = |shift: u32| u64::from(LETTERS[(bits >> shift) as usize & 0xfff]);
    (pair(36) | pair(24) << 16 | pair(12) << 32 | pair(0) << 48).to_le_bytes()
}

fn append_base64(out: &mut impl Text, bytes: &[u8]) {
    out.put("\"");
    out.put_base64(bytes);
    out.put("\"");
}

/// Appends `text` as a JSON string: `"`, `\` and control characters escaped.
pub fn append_text(out: &mut impl Text, text: &str) {
    out.put("\"");
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 | 0x7f => "",
            _ => continue,
        };
        out.put(&text[plain..at]);
        plain = at + 1;
        match short {
            "" => out.put(&format!("\\u{byte:04x}")),
            short => out.put(short),
        }
    }
    out.put(&text[plain..]);
    out.put("\"");
}

/// Writes an indented document with a line end.
pub fn write_pretty(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

/// Writes one line of JSON.
pub fn write_line(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_those_of_the_engine() {
        let bytes: Vec<u8> = (0..=255).rev().chain(0..64).collect();
        for begin in 0..64 {
            for len in 0..=2 * SHORT {
                let part = &bytes[begin * 3..][..len];
                let mut text = b"before".to_vec();
                text.put_base64(part);
                assert_eq!(&text[6..], STANDARD.encode(part).as_bytes());
            }
        }
    }

    #[test]
    fn both_forms_read_back_to_the_same_bytes() {
        for bytes in [
            &b"plain"[..],
            b"q\"b\\n\n\x00\x1f\x7f",
            "h\u{e9}".as_bytes(),
            b"\xff\x00",
            b"",
        ] {
            for form in [Bytes::Base64, Bytes::Text] {
                let (mut text, mut raw) = (String::new(), Vec::new());
                form.append(&mut text, bytes);
                form.append(&mut raw, bytes);
                assert_eq!(text.as_bytes(), raw);
                let value: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value, form.value(bytes));
                let back = match (&value, form) {
                    (Value::String(s), Bytes::Text) => s.clone().into_bytes(),
                    (Value::String(s), Bytes::Base64) => STANDARD.decode(s).unwrap(),
                    (other, _) => STANDARD.decode(other["base64"].as_str().unwrap()).unwrap(),
                };
                assert_eq!(back, bytes);
            }
        }
    }
}
