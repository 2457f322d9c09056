//! A value of a snapshot or payload on its way into a keyspace: the one way for a start, DEBUG RELOAD, RESTORE and the
//! tools.
//!
//! What will lie in memory as it lies in the file is borrowed from the reader up to here, so that it is copied once: into the
//! record, or into a block of its own if it is too large for one.

use std::borrow::Cow;

use cairn_format::error::FormatError;

use crate::keyspace::Keyspace;
use crate::keyspace::access::{lfu_access, lru_clock};
use crate::structure::table::Slot;
use crate::value::{Encoding, Kind, NewValue};

/// What a saved value becomes.
#[derive(Debug)]
pub enum Restored<'a> {
    /// A value that was built.
    Built(NewValue<'static>),
    /// A string.
    Text(Cow<'a, [u8]>),
    /// A packed value as it is.
    Packed(Kind, Encoding, Cow<'a, [u8]>),
}

/// Why a saved value does not become one of the keyspace.
#[derive(Debug)]
pub enum NoValue {
    /// It is damaged.
    Damaged(Box<FormatError>),
    /// It is a collection without elements: the key is skipped.
    Empty,
    /// It is something that the engine cannot hold.
    Unheld(Unheld),
}

/// What the engine cannot hold, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheld(pub &'static str);

impl From<Box<FormatError>> for NoValue {
    fn from(error: Box<FormatError>) -> Self {
        NoValue::Damaged(error)
    }
}

/// What a snapshot or RESTORE says of a key beside its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since it was used last.
    pub idle_s: Option<u64>,
    /// Counter of uses.
    pub freq: Option<u8>,
}

impl Attributes {
    /// What the record remembers of its use. An idle time means nothing to a counter, nor the other way round.
    fn access(&self, ks: &Keyspace) -> Option<u32> {
        if ks.limits.lfu {
            return self.freq.map(|freq| lfu_access(freq, ks.now_ms));
        }
        let idle_ms = |idle| i64::try_from(idle).unwrap_or(i64::MAX).saturating_mul(1000);
        self.idle_s
            .map(|idle| lru_clock(ks.now_ms.saturating_sub(idle_ms(idle))))
    }
}

impl Restored<'_> {
    /// Stores the value at a key that is not there.
    pub fn store(self, ks: &mut Keyspace, key: &[u8], attributes: &Attributes) -> Slot {
        let expire = attributes.expire_ms;
        let slot = match self {
            Restored::Built(value) => ks.add(key, value, expire),
            Restored::Text(text) => ks.add(key, NewValue::string(&text), expire),
            Restored::Packed(kind, encoding, Cow::Borrowed(blob)) => {
                ks.add(key, NewValue::packed(kind, encoding, blob), expire)
            }
            Restored::Packed(kind, encoding, Cow::Owned(blob)) => {
                NewValue::adopting(kind, encoding, blob, |value| ks.add(key, value, expire))
            }
        };
        if let Some(access) = attributes.access(ks) {
            ks.record(slot).set_access(access);
        }
        slot
    }
}
