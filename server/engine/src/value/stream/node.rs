//! One node of a stream: entries of neighbouring ids in one listpack, the very bytes that a snapshot stores.
//!
//! ```text
//!   head    live | deleted | n | n field names | 0
//!   entry   flags 2 | ms | seq | n values | n + 3               same fields as the head
//!   entry   flags 0 | ms | seq | m | m times field, value | 2m + 4
//!   (flags + 1: deleted; ms and seq are differences to the node's id, signed; the last number says how many
//!   elements to go back to the flags, and the 0 before the first entry ends a walk backwards)
//! ```
//!
//! Example, a node of id 5-1 that holds 5-1 with `a 1`: listpack of `1 0 1 a 0 2 0 0 1 4`.
//!
//! Reading stops early where a listpack does not have this shape; [`check`] tells before a foreign one is adopted.

use super::StreamId;
use cairn_format::encoding::listpack::{self, Entry, Listpack};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Where a walk stands: the position of an entry's flags, and what was read of the entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Position of the flags.
    pub(super) pos: usize,
    flags: i64,
    pub(super) id: StreamId,
    /// Position of the first value (same fields) or of the first field.
    data: usize,
    pub(super) field_count: usize,
    /// Position of the next entry's flags or of the end byte.
    pub(super) next: usize,
}

impl Place {
    pub(super) fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }
}

/// A view of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) pack: Listpack<'a>,
    base: StreamId,
    live: i64,
    deleted: i64,
    master_count: usize,
    /// Position of the first field name of the head, or of the 0 if it has none.
    master: usize,
    /// Position of the first entry's flags, or of the end byte.
    entries: usize,
}

fn int_at(pack: &Listpack<'_>, pos: usize) -> Option<i64> {
    match pack.at(pos)? {
        Entry::Int(value) => Some(value),
        Entry::Str(_) => None,
    }
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
    pub(super) fn new(base: StreamId, blob: &'a [u8]) -> Option<Self> {
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

    pub(super) fn live(&self) -> u64 {
        u64::try_from(self.live).unwrap_or(0)
    }

    /// Entries, live and deleted.
    pub(super) fn entry_count(&self) -> u64 {
        self.live()
            .saturating_add(u64::try_from(self.deleted).unwrap_or(0))
    }

    pub(super) fn first(&self) -> Option<Place> {
        self.at(self.entries)
    }

    /// The entry whose flags stand at `pos`; `None` at the end.
    pub(super) fn at(&self, pos: usize) -> Option<Place> {
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
        let back = skip(pack, data, elements)?;
        Some(Place {
            pos,
            flags,
            id,
            data,
            field_count,
            next: after(pack, back)?,
        })
    }

    /// The entry before the one whose flags (or end byte) stand at `pos`.
    pub(super) fn before(&self, pos: usize) -> Option<Place> {
        if pos <= self.entries {
            return None;
        }
        let mut at = self.pack.prev_pos(pos)?;
        let back = int_at(&self.pack, at)?;
        for _ in 0..back {
            at = self.pack.prev_pos(at)?;
        }
        (at >= self.entries).then(|| self.at(at)).flatten()
    }

    pub(super) fn last(&self) -> Option<Place> {
        self.before(self.pack.end_pos())
    }

    /// The first entry that is not below `id`, deleted or not.
    pub(super) fn seek(&self, id: StreamId) -> Option<Place> {
        let mut place = self.first()?;
        while place.id < id {
            place = self.at(place.next)?;
        }
        Some(place)
    }

    /// The last entry that is not above `id`, deleted or not.
    pub(super) fn seek_rev(&self, id: StreamId) -> Option<Place> {
        let mut place = self.last()?;
        while place.id > id {
            place = self.before(place.pos)?;
        }
        Some(place)
    }

    pub(super) fn fields(&self, place: &Place) -> Fields<'a> {
        let names = place.has_same_fields().then_some(self.master);
        Fields {
            pack: self.pack,
            names,
            data: place.data,
            left: place.field_count,
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
pub(super) fn create<'f>(
    fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
) -> Vec<u8> {
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
    blob
}

/// Appends an entry, whose id is above all others of the node.
pub(super) fn append<'f>(
    base: StreamId,
    blob: &mut Vec<u8>,
    id: StreamId,
    fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
) {
    let node = Node::new(base, blob).expect("nodes are checked before they are adopted");
    let (live, count) = (node.live, fields.len() as i64);
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

/// Marks the entry as deleted; the caller drops a node without live entries.
pub(super) fn delete(base: StreamId, blob: &mut Vec<u8>, place: &Place) {
    let node = Node::new(base, blob).expect("nodes are checked before they are adopted");
    let (live, deleted) = (node.live, node.deleted);
    listpack::replace_int(blob, place.pos, place.flags | DELETED);
    replace_head(blob, 0, live - 1);
    replace_head(blob, 1, deleted + 1);
}

/// Marks live entries as deleted, from the first on, while `doomed` says so of an id and
/// whether it is deleted already; returns how many.
pub(super) fn delete_while(
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
    replace_head(blob, 0, live - count);
    replace_head(blob, 1, deleted + count);
    count as u64
}

fn replace_head(blob: &mut Vec<u8>, index: i64, value: i64) {
    let pos = Listpack::new(blob).ok().and_then(|pack| pack.pos_of(index));
    listpack::replace_int(blob, pos.expect("a node has a head"), value);
}

/// Walks a whole node: every entry has the right shape, ids rise, counts are right, there is an entry. Returns the
/// number of live entries, which can be 0 (see [`Stream::trim`](super::Stream::trim)), and the id of the last entry.
pub(super) fn check(base: StreamId, blob: &[u8]) -> Result<(u64, StreamId), String> {
    Listpack::check(blob).map_err(|error| error.to_string())?;
    let node = Node::new(base, blob).ok_or("stream node: wrong head")?;
    let (mut live, mut deleted, mut last) = (0, 0, None);
    let mut pos = node.entries;
    while pos < node.pack.end_pos() {
        let place = node
            .at(pos)
            .ok_or_else(|| format!("stream node: wrong entry at offset {pos}"))?;
        if place.flags & !(DELETED | SAME_FIELDS) != 0 {
            return Err(format!(
                "stream node: flags {} at offset {pos}",
                place.flags
            ));
        }
        if last.is_some_and(|last| last >= place.id) || place.id < base {
            return Err(format!(
                "stream node: id {} at offset {pos} is out of order",
                place.id
            ));
        }
        if node.before(place.next).is_none_or(|back| back.pos != pos) {
            return Err(format!(
                "stream node: entry at offset {pos} has a wrong element count"
            ));
        }
        if place.is_deleted() {
            deleted += 1
        } else {
            live += 1
        }
        last = Some(place.id);
        pos = place.next;
    }
    match last {
        Some(last) if (node.live, node.deleted) == (live, deleted) => Ok((live as u64, last)),
        _ => Err(format!(
            "stream node: {} live and {} deleted entries claimed, it has {live} and {deleted}",
            node.live, node.deleted
        )),
    }
}
