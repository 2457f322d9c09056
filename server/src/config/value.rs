//! Values of directives: how each kind is read from arguments, and how CONFIG GET prints it.
//!
//! Texts and rules are those of Redis 7.2 `config.c`, error replies to the letter.
//! Invariant: `parse(kind, print(value))` is `value` for every value that parse gave.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cairn_format::text::number::parse_i64;

use super::directive::{Directive, Form, Kind};
use super::output_limits::{self, OutputLimits};
use super::rules;
pub use super::rules::TextRule;

/// The value of one directive.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// yes or no.
    Flag(bool),
    /// A number; for unsigned directives the bits of a `u64`; a percentage is negative.
    Number(i64),
    /// A word's variant.
    Choice(u8),
    /// Bits of several words.
    Bits(u8),
    /// Bytes.
    Text(Vec<u8>),
    /// A list of words.
    Words(Vec<Vec<u8>>),
    /// Save points.
    Save(Vec<SavePoint>),
    /// Output buffer limits.
    Limits(OutputLimits),
    /// Percentiles.
    Percentiles(Vec<f64>),
    /// Three numbers.
    OomValues([i64; 3]),
    /// Host and port of the primary, if any.
    Primary(Option<(Vec<u8>, u16)>),
    /// An absolute folder.
    Dir(PathBuf),
}

/// One `save` pair: a snapshot is due after `seconds` if at least `changes` keys changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last snapshot.
    pub seconds: i64,
    /// Changes since the last snapshot.
    pub changes: i64,
}

/// `shutdown-on-sigint` and `shutdown-on-sigterm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownFlags {
    /// Save even without save points.
    pub save: bool,
    /// Do not save.
    pub nosave: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// Ignore errors.
    pub force: bool,
}

/// Most words of `bind`.
const ADDRESSES_MAX: usize = 16;

/// The words of `ShutdownFlags`, with their bits.
pub(super) const SHUTDOWN_WORDS: &[(&str, u8)] = &[
    ("default", 0),
    ("save", 1),
    ("nosave", 2),
    ("now", 4),
    ("force", 8),
];

/// A type that a directive's value can be read as.
pub trait Setting {
    /// What `Config::get` returns: the value itself, or a view of it.
    type View<'a>;
    /// The value as this type; `None` if the directive has another kind, which a test of the table rules out.
    fn view(value: &Value) -> Option<Self::View<'_>>;
}

/// Bytes, read as `&[u8]`.
pub enum Text {}
/// Words, read as `&[Vec<u8>]`.
pub enum Words {}
/// Save points, read as `&[SavePoint]`.
pub enum Save {}
/// Percentiles, read as `&[f64]`.
pub enum Percentiles {}
/// Three numbers, read as `[i64; 3]`.
pub enum OomValues {}
/// Host and port of the primary, read as `Option<(&[u8], u16)>`.
pub enum Primary {}
/// A folder, read as `&Path`.
pub enum Dir {}

macro_rules! setting {
    ($($type:ty => $view:ty, $pattern:pat => $result:expr;)*) => {
        $(impl Setting for $type {
            type View<'a> = $view;
            fn view(value: &Value) -> Option<Self::View<'_>> {
                match value { $pattern => Some($result), _ => None }
            }
        })*
    };
}

setting! {
    bool => bool, Value::Flag(on) => *on;
    i64 => i64, Value::Number(n) => *n;
    u64 => u64, Value::Number(n) => *n as u64;
    Text => &'a [u8], Value::Text(text) => text;
    Words => &'a [Vec<u8>], Value::Words(words) => words;
    Save => &'a [SavePoint], Value::Save(points) => points;
    OutputLimits => &'a OutputLimits, Value::Limits(limits) => limits;
    Percentiles => &'a [f64], Value::Percentiles(list) => list;
    OomValues => [i64; 3], Value::OomValues(values) => *values;
    Primary => Option<(&'a [u8], u16)>, Value::Primary(primary) => primary.as_ref().map(|(host, port)| (host.as_slice(), *port));
    Dir => &'a Path, Value::Dir(path) => path;
    ShutdownFlags => ShutdownFlags, Value::Bits(bits) =>
        ShutdownFlags { save: bits & 1 != 0, nosave: bits & 2 != 0, now: bits & 4 != 0, force: bits & 8 != 0 };
}

/// Reads a value. `current` is what the directive holds now: limits change class by class, and a relative folder
/// starts from the current one.
///
/// # Errors
/// The reason, in Redis's words.
pub(super) fn parse(
    directive: &Directive,
    args: &[&[u8]],
    current: &Value,
) -> Result<Value, String> {
    let single = || match args {
        [one] => Ok(*one),
        _ => Err("wrong number of arguments".to_string()),
    };
    match directive.kind {
        Kind::Flag => parse_flag(single()?).map(Value::Flag),
        Kind::Number { .. } => parse_number(&directive.kind, single()?).map(Value::Number),
        Kind::Choice(words) => {
            let word = single()?;
            find_word(words, word)
                .map(Value::Choice)
                .ok_or_else(|| one_of(words))
        }
        Kind::Bits(words) => parse_bits(words, args),
        Kind::Text(rule) => rules::accept(rule, single()?).map(Value::Text),
        Kind::Words => parse_words(without_empty(args)).map(Value::Words),
        Kind::Save => parse_save(without_empty(args)).map(Value::Save),
        Kind::Limits => {
            let before = OutputLimits::view(current).copied().unwrap_or_default();
            output_limits::parse(args, before).map(Value::Limits)
        }
        Kind::Percentiles => parse_percentiles(without_empty(args)).map(Value::Percentiles),
        Kind::OomValues => parse_oom_values(args).map(Value::OomValues),
        Kind::Primary => parse_primary(args).map(Value::Primary),
        Kind::Dir => match single()? {
            [] => Err("No such file or directory".into()),
            text => Ok(Value::Dir(join(current, text))),
        },
    }
}

/// Prints a value as CONFIG GET does.
pub(super) fn print(kind: &Kind, value: &Value) -> Vec<u8> {
    match value {
        Value::Flag(on) => if *on { "yes" } else { "no" }.into(),
        Value::Number(n) => print_number(kind, *n).into_bytes(),
        Value::Choice(_) | Value::Bits(_) => print_words(kind, value).into_bytes(),
        Value::Text(text) => text.clone(),
        Value::Words(words) => words.join(&b' '),
        Value::Save(points) => join_texts(
            points
                .iter()
                .map(|p| format!("{} {}", p.seconds, p.changes)),
        ),
        Value::Limits(limits) => limits.to_string().into_bytes(),
        Value::Percentiles(list) => join_texts(list.iter().map(|p| rules::percentile_text(*p))),
        Value::OomValues(values) => join_texts(values.iter().map(i64::to_string)),
        Value::Primary(None) => Vec::new(),
        Value::Primary(Some((host, port))) => {
            [host.as_slice(), format!(" {port}").as_bytes()].concat()
        }
        Value::Dir(path) => path.as_os_str().as_bytes().to_vec(),
    }
}

/// A value of this kind before its default was read: what `parse` starts from.
pub(super) fn blank(kind: &Kind, cwd: &Path) -> Value {
    match kind {
        Kind::Limits => Value::Limits(OutputLimits::default()),
        Kind::Dir => Value::Dir(cwd.to_path_buf()),
        _ => Value::Flag(false),
    }
}

/// Cuts a multi-argument value as CONFIG SET does: at every single blank, nothing for the empty value.
pub(super) fn split_blanks(value: &[u8]) -> Vec<&[u8]> {
    if value.is_empty() {
        Vec::new()
    } else {
        value.split(|byte| *byte == b' ').collect()
    }
}

fn without_empty<'a, 'b>(args: &'a [&'b [u8]]) -> &'a [&'b [u8]] {
    match args {
        [[]] => &[],
        _ => args,
    }
}

fn parse_flag(word: &[u8]) -> Result<bool, String> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn parse_number(kind: &Kind, text: &[u8]) -> Result<i64, String> {
    let Kind::Number {
        min,
        max,
        unsigned,
        form,
        clamp,
    } = *kind
    else {
        return Err("argument couldn't be parsed into an integer".into());
    };
    let number = match form {
        Form::Plain => parse_i64(text).ok_or("argument couldn't be parsed into an integer"),
        Form::Memory => rules::memory(text)
            .map(|n| n as i64)
            .ok_or("argument must be a memory value"),
        Form::MemoryOrPercent => rules::memory(text)
            .map(|n| n as i64)
            .or_else(|| percent(text))
            .ok_or("argument must be a memory or percent value"),
        Form::Octal => octal(text).ok_or("argument couldn't be parsed as an octal number"),
    }?;
    let inside = if unsigned {
        (min as u64..=max as u64).contains(&(number as u64))
    } else {
        (min..=max).contains(&number)
    };
    if inside {
        debug_assert!(
            clamp.is_none_or(|(low, high)| unsigned || (low >= min && high <= max)),
            "pulled out of its bounds"
        );
        return Ok(clamp.map_or(number, |(low, high)| number.clamp(low, high)));
    }
    Err(match form {
        Form::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        Form::MemoryOrPercent if number < 0 => format!(
            "percentage argument must be less or equal to {}",
            min.wrapping_neg()
        ),
        _ if unsigned => format!(
            "argument must be between {} and {} inclusive",
            min as u64, max as u64
        ),
        _ => format!("argument must be between {min} and {max} inclusive"),
    })
}

/// `10%` as -10.
fn percent(text: &[u8]) -> Option<i64> {
    let number = parse_i64(text.strip_suffix(b"%")?)?;
    (number >= 0).then_some(-number)
}

/// No digits are 0, as for C's `strtol`.
fn octal(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()
}

fn print_number(kind: &Kind, number: i64) -> String {
    match kind {
        Kind::Number {
            form: Form::Octal, ..
        } => format!("{number:o}"),
        Kind::Number {
            form: Form::MemoryOrPercent,
            ..
        } if number < 0 => format!("{}%", number.wrapping_neg()),
        Kind::Number { unsigned: true, .. } => (number as u64).to_string(),
        _ => number.to_string(),
    }
}

fn find_word(words: &[(&str, u8)], word: &[u8]) -> Option<u8> {
    words
        .iter()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word))
        .map(|(_, variant)| *variant)
}

fn one_of(words: &[(&str, u8)]) -> String {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    format!(
        "argument(s) must be one of the following: {}",
        names.join(", ")
    )
}

fn parse_bits(words: &'static [(&'static str, u8)], args: &[&[u8]]) -> Result<Value, String> {
    if args.is_empty() {
        return Err(one_of(words));
    }
    let mut bits = 0;
    for word in args {
        bits |= find_word(words, word).ok_or_else(|| one_of(words))?;
    }
    if bits & 3 == 3 {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(Value::Bits(bits))
}

fn print_words(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Choice(words), Value::Choice(variant)) => words
            .iter()
            .find(|(_, v)| v == variant)
            .map_or(String::new(), |(name, _)| name.to_string()),
        (Kind::Bits(words), Value::Bits(0)) => words
            .iter()
            .filter(|(_, bit)| *bit == 0)
            .map(|(name, _)| *name)
            .collect(),
        (Kind::Bits(words), Value::Bits(bits)) => {
            let names: Vec<&str> = words
                .iter()
                .filter(|(_, bit)| bits & bit != 0)
                .map(|(name, _)| *name)
                .collect();
            names.join(" ")
        }
        _ => String::new(),
    }
}

fn parse_words(args: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
    if args.len() > ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    Ok(args.iter().map(|word| word.to_vec()).collect())
}

fn parse_save(args: &[&[u8]]) -> Result<Vec<SavePoint>, String> {
    let invalid = || "Invalid save parameters".to_string();
    if !args.len().is_multiple_of(2) {
        return Err(invalid());
    }
    args.chunks_exact(2)
        .map(|pair| {
            let seconds = parse_i64(pair[0]).filter(|n| *n >= 1);
            let changes = parse_i64(pair[1]).filter(|n| (0..=i64::from(i32::MAX)).contains(n));
            Ok(SavePoint {
                seconds: seconds.ok_or_else(invalid)?,
                changes: changes.ok_or_else(invalid)?,
            })
        })
        .collect()
}

fn parse_percentiles(args: &[&[u8]]) -> Result<Vec<f64>, String> {
    args.iter()
        .map(|text| {
            let number = cairn_format::text::double::parse_f64(text)
                .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if (0.0..=100.0).contains(&number) {
                Ok(number)
            } else {
                Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                        .to_string(),
                )
            }
        })
        .collect()
}

fn parse_oom_values(args: &[&[u8]]) -> Result<[i64; 3], String> {
    let [master, replica, child] = args else {
        return Err("wrong number of arguments".into());
    };
    let mut values = [0; 3];
    for (value, text) in values.iter_mut().zip([master, replica, child]) {
        *value = parse_i64(text)
            .filter(|n| (-2000..=2000).contains(n))
            .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    }
    Ok(values)
}

fn parse_primary(args: &[&[u8]]) -> Result<Option<(Vec<u8>, u16)>, String> {
    match args {
        [] => Ok(None),
        [host, port] if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") => {
            Ok(None)
        }
        [host, port] => {
            let number = parse_i64(port)
                .and_then(|n| u16::try_from(n).ok())
                .ok_or("Invalid master port")?;
            Ok(Some((host.to_vec(), number)))
        }
        _ => Err("wrong number of arguments".into()),
    }
}

/// The folder that a change to `text` from the current one leads to.
fn join(current: &Value, text: &[u8]) -> PathBuf {
    let target = PathBuf::from(std::ffi::OsString::from_vec(text.to_vec()));
    let joined = match current {
        Value::Dir(base) => base.join(target),
        _ => target,
    };
    debug_assert!(joined.is_absolute(), "{}: from where?", joined.display());
    // `components` drops `.` and doubled slashes but keeps `..`, which only the file system can resolve.
    joined.components().collect()
}

fn join_texts(texts: impl Iterator<Item = String>) -> Vec<u8> {
    texts.collect::<Vec<_>>().join(" ").into_bytes()
}
