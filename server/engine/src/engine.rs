//! The engine: it owns the keyspace and the sessions, runs commands, and gets a slice of time in each turn.

use cairn_format::cluster::SlotSet;

use crate::base::args::Args;
use crate::base::error::Error;
use crate::base::id::SessionId;
use crate::base::time::Now;
use crate::call::ctx::{Instance, Shared};
use crate::call::interests::forget_interests;
use crate::call::rights;
use crate::call::room::{self, Room};
use crate::call::table::{CommandTable, Entry};
use crate::call::watch::ended::{self, Ended};
use crate::call::watch::latency::event;
use crate::call::{Command, Ctx, Reply, blocking, dispatch, pause, run, tracking};
use crate::commands::pubsub;
use crate::families;
use crate::keyspace::expire::Cycle;
use crate::keyspace::{Aim, Expired, Keyspace};
use crate::session::{Role, Session};

/// Tables that one slice of [`Engine::rehash`] looks at: with slots there are thousands, which are small.
const TABLES_AT_ONCE: usize = 64;

/// A data set with its clients. See the crate's map.
#[derive(Debug)]
pub struct Engine {
    /// The data.
    pub ks: Keyspace,
    /// Sessions, channels, command table, counters.
    pub shared: Shared,
    /// Next database and budget share of the expiry cycle.
    expire_table: usize,
    rehash_table: usize,
    /// The clocks at the start of the turn.
    turn: Now,
    /// Monotonic microseconds at the end of the last command.
    mono_us: u64,
}

impl Engine {
    /// An empty engine. `seed` makes hash tables and random choices; `instance_commands` are those of the server around it.
    pub fn new(
        databases: usize,
        seed: [u64; 4],
        instance_commands: &[&[&'static Command]],
    ) -> Engine {
        let mut lists: Vec<&[&'static Command]> = families::ALL.to_vec();
        lists.extend_from_slice(instance_commands);
        let table = CommandTable::new(&lists);
        Engine::of(Keyspace::new(databases, seed), Shared::new(table))
    }

    /// As [`Engine::new`] for a node of a cluster: one database, whose keys are kept by slot. No slot is served yet (see
    /// [`Routes`](crate::call::route::Routes)): each call with keys is asked of the instance.
    pub fn with_slots(seed: [u64; 4], instance_commands: &[&[&'static Command]]) -> Engine {
        let mut engine = Engine::new(1, seed, instance_commands);
        engine.ks = Keyspace::with_slots(seed);
        engine.shared.routes = Some(Box::default());
        engine
    }

    fn of(ks: Keyspace, shared: Shared) -> Engine {
        Engine {
            ks,
            shared,
            expire_table: 0,
            rehash_table: 0,
            turn: Now::default(),
            mono_us: 0,
        }
    }

    /// Lends the data out in the middle of a unit, as an engine of its own: what the unit has done so far is set aside, and is there
    /// again afterwards. Whoever gets it leaves nothing behind that is not applied.
    pub fn lend(ks: &mut Keyspace, shared: &mut Shared, now: Now, with: impl FnOnce(&mut Engine)) {
        let unit = ks.set_unit_aside();
        let mut engine = Engine::of(
            std::mem::replace(ks, Keyspace::new(1, [0; 4])),
            std::mem::replace(shared, Shared::new(CommandTable::new(&[]))),
        );
        engine.set_now(now);
        with(&mut engine);
        debug_assert!(!engine.ks.fx.pending(), "a change that nobody saw");
        (*ks, *shared) = (engine.ks, engine.shared);
        ks.take_unit_up(unit);
    }

    /// Tests between two commands that databases and sessions are sound and agree with each other.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.ks.check()?;
        self.shared.check(&self.ks)
    }

    /// A new client; it is authenticated already if no password is set.
    pub fn open_session(&mut self, now: Now) -> SessionId {
        let free = !self.shared.users.asks_to_log_in();
        let slot = self.shared.sessions.open(now.wall_ms(), free);
        if let Some(session) = self.shared.sessions.get_mut(slot) {
            rights::take_rights(&self.shared.users, session);
        }
        slot
    }

    /// Ends the wait of a client whose input is over: an element must not go to somebody who is perhaps gone. It is not answered, nor are commands behind it
    /// (as in Redis): a client that hears that the time has run out does not ask again elsewhere. False if none waits; who waits for the end of a pause has not
    /// begun, and goes on waiting.
    pub fn stop_waiting(&mut self, slot: SessionId) -> bool {
        let Some(mut session) = self.shared.sessions.take(slot) else {
            return false;
        };
        let waits = session.waiting.is_some();
        if waits {
            blocking::abandon(&mut self.ks, &mut self.shared, &mut session);
        }
        self.shared.sessions.put_back(session);
        waits
    }

    /// The client is gone: forgets its subscriptions, watched keys and transaction.
    pub fn close_session(&mut self, slot: SessionId) {
        if let Some(mut session) = self.shared.sessions.remove(slot) {
            blocking::abandon(&mut self.ks, &mut self.shared, &mut session);
            tracking::orphan_target(&mut self.ks, &session);
            forget_interests(&mut self.ks, &mut self.shared.pubsub, &mut session);
            if session.role == Role::Monitor {
                self.shared.watch.dismiss(slot);
            }
        }
    }

    /// Sets both clocks, at the start of a turn. Between commands they go on by themselves.
    pub fn set_now(&mut self, now: Now) {
        self.turn = now;
        self.mono_us = now.mono_us;
        self.ks.now_ms = now.wall_ms();
    }

    /// The monotonic clock at the end of the last command, microseconds.
    pub fn mono_us(&self) -> u64 {
        self.mono_us
    }

    /// Reads the clock before the first of commands that follow each other: what passed since the last one was not theirs.
    #[inline]
    pub fn begin_commands(&mut self, inst: &mut dyn Instance) {
        self.mono_us = inst.mono_us();
    }

    /// One reading of the clock ends a command and begins the next. Answers how long it took, microseconds.
    #[inline]
    fn take_time(&mut self, inst: &mut dyn Instance) -> u64 {
        let now = inst.mono_us();
        debug_assert!(now >= self.mono_us, "the clock goes back");
        let took = now.saturating_sub(self.mono_us);
        self.mono_us = now;
        self.ks.now_ms = self.wall_us(now) / 1000;
        took
    }

    /// The wall clock at a moment of the monotonic one since the start of the turn, microseconds both.
    pub fn wall_us(&self, mono_us: u64) -> i64 {
        self.turn.wall_us + mono_us.saturating_sub(self.turn.mono_us) as i64
    }

    /// Runs one request. The reply is appended; answers whether the client goes on with its next, or waits or ends, which the
    /// session's flags tell.
    #[inline]
    pub fn call(
        &mut self,
        slot: SessionId,
        args: &Args,
        reply: &mut Reply,
        inst: &mut dyn Instance,
    ) -> bool {
        let Some(mut session) = self.shared.sessions.take(slot) else {
            return false;
        };
        reply.protocol = session.protocol;
        session.active_ms = self.ks.now_ms;
        self.ks.no_touch = session.no_touch;
        let before = reply.weight();
        let mut cx = Ctx {
            ks: &mut self.ks,
            session: &mut session,
            reply,
            shared: &mut self.shared,
            inst,
            command: Entry::NONE,
        };
        let ran = dispatch::dispatch(&mut cx, args);
        let command = cx.command;
        self.ks.forget_hint();
        let took_us = self.take_time(inst);
        if ran {
            match &mut session.waiting {
                None => {
                    let ended = Ended {
                        took_us,
                        reply_bytes: reply.weight().wrapping_sub(before),
                        waited: false,
                    };
                    ended::note(&mut self.shared, &session, command, args, ended, inst);
                }
                // It is noted when its wait ends.
                Some(waiting) => waiting.spent_us = took_us,
            }
        }
        let mut goes_on = !session.closing && !session.blocked;
        // Those who are served now may have something to tell it.
        self.shared.sessions.put_back(session);
        // What was evicted to make room may have woken somebody, too, whatever became of the command.
        if !self.ks.fx.ready.is_empty() {
            blocking::serve(&mut self.ks, &mut self.shared, inst);
            self.take_time(inst);
            // It may be among them.
            let session = self.shared.sessions.get(slot);
            goes_on = session.is_some_and(|session| !session.closing && !session.blocked);
        }
        debug_assert!(!self.ks.fx.pending(), "a change that nobody saw");
        goes_on
    }

    /// Whether looking ahead at the keys of a batch pays.
    #[inline]
    pub fn wants_lookahead(&self, db: usize) -> bool {
        self.ks.wants_lookahead(db)
    }

    /// Looks ahead at a key, which may be none: that costs a little and harms nothing.
    #[inline]
    pub fn aim(&self, db: usize, key: &[u8]) -> Aim {
        self.ks.aim(db, key)
    }

    /// Fetches what a batch was aimed at.
    #[inline]
    pub fn fetch_aimed(&self, aims: &[Aim]) {
        self.ks.fetch_aimed(aims);
    }

    /// Whether looking ahead within collections pays for a batch of which this is one command.
    pub fn wants_members(&self, db: usize, args: &Args<'_>) -> bool {
        self.ks.wants_members(db, args)
    }

    /// Fetches the members that the commands of a batch name; what they were aimed at is fetched by now.
    pub fn fetch_members<'a>(&self, commands: impl Iterator<Item = (&'a Aim, Args<'a>)>) {
        self.ks.fetch_members(commands);
    }

    /// Hands in what was found out about the coming command's first argument.
    #[inline]
    pub fn hint(&mut self, key: &[u8], aim: &Aim) {
        self.ks.hint(key, aim);
    }

    /// When the next waiting session gives up or a pause ends, wall milliseconds.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let waits = self.shared.deadlines.first().map(|(at, _)| *at);
        let pause = self.shared.gate.pause.map(|pause| pause.end_ms);
        waits.into_iter().chain(pause).min()
    }

    /// Answers those who wait for the log or for replicas, as far as what they wrote is there now.
    pub fn serve_held_waiters(&mut self, inst: &mut dyn Instance) {
        blocking::serve_held_waiters(&mut self.ks, &mut self.shared, inst);
    }

    /// The role of this server has changed: who waits gets an error and is sent away.
    pub fn unblock_all(&mut self, inst: &mut dyn Instance) {
        blocking::unblock_all(&mut self.ks, &mut self.shared, inst);
    }

    /// Slots are served here no longer: who waits for their keys hears what `judge` answers.
    pub fn unblock_slots(
        &mut self,
        inst: &mut dyn Instance,
        judge: &mut dyn FnMut(&mut dyn Instance, &Session, u16) -> Option<Error>,
    ) {
        blocking::unblock_slots(&mut self.ks, &mut self.shared, inst, judge);
    }

    /// All keys and libraries go, and the log hears of it.
    pub fn empty(&mut self, inst: &mut dyn Instance) {
        self.ks.begin_anew();
        self.ks.propagate(&[b"FLUSHALL"]);
        self.ks.propagate(&[b"FUNCTION", b"FLUSH"]);
        self.flush_effects_one_by_one(inst);
    }

    /// Keys of a slot go, `max` at most, and log, replicas and watchers hear of each. Answers how many there were.
    pub fn drop_from_slot(&mut self, slot: u16, max: usize, inst: &mut dyn Instance) -> usize {
        let dropped = self.ks.drop_from_slot(slot, max);
        self.flush_effects_one_by_one(inst);
        dropped
    }

    /// Who listens to channels of slots that are served here no longer is told that it does not any more.
    pub fn drop_shard_channels(&mut self, slots: &SlotSet, inst: &mut dyn Instance) {
        pubsub::drop_shard_channels(&mut self.shared, slots, inst);
    }

    /// What the end of a turn has to do for clients that keep copies of keys.
    #[inline]
    pub fn settle_tracking(&mut self, inst: &mut dyn Instance) {
        let keys_max = self.ks.limits.tracked_keys_max;
        let tracking = self.ks.tracking.as_deref();
        if tracking.is_some_and(|tracking| tracking.has_work(keys_max)) {
            tracking::settle(&mut self.ks, &mut self.shared, inst);
        }
    }

    /// Whether the next turn has something to do for them even if nothing happens.
    #[inline]
    pub fn has_tracking_work(&self) -> bool {
        let keys_max = self.ks.limits.tracked_keys_max;
        let tracking = self.ks.tracking.as_deref();
        tracking.is_some_and(|tracking| tracking.table.is_over(keys_max))
    }

    /// Ends the waits whose time has run out, and a pause.
    pub fn time_out(&mut self, inst: &mut dyn Instance) {
        let now_ms = self.ks.now_ms;
        pause::end_if_due(&mut self.ks, &mut self.shared, now_ms, inst);
        blocking::time_out(&mut self.ks, &mut self.shared, now_ms, inst);
    }

    /// A slice of background work: moves buckets of growing tables. Answers whether more is waiting.
    pub fn rehash(&mut self, go_on: &mut dyn FnMut() -> bool) -> bool {
        let tables = self.ks.tables();
        for _ in 0..tables.min(TABLES_AT_ONCE) {
            while self.ks.dbs[self.rehash_table].keys.rehash_step(100) {
                if !go_on() {
                    return true;
                }
            }
            self.rehash_table = (self.rehash_table + 1) % tables;
        }
        false
    }

    /// Removes expired keys and fields database by database for at most `budget_us`, and propagates the removals. A
    /// slice that is cut short is followed by one that begins at the next database, so that none waits for the others.
    pub fn expire(&mut self, inst: &mut dyn Instance, budget_us: u64) -> Cycle {
        let mut sum = Cycle::default();
        let gate = &self.shared.gate;
        // A replica is told what goes.
        let stands_still = gate.loading || gate.paused().is_some() || gate.replica.is_some();
        if !self.ks.active_expire || stands_still {
            return sum;
        }
        let (start, mut expired) = (inst.mono_us(), 0);
        let end = start + budget_us;
        let effort = self.ks.limits.expire_effort.clamp(1, 10) as usize - 1;
        let (per_loop, stale_percent) = (20 + 5 * effort, 10 - effort);
        let (selected, tables) = (self.ks.selected(), self.ks.tables());
        for _ in 0..self.ks.timed_tables() {
            let Some(table) = self.ks.next_timed(self.expire_table) else {
                break;
            };
            self.ks.select(table);
            self.expire_table = (table + 1) % tables;
            // Fields leave half of the time to the keys.
            let now = inst.mono_us();
            let middle = now + end.saturating_sub(now) / 2;
            let fields = self.ks.expire_fields(&mut || inst.mono_us() < middle);
            let keys = self
                .ks
                .expire_cycle(per_loop, stale_percent, &mut || inst.mono_us() < end);
            self.flush_effects_one_by_one(inst);
            expired += keys.removed;
            sum.sampled += keys.sampled;
            sum.removed += keys.removed + fields.removed;
            sum.cut_short |= keys.cut_short || fields.cut_short;
            if inst.mono_us() >= end {
                sum.cut_short = true;
                break;
            }
        }
        self.ks.select(selected);
        let took = inst.mono_us() - start;
        self.note_latency(event::EXPIRE_CYCLE, took, inst);
        let stats = &mut self.ks.stats;
        stats.expire_us += took;
        stats.stale = stats.stale * 0.95 + 0.05 * expired as f64 / sum.sampled.max(1) as f64;
        sum
    }

    /// On a writable replica: removes the keys of its own clients whose time has come, and forgets those that do not expire.
    pub fn expire_own(&mut self, inst: &mut dyn Instance) {
        if self.shared.own_keys.is_empty() {
            return;
        }
        if self.shared.gate.replica.is_none() {
            // A primary expires all keys alike.
            return self.shared.own_keys.clear();
        }
        let selected = self.ks.selected();
        let view = std::mem::replace(&mut self.ks.expired, Expired::Goes);
        let ks = &mut self.ks;
        self.shared.own_keys.retain(|(db, key)| {
            ks.select(*db);
            ks.find(key)
                .is_some_and(|slot| ks.expire_at(slot).is_some())
        });
        self.ks.expired = view;
        self.ks.select(selected);
        self.flush_effects_one_by_one(inst);
    }

    /// Evicts keys while `maxmemory` is exceeded, for a slice of time. Answers whether there is more to do.
    pub fn evict(&mut self, inst: &mut dyn Instance) -> bool {
        let gate = &self.shared.gate;
        let ignored = gate
            .replica
            .is_some_and(|following| following.ignores_memory);
        if ignored || gate.loading || gate.paused().is_some() {
            return false;
        }
        let before = inst.mono_us();
        let room = room::make_room(&mut self.ks, &mut self.shared, None, inst);
        let took_us = inst.mono_us().saturating_sub(before);
        self.note_latency(event::EVICTION_CYCLE, took_us, inst);
        self.flush_effects_one_by_one(inst);
        room == Room::Coming
    }

    /// Removals of the cycle are independent of each other: no transaction around them.
    fn flush_effects_one_by_one(&mut self, inst: &mut dyn Instance) {
        if !self.ks.fx.feed.is_empty() {
            inst.feed(&self.ks.fx.feed, false);
            self.ks.fx.feed.clear();
        }
        self.apply_effects(inst);
        debug_assert!(!self.ks.fx.pending(), "a change that nobody saw");
    }

    /// Notes that something else than a command took so long, if the latency monitor is on.
    pub fn note_latency(&mut self, event: &'static str, took_us: u64, inst: &mut dyn Instance) {
        let latency = &mut self.shared.watch.latency;
        if latency.from_ms.is_some_and(|from| took_us / 1000 >= from) {
            latency.note(event, took_us, inst.now().wall_us.div_euclid(1_000_000));
        }
    }

    /// Applies effects that were left outside of any command (a load, a cron job).
    pub fn apply_effects(&mut self, inst: &mut dyn Instance) {
        if self.ks.fx.pending() {
            run::apply(&mut self.ks, &mut self.shared, None, inst);
            blocking::serve(&mut self.ks, &mut self.shared, inst);
        }
    }
}
