//! Keys and other bytes as a person can read them, on one line and harmless to a terminal.

/// Bytes of a key that an error line shows; the rest is counted. A key may be 512 MB long.
const SHOWN_MAX: usize = 256;

/// `"user:17"`: printable ASCII as it is, `\"`, `\\`, `\n`, `\r`, `\t`, and `\x00` for all else.
///
/// Above `SHOWN_MAX` bytes the end is left out: `"aaaa"... (70000 bytes)`.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
    let mut text = quoted_whole(shown);
    if shown.len() < bytes.len() {
        text.push_str(&format!("... ({} bytes)", bytes.len()));
    }
    text
}

/// The same without a limit: what is written can be read back to the same bytes.
pub fn quoted_whole(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_stays_on_the_line() {
        assert_eq!(quoted(b"user:17"), "\"user:17\"");
        assert_eq!(
            quoted(b"a\"b\\c\n\x1b[0m\xff"),
            "\"a\\\"b\\\\c\\n\\x1b[0m\\xff\""
        );
        let all: Vec<u8> = (0..=255).collect();
        assert!(quoted(&all).bytes().all(|b| (b' '..=b'~').contains(&b)));
    }

    #[test]
    fn a_long_key_is_cut_and_counted() {
        let text = quoted(&[b'a'; SHOWN_MAX + 1]);
        assert!(text.ends_with("a\"... (257 bytes)"), "{text}");
        assert_eq!(text.matches('a').count(), SHOWN_MAX);
    }
}
