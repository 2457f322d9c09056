//! Which keys and which channels.

use cairn_format::text::glob::glob_match;

use super::rules::Fault;
use crate::base::args::{Args, words_of};

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

/// Arguments that begin with certain bytes, sixteen at most, and end with certain others, eight at most, so that a comparison or two of words
/// tell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// There are more than eight first bytes, and no last ones.
    is_long_head: bool,
    has_tail: bool,
    /// The first sixteen bytes, the first in the lowest place of the first word, and which of their bits count.
    head: [u64; 2],
    head_mask: [u64; 2],
    /// The last bytes, the last in the highest place, and which of their bits count.
    tail: u64,
    tail_mask: u64,
    head_len: usize,
    /// What either end has at the least.
    least_len: usize,
}

impl Ends {
    /// No argument.
    pub const NONE: Ends = Ends {
        is_long_head: false,
        has_tail: false,
        head: [0; 2],
        head_mask: [0; 2],
        tail: 0,
        tail_mask: 0,
        head_len: 0,
        least_len: usize::MAX,
    };

    fn new(head: &[u8], tail: &[u8]) -> Option<Ends> {
        let mut first = [0; 16];
        first.get_mut(..head.len())?.copy_from_slice(head);
        let mut counted = [0; 16];
        counted[..head.len()].fill(0xff);
        let from = 8_usize.checked_sub(tail.len())?;
        let (mut last, mut last_counted) = ([0; 8], [0; 8]);
        last[from..].copy_from_slice(tail);
        last_counted[from..].fill(0xff);
        Some(Ends {
            is_long_head: head.len() > 8 && tail.is_empty(),
            has_tail: !tail.is_empty(),
            head: words_of(&first),
            head_mask: words_of(&counted),
            tail: u64::from_le_bytes(last),
            tail_mask: u64::from_le_bytes(last_counted),
            head_len: head.len(),
            least_len: head.len() + tail.len(),
        })
    }

    /// Whether argument `at` begins and ends so.
    ///
    /// Every call of a user with rules goes one of these ways, so each is as short as it can be, and what costs most comes first.
    #[inline(always)]
    pub fn are_of(&self, args: &Args, at: usize) -> bool {
        if self.is_long_head {
            let words = args.words_at(at, self.least_len);
            // One after the other takes fewer instructions than both at once.
            return words.is_some_and(|[first, second]| {
                first == self.head[0] && (second ^ self.head[1]) & self.head_mask[1] == 0
            });
        }
        if !self.has_tail {
            let word = args.word_at(at, self.least_len);
            return word.is_some_and(|word| word & self.head_mask[0] == self.head[0]);
        }
        args.get(at).is_some_and(|text| self.are_both(text))
    }

    /// Whether a text begins and ends so, where it is long enough by two words.
    #[inline(always)]
    fn are_both(&self, text: &[u8]) -> bool {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk())
            && self.head_len <= 8
        {
            let head = (u64::from_le_bytes(*first) ^ self.head[0]) & self.head_mask[0];
            let tail = (u64::from_le_bytes(*last) ^ self.tail) & self.tail_mask;
            return head | tail == 0 && text.len() >= self.least_len;
        }
        self.are_of_text(text)
    }

    /// Whether a text begins and ends so, byte by byte.
    #[inline(never)]
    fn are_of_text(&self, text: &[u8]) -> bool {
        let head = self.head.map(u64::to_le_bytes);
        let tail = &self.tail.to_le_bytes()[8 - (self.least_len - self.head_len)..];
        text.len() >= self.least_len
            && text.starts_with(&head.as_flattened()[..self.head_len])
            && text.ends_with(tail)
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
