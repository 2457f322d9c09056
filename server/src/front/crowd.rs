//! Clients that together take more memory than they may (`maxmemory-clients`): weighed, and closed from the largest down.

use cairn_engine::session::{Role, Sessions};

use super::Front;
use crate::clients::weight;
use crate::net::Cause;

impl Front {
    /// Notes what a client takes now. Call it while none of its commands runs, and only with a limit.
    pub fn weigh(&mut self, slot: usize, sessions: &Sessions) {
        debug_assert_ne!(
            self.clients.running_slot(),
            Some(slot),
            "its buffers are with the loop"
        );
        let session = self.clients.session_on(slot);
        let session = session.and_then(|session| sessions.get(session));
        if let (Some(session), Some(connection)) = (session, self.clients.connections.get(slot)) {
            if matches!(
                session.role,
                Role::Replica | Role::Primary | Role::Export | Role::Import
            ) {
                // Of the limits of clients these have none; what replicas may take is limited by itself.
                return self.clients.budget.forget(slot);
            }
            let weight = weight(session, connection) as u64;
            let is_ending = !connection.closing().runs();
            let evictable = !session.no_evict && !is_ending;
            self.clients.budget.note(slot, weight, evictable);
        }
    }

    /// Brings the limit up to what is configured now. Where there was none, all clients are weighed.
    pub fn refresh_budget(&mut self, sessions: &Sessions) {
        let limit = self.settings.hot.clients_max;
        if self.clients.budget.limit() != limit && self.clients.budget.set_limit(limit) {
            for slot in 0..self.clients.connections.slot_count() {
                self.weigh(slot, sessions);
            }
        }
    }

    /// Ends clients until the others take no more than they may. Answers whether the one in `slot` is among them.
    pub fn evict_clients(&mut self, slot: Option<usize>) -> bool {
        let mut is_among = false;
        while let Some(victim) = self.clients.budget.evict() {
            debug_assert!(
                self.clients.connections.get(victim).is_some(),
                "a client that is gone counts"
            );
            if let Some(connection) = self.clients.connections.get_mut(victim) {
                self.log.notice(format_args!(
                    "Evicting client: id={} addr={} (maxmemory-clients)",
                    connection.id,
                    connection.stream().peer()
                ));
                connection.output.clear();
            }
            self.figures.counters.evicted_clients += 1;
            self.clients.connections.end(victim, Cause::Cut);
            is_among |= slot == Some(victim);
        }
        is_among
    }
}
