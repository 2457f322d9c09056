//! What has changed in the running unit, and whose copies of it are out of date (client-side caching). It is told when the unit ends.

use std::ops::Range;

use super::effect::empty;
use super::id::Reader;

/// One thing that has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Stale<'a> {
    /// A key.
    Key {
        /// Its name.
        key: &'a [u8],
        /// Who has read it.
        readers: &'a [Reader],
        /// A command changed it; otherwise it has expired or was evicted, which nobody did.
        by_client: bool,
    },
    /// All keys.
    All,
}

#[derive(Debug)]
struct Item {
    key: Range<usize>,
    readers: Range<usize>,
    by_client: bool,
}

/// Keys of one unit from which on they are told as all keys: a script may go on for ever.
const ITEMS_MAX: usize = 1 << 18;
/// Bytes of their names from which on they are.
const BYTES_MAX: usize = 16 << 20;

/// All of a unit, in order.
#[derive(Debug, Default)]
pub struct StaleKeys {
    /// There were too many: all keys count as changed, and what changes further is among them.
    is_over: bool,
    /// None stands for all keys.
    items: Vec<Option<Item>>,
    keys: Vec<u8>,
    readers: Vec<Reader>,
}

impl StaleKeys {
    /// Nothing has changed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A key has changed. `find` appends who has read it, and answers whether anybody is to hear of it.
    pub fn push(
        &mut self,
        key: &[u8],
        by_client: bool,
        find: impl FnOnce(&mut Vec<Reader>) -> bool,
    ) {
        let (start, first) = (self.keys.len(), self.readers.len());
        if !find(&mut self.readers) {
            debug_assert_eq!(first, self.readers.len(), "nobody, and yet some");
            return;
        }
        if self.is_over || self.items.len() >= ITEMS_MAX || start + key.len() > BYTES_MAX {
            return self.give_up();
        }
        self.keys.extend_from_slice(key);
        self.items.push(Some(Item {
            key: start..self.keys.len(),
            readers: first..self.readers.len(),
            by_client,
        }));
    }

    /// Tells no key by its name any more.
    #[cold]
    fn give_up(&mut self) {
        self.clear();
        self.is_over = true;
        self.push_all();
    }

    /// All keys have changed.
    pub fn push_all(&mut self) {
        if self.items.last().is_none_or(Option::is_some) {
            self.items.push(None);
        }
    }

    /// What has changed, in order.
    pub fn iter(&self) -> impl Iterator<Item = Stale<'_>> {
        self.items.iter().map(|item| match item {
            None => Stale::All,
            Some(item) => Stale::Key {
                key: &self.keys[item.key.clone()],
                readers: &self.readers[item.readers.clone()],
                by_client: item.by_client,
            },
        })
    }

    /// Forgets all, keeps reasonable buffers.
    pub fn clear(&mut self) {
        self.is_over = false;
        empty(&mut self.items);
        empty(&mut self.keys);
        empty(&mut self.readers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_keys_are_told_as_all() {
        let mut stale = StaleKeys::default();
        for number in 0..3 * ITEMS_MAX {
            stale.push(&number.to_le_bytes(), true, |readers| {
                readers.push(Reader::of_word(1));
                true
            });
            assert!(stale.items.len() <= ITEMS_MAX && stale.readers.len() <= ITEMS_MAX + 1);
        }
        assert_eq!(stale.iter().collect::<Vec<_>>(), [Stale::All]);
        stale.clear();
        stale.push(b"k", true, |_| true);
        assert_ne!(stale.iter().collect::<Vec<_>>(), [Stale::All]);
    }

    #[test]
    fn what_changed_is_told_in_order() {
        let mut stale = StaleKeys::default();
        assert!(stale.is_empty());
        let reader = Reader::of_word(5 << 32 | 7);
        stale.push(b"unread", true, |_| false);
        assert!(stale.is_empty());
        stale.push(b"a", true, |readers| {
            readers.push(reader);
            true
        });
        stale.push_all();
        stale.push_all();
        stale.push(b"", false, |_| true);
        let told: Vec<Stale> = stale.iter().collect();
        let key = |key, readers, by_client| Stale::Key {
            key,
            readers,
            by_client,
        };
        assert_eq!(
            told,
            [
                key(b"a".as_slice(), [reader].as_slice(), true),
                Stale::All,
                key(b"", &[], false)
            ]
        );
        stale.clear();
        assert!(stale.is_empty());
    }
}
