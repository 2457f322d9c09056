//! A failover that somebody asked for: the primary stands still until the replica has all, and then stands.

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Action, Level, Moment};

/// So long it may take, milliseconds.
pub(super) const LIMIT_MS: u64 = 5000;
/// And so long clients' writes wait at most.
const PAUSE_MS: u64 = 2 * LIMIT_MS;

/// A failover that somebody asked for.
#[derive(Debug, Default)]
pub(super) struct Manual {
    /// It is given up then.
    until_ms: Option<u64>,
    /// On a primary: who asked.
    replica: Option<Ix>,
    /// On a replica: where the primary stands still.
    offset: Option<u64>,
    /// On a replica: it has all, or does not care.
    can_start: bool,
}

impl Manual {
    pub fn is_on(&self) -> bool {
        self.until_ms.is_some()
    }

    /// Whether this primary stands still.
    pub fn pauses(&self) -> bool {
        self.is_on() && self.replica.is_some()
    }

    /// Whether this replica may stand though its primary is up.
    pub fn may_start(&self) -> bool {
        self.is_on() && self.can_start
    }
}

impl Machine {
    /// A replica of this primary asks it to stand still.
    pub(super) fn stand_still_for(&mut self, ix: Ix, moment: &mut Moment<'_>) {
        if self.nodes.get(ix).primary != Some(self.myself) {
            return;
        }
        self.end_manual();
        self.manual.until_ms = Some(moment.now_ms + LIMIT_MS);
        self.manual.replica = Some(ix);
        self.act(Action::PauseWrites(moment.now_ms + PAUSE_MS));
        let text = format!(
            "Manual failover requested by replica {}.",
            self.nodes.get(ix).named()
        );
        self.log(Level::Warning, text);
        self.ping(ix, cairn_format::cluster::Kind::Ping, moment);
    }

    /// A replica begins.
    pub(super) fn begin_manual(&mut self, can_start: bool, moment: &Moment<'_>) {
        self.end_manual();
        self.manual.until_ms = Some(moment.now_ms + LIMIT_MS);
        self.manual.can_start = can_start;
        // An attempt that waits would only be in the way.
        self.election = super::election::Election::default();
    }

    /// The primary stands still, and says where.
    pub(super) fn primary_stands_still(&mut self, offset: u64) {
        if self.manual.is_on() && self.manual.offset.is_none() {
            self.manual.offset = Some(offset);
            self.log(
                Level::Notice,
                format!("Received replication offset for paused master manual failover: {offset}"),
            );
        }
    }

    /// Goes on with it, or gives it up.
    pub(super) fn go_on_manual(&mut self, moment: &mut Moment<'_>) {
        let Some(until_ms) = self.manual.until_ms else {
            return;
        };
        if moment.now_ms > until_ms {
            self.log(Level::Warning, "Manual failover timed out.");
            self.end_manual();
        } else if let Some(replica) = self.manual.replica {
            self.ping(replica, cairn_format::cluster::Kind::Ping, moment);
        } else if !self.manual.can_start && self.manual.offset == Some(self.local.offset) {
            self.manual.can_start = true;
            self.log(
                Level::Notice,
                "All master replication stream processed, manual failover can start.",
            );
        }
    }

    /// It is over, one way or another.
    pub(super) fn end_manual(&mut self) {
        if self.manual.pauses() {
            self.act(Action::ResumeWrites);
        }
        self.manual = Manual::default();
    }

    /// A node is gone that may have asked for it.
    pub(super) fn manual_forgets(&mut self, ix: Ix) {
        if self.manual.replica == Some(ix) {
            self.end_manual();
        }
    }
}
