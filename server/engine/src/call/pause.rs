//! CLIENT PAUSE: commands that have to wait, and data that stands still meanwhile.
//!
//! A session whose command may not run now is **postponed**: nothing of it has run, its bytes stay where they came in, and it is
//! asked again, from its first check on, when the pause ends. While one is on, nothing expires and nothing is evicted, so that
//! the feed stands still, too: what has expired is hidden.
//!
//! Invariant: a postponed session is `blocked`, waits for nothing else, and stands in `Shared::postponed` once; no other does.

use super::ctx::{Ctx, Extent, Holds, Instance, Paused, Shared};
use super::spec::Flags;
use crate::keyspace::{Expired, Keyspace};
use crate::session::{Role, Session};

/// Begins a pause, or adds to the one that is on: neither its end comes sooner nor does it hold less back.
pub fn begin(shared: &mut Shared, new: Paused) {
    let pause = match shared.gate.pause {
        None => new,
        Some(old) => old.and(new),
    };
    shared.gate.pause = Some(pause);
}

/// Ends the pause: those who were postponed go on.
pub fn end(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    if shared.gate.pause.take().is_some() {
        go_on_all(ks, shared, inst);
    }
}

/// The server holds writes back no longer for this reason: they go on if it was the last, and slots that come once none is left that holds everything.
pub fn let_writes_go(
    ks: &mut Keyspace,
    shared: &mut Shared,
    inst: &mut dyn Instance,
    reason: Holds,
) {
    let held_all = shared.gate.holds.hold_all();
    let goes_on = shared.gate.holds.release(reason);
    if goes_on || (held_all && !shared.gate.holds.hold_all()) {
        go_on_all(ks, shared, inst);
    }
}

/// All who were postponed are asked again; some may be held back by something else.
fn go_on_all(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    if ks.expired == Expired::Hides {
        ks.expired = Expired::Goes;
    }
    for slot in std::mem::take(&mut shared.postponed) {
        if let Some(session) = shared.sessions.get_mut(slot) {
            go_on(session);
            inst.resume(slot);
        }
    }
}

/// Ends the pause if its time is over.
pub fn end_if_due(ks: &mut Keyspace, shared: &mut Shared, now_ms: i64, inst: &mut dyn Instance) {
    if shared
        .gate
        .pause
        .is_some_and(|pause| pause.end_ms <= now_ms)
    {
        end(ks, shared, inst);
    }
}

/// While a pause is on: a command that is held back waits (the session is blocked then); any other runs, and sees nothing that
/// has expired.
pub(super) fn postpone(cx: &mut Ctx, pause: Paused, flags: Flags) {
    if cx.ks.expired == Expired::Goes {
        cx.ks.expired = Expired::Hides;
    }
    let waits = match cx.session.role {
        Role::Client | Role::Primary => holds_back(pause.extent, cx, flags),
        // Slots come, and are taken over, but where a replica takes over that has everything until now.
        Role::Import => cx.shared.gate.holds.hold_all(),
        _ => false,
    };
    if !waits {
        return;
    }
    debug_assert!(cx.session.waiting.is_none(), "who waits runs nothing else");
    cx.session.blocked = true;
    cx.session.postponed = true;
    cx.shared.postponed.push(cx.session.slot);
}

fn holds_back(extent: Extent, cx: &Ctx, flags: Flags) -> bool {
    let changes = |flags: Flags| flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
    let queued = cx.session.multi.iter().flat_map(|multi| &multi.queue);
    extent == Extent::All
        || changes(flags)
        || (cx.command.spec.name == "exec"
            && queued
                .map(|queued| cx.shared.flags_of_queued(cx.ks, queued))
                .any(changes))
}

fn go_on(session: &mut Session) {
    debug_assert!(session.blocked && session.postponed && session.waiting.is_none());
    session.blocked = false;
    session.postponed = false;
}
