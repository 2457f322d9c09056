//! The first nine bytes: family and version.

use super::super::dialect::{Dialect, Family};
use super::super::raw::Source;
use crate::error::{Damage, FormatError, Result};
use crate::text::words::quote;

/// Bytes of magic and version.
pub(super) const SIZE: usize = 9;

/// Reads the dialect; the nine bytes stay in the source.
pub(super) fn read_header<S: Source>(source: &mut S, newest: Option<Dialect>) -> Result<Dialect> {
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
    let dialect = version(magic.1, &window[magic.0.len()..])?;
    match newest {
        Some(newest) if !newest.reads(dialect) => {
            let kind = if newest.family() == Family::Redis && dialect.family() == Family::Valkey {
                Damage::Magic
            } else {
                Damage::Version
            };
            Err(FormatError::new(
                kind,
                0,
                format!("{dialect} cannot be read by {newest}"),
            ))
        }
        _ => Ok(dialect),
    }
}

/// Whether what is there of the magic is right.
fn agrees(window: &[u8], magic: &[u8]) -> bool {
    let common = window.len().min(magic.len());
    window[..common] == magic[..common]
}

fn version(family: Family, digits: &[u8]) -> Result<Dialect> {
    let at = (SIZE - digits.len()) as u64;
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(number) = number.and_then(|text| text.parse::<u16>().ok()) else {
        return Err(FormatError::new(
            Damage::Version,
            at,
            format!("version {} is no number", quote(digits)),
        ));
    };
    let known = match family {
        Family::Redis => (1..=Dialect::NEWEST_REDIS.version()).contains(&number),
        Family::Valkey => number == Dialect::NEWEST_VALKEY.version(),
    };
    if !known {
        let newest = match family {
            Family::Redis => Dialect::NEWEST_REDIS,
            Family::Valkey => Dialect::NEWEST_VALKEY,
        };
        return Err(FormatError::new(
            Damage::Version,
            at,
            format!("version {number} is unknown; the newest known is {newest}"),
        ));
    }
    Ok(match family {
        Family::Redis => Dialect::redis(number),
        Family::Valkey => Dialect::valkey(number),
    })
}
