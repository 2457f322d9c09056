//! JSON for programs that read the tools: strings of any bytes, pretty documents, lines.

use crate::letters;
pub use crate::letters::Behind;
use crate::start::Start;
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
    pub fn append(self, out: &mut impl Text, bytes: &[u8]) {
        self.append_with(out, bytes, &NOTHING);
    }

    /// The same, and what stands behind it.
    #[inline]
    pub fn append_with(self, out: &mut impl Text, bytes: &[u8], behind: &Behind) {
        match self {
            Bytes::Base64 => out.put_quoted_base64(bytes, behind),
            Bytes::Text => {
                self.append_text_of(out, bytes);
                out.put(behind.text());
            }
        }
    }

    fn append_text_of(self, out: &mut impl Text, bytes: &[u8]) {
        match self.text_of(bytes) {
            Some(text) => append_text(out, &text),
            None => {
                out.put("{\"base64\":");
                out.put_quoted_base64(bytes, &NOTHING);
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
    /// Appends the base64 of bytes as a JSON string, and what stands behind it.
    fn put_quoted_base64(&mut self, bytes: &[u8], behind: &Behind) {
        self.put("\"");
        self.put_base64(bytes);
        self.put("\"");
        self.put(behind.text());
    }
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
        letters::put(self, bytes);
    }

    #[inline]
    fn put_quoted_base64(&mut self, bytes: &[u8], behind: &Behind) {
        letters::put_quoted(self, bytes, behind);
    }
}

/// Appends the base64 of a text that is whole in its start as a JSON string, and what stands behind it; nothing for a longer one.
#[inline]
pub fn put_quoted_start(out: &mut Vec<u8>, start: &Start, behind: &Behind) {
    letters::put_quoted_start(out, start, behind);
}

/// Behind a string that is the last thing.
static NOTHING: Behind = Behind::new("");

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
