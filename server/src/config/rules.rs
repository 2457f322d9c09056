//! Rules for text values, and the texts of memory sizes and percentiles.

use cairn_format::rdb::dialect::Dialect;

/// Which texts a directive accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// Any bytes.
    Any,
    /// A file name without a folder; the name of the directive is part of the error.
    FileName {
        /// The directive.
        name: &'static str,
        /// What it names: `filename` or `dirname`.
        noun: &'static str,
        /// Whether it may be empty.
        empty: bool,
    },
    /// A host name.
    Hostname,
    /// A node name for people.
    NodeName,
    /// Classes of keyspace events; the text is put into Redis's order.
    Events,
    /// A template for the process title.
    Title,
    /// `auto`, or the name or number of an RDB version that can be written.
    RdbVersion,
}

/// The text as it is kept.
pub(super) fn accept(rule: TextRule, text: &[u8]) -> Result<Vec<u8>, String> {
    let kept = |fine: bool, error: &str| {
        if fine {
            Ok(text.to_vec())
        } else {
            Err(error.to_string())
        }
    };
    match rule {
        TextRule::Any => Ok(text.to_vec()),
        TextRule::FileName {
            name, empty: false, ..
        } if text.is_empty() => Err(format!("{name} can't be empty")),
        TextRule::FileName { name, noun, .. } => kept(
            !text.contains(&b'/'),
            &format!("{name} can't be a path, just a {noun}"),
        ),
        TextRule::Hostname if text.len() >= 256 => {
            Err("Hostnames must be less than 256 characters".into())
        }
        TextRule::Hostname => kept(
            text.iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b)),
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        TextRule::NodeName => kept(
            text.iter()
                .all(|b| b.is_ascii_graphic() && !b"!#$%&()*+:;<>?@[]^{|}~,=\"'\\`".contains(b)),
            "Announced human node name contained invalid character",
        ),
        TextRule::Events => events(text),
        TextRule::Title => kept(
            super::title::is_title(text),
            "template format is invalid or contains unknown variables",
        ),
        TextRule::RdbVersion => kept(
            rdb_version(text).is_some(),
            "argument must be auto, or a writable RDB version: a number from 6, or a name such as redis-7.2 or valkey-9.0",
        ),
    }
}

/// The dialect that `rdb-save-version` asks for: `Some(None)` is auto, `None` not a version that can be written.
pub(super) fn rdb_version(text: &[u8]) -> Option<Option<Dialect>> {
    if text.eq_ignore_ascii_case(b"auto") {
        return Some(None);
    }
    let name = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    Dialect::parse(&name)
        .filter(|dialect| dialect.is_saved())
        .map(Some)
}

/// Puts event classes into the order in which Redis prints them, `A` standing for all of `g$lshzxetd`.
fn events(text: &[u8]) -> Result<Vec<u8>, String> {
    const CLASSES: &[u8] = b"g$lshzxetd";
    if text
        .iter()
        .any(|b| !CLASSES.contains(b) && !b"AKEmn".contains(b))
    {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let all = text.contains(&b'A') || CLASSES.iter().all(|class| text.contains(class));
    let mut out = Vec::new();
    if all {
        out.push(b'A');
    } else {
        out.extend(CLASSES.iter().filter(|class| text.contains(class)));
    }
    out.extend(b"KEmn".iter().filter(|class| text.contains(class)));
    Ok(out)
}

/// Bytes from digits and a unit, as Redis's `memtoull`: k is 1000, kb is 1024, too large a number is the largest one,
/// no digits are 0, and a product that does not fit wraps.
pub(crate) fn memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    if digits > 127 {
        return None;
    }
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let value = number.iter().fold(0u64, |n, d| {
        n.saturating_mul(10).saturating_add(u64::from(d - b'0'))
    });
    Some(value.wrapping_mul(factor))
}

/// A size as a configuration file says it: with the largest unit that divides it.
pub(super) fn memory_text(bytes: u64) -> String {
    let units = [(30, "gb"), (20, "mb"), (10, "kb")];
    let fits = |shift| bytes != 0 && bytes.trailing_zeros() >= shift;
    let text = match units.into_iter().find(|(shift, _)| fits(*shift)) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    };
    debug_assert_eq!(memory(text.as_bytes()), Some(bytes), "{text}");
    text
}

/// Up to six decimals, without trailing zeros.
pub(crate) fn percentile_text(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units_follow_redis() {
        for (text, bytes) in [
            ("0", 0),
            ("", 0),
            ("1b", 1),
            ("1k", 1000),
            ("1KB", 1024),
            ("100MB", 104_857_600),
            ("1g", 1_000_000_000),
            ("99999999999999999999", u64::MAX),
        ] {
            assert_eq!(memory(text.as_bytes()), Some(bytes), "{text:?}");
        }
        for text in ["-1", "a", "1.5mb", "10%", "1T", " 1", "1 "] {
            assert_eq!(memory(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(memory_text(104_857_600), "100mb");
        assert_eq!(memory_text(1000), "1000");
        assert_eq!(memory_text(0), "0");
        assert_eq!(memory(memory_text(3 << 10).as_bytes()), Some(3 << 10));
    }

    #[test]
    fn event_classes_are_put_in_order() {
        for (text, kept) in [
            ("KEA", "AKE"),
            ("KEg$lshzxetdn", "AKEn"),
            ("Kgt", "gtK"),
            ("KEAm", "AKEm"),
            ("", ""),
        ] {
            assert_eq!(events(text.as_bytes()).unwrap(), kept.as_bytes(), "{text}");
        }
        assert!(events(b"foo").is_err());
    }

    #[test]
    fn rdb_versions_are_those_that_can_be_written() {
        assert_eq!(rdb_version(b"auto"), Some(None));
        for name in ["10", "redis-6.2", "redis-7.2", "valkey-9.0"] {
            assert!(
                matches!(rdb_version(name.as_bytes()), Some(Some(_))),
                "{name}"
            );
        }
        assert_eq!(rdb_version(b"5000"), None);
        assert_eq!(rdb_version(b"redis"), None);
    }
}
