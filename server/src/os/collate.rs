//! The order of texts in the language that `locale-collate` names.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::fmt;

use cairn_engine::base::limits::Collation;

/// There is no such locale. Its text is that of Redis's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLocale;

impl fmt::Display for UnknownLocale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid locale name")
    }
}

/// Makes a locale the one that texts are ordered by; the empty name is that of the environment. Answers how to compare, none
/// where that is byte by byte.
///
/// # Errors
/// There is no such locale; the one of before stays.
pub fn choose(name: &[u8]) -> Result<Option<Collation>, UnknownLocale> {
    let name = CString::new(name).map_err(|_| UnknownLocale)?;
    // SAFETY: the name ends in zero. The answer is read before anybody can call again: only the server's thread does.
    let chosen = unsafe {
        let chosen = libc::setlocale(libc::LC_COLLATE, name.as_ptr());
        if chosen.is_null() {
            return Err(UnknownLocale);
        }
        CStr::from_ptr(chosen)
    };
    let bytewise = matches!(chosen.to_bytes(), b"C" | b"POSIX");
    Ok((!bytewise).then_some(compare as Collation))
}

/// Texts are compared up to a zero byte.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0);
        CString::new(&bytes[..end.unwrap_or(bytes.len())]).expect("no zero before the first one")
    };
    let (a, b) = (text(a), text(b));
    // SAFETY: both texts end in zero and live through the call.
    unsafe { libc::strcoll(a.as_ptr(), b.as_ptr()) }.cmp(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_there_or_not() {
        assert!(choose(b"no_SUCH.locale").is_err());
        assert!(choose(b"C\0").is_err());
        assert!(choose(b"C").unwrap().is_none());
        assert_eq!(compare(b"a\0z", b"a\0b"), Ordering::Equal);
        assert_eq!(compare(b"a", b"b"), Ordering::Less);
        assert_eq!(compare(b"b", b""), Ordering::Greater);
    }
}
