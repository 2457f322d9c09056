//! What time brings: pings, newlines for those who wait, replicas that are lost, a backlog that nobody reads.

use super::{Action, Level, PeerId, Primary, State};
use crate::history::ReplId;

/// What is configured of it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// `repl-ping-replica-period`.
    pub ping_ms: u64,
    /// `repl-timeout`.
    pub timeout_ms: u64,
    /// `repl-backlog-ttl`; 0: it is kept for good.
    pub backlog_ttl_ms: u64,
    /// Pings are in the way of a switch that waits for equal offsets.
    pub no_pings: bool,
    /// The stream is that of a primary above this server: nothing of our own enters it, and it is never given up.
    pub follows: bool,
    /// And that primary is away, so that nothing comes that could be passed on.
    pub is_cut_off: bool,
}

/// A ping of the stream.
const PING: &[u8] = b"*1\r\n$4\r\nping\r\n";

impl Primary {
    /// Once a second. `fresh`: an id that was not used yet.
    pub fn tick(&mut self, now_ms: u64, timing: &Timing, fresh: ReplId) {
        self.ping(now_ms, timing);
        self.keep_waiting_alive(timing.is_cut_off);
        self.drop_silent(now_ms, timing.timeout_ms);
        let ttl = timing.backlog_ttl_ms;
        let is_over = |since: u64| ttl > 0 && now_ms.saturating_sub(since) >= ttl;
        if !timing.follows && self.backlog.is_some() && self.alone_since_ms.is_some_and(is_over) {
            self.alone_since_ms = None;
            self.backlog = None;
            self.history.begin_anew(fresh);
            self.log(
                Level::Notice,
                format!(
                    "Replication backlog freed after {} seconds without connected replicas.",
                    ttl / 1000
                ),
            );
        }
        self.trim();
    }

    fn ping(&mut self, now_ms: u64, timing: &Timing) {
        let is_due = now_ms.saturating_sub(self.pinged_at_ms) >= timing.ping_ms;
        if timing.follows || timing.no_pings || !is_due || self.followers() == 0 {
            return;
        }
        self.pinged_at_ms = now_ms;
        self.actions.push(Action::Enter(PING.to_vec()));
    }

    /// Who waits for a snapshot hears a newline now and then, which is no part of the stream; and so does who has all of a stream
    /// that stands still because the primary above is away, if it does not count that.
    fn keep_waiting_alive(&mut self, is_cut_off: bool) {
        let end = self.history.offset();
        for replica in self.replicas.values() {
            let waits = match replica.state {
                State::Waits { .. } | State::Snapshot { .. } => true,
                State::Online { next } => is_cut_off && replica.capa.empty_lines && next > end,
                _ => false,
            };
            if waits {
                self.actions
                    .push(Action::Send(replica.peer, b"\n".to_vec()));
            }
        }
    }

    fn drop_silent(&mut self, now_ms: u64, timeout_ms: u64) {
        let silent = |replica: &&super::Replica| {
            matches!(replica.state, State::Marked { .. } | State::Online { .. })
                && replica.knows_offsets
                && now_ms.saturating_sub(replica.acked_at_ms) > timeout_ms
        };
        let lost: Vec<(PeerId, String)> = self
            .replicas
            .values()
            .filter(silent)
            .map(|replica| (replica.peer, replica.name()))
            .collect();
        for (peer, name) in lost {
            self.log(
                Level::Warning,
                format!("Disconnecting timedout replica (streaming sync): {name}"),
            );
            self.actions.push(Action::Close(peer));
        }
    }

    /// Replicas that are online and acknowledged within `max_lag_s` seconds.
    pub fn good(&self, now_ms: u64, max_lag_s: u64) -> usize {
        let good =
            |replica: &&super::Replica| replica.is_online() && replica.lag_s(now_ms) <= max_lag_s;
        super::distinct(self.replicas.values().filter(good))
    }
}
