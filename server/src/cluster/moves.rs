//! Slots that move as one, as this node knows of them: those that leave, those that come, those whose keys go after they have left.

use std::collections::VecDeque;

use cairn_cluster::moves::{Move, State};
use cairn_cluster::seam::Moment;
use cairn_engine::base::id::SessionId;
use cairn_engine::outgoing::Outgoing;
use cairn_format::cluster::SlotSet;

use crate::journal::{Subscriber, Unit};

/// Moves that are over and still told of.
const PAST_MAX: usize = 1000;

/// Slots that leave.
#[derive(Debug)]
pub struct Export {
    /// What both ends know.
    pub what: Move,
    /// Which keys are sent.
    pub outgoing: Outgoing,
    /// What has changed since it was looked at last; from the target's leave on.
    pub reader: Option<Subscriber>,
    /// The connection to the target.
    pub slot: Option<usize>,
    /// Lines of the target that only say that it lets this server in.
    pub greetings: usize,
    /// The writes of this server stand still for it.
    pub holds: bool,
    /// Bytes that waited for the target in the turn before.
    pub waited: usize,
    /// When the target is told next that the source is there, monotonic milliseconds.
    pub ping_ms: u64,
    /// When the target is asked again for its leave, monotonic milliseconds.
    pub ask_ms: Option<u64>,
}

/// Slots that come.
#[derive(Debug)]
pub struct Import {
    /// What both ends know.
    pub what: Move,
    /// Where they come from; none once that connection has ended.
    pub session: Option<SessionId>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Moves {
    /// Under way.
    pub exports: Vec<Export>,
    /// Under way.
    pub imports: Vec<Import>,
    /// Over, the newest last.
    pub past: VecDeque<Move>,
    /// Slots whose keys go; they are hidden.
    pub dropping: VecDeque<u16>,
}

impl Moves {
    /// Nothing moves, and nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.exports.is_empty() && self.imports.is_empty() && self.dropping.is_empty()
    }

    /// A unit of changes, for those that are sent on.
    #[inline]
    pub fn take(&mut self, unit: &Unit) {
        for export in &mut self.exports {
            if let Some(reader) = &mut export.reader {
                reader.take(unit, None);
            }
        }
    }

    /// Those under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Move> {
        let exports = self.exports.iter().map(|export| &export.what);
        exports.chain(self.imports.iter().map(|import| &import.what))
    }

    /// Those under way and those that are over, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &Move> {
        self.under_way().chain(self.past.iter().rev())
    }

    /// Slots may have become another's, and nobody here knows.
    pub fn give_slots(&self) -> bool {
        self.under_way().any(Move::holds_writes)
    }

    /// Slots have become this node's in this turn.
    pub fn have_come(&self) -> bool {
        let mut imports = self.imports.iter();
        imports.any(|import| import.what.state == State::Success)
    }

    /// The slots of those under way.
    pub fn busy(&self) -> SlotSet {
        self.under_way()
            .flat_map(|what| what.slots.iter())
            .collect()
    }

    /// The one that comes through a session.
    pub fn import_of(&mut self, session: SessionId) -> Option<&mut Import> {
        self.imports
            .iter_mut()
            .find(|import| import.session == Some(session))
    }

    /// What comes is worth nothing: who brings it is told at its end.
    pub fn fail_imports(&mut self, why: &str, moment: &Moment<'_>) {
        for import in &mut self.imports {
            import.what.fail(State::Failed, why, moment);
        }
    }

    /// Puts those that are over where they are only told of.
    pub fn sort_out(&mut self) {
        let exports = self
            .exports
            .extract_if(.., |export| export.what.state.is_over());
        self.past.extend(exports.map(|export| export.what));
        let imports = self
            .imports
            .extract_if(.., |import| import.what.state.is_over());
        for import in imports {
            if import.what.state != State::Success {
                self.dropping.extend(import.what.slots.iter());
            }
            self.past.push_back(import.what);
        }
        let excess = self.past.len().saturating_sub(PAST_MAX);
        self.past.drain(..excess);
    }
}
