//! What one client has asked for with CLIENT TRACKING.

use std::collections::BTreeSet;

use crate::base::id::Reader;

/// Where messages go in place of the client itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The other connection.
    pub target: Reader,
    /// Its number, as the client wrote it.
    pub id: u64,
}

/// Which reads are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// All.
    #[default]
    All,
    /// Those behind CLIENT CACHING YES.
    OptIn,
    /// All but those behind CLIENT CACHING NO.
    OptOut,
}

/// How a client tracks.
#[derive(Debug, Default)]
pub struct Options {
    /// It is told of all keys with its prefixes, read or not; it has at least one prefix then, perhaps the empty one.
    pub bcast: bool,
    /// Which reads are remembered without BCAST.
    pub choice: Choice,
    /// It is not told of what it changes itself.
    pub noloop: bool,
    /// CLIENT CACHING was called for the next command.
    pub marked: bool,
    /// Who is told in its place.
    pub redirect: Option<Redirect>,
    /// That one was gone when there was something to tell.
    pub broken: bool,
    /// Prefixes of BCAST, in the order of their bytes; none of them begins with another.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

/// Bytes of a prefix beside its text, at the client and at the prefix.
const PREFIX: usize = 80;

impl Options {
    /// Whether what it reads now is remembered.
    pub fn remembers(&self) -> bool {
        !self.bcast
            && match self.choice {
                Choice::All => true,
                Choice::OptIn => self.marked,
                Choice::OptOut => !self.marked,
            }
    }

    /// The number of the connection that is told in place of this one; 0: this one itself.
    pub fn redirection(&self) -> i64 {
        self.redirect
            .map_or(0, |redirect| redirect.id.cast_signed())
    }

    /// One of its prefixes that begins with `prefix`, or that `prefix` begins with.
    pub fn overlapping(&self, prefix: &[u8]) -> Option<&[u8]> {
        let own = self.prefixes.iter().map(|own| &**own);
        own.into_iter().find(|own| overlap(own, prefix))
    }

    /// Bytes of memory that it takes, about.
    pub fn mem_bytes(&self) -> usize {
        let prefixes = self.prefixes.iter();
        size_of::<Options>() + prefixes.map(|text| text.len() + PREFIX).sum::<usize>()
    }
}

/// Whether one text begins with the other.
pub fn overlap(a: &[u8], b: &[u8]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_means_the_opposite_in_both_choices() {
        let remembers = |choice, marked| {
            let options = Options {
                choice,
                marked,
                ..Options::default()
            };
            options.remembers()
        };
        assert_eq!([false, true].map(|m| remembers(Choice::All, m)), [true; 2]);
        assert_eq!(
            [false, true].map(|m| remembers(Choice::OptIn, m)),
            [false, true]
        );
        assert_eq!(
            [false, true].map(|m| remembers(Choice::OptOut, m)),
            [true, false]
        );
    }

    #[test]
    fn prefixes_overlap_if_one_begins_with_the_other() {
        let options = Options {
            prefixes: [b"ab".as_slice().into()].into(),
            ..Options::default()
        };
        for (prefix, found) in [
            (b"".as_slice(), true),
            (b"a", true),
            (b"abc", true),
            (b"b", false),
        ] {
            assert_eq!(options.overlapping(prefix).is_some(), found, "{prefix:?}");
        }
    }
}
