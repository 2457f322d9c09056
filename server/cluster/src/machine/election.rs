//! A replica stands for its primary's slots, and gets votes or not.

use cairn_format::cluster::{Flags, Header, mflags};

use super::Machine;
use super::failure::VALID_TIMEOUTS;
use crate::nodes::Ix;
use crate::seam::{Level, Moment, Save, Upstream};

/// Votes are waited for at least so long, milliseconds.
const VOTES_MIN_MS: u64 = 2000;
/// So long all wait, so that the failure is known everywhere; and up to so much longer at random.
const DELAY_MS: u64 = 500;
const DELAY_RANDOM_MS: u64 = 500;
/// So much longer for each replica that has more.
const RANK_MS: u64 = 1000;
/// And for each failed primary that comes first, so that shards that fail together do not stand in one epoch.
const SHARD_RANK_MS: u64 = 500;
/// The same reason is told again after so long.
const REASON_MS: u64 = 10_000;
/// And not before the failure is so old, beyond the timeout.
const REASON_QUIET_MS: u64 = 5000;

/// Where a replica stands.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// When it asks for votes.
    start_ms: Option<u64>,
    /// It has asked.
    is_asked: bool,
    epoch: u64,
    votes: Vec<Ix>,
    rank: u64,
    /// What the log was told last, and when.
    told: Option<(Reason, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    DataAge,
    Delay,
    Expired,
    Votes,
}

impl Machine {
    /// Stands, asks, wins, as far as it is time.
    pub(super) fn stand(&mut self, moment: &mut Moment<'_>) {
        let Some(primary) = self.me().primary else {
            return;
        };
        let is_manual = self.manual.may_start();
        let is_needed =
            self.owners.count(primary) > 0 && (self.nodes.get(primary).has_failed() || is_manual);
        if !is_needed || (self.options.no_failover && !is_manual) {
            return;
        }
        if !is_manual && self.is_too_old() {
            self.tell(Reason::DataAge, moment);
            return;
        }
        let votes_ms = (2 * self.options.node_timeout_ms).max(VOTES_MIN_MS);
        let is_over = |start: u64| moment.now_ms.saturating_sub(start) > 2 * votes_ms;
        if self.election.start_ms.is_none_or(is_over) {
            self.announce(primary, is_manual, moment);
        }
        let Some(start_ms) = self.election.start_ms else {
            return;
        };
        let start_ms = match self.election.is_asked || is_manual {
            true => start_ms,
            false => self.fall_behind(primary, start_ms),
        };
        if moment.now_ms < start_ms {
            self.tell(Reason::Delay, moment);
        } else if moment.now_ms - start_ms > votes_ms {
            self.tell(Reason::Expired, moment);
        } else if !self.election.is_asked {
            self.ask(moment);
        } else if self.election.votes.len() >= self.majority() {
            self.win(moment);
        } else {
            self.tell(Reason::Votes, moment);
        }
    }

    /// Whether its data is so old that another should have the slots.
    fn is_too_old(&self) -> bool {
        let timeout_ms = self.options.node_timeout_ms;
        let age_ms = match self.local.upstream {
            Upstream::Never => return true,
            Upstream::Up { silent_ms } => silent_ms,
            Upstream::Down { away_ms } => away_ms,
        };
        let age_ms = if age_ms > timeout_ms {
            age_ms - timeout_ms
        } else {
            age_ms
        };
        let factor = self.options.validity_factor;
        factor > 0 && age_ms > self.options.replication_ping_ms + timeout_ms * factor
    }

    /// Sets the time of the election.
    fn announce(&mut self, primary: Ix, is_manual: bool, moment: &mut Moment<'_>) {
        let (rank, shard_rank) = match is_manual {
            true => (0, 0),
            false => (self.rank(primary), self.shard_rank(primary)),
        };
        let delay_ms = match is_manual {
            true => 0,
            false => {
                DELAY_MS
                    + moment.below(DELAY_RANDOM_MS)
                    + rank * RANK_MS
                    + shard_rank * SHARD_RANK_MS
            }
        };
        self.election = Election {
            start_ms: Some(moment.now_ms + delay_ms),
            rank,
            ..Election::default()
        };
        let offset = self.local.offset;
        self.log(Level::Notice, format!("Start of election delayed for {delay_ms} milliseconds (rank #{rank}, offset {offset})."));
        // The others of the shard see how much this one has.
        self.tell_shard(moment);
    }

    /// Other replicas of the primary that have more; of equals the smaller id is first.
    fn rank(&self, primary: Ix) -> u64 {
        let mine = (self.local.offset, std::cmp::Reverse(self.id()));
        let ahead = self.nodes.replicas(primary).filter(|(ix, node)| {
            *ix != self.myself
                && !node.is(Flags::NOFAILOVER)
                && (node.offset, std::cmp::Reverse(node.id)) > mine
        });
        ahead.count() as u64
    }

    fn shard_rank(&self, primary: Ix) -> u64 {
        let id = self.nodes.get(primary).id;
        let failed = self
            .nodes
            .iter()
            .filter(|(ix, node)| node.has_failed() && self.has_voice(*ix) && node.id < id);
        failed.count() as u64
    }

    /// Who falls behind while it waits, waits longer.
    fn fall_behind(&mut self, primary: Ix, start_ms: u64) -> u64 {
        let rank = self.rank(primary);
        if rank <= self.election.rank {
            return start_ms;
        }
        let added_ms = (rank - self.election.rank) * RANK_MS;
        self.election.rank = rank;
        self.election.start_ms = Some(start_ms + added_ms);
        self.log(
            Level::Notice,
            format!("Replica rank updated to #{rank}, added {added_ms} milliseconds of delay."),
        );
        start_ms + added_ms
    }

    fn ask(&mut self, moment: &mut Moment<'_>) {
        self.current_epoch += 1;
        self.election.epoch = self.current_epoch;
        self.election.is_asked = true;
        self.log(
            Level::Notice,
            format!(
                "Starting a failover election for epoch {}.",
                self.current_epoch
            ),
        );
        self.ask_for_votes(self.manual.is_on());
        self.save(Save::Synced);
        self.state.is_due = true;
        debug_assert!(
            self.election
                .start_ms
                .is_some_and(|start| start <= moment.now_ms)
        );
    }

    fn win(&mut self, moment: &mut Moment<'_>) {
        let epoch = self.election.epoch;
        self.log(Level::Notice, "Failover election won: I'm the new master.");
        if self.me().config_epoch < epoch {
            self.me_mut().config_epoch = epoch;
            self.log(
                Level::Notice,
                format!("configEpoch set to {epoch} after successful failover"),
            );
        }
        self.election = Election::default();
        self.replace_primary(moment);
    }

    fn tell(&mut self, reason: Reason, moment: &Moment<'_>) {
        let is_told = |(told, at): (Reason, u64)| {
            told == reason && moment.now_ms.saturating_sub(at) < REASON_MS
        };
        let quiet_ms = self.options.node_timeout_ms + REASON_QUIET_MS;
        let failed = self.me().primary.map(|primary| self.nodes.get(primary));
        let is_fresh = failed.is_some_and(|node| {
            node.has_failed() && moment.now_ms.saturating_sub(node.failed_ms) < quiet_ms
        });
        if self.election.told.is_some_and(is_told) || is_fresh {
            return;
        }
        self.election.told = Some((reason, moment.now_ms));
        let (needed, votes) = (self.majority(), self.election.votes.len());
        let quorum = format!(" Needed quorum: {needed}. Number of votes received so far: {votes}");
        let text = match reason {
            Reason::DataAge => {
                "Disconnected from master for longer than allowed. Please check the 'cluster-replica-validity-factor' configuration option."
            }
            Reason::Delay => "Waiting the delay before I can start a new failover.",
            Reason::Expired => "Failover attempt expired.",
            Reason::Votes => "Waiting for votes, but majority still not reached.",
        };
        let quorum = match reason {
            Reason::Expired | Reason::Votes => quorum,
            Reason::DataAge | Reason::Delay => String::new(),
        };
        self.log(
            Level::Notice,
            format!("Currently unable to failover: {text}{quorum}"),
        );
    }

    /// A replica asks for a vote.
    pub(super) fn vote(&mut self, ix: Ix, header: &Header, moment: &Moment<'_>) {
        if !self.is_primary() || !self.has_voice(self.myself) {
            return;
        }
        let name = self.nodes.get(ix).named();
        if let Some(why) = self.vote_refusal(ix, header, moment) {
            self.log(
                Level::Warning,
                format!("Failover auth denied to {name}: {why}"),
            );
            return;
        }
        if let Some(primary) = self.nodes.get(ix).primary {
            self.nodes.get_mut(primary).voted_ms = Some(moment.now_ms);
        }
        self.last_vote_epoch = self.current_epoch;
        self.save(Save::Synced);
        self.send_vote(ix);
        self.log(
            Level::Notice,
            format!(
                "Failover auth granted to {name} for epoch {}",
                self.current_epoch
            ),
        );
    }

    fn vote_refusal(&self, ix: Ix, header: &Header, moment: &Moment<'_>) -> Option<String> {
        let (request, current) = (header.current_epoch, self.current_epoch);
        if request < current {
            return Some(format!("reqEpoch ({request}) < curEpoch({current})"));
        }
        if self.last_vote_epoch == current {
            return Some(format!("already voted for epoch {current}"));
        }
        let node = self.nodes.get(ix);
        if node.is_primary() {
            return Some("it is a master node".to_owned());
        }
        let Some(primary) = node.primary else {
            return Some("I don't know its master".to_owned());
        };
        let primary = self.nodes.get(primary);
        if !primary.has_failed() && header.mflags & mflags::FORCE_ACK == 0 {
            return Some("its master is up".to_owned());
        }
        let wait_ms = VALID_TIMEOUTS * self.options.node_timeout_ms;
        let since = primary.voted_ms.map(|at| moment.now_ms.saturating_sub(at));
        if let Some(since) = since.filter(|since| *since < wait_ms) {
            return Some(format!(
                "can't vote about this master before {} milliseconds",
                wait_ms - since
            ));
        }
        let epoch = header.config_epoch;
        header.slots.iter().find_map(|slot| {
            let owner = self.nodes.get(self.owners.of(slot)?).config_epoch;
            (owner > epoch).then(|| format!("slot {slot} epoch ({owner}) > reqEpoch ({epoch})"))
        })
    }

    /// A primary has voted for this node.
    pub(super) fn hear_vote(&mut self, ix: Ix, header: &Header, moment: &mut Moment<'_>) {
        let counts = self.has_voice(ix)
            && self.election.is_asked
            && header.current_epoch >= self.election.epoch;
        if counts && !self.election.votes.contains(&ix) {
            self.election.votes.push(ix);
            self.stand(moment);
        }
    }
}
