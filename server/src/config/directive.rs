//! What one directive is: its name, the shape of its value, and what it does today.
//!
//! A directive is written down once, as a row in `table/`: the constant that code uses to read it, its one-line
//! summary, name, default, bounds, flags. Everything else (CONFIG GET, CONFIG SET, CONFIG REWRITE, file and command
//! line) is read from that row.
//!
//! Invariant: a `Key<T>` is the place of its row in the table, and `T` fits the row's `Kind`; a test walks the table.

use std::marker::PhantomData;

use super::rules::TextRule;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Decimal digits.
    Plain,
    /// Bytes, with the units b, k, kb, m, mb, g, gb.
    Memory,
    /// Bytes, or a percentage such as `10%`, which is held as a negative number.
    MemoryOrPercent,
    /// Octal digits (a file mode).
    Octal,
}

/// The shape of a directive's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Flag,
    /// An integer. `max` and `min` are read as unsigned if `unsigned`, so that `u64::MAX` is `-1`.
    Number {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Whether value and bounds are `u64` bits.
        unsigned: bool,
        /// How it is written.
        form: Form,
        /// Values outside this range are pulled into it after they passed the bounds (`hz`).
        clamp: Option<(i64, i64)>,
    },
    /// One word of a list; the number is the variant that the word stands for.
    Choice(&'static [(&'static str, u8)]),
    /// Several words, each a bit; the word with no bit is the empty set.
    Bits(&'static [(&'static str, u8)]),
    /// Any bytes that a rule accepts.
    Text(TextRule),
    /// A list of words (`bind`).
    Words,
    /// Pairs of seconds and changes (`save`).
    Save,
    /// Limits by client class (`client-output-buffer-limit`).
    Limits,
    /// A list of percentiles.
    Percentiles,
    /// Three numbers between -2000 and 2000 (`oom-score-adj-values`).
    OomValues,
    /// Host and port of a primary (`replicaof`).
    Primary,
    /// The working folder.
    Dir,
}

impl Kind {
    /// Whether a line in a file may hold several arguments, and CONFIG SET cuts its value at blanks.
    pub fn is_multi_argument(&self) -> bool {
        matches!(
            self,
            Kind::Bits(_)
                | Kind::Words
                | Kind::Save
                | Kind::Limits
                | Kind::Percentiles
                | Kind::OomValues
                | Kind::Primary
        )
    }

    /// Whether a line of a file may hold the name alone: a list that is empty then, or, where words are asked for, told
    /// which (Redis itself writes a bare `save` when it rewrites a configuration without save points).
    pub fn may_be_empty(&self) -> bool {
        matches!(
            self,
            Kind::Bits(_) | Kind::Words | Kind::Save | Kind::Limits | Kind::Percentiles
        )
    }
}

/// What a directive does in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what it says.
    Works,
    /// Accepted in silence; there is nothing that it could do here, for this reason.
    Moot(&'static str),
}

/// One directive.
#[derive(Debug)]
pub struct Directive {
    /// Its name as Redis 7.2 prints it.
    pub name: &'static str,
    /// Its older name.
    pub alias: Option<&'static str>,
    /// Shape and bounds.
    pub kind: Kind,
    /// The default as a line of a file would say it.
    pub default: &'static str,
    /// What it does today.
    pub effect: Effect,
    summary: &'static str,
    flags: u8,
}

const IMMUTABLE: u8 = 1;
const HIDDEN: u8 = 2;
const PROTECTED: u8 = 4;
const SENSITIVE: u8 = 8;
const DENY_LOADING: u8 = 16;
const NAMES_FILE: u8 = 32;

// What is asserted of rows is asserted when they are compiled.
const fn new(name: &'static str, default: &'static str, kind: Kind) -> Directive {
    assert!(!name.is_empty(), "a row without a name");
    Directive {
        name,
        alias: None,
        summary: "",
        kind,
        default,
        effect: Effect::Works,
        flags: 0,
    }
}

const fn number(
    name: &'static str,
    default: &'static str,
    (min, max): (i64, i64),
    unsigned: bool,
    form: Form,
) -> Directive {
    assert!(
        if unsigned {
            min as u64 <= max as u64
        } else {
            min <= max
        },
        "no number is within the bounds"
    );
    new(
        name,
        default,
        Kind::Number {
            min,
            max,
            unsigned,
            form,
            clamp: None,
        },
    )
}

/// `yes` or `no`.
pub(super) const fn flag(name: &'static str, default: &'static str) -> Directive {
    new(name, default, Kind::Flag)
}

/// A signed decimal number.
pub(super) const fn int(
    name: &'static str,
    default: &'static str,
    min: i64,
    max: i64,
) -> Directive {
    number(name, default, (min, max), false, Form::Plain)
}

/// An unsigned decimal number: negative input is above every bound, not below.
pub(super) const fn count(
    name: &'static str,
    default: &'static str,
    min: i64,
    max: i64,
) -> Directive {
    number(name, default, (min, max), true, Form::Plain)
}

/// A signed number of bytes.
pub(super) const fn bytes(
    name: &'static str,
    default: &'static str,
    min: i64,
    max: i64,
) -> Directive {
    number(name, default, (min, max), false, Form::Memory)
}

/// An unsigned number of bytes.
pub(super) const fn size(
    name: &'static str,
    default: &'static str,
    min: i64,
    max: i64,
) -> Directive {
    number(name, default, (min, max), true, Form::Memory)
}

/// Bytes or a percentage up to 100.
pub(super) const fn share(name: &'static str, default: &'static str) -> Directive {
    number(
        name,
        default,
        (-100, i64::MAX),
        false,
        Form::MemoryOrPercent,
    )
}

/// A file mode.
pub(super) const fn octal(name: &'static str, default: &'static str, max: i64) -> Directive {
    number(name, default, (0, max), true, Form::Octal)
}

/// One word of a list.
pub(super) const fn choice(
    name: &'static str,
    default: &'static str,
    words: &'static [(&'static str, u8)],
) -> Directive {
    assert!(!words.is_empty(), "nothing to choose from");
    new(name, default, Kind::Choice(words))
}

/// Any bytes.
pub(super) const fn text(name: &'static str, default: &'static str) -> Directive {
    new(name, default, Kind::Text(TextRule::Any))
}

/// Bytes that a rule accepts.
pub(super) const fn ruled(name: &'static str, default: &'static str, rule: TextRule) -> Directive {
    new(name, default, Kind::Text(rule))
}

/// A value with a shape of its own.
pub(super) const fn shaped(name: &'static str, default: &'static str, kind: Kind) -> Directive {
    new(name, default, kind)
}

impl Directive {
    /// The older name that is answered as well.
    pub(super) const fn alias(mut self, name: &'static str) -> Self {
        assert!(self.alias.is_none(), "a row has one older name");
        self.alias = Some(name);
        self
    }

    /// CONFIG SET refuses it.
    pub(super) const fn immutable(mut self) -> Self {
        self.flags |= IMMUTABLE;
        self
    }

    /// Patterns of CONFIG GET pass it by.
    pub(super) const fn hidden(mut self) -> Self {
        self.flags |= HIDDEN;
        self
    }

    /// CONFIG SET needs `enable-protected-configs`.
    pub(super) const fn protected(mut self) -> Self {
        self.flags |= PROTECTED;
        self
    }

    /// The value is a secret.
    pub(super) const fn secret(mut self) -> Self {
        self.flags |= SENSITIVE;
        self
    }

    /// The value names a file, and what is in it counts: CONFIG SET of the same value reads it anew.
    pub(super) const fn names_file(mut self) -> Self {
        self.flags |= NAMES_FILE;
        self
    }

    /// CONFIG SET answers LOADING while data is loaded.
    pub(super) const fn not_while_loading(mut self) -> Self {
        self.flags |= DENY_LOADING;
        self
    }

    /// There is nothing that it could do.
    pub(super) const fn moot(mut self, why: &'static str) -> Self {
        assert!(matches!(self.effect, Effect::Works), "two marks on one row");
        self.effect = Effect::Moot(why);
        self
    }

    /// The number is pulled into this range.
    pub(super) const fn clamped(mut self, low: i64, high: i64) -> Self {
        assert!(
            matches!(self.kind, Kind::Number { .. }) && low <= high,
            "only numbers are pulled into a range"
        );
        if let Kind::Number {
            min,
            max,
            unsigned,
            form,
            ..
        } = self.kind
        {
            self.kind = Kind::Number {
                min,
                max,
                unsigned,
                form,
                clamp: Some((low, high)),
            };
        }
        self
    }

    /// The line for people; the table's rows set it from their doc comment.
    pub(super) const fn about(mut self, summary: &'static str) -> Self {
        assert!(!summary.is_empty(), "a row that says nothing to people");
        self.summary = summary;
        self
    }

    /// One line for people.
    pub fn summary(&self) -> &'static str {
        // The doc comment that it is taken from begins with the blank after its slashes.
        self.summary.trim_start()
    }

    /// Whether CONFIG SET refuses it.
    pub fn is_immutable(&self) -> bool {
        self.flags & IMMUTABLE != 0
    }

    /// Whether only an exact CONFIG GET shows it.
    pub fn is_hidden(&self) -> bool {
        self.flags & HIDDEN != 0
    }

    /// Whether CONFIG SET needs `enable-protected-configs`.
    pub fn is_protected(&self) -> bool {
        self.flags & PROTECTED != 0
    }

    /// Whether to set the value that it has means something.
    pub fn is_read_anew(&self) -> bool {
        self.flags & NAMES_FILE != 0
    }

    /// Whether its value must not be shown in logs.
    pub fn is_secret(&self) -> bool {
        self.flags & SENSITIVE != 0
    }

    /// Whether CONFIG SET answers LOADING while data is loaded.
    pub fn is_denied_while_loading(&self) -> bool {
        self.flags & DENY_LOADING != 0
    }
}

/// The typed handle of a directive: its place in the table, and the type of its value.
pub struct Key<T> {
    place: u16,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> Key<T> {
    /// The key of the row at `place`. Only the table makes keys.
    pub(super) const fn at(place: usize) -> Key<T> {
        assert!(place <= u16::MAX as usize, "a place that keys cannot hold");
        Key {
            place: place as u16,
            kind: PhantomData,
        }
    }

    /// The row's place in the table.
    pub(super) const fn place(self) -> usize {
        self.place as usize
    }
}
