//! What time brings, ten times a second. Each node is visited once.

use cairn_format::cluster::{Flags, Kind};

use super::Machine;
use crate::nodes::{Ix, Link, Node};
use crate::seam::Moment;

/// A stranger says who it is within so long at least, milliseconds.
const STRANGER_MIN_MS: u64 = 1000;
/// Each so many ticks one node is asked at random.
const TICKS_OF_RANDOM: u64 = 10;
/// Of so many the one that was silent longest.
const RANDOM_NODES: usize = 5;

impl Machine {
    /// A tenth of a second has passed.
    pub fn tick(&mut self, moment: &mut Moment<'_>) {
        self.ticks += 1;
        self.state.is_due |= self.seen != self.options;
        self.seen.clone_from(&self.options);
        self.forgotten.retain(|_, until| *until > moment.now_ms);
        for ix in self.nodes.places() {
            if ix != self.myself {
                self.visit(ix, moment);
            }
        }
        if self.ticks.is_multiple_of(TICKS_OF_RANDOM) {
            self.ping_random(moment);
        }
        self.look_after_orphans(moment);
        self.go_on_manual(moment);
        self.leave_sub_replica();
        self.leave_circle(moment);
        self.keep_following();
        self.settle(moment);
        if !self.state.is_ok {
            self.evaluate(moment);
        }
    }

    /// What follows from what has just happened.
    pub(super) fn settle(&mut self, moment: &mut Moment<'_>) {
        self.stand(moment);
        if self.state.is_due {
            self.evaluate(moment);
        }
    }

    fn visit(&mut self, ix: Ix, moment: &mut Moment<'_>) {
        let timeout_ms = self.options.node_timeout_ms;
        let stranger_ms = timeout_ms.max(STRANGER_MIN_MS);
        let node = self.nodes.get(ix);
        if node.is_stranger() && moment.now_ms.saturating_sub(node.born_ms) > stranger_ms {
            self.remove_node(ix);
            return;
        }
        if node.flags.has(Flags::NOADDR) || node.ip.is_empty() {
            return;
        }
        if node.link == Link::None {
            self.connect(ix, moment);
        }
        if self.is_link_dead(ix, moment) {
            self.disconnect(ix);
        }
        if self.nodes.get(ix).is_stranger() {
            return;
        }
        self.ping_if_silent(ix, moment);
        self.meet_again(ix, stranger_ms, moment);
        self.watch(ix, moment);
    }

    /// An old connection on which nothing comes is made anew, well before the node is taken for failed.
    fn is_link_dead(&self, ix: Ix, moment: &Moment<'_>) -> bool {
        let timeout_ms = self.options.node_timeout_ms;
        let since = |at: u64| moment.now_ms.saturating_sub(at);
        let node = self.nodes.get(ix);
        let (Link::Up { since_ms } | Link::Asked { since_ms }) = node.link else {
            return false;
        };
        let waits_ms = node.ping_sent_ms.map_or(0, since);
        let is_silent = node
            .data_received_ms
            .is_none_or(|at| since(at) > timeout_ms / 2);
        // What comes on the connection that the node made says nothing about this one (Redis waits on as long as anything comes).
        since(since_ms) > timeout_ms
            && (waits_ms > timeout_ms || (waits_ms > timeout_ms / 2 && is_silent))
    }

    fn ping_if_silent(&mut self, ix: Ix, moment: &mut Moment<'_>) {
        let interval_ms = match self.options.ping_interval_ms {
            0 => self.options.node_timeout_ms / 2,
            interval_ms => interval_ms,
        };
        let node = self.nodes.get(ix);
        let is_silent = node
            .pong_received_ms
            .is_none_or(|at| moment.now_ms.saturating_sub(at) > interval_ms);
        if node.is_up() && node.ping_sent_ms.is_none() && is_silent {
            self.ping(ix, Kind::Ping, moment);
        }
    }

    /// A node that answers and has never come may not know this one: a MEET was lost on its side.
    fn meet_again(&mut self, ix: Ix, every_ms: u64, moment: &mut Moment<'_>) {
        let node = self.nodes.get_mut(ix);
        let is_one_sided = node.is_up() && !node.has_come && node.pong_received_ms.is_some();
        if is_one_sided && moment.now_ms.saturating_sub(node.met_ms) > every_ms {
            node.met_ms = moment.now_ms;
            self.ping(ix, Kind::Meet, moment);
        }
    }

    fn ping_random(&mut self, moment: &mut Moment<'_>) {
        let reach = self.nodes.reach() as u64;
        let mut oldest: Option<(Ix, Option<u64>)> = None;
        for _ in 0..RANDOM_NODES {
            let Some(ix) = self.nodes.at(moment.below(reach) as usize) else {
                continue;
            };
            let node = self.nodes.get(ix);
            let fits =
                |node: &Node| node.is_up() && node.ping_sent_ms.is_none() && !node.is_stranger();
            let is_older = oldest.is_none_or(|(_, at)| node.pong_received_ms < at);
            if ix != self.myself && fits(node) && is_older {
                oldest = Some((ix, node.pong_received_ms));
            }
        }
        if let Some((ix, _)) = oldest {
            self.ping(ix, Kind::Ping, moment);
        }
    }
}
