//! Which offset of the stream follows which position of the journal.
//!
//! Positions count changes alone, offsets also SELECT, PING and the like. WAIT knows the position behind what a session wrote
//! and asks for the offset; a replica knows up to which position its log is on the disk and tells the offset.

use std::collections::VecDeque;

/// Pairs that are kept. With more every other one goes, which makes answers later than they need be, never wrong.
const KEPT: usize = 128;

/// Pairs of a position and the offset behind the same change; both rise.
#[derive(Debug, Default)]
pub struct Marks {
    pairs: VecDeque<(u64, u64)>,
}

impl Marks {
    /// The stream holds everything up to `position`, and ends at `offset`. What follows without a change moves no pair.
    pub fn note(&mut self, position: u64, offset: u64) {
        if let Some(&(last, end)) = self.pairs.back() {
            assert!(last <= position && end <= offset, "the stream goes back");
            if last == position {
                return;
            }
        }
        self.pairs.push_back((position, offset));
        if self.pairs.len() > KEPT {
            let newest = self.pairs.len() - 1;
            let mut at = 0;
            self.pairs.retain(|_| {
                at += 1;
                at - 1 == newest || at % 2 == 0
            });
        }
    }

    /// Another stream: what was noted is of no use.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// An offset with which everything up to `position` is in the stream; none if that is not known.
    pub fn offset_of(&self, position: u64) -> Option<u64> {
        let at = self.pairs.partition_point(|(noted, _)| *noted < position);
        self.pairs.get(at).map(|(_, offset)| *offset)
    }

    /// The largest offset that everything up to `position` suffices for; none if that is not known.
    pub fn offset_within(&self, position: u64) -> Option<u64> {
        let end = self.pairs.partition_point(|(noted, _)| *noted <= position);
        let at = end.checked_sub(1)?;
        self.pairs.get(at).map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_on_the_safe_side() {
        let mut marks = Marks::default();
        assert_eq!((marks.offset_of(0), marks.offset_within(9)), (None, None));
        for n in 1..2000 {
            marks.note(n * 10, n * 100);
            marks.note(n * 10, n * 100 + 14);
        }
        assert!(marks.pairs.len() <= KEPT + 1);
        for position in 10..19_990 {
            let later = marks.offset_of(position).unwrap();
            assert!(later >= position.div_ceil(10) * 100);
            if let Some(earlier) = marks.offset_within(position) {
                assert!(earlier <= position / 10 * 100);
            }
        }
        assert_eq!(marks.offset_of(19_990), Some(199_900));
        assert_eq!(marks.offset_of(19_991), None);
        assert_eq!(marks.offset_within(u64::MAX), Some(199_900));
    }
}
