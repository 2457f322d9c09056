//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::interests::unwatch_all;
use crate::call::rights;
use crate::call::route;
use crate::call::run;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::session::transaction::Queued;

/// This family.
pub const COMMANDS: &[&Command] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

const OPEN: Flags = Flags::NO_SCRIPT
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::ALLOW_BUSY);

const MULTI: Command = Command {
    name: "multi",
    group: Group::Transactions,
    since: "1.2.0",
    arity: 1,
    flags: OPEN,
    summary: "Begin to queue commands for one uninterrupted run",
    run: multi,
    ..Command::BASE
};

fn multi(cx: &mut Ctx, _: &Args) -> Outcome {
    if cx.session.multi.is_some() {
        return Err(Error::new("ERR MULTI calls can not be nested"));
    }
    cx.session.multi = Some(Box::default());
    cx.reply.ok();
    Ok(())
}

const DISCARD: Command = Command {
    name: "discard",
    group: Group::Transactions,
    since: "2.0.0",
    arity: 1,
    flags: OPEN,
    complexity: "O(N), when N is the number of queued commands",
    summary: "Drop the queued commands and the watched keys",
    run: discard,
    ..Command::BASE
};

fn discard(cx: &mut Ctx, _: &Args) -> Outcome {
    if cx.session.multi.take().is_none() {
        return Err(Error::new("ERR DISCARD without MULTI"));
    }
    unwatch_all(cx.ks, cx.session);
    cx.reply.ok();
    Ok(())
}

const EXEC: Command = Command {
    name: "exec",
    group: Group::Transactions,
    since: "1.2.0",
    arity: 1,
    flags: Flags::NO_SCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::SKIP_SLOWLOG),
    complexity: "Depends on commands in the transaction",
    summary: "Run the queued commands as one unit",
    run: exec,
    ..Command::BASE
};

fn exec(cx: &mut Ctx, _: &Args) -> Outcome {
    let Some(multi) = cx.session.multi.take() else {
        return Err(Error::new("ERR EXEC without MULTI"));
    };
    let touched = cx.session.watch_touched || watched_key_expired(cx);
    debug_assert!(!cx.session.deny_blocking, "no EXEC within EXEC");
    unwatch_all(cx.ks, cx.session);
    if multi.aborted {
        return Err(error::EXEC_ABORT);
    }
    if touched {
        cx.reply.null_array();
        return Ok(());
    }
    if let Some(reason) = refusal_of_all(cx, &multi.queue) {
        return Err(Error::text(format!(
            "EXECABORT Transaction discarded because of: {}",
            reason.0
        )));
    }
    cx.reply.array(multi.queue.len());
    cx.session.deny_blocking = true;
    let (own, errors) = (cx.command, cx.reply.errors);
    for queued in &multi.queue {
        cx.reply.protocol = cx.session.protocol;
        cx.command = cx.shared.table.entry(queued.command);
        let args = queued.args();
        cx.ks.select(route::table_of_part(cx, &args));
        run_queued(cx, &args);
        debug_assert!(
            cx.session.multi.is_none(),
            "no transaction within a transaction"
        );
    }
    // What failed inside is counted there, and is no failure of EXEC.
    (cx.command, cx.reply.errors) = (own, errors);
    cx.session.deny_blocking = false;
    // What the queued commands propagate is in the feed; EXEC itself is not.
    cx.propagate_nothing();
    Ok(())
}

/// Runs one command of the transaction, unless its user has lost the right to it meanwhile.
fn run_queued(cx: &mut Ctx, args: &Args) {
    if let Err((denied, _)) = rights::check(cx, args) {
        let failure = rights::refused_in_exec(denied);
        run::count_error(&mut cx.shared.stats, &failure);
        return cx.reply.error(&failure);
    }
    run::run_part(cx, args);
}

/// The gates may have closed since the commands were queued: why some of them may not run any more.
fn refusal_of_all(cx: &Ctx, queue: &[Queued]) -> Option<Error> {
    let gate = &cx.shared.gate;
    if gate.is_open() || cx.session.applies() {
        return None;
    }
    let flags = |queued: &Queued| cx.shared.flags_of_queued(cx.ks, queued);
    if let Some(reason) = gate.write_refusal()
        && queue.iter().any(|queued| flags(queued).has(Flags::WRITE))
    {
        return Some(reason);
    }
    let is_stale = gate.replica.is_some_and(|following| following.stale);
    let needs_data = |queued: &Queued| !flags(queued).has(Flags::STALE);
    (is_stale && queue.iter().any(needs_data)).then_some(error::MASTER_DOWN)
}

/// A watched key or field that was alive when it was watched and whose time has come since is a change, too.
fn watched_key_expired(cx: &mut Ctx) -> bool {
    let selected = cx.ks.selected();
    let expired = |cx: &Ctx| (cx.ks.stats.expired, cx.ks.stats.expired_fields);
    let before = expired(cx);
    let mut hidden = false;
    for (db, key) in &cx.session.watched {
        cx.ks.select(*db);
        hidden |= cx.ks.find(key).is_none() && !cx.ks.is_free(key);
    }
    cx.ks.select(selected);
    hidden || expired(cx) != before
}

const WATCH: Command = Command {
    name: "watch",
    group: Group::Transactions,
    since: "2.2.0",
    arity: -2,
    flags: OPEN,
    keys: &[KeySpec::range(1, -1, 1, &["RO"])],
    complexity: "O(1) for every key.",
    summary: "Let the next EXEC fail if one of these keys changes before it",
    run: watch,
    ..Command::BASE
};

fn watch(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.session.multi.is_some() {
        return Err(Error::new("ERR WATCH inside MULTI is not allowed"));
    }
    if !cx.session.watch_touched {
        for key in args.iter_from(1) {
            // A key that is expired already must not make EXEC fail later for being removed.
            cx.ks.find(key);
            if cx.ks.watch(cx.session.slot, key) {
                cx.session.watched.push((cx.ks.selected(), key.into()));
            }
        }
    }
    cx.reply.ok();
    Ok(())
}

const UNWATCH: Command = Command {
    name: "unwatch",
    group: Group::Transactions,
    since: "2.2.0",
    arity: 1,
    flags: OPEN,
    summary: "Forget all watched keys",
    run: unwatch,
    ..Command::BASE
};

fn unwatch(cx: &mut Ctx, _: &Args) -> Outcome {
    unwatch_all(cx.ks, cx.session);
    cx.reply.ok();
    Ok(())
}
