//! From a request to its handler: look-up, arity, the reasons to refuse. The run itself is in [`super::run`].

use super::ctx::{Ctx, Following, Gate, Shared};
use super::keys::keys_of;
use super::pause;
use super::rights;
use super::room;
use super::route;
use super::run::{apply, count_error, hush, run};
use super::spec::{Command, Flags, Guard};
use super::table::Entry;
use super::tracking;
use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::keyspace::{Expired, Keyspace};
use crate::session::{ReplyMode, Role, Session, transaction::Queued};
use crate::structure::table::same_bytes;

/// Runs one request of a session and applies what it leaves behind. Answers whether the command ran: it may have been refused,
/// queued or postponed.
pub fn dispatch(cx: &mut Ctx, args: &Args) -> bool {
    debug_assert!(
        !cx.session.blocked && cx.session.waiting.is_none(),
        "who waits runs nothing else"
    );
    let mut ran = false;
    let before = cx.reply.position();
    let admitted = admit(cx, args)
        .and_then(|()| with_room(cx, args))
        .and_then(|()| pass(cx, args));
    match admitted {
        // The command has not begun.
        Ok(()) if cx.session.blocked => return false,
        Ok(()) if cx.session.multi.is_some() && !runs_in_multi(cx.command.spec) => {
            let queued = Queued::new(cx.command.id, args);
            debug_assert!(!cx.session.deny_blocking, "EXEC runs what is queued");
            let multi = cx.session.multi.as_mut().expect("checked above");
            multi.queue.push(queued);
            cx.reply.simple("QUEUED");
        }
        Ok(()) => {
            match cx.session.role {
                Role::Import => run_as_decided(cx, args),
                _ => run(cx, args),
            }
            ran = true;
            if cx.ks.fx.pending() {
                apply(cx.ks, cx.shared, Some(cx.session), cx.inst);
            }
        }
        Err(_) if is_http(args) => {
            // Somebody makes a browser speak to us (`POST / HTTP/1.1`, `Host: ...`): nothing of it is to run.
            cx.session.closing = true;
        }
        Err(refusal) => {
            let refusal = if args.is(0, "exec") {
                exec_refused(cx.ks, cx.session, refusal)
            } else {
                refusal
            };
            count_error(&mut cx.shared.stats, &refusal);
            cx.reply.error(&refusal);
            if let Some(multi) = &mut cx.session.multi {
                multi.aborted = true;
            }
            if cx.session.tracking.is_some() {
                tracking::spend_mark(cx);
            }
        }
    }
    // Whether a wait is answered is decided at its end.
    if (cx.session.reply_mode != ReplyMode::On || cx.reply.muted) && !cx.session.blocked {
        hush(cx.session, cx.reply, before);
    }
    ran
}

/// What comes with slots from their owner: there it is decided what has expired.
#[cold]
fn run_as_decided(cx: &mut Ctx, args: &Args) {
    let view = std::mem::replace(&mut cx.ks.expired, Expired::Stays);
    run(cx, args);
    cx.ks.expired = view;
}

fn is_http(args: &Args) -> bool {
    args.is(0, "post") || args.is(0, "host:")
}

/// An EXEC that is refused ends its transaction, and says so.
fn exec_refused(ks: &mut Keyspace, session: &mut Session, reason: Error) -> Error {
    session.multi = None;
    crate::call::interests::unwatch_all(ks, session);
    debug_assert!(session.watched.is_empty() && !session.watch_touched);
    if route::is_redirect(&reason) {
        return reason;
    }
    let reason = reason.0.strip_prefix("ERR ").unwrap_or(&reason.0);
    Error::text(format!(
        "EXECABORT Transaction discarded because of: {reason}"
    ))
}

/// Finds the command and selects the table that it works in, or says why the client may not run it now. The order of the reasons is that of Redis: the client,
/// memory, the server.
#[inline]
fn admit(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    cx.command = look_up(cx.shared, cx.session, args)?;
    let spec = cx.command.spec;
    if !spec.accepts(args.len()) {
        return Err(refused_arity(cx));
    }
    if let Some(guard) = spec.guard {
        pass_guard(cx, guard)?;
    }
    debug_assert_eq!(cx.session.last, Some(cx.command.id));
    // Rights stand last, so that whoever is told to pass there goes on at once.
    let session = &mut *cx.session;
    let is_plain = session.authenticated && session.multi.is_none();
    if !(is_plain && rights::may_pass(session, args)) {
        admit_narrowly(cx, args)?;
    }
    if cx.shared.routes.is_none() {
        cx.ks.select(cx.session.db);
        return Ok(());
    }
    if route::select_plainly(cx, args) {
        return Ok(());
    }
    admit_elsewhere(cx, args)
}

// What is seldom is apart: this one goes through registers, and each further path through it takes some.

#[cold]
#[inline(never)]
fn refused_arity(cx: &mut Ctx) -> Error {
    reject(cx);
    error::wrong_arity(cx.command.spec.name)
}

#[inline(never)]
fn pass_guard(cx: &mut Ctx, guard: Guard) -> Result<(), Error> {
    guard(cx).inspect_err(|_| reject(cx))
}

#[inline(never)]
fn admit_elsewhere(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    route::select_table(cx, args).inspect_err(|_| reject(cx))
}

#[inline(never)]
fn admit_narrowly(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    let refusal = refusal_of_client(cx.shared, cx.session, cx.command.spec);
    refused(cx, refusal)?;
    rights::check(cx, args).map_err(|(_, text)| {
        reject(cx);
        rights::refused(&text)
    })
}

fn refused(cx: &mut Ctx, refusal: Option<Error>) -> Result<(), Error> {
    refusal.map_or(Ok(()), |refusal| {
        reject(cx);
        Err(refusal)
    })
}

/// Whether the server is in a state to run the command.
#[inline]
fn pass(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    let (gate, session) = (&cx.shared.gate, &cx.session);
    if gate.is_open() && session.subscriptions.is_none() && session.role == Role::Client {
        return Ok(());
    }
    pass_narrowly(cx, args)
}

/// Something stands in the way of some commands: of this one, too?
#[cold]
fn pass_narrowly(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    let flags = cx.command.spec.flags_of_call(cx.shared, cx.ks, args);
    let refusal = refusal_of_server(&cx.shared.gate, cx.session, cx.command.spec, flags);
    refused(cx, refusal)?;
    settle_view(cx, args);
    if let Some(pause) = cx.shared.gate.paused() {
        pause::postpone(cx, pause, flags);
    }
    Ok(())
}

/// Where this server follows another one: what has expired is seen as the command may see it.
pub fn settle_view(cx: &mut Ctx, args: &Args) {
    if let Some(following) = cx.shared.gate.replica {
        cx.ks.expired = view_of_expired(following, cx.session, cx.command.spec);
        if cx.ks.expired == Expired::Goes {
            note_own_keys(cx, args);
        }
    }
}

fn note_own_keys(cx: &mut Ctx, args: &Args) {
    let keys = keys_of(cx.command.spec, args).unwrap_or_default();
    let db = route::table_of_part(cx, args);
    let own = keys.iter().filter_map(|used| args.get(used.at));
    cx.shared.own_keys.extend(own.map(|key| (db, key.into())));
}

/// What has expired on a replica is alive for its primary, which says itself what goes; clients do not see it, and where they may
/// write they remove it first.
fn view_of_expired(following: Following, session: &Session, spec: &Command) -> Expired {
    let writes = spec.flags.has(Flags::WRITE) || spec.name == "exec";
    match session.applies() {
        true => Expired::Stays,
        false if writes && !following.read_only => Expired::Goes,
        false => Expired::Hides,
    }
}

/// Whether there is memory for the command.
#[inline]
fn with_room(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    if cx.ks.limits.memory_max == 0 {
        return Ok(());
    }
    room::before_command(cx, args).inspect_err(|_| reject(cx))
}

fn reject(cx: &mut Ctx) {
    cx.shared.stats.commands[cx.command.id.index()].rejected += 1;
}

#[inline]
fn look_up(shared: &Shared, session: &mut Session, args: &Args) -> Result<Entry, Error> {
    let name = args.at(0);
    if let Some(last) = session.last
        && !name.is_empty()
        && same_bytes(name, &session.last_name)
    {
        let found = shared.table.entry(last);
        debug_assert!(
            found.spec.subcommands.is_empty() && shared.table.is_name_of(name, found),
            "the last command was another one"
        );
        return Ok(found);
    }
    look_up_anew(shared, session, args)
}

#[inline(never)]
fn look_up_anew(shared: &Shared, session: &mut Session, args: &Args) -> Result<Entry, Error> {
    let name = args.at(0);
    let found = match session.applies() {
        true => shared.table.find_logged(name),
        false => shared.table.find(name),
    };
    let found = found.ok_or_else(|| unknown_command(args))?;
    let is_container = !found.spec.subcommands.is_empty();
    let command = match args.get(1) {
        Some(sub) if is_container => shared
            .table
            .find_sub(found, sub)
            .ok_or_else(|| error::unknown_subcommand(shared.table.name_of(found.id), sub))?,
        _ => found,
    };
    session.last = Some(command.id);
    rights::turn_to(session, command.id);
    session.last_name.clear();
    if !is_container {
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

fn refusal_of_client(shared: &Shared, session: &Session, spec: &Command) -> Option<Error> {
    let flags = spec.flags;
    if rights::must_log_in(shared, session) && !flags.has(Flags::NO_AUTH) {
        return Some(error::NO_AUTH);
    }
    if session.multi.is_some() && flags.has(Flags::NO_MULTI) {
        return Some(Error::text("ERR Command not allowed inside a transaction"));
    }
    None
}

fn refusal_of_server(
    gate: &Gate,
    session: &Session,
    spec: &Command,
    flags: Flags,
) -> Option<Error> {
    if flags.has(Flags::WRITE)
        && !session.applies()
        && let Some(reason) = gate.write_refusal()
    {
        return Some(reason);
    }
    if gate.replica.is_some_and(|following| following.stale)
        && !session.applies()
        && !flags.has(Flags::STALE)
    {
        return Some(error::MASTER_DOWN);
    }
    if session.in_subscribe_mode() && !flags.has(Flags::IN_SUBSCRIBE) {
        return Some(Error::text(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        )));
    }
    let uses_keys = [Flags::WRITE, Flags::READ, Flags::MAY_REPLICATE];
    if matches!(session.role, Role::Monitor | Role::Replica)
        && uses_keys.iter().any(|flag| flags.has(*flag))
    {
        return Some(Error::new("ERR Replica can't interact with the keyspace"));
    }
    let refused = gate.loading && !flags.has(Flags::LOADING)
        || gate.async_loading && flags.has(Flags::NO_ASYNC_LOADING);
    if refused && !session.replays() && !may_end_load(spec) {
        return Some(error::LOADING);
    }
    gate.busy.clone().filter(|_| !flags.has(Flags::ALLOW_BUSY))
}

/// Commands that may end a load, so that a replica whose load takes long can be promoted; Redis refuses them then.
fn may_end_load(spec: &Command) -> bool {
    matches!(spec.name, "replicaof" | "slaveof")
}

/// Commands that run at once although a transaction is open.
fn runs_in_multi(spec: &Command) -> bool {
    matches!(
        spec.name,
        "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
    )
}
