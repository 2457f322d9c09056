//! Who has each slot.
//!
//! Invariants: the count of a node is how often the table names it; `mine` are the slots of the node itself; a slot that its owner no longer claims
//! has an owner.

use cairn_format::cluster::SlotSet;
use cairn_format::crc16::SLOTS;

use crate::nodes::Ix;

/// What the table says of slots that nobody has.
const NOBODY: u16 = u16::MAX;

/// Who has each slot.
#[derive(Debug)]
pub(crate) struct Owners {
    table: Box<[u16]>,
    /// Slots of each node, by index.
    counts: Vec<u16>,
    assigned: usize,
    /// Slots of the node itself.
    mine: SlotSet,
    /// Slots whose owner no longer says that they are its own.
    unclaimed: SlotSet,
    /// Raised by each change.
    version: u64,
}

impl Owners {
    /// Nobody has any.
    pub fn new() -> Owners {
        Owners {
            table: vec![NOBODY; usize::from(SLOTS)].into(),
            counts: Vec::new(),
            assigned: 0,
            mine: SlotSet::new(),
            unclaimed: SlotSet::new(),
            version: 1,
        }
    }

    /// Who has a slot.
    pub fn of(&self, slot: u16) -> Option<Ix> {
        let owner = self.table[usize::from(slot)];
        (owner != NOBODY).then_some(Ix(owner))
    }

    /// How many slots a node has.
    pub fn count(&self, node: Ix) -> usize {
        self.counts
            .get(usize::from(node.0))
            .map_or(0, |count| usize::from(*count))
    }

    /// How many slots have an owner.
    pub fn assigned(&self) -> usize {
        self.assigned
    }

    /// Slots of the node itself.
    pub fn mine(&self) -> &SlotSet {
        &self.mine
    }

    /// A number that is another one after each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the owner of a slot no longer says that it is its own.
    pub fn is_unclaimed(&self, slot: u16) -> bool {
        self.unclaimed.contains(slot)
    }

    /// The owner says that the slot is its own, or no longer.
    pub fn set_unclaimed(&mut self, slot: u16, is_unclaimed: bool) {
        let changed = match is_unclaimed {
            true => self.unclaimed.insert(slot),
            false => self.unclaimed.remove(slot),
        };
        self.version += u64::from(changed);
    }

    /// Gives a slot to a node or to nobody. `myself`: the node itself.
    pub fn set(&mut self, slot: u16, owner: Option<Ix>, myself: Ix) {
        let before = self.of(slot);
        self.set_unclaimed(slot, false);
        if before == owner {
            return;
        }
        self.version += 1;
        if let Some(before) = before {
            self.counts[usize::from(before.0)] -= 1;
            self.assigned -= 1;
        }
        if let Some(owner) = owner {
            let at = usize::from(owner.0);
            if self.counts.len() <= at {
                self.counts.resize(at + 1, 0);
            }
            self.counts[at] += 1;
            self.assigned += 1;
        }
        self.table[usize::from(slot)] = owner.map_or(NOBODY, |owner| owner.0);
        match owner == Some(myself) {
            true => self.mine.insert(slot),
            false => self.mine.remove(slot),
        };
    }

    /// Slots that follow each other and have one owner, in order: owner, first, last.
    fn runs(&self) -> impl Iterator<Item = (Ix, u16, u16)> + '_ {
        let mut next = 0;
        let runs = self.table.chunk_by(|one, other| one == other);
        let runs = runs.map(move |run| {
            let first = next;
            next += run.len() as u16;
            (Ix(run[0]), first, next - 1)
        });
        runs.filter(|(owner, ..)| owner.0 != NOBODY)
    }

    /// Slots of a node, in order.
    pub fn slots_of(&self, node: Ix) -> impl Iterator<Item = u16> + '_ {
        let runs = (self.count(node) > 0).then(|| self.runs());
        let runs = runs.into_iter().flatten();
        runs.filter(move |(owner, ..)| *owner == node)
            .flat_map(|(_, first, last)| first..=last)
    }

    /// Slots of a node as a set.
    pub fn set_of(&self, node: Ix) -> SlotSet {
        let mut set = SlotSet::new();
        if self.count(node) > 0 {
            let runs = self.runs().filter(|(owner, ..)| *owner == node);
            runs.for_each(|(_, first, last)| set.insert_range(first, last));
        }
        set
    }

    /// Ranges of all nodes in one walk: owner, first, last.
    pub fn ranges(&self) -> Vec<(Ix, u16, u16)> {
        self.runs().collect()
    }

    /// Whether counts and sets are what the table says.
    pub fn check(&self, myself: Ix) -> Result<(), String> {
        let mut counts = vec![0; self.counts.len()];
        let (mut mine, mut owned) = (SlotSet::new(), SlotSet::new());
        for (owner, first, last) in self.runs() {
            counts[usize::from(owner.0)] += last - first + 1;
            owned.insert_range(first, last);
            if owner == myself {
                mine.insert_range(first, last);
            }
        }
        if mine != self.mine {
            let (has, told) = (&self.mine, &mine);
            return Err(format!(
                "its own slots are {has:?}, and {told:?} by the table"
            ));
        }
        if !self.unclaimed.is_within(&owned) {
            return Err("a slot has no owner who could claim it".to_owned());
        }
        let sum: usize = counts.iter().map(|count| usize::from(*count)).sum();
        match counts == self.counts && sum == self.assigned {
            true => Ok(()),
            false => Err("counts of slots are not those of the table".to_owned()),
        }
    }
}
