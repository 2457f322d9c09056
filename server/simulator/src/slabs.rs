//! Slabs of an allocator that is not there: their figures are set from outside, and any block may leave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use cairn_engine::base::random::Random;
use cairn_server::host::Slabs;

use crate::clock::SimClock;

/// One block of so many that are asked about leaves.
const BLOCKS_TO_A_MOVE: u64 = 2;

/// What was asked of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Passes that were begun.
    pub begun: u64,
    /// Passes that were ended.
    pub ended: u64,
    /// Blocks that somebody asked about.
    pub blocks: u64,
}

/// See the head of this file. A question takes a microsecond, as a move does about.
#[derive(Clone)]
pub struct SimSlabs {
    clock: Arc<SimClock>,
    /// Bytes that are used, and bytes that are held.
    figures: Rc<Cell<(u64, u64)>>,
    asked: Rc<Cell<Asked>>,
    is_under_way: Rc<Cell<bool>>,
    /// Nothing leaves.
    is_stuck: Rc<Cell<bool>>,
    random: Rc<RefCell<Random>>,
}

impl SimSlabs {
    pub(crate) fn new(clock: &Arc<SimClock>, seed: u64) -> SimSlabs {
        SimSlabs {
            clock: Arc::clone(clock),
            figures: Rc::default(),
            asked: Rc::default(),
            is_under_way: Rc::default(),
            is_stuck: Rc::default(),
            random: Rc::new(RefCell::new(Random::new(seed))),
        }
    }

    /// Bytes that are used, and bytes that are held, from now on.
    pub fn set(&self, used: u64, held: u64) {
        self.figures.set((used, held));
    }

    /// From now on no block leaves, or some do.
    pub fn stick(&self, is_stuck: bool) {
        self.is_stuck.set(is_stuck);
    }

    /// What was asked so far.
    pub fn asked(&self) -> Asked {
        self.asked.get()
    }

    /// Another process begins: nothing is marked.
    pub(crate) fn begin_anew(&self) {
        self.is_under_way.set(false);
    }

    fn note(&self, change: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.get();
        change(&mut asked);
        self.asked.set(asked);
    }
}

impl Slabs for SimSlabs {
    fn used(&self) -> u64 {
        self.figures.get().0
    }

    fn held(&self) -> u64 {
        self.figures.get().1
    }

    fn choose(&self) -> Option<usize> {
        assert!(!self.is_under_way.get(), "a pass begins in another one");
        let (used, held) = self.figures.get();
        let chosen = held.saturating_sub(used);
        self.is_under_way.set(chosen > 0);
        self.note(|asked| asked.begun += u64::from(chosen > 0));
        Some(chosen as usize)
    }

    fn is_leaving(&self, _: *const u8) -> bool {
        assert!(self.is_under_way.get(), "asked outside of a pass");
        self.clock.pass(1);
        self.note(|asked| asked.blocks += 1);
        // By chance, not by its address, which is another one in each run.
        !self.is_stuck.get() && self.random.borrow_mut().below(BLOCKS_TO_A_MOVE) == 0
    }

    fn end(&self) {
        assert!(self.is_under_way.get(), "a pass ends that has not begun");
        self.is_under_way.set(false);
        self.note(|asked| asked.ended += 1);
    }

    fn age(&self) {}

    fn tidy(&self) -> bool {
        false
    }
}
