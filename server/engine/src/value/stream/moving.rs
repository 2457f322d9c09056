//! A walk over the blocks of a stream that moves those that leave.

use std::ops::Bound;

use super::super::stream_group;
use super::{Stream, StreamId};
use crate::structure::mover::{Blocks, Mover};

impl Blocks for StreamId {}

/// Where a walk stands.
#[derive(Debug)]
pub(in crate::value) enum Place {
    /// Among the nodes.
    Nodes(Option<StreamId>),
    /// Among the names of groups.
    Groups(Option<Box<[u8]>>),
    /// Inside the group of this name.
    Group(Box<[u8]>, stream_group::Place),
}

impl Place {
    /// The first.
    pub(in crate::value) const BEGIN: Place = Place::Nodes(None);
}

impl Stream {
    /// Moves blocks of up to about `most` entries of one of its parts; whether there are more.
    pub(in crate::value) fn move_step(
        &mut self,
        place: &mut Place,
        most: usize,
        mover: &mut Mover,
    ) -> bool {
        let next = match place {
            Place::Nodes(from) => match self.nodes.move_step(from, most, mover) {
                true => return true,
                false => Some(Place::Groups(None)),
            },
            Place::Groups(from) => match self.groups.move_step(from, most, mover) {
                true => return true,
                false => self.group_behind(Bound::Unbounded),
            },
            Place::Group(name, inside) => {
                let group = self.groups.get_mut(name);
                if group.is_some_and(|group| group.move_step(inside, most, mover)) {
                    return true;
                }
                self.group_behind(Bound::Excluded(name.clone()))
            }
        };
        match next {
            Some(next) => {
                *place = next;
                true
            }
            None => false,
        }
    }

    fn group_behind(&self, name: Bound<Box<[u8]>>) -> Option<Place> {
        let mut behind = self.groups.range((name, Bound::Unbounded));
        let (name, _) = behind.next()?;
        Some(Place::Group(
            name.clone(),
            stream_group::Place::Pending(None),
        ))
    }
}
