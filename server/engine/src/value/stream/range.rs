//! Entries of an id range, in either direction.

use super::node::{Fields, Node, Place};
use super::{Stream, StreamId};
use std::collections::btree_map;

/// One live entry.
#[derive(Clone, Debug)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Fields and values in the order they were added.
    pub fields: Fields<'a>,
}

/// Live entries with rising ids. Made by [`Stream::range`].
#[derive(Debug)]
pub struct Range<'a> {
    nodes: btree_map::Range<'a, StreamId, Vec<u8>>,
    node: Option<(Node<'a>, Place)>,
    start: StreamId,
    end: StreamId,
}

/// Live entries with falling ids. Made by [`Stream::range_rev`].
#[derive(Debug)]
pub struct RangeRev<'a> {
    nodes: btree_map::Range<'a, StreamId, Vec<u8>>,
    node: Option<(Node<'a>, Place)>,
    start: StreamId,
    end: StreamId,
}

fn nodes(
    stream: &Stream,
    start: StreamId,
    end: StreamId,
) -> btree_map::Range<'_, StreamId, Vec<u8>> {
    // Entries from `start` on may lie in the last node that begins before it.
    let first = stream
        .nodes
        .range(..=start)
        .next_back()
        .map_or(start, |(id, _)| *id);
    stream.nodes.range(first..=end.max(first))
}

impl<'a> Range<'a> {
    pub(super) fn new(stream: &'a Stream, start: StreamId, end: StreamId) -> Self {
        Self {
            nodes: nodes(stream, start, end),
            node: None,
            start,
            end,
        }
    }

    fn step(&mut self) -> Option<(Node<'a>, Place)> {
        if let Some((node, place)) = self.node
            && let Some(next) = node.at(place.next)
        {
            return Some((node, next));
        }
        loop {
            let (id, blob) = self.nodes.next()?;
            let node = Node::new(*id, blob);
            if let Some(found) = node.and_then(|node| Some((node, node.seek(self.start)?))) {
                return Some(found);
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
            if place.id > self.end {
                // Nothing behind can be inside; an empty range answers every later call.
                (self.start, self.end) = (StreamId::MAX, StreamId::MIN);
                return None;
            }
            if !place.is_deleted() {
                return Some(StreamEntry {
                    id: place.id,
                    fields: node.fields(&place),
                });
            }
        }
    }
}

impl<'a> RangeRev<'a> {
    pub(super) fn new(stream: &'a Stream, start: StreamId, end: StreamId) -> Self {
        Self {
            nodes: nodes(stream, start, end),
            node: None,
            start,
            end,
        }
    }

    fn step(&mut self) -> Option<(Node<'a>, Place)> {
        if let Some((node, place)) = self.node
            && let Some(previous) = node.before(place.pos)
        {
            return Some((node, previous));
        }
        loop {
            let (id, blob) = self.nodes.next_back()?;
            let node = Node::new(*id, blob);
            if let Some(found) = node.and_then(|node| Some((node, node.seek_rev(self.end)?))) {
                return Some(found);
            }
        }
    }
}

impl<'a> Iterator for RangeRev<'a> {
    type Item = StreamEntry<'a>;

    fn next(&mut self) -> Option<StreamEntry<'a>> {
        if self.start > self.end {
            return None;
        }
        loop {
            let (node, place) = self.step()?;
            self.node = Some((node, place));
            if place.id < self.start {
                (self.start, self.end) = (StreamId::MAX, StreamId::MIN);
                return None;
            }
            if !place.is_deleted() {
                return Some(StreamEntry {
                    id: place.id,
                    fields: node.fields(&place),
                });
            }
        }
    }
}
