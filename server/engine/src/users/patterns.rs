//! Which keys and which channels.

use std::sync::Arc;

use cairn_format::text::glob::glob_match;

use super::glob::Glob;
use super::rules::Fault;

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
    glob: Arc<Glob>,
}

impl KeyPattern {
    fn new(text: &[u8], access: Access) -> KeyPattern {
        let head = text.strip_suffix(b"*");
        KeyPattern {
            text: text.into(),
            access,
            is_prefix: head.is_some_and(|head| !head.iter().any(is_special)),
            glob: Arc::new(Glob::new(text)),
        }
    }

    /// Whether a key is one of those.
    pub fn matches(&self, key: &[u8]) -> bool {
        match self.is_prefix {
            true => key.starts_with(&self.text[..self.text.len() - 1]),
            false => self.glob.fit(key).is_some(),
        }
    }

    /// The pattern taken apart.
    pub fn glob(&self) -> &Arc<Glob> {
        &self.glob
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
