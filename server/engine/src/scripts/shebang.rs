//! The first line of a program: `#!lua flags=no-writes,allow-stale`, `#!lua name=library`.
//!
//! What is refused, and in which words, was recorded from Redis 7.2.4.

use cairn_format::text::words::split_words;

use super::flags::ScriptFlags;
use crate::base::error::{Error, lossless};

/// The program behind its first line, whose line break stays so that lines keep their numbers; and the words of that line.
fn split(code: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = code.iter().position(|byte| *byte == b'\n')?;
    Some((&code[..end], &code[end..]))
}

/// What the first line of a script says, if it is a shebang, and the program.
///
/// # Errors
/// A shebang that is none.
pub fn of_script(code: &[u8]) -> Result<(ScriptFlags, &[u8]), Error> {
    if !code.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPATIBLE, code));
    }
    let (line, program) = split(code).ok_or(Error::new("ERR Invalid script shebang"))?;
    let words =
        split_words(line).map_err(|_| Error::new("ERR Invalid engine in script shebang"))?;
    let engine = words.first().map_or(&b""[..], |word| word);
    if engine != b"#!lua" {
        return Err(Error::text(format!(
            "ERR Unexpected engine in script shebang: {}",
            lossless(engine)
        )));
    }
    let mut flags = ScriptFlags::NONE;
    for word in &words[1..] {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(Error::text(format!(
                "ERR Unknown lua shebang option: {}",
                lossless(word)
            )));
        };
        if list.is_empty() {
            continue;
        }
        for name in list.split(|byte| *byte == b',') {
            let flag = ScriptFlags::by_name(name).ok_or_else(|| {
                Error::text(format!(
                    "ERR Unexpected flag in script shebang: {}",
                    lossless(name)
                ))
            })?;
            flags = flags.and(flag);
        }
    }
    Ok((flags, program))
}

/// Name of the library and its program.
///
/// # Errors
/// A first line without what a library needs.
pub fn of_library(code: &[u8]) -> Result<(Vec<u8>, &[u8]), Error> {
    const INVALID: Error = Error::new("ERR Invalid library metadata");
    if !code.starts_with(b"#!") {
        return Err(Error::new("ERR Missing library metadata"));
    }
    let (line, program) = split(code).ok_or(INVALID)?;
    let words = split_words(line).map_err(|_| INVALID)?;
    let engine = words.first().map_or(&b""[..], |word| &word[2..]);
    let mut name: Option<Vec<u8>> = None;
    for word in words.iter().skip(1) {
        let is_name = word.len() >= 5 && word[..5].eq_ignore_ascii_case(b"name=");
        if !is_name {
            return Err(Error::text(format!(
                "ERR Invalid metadata value given: {}",
                lossless(word)
            )));
        }
        if name.is_some() {
            return Err(Error::new(
                "ERR Invalid metadata value, name argument was given multiple times",
            ));
        }
        name = Some(word[5..].to_vec());
    }
    let name = name.ok_or(Error::new("ERR Library name was not given"))?;
    if !is_name_of_function(&name) {
        return Err(Error::text(format!("ERR {BAD_NAME}")));
    }
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(Error::text(format!(
            "ERR Engine '{}' not found",
            lossless(engine)
        )));
    }
    Ok((name, program))
}

/// What is said of a name that [`is_name_of_function`] refuses.
pub const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// Whether libraries and functions may have this name.
pub fn is_name_of_function(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(fits)
}
