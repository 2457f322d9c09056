//! Which keys and which channels.

use cairn_format::text::glob::glob_match;

use super::rules::Fault;
use crate::base::args::Args;

/// What is done to a key, or may be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its value is read.
    pub read: bool,
    /// Its value is made, changed or removed.
    pub write: bool,
}

impl Access {
    /// Reading.
    pub const READ: Access = Access {
        read: true,
        write: false,
    };
    /// Both.
    pub const BOTH: Access = Access {
        read: true,
        write: true,
    };

    /// Whether who may do this may do `needed`.
    fn covers(self, needed: Access) -> bool {
        (self.read || !needed.read) && (self.write || !needed.write)
    }
}

/// Arguments that begin with certain bytes, sixteen at most, and end with certain others, eight at most, so that a comparison or two tell
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first bytes, the first in the lowest place.
    head: u128,
    /// Which of their bits count.
    head_mask: u128,
    head_len: usize,
    /// The last bytes, the last in the highest place.
    tail: u64,
    tail_len: usize,
}

impl Ends {
    /// All arguments.
    pub const EVERY: Ends = Ends {
        head: 0,
        head_mask: 0,
        head_len: 0,
        tail: 0,
        tail_len: 0,
    };
    /// No argument.
    pub const NONE: Ends = Ends {
        head_len: usize::MAX,
        ..Ends::EVERY
    };

    fn new(head: &[u8], tail: &[u8]) -> Option<Ends> {
        let mut first = [0; 16];
        first.get_mut(..head.len())?.copy_from_slice(head);
        let mut counted = [0; 16];
        counted[..head.len()].fill(0xff);
        let mut last = [0; 8];
        let from = 8_usize.checked_sub(tail.len())?;
        last[from..].copy_from_slice(tail);
        Some(Ends {
            head: u128::from_le_bytes(first),
            head_mask: u128::from_le_bytes(counted),
            head_len: head.len(),
            tail: u64::from_le_bytes(last),
            tail_len: tail.len(),
        })
    }

    /// Whether argument `at` begins and ends so.
    #[inline(always)]
    pub fn are_of(&self, args: &Args, at: usize) -> bool {
        let begins = match self.head_len {
            // The way of most rules; behind a short key there may be no sixteen bytes.
            0..=8 => args.word_at(at).is_some_and(|(word, len)| {
                word & self.head_mask as u64 == self.head as u64 && len >= self.head_len
            }),
            _ => args.head_at(at).is_some_and(|(head, len)| {
                head & self.head_mask == self.head && len >= self.head_len
            }),
        };
        begins && (self.tail_len == 0 || self.ends(args, at))
    }

    /// Whether argument `at`, which begins so, ends so.
    #[inline(never)]
    fn ends(&self, args: &Args, at: usize) -> bool {
        let Some(key) = args.get(at) else {
            return false;
        };
        let is_long = key.len() >= self.head_len + self.tail_len;
        match key.last_chunk::<8>() {
            // The bytes in front of those that count leave at the low end.
            Some(last) => {
                let uncounted = 64 - 8 * self.tail_len as u32;
                is_long && (u64::from_le_bytes(*last) ^ self.tail) >> uncounted == 0
            }
            None => is_long && key.ends_with(&self.tail.to_le_bytes()[8 - self.tail_len..]),
        }
    }
}

/// Whether a byte of a pattern may stand for another.
fn is_special(byte: &u8) -> bool {
    b"*?[\\".contains(byte)
}

/// A pattern of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    text: Box<[u8]>,
    access: Access,
    /// Nothing but the last byte is special, and that is `*`.
    is_prefix: bool,
}

impl KeyPattern {
    fn new(text: &[u8], access: Access) -> KeyPattern {
        let head = text.strip_suffix(b"*");
        KeyPattern {
            text: text.into(),
            access,
            is_prefix: head.is_some_and(|head| !head.iter().any(is_special)),
        }
    }

    /// Whether a key is one of those.
    pub fn matches(&self, key: &[u8]) -> bool {
        match self.is_prefix {
            true => key.starts_with(&self.text[..self.text.len() - 1]),
            false => matches_pattern(&self.text, key),
        }
    }

    /// The pattern as what is in front of its only `*` and behind it, if that is all of it and short.
    pub fn ends(&self) -> Option<Ends> {
        let star = self.text.iter().position(|&byte| byte == b'*')?;
        let (head, tail) = (&self.text[..star], &self.text[star + 1..]);
        let is_plain = !head.iter().chain(tail).any(is_special);
        Ends::new(head, tail).filter(|_| is_plain)
    }
}

/// The keys that a selector allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    all: bool,
    patterns: Vec<KeyPattern>,
}

impl Keys {
    /// All keys.
    pub fn everything() -> Keys {
        Keys {
            all: true,
            patterns: Vec::new(),
        }
    }

    /// Whether each key may be read and written.
    #[inline]
    pub fn has_all(&self) -> bool {
        self.all
    }

    /// Whether each key may be read.
    pub fn reads_all(&self) -> bool {
        let every = |p: &KeyPattern| *p.text == *b"*" && p.access.read;
        self.all || self.patterns.iter().any(every)
    }

    /// Adds a pattern; a text that is there already gets what it may not do yet.
    ///
    /// # Errors
    /// All keys are allowed already, or there is a blank in it.
    pub fn add(&mut self, text: &[u8], access: Access) -> Result<(), Fault> {
        if self.all {
            return Err(Fault::AllKeys);
        }
        if has_blank(text) {
            return Err(Fault::Syntax);
        }
        let mut merged = access;
        match self.patterns.iter_mut().find(|p| *p.text == *text) {
            Some(known) => {
                known.access.read |= access.read;
                known.access.write |= access.write;
                merged = known.access;
            }
            None => self.patterns.push(KeyPattern::new(text, access)),
        }
        if text == b"*" && merged == Access::BOTH {
            // It is printed like the word for all keys, and must mean the same.
            *self = Keys::everything();
        }
        Ok(())
    }

    /// Whether this may be done to a key. One pattern has to allow all of it.
    pub fn allows(&self, key: &[u8], needed: Access) -> bool {
        self.all || self.patterns_for(needed).any(|p| p.matches(key))
    }

    /// The patterns that allow this; none where all keys are allowed.
    pub fn patterns_for(&self, needed: Access) -> impl Iterator<Item = &KeyPattern> {
        let covers = move |p: &&KeyPattern| p.access.covers(needed);
        self.patterns.iter().filter(covers)
    }

    /// The words that make it, each followed by a blank.
    pub fn print(&self, out: &mut Vec<u8>) {
        if self.all {
            out.extend_from_slice(b"~* ");
        }
        for pattern in &self.patterns {
            out.extend_from_slice(match (pattern.access.read, pattern.access.write) {
                (true, true) => b"~",
                (true, false) => b"%R~",
                _ => b"%W~",
            });
            out.extend_from_slice(&pattern.text);
            out.push(b' ');
        }
    }
}

/// The channels that a selector allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    all: bool,
    patterns: Vec<Box<[u8]>>,
}

impl Channels {
    /// All channels.
    pub fn everything() -> Channels {
        Channels {
            all: true,
            patterns: Vec::new(),
        }
    }

    /// Whether each is allowed.
    #[inline]
    pub fn has_all(&self) -> bool {
        self.all
    }

    /// Adds a pattern, unless it is there.
    ///
    /// # Errors
    /// All channels are allowed already, or there is a blank in it.
    pub fn add(&mut self, text: &[u8]) -> Result<(), Fault> {
        if self.all {
            return Err(Fault::AllChannels);
        }
        if has_blank(text) {
            return Err(Fault::Syntax);
        }
        if !self.has_pattern(text) {
            self.patterns.push(text.into());
        }
        Ok(())
    }

    /// Whether messages of a channel may be sent and heard.
    pub fn allows(&self, channel: &[u8]) -> bool {
        self.all || self.patterns().any(|p| matches_pattern(p, channel))
    }

    /// Whether a pattern may be listened to: it has to be one of the rules, byte for byte.
    pub fn allows_pattern(&self, pattern: &[u8]) -> bool {
        self.all || self.has_pattern(pattern)
    }

    /// Whether a rule has this text.
    pub fn has_pattern(&self, text: &[u8]) -> bool {
        self.patterns.iter().any(|p| **p == *text)
    }

    /// The texts of the rules.
    pub fn patterns(&self) -> impl Iterator<Item = &[u8]> {
        self.patterns.iter().map(|p| &**p)
    }

    /// The words that make it, each followed by a blank.
    pub fn print(&self, out: &mut Vec<u8>) {
        if self.all {
            out.extend_from_slice(b"&* ");
        }
        for pattern in &self.patterns {
            out.push(b'&');
            out.extend_from_slice(pattern);
            out.push(b' ');
        }
    }
}

/// As the commands compare keys and channels: `*` is all of them.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    glob_match(pattern, text, false)
}

/// Whether there is a byte that would end a word where users are written down.
pub fn has_blank(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
}
