//! A node of a stream: entries of neighbouring ids in one listpack, the same in memory and in a snapshot, kept under the id of
//! the entry that began it.
//!
//! ```text
//!   head    live | deleted | n | n field names | 0
//!   entry   flags 2 | ms | seq | n values | n + 3                    fields as in the head
//!   entry   flags 0 | ms | seq | m | m times field, value | 2m + 4   otherwise
//! ```
//!
//! Everything shown is one element of the listpack. Flag 1 marks a deleted entry, which stays until the node goes. `ms` and `seq`
//! are differences to the node's id, signed, since the sequence may fall when the milliseconds rise. The last number is that of
//! the entry's elements without itself, for walking backwards; the 0 of the head ends such a walk. The field names of the head
//! are those of the entry that began the node.
//!
//! Example, a node of id 5-1 that holds 5-1 with `a 1`: listpack of `1 0 1 a 0 2 0 0 1 4`.
//!
//! Invariants of a node we write: live + deleted is the number of entries, ids rise strictly, a node whose entries are all deleted
//! is removed by its owner. Reading stops early where a listpack does not have this shape; [`Node::entries`] tells what is wrong.

use super::listpack::{self, Entry, Listpack};
use super::stream_id::StreamId;
use crate::error::{Damage, FormatError, Result};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Where a walk stands: the position of an entry's flags, and what was read of the entry.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Position of the flags.
    pub pos: usize,
    flags: i64,
    /// The entry's id.
    pub id: StreamId,
    /// Position of the first value (same fields) or of the first field.
    data: usize,
    /// Number of fields.
    pub field_count: usize,
    /// Position of the number of elements.
    size_at: usize,
    /// Position of the next entry's flags or of the end byte.
    pub next: usize,
}

impl Place {
    /// Whether the entry is marked as deleted.
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }
}

/// A view of a node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pack: Listpack<'a>,
    base: StreamId,
    live: i64,
    deleted: i64,
    master_count: usize,
    /// Position of the first field name of the head, or of the 0 if it has none.
    master: usize,
    /// Position of the first entry's flags, or of the end byte.
    entries: usize,
}

/// A number of a node. Servers write it as an integer, and read it from a text, too.
fn int_at(pack: &Listpack<'_>, pos: usize) -> Option<i64> {
    pack.at(pos)?.as_int()
}

/// The position after the element at `pos`, which may be that of the end byte.
fn after(pack: &Listpack<'_>, pos: usize) -> Option<usize> {
    pack.at(pos)?;
    Some(pack.next_pos(pos).unwrap_or(pack.end_pos()))
}

/// Skips `count` elements; the answer may be the position of the end byte.
fn skip(pack: &Listpack<'_>, mut pos: usize, count: usize) -> Option<usize> {
    for _ in 0..count {
        pos = after(pack, pos)?;
    }
    Some(pos)
}

impl<'a> Node<'a> {
    /// A view of the node with id `base`; `None` if the head has not the shape of one.
    pub fn new(base: StreamId, blob: &'a [u8]) -> Option<Self> {
        let pack = Listpack::new(blob).ok()?;
        let live_at = pack.first_pos()?;
        let deleted_at = after(&pack, live_at)?;
        let count_at = after(&pack, deleted_at)?;
        let master_count = usize::try_from(int_at(&pack, count_at)?).ok()?;
        let master = after(&pack, count_at)?;
        let zero = skip(&pack, master, master_count)?;
        if int_at(&pack, zero)? != 0 {
            return None;
        }
        let entries = after(&pack, zero)?;
        let (live, deleted) = (int_at(&pack, live_at)?, int_at(&pack, deleted_at)?);
        Some(Self {
            pack,
            base,
            live,
            deleted,
            master_count,
            master,
            entries,
        })
    }

    /// The id under which the node is kept.
    pub fn id(&self) -> StreamId {
        self.base
    }

    /// Entries that are not deleted.
    pub fn live(&self) -> u64 {
        u64::try_from(self.live).unwrap_or(0)
    }

    /// Entries, live and deleted.
    pub fn entry_count(&self) -> u64 {
        self.live()
            .saturating_add(u64::try_from(self.deleted).unwrap_or(0))
    }

    /// The first entry, deleted or not.
    pub fn first(&self) -> Option<Place> {
        self.at(self.entries)
    }

    /// The entry whose flags stand at `pos`; `None` at the end.
    pub fn at(&self, pos: usize) -> Option<Place> {
        let pack = &self.pack;
        let flags = int_at(pack, pos)?;
        let ms_at = after(pack, pos)?;
        let seq_at = after(pack, ms_at)?;
        let id = self.base.plus(int_at(pack, ms_at)?, int_at(pack, seq_at)?);
        let rest = after(pack, seq_at)?;
        let (field_count, data, elements) = if flags & SAME_FIELDS != 0 {
            (self.master_count, rest, self.master_count)
        } else {
            let count = usize::try_from(int_at(pack, rest)?).ok()?;
            (count, after(pack, rest)?, count.checked_mul(2)?)
        };
        let size_at = skip(pack, data, elements)?;
        debug_assert!(
            pos < data && data <= size_at,
            "an entry is read from front to back"
        );
        Some(Place {
            pos,
            flags,
            id,
            data,
            field_count,
            size_at,
            next: after(pack, size_at)?,
        })
    }

    /// The entry before the one whose flags (or end byte) stand at `pos`.
    pub fn before(&self, pos: usize) -> Option<Place> {
        if pos <= self.entries {
            return None;
        }
        let mut at = self.pack.prev_pos(pos)?;
        let back = int_at(&self.pack, at)?;
        for _ in 0..back {
            at = self.pack.prev_pos(at)?;
        }
        debug_assert!(at < pos, "backwards");
        (at >= self.entries).then(|| self.at(at)).flatten()
    }

    /// The last entry, deleted or not.
    pub fn last(&self) -> Option<Place> {
        self.before(self.pack.end_pos())
    }

    /// The first entry that is not below `id`, deleted or not.
    pub fn seek(&self, id: StreamId) -> Option<Place> {
        let mut place = self.first()?;
        while place.id < id {
            place = self.at(place.next)?;
        }
        Some(place)
    }

    /// The last entry that is not above `id`, deleted or not.
    pub fn seek_rev(&self, id: StreamId) -> Option<Place> {
        let mut place = self.last()?;
        while place.id > id {
            place = self.before(place.pos)?;
        }
        Some(place)
    }

    /// Fields and values of an entry.
    pub fn fields(&self, place: &Place) -> Fields<'a> {
        let names = place.has_same_fields().then_some(self.master);
        Fields {
            pack: self.pack,
            names,
            data: place.data,
            left: place.field_count,
        }
    }

    /// All entries, deleted ones too, each looked at as closely as bytes of a stranger deserve. The walk ends with the first
    /// error; the numbers of the head are compared behind the last entry.
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            node: *self,
            pos: Some(self.entries),
            last: None,
            live: 0,
            deleted: 0,
        }
    }

    fn has_fields<'f>(&self, names: impl ExactSizeIterator<Item = &'f [u8]>) -> bool {
        if names.len() != self.master_count {
            return false;
        }
        let mut master = self.pack.iter_from(self.master);
        let mut names = names;
        names.all(|name| {
            master
                .next_entry()
                .is_some_and(|entry| entry.eq_bytes(name))
        })
    }
}

/// The entries of a node whose listpack is sound. Made by [`Node::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    node: Node<'a>,
    /// Where the next entry begins; none behind an error or the end.
    pos: Option<usize>,
    last: Option<StreamId>,
    live: i64,
    deleted: i64,
}

impl Entries<'_> {
    fn entry(&mut self, pos: usize) -> Result<Place> {
        let node = self.node;
        let Some(place) = node.at(pos) else {
            return damage(pos, "no whole entry where one begins".into());
        };
        if place.flags & !(DELETED | SAME_FIELDS) != 0 {
            return damage(pos, format!("unknown flags {}", place.flags));
        }
        // No server writes them so, and what stands behind them would move when they change.
        if after(&node.pack, pos) != Some(pos + 2) {
            return damage(pos, "flags that take more than two bytes".into());
        }
        if place.id < node.base || self.last.is_some_and(|last| last >= place.id) {
            return damage(
                pos,
                format!("entry {} does not come after the one before it", place.id),
            );
        }
        // No command can make one, and the command that a rewritten log would name it in is refused.
        if place.field_count == 0 {
            return damage(pos, format!("entry {} has no fields", place.id));
        }
        let size = match place.has_same_fields() {
            true => place.field_count + 3,
            false => 2 * place.field_count + 4,
        };
        match int_at(&node.pack, place.size_at) {
            Some(told) if usize::try_from(told) == Ok(size) => {}
            told => {
                let (id, told) = (
                    place.id,
                    told.map_or("no number of".into(), |n| n.to_string()),
                );
                return damage(
                    pos,
                    format!("entry {id} claims {told} elements, it has {size}"),
                );
            }
        }
        self.last = Some(place.id);
        *(if place.is_deleted() {
            &mut self.deleted
        } else {
            &mut self.live
        }) += 1;
        Ok(place)
    }

    fn end(&self) -> Result<()> {
        let node = &self.node;
        if (node.live, node.deleted) == (self.live, self.deleted) {
            return Ok(());
        }
        damage(
            listpack::HEADER,
            format!(
                "{} entries and {} deleted ones claimed, it has {} and {}",
                node.live, node.deleted, self.live, self.deleted
            ),
        )
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Place>;

    fn next(&mut self) -> Option<Result<Place>> {
        let pos = self.pos.take()?;
        if pos >= self.node.pack.end_pos() {
            return self.end().err().map(Err);
        }
        let entry = self.entry(pos);
        self.pos = entry.as_ref().ok().map(|place| place.next);
        Some(entry)
    }
}

fn damage<T>(pos: usize, what: String) -> Result<T> {
    let what = format!("stream node: {what}");
    Err(FormatError::new(Damage::Encoding, pos as u64, what))
}

/// Checks the listpack and every entry of a node: flags, sizes, counts, rising ids. Answers the node and the id of its last
/// entry, which it need not have, as no entry need be live.
///
/// # Errors
/// [`Damage::Encoding`] with the offset within the blob.
pub fn check(base: StreamId, blob: &[u8]) -> Result<(Node<'_>, Option<StreamId>)> {
    Listpack::check(blob).map_err(|error| error.inside("stream node"))?;
    let Some(node) = Node::new(base, blob) else {
        return damage(listpack::HEADER, "wrong head".into());
    };
    let mut last = None;
    for place in node.entries() {
        last = Some(place?.id);
    }
    Ok((node, last))
}

/// Fields and values of an entry, in the order they were added.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    pack: Listpack<'a>,
    /// Position of the next field name in the head; `None` if names stand beside the values.
    names: Option<usize>,
    data: usize,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Entry<'a>, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(pos) => {
                let name = self.pack.at(*pos)?;
                *pos = after(&self.pack, *pos)?;
                name
            }
            None => {
                let name = self.pack.at(self.data)?;
                self.data = after(&self.pack, self.data)?;
                name
            }
        };
        let value = self.pack.at(self.data)?;
        self.data = after(&self.pack, self.data)?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// A new node of one entry, whose id is that of the node.
pub fn create<'f>(fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone) -> Vec<u8> {
    let mut blob = listpack::empty();
    let count = fields.len() as i64;
    for head in [1, 0, count] {
        listpack::push_back_int(&mut blob, head);
    }
    fields
        .clone()
        .for_each(|(name, _)| listpack::push_back(&mut blob, name));
    for number in [0, SAME_FIELDS, 0, 0] {
        listpack::push_back_int(&mut blob, number);
    }
    fields.for_each(|(_, value)| listpack::push_back(&mut blob, value));
    listpack::push_back_int(&mut blob, count + 3);
    debug_assert!(
        Node::new(StreamId::MIN, &blob)
            .is_some_and(|node| node.first().is_some() && node.live == 1),
        "a node of one entry"
    );
    blob
}

/// Appends an entry, whose id is above all others of the node.
///
/// # Panics
/// If `blob` is no node.
pub fn append<'f>(
    base: StreamId,
    blob: &mut Vec<u8>,
    id: StreamId,
    fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
) {
    let node = Node::new(base, blob).expect("nodes are checked before they are adopted");
    let (live, count) = (node.live, fields.len() as i64);
    assert!(id > base && live >= 0, "ids rise from that of the node");
    debug_assert!(node.last().is_none_or(|last| last.id < id), "ids rise");
    let same = node.has_fields(fields.clone().map(|(name, _)| name));
    replace_head(blob, 0, live + 1);
    let (ms, seq) = id.minus(base);
    for number in [if same { SAME_FIELDS } else { 0 }, ms, seq] {
        listpack::push_back_int(blob, number);
    }
    if same {
        fields.for_each(|(_, value)| listpack::push_back(blob, value));
        listpack::push_back_int(blob, count + 3);
        return;
    }
    listpack::push_back_int(blob, count);
    for (name, value) in fields {
        listpack::push_back(blob, name);
        listpack::push_back(blob, value);
    }
    listpack::push_back_int(blob, 2 * count + 4);
}

/// Marks a live entry as deleted; the caller drops a node without live entries.
///
/// # Panics
/// If `blob` is no node that [`check`] accepts.
pub fn delete(base: StreamId, blob: &mut Vec<u8>, place: &Place) {
    let node = Node::new(base, blob).expect("nodes are checked before they are adopted");
    let (live, deleted) = (node.live, node.deleted);
    assert!(!place.is_deleted() && live > 0, "a live entry of this node");
    listpack::replace_int(blob, place.pos, place.flags | DELETED);
    replace_head(blob, 0, live - 1);
    replace_head(blob, 1, deleted + 1);
}

/// Marks live entries as deleted, from the first on, while `doomed` says so of an id and
/// whether it is deleted already; returns how many.
///
/// # Panics
/// If `blob` is no node that [`check`] accepts.
pub fn delete_while(
    base: StreamId,
    blob: &mut Vec<u8>,
    mut doomed: impl FnMut(StreamId, bool) -> bool,
) -> u64 {
    let node = Node::new(base, blob).expect("nodes are checked before they are adopted");
    let (live, deleted) = (node.live, node.deleted);
    let mut marks = Vec::new();
    let mut at = node.first();
    while let Some(place) = at.filter(|place| doomed(place.id, place.is_deleted())) {
        if !place.is_deleted() {
            marks.push((place.pos, place.flags | DELETED));
        }
        at = node.at(place.next);
    }
    // Flags take two bytes with and without the mark, so positions stay as they are.
    for (pos, flags) in &marks {
        listpack::replace_int(blob, *pos, *flags);
    }
    let count = marks.len() as i64;
    assert!(count <= live, "more live entries than are counted");
    replace_head(blob, 0, live - count);
    replace_head(blob, 1, deleted + count);
    count as u64
}

fn replace_head(blob: &mut Vec<u8>, index: i64, value: i64) {
    let pos = Listpack::new(blob).ok().and_then(|pack| pack.pos_of(index));
    listpack::replace_int(blob, pos.expect("a node has a head"), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: StreamId = StreamId::new(1000, 5);

    fn example() -> Vec<u8> {
        let mut buf = made(&[("name", "a"), ("7", "b")]);
        add(
            &mut buf,
            StreamId::new(1000, 6),
            &[("name", "c"), ("7", "12")],
        );
        add(&mut buf, StreamId::new(2000, 0), &[("other", "d")]);
        buf
    }

    fn bytes<'f>(
        pairs: &'f [(&str, &str)],
    ) -> impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone {
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }

    fn made(pairs: &[(&str, &str)]) -> Vec<u8> {
        create(bytes(pairs))
    }

    fn add(buf: &mut Vec<u8>, id: StreamId, pairs: &[(&str, &str)]) {
        append(NODE, buf, id, bytes(pairs));
    }

    fn places(buf: &[u8]) -> Vec<Place> {
        let node = Node::new(NODE, buf).unwrap();
        node.entries().map(Result::unwrap).collect()
    }

    fn texts(buf: &[u8], place: &Place) -> Vec<(String, String)> {
        let text = |entry: Entry| String::from_utf8(entry.to_bytes().into_owned()).unwrap();
        let fields = Node::new(NODE, buf).unwrap().fields(place);
        let count = fields.clone().count();
        assert_eq!((fields.len(), fields.size_hint().1), (count, Some(count)));
        fields
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn head_example() {
        let buf = create([(b"a".as_slice(), b"1".as_slice())].into_iter());
        let words: Vec<_> = Listpack::new(&buf)
            .unwrap()
            .iter()
            .map(|(_, e)| e.to_bytes().into_owned())
            .collect();
        let words: Vec<_> = words
            .iter()
            .map(|w| std::str::from_utf8(w).unwrap())
            .collect();
        assert_eq!(words.join(" "), "1 0 1 a 0 2 0 0 1 4");
    }

    #[test]
    fn what_is_appended_reads_back() {
        let buf = example();
        let (node, last) = check(NODE, &buf).unwrap();
        assert_eq!((node.live(), node.entry_count(), node.id()), (3, 3, NODE));
        assert_eq!(last, Some(StreamId::new(2000, 0)));
        let places = places(&buf);
        assert_eq!(places[0].id, NODE);
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        assert_eq!(
            texts(&buf, &places[1]),
            [pair("name", "c"), pair("7", "12")]
        );
        assert_eq!(places[2].field_count, 1);
        assert_eq!(texts(&buf, &places[2]), [pair("other", "d")]);
        let mut back = node.last();
        for place in places.iter().rev() {
            assert_eq!(back.map(|back| back.pos), Some(place.pos));
            back = node.before(place.pos);
        }
        assert!(back.is_none());
    }

    #[test]
    fn deletion_marks_and_counts() {
        let mut buf = example();
        let second = places(&buf)[1];
        delete(NODE, &mut buf, &second);
        let (node, _) = check(NODE, &buf).unwrap();
        assert_eq!((node.live(), node.entry_count()), (2, 3));
        assert!(places(&buf)[1].is_deleted());
    }

    #[test]
    fn counts_of_more_than_one_byte() {
        let mut buf = made(&[("f", "0")]);
        for seq in 1..300 {
            add(
                &mut buf,
                StreamId::new(1000, 5 + seq),
                &[("f", &seq.to_string())],
            );
        }
        let third = places(&buf)[2];
        delete(NODE, &mut buf, &third);
        let mut left = 150;
        let marked = delete_while(NODE, &mut buf, |_, _| {
            left -= 1;
            left >= 0
        });
        assert_eq!(marked, 149);
        let (node, _) = check(NODE, &buf).unwrap();
        assert_eq!((node.live(), node.entry_count()), (150, 300));
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
                check(NODE, &bad).unwrap_err().kind,
                Damage::Encoding,
                "{index} = {value}"
            );
        }
        let mut short = good.clone();
        listpack::remove(&mut short, at(-1), 1);
        assert!(check(NODE, &short).is_err());
        assert!(check(NODE, &listpack::empty()).is_err());
    }

    /// Marking entries of such a node would move the entries behind them.
    #[test]
    fn flags_in_a_long_form_are_refused() {
        let good = example();
        let at = Listpack::new(&good).unwrap().pos_of(6).unwrap();
        let mut bad = good.clone();
        // 2 as an integer of 16 bits, with its length behind it.
        bad.splice(at..at + 2, [0xf1, 2, 0, 3]);
        let total = bad.len() as u32;
        bad[..4].copy_from_slice(&total.to_le_bytes());
        assert!(Listpack::check(&bad).is_ok());
        assert!(check(NODE, &bad).is_err());
    }

    #[test]
    fn changed_bytes_never_panic() {
        let good = example();
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                if let Some(node) = Node::new(NODE, &bad) {
                    let places = node.entries().filter_map(Result::ok);
                    let read: usize = places.map(|place| node.fields(&place).count()).sum();
                    assert!(read <= bad.len());
                }
                if check(NODE, &bad).is_ok() {
                    delete_while(NODE, &mut bad, |_, _| true);
                    assert_eq!(check(NODE, &bad).map(|(node, _)| node.live()).ok(), Some(0));
                }
            }
        }
    }
}
