//! The words of the selection language, one parser for each option.
//!
//! ```text
//!   number     5   <5   <=5   >5   >=5   2-5   2..5         bounds belong to it
//!   size       the same with k m g t (powers of 1000) and kb mb gb tb (of 1024), as in redis.conf
//!   time       the same with ms s m h d w, also one behind the other: 1h30m; bare numbers are seconds
//! ```

use cairn_format::rdb::object::TYPE_NAMES;
use cairn_format::text::glob::glob_match;
use regex::bytes::{Regex, RegexBuilder};
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;

/// Slots of a cluster.
const SLOTS: u64 = 16_384;

/// One thing asked of a key.
#[derive(Clone, Debug)]
pub enum Criterion {
    Key(Pattern),
    KeyRegex(Regex),
    Type(String),
    Db(RangeInclusive<u64>),
    Ttl(Ttl),
    Size(RangeInclusive<u64>),
    Slot(RangeInclusive<u64>),
    Idle(RangeInclusive<u64>),
}

/// A pattern of KEYS.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    pub fn takes(&self, key: &[u8]) -> bool {
        glob_match(&self.0, key, false)
    }
}

/// What is asked of an expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is none.
    None,
    /// There is one.
    Any,
    /// Its time has come.
    Expired,
    /// Milliseconds left; none are left when its time has come.
    Left(RangeInclusive<u64>),
}

impl Ttl {
    pub fn takes(&self, expire_ms: Option<i64>, now_ms: i64) -> bool {
        match (self, expire_ms) {
            (Ttl::None, expire) => expire.is_none(),
            (_, None) => false,
            (Ttl::Any, _) => true,
            (Ttl::Expired, Some(at)) => at <= now_ms,
            (Ttl::Left(range), Some(at)) => {
                let left = at.saturating_sub(now_ms).max(0);
                range.contains(&left.unsigned_abs())
            }
        }
    }
}

pub fn key(text: &OsStr) -> Result<Criterion, String> {
    Ok(Criterion::Key(Pattern(text.as_bytes().to_vec())))
}

pub fn key_regex(text: &OsStr) -> Result<Criterion, String> {
    RegexBuilder::new(plain(text)?)
        .unicode(false)
        .build()
        .map(Criterion::KeyRegex)
        .map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        })
}

pub fn type_name(text: &OsStr) -> Result<Criterion, String> {
    let name = plain(text)?.to_ascii_lowercase();
    if name == super::FUNCTION || TYPE_NAMES.contains(&name.as_str()) {
        return Ok(Criterion::Type(name));
    }
    let names = TYPE_NAMES.join(", ");
    Err(format!("expected one of {names}, {}", super::FUNCTION))
}

pub fn db(text: &OsStr) -> Result<Criterion, String> {
    range(plain(text)?, &|word| word.parse().ok())
        .map(Criterion::Db)
        .ok_or_else(|| "expected a database, 0-7 or '>0'".to_owned())
}

pub fn slot(text: &OsStr) -> Result<Criterion, String> {
    let number = |word: &str| word.parse().ok().filter(|slot| *slot < SLOTS);
    range(plain(text)?, &number)
        .map(Criterion::Slot)
        .ok_or_else(|| format!("expected a slot or 0-100, up to {}", SLOTS - 1))
}

pub fn size(text: &OsStr) -> Result<Criterion, String> {
    range(plain(text)?, &bytes)
        .map(Criterion::Size)
        .ok_or_else(|| "expected '>1mb', '<=100' or 1kb..1mb".to_owned())
}

pub fn ttl(text: &OsStr) -> Result<Criterion, String> {
    Ok(Criterion::Ttl(match plain(text)? {
        "none" => Ttl::None,
        "any" => Ttl::Any,
        "expired" => Ttl::Expired,
        text => range(text, &milliseconds)
            .map(Ttl::Left)
            .ok_or("expected '<1h', '>=7d', 1h..2h, none, any or expired")?,
    }))
}

pub fn idle(text: &OsStr) -> Result<Criterion, String> {
    let seconds = |word: &str| milliseconds(word).map(|ms| ms / 1000);
    range(plain(text)?, &seconds)
        .map(Criterion::Idle)
        .ok_or_else(|| "expected '>30d', '<=1h' or 1h..2h".to_owned())
}

fn plain(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| "not UTF-8".to_owned())
}

/// Reads a range whose numbers `number` reads; `None` if it is none, also one that nothing can be in.
fn range(text: &str, number: &dyn Fn(&str) -> Option<u64>) -> Option<RangeInclusive<u64>> {
    let text = text.trim();
    let whole = |low, high| (low <= high).then_some(low..=high);
    let behind = |sign: &str| text.strip_prefix(sign).map(str::trim);
    if let Some(word) = behind("<=") {
        return whole(0, number(word)?);
    }
    if let Some(word) = behind(">=") {
        return whole(number(word)?, u64::MAX);
    }
    if let Some(word) = behind("<") {
        return whole(0, number(word)?.checked_sub(1)?);
    }
    if let Some(word) = behind(">") {
        return whole(number(word)?.checked_add(1)?, u64::MAX);
    }
    if let Some((low, high)) = text.split_once("..").or_else(|| text.split_once('-')) {
        return whole(number(low.trim())?, number(high.trim())?);
    }
    let only = number(text)?;
    whole(only, only)
}

/// Splits a number from the unit behind it.
fn with_unit(word: &str) -> Option<(u64, &str)> {
    let end = word
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(word.len());
    Some((word[..end].parse().ok()?, &word[end..]))
}

/// Bytes, with the units of redis.conf.
pub fn bytes(word: &str) -> Option<u64> {
    let (number, unit) = with_unit(word)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        "t" => 1_000_000_000_000,
        "tb" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A time such as `90`, `1h30m` or `250ms`.
pub fn milliseconds(word: &str) -> Option<u64> {
    let (mut rest, mut total) = (word, 0_u64);
    while !rest.is_empty() {
        let (number, behind) = with_unit(rest)?;
        let end = behind
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(behind.len());
        let factor: u64 = match &behind[..end] {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = &behind[end..];
    }
    (!word.is_empty()).then_some(total)
}
