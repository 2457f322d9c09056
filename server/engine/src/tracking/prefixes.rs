//! Prefixes that clients listen to (BCAST), and the keys with these prefixes that were written in this turn of the loop.
//!
//! Invariants: a prefix has at least one reader; `lengths` counts the prefixes of each length; `waiting` names those with keys.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::base::effect::empty;
use crate::base::id::Reader;

/// Bytes of names from which on they are told in the middle of a turn.
const LARGE: usize = 1 << 20;
/// Names from which on doublets are taken out when there are twice as many as there were without.
const FEW: usize = 1024;

/// A key that was written, and by whom last; by nobody if the server did it itself.
pub type Write = (Range<usize>, Option<Reader>);

/// The keys of one prefix that were written in this turn.
#[derive(Debug, Default)]
pub struct Written {
    bytes: Vec<u8>,
    writes: Vec<Write>,
    /// Writes when doublets were last taken out.
    distinct: usize,
}

impl Written {
    fn push(&mut self, key: &[u8], writer: Option<Reader>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.writes.push((start..self.bytes.len(), writer));
        if self.writes.len() > FEW + 2 * self.distinct {
            self.settle();
        }
    }

    /// Brings the keys into the order of their bytes, each once, with who wrote it last.
    pub fn settle(&mut self) {
        let bytes = &self.bytes;
        let key = |write: &Write| &bytes[write.0.clone()];
        self.writes.sort_by(|a, b| key(a).cmp(key(b)));
        // Of two that follow each other the later one has won.
        self.writes.dedup_by(|later, kept| {
            let is_same = key(later) == key(kept);
            if is_same {
                kept.1 = later.1;
            }
            is_same
        });
        if self.distinct < self.writes.len() {
            self.distinct = self.writes.len();
        }
        let names: usize = self.writes.iter().map(|write| write.0.len()).sum();
        if names < self.bytes.len() / 2 {
            self.pack(names);
        }
    }

    /// Gives back the bytes of names that were written again.
    fn pack(&mut self, names: usize) {
        let mut packed = Vec::with_capacity(names);
        for (range, _) in &mut self.writes {
            let start = packed.len();
            packed.extend_from_slice(&self.bytes[range.clone()]);
            *range = start..packed.len();
        }
        self.bytes = packed;
    }

    /// The keys, with who wrote each last.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<Reader>)> {
        let writes = self.writes.iter();
        writes.map(|(range, writer)| (&self.bytes[range.clone()], *writer))
    }

    fn clear(&mut self) {
        empty(&mut self.bytes);
        empty(&mut self.writes);
        self.distinct = 0;
    }
}

#[derive(Debug, Default)]
struct Prefix {
    /// Rising.
    readers: Vec<Reader>,
    written: Written,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Prefixes {
    by_text: BTreeMap<Box<[u8]>, Prefix>,
    lengths: BTreeMap<usize, usize>,
    waiting: Vec<Box<[u8]>>,
}

impl Prefixes {
    /// Number of different prefixes.
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Nobody listens.
    pub fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    /// A client listens to a prefix.
    pub fn add(&mut self, text: &[u8], reader: Reader) {
        let prefix = self.by_text.entry(text.into()).or_default();
        if prefix.readers.is_empty() {
            *self.lengths.entry(text.len()).or_default() += 1;
        }
        if let Err(at) = prefix.readers.binary_search(&reader) {
            prefix.readers.insert(at, reader);
        }
    }

    /// It listens no more. What was written in this turn is not told to it either.
    pub fn remove(&mut self, text: &[u8], reader: Reader) {
        let Some(prefix) = self.by_text.get_mut(text) else {
            debug_assert!(false, "it listened");
            return;
        };
        prefix.readers.retain(|other| *other != reader);
        if prefix.readers.is_empty() {
            self.by_text.remove(text);
            self.waiting.retain(|waiting| **waiting != *text);
            if let Some(count) = self.lengths.get_mut(&text.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&text.len());
                }
            }
        }
    }

    /// Whether a key has one of them.
    pub fn wants(&self, key: &[u8]) -> bool {
        let mut lengths = self.lengths.range(..=key.len());
        lengths.any(|(&len, _)| self.by_text.contains_key(&key[..len]))
    }

    /// A key was written.
    pub fn note(&mut self, key: &[u8], writer: Option<Reader>) {
        for (&len, _) in self.lengths.range(..=key.len()) {
            let Some(prefix) = self.by_text.get_mut(&key[..len]) else {
                continue;
            };
            if prefix.written.writes.is_empty() {
                self.waiting.push(key[..len].into());
            }
            prefix.written.push(key, writer);
        }
    }

    /// Whether there is something to tell.
    pub fn is_written(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there is so much of it that it is told now.
    pub fn is_large(&self) -> bool {
        let waiting = self
            .waiting
            .iter()
            .filter_map(|text| self.by_text.get(text));
        let bytes: usize = waiting.map(|prefix| prefix.written.bytes.len()).sum();
        bytes >= LARGE
    }

    /// Hands out what was written, prefix by prefix in the order of their bytes, with who listens; then nothing is written any more.
    pub fn hand_out(&mut self, mut tell: impl FnMut(&Written, &[Reader])) {
        self.waiting.sort();
        for text in self.waiting.drain(..) {
            if let Some(prefix) = self.by_text.get_mut(&text) {
                prefix.written.settle();
                tell(&prefix.written, &prefix.readers);
                prefix.written.clear();
            }
        }
    }

    /// Whether a client listens to a prefix.
    pub fn has(&self, text: &[u8], reader: Reader) -> bool {
        let prefix = self.by_text.get(text);
        prefix.is_some_and(|prefix| prefix.readers.contains(&reader))
    }

    /// Readers of all prefixes; who listens to several counts as often.
    pub fn readers(&self) -> usize {
        self.by_text.values().map(|p| p.readers.len()).sum()
    }

    /// Tests the invariants.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
        for (text, prefix) in &self.by_text {
            *lengths.entry(text.len()).or_default() += 1;
            let is_written = !prefix.written.writes.is_empty();
            let readers = &prefix.readers;
            if readers.is_empty()
                || !readers.is_sorted()
                || is_written != self.waiting.contains(text)
            {
                let text = text.escape_ascii();
                return Err(format!("prefix '{text}': {prefix:?}"));
            }
        }
        match lengths == self.lengths {
            true => Ok(()),
            false => Err(format!(
                "prefixes have the lengths {lengths:?}, not {:?}",
                self.lengths
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::SessionId;

    fn reader(number: u32) -> Reader {
        Reader {
            slot: SessionId(number),
            id: number,
        }
    }

    fn told(prefixes: &mut Prefixes) -> Vec<(String, Vec<u32>)> {
        let mut told = Vec::new();
        prefixes.hand_out(|written, readers| {
            let line: Vec<String> = written
                .iter()
                .map(|(key, writer)| {
                    let by = writer.map_or("-".into(), |writer| writer.id.to_string());
                    format!("{}:{by}", key.escape_ascii())
                })
                .collect();
            told.push((line.join(" "), readers.iter().map(|r| r.id).collect()));
        });
        told
    }

    #[test]
    fn a_key_is_told_once_to_each_prefix_in_order_with_its_last_writer() {
        let mut prefixes = Prefixes::default();
        for (text, number) in [(b"".as_slice(), 1), (b"ab", 2), (b"ab", 1), (b"x", 3)] {
            prefixes.add(text, reader(number));
        }
        prefixes.add(b"ab", reader(2));
        for (key, writer) in [(b"abc".as_slice(), 7), (b"a", 8), (b"abc", 9)] {
            prefixes.note(key, Some(reader(writer)));
        }
        prefixes.note(b"ab", None);
        prefixes.check().unwrap();
        assert_eq!(
            told(&mut prefixes),
            [
                ("a:8 ab:- abc:9".to_owned(), vec![1]),
                ("ab:- abc:9".to_owned(), vec![1, 2])
            ]
        );
        assert!(!prefixes.is_written() && told(&mut prefixes).is_empty());
    }

    #[test]
    fn who_leaves_takes_its_prefix_along() {
        let mut prefixes = Prefixes::default();
        prefixes.add(b"a", reader(1));
        prefixes.note(b"ab", None);
        prefixes.remove(b"a", reader(1));
        prefixes.check().unwrap();
        assert!(prefixes.is_empty() && !prefixes.is_written());
        prefixes.note(b"ab", None);
        assert!(!prefixes.is_written());
    }

    #[test]
    fn one_key_written_very_often_takes_no_room() {
        let mut prefixes = Prefixes::default();
        prefixes.add(b"", reader(1));
        for number in 0..100_000 {
            prefixes.note(format!("key:{}", number % 3).as_bytes(), None);
        }
        let written = &prefixes.by_text[b"".as_slice()].written;
        assert!(written.writes.len() <= 2 * FEW && written.bytes.len() <= 64 * FEW);
        assert_eq!(told(&mut prefixes)[0].0, "key:0:- key:1:- key:2:-");
    }
}
