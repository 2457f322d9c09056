//! CONFIG GET and CONFIG SET.
//!
//! Replies are those of Redis 7.2 to the letter.

use std::fmt;

use cairn_format::text::glob::glob_match;

use super::choice::Permission;
use super::directive::Key;
use super::value::{self, Setting, Value};
use super::{Config, Directive, Found, lookup, table};

/// What CONFIG SET needs to know of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Whether the connection comes from this machine.
    pub local: bool,
    /// Whether the server is loading data.
    pub loading: bool,
}

/// One directive that CONFIG SET changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub directive: &'static Directive,
    /// What it held before.
    pub old: Value,
    place: usize,
}

impl Change {
    /// Whether it is the change of this directive.
    pub fn is<T: Setting>(&self, key: Key<T>) -> bool {
        self.place == key.place()
    }
}

/// Why a change could not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The directive that is to blame.
    pub name: &'static str,
    /// The reason, as the reply's last words.
    pub reason: Option<String>,
}

impl Rejected {
    /// A rejection of `key` for this reason.
    pub fn of<T: Setting>(key: Key<T>, reason: impl Into<String>) -> Rejected {
        Rejected {
            name: key.directive().name,
            reason: Some(reason.into()),
        }
    }
}

/// What makes changes take effect: see `Config::set_many`.
pub type Apply<'a> = dyn FnMut(&Config, &[Change]) -> Result<(), Rejected> + 'a;

/// Why CONFIG SET changed nothing. Its text is the error reply without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// A name without a value.
    Syntax,
    /// No such directive.
    Unknown(Vec<u8>),
    /// It cannot be changed while data is loaded.
    Loading,
    /// A value was refused.
    Failed {
        /// The directive, as it was asked for.
        name: String,
        /// Why.
        reason: Option<String>,
    },
}

impl SetError {
    /// The reply's bytes without the leading `-`; they differ from the text where the asked name is not UTF-8.
    pub fn reply(&self) -> Vec<u8> {
        match self {
            SetError::Unknown(name) => [
                b"ERR Unknown option or number of arguments for CONFIG SET - '",
                name.as_slice(),
                b"'",
            ]
            .concat(),
            other => other.to_string().into_bytes(),
        }
    }

    fn failed(name: impl Into<String>, reason: impl Into<String>) -> SetError {
        SetError::Failed {
            name: name.into(),
            reason: Some(reason.into()),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Syntax => f.write_str("ERR syntax error"),
            SetError::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            SetError::Unknown(name) => {
                write!(
                    f,
                    "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                    String::from_utf8_lossy(name)
                )
            }
            SetError::Failed { name, reason } => {
                write!(
                    f,
                    "ERR CONFIG SET failed (possibly related to argument '{name}')"
                )?;
                reason
                    .as_ref()
                    .map_or(Ok(()), |reason| write!(f, " - {reason}"))
            }
        }
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// CONFIG GET: names and values that the patterns match, each once, in the order of names. An exact name is
    /// answered as it was written, hidden directives only so.
    pub fn matching(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for pattern in patterns {
            if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                found.extend(self.matching_glob(pattern));
            } else if let Some(exact) = lookup(pattern) {
                found.push((pattern.to_vec(), self.text_at(exact.place)));
            }
        }
        // The first asked spelling of a name stays, as the sort is stable.
        found.sort_by_cached_key(|(name, _)| name.to_ascii_lowercase());
        found.dedup_by(|later, first| later.0.eq_ignore_ascii_case(&first.0));
        found
    }

    fn matching_glob(&self, pattern: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        table::all()
            .enumerate()
            .filter(|(_, directive)| !directive.is_hidden())
            .flat_map(|(place, directive)| {
                [Some(directive.name), directive.alias]
                    .into_iter()
                    .flatten()
                    .map(move |name| (place, name))
            })
            .filter(|(_, name)| glob_match(pattern, name.as_bytes(), true))
            .map(|(place, name)| (name.as_bytes().to_vec(), self.text_at(place)))
            .collect()
    }

    /// The value as CONFIG GET prints it.
    pub(super) fn text_at(&self, place: usize) -> Vec<u8> {
        value::print(&table::at(place).kind, self.value_at(place))
    }

    /// CONFIG SET: `args` are names and values in turn; either all are set or none.
    ///
    /// `apply` is called with the new values in place and may refuse; then the old values are put back and `apply` is
    /// called once more with the changes turned round, to undo what it had done (that result counts no more). It is not called when nothing
    /// changed.
    ///
    /// # Errors
    /// The reply for the client; no value has changed then.
    pub fn set_many(
        &mut self,
        args: &[&[u8]],
        caller: Caller,
        apply: &mut Apply<'_>,
    ) -> Result<(), SetError> {
        let pairs = self.checked_pairs(args, caller)?;
        let mut changes = Vec::new();
        for (found, text) in pairs {
            match self.parse_for_set(found, text) {
                Ok(value)
                    if value == *self.value_at(found.place)
                        && !found.directive().is_read_anew() => {}
                Ok(value) => {
                    let old = self.replace(found.place, value);
                    changes.push(Change {
                        directive: found.directive(),
                        old,
                        place: found.place,
                    });
                }
                Err(reason) => {
                    self.turn_back(changes);
                    return Err(SetError::failed(found.name, reason));
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        debug_assert!(
            changes.iter().all(|change| change.directive.is_read_anew()
                || change.old != *self.value_at(change.place)),
            "what did not change is told as changed"
        );
        if let Err(Rejected { name, reason }) = apply(self, &changes) {
            let undone = self.turn_back(changes);
            // What it says now cannot be answered any better: the client learns of the first refusal.
            let _ = apply(self, &undone);
            return Err(SetError::Failed {
                name: name.to_string(),
                reason,
            });
        }
        Ok(())
    }

    /// Pairs of known directives that may be changed now, each once. An unknown name goes before other errors, as in Redis
    /// only the first error is told.
    fn checked_pairs<'a>(
        &self,
        args: &[&'a [u8]],
        caller: Caller,
    ) -> Result<Vec<(Found, &'a [u8])>, SetError> {
        if !args.len().is_multiple_of(2) {
            return Err(SetError::Syntax);
        }
        let mut pairs: Vec<(Found, &[u8])> = Vec::with_capacity(args.len() / 2);
        for pair in args.chunks_exact(2) {
            let found = lookup(pair[0]).ok_or_else(|| SetError::Unknown(pair[0].to_vec()))?;
            let asked = || String::from_utf8_lossy(pair[0]).into_owned();
            let directive = found.directive();
            if directive.is_immutable() {
                return Err(SetError::failed(asked(), "can't set immutable config"));
            }
            if directive.is_protected() && !self.may_change_protected(caller) {
                return Err(SetError::failed(asked(), "can't set protected config"));
            }
            if caller.loading && directive.is_denied_while_loading() {
                return Err(SetError::Loading);
            }
            // A name and its alias are two parameters here, as in Redis.
            if pairs.iter().any(|(earlier, _)| earlier.name == found.name) {
                return Err(SetError::failed(asked(), "duplicate parameter"));
            }
            pairs.push((found, pair[1]));
        }
        Ok(pairs)
    }

    fn may_change_protected(&self, caller: Caller) -> bool {
        match self.get(table::ENABLE_PROTECTED_CONFIGS) {
            Permission::Yes => true,
            Permission::Local => caller.local,
            Permission::No => false,
        }
    }

    fn parse_for_set(&self, found: Found, text: &[u8]) -> Result<Value, String> {
        let directive = found.directive();
        let args = if directive.kind.is_multi_argument() {
            value::split_blanks(text)
        } else {
            vec![text]
        };
        value::parse(directive, &args, self.value_at(found.place))
    }

    /// Puts the old values back, the latest change first, and gives the same changes seen from the other side.
    fn turn_back(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let mut undone = Vec::with_capacity(changes.len());
        for change in changes.into_iter().rev() {
            let old = self.replace(change.place, change.old);
            undone.push(Change { old, ..change });
        }
        debug_assert!(
            undone.iter().all(|change| !change.directive.is_immutable()),
            "changed, though it cannot be"
        );
        undone
    }
}
