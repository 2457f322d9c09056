//! The first nine bytes: family and version.

use super::super::dialect::{Dialect, Family};
use super::super::raw::Source;
use crate::error::{Damage, FormatError, Result};
use crate::text::words::quote;

/// Bytes of magic and version.
pub(super) const SIZE: usize = 9;

/// Reads the dialect; the nine bytes stay in the source.
pub(super) fn read_header<S: Source>(
    source: &mut S,
    newest: Option<Dialect>,
    any_version: bool,
) -> Result<Dialect> {
    let whole = source.have(SIZE)?;
    let window = source.window();
    let window = &window[..window.len().min(SIZE)];
    let Some(magic) = [(&b"REDIS"[..], Family::Redis), (b"VALKEY", Family::Valkey)]
        .into_iter()
        .find(|(magic, _)| agrees(window, magic))
    else {
        return Err(FormatError::new(
            Damage::Magic,
            0,
            format!("not a snapshot: begins with {}", quote(window)),
        ));
    };
    if !whole {
        return Err(FormatError::new(
            Damage::Truncated,
            0,
            format!("header: 9 bytes needed, {} remain", window.len()),
        ));
    }
    let dialect = version(magic.1, &window[magic.0.len()..], any_version)?;
    match newest.and_then(|newest| newest.refusal(dialect)) {
        Some(error) => Err(error),
        None => Ok(dialect),
    }
}

/// Whether what is there of the magic is right.
fn agrees(window: &[u8], magic: &[u8]) -> bool {
    let common = window.len().min(magic.len());
    window[..common] == magic[..common]
}

fn version(family: Family, digits: &[u8], any: bool) -> Result<Dialect> {
    let at = (SIZE - digits.len()) as u64;
    let number = digits.iter().try_fold(0u16, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u16::from(digit - b'0'))
    });
    let Some(number) = number else {
        return Err(FormatError::new(
            Damage::Version,
            at,
            format!("version {} is no number", quote(digits)),
        ));
    };
    let dialect = match family {
        Family::Redis => Dialect::redis(number),
        Family::Valkey => Dialect::valkey(number),
    };
    if !any && !dialect.is_known() {
        let newest = dialect.newest_known();
        return Err(FormatError::new(
            Damage::Version,
            at,
            format!("version {number} is unknown; the newest known is {newest}"),
        ));
    }
    Ok(dialect)
}
