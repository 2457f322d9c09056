//! Waiting: how a command blocks, what wakes it, how it ends; and the words of its timeout.

use std::collections::HashSet;

use super::ctx::{Ctx, Durable, Instance, Shared};
use super::reply::Reply;
use super::rights;
use super::run;
use super::watch::ended::{self, Ended};
use crate::base::args::Args;
use crate::base::effect::empty;
use crate::base::error::{Error, Outcome};
use crate::base::id::SessionId;
use crate::keyspace::Keyspace;
use crate::keyspace::waiters::Waiter;
use crate::session::Session;
use crate::session::blocked::{Blocked, HeldWait, Place};
use crate::session::transaction::Queued;
use crate::value::Kind;
use cairn_format::text::double::parse_f64;
use cairn_format::text::number::parse_i64;

/// What a command waits for.
pub struct Wait {
    /// Wall milliseconds at which it gives up; none: never.
    pub deadline_ms: Option<i64>,
    /// Type of the keys it wants.
    pub kind: Kind,
    /// It also wants to know when a key goes or changes its type.
    pub on_missing: bool,
    /// Wall milliseconds, later than now, at which it is to be run again though no key has changed; none: never.
    pub again_ms: Option<i64>,
}

impl Ctx<'_> {
    /// Whether this command may wait: not inside EXEC or a script, and not in a replay.
    pub fn may_block(&self) -> bool {
        !self.session.deny_blocking && !self.session.applies()
    }

    /// Waits for one of the keys; the command is run again when one has changed. Nothing is to be replied then.
    pub fn block<'k>(
        &mut self,
        args: &Args,
        keys: impl Iterator<Item = &'k [u8]>,
        wait: Wait,
    ) -> Outcome {
        self.session.blocked = true;
        debug_assert!(wait.again_ms.is_none_or(|at| at > self.ks.now_ms));
        if self.session.running_again {
            // It was run again and finds nothing: it keeps its place and its deadline.
            self.session.again_ms = wait.again_ms;
            return Ok(());
        }
        debug_assert!(self.may_block() && self.session.waiting.is_none());
        let waiter = Waiter {
            session: self.session.slot,
            kind: wait.kind,
            on_missing: wait.on_missing,
        };
        let (mut seen, mut names) = (HashSet::new(), Vec::new());
        for key in keys {
            if seen.insert(key) {
                self.ks.wait_for(key, waiter);
                names.push(key.into());
            }
        }
        debug_assert!(!names.is_empty(), "something has to wake it");
        let wake_ms = earlier(wait.deadline_ms, wait.again_ms);
        self.wake_at(wake_ms);
        self.session.waiting = Some(Box::new(Blocked {
            command: Queued::new(self.command.id, args),
            db: self.ks.selected(),
            keys: names,
            kind: wait.kind,
            on_missing: wait.on_missing,
            deadline_ms: wait.deadline_ms,
            wake_ms,
            spent_us: 0,
            held: None,
        }));
        Ok(())
    }

    /// Waits for the log or for replicas, see [`serve_held_waiters`]. Nothing is to be replied then.
    pub fn wait_held(&mut self, args: &Args, wait: HeldWait, deadline_ms: Option<i64>) {
        debug_assert!(self.may_block() && self.session.waiting.is_none());
        self.session.blocked = true;
        let new = self.shared.held_waiters.insert(self.session.slot);
        debug_assert!(new, "a session waits for one thing at a time");
        if wait.replicas > 0 {
            self.inst.ask_replicas();
        }
        self.wake_at(deadline_ms);
        self.session.waiting = Some(Box::new(Blocked {
            command: Queued::new(self.command.id, args),
            db: self.ks.selected(),
            keys: Vec::new(),
            kind: Kind::String,
            on_missing: false,
            deadline_ms,
            wake_ms: deadline_ms,
            spent_us: 0,
            held: Some(wait),
        }));
    }

    fn wake_at(&mut self, wake_ms: Option<i64>) {
        if let Some(at) = wake_ms {
            let new = self.shared.deadlines.insert((at, self.session.slot));
            debug_assert!(new, "a session waits for one thing at a time");
        }
    }
}

/// The earlier of two moments, of which each may be none.
fn earlier(one_ms: Option<i64>, other_ms: Option<i64>) -> Option<i64> {
    one_ms.into_iter().chain(other_ms).min()
}

/// How far what a session wrote has come.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    durable: Durable,
    /// Replicas that have it, and those that have it on their disk.
    replicas: (u64, u64),
}

impl Held {
    /// As it is now. `mark`: position behind what was written.
    pub fn of(mark: u64, inst: &mut dyn Instance) -> Held {
        Held {
            durable: inst.log_durable(),
            replicas: inst.acknowledged(mark),
        }
    }

    /// Whether that is what is waited for.
    pub fn suffices(&self, wait: &HeldWait) -> bool {
        match wait.place {
            Place::Memory => self.replicas.0 >= wait.replicas,
            Place::Disk { local } => {
                self.replicas.1 >= wait.replicas && (!local || self.durable.covers(wait.mark))
            }
        }
    }

    /// The answer of WAIT or WAITAOF.
    pub fn reply(&self, reply: &mut Reply, wait: &HeldWait) {
        match wait.place {
            Place::Memory => reply.int(self.replicas.0 as i64),
            Place::Disk { .. } => {
                reply.array(2);
                reply.int(i64::from(self.durable.covers(wait.mark)));
                reply.int(self.replicas.1 as i64);
            }
        }
    }
}

/// WAITAOF asks for the local log and there is none, or there is none any more.
pub const LOG_IS_OFF: Error =
    Error::new("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");

/// Answers those who wait for the log or for replicas and whose changes are there, or will never be.
pub fn serve_held_waiters(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    if shared.held_waiters.is_empty() {
        return;
    }
    let durable = inst.log_durable();
    let waiters: Vec<SessionId> = shared.held_waiters.iter().copied().collect();
    for slot in waiters {
        let session = shared.sessions.get(slot);
        let Some(wait) = session.and_then(|s| s.waiting.as_ref()?.held) else {
            continue;
        };
        let held = Held::of(wait.mark, inst);
        if wait.place == (Place::Disk { local: true }) && durable == Durable::NoLog {
            release(ks, shared, slot, inst, |_, _, _| Err(LOG_IS_OFF));
        } else if held.suffices(&wait) {
            release(ks, shared, slot, inst, |reply, _, _| {
                held.reply(reply, &wait);
                Ok(())
            });
        }
    }
}

/// Ends all waits with an error, and the clients with them: what they wait for may never come to a server whose role has
/// changed. Who waits for the end of a pause has not begun, and goes on waiting.
pub fn unblock_all(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    let waiting = shared.sessions.iter().filter(|s| s.waiting.is_some());
    let slots: Vec<SessionId> = waiting.map(|session| session.slot).collect();
    for slot in slots {
        let text = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
        release(ks, shared, slot, inst, |_, _, _| Err(Error::new(text)));
        inst.dismiss(slot);
    }
}

/// Who waits for keys of a slot that is not served here any more is told what `judge` answers for it, and goes on.
pub fn unblock_slots(
    ks: &mut Keyspace,
    shared: &mut Shared,
    inst: &mut dyn Instance,
    judge: &mut dyn FnMut(&mut dyn Instance, &Session, u16) -> Option<Error>,
) {
    let waiting = shared.sessions.iter().filter(|s| s.waiting.is_some());
    let slots: Vec<SessionId> = waiting.map(|session| session.slot).collect();
    for slot in slots {
        let Some(session) = shared.sessions.get(slot) else {
            continue;
        };
        let table = session.waiting.as_deref().filter(|w| !w.keys.is_empty());
        let table = table.and_then(|wait| u16::try_from(wait.db).ok());
        if let Some(error) = table.and_then(|table| judge(inst, session, table)) {
            release(ks, shared, slot, inst, |_, _, _| Err(error));
        }
    }
}

/// The deadline that a timeout in seconds names, rounded up to milliseconds; 0 waits for ever, and so does, as in Redis,
/// what is less than a millisecond below it.
pub fn deadline_seconds(text: &[u8], now_ms: i64) -> Result<Option<i64>, Error> {
    let seconds =
        parse_f64(text).ok_or(Error::new("ERR timeout is not a float or out of range"))?;
    let ms = (seconds * 1000.0).ceil();
    if ms >= i64::MAX as f64 {
        return Err(OUT_OF_RANGE);
    }
    deadline(ms as i64, now_ms)
}

/// The deadline that a timeout in milliseconds names; 0 waits for ever.
pub fn deadline_ms(text: &[u8], now_ms: i64) -> Result<Option<i64>, Error> {
    let ms = parse_i64(text).ok_or(Error::new("ERR timeout is not an integer or out of range"))?;
    deadline(ms, now_ms)
}

const OUT_OF_RANGE: Error = Error::new("ERR timeout is out of range");

fn deadline(ms: i64, now_ms: i64) -> Result<Option<i64>, Error> {
    if ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    if ms == 0 {
        return Ok(None);
    }
    let end = ms.checked_add(now_ms).ok_or(OUT_OF_RANGE)?;
    // Of the present millisecond a part is over: nobody waits for less than was asked.
    Ok(Some(end.saturating_add(1)))
}

/// Serves those who wait for keys that have changed, in their order, until nothing more comes of it.
pub fn serve(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    let selected = ks.selected();
    let mut at = 0;
    while at < ks.fx.ready.len() {
        let (db, key) = std::mem::take(&mut ks.fx.ready[at]);
        at += 1;
        debug_assert!(db < ks.tables());
        serve_key(ks, shared, db, &key, inst);
    }
    empty(&mut ks.fx.ready);
    ks.select(selected);
    if ks.fx.pending() {
        // Nobody was served, but a key was found expired.
        run::apply(ks, shared, None, inst);
    }
}

/// Gives each of those who wait for a key now one chance.
fn serve_key(
    ks: &mut Keyspace,
    shared: &mut Shared,
    db: usize,
    key: &[u8],
    inst: &mut dyn Instance,
) {
    ks.select(db);
    let Some(queue) = ks.waiters(key) else {
        return;
    };
    queue.unnote();
    let (mut place, mut chances) = (0, queue.len());
    while chances > 0 {
        chances -= 1;
        ks.select(db);
        let found = ks.find(key).map(|slot| ks.kind(slot));
        let Some(queue) = ks.waiters(key) else {
            return;
        };
        let Some(waiter) = queue.get(place) else {
            return;
        };
        if found.is_none() && !queue.wants_missing() {
            return;
        }
        if found == Some(waiter.kind) || waiter.on_missing {
            run_again(ks, shared, waiter.session, inst);
            ks.select(db);
        }
        let next = ks.waiters(key).and_then(|queue| queue.get(place));
        // Who was served has left the queue, and the next one stands in the same place.
        place += usize::from(next.is_some_and(|next| next.session == waiter.session));
    }
}

fn run_again(ks: &mut Keyspace, shared: &mut Shared, slot: SessionId, inst: &mut dyn Instance) {
    let Some(mut session) = shared.sessions.take(slot) else {
        return;
    };
    let Some(mut waiting) = session.waiting.take() else {
        return shared.sessions.put_back(session);
    };
    let started_us = inst.mono_us();
    let (db, command) = (waiting.db, shared.table.entry(waiting.command.command));
    let mut reply = Reply::to(session.protocol);
    // A handler that blocks again only says so; what it waits for stays as it is.
    session.blocked = false;
    session.running_again = true;
    ks.select(db);
    let mut cx = Ctx {
        ks,
        session: &mut session,
        reply: &mut reply,
        shared,
        inst,
        command,
    };
    run_if_allowed(&mut cx, &waiting.command.args());
    session.running_again = false;
    debug_assert!(session.waiting.is_none(), "it goes on with the same wait");
    let (goes_on_waiting, reply_bytes) = (session.blocked, reply.len());
    if !goes_on_waiting {
        // Behind it comes what it is told of its own change, as with a command that did not wait.
        answer(&mut session, reply, inst);
    }
    // Whom this wakes in turn is served by the caller's loop.
    run::apply(ks, shared, Some(&mut session), inst);
    waiting.spent_us += inst.mono_us().saturating_sub(started_us);
    if goes_on_waiting {
        let wake_ms = earlier(waiting.deadline_ms, session.again_ms.take());
        let before = std::mem::replace(&mut waiting.wake_ms, wake_ms);
        if before != wake_ms {
            before.map(|at| shared.deadlines.remove(&(at, slot)));
            wake_ms.map(|at| shared.deadlines.insert((at, slot)));
        }
        session.waiting = Some(waiting);
    } else {
        note_end(shared, &session, &waiting, reply_bytes, inst);
        leave_queues(ks, shared, slot, &waiting);
    }
    shared.sessions.put_back(session);
}

/// Rights may have changed since the wait began.
fn run_if_allowed(cx: &mut Ctx, args: &Args) {
    if let Err((_, text)) = rights::check(cx, args) {
        let failure = rights::refused(&text);
        cx.shared.stats.commands[cx.command.id.index()].rejected += 1;
        run::count_error(&mut cx.shared.stats, &failure);
        return cx.reply.error(&failure);
    }
    run::run(cx, args);
}

/// Notes the command of a wait that is over.
fn note_end(
    shared: &mut Shared,
    session: &Session,
    waiting: &Blocked,
    reply_bytes: usize,
    inst: &mut dyn Instance,
) {
    let ended = Ended {
        took_us: waiting.spent_us,
        reply_bytes,
        waited: true,
    };
    let command = shared.table.entry(waiting.command.command);
    ended::note(
        shared,
        session,
        command,
        &waiting.command.args(),
        ended,
        inst,
    );
}

/// Answers a wait that is over, unless the client wants no replies.
fn answer(session: &mut Session, mut reply: Reply, inst: &mut dyn Instance) {
    run::hush(session, &mut reply, 0);
    inst.deliver_reply(session.slot, reply);
    inst.resume(session.slot);
}

/// Takes a session out of the queues it stands in.
fn leave_queues(ks: &mut Keyspace, shared: &mut Shared, slot: SessionId, waiting: &Blocked) {
    for key in &waiting.keys {
        ks.stop_waiting(waiting.db, key, slot);
    }
    if let Some(at) = waiting.wake_ms {
        shared.deadlines.remove(&(at, slot));
    }
    if waiting.held.is_some() {
        shared.held_waiters.remove(&slot);
    }
    debug_assert!(
        shared.deadlines.iter().all(|(_, waits)| *waits != slot),
        "it has had one deadline"
    );
}

/// The client is gone, or nobody waits for it any more.
pub fn abandon(ks: &mut Keyspace, shared: &mut Shared, session: &mut Session) {
    if let Some(waiting) = session.waiting.take() {
        leave_queues(ks, shared, session.slot, &waiting);
    }
    if std::mem::take(&mut session.postponed) {
        shared.postponed.retain(|slot| *slot != session.slot);
    }
    session.blocked = false;
}

/// Ends the wait of a session from outside: as if its time had run out, or with an error. False if it does not wait.
pub fn unblock(
    ks: &mut Keyspace,
    shared: &mut Shared,
    slot: SessionId,
    error: bool,
    inst: &mut dyn Instance,
) -> bool {
    release(ks, shared, slot, inst, |reply, waiting, inst| {
        if error {
            return Err(Error::new("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
        }
        match waiting.held {
            Some(wait) => Held::of(wait.mark, inst).reply(reply, &wait),
            None => reply.null_array(),
        }
        Ok(())
    })
}

/// Ends the wait of a session with the answer that `write` gives. False if it does not wait.
fn release(
    ks: &mut Keyspace,
    shared: &mut Shared,
    slot: SessionId,
    inst: &mut dyn Instance,
    write: impl FnOnce(&mut Reply, &Blocked, &mut dyn Instance) -> Outcome,
) -> bool {
    let Some(mut session) = shared.sessions.take(slot) else {
        return false;
    };
    let waiting = session.waiting.take();
    if let Some(waiting) = &waiting {
        debug_assert!(session.blocked, "who waits runs nothing else");
        leave_queues(ks, shared, slot, waiting);
        session.blocked = false;
        let mut reply = Reply::to(session.protocol);
        let outcome = write(&mut reply, waiting, inst);
        // A command that waited counts when it ends.
        shared.stats.processed += 1;
        let stats = &mut shared.stats.commands[waiting.command.command.index()];
        stats.calls += 1;
        if let Err(failure) = outcome {
            stats.failed += 1;
            run::count_error(&mut shared.stats, &failure);
            reply.error(&failure);
        }
        note_end(shared, &session, waiting, reply.len(), inst);
        if let Some(options) = &mut session.tracking {
            options.marked = false;
        }
        answer(&mut session, reply, inst);
    }
    shared.sessions.put_back(session);
    waiting.is_some()
}

/// Ends the waits whose time has run out, and runs those again whose time it is.
pub fn time_out(ks: &mut Keyspace, shared: &mut Shared, now_ms: i64, inst: &mut dyn Instance) {
    while let Some(&(at, slot)) = shared.deadlines.first() {
        if at > now_ms {
            return;
        }
        let waiting = shared.sessions.get(slot).and_then(|s| s.waiting.as_ref());
        let gives_up = |waiting: &Blocked| waiting.deadline_ms.is_some_and(|at| at <= now_ms);
        if waiting.is_some_and(|waiting| !gives_up(waiting)) {
            let selected = ks.selected();
            run_again(ks, shared, slot, inst);
            // Which may have given others what they wait for.
            ks.select(selected);
            serve(ks, shared, inst);
            let left = !shared.deadlines.contains(&(at, slot));
            debug_assert!(left, "it would be run again at once");
            continue;
        }
        shared.deadlines.remove(&(at, slot));
        let waited = unblock(ks, shared, slot, false, inst);
        debug_assert!(waited, "whose time runs out waits");
    }
}
