//! From silence to a node that has failed, and back.

use cairn_format::cluster::{Flags, NodeId};

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Level, Moment, Save};

/// Reports and votes are good for so many timeouts.
pub(super) const VALID_TIMEOUTS: u64 = 2;

impl Machine {
    /// A primary says that a node fails, or that it does not.
    pub(super) fn hear_report(
        &mut self,
        from: Ix,
        about: Ix,
        fails: bool,
        moment: &mut Moment<'_>,
    ) {
        let (reporter, subject) = (self.nodes.get(from).named(), self.nodes.get(about).named());
        let node = self.nodes.get_mut(about);
        if fails {
            if node.add_report(from, moment.now_ms) {
                self.log(
                    Level::Verbose,
                    format!("Node {reporter} reported node {subject} as not reachable."),
                );
            }
            self.mark_if_agreed(about, moment);
        } else if node.remove_report(from) {
            self.log(
                Level::Verbose,
                format!("Node {reporter} reported node {subject} is back online."),
            );
        }
    }

    /// How many say so, not too long ago.
    pub(super) fn reports_about(&mut self, about: Ix, now_ms: u64) -> usize {
        let valid_ms = VALID_TIMEOUTS * self.options.node_timeout_ms;
        let node = self.nodes.get_mut(about);
        node.reports
            .retain(|(_, at)| now_ms.saturating_sub(*at) <= valid_ms);
        node.reports.len()
    }

    /// A node that does not answer here has failed once most primaries say so.
    pub(super) fn mark_if_agreed(&mut self, about: Ix, moment: &mut Moment<'_>) {
        let node = self.nodes.get(about);
        if !node.is(Flags::PFAIL) || node.has_failed() {
            return;
        }
        let own = usize::from(self.has_voice(self.myself));
        if self.reports_about(about, moment.now_ms) + own < self.majority() {
            return;
        }
        let text = format!(
            "Marking node {} as failing (quorum reached).",
            self.nodes.get(about).named()
        );
        self.log(Level::Notice, text);
        self.fails(about, moment);
        self.send_failure(about);
    }

    fn fails(&mut self, ix: Ix, moment: &Moment<'_>) {
        let node = self.nodes.get_mut(ix);
        node.flags.set(Flags::PFAIL, false);
        node.flags.set(Flags::FAIL, true);
        node.failed_ms = moment.now_ms;
        self.save(Save::Plain);
        self.state.is_due = true;
    }

    /// A node says that most have found another one failed.
    pub(super) fn hear_failure(&mut self, from: Ix, id: &NodeId, moment: &Moment<'_>) {
        let Some(ix) = self.nodes.find(id) else {
            let text = format!(
                "Ignoring FAIL message from unknown node {} about {id}",
                self.nodes.get(from).id
            );
            self.log(Level::Notice, text);
            return;
        };
        if ix == self.myself || self.nodes.get(ix).has_failed() || self.nodes.get(ix).is_stranger()
        {
            return;
        }
        let text = format!(
            "FAIL message received from {} about {}",
            self.nodes.get(from).named(),
            self.nodes.get(ix).named()
        );
        self.log(Level::Notice, text);
        self.fails(ix, moment);
    }

    /// A node has answered on the own connection to it.
    pub(super) fn answered(&mut self, ix: Ix, moment: &Moment<'_>) {
        let node = self.nodes.get_mut(ix);
        node.pong_received_ms = Some(moment.now_ms);
        node.ping_sent_ms = None;
        node.flags.set(Flags::MEET, false);
        if node.is(Flags::PFAIL) {
            node.flags.set(Flags::PFAIL, false);
            self.save(Save::Plain);
            self.state.is_due = true;
        } else if node.has_failed() {
            self.clear_failure(ix, moment);
        }
    }

    /// A node that has failed and answers again is well, unless it has slots: then another may be about to take them.
    fn clear_failure(&mut self, ix: Ix, moment: &Moment<'_>) {
        let has_slots = self.has_voice(ix);
        let wait_ms = VALID_TIMEOUTS * self.options.node_timeout_ms;
        let node = self.nodes.get_mut(ix);
        let why = match has_slots {
            false if node.is_replica() => "replica is reachable again.",
            false => "master without slots is reachable again.",
            true if moment.now_ms.saturating_sub(node.failed_ms) > wait_ms => {
                "is reachable again and nobody is serving its slots after some time."
            }
            true => return,
        };
        node.flags.set(Flags::FAIL, false);
        let text = format!("Clear FAIL state for node {}: {why}", node.named());
        self.log(Level::Notice, text);
        self.save(Save::Plain);
        self.state.is_due = true;
    }

    /// Looks at how long a node has not answered.
    pub(super) fn watch(&mut self, ix: Ix, moment: &mut Moment<'_>) {
        let timeout_ms = self.options.node_timeout_ms;
        let node = self.nodes.get_mut(ix);
        let Some(since_ms) = node.ping_sent_ms else {
            return;
        };
        let since_data = node.data_received_ms.unwrap_or(node.born_ms).max(since_ms);
        if moment.now_ms.saturating_sub(since_data) <= timeout_ms
            || node.is(Flags::PFAIL | Flags::FAIL)
        {
            return;
        }
        node.flags.set(Flags::PFAIL, true);
        let text = format!("*** NODE {} possibly failing", node.named());
        self.log(Level::Verbose, text);
        self.state.is_due = true;
        self.save(Save::Plain);
        self.mark_if_agreed(ix, moment);
    }
}
