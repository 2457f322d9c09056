//! A node of a stream: up to some hundred entries in one listpack, kept under the id of its first entry.
//!
//! ```text
//!   head:    live | deleted | n | n field names | 0
//!   entry:   flags | ms - node ms | seq - node seq | n values                | size = n + 3     flag 2: fields as in the head
//!   entry:   flags | ms - node ms | seq - node seq | m | m times field, value | size = 2m + 4    otherwise
//! ```
//!
//! Everything shown is one element of the listpack. Flag 1 marks a deleted entry, which stays until the node goes. Differences
//! are signed, since the sequence may fall when the milliseconds rise. `size` is the number of the entry's elements without itself,
//! for walking backwards. The field names of the head are those of the entry that began the node.
//!
//! Invariants of a node we write: live + deleted is the number of entries, ids rise strictly, a node whose entries are all deleted
//! is removed by its owner.

use std::fmt;

use super::listpack::{self, Entry, Listpack};
use crate::error::{Damage, FormatError, Result};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// The id of an entry, in the order of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Unix time in milliseconds, or what the client said.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A view of a node whose head was read.
#[derive(Clone, Copy, Debug)]
pub struct StreamNode<'a> {
    list: Listpack<'a>,
    id: EntryId,
    live: u64,
    deleted: u64,
    names: Names,
    /// Where the first entry begins.
    first: usize,
}

/// Where the head's field names stand, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Names {
    pos: usize,
    count: usize,
}

/// One entry; its fields are read on demand.
#[derive(Clone, Copy, Debug)]
pub struct NodeEntry<'a> {
    /// Its id.
    pub id: EntryId,
    /// Whether it is marked as deleted.
    pub is_deleted: bool,
    /// Where its flags stand in the listpack.
    pub pos: usize,
    list: Listpack<'a>,
    names: Option<Names>,
    body: usize,
    pairs: usize,
}

fn damage<T>(pos: usize, what: String) -> Result<T> {
    Err(FormatError::new(
        Damage::Encoding,
        pos as u64,
        format!("stream node: {what}"),
    ))
}

/// Reads elements one after the other.
struct Reader<'a> {
    iter: listpack::Iter<'a>,
}

impl<'a> Reader<'a> {
    fn entry(&mut self, what: &str) -> Result<Entry<'a>> {
        match self.iter.next_entry() {
            Some(entry) => Ok(entry),
            None => damage(self.iter.pos(), format!("ends before {what}")),
        }
    }

    fn int(&mut self, what: &str) -> Result<i64> {
        let pos = self.iter.pos();
        match self.entry(what)?.as_int() {
            Some(value) => Ok(value),
            None => damage(pos, format!("{what} is no number")),
        }
    }

    fn count(&mut self, what: &str) -> Result<u64> {
        let pos = self.iter.pos();
        let value = self.int(what)?;
        match u64::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => damage(pos, format!("{what} is {value}")),
        }
    }

    /// Passes over elements. The count is claimed, so it ends where the list does.
    fn skip(&mut self, count: u64, what: &str) -> Result<()> {
        for _ in 0..count {
            self.entry(what)?;
        }
        Ok(())
    }
}

impl<'a> StreamNode<'a> {
    /// Reads the head of the node kept under `id`.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn new(bytes: &'a [u8], id: EntryId) -> Result<Self> {
        let list = Listpack::new(bytes)?;
        let mut reader = Reader { iter: list.iter() };
        let live = reader.count("the number of entries")?;
        let deleted = reader.count("the number of deleted entries")?;
        let count = reader.count("the number of fields")?;
        let pos = reader.iter.pos();
        reader.skip(count, "a field name")?;
        match reader.int("the end of the head")? {
            0 => {}
            other => {
                return damage(
                    reader.iter.pos(),
                    format!("{other} instead of 0 after the field names"),
                );
            }
        }
        let names = Names {
            pos,
            count: count as usize,
        };
        Ok(StreamNode {
            list,
            id,
            live,
            deleted,
            names,
            first: reader.iter.pos(),
        })
    }

    /// Checks the listpack and every entry: flags, sizes, counts, rising ids.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn check(bytes: &'a [u8], id: EntryId) -> Result<Self> {
        Listpack::check(bytes)?;
        let node = StreamNode::new(bytes, id)?;
        let (mut live, mut deleted, mut previous) = (0, 0, None);
        for entry in node.iter() {
            let entry = entry?;
            *(if entry.is_deleted {
                &mut deleted
            } else {
                &mut live
            }) += 1;
            if previous.is_some_and(|previous| previous >= entry.id) {
                return damage(
                    entry.pos,
                    format!("entry {} does not come after the one before it", entry.id),
                );
            }
            previous = Some(entry.id);
        }
        if (live, deleted) != (node.live, node.deleted) {
            let told = (node.live, node.deleted);
            return damage(
                listpack::HEADER,
                format!(
                    "{} entries and {} deleted ones claimed, it has {live} and {deleted}",
                    told.0, told.1
                ),
            );
        }
        Ok(node)
    }

    /// The id under which the node is kept.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// How many entries are not deleted.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// How many entries are marked as deleted.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// All entries, deleted ones too, in rising order. Ends after the first error.
    pub fn iter(&self) -> Entries<'a> {
        Entries {
            node: *self,
            reader: Some(Reader {
                iter: self.list.iter_from(self.first),
            }),
        }
    }
}

/// The entries of a node.
pub struct Entries<'a> {
    node: StreamNode<'a>,
    reader: Option<Reader<'a>>,
}

impl<'a> Entries<'a> {
    fn read(
        &mut self,
        reader: &mut Reader<'a>,
        pos: usize,
        flags: Entry<'a>,
    ) -> Result<NodeEntry<'a>> {
        let flags = match flags.as_int() {
            Some(flags) if flags & !(DELETED | SAME_FIELDS) == 0 => flags,
            _ => return damage(pos, "unknown flags of an entry".into()),
        };
        let ms = self
            .node
            .id
            .ms
            .wrapping_add(reader.int("the milliseconds of an id")? as u64);
        let seq = self
            .node
            .id
            .seq
            .wrapping_add(reader.int("the sequence of an id")? as u64);
        let same = flags & SAME_FIELDS != 0;
        let pairs = if same {
            self.node.names.count as u64
        } else {
            reader.count("the number of fields")?
        };
        let body = reader.iter.pos();
        let elements = if same { pairs } else { pairs.saturating_mul(2) };
        reader.skip(elements, "a field or value")?;
        let size = elements.saturating_add(if same { 3 } else { 4 });
        let told = reader.count("the size of an entry")?;
        let id = EntryId { ms, seq };
        if told != size {
            return damage(
                pos,
                format!("entry {id} claims {told} elements, it has {size}"),
            );
        }
        let names = same.then_some(self.node.names);
        Ok(NodeEntry {
            id,
            is_deleted: flags & DELETED != 0,
            pos,
            list: self.node.list,
            names,
            body,
            pairs: pairs as usize,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<NodeEntry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.reader.take()?;
        let (pos, flags) = reader.iter.next()?;
        let entry = self.read(&mut reader, pos, flags);
        if entry.is_ok() {
            self.reader = Some(reader);
        }
        Some(entry)
    }
}

impl<'a> NodeEntry<'a> {
    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.pairs
    }

    /// Whether it has no fields, which no command can make.
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// Fields and values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (Entry<'a>, Entry<'a>)> + use<'a> {
        let mut names = self.names.map(|names| self.list.iter_from(names.pos));
        let mut body = self.list.iter_from(self.body);
        (0..self.pairs).map_while(move |_| {
            let name = match &mut names {
                Some(names) => names.next_entry()?,
                None => body.next_entry()?,
            };
            Some((name, body.next_entry()?))
        })
    }
}

/// A new node with its first entry, whose fields become those of the head. The node is kept under that entry's id.
pub fn create(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut buf = listpack::empty();
    for value in [0, 0, pairs.len() as i64] {
        listpack::push_back_int(&mut buf, value);
    }
    for (name, _) in pairs {
        listpack::push_back(&mut buf, name);
    }
    listpack::push_back_int(&mut buf, 0);
    let id = EntryId::default();
    append(&mut buf, id, id, pairs);
    buf
}

/// Appends an entry with `id` to a sound node kept under `node`. The caller sees to it that ids rise.
///
/// # Panics
/// If `buf` is no node.
pub fn append(buf: &mut Vec<u8>, node: EntryId, id: EntryId, pairs: &[(&[u8], &[u8])]) {
    let same = has_names(buf, pairs);
    listpack::push_back_int(buf, if same { SAME_FIELDS } else { 0 });
    listpack::push_back_int(buf, id.ms.wrapping_sub(node.ms) as i64);
    listpack::push_back_int(buf, id.seq.wrapping_sub(node.seq) as i64);
    if !same {
        listpack::push_back_int(buf, pairs.len() as i64);
    }
    for (name, value) in pairs {
        if !same {
            listpack::push_back(buf, name);
        }
        listpack::push_back(buf, value);
    }
    listpack::push_back_int(
        buf,
        if same {
            pairs.len() + 3
        } else {
            2 * pairs.len() + 4
        } as i64,
    );
    change_count(buf, 0, 1);
}

/// Marks the entry whose flags stand at `pos` as deleted; false if it is marked already.
///
/// # Panics
/// If `buf` is no node, or no entry begins at `pos`.
pub fn mark_deleted(buf: &mut Vec<u8>, pos: usize) -> bool {
    let flags = own(buf)
        .at(pos)
        .and_then(|entry| entry.as_int())
        .expect("an entry of a node begins with its flags");
    if flags & DELETED != 0 {
        return false;
    }
    // Flags are below 128 with or without the mark, so nothing moves but what the two counts may move.
    listpack::replace_int(buf, pos, flags | DELETED);
    change_count(buf, 0, -1);
    change_count(buf, 1, 1);
    true
}

fn own(buf: &[u8]) -> Listpack<'_> {
    Listpack::new(buf).expect("an edited node was made or checked before")
}

/// Adds to the first or second number of the head.
fn change_count(buf: &mut Vec<u8>, index: i64, by: i64) {
    let list = own(buf);
    let pos = list.pos_of(index).expect("a node has a head");
    let count = list
        .at(pos)
        .and_then(|entry| entry.as_int())
        .expect("the counts of a head are numbers");
    listpack::replace_int(buf, pos, count + by);
}

/// Whether the fields of `pairs` are those of the head, in the same order.
fn has_names(buf: &[u8], pairs: &[(&[u8], &[u8])]) -> bool {
    let mut elements = own(buf).iter().skip(2).map(|(_, entry)| entry);
    let count = elements.next().and_then(|entry| entry.as_int());
    count == i64::try_from(pairs.len()).ok()
        && pairs
            .iter()
            .zip(elements)
            .all(|((name, _), entry)| entry.eq_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: EntryId = EntryId { ms: 1000, seq: 5 };

    fn example() -> Vec<u8> {
        let mut buf = create(&[(b"name", b"a"), (b"7", b"b")]);
        append(
            &mut buf,
            NODE,
            EntryId { ms: 1000, seq: 6 },
            &[(b"name", b"c"), (b"7", b"12")],
        );
        append(
            &mut buf,
            NODE,
            EntryId { ms: 2000, seq: 0 },
            &[(b"other", b"d")],
        );
        buf
    }

    fn texts(entry: &NodeEntry<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        entry
            .fields()
            .map(|(name, value)| (name.to_bytes().into_owned(), value.to_bytes().into_owned()))
            .collect()
    }

    #[test]
    fn what_is_appended_reads_back() {
        let buf = example();
        let node = StreamNode::check(&buf, NODE).unwrap();
        assert_eq!((node.live(), node.deleted(), node.id()), (3, 0, NODE));
        let entries: Vec<_> = node.iter().map(Result::unwrap).collect();
        assert_eq!(entries[0].id, NODE);
        assert_eq!(
            texts(&entries[1]),
            [
                (b"name".to_vec(), b"c".to_vec()),
                (b"7".to_vec(), b"12".to_vec())
            ]
        );
        assert_eq!(
            (entries[2].id, entries[2].len()),
            (EntryId { ms: 2000, seq: 0 }, 1)
        );
        assert_eq!(texts(&entries[2]), [(b"other".to_vec(), b"d".to_vec())]);
    }

    #[test]
    fn deletion_marks_and_counts_once() {
        let mut buf = example();
        let pos = StreamNode::new(&buf, NODE)
            .unwrap()
            .iter()
            .nth(1)
            .unwrap()
            .unwrap()
            .pos;
        assert!(mark_deleted(&mut buf, pos) && !mark_deleted(&mut buf, pos));
        let node = StreamNode::check(&buf, NODE).unwrap();
        assert_eq!((node.live(), node.deleted()), (2, 1));
        assert!(node.iter().nth(1).unwrap().unwrap().is_deleted);
    }

    #[test]
    fn counts_of_more_than_one_byte() {
        let mut buf = create(&[(b"f", b"0")]);
        for seq in 1..300 {
            append(
                &mut buf,
                NODE,
                EntryId {
                    ms: 1000,
                    seq: 5 + seq,
                },
                &[(b"f", seq.to_string().as_bytes())],
            );
        }
        for _ in 0..300 {
            let node = StreamNode::new(&buf, NODE).unwrap();
            let pos = node
                .iter()
                .map(Result::unwrap)
                .find(|entry| !entry.is_deleted)
                .unwrap()
                .pos;
            assert!(mark_deleted(&mut buf, pos));
        }
        let node = StreamNode::check(&buf, NODE).unwrap();
        assert_eq!((node.live(), node.deleted()), (0, 300));
    }

    #[test]
    fn refuses_what_no_server_writes() {
        let good = example();
        let at = |index: i64| Listpack::new(&good).unwrap().pos_of(index).unwrap();
        // The head of the example has six elements, its first entry the next six.
        for (index, value) in [
            (0, 4),
            (0, -1),
            (1, 1),
            (2, 1),
            (2, 99),
            (2, -3),
            (5, 1),
            (6, 4),
            (11, 6),
            (14, 0),
        ] {
            let mut bad = good.clone();
            listpack::replace_int(&mut bad, at(index), value);
            assert_eq!(
                StreamNode::check(&bad, NODE).unwrap_err().kind,
                Damage::Encoding,
                "{index} = {value}"
            );
        }
        let mut short = good.clone();
        listpack::remove(&mut short, at(-1), 1);
        assert!(StreamNode::check(&short, NODE).is_err());
        assert!(StreamNode::check(&listpack::empty(), NODE).is_err());
    }

    #[test]
    fn changed_bytes_never_panic() {
        let good = example();
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                let checked = StreamNode::check(&bad, NODE).is_ok();
                if let Ok(node) = StreamNode::new(&bad, NODE) {
                    let read = node
                        .iter()
                        .filter_map(Result::ok)
                        .map(|entry| entry.fields().count())
                        .sum::<usize>();
                    assert!(read <= bad.len());
                    assert!(!checked || node.iter().all(|entry| entry.is_ok()));
                }
            }
        }
    }
}
