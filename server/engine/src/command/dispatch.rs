//! From a request to its handler: look-up, arity, the reasons to refuse, the call, and what follows it.

use super::args::Args;
use super::ctx::{Ctx, Gate, Instance, Shared};
use super::error::{self, Error};
use super::reply::Reply;
use super::room;
use super::spec::{Command, Flags};
use crate::base::effect::{EventClass, Propagate};
use crate::keyspace::Keyspace;
use crate::session::{ReplyMode, Session, transaction::Queued};
use crate::structure::table::same_bytes;

type Numbered = (&'static Command, u16);

/// Runs one request of a session and applies what it leaves behind.
pub fn dispatch(
    ks: &mut Keyspace,
    shared: &mut Shared,
    session: &mut Session,
    args: &Args,
    reply: &mut Reply,
    inst: &mut dyn Instance,
) {
    let before = reply.buf.len();
    let admitted = admit(shared, session, args)
        .and_then(|command| with_room(ks, shared, session, command, inst))
        .and_then(|command| pass(shared, session, command));
    match admitted {
        Ok(command) if session.multi.is_some() && !runs_in_multi(command.0) => {
            let queued = Queued::new(command, args);
            session
                .multi
                .as_mut()
                .expect("checked above")
                .queue
                .push(queued);
            reply.simple("QUEUED");
        }
        Ok(command) => {
            ks.select(session.db);
            call(ks, shared, session, command, args, reply, inst);
            if ks.fx.pending() {
                apply(ks, shared, Some(session), inst);
            }
        }
        Err(_) if is_http(args) => {
            // Somebody makes a browser speak to us (`POST / HTTP/1.1`, `Host: ...`): nothing of it is to run.
            session.closing = true;
        }
        Err(refusal) => {
            let refusal = if args.is(0, "exec") {
                exec_refused(ks, session, refusal)
            } else {
                refusal
            };
            count_error(shared, &refusal);
            reply.error(&refusal);
            if let Some(multi) = &mut session.multi {
                multi.aborted = true;
            }
        }
    }
    // What was evicted to make room may have woken somebody, too, whatever became of the command.
    if !ks.fx.ready.is_empty() {
        super::blocking::serve(ks, shared, inst);
    }
    // Whether a wait is answered is decided at its end.
    if (session.reply_mode != ReplyMode::On || reply.muted) && !session.blocked {
        hush(session, reply, before);
    }
}

fn is_http(args: &Args) -> bool {
    args.is(0, "post") || args.is(0, "host:")
}

/// An EXEC that is refused ends its transaction, and says so.
fn exec_refused(ks: &mut Keyspace, session: &mut Session, reason: Error) -> Error {
    session.multi = None;
    crate::engine::unwatch_all(ks, session);
    let reason = reason.0.strip_prefix("ERR ").unwrap_or(&reason.0);
    Error::text(format!(
        "EXECABORT Transaction discarded because of: {reason}"
    ))
}

/// Finds the command and says why the client may not run it now. The order of the reasons is that of Redis: the client,
/// memory, the server.
#[inline]
fn admit(shared: &mut Shared, session: &mut Session, args: &Args) -> Result<Numbered, Error> {
    let command = look_up(shared, session, args)?;
    let spec = command.0;
    if !spec.accepts(args.len()) {
        reject(shared, command);
        return Err(error::wrong_arity(spec.name));
    }
    if session.authenticated && session.multi.is_none() {
        return Ok(command);
    }
    let refusal = refusal_of_client(session, spec);
    if refusal == Some(error::NO_AUTH) {
        shared.stats.auth_denied += 1;
    }
    refused(shared, command, refusal)
}

fn refused(
    shared: &mut Shared,
    command: Numbered,
    refusal: Option<Error>,
) -> Result<Numbered, Error> {
    match refusal {
        Some(refusal) => {
            reject(shared, command);
            Err(refusal)
        }
        None => Ok(command),
    }
}

/// The command, if the server is in a state to run it.
#[inline]
fn pass(shared: &mut Shared, session: &Session, command: Numbered) -> Result<Numbered, Error> {
    let gate = &shared.gate;
    if !gate.loading && gate.refuse_writes.is_none() && session.subscriptions.is_none() {
        return Ok(command);
    }
    let refusal = refusal_of_server(gate, session, command.0);
    refused(shared, command, refusal)
}

/// The command, if there is memory for it.
#[inline]
fn with_room(
    ks: &mut Keyspace,
    shared: &mut Shared,
    session: &mut Session,
    command: Numbered,
    inst: &mut dyn Instance,
) -> Result<Numbered, Error> {
    if ks.limits.memory_max == 0 {
        return Ok(command);
    }
    room::before_command(ks, shared, session, command.0, inst)
        .inspect_err(|_| reject(shared, command))
        .map(|()| command)
}

fn reject(shared: &mut Shared, (_, number): Numbered) {
    shared.stats.commands[number as usize].rejected += 1;
}

#[inline]
fn look_up(shared: &Shared, session: &mut Session, args: &Args) -> Result<Numbered, Error> {
    let name = args.at(0);
    if let Some(last) = session.last
        && !name.is_empty()
        && same_bytes(name, &session.last_name)
    {
        return Ok(last);
    }
    let found = shared
        .table
        .find(name)
        .ok_or_else(|| unknown_command(args))?;
    let command = match args.get(1) {
        Some(sub) if !found.0.subcommands.is_empty() => shared
            .table
            .find_sub(found, sub)
            .ok_or_else(|| error::unknown_subcommand(found.0.name, sub))?,
        _ => found,
    };
    session.last = Some(command);
    session.last_name.clear();
    if found.0.subcommands.is_empty() {
        session.last_name.extend_from_slice(name);
    }
    Ok(command)
}

fn unknown_command(args: &Args) -> Error {
    // Redis shows at most 128 bytes of the name and of all arguments together.
    let clip = |bytes: &[u8], n: usize| {
        let end = bytes.iter().take(n).position(|b| *b == 0);
        error::lossless(&bytes[..end.unwrap_or(bytes.len().min(n))])
    };
    let mut shown = String::new();
    for arg in args.iter_from(1) {
        if shown.len() >= 128 {
            break;
        }
        let rest = 128 - shown.len();
        shown.push_str(&format!("'{}' ", clip(arg, rest)));
    }
    Error::text(format!(
        "ERR unknown command '{}', with args beginning with: {shown}",
        clip(args.at(0), 128)
    ))
}

fn refusal_of_client(session: &Session, spec: &Command) -> Option<Error> {
    let flags = spec.flags;
    if !session.authenticated && !flags.has(Flags::NO_AUTH) {
        return Some(error::NO_AUTH);
    }
    if session.multi.is_some() && flags.has(Flags::NO_MULTI) {
        return Some(Error::text("ERR Command not allowed inside a transaction"));
    }
    None
}

fn refusal_of_server(gate: &Gate, session: &Session, spec: &Command) -> Option<Error> {
    let flags = spec.flags;
    if flags.has(Flags::WRITE)
        && !session.replay
        && let Some(reason) = &gate.refuse_writes
    {
        return Some(reason.clone());
    }
    if session.in_subscribe_mode() && !flags.has(Flags::IN_SUBSCRIBE) {
        return Some(Error::text(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        )));
    }
    if gate.loading && !session.replay && !flags.has(Flags::LOADING) {
        return Some(error::LOADING);
    }
    None
}

/// Commands that run at once although a transaction is open.
fn runs_in_multi(spec: &Command) -> bool {
    matches!(
        spec.name,
        "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
    )
}

/// Runs a handler, counts it, and notes how it is propagated. Effects stay pending: the unit may go on.
#[inline]
pub fn call(
    ks: &mut Keyspace,
    shared: &mut Shared,
    session: &mut Session,
    command: Numbered,
    args: &Args,
    reply: &mut Reply,
    inst: &mut dyn Instance,
) {
    let dirty = ks.dirty;
    ks.fx.own = Propagate::Verbatim;
    let errors = reply.errors;
    let started = session.db;
    let outcome = (command.0.run)(
        &mut Ctx {
            ks,
            session,
            reply,
            shared,
            inst,
            command,
        },
        args,
    );
    let stats = &mut shared.stats.commands[command.1 as usize];
    // A command that begins to wait counts when it ends.
    let ended = u64::from(!session.blocked);
    stats.calls += ended;
    shared.stats.processed += ended;
    match outcome {
        Err(failure) => {
            stats.failed += 1;
            count_error(shared, &failure);
            reply.error(&failure);
        }
        // What failed inside of an EXEC is counted there.
        Ok(()) if reply.errors != errors => {
            stats.failed += u64::from(command.0.name != super::transaction::EXEC.name);
        }
        Ok(()) => {}
    }
    if ks.fx.feed_on
        && ks.dirty != dirty
        && ks.fx.own == Propagate::Verbatim
        && command.0.flags.has(Flags::WRITE)
        && !session.replay
    {
        propagate_verbatim(ks, started, args);
    }
}

fn propagate_verbatim(ks: &mut Keyspace, db: usize, args: &Args) {
    match args.encoded() {
        Some(encoded) => ks.fx.feed.push_encoded(db, encoded),
        None => {
            let args: Vec<&[u8]> = args.iter_from(0).collect();
            ks.fx.feed.push(db, &args);
        }
    }
}

/// Counts an error reply by its first word.
pub fn count_error(shared: &mut Shared, failure: &Error) {
    shared.stats.error_replies += 1;
    let prefix = failure.prefix();
    if let Some(count) = shared.stats.errors.get_mut(prefix) {
        *count += 1;
    } else if shared.stats.errors.len() < 128 {
        shared.stats.errors.insert(prefix.to_owned(), 1);
    }
}

/// As [`apply`] for changes that are independent of each other: no transaction around them.
pub fn apply_each(
    ks: &mut Keyspace,
    shared: &mut Shared,
    running: Option<&mut Session>,
    inst: &mut dyn Instance,
) {
    if !ks.fx.feed.is_empty() {
        inst.feed(&ks.fx.feed, false);
        ks.fx.feed.clear();
    }
    apply(ks, shared, running, inst);
}

/// Applies what a whole unit left behind: the feed, transactions of watchers, events.
pub fn apply(
    ks: &mut Keyspace,
    shared: &mut Shared,
    mut running: Option<&mut Session>,
    inst: &mut dyn Instance,
) {
    if !ks.fx.feed.is_empty() {
        let transaction = ks.fx.feed.len() > 1;
        inst.feed(&ks.fx.feed, transaction);
        ks.fx.feed.clear();
        if let Some(session) = running.as_deref_mut() {
            session.log_mark = inst.log_position();
        }
    }
    for touched in ks.fx.touched.drain(..) {
        let session = match running.as_deref_mut() {
            Some(session) if session.slot == touched => Some(session),
            _ => shared.sessions.get_mut(touched),
        };
        // EXEC has forgotten what it watched before its own effects are applied.
        if let Some(session) = session.filter(|session| !session.watched.is_empty()) {
            session.watch_touched = true;
        }
    }
    if !ks.fx.events.is_empty() {
        publish_events(ks, shared, running.as_deref(), inst);
    }
}

/// Publishes keyspace events: `__keyspace@db__:key` carries the event, `__keyevent@db__:event` the key.
/// A client hears of its own changes, too.
fn publish_events(
    ks: &mut Keyspace,
    shared: &mut Shared,
    running: Option<&Session>,
    inst: &mut dyn Instance,
) {
    let events = std::mem::take(&mut ks.fx.events);
    if !shared.pubsub.is_idle() {
        for event in &events {
            let key = &ks.fx.event_keys[event.key.clone()];
            let channel = |kind: &str, tail: &[u8]| {
                [format!("__{kind}@{}__:", event.db).as_bytes(), tail].concat()
            };
            if ks.limits.notify & EventClass::KEYSPACE != 0 {
                super::pubsub::publish(
                    shared,
                    inst,
                    running,
                    &channel("keyspace", key),
                    event.name.as_bytes(),
                );
            }
            if ks.limits.notify & EventClass::KEYEVENT != 0 {
                super::pubsub::publish(
                    shared,
                    inst,
                    running,
                    &channel("keyevent", event.name.as_bytes()),
                    key,
                );
            }
        }
    }
    ks.fx.event_keys.clear();
    ks.fx.events = events;
    ks.fx.events.clear();
}

/// Takes the answer back if the client does not want it.
pub(super) fn hush(session: &mut Session, reply: &mut Reply, before: usize) {
    let keep = match session.reply_mode {
        ReplyMode::On => !reply.muted,
        ReplyMode::Off | ReplyMode::Skip => false,
        ReplyMode::SkipNext => {
            session.reply_mode = ReplyMode::Skip;
            reply.truncate(before);
            return;
        }
    };
    if !keep {
        reply.truncate(before);
    }
    if session.reply_mode == ReplyMode::Skip {
        session.reply_mode = ReplyMode::On;
    }
}
