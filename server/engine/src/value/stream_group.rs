//! Consumer groups of a stream: who was given which entry, and when.
//!
//! ```text
//!   group     last id | entries read | pending: id -> (when, how often, whose)
//!   consumer  name | seen | active | pending ids
//! ```
//!
//! A pending entry stands in two indexes, that of the group and that of its consumer; only the group changes them.
//! Consumers are numbered, so that a pending entry names its owner in 4 bytes; numbers of removed consumers are used
//! again. A pending id may name an entry that was deleted from the stream.
//!
//! Invariant ([`Group::check`] tests it): the ids pending at consumers are those pending in the group, each at the
//! consumer that the group names.

use cairn_format::encoding::stream_id::StreamId;

use crate::structure::mover::{Blocks, Mover};
use crate::structure::ordered::Ordered;

/// A consumer's number in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerId(u32);

/// A delivery that was not acknowledged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Time of the last delivery, Unix milliseconds.
    pub delivery_ms: i64,
    /// Number of deliveries.
    pub deliveries: u64,
    /// Whose it is.
    pub consumer: ConsumerId,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim, Unix milliseconds.
    pub seen_ms: i64,
    /// When it last was given an entry, Unix milliseconds; `None` if never (-1 in snapshots).
    pub active_ms: Option<i64>,
    pending: Ordered<StreamId, ()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Number of entries pending at it.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Ids pending at it from `start` to `end`, both included, rising.
    pub fn pending(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl DoubleEndedIterator<Item = StreamId> {
        // An ordered map refuses a range whose start is behind its end.
        self.pending
            .range(start..=end.max(start))
            .map(|(id, ())| *id)
            .filter(move |_| start <= end)
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The last id that was delivered to anyone.
    pub last_id: StreamId,
    /// How many entries of the stream lie up to `last_id`, deleted ones included; `None` if unknown.
    pub entries_read: Option<u64>,
    pending: Ordered<StreamId, Pending>,
    names: Ordered<Box<[u8]>, ConsumerId>,
    consumers: Vec<Option<Consumer>>,
    /// Numbers of removed consumers.
    free: Vec<ConsumerId>,
}

impl Blocks for ConsumerId {}
impl Blocks for Pending {}
/// The walk over a stream visits what is inside by itself.
impl Blocks for Group {}

/// Where a walk that moves blocks stands inside a group.
#[derive(Debug)]
pub(super) enum Place {
    /// Among what is pending in the group.
    Pending(Option<StreamId>),
    /// Among the names.
    Names(Option<Box<[u8]>>),
    /// At the consumer of this number, among what is pending there.
    Consumers(usize, Option<StreamId>),
}

impl Group {
    /// A group without consumers.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }

    /// Number of pending entries.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The pending entry of this id.
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Entries that were delivered at `delivered_ms` (Unix milliseconds) or before and are pending since, the one that waits for longest
    /// first. All that is pending is looked at.
    pub fn idle(&self, delivered_ms: i64) -> Vec<StreamId> {
        let all = self.pending.iter();
        let idle = all.filter(|(_, pending)| pending.delivery_ms <= delivered_ms);
        let mut idle: Vec<(i64, StreamId)> = idle.map(|(id, p)| (p.delivery_ms, *id)).collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, id)| id).collect()
    }

    /// When that was delivered which is pending for longest, Unix milliseconds.
    pub fn first_delivery_ms(&self) -> Option<i64> {
        self.pending
            .values()
            .map(|pending| pending.delivery_ms)
            .min()
    }

    /// Pending entries from `start` to `end`, both included, with rising ids.
    pub fn pending_range(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &Pending)> {
        self.pending
            .range(start..=end.max(start))
            .map(|(id, p)| (*id, p))
            .filter(move |_| start <= end)
    }

    /// Number of consumers.
    pub fn consumer_count(&self) -> usize {
        self.names.len()
    }

    /// The number of the consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// The consumer of a number that this group gave out and that was not removed since.
    ///
    /// # Panics
    /// If there is none.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize]
            .as_ref()
            .expect("the consumer was removed")
    }

    /// As [`Group::consumer`], to set its times.
    ///
    /// # Panics
    /// If there is none.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize]
            .as_mut()
            .expect("the consumer was removed")
    }

    /// Consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.names.values().map(|id| (*id, self.consumer(*id)))
    }

    /// Makes a consumer seen at `now_ms` and never active; `None` if the name is taken.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        if self.names.contains_key(name) {
            return None;
        }
        let consumer = Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: Ordered::new(),
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.consumers.push(None);
            ConsumerId(
                u32::try_from(self.consumers.len() - 1)
                    .expect("fewer than 2^32 consumers fit in memory"),
            )
        });
        let before = self.consumers[id.0 as usize].replace(consumer);
        assert!(before.is_none(), "a number that is in use was given out");
        self.names.insert(name.into(), id);
        self.assert_numbers();
        Some(id)
    }

    /// Removes a consumer and everything pending at it; returns how many entries that were.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers[id.0 as usize].take()?;
        for entry in consumer.pending.keys() {
            let was = self.pending.remove(entry);
            debug_assert!(
                was.is_some_and(|was| was.consumer == id),
                "pending at another one"
            );
        }
        self.free.push(id);
        self.assert_numbers();
        Some(consumer.pending.len())
    }

    /// Every number is a consumer's or free.
    fn assert_numbers(&self) {
        assert_eq!(
            self.names.len() + self.free.len(),
            self.consumers.len(),
            "numbers of consumers"
        );
    }

    /// Makes an entry pending, or changes its owner, time and count.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let old = self.pending.insert(id, pending);
        if let Some(old) = old.filter(|old| old.consumer != pending.consumer) {
            let was_there = self.consumer_mut(old.consumer).pending.remove(&id);
            assert!(was_there.is_some(), "{id} is pending at nobody");
        }
        if old.is_none_or(|old| old.consumer != pending.consumer) {
            let consumer = self.consumer_mut(pending.consumer);
            let is_new = consumer.pending.insert(id, ());
            assert!(is_new.is_none(), "{id} is pending at two consumers");
        }
    }

    /// A first delivery to a consumer at `now_ms`, as XREADGROUP with `>` makes. An entry that was pending (after XGROUP
    /// SETID went back) counts as delivered once again from now on.
    pub fn deliver(&mut self, id: StreamId, consumer: ConsumerId, now_ms: i64) {
        self.assign(
            id,
            Pending {
                delivery_ms: now_ms,
                deliveries: 1,
                consumer,
            },
        );
    }

    /// Takes an entry off the pending ones (XACK, or a claim of a deleted entry); false if it was not pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        let was_there = self.consumer_mut(pending.consumer).pending.remove(&id);
        assert!(was_there.is_some(), "{id} is pending at nobody");
        true
    }

    /// Moves blocks of up to about `most` pending entries or consumers; whether there are more.
    pub(super) fn move_step(&mut self, place: &mut Place, most: usize, mover: &mut Mover) -> bool {
        match place {
            Place::Pending(from) => {
                if !self.pending.move_step(from, most, mover) {
                    *place = Place::Names(None);
                }
                true
            }
            Place::Names(from) => {
                if !self.names.move_step(from, most, mover) {
                    *place = Place::Consumers(0, None);
                }
                true
            }
            Place::Consumers(at, from) => {
                if *at == 0 {
                    mover.list(&mut self.consumers);
                    mover.list(&mut self.free);
                }
                let mut left = most;
                while left > 0 {
                    let Some(consumer) = self.consumers.get_mut(*at) else {
                        return false;
                    };
                    left -= 1;
                    if let Some(consumer) = consumer {
                        left = left.saturating_sub(consumer.pending.len());
                        mover.bytes(&mut consumer.name);
                        if consumer.pending.move_step(from, most, mover) {
                            return true;
                        }
                    }
                    (*at, *from) = (*at + 1, None);
                }
                true
            }
        }
    }

    /// Heap bytes, estimated from the number of pending entries and consumers.
    pub fn mem_bytes(&self) -> usize {
        // Map entries, and about half as much again in nodes that are not full.
        let entry = (size_of::<StreamId>() * 2 + size_of::<Pending>()) * 3 / 2;
        let consumer = size_of::<Consumer>() + size_of::<(Box<[u8]>, ConsumerId)>() * 3 / 2;
        let names: usize = self.names.keys().map(|name| name.len() * 2).sum();
        self.pending.len() * entry + self.consumers.len() * consumer + names
    }

    /// Tests the invariant of the head of this file.
    ///
    /// # Errors
    /// Says where it does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.pending.check()?;
        self.names.check()?;
        let mut owned = 0;
        for (at, consumer) in self.consumers() {
            consumer.pending.check()?;
            owned += consumer.pending.len();
            if self.names.get(consumer.name()) != Some(&at) {
                return Err("a consumer is not found by its name".into());
            }
            let stray = consumer
                .pending
                .keys()
                .find(|id| self.pending(**id).is_none_or(|p| p.consumer != at));
            if let Some(id) = stray {
                return Err(format!(
                    "{id} is pending at a consumer that the group does not name"
                ));
            }
        }
        if owned != self.pending.len() {
            return Err(format!(
                "{owned} pending at consumers, {} in the group",
                self.pending.len()
            ));
        }
        Ok(())
    }
}
