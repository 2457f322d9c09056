//! Room for what a command will store: eviction before it runs, and the refusal when nothing more can go.

use super::ctx::{Ctx, Instance, Shared};
use super::run;
use super::spec::Flags;
use crate::base::args::Args;
use crate::base::error::{Error, OUT_OF_MEMORY};
use crate::keyspace::Keyspace;
use crate::session::{ReplyMode, Session};

/// Evictions between two looks at the clock.
const BATCH: u32 = 16;

/// How the search for memory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The limit is kept.
    Enough,
    /// It is not yet kept, but time is up; commands run.
    Coming,
    /// It is not kept, and nothing may go.
    None,
}

/// Evicts keys until `maxmemory` is kept, for as long as `maxmemory-eviction-tenacity` allows. What each leaves behind is
/// applied before the next goes; `running` is the session that makes the room, if any.
pub fn make_room(
    ks: &mut Keyspace,
    shared: &mut Shared,
    running: Option<&mut Session>,
    inst: &mut dyn Instance,
) -> Room {
    let selected = ks.selected();
    let room = search(ks, shared, running, inst);
    debug_assert_eq!(ks.selected(), selected, "whatever database gave keys");
    debug_assert!(room == Room::Enough || ks.limits.memory_max > 0);
    let stats = &mut ks.stats;
    if room != Room::Enough {
        stats
            .over_limit_since_us
            .get_or_insert_with(|| inst.mono_us());
    } else if let Some(since) = stats.over_limit_since_us.take() {
        stats.over_limit_us += inst.mono_us().saturating_sub(since);
    }
    room
}

/// What is in use and not about to be freed.
fn held(ks: &Keyspace, inst: &mut dyn Instance) -> u64 {
    inst.used_memory().saturating_sub(ks.ledger().owed_bytes())
}

/// Whether more is in use than `maxmemory` allows.
pub fn is_short(cx: &mut Ctx) -> bool {
    held(cx.ks, cx.inst) > cx.ks.limits.memory_max
}

/// As in Redis only what the removals themselves free is counted against the excess: what they are told with, to the log and
/// to listeners, takes memory too, and with small keys more than they free. To evict for that would go on to the last key.
fn search(
    ks: &mut Keyspace,
    shared: &mut Shared,
    mut running: Option<&mut Session>,
    inst: &mut dyn Instance,
) -> Room {
    let limit = ks.limits.memory_max;
    if limit == 0 {
        return Room::Enough;
    }
    let mut before = held(ks, inst);
    let mut excess = before.saturating_sub(limit) as i64;
    if excess == 0 {
        return Room::Enough;
    }
    let end = time_limit_us(ks.limits.eviction_tenacity).map(|us| inst.mono_us() + us);
    for evicted in 1_u32.. {
        if !ks.evict_one() {
            break;
        }
        let after = held(ks, inst);
        excess -= before.wrapping_sub(after) as i64;
        before = after;
        if ks.fx.pending() {
            run::apply_each(ks, shared, running.as_deref_mut(), inst);
            before = held(ks, inst);
        }
        if excess <= 0 || before <= limit {
            return Room::Enough;
        }
        if evicted.is_multiple_of(BATCH) && end.is_some_and(|end| inst.mono_us() >= end) {
            return Room::Coming;
        }
    }
    Room::None
}

/// Microseconds that one command may evict: up to half a millisecond at 10, then 15 percent more with each step, at 100
/// without end.
fn time_limit_us(tenacity: u32) -> Option<u64> {
    match tenacity {
        0..=10 => Some(u64::from(tenacity) * 50),
        11..=99 => Some((500.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64),
        _ => None,
    }
}

/// Makes room before a command; the error if it must not run without. What goes is no part of the command's own change.
///
/// # Errors
/// The command may need memory, and there is none.
pub fn before_command(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    let ignored = cx.shared.gate.replica.is_some_and(|f| f.ignores_memory);
    if ignored || cx.shared.gate.loading || cx.session.applies() {
        return Ok(());
    }
    let room = make_room(cx.ks, cx.shared, Some(cx.session), cx.inst);
    if cx.session.reply_mode == ReplyMode::On && !cx.reply.muted {
        // What went had gone before the command: its client hears of it first.
        cx.inst.take_letters(&mut cx.reply.buf);
    }
    if room == Room::None && may_need_memory(cx, args) {
        return Err(OUT_OF_MEMORY);
    }
    Ok(())
}

/// Whether a command is refused: queueing takes memory by itself, and EXEC needs what its queue needs.
fn may_need_memory(cx: &Ctx, args: &Args) -> bool {
    let denied = |flags: Flags| flags.has(Flags::DENY_OOM);
    let command = cx.command.spec;
    match &cx.session.multi {
        Some(multi) if command.name == "exec" => {
            let queued = multi.queue.iter();
            queued
                .map(|queued| cx.shared.flags_of_queued(cx.ks, queued))
                .any(denied)
        }
        Some(_) => !matches!(command.name, "discard" | "quit" | "reset"),
        None => denied(command.flags_of_call(cx.shared, cx.ks, args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenacity_is_a_time() {
        assert_eq!(time_limit_us(0), Some(0));
        assert_eq!(time_limit_us(10), Some(500));
        assert_eq!(time_limit_us(11), Some(575));
        assert!(time_limit_us(99).is_some_and(|us| (120_000_000..200_000_000).contains(&us)));
        assert_eq!(time_limit_us(100), None);
    }
}
