//! The groups of a stream: which there are, and how far each has read.

use super::{Group, Stream, StreamId};

impl Stream {
    /// Number of groups.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The groups in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The group of this name, to change it.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Adds a group; false if the name is taken.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        let is_new = !self.groups.contains_key(name);
        if is_new {
            self.groups.insert(name.into(), group);
        }
        is_new
    }

    /// Removes a group with all that is pending in it.
    pub fn remove_group(&mut self, name: &[u8]) -> Option<Group> {
        self.groups.remove(name)
    }

    /// Moves a group on to an entry that was just delivered, and its counter with it if the counter can be known.
    /// Nothing changes if the group is at that id or beyond. Returns whether it moved.
    pub fn advance_group(&mut self, name: &[u8], id: StreamId) -> bool {
        let Some((last, read)) = self
            .group(name)
            .map(|group| (group.last_id, group.entries_read))
        else {
            return false;
        };
        if id <= last {
            return false;
        }
        let read = match read {
            // Nothing may be missing between the two, neither deleted nor trimmed.
            Some(read) if last >= self.first_id() && !self.has_deleted_behind(last) => {
                Some(read.saturating_add(1))
            }
            read if self.marks().entries_added == 0 => read,
            _ => self.entries_up_to(id),
        };
        self.place_group(name, id, read);
        true
    }

    /// As [`Stream::advance_group`] for an id that is told, as that of a delivery elsewhere: there may be more entries in
    /// front of it than one.
    pub fn follow_group(&mut self, name: &[u8], id: StreamId) -> bool {
        let Some(last) = self.group(name).map(|group| group.last_id) else {
            return false;
        };
        if id <= last {
            return false;
        }
        let next = last
            .next()
            .and_then(|start| self.range(start, StreamId::MAX).next());
        if next.is_some_and(|next| next.id == id) {
            return self.advance_group(name, id);
        }
        self.place_group(name, id, self.entries_up_to(id));
        true
    }

    fn place_group(&mut self, name: &[u8], last_id: StreamId, read: Option<u64>) {
        debug_assert!(
            self.group(name)
                .is_some_and(|group| group.last_id < last_id),
            "a group moves on"
        );
        if let Some(group) = self.group_mut(name) {
            group.last_id = last_id;
            group.entries_read = read;
        }
    }

    /// How many entries a group has not read yet; `None` if deletions make it unknowable (XINFO GROUPS `lag`). Negative
    /// if XGROUP SETID gave the group a count above that of the stream.
    ///
    /// Redis 7.2 tells a number in the same cases, but a wrong one where entries that a group had not read were trimmed
    /// or the stream was emptied; later versions tell these.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.marks().entries_added;
        if added == 0 || self.is_empty() {
            return Some(0);
        }
        if group.last_id < self.first_id() && !self.has_deleted_from(self.first_id()) {
            return Some(self.len() as i64);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_deleted_from(group.last_id) => read,
            _ => self.entries_up_to(group.last_id)?,
        };
        Some(added.wrapping_sub(read) as i64)
    }

    /// The number of entries ever added with ids up to this one, where it can be told: for the last id and beyond the
    /// last deletion for the first entry and what lies before it. As Redis 7.2 estimates it, `None` otherwise.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        let marks = self.marks();
        if marks.entries_added == 0 {
            return Some(0);
        }
        if self.is_empty() && id <= marks.last_id {
            return Some(marks.entries_added);
        }
        if id != StreamId::MIN && id < marks.max_deleted_id {
            return None;
        }
        if id >= marks.last_id {
            return (id == marks.last_id).then_some(marks.entries_added);
        }
        let whole = marks.max_deleted_id == StreamId::MIN || marks.max_deleted_id < marks.first_id;
        if !whole || id > marks.first_id {
            return None;
        }
        Some(marks.entries_added.saturating_sub(self.len()) + u64::from(id == marks.first_id))
    }

    /// Whether the greatest deleted id lies behind `id`, so that entries behind it may be missing.
    fn has_deleted_behind(&self, id: StreamId) -> bool {
        !self.is_empty() && self.marks().max_deleted_id > id
    }

    /// Whether the greatest deleted id lies at `id` or behind it, so that entries from there on may be missing.
    fn has_deleted_from(&self, id: StreamId) -> bool {
        let deleted = self.marks().max_deleted_id;
        !self.is_empty() && deleted != StreamId::MIN && id <= deleted
    }
}
