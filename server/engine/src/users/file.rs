//! Users as lines: of a file of their own (`aclfile`), and of redis.conf.
//!
//! ```text
//! user alice on #5e88489...1d8 ~cached:* resetchannels -@all +get +set
//! ```
//! In a file of their own words are divided by single blanks and never quoted, and there are no comments; empty lines are passed over.
//! All of a file is applied or none of it. The words of its errors are those of Redis 7.2.4.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::patterns::has_blank;
use super::registry::{DEFAULT_NAME, Users};
use super::rules::{Fault, Refused, join_parentheses};
use super::user::User;
use crate::base::error::lossless;

/// The word that a line begins with.
const KEYWORD: &str = "user";
/// What is said of a parenthesis that does not close.
const UNMATCHED: &str = "Unmatched parenthesis in selector definition.";

/// Users by name, not in force yet.
pub type Roll = BTreeMap<Box<[u8]>, User>;

impl Users {
    /// The words of a line, the keyword and the name first. None of them has a blank.
    pub fn lines(&self) -> impl Iterator<Item = Vec<Vec<u8>>> {
        self.iter().map(|(name, user)| {
            let rules = user.print();
            let rules = rules.split(|byte| *byte == b' ').map(<[u8]>::to_vec);
            let head = [KEYWORD.as_bytes().to_vec(), name.to_vec()];
            head.into_iter().chain(rules).collect()
        })
    }

    /// All of them as the text of a file.
    pub fn print_file(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for words in self.lines() {
            text.extend_from_slice(&words.join(&b' '));
            text.push(b'\n');
        }
        text
    }

    /// Reads the text of a file; `name` is what it is called in errors. Nothing is in force yet ([`Users::replace_all`] does that).
    ///
    /// # Errors
    /// All that is wrong with it, one line.
    pub fn read_file(
        &self,
        text: &[u8],
        name: &str,
        catalog: &dyn Catalog,
    ) -> Result<Roll, String> {
        let mut reading = Reading {
            file: name,
            all_channels: self.all_channels,
            catalog,
            roll: Roll::new(),
            faults: String::new(),
        };
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            reading.line(at + 1, trim(line));
        }
        if reading.faults.is_empty() {
            return Ok(reading.roll);
        }
        reading.faults.push_str(
            "WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
        );
        Err(reading.faults)
    }

    /// A user as one line of redis.conf tells it. The one that everybody is at first begins with nothing, too.
    ///
    /// # Errors
    /// The word that cannot be applied, and why.
    pub fn put_line<'w>(
        &mut self,
        name: &[u8],
        words: impl Iterator<Item = &'w [u8]>,
        catalog: &dyn Catalog,
    ) -> Result<(), (String, String)> {
        let told = |word: &[u8], why: &str| (lossless(word), why.to_owned());
        if name.is_empty() || has_blank(name) {
            let why = "Usernames can't contain spaces or null characters";
            return Err(told(name, why));
        }
        let mut user = User::new(catalog, self.all_channels);
        let applied = user.apply_all(words, self.all_channels, catalog);
        applied.map_err(|refused| match &refused {
            Refused::Unmatched(word) => told(word, UNMATCHED),
            Refused::Word(word, fault) => told(word, fault.text()),
        })?;
        self.put(name, user, catalog);
        Ok(())
    }
}

/// A file that is being read.
struct Reading<'a> {
    file: &'a str,
    all_channels: bool,
    catalog: &'a dyn Catalog,
    roll: Roll,
    faults: String,
}

impl Reading<'_> {
    fn line(&mut self, number: usize, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let place = format!("{}:{number}", self.file);
        let mut words = line.split(|byte| *byte == b' ');
        let keyword = words.next();
        let name = words.next().unwrap_or_default();
        if keyword != Some(KEYWORD.as_bytes()) || name.is_empty() {
            self.faults.push_str(&format!(
                "{place} should start with user keyword followed by the username. "
            ));
            return;
        }
        if has_blank(name) {
            self.faults.push_str(&format!(
                "{place}: username '{}' contains invalid characters. ",
                lossless(name)
            ));
            return;
        }
        if self.roll.contains_key(name) {
            self.faults.push_str(&format!(
                "WARNING: Duplicate user '{}' found on line {number}. ",
                lossless(name)
            ));
            return;
        }
        let user = self.rules(&place, words);
        self.roll.insert(name.into(), user);
    }

    /// All unknown commands are told, as nothing in them is secret; of other faults the first without its word, which may be a password.
    fn rules<'w>(&mut self, place: &str, words: impl Iterator<Item = &'w [u8]>) -> User {
        let mut user = User::new(self.catalog, self.all_channels);
        let Ok(joined) = join_parentheses(words) else {
            self.faults.push_str(&format!("{place}: {UNMATCHED}"));
            return user;
        };
        let mut has_other = false;
        for word in joined {
            let Err(fault) = user.apply(&word, self.all_channels, self.catalog) else {
                continue;
            };
            let told = match fault {
                Fault::Unknown => format!(
                    "{place}: Error in applying operation '{}': {}. ",
                    lossless(&word),
                    fault.text()
                ),
                _ if has_other => continue,
                _ => {
                    has_other = true;
                    format!("{place}: {}. ", fault.text())
                }
            };
            self.faults.push_str(&told);
        }
        user
    }
}

fn trim(line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let Some(first) = line.iter().position(|byte| !is_blank(byte)) else {
        return &[];
    };
    let last = line.iter().rposition(|byte| !is_blank(byte));
    &line[first..=last.unwrap_or(first)]
}

impl Users {
    /// Puts all users of a file in the place of those that are there. Where it does not name the one that everybody is at first, that
    /// one may do everything.
    pub fn replace_all(&mut self, mut roll: Roll, catalog: &dyn Catalog) {
        let default = roll.remove(DEFAULT_NAME);
        self.forget_all();
        self.put(
            DEFAULT_NAME,
            default.unwrap_or_else(|| User::everything(catalog)),
            catalog,
        );
        for (name, user) in roll {
            self.put(&name, user, catalog);
        }
    }
}
