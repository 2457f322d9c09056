//! Whether sessions agree with what they have beyond themselves: for tests, fuzzers and the simulator.
//!
//! Each relation is kept at two places, at the session and at the key, channel or deadline. Every entry of the sessions is looked
//! for at the other place, and both have as many.

use std::collections::HashSet;

use super::ctx::Shared;
use crate::keyspace::Keyspace;
use crate::pubsub::Channels;
use crate::session::Session;
use crate::session::blocked::Blocked;

/// The channels of one kind at a session.
type Own = fn(&crate::session::Subscriptions) -> &HashSet<Box<[u8]>>;

impl Shared {
    /// Tests, while no command runs, that sessions are in their places, and that watchers, waiters, deadlines and listeners are
    /// those that the sessions tell of.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self, ks: &Keyspace) -> Result<(), String> {
        self.sessions.check()?;
        for session in self.sessions.iter() {
            self.check_session(ks, session)
                .map_err(|what| format!("session {}: {what}", session.id))?;
        }
        let sum = |count: &dyn Fn(&Session) -> usize| self.sessions.iter().map(count).sum();
        let dbs = || (0..ks.tables()).map(|table| ks.table(table));
        let waits = |count: fn(&Blocked) -> usize| {
            sum(&|session| session.waiting.as_deref().map_or(0, count))
        };
        let watchers = dbs().flat_map(|db| db.watchers.values());
        let waiters = dbs().flat_map(|db| db.waiters.values());
        let deadlines = waits(|wait| usize::from(wait.wake_ms.is_some()));
        same(
            "watch",
            sum(&|s| s.watched.len()),
            watchers.map(Vec::len).sum(),
        )?;
        same(
            "wait",
            waits(|w| w.keys.len()),
            waiters.map(|queue| queue.len()).sum(),
        )?;
        same("wait for a time", deadlines, self.deadlines.len())?;
        let for_held = waits(|wait| usize::from(wait.held.is_some()));
        same(
            "wait for log or replicas",
            for_held,
            self.held_waiters.len(),
        )?;
        let postponed = sum(&|session| usize::from(session.postponed));
        same("are postponed", postponed, self.postponed.len())?;
        self.check_tracking(ks)?;
        self.check_channels(&self.pubsub.channels, |s| &s.channels)?;
        self.check_channels(&self.pubsub.patterns, |s| &s.patterns)?;
        self.check_channels(&self.pubsub.shard_channels, |s| &s.shard_channels)
    }

    fn check_session(&self, ks: &Keyspace, session: &Session) -> Result<(), String> {
        let watches = |db: usize, key: &[u8]| {
            let watchers = ks.table(db).watchers.get(key);
            watchers.is_some_and(|sessions| sessions.contains(&session.slot))
        };
        if let Some((db, key)) = session.watched.iter().find(|(db, key)| !watches(*db, key)) {
            let key = key.escape_ascii();
            return Err(format!("watches {key} of db {db}, which does not know"));
        }
        if session.running_again || session.deny_blocking || session.db >= ks.databases() {
            return Err(format!("is still inside a command: {session:?}"));
        }
        if session.watch_touched && session.watched.is_empty() {
            return Err("what it watches has changed, and it watches nothing".into());
        }
        if session.subscriptions.as_ref().is_some_and(|s| s.is_empty()) {
            return Err("subscribes to nothing".into());
        }
        match &session.waiting {
            Some(waiting) => self.check_wait(ks, session, waiting),
            None => Ok(()),
        }
    }

    fn check_wait(&self, ks: &Keyspace, session: &Session, wait: &Blocked) -> Result<(), String> {
        let slot = session.slot;
        let queued = |key: &[u8]| {
            let queue = ks.table(wait.db).waiters.get(key);
            queue.is_some_and(|queue| queue.holds(slot))
        };
        let known = session.blocked
            && wait.keys.iter().all(|key| queued(key))
            && wait.held.is_some() == wait.keys.is_empty()
            && (wait.held.is_none() || self.held_waiters.contains(&slot))
            && wait
                .wake_ms
                .is_none_or(|at| self.deadlines.contains(&(at, slot)));
        match known {
            true => Ok(()),
            false => Err(format!("waits, and nobody will wake it: {wait:?}")),
        }
    }

    fn check_tracking(&self, ks: &Keyspace) -> Result<(), String> {
        let (mut clients, mut prefixes) = (0, 0);
        let listens = |text: &[u8], session: &Session| {
            let tracking = ks.tracking.as_deref();
            tracking.is_some_and(|t| t.prefixes.has(text, session.reader()))
        };
        for session in self.sessions.iter() {
            let Some(options) = &session.tracking else {
                continue;
            };
            clients += 1;
            prefixes += options.prefixes.len();
            let unknown = options.prefixes.iter().find(|text| !listens(text, session));
            if unknown.is_some() || options.bcast == options.prefixes.is_empty() {
                return Err(format!("session {} tracks {options:?}", session.id));
            }
        }
        let tracking = ks.tracking.as_deref();
        same("track", clients, tracking.map_or(0, |t| t.clients()))?;
        let readers = tracking.map_or(0, |t| t.prefixes.readers());
        same("listen to prefixes", prefixes, readers)
    }

    fn check_channels(&self, channels: &Channels, own: Own) -> Result<(), String> {
        let mut count = 0;
        for session in self.sessions.iter() {
            let names = session.subscriptions.iter().flat_map(|s| own(s));
            for name in names {
                count += 1;
                if !channels.of(name).contains(&session.slot) {
                    let name = name.escape_ascii();
                    return Err(format!("session {} does not get {name}", session.id));
                }
            }
        }
        if channels.names().any(|name| channels.of(name).is_empty()) {
            return Err("a channel without listeners is kept".into());
        }
        same("listen", count, channels.listeners())
    }
}

/// As many are known to the sessions as elsewhere.
fn same(what: &str, sessions: usize, elsewhere: usize) -> Result<(), String> {
    match sessions == elsewhere {
        true => Ok(()),
        false => Err(format!(
            "sessions {what} {sessions} times, {elsewhere} elsewhere"
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::base::args::ArgsBuf;
    use crate::base::id::SessionId;
    use crate::base::time::Now;
    use crate::call::alone::Alone;
    use crate::call::reply::Reply;
    use crate::engine::Engine;

    /// A client that watches, one that waits for a key, one that listens.
    fn engaged() -> Engine {
        let mut engine = Engine::new(2, [1, 2, 3, 4], &[]);
        for line in ["WATCH w", "BLPOP k 9", "SUBSCRIBE c"] {
            let session = engine.open_session(Now::default());
            let args = ArgsBuf::from_slices(&line.split(' ').collect::<Vec<_>>());
            let mut reply = Reply::default();
            engine.call(session, &args.args(), &mut reply, &mut Alone::default());
        }
        engine
    }

    #[test]
    fn what_only_one_side_knows_is_found() {
        assert_eq!(engaged().check(), Ok(()));
        let breaks: [fn(&mut Engine); 9] = [
            |e| e.ks.dbs[0].watchers.clear(),
            |e| e.ks.dbs[0].waiters.clear(),
            |e| e.shared.deadlines.clear(),
            |e| e.shared.pubsub.channels.remove(b"c", SessionId(2)),
            |e| drop(e.shared.sessions.take(SessionId(0))),
            |e| drop(e.shared.sessions.remove(SessionId(1))),
            |e| drop(e.shared.sessions.remove(SessionId(2))),
            |e| {
                e.ks.watch(SessionId(2), b"w");
            },
            |e| e.ks.ttl_hashes += 1,
        ];
        for (number, damage) in breaks.iter().enumerate() {
            let mut engine = engaged();
            damage(&mut engine);
            assert!(engine.check().is_err(), "{number}");
        }
    }
}
