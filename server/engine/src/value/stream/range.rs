//! Entries of an id range, in either direction.

use super::{Stream, StreamId};
use crate::structure::ordered;
use cairn_format::encoding::stream_node::{Fields, Node, Place};

/// One live entry.
#[derive(Clone, Debug)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Fields and values in the order they were added.
    pub fields: Fields<'a>,
}

/// Live entries between two ids. Made by [`Stream::range`] and [`Stream::range_rev`].
#[derive(Debug)]
pub struct Range<'a> {
    nodes: ordered::Range<'a, StreamId, Vec<u8>>,
    node: Option<(Node<'a>, Place)>,
    start: StreamId,
    end: StreamId,
    falling: bool,
}

fn nodes(stream: &Stream, start: StreamId, end: StreamId) -> ordered::Range<'_, StreamId, Vec<u8>> {
    // Entries from `start` on may lie in the last node that begins before it.
    let first = stream
        .nodes
        .range(..=start)
        .next_back()
        .map_or(start, |(id, _)| *id);
    stream.nodes.range(first..=end.max(first))
}

impl<'a> Range<'a> {
    /// Entries from `start` to `end`, both included, with rising or `falling` ids.
    pub(super) fn new(stream: &'a Stream, start: StreamId, end: StreamId, falling: bool) -> Self {
        Self {
            nodes: nodes(stream, start, end),
            node: None,
            start,
            end,
            falling,
        }
    }

    /// The next entry, live or not.
    fn step(&mut self) -> Option<(Node<'a>, Place)> {
        if let Some((node, place)) = self.node
            && let Some(next) = match self.falling {
                false => node.at(place.next),
                true => node.before(place.pos),
            }
        {
            return Some((node, next));
        }
        loop {
            let (id, blob) = match self.falling {
                false => self.nodes.next(),
                true => self.nodes.next_back(),
            }?;
            let found = Node::new(*id, blob).and_then(|node| {
                let place = match self.falling {
                    false => node.seek(self.start),
                    true => node.seek_rev(self.end),
                };
                Some((node, place?))
            });
            if found.is_some() {
                return found;
            }
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = StreamEntry<'a>;

    fn next(&mut self) -> Option<StreamEntry<'a>> {
        if self.start > self.end {
            return None;
        }
        loop {
            let (node, place) = self.step()?;
            self.node = Some((node, place));
            let beyond = match self.falling {
                false => place.id > self.end,
                true => place.id < self.start,
            };
            if beyond {
                // Nothing behind can be inside; an empty range answers every later call.
                (self.start, self.end) = (StreamId::MAX, StreamId::MIN);
                return None;
            }
            if !place.is_deleted() {
                debug_assert!(
                    (self.start..=self.end).contains(&place.id),
                    "seeking skips what lies before"
                );
                return Some(StreamEntry {
                    id: place.id,
                    fields: node.fields(&place),
                });
            }
        }
    }
}
