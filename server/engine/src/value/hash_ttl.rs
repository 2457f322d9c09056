//! Hashes whose fields can expire.
//!
//! A packed one (`listpackex`) is a listpack of triples, the ones that expire first, in order of their time:
//! ```text
//!   field | value | expiry ms     rising          field | value | 0
//! ```
//! so that the next expiry is the third entry, and what is due is a run at the front (the blob of RDB type 25 as it is).
//!
//! A table ([`HashTable`]) keeps beside its fields an ordered set of (expiry, hash of the name), 16 bytes each, as soon
//! as a field expires. Invariant: the set holds exactly the marked fields of the table; no change gets past it, because
//! all changes are made here.
//!
//! Many fields may expire at the same moment, more than can be removed in one go. Until they are, they are **hidden**: nothing
//! here shows a field whose time came before `hidden_ms`, except to those who remove it.

use std::collections::BTreeSet;

use cairn_format::encoding::listpack::{self, Entry};

use super::elements::pack;
use super::{Encoding, ValueRef};
use crate::base::random::Random;
use crate::structure::mover::Mover;
use crate::structure::ordered::Ordered;
use crate::structure::record::Field;
use crate::structure::table::{Ahead, Hasher, Slot, Table};

/// The latest time that a client may name for a field, Unix milliseconds: what Redis takes (46 bits). Snapshots may bring later ones.
pub const EXPIRE_MAX_MS: i64 = (1 << 46) - 1;

/// Entries per field of a `listpackex`.
const STRIDE: usize = 3;

/// What becomes of a field's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// It stays; a new field has none.
    Keep,
    /// It is taken away, or this, Unix milliseconds.
    Set(Option<i64>),
}

impl Ttl {
    fn after(self, old: Option<i64>) -> Option<i64> {
        match self {
            Ttl::Keep => old,
            Ttl::Set(new) => new,
        }
    }
}

/// Expiry and hash of the name of each field that expires.
type Due = Ordered<(i64, u64), ()>;

/// No field expires.
static NEVER: Due = Due::new();

/// A hash as a table of fields, with an index of those that expire.
#[derive(Debug)]
pub struct HashTable {
    fields: Table<Field>,
    due: Option<Box<Due>>,
    /// Fields that expire before this are hidden, Unix milliseconds.
    hidden_ms: i64,
}

/// Nothing is hidden.
const NOTHING: i64 = i64::MIN;

/// Draws for a field that is not hidden before they are counted instead.
const DRAWS: usize = 16;

impl HashTable {
    /// An empty hash.
    pub fn new(hasher: Hasher) -> HashTable {
        HashTable {
            fields: Table::new(hasher),
            due: None,
            hidden_ms: NOTHING,
        }
    }

    /// The hash function of the names.
    #[inline]
    pub fn hasher(&self) -> Hasher {
        self.fields.hasher()
    }

    /// For looking ahead at fields.
    pub fn ahead(&self) -> Ahead<'_> {
        self.fields.ahead()
    }

    /// Number of fields. While some are hidden they have to be counted.
    #[inline]
    pub fn len(&self) -> usize {
        match self.hidden_ms {
            NOTHING => self.fields.len(),
            hidden => self.fields.len() - self.due().range(..(hidden, 0)).count(),
        }
    }

    /// No fields.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() || (self.hidden_ms != NOTHING && self.is_dead(self.hidden_ms))
    }

    /// Number of fields that lie here, hidden ones included.
    #[inline]
    pub fn stored_len(&self) -> usize {
        self.fields.len()
    }

    /// Whether all fields expired before `now`.
    pub fn is_dead(&self, now: i64) -> bool {
        let due = self.due();
        due.len() == self.fields.len() && due.last().is_some_and(|((at, _), ())| *at < now)
    }

    #[inline]
    fn is_hidden(&self, field: &Field) -> bool {
        self.hidden_ms != NOTHING && field.expire().is_some_and(|at| at < self.hidden_ms)
    }

    /// The field whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u64, name: &[u8]) -> Option<Slot> {
        let slot = self.fields.find(hash, name)?;
        (!self.is_hidden(self.fields.get(slot))).then_some(slot)
    }

    /// The field in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> &Field {
        self.fields.get(slot)
    }

    /// Any field, each as likely as any other.
    pub fn random(&self, random: &mut Random) -> Option<&Field> {
        for _ in 0..DRAWS {
            let field = self.fields.get(self.fields.random(random)?);
            if !self.is_hidden(field) {
                return Some(field);
            }
        }
        let nth = random.index(self.len().max(1));
        self.iter().nth(nth)
    }

    /// One step of HSCAN: see [`Table::scan`].
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&Field)) -> u64 {
        self.fields.scan(cursor, &mut |field| {
            if !self.is_hidden(field) {
                visit(field);
            }
        })
    }

    /// All fields, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !self.is_hidden(field))
    }

    /// When the next field expires.
    #[inline]
    pub fn next_expire(&self) -> Option<i64> {
        self.due.as_ref()?.first().map(|((at, _), ())| *at)
    }

    /// Table and index, bytes; the fields are not counted. A set of pairs takes about 24 bytes for each.
    pub fn mem_bytes(&self) -> usize {
        self.fields.mem_bytes() + 24 * self.due().len()
    }

    /// Adds a field that is not there.
    pub fn insert(&mut self, hash: u64, field: Field) -> Slot {
        self.index(hash, None, field.expire());
        let slot = self.fields.insert(hash, field);
        debug_assert_eq!(self.fields.marked(), self.due().len(), "index and marks");
        slot
    }

    /// Sets a field by name; whether it is new.
    #[inline]
    pub fn set(&mut self, name: &[u8], value: &[u8], ttl: Ttl) -> bool {
        let hash = self.fields.hasher().hash(name);
        match self.fields.find(hash, name) {
            Some(slot) => {
                let (old, new) = self.fields.update(slot, |field| {
                    let old = field.expire();
                    let new = ttl.after(old);
                    field.set_value(value);
                    if old != new {
                        field.set_expire(new);
                    }
                    (old, new)
                });
                self.index(hash, old, new);
                false
            }
            None => {
                self.insert(hash, Field::new(name, value, ttl.after(None)));
                true
            }
        }
    }

    /// Gives a field an expiry or takes it away; nothing happens if it is not there.
    pub fn set_expire(&mut self, name: &[u8], at: Option<i64>) {
        let hash = self.fields.hasher().hash(name);
        if let Some(slot) = self.find(hash, name) {
            let old = self.fields.get(slot).expire();
            self.fields.update(slot, |field| field.set_expire(at));
            self.index(hash, old, at);
        }
    }

    /// Removes a field, a hidden one only if that is asked for; whether it was there.
    pub fn remove(&mut self, name: &[u8], hidden: bool) -> bool {
        let hash = self.fields.hasher().hash(name);
        let Some(slot) = self.fields.find(hash, name) else {
            return false;
        };
        if self.is_hidden(self.fields.get(slot)) != hidden {
            return false;
        }
        let removed = self.fields.remove(slot);
        self.index(hash, removed.expire(), None);
        debug_assert_eq!(self.fields.marked(), self.due().len(), "index and marks");
        true
    }

    /// Whether a field of this name is hidden here.
    #[inline]
    pub fn hides(&self, name: &[u8]) -> bool {
        self.hidden_ms != NOTHING && {
            let hash = self.fields.hasher().hash(name);
            let found = self.fields.find(hash, name);
            found.is_some_and(|slot| self.is_hidden(self.fields.get(slot)))
        }
    }

    /// Removes up to `limit` fields that expired before `now`, the earliest first, and names them. Those that are left are
    /// hidden from now on.
    pub fn remove_due(&mut self, now: i64, limit: usize, removed: &mut Vec<Vec<u8>>) {
        let hasher = self.fields.hasher();
        let mut left = limit;
        let first = |due: &Due| due.first().map(|(first, ())| *first);
        while let Some((at, hash)) = first(self.due()).filter(|(at, _)| *at < now) {
            if left == 0 {
                self.hidden_ms = now;
                return;
            }
            left -= 1;
            self.take_due(&(at, hash));
            let slot = self.fields.find_by(hash, |f| {
                f.expire() == Some(at) && hasher.hash(f.key()) == hash
            });
            debug_assert!(slot.is_some(), "the index names a field that is not there");
            removed.extend(slot.map(|slot| self.fields.remove(slot).key().to_vec()));
        }
        self.hidden_ms = NOTHING;
    }

    /// Hides fields that expired before `now`.
    pub fn hide_due(&mut self, now: i64) {
        self.hidden_ms = self.hidden_ms.max(now);
    }

    #[inline]
    fn index(&mut self, hash: u64, old: Option<i64>, new: Option<i64>) {
        if old != new {
            self.due_changed(hash, old, new);
        }
    }

    fn due_changed(&mut self, hash: u64, old: Option<i64>, new: Option<i64>) {
        if let Some(at) = old {
            let was_there = self.take_due(&(at, hash));
            debug_assert!(was_there, "a field that expires is in the index");
        }
        if let Some(at) = new {
            let is_new = self.due.get_or_insert_default().insert((at, hash), ());
            debug_assert!(is_new.is_none(), "two fields of one hash and time");
        }
    }

    fn due(&self) -> &Due {
        self.due.as_deref().unwrap_or(&NEVER)
    }

    /// Whether it was in the index, in which it is no more.
    fn take_due(&mut self, due: &(i64, u64)) -> bool {
        let was_there = self.due.as_mut().and_then(|index| index.remove(due));
        self.due.take_if(|index| index.is_empty());
        was_there.is_some()
    }

    /// One step of a walk over the fields that moves blocks: see [`Table::move_step`]. `seen` counts fields.
    pub(super) fn move_fields(&mut self, cursor: u64, seen: &mut usize, mover: &mut Mover) -> u64 {
        self.fields.move_step(cursor, mover, &mut |field, mover| {
            *seen += 1;
            field.move_away(mover);
        })
    }

    /// Moves blocks of the index: see [`Ordered::move_step`].
    pub(super) fn move_due(
        &mut self,
        from: &mut Option<(i64, u64)>,
        most: usize,
        mover: &mut Mover,
    ) -> bool {
        let Some(due) = &mut self.due else {
            return false;
        };
        mover.boxed(due);
        due.move_step(from, most, mover)
    }

    /// Tests the invariants of the table, and that the index holds the marked fields.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.fields.check()?;
        self.due().check()?;
        let hasher = self.fields.hasher();
        let expiring = self
            .fields
            .iter()
            .filter_map(|f| Some((f.expire()?, hasher.hash(f.key()))));
        let expiring: BTreeSet<_> = expiring.collect();
        let due = self.due();
        match expiring.iter().eq(due.keys()) && self.fields.marked() == due.len() {
            true => Ok(()),
            false => Err(format!(
                "{} fields expire, {} are indexed",
                expiring.len(),
                due.len()
            )),
        }
    }
}

/// When the next field of a hash expires; none for any other value.
#[inline]
pub fn next_expire(value: ValueRef) -> Option<i64> {
    match value {
        ValueRef::Packed(_, Encoding::ListpackEx, blob) => {
            let third = pack(blob).iter().nth(STRIDE - 1);
            third.and_then(|(_, at)| expiry(at))
        }
        ValueRef::Hash(table) => table.next_expire(),
        _ => None,
    }
}

/// The value and the expiry of a field.
pub fn look_up<'a>(hash: ValueRef<'a>, field: &[u8]) -> Option<(Entry<'a>, Option<i64>)> {
    match hash {
        ValueRef::Packed(_, Encoding::ListpackEx, blob) => {
            let at = pack(blob).find(field, STRIDE)?;
            let mut entries = pack(blob).iter_from(at).skip(1);
            let (_, value) = entries.next()?;
            Some((value, entries.next().and_then(|(_, at)| expiry(at))))
        }
        ValueRef::Hash(table) => {
            let field = table.get(table.find(table.hasher().hash(field), field)?);
            Some((Entry::Str(field.value()), field.expire()))
        }
        packed => super::hash::get(packed, field).map(|value| (value, None)),
    }
}

fn expiry(entry: Entry) -> Option<i64> {
    entry.as_int().filter(|at| *at != 0)
}

/// A packed hash with room for expiries; none has one yet.
pub fn widened(hash: ValueRef) -> Vec<u8> {
    let mut blob = listpack::empty();
    let mut word = Vec::new();
    hash.each_field(&mut |name, value, _| {
        for entry in [name, value] {
            word.clear();
            entry.append_to(&mut word);
            listpack::push_back(&mut blob, &word);
        }
        listpack::push_back_int(&mut blob, 0);
    });
    blob
}

/// Packs fields that come in any order.
pub fn packed_of(mut fields: Vec<(Vec<u8>, Vec<u8>, Option<i64>)>) -> Vec<u8> {
    fields.sort_by_key(|(_, _, at)| at.unwrap_or(i64::MAX));
    let mut blob = listpack::empty();
    for (name, value, at) in &fields {
        listpack::push_back(&mut blob, name);
        listpack::push_back(&mut blob, value);
        listpack::push_back_int(&mut blob, at.unwrap_or(0));
    }
    debug_assert!(is_ordered(&blob), "what expires stands first, by its time");
    blob
}

/// Whether a blob from elsewhere keeps to the order that this module relies on.
pub fn is_ordered(blob: &[u8]) -> bool {
    let entries = pack(blob);
    let mut last = i64::MIN;
    let times = entries.iter().skip(STRIDE - 1).step_by(STRIDE);
    entries.len().is_multiple_of(STRIDE)
        && times.map(|(_, at)| at).all(|at| match at {
            Entry::Int(at) => {
                let at = if at == 0 { i64::MAX } else { at };
                std::mem::replace(&mut last, at) <= at
            }
            Entry::Str(_) => false,
        })
}

/// Sets a field of a packed hash; whether it is new. It moves only if its expiry changes.
pub fn packed_set(blob: &mut Vec<u8>, field: &[u8], value: &[u8], ttl: Ttl) -> bool {
    let Some((at, old)) = find(blob, field) else {
        place(blob, field, value, ttl.after(None));
        return true;
    };
    let new = ttl.after(old);
    if new == old {
        if let Some(value_at) = pack(blob).next_pos(at) {
            listpack::replace(blob, value_at, value);
        }
    } else {
        listpack::remove(blob, at, STRIDE);
        place(blob, field, value, new);
    }
    false
}

/// Gives a field of a packed hash an expiry or takes it away; nothing happens if it is not there.
pub fn packed_set_expire(blob: &mut Vec<u8>, field: &[u8], new: Option<i64>) {
    let Some((at, old)) = find(blob, field) else {
        return;
    };
    if old == new {
        return;
    }
    let value = pack(blob).iter_from(at).nth(1);
    if let Some(value) = value.map(|(_, value)| value.to_bytes().into_owned()) {
        listpack::remove(blob, at, STRIDE);
        place(blob, field, &value, new);
    }
}

/// Removes the fields that expired before `now` from a packed hash, and names them.
pub fn packed_remove_due(blob: &mut Vec<u8>, now: i64, removed: &mut Vec<Vec<u8>>) {
    let entries = pack(blob);
    let mut triples = entries.iter().map(|(_, entry)| entry);
    let mut count = 0;
    while let (Some(name), Some(_), Some(at)) = (triples.next(), triples.next(), triples.next())
        && expiry(at).is_some_and(|at| at < now)
    {
        removed.push(name.to_bytes().into_owned());
        count += 1;
    }
    if let Some(first) = entries.first_pos() {
        let gone = listpack::remove(blob, first, count * STRIDE);
        debug_assert_eq!(gone, count * STRIDE, "whole fields");
    }
}

fn find(blob: &[u8], field: &[u8]) -> Option<(usize, Option<i64>)> {
    let at = pack(blob).find(field, STRIDE)?;
    let time = pack(blob).iter_from(at).nth(STRIDE - 1);
    Some((at, time.and_then(|(_, time)| expiry(time))))
}

/// Puts a triple where the order wants it: before the first that expires no earlier, or last.
fn place(blob: &mut Vec<u8>, field: &[u8], value: &[u8], at: Option<i64>) {
    let entries = pack(blob);
    let mut pos = entries.end_pos();
    if let Some(at) = at {
        let mut from = entries.first_pos();
        while let Some(start) = from {
            let mut rest = entries.iter_from(start).skip(STRIDE - 1);
            let time = rest.next().and_then(|(_, time)| expiry(time));
            if time.is_none_or(|time| time >= at) {
                pos = start;
                break;
            }
            from = rest.next().map(|(next, _)| next);
        }
    }
    listpack::insert_int(blob, pos, at.unwrap_or(0));
    listpack::insert(blob, pos, value);
    listpack::insert(blob, pos, field);
    debug_assert_eq!(
        find(blob, field),
        Some((pos, at)),
        "it is found where it was put"
    );
}
