//! A stream as commands, with everything that an engine can only get by the right order of them.
//!
//! ```text
//!   1  XADD key GONE x y ...        only if entries are pending that the stream has no more: for a moment they exist, because
//!      XGROUP CREATE, XCLAIM GONE   XCLAIM knows only those that do; trimming them away leaves no trace but in the groups
//!      XTRIM key MAXLEN 0
//!      XSETID key 0-0
//!   2  XADD key ID ...              the entries; of an empty stream one that goes at once
//!   3  XSETID                       and the counters
//!   4  XGROUP CREATE                unless that was done
//!      XCLAIM, XGROUP CREATECONSUMER
//! ```
//!
//! Commands have no words for when a consumer was seen and active.

use super::Rewriter;
use crate::rdb::object::{Consumer, Group, Pending, Stream, StreamId};
use crate::text::number::I64Text;
use std::collections::{BTreeSet, HashMap};

/// The first form of a saved stream that has counters.
const COUNTERS_FROM: u8 = 2;

/// A stream under way. Made by [`Rewriter::stream`]; the entries follow, then [`StreamRewriter::end`].
#[derive(Debug)]
pub struct StreamRewriter<'r, 's> {
    to: &'r mut Rewriter,
    key: &'r [u8],
    stream: &'r Stream<'s>,
    gone: BTreeSet<StreamId>,
    is_empty: bool,
}

impl Rewriter {
    /// Begins a stream. Of `stream` the marks and groups are taken, its nodes are not looked at. `gone` are the entries that
    /// are pending in some group and not in the stream any more. The target has to know streams.
    pub fn stream<'r, 's>(
        &'r mut self,
        key: &'r [u8],
        stream: &'r Stream<'s>,
        mut gone: BTreeSet<StreamId>,
    ) -> StreamRewriter<'r, 's> {
        debug_assert!(self.target.has_streams(), "the target knows the commands");
        // No entry can have this id.
        gone.remove(&StreamId::MIN);
        let mut rewriter = StreamRewriter {
            to: self,
            key,
            stream,
            gone,
            is_empty: true,
        };
        if !rewriter.gone.is_empty() {
            rewriter.claim_gone();
        }
        rewriter
    }

    fn push_id(&mut self, id: StreamId) -> &mut Self {
        self.push(id.to_string().as_bytes())
    }

    fn push_u64(&mut self, number: u64) -> &mut Self {
        self.push(I64Text::new().format_u64(number))
    }
}

impl StreamRewriter<'_, '_> {
    /// The next entry: `fields` pushes each field and its value.
    pub fn entry(&mut self, id: StreamId, fields: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]))) {
        debug_assert!(id != StreamId::MIN, "no entry can have this id");
        self.is_empty = false;
        self.to.begin(b"XADD").push(self.key).push_id(id);
        fields(&mut |field, value| {
            self.to.push(field).push(value);
        });
        debug_assert!(
            self.to.count >= 5 && self.to.count % 2 == 1,
            "name, key, id and pairs"
        );
        self.to.send();
    }

    /// Marks and groups, behind the last entry.
    pub fn end(mut self) {
        if self.is_empty && self.gone.is_empty() {
            // An entry that goes at once leaves the key; 0-0 is no id that can be added.
            self.to.begin(b"XADD").push(self.key);
            self.to.push(b"MAXLEN").push(b"0");
            self.to.push_id(StreamId::new(0, 1)).push(b"x").push(b"y");
            self.to.send();
        }
        self.set_marks();
        for group in &self.stream.groups {
            if self.gone.is_empty() {
                self.create(group);
            }
            self.fill(group);
        }
    }

    /// Lets the groups claim what is gone, in a stream that holds nothing else, and empties it again.
    fn claim_gone(&mut self) {
        for id in &self.gone {
            self.to.begin(b"XADD").push(self.key).push_id(*id);
            self.to.push(b"x").push(b"y").send();
        }
        for group in &self.stream.groups {
            self.create(group);
            for (consumer, owned) in owned(group) {
                let gone = owned.iter().filter(|p| self.gone.contains(&p.id));
                gone.for_each(|pending| self.to.claim(self.key, group, consumer, pending));
            }
        }
        self.to.begin(b"XTRIM").push(self.key);
        self.to.push(b"MAXLEN").push(b"0").send();
        // A last id may fall while there are no entries.
        self.to.begin(b"XSETID").push(self.key);
        self.to.push_id(StreamId::MIN).send();
    }

    fn set_marks(&mut self) {
        let stream = self.stream;
        self.to.begin(b"XSETID").push(self.key);
        self.to.push_id(stream.last_id);
        let counters = match (stream.entries_added, stream.max_deleted_id) {
            (Some(added), Some(deleted)) => Some((added, deleted)),
            // What only was there to be claimed is not to be counted.
            _ if !self.gone.is_empty() => Some((stream.length, StreamId::MIN)),
            _ => None,
        };
        if let Some((added, deleted)) = counters
            && self.to.target.has_stream_counters()
        {
            self.to.push(b"ENTRIESADDED").push_u64(added);
            self.to.push(b"MAXDELETEDID").push_id(deleted);
        }
        self.to.send();
    }

    fn create(&mut self, group: &Group<'_>) {
        self.to.begin(b"XGROUP").push(b"CREATE").push(self.key);
        self.to.push_text(&group.name).push_id(group.last_id);
        if self.stream.form >= COUNTERS_FROM && self.to.target.has_stream_counters() {
            self.to.push(b"ENTRIESREAD");
            match group.entries_read {
                Some(read) => self.to.push_u64(read),
                None => self.to.push(b"-1"),
            };
        }
        self.to.send();
    }

    /// Consumers, and what is pending at them and was not claimed yet.
    fn fill(&mut self, group: &Group<'_>) {
        for (consumer, owned) in owned(group) {
            if owned.is_empty() {
                self.to.create_consumer(self.key, group, consumer);
            }
            let left = owned.iter().filter(|p| !self.gone.contains(&p.id));
            left.for_each(|pending| self.to.claim(self.key, group, consumer, pending));
        }
    }
}

impl Rewriter {
    fn create_consumer(&mut self, key: &[u8], group: &Group<'_>, consumer: &Consumer<'_>) {
        if self.target.has_create_consumer() {
            self.begin(b"XGROUP").push(b"CREATECONSUMER").push(key);
            self.push_text(&group.name).push_text(&consumer.name);
        } else {
            // Reading what is pending at a consumer makes it, and changes nothing else if nothing is.
            self.begin(b"XREADGROUP").push(b"GROUP");
            self.push_text(&group.name).push_text(&consumer.name);
            self.push(b"STREAMS").push(key).push(b"0");
        }
        self.send();
    }

    fn claim(&mut self, key: &[u8], group: &Group<'_>, to: &Consumer<'_>, pending: &Pending) {
        self.begin(b"XCLAIM").push(key);
        self.push_text(&group.name).push_text(&to.name).push(b"0");
        self.push_id(pending.id);
        self.push(b"TIME").push_int(pending.delivery_ms);
        self.push(b"RETRYCOUNT").push_u64(pending.count);
        self.push(b"JUSTID").push(b"FORCE").send();
    }
}

/// What is pending at each consumer of a group, as the list of the group has it.
fn owned<'g, 'a>(
    group: &'g Group<'a>,
) -> impl Iterator<Item = (&'g Consumer<'a>, Vec<&'g Pending>)> {
    let listed: HashMap<StreamId, &Pending> = group.pending.iter().map(|p| (p.id, p)).collect();
    group.consumers.iter().map(move |consumer| {
        let ids = consumer.pending.iter();
        let owned = ids.filter_map(|id| listed.get(id).copied()).collect();
        (consumer, owned)
    })
}
