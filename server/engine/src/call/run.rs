//! One run of a handler, and what follows it: figures, propagation, and the effects that a whole unit leaves behind.

use cairn_format::resp::value::write_command;

use super::ctx::{Ctx, Instance, Shared, Stats};
use super::publish::publish;
use super::reply::Reply;
use super::spec::{Command, Flags};
use super::table::Entry;
use super::tracking;
use super::watch::ended::{self, Ended};
use super::watch::monitor;
use crate::base::args::Args;
use crate::base::effect::{EventClass, Propagate, empty};
use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::session::{ReplyMode, Session};

/// Runs the handler of `cx.command`, counts it, and notes how it is propagated. Effects stay pending: the unit may go on. A
/// command that runs another one (EXEC does) comes here again, with a sink of its own if it wants the answer. Always inlined:
/// saving and restoring registers once more was a fiftieth of a pipelined GET.
#[inline(always)]
pub fn run(cx: &mut Ctx, args: &Args) {
    let dirty = cx.ks.dirty;
    cx.ks.fx.own = Propagate::Verbatim;
    let errors = cx.reply.errors;
    let started = cx.session.db;
    let Entry { spec, id } = cx.command;
    debug_assert!(
        spec.accepts(args.len()),
        "the handler may count on its arguments"
    );
    let outcome = (spec.run)(cx, args);
    debug_assert!(
        !spec.flags.has(Flags::READ)
            || spec.flags.has(Flags::MAY_REPLICATE)
            || cx.ks.dirty == dirty,
        "{} changes nothing",
        spec.name
    );
    let stats = &mut cx.shared.stats.commands[id.index()];
    // A command that begins to wait counts when it ends.
    let ended = u64::from(!cx.session.blocked);
    stats.calls += ended;
    cx.shared.stats.processed += ended;
    match outcome {
        Err(failure) => {
            stats.failed += 1;
            count_error(&mut cx.shared.stats, &failure);
            cx.reply.error(&failure);
        }
        Ok(()) if cx.reply.errors != errors => stats.failed += 1,
        Ok(()) => {}
    }
    if !cx.shared.watch.monitors.is_empty() {
        monitor::show(cx, args);
    }
    if cx.session.tracking.is_some() {
        tracking::after_run(cx, args);
    }
    if cx.ks.fx.feed_on
        && cx.ks.dirty != dirty
        && cx.ks.fx.own == Propagate::Verbatim
        && spec.flags.has(Flags::WRITE)
        && !cx.session.replays()
    {
        match cx.shared.table.has_renames() {
            false => propagate_verbatim(cx.ks, started, args),
            true => propagate_renamed(cx.ks, started, spec, args),
        }
    }
}

/// Runs one command of a transaction or a script, which is noted for itself.
pub fn run_part(cx: &mut Ctx, args: &Args) {
    let (started_us, before) = (cx.inst.mono_us(), cx.reply.weight());
    run(cx, args);
    let ended = Ended {
        took_us: cx.inst.mono_us().saturating_sub(started_us),
        reply_bytes: cx.reply.weight().wrapping_sub(before),
        waited: false,
    };
    ended::note(cx.shared, cx.session, cx.command, args, ended, cx.inst);
}

/// A log has the names that commands were made with.
#[cold]
fn propagate_renamed(ks: &mut Keyspace, db: usize, spec: &Command, args: &Args) {
    let own = spec.name.split('|').next().unwrap_or(spec.name).as_bytes();
    if args.at(0).eq_ignore_ascii_case(own) {
        return propagate_verbatim(ks, db, args);
    }
    let words: Vec<&[u8]> = std::iter::once(own).chain(args.iter_from(1)).collect();
    ks.fx.feed.push(db, &words);
}

/// Whether a request has the bytes that these arguments are written with.
fn is_as_written(encoded: &[u8], args: &Args) -> bool {
    let mut written = Vec::with_capacity(encoded.len());
    write_command(&mut written, &args.iter_from(0).collect::<Vec<_>>());
    written == encoded
}

fn propagate_verbatim(ks: &mut Keyspace, db: usize, args: &Args) {
    match args.encoded() {
        Some(encoded) => {
            debug_assert!(
                is_as_written(encoded, args),
                "a log takes it as it is: {}",
                encoded.escape_ascii()
            );
            ks.fx.feed.push_encoded(db, encoded);
        }
        None => {
            let args: Vec<&[u8]> = args.iter_from(0).collect();
            ks.fx.feed.push(db, &args);
        }
    }
}

/// Counts an error reply by its first word.
pub fn count_error(stats: &mut Stats, failure: &Error) {
    stats.error_replies += 1;
    let prefix = failure.prefix();
    if let Some(count) = stats.errors.get_mut(prefix) {
        *count += 1;
    } else if stats.errors.len() < 128 {
        stats.errors.insert(prefix.to_owned(), 1);
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
        let transaction = ks.fx.feed.len() > 1 && !ks.fx.independent;
        ks.fx.independent = false;
        let position = inst.feed(&ks.fx.feed, transaction);
        ks.fx.feed.clear();
        if let Some(session) = running.as_deref_mut() {
            debug_assert!(
                position == 0 || position >= session.log_mark,
                "positions of the log rise"
            );
            session.log_mark = position;
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
    // Before the event: a copy is out of date before anybody acts on it.
    if !ks.fx.stale.is_empty() {
        tracking::tell(ks, shared, running.as_deref_mut(), inst);
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
            debug_assert!(event.db < ks.databases(), "of a database that exists");
            let key = &ks.fx.event_keys[event.key.clone()];
            let channel = |kind: &str, tail: &[u8]| {
                [format!("__{kind}@{}__:", event.db).as_bytes(), tail].concat()
            };
            if ks.limits.notify & EventClass::KEYSPACE != 0 {
                publish(
                    shared,
                    inst,
                    running,
                    &channel("keyspace", key),
                    event.name.as_bytes(),
                );
            }
            if ks.limits.notify & EventClass::KEYEVENT != 0 {
                publish(
                    shared,
                    inst,
                    running,
                    &channel("keyevent", event.name.as_bytes()),
                    key,
                );
            }
        }
    }
    debug_assert!(
        ks.fx.events.is_empty(),
        "telling of changes changes something"
    );
    empty(&mut ks.fx.event_keys);
    ks.fx.events = events;
    empty(&mut ks.fx.events);
}

/// Takes the answer back if the client does not want it.
pub(super) fn hush(session: &mut Session, reply: &mut Reply, before: usize) {
    debug_assert!(before <= reply.position(), "a command only appends");
    let keep = match session.reply_mode {
        ReplyMode::On => !reply.muted,
        ReplyMode::Off | ReplyMode::Skip => false,
        ReplyMode::Errors => reply.is_error_from(before),
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
