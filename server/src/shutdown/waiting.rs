//! Before the end: replicas are given time to take over what they do not have yet. Writes are held back meanwhile.

use cairn_engine::Engine;
use cairn_engine::base::id::SessionId;
use cairn_engine::call::ctx::{Gate, Holds};
use cairn_engine::call::{Instance, pause};

use super::{STAYS, shut_down};
use crate::config::{ShutdownFlags, table};
use crate::front::{Farewell, Front};

/// Whether the end has to wait, and if so, begins to. `session`: whose SHUTDOWN it is.
pub fn begin(
    front: &mut Front,
    gate: &mut Gate,
    flags: ShutdownFlags,
    session: Option<SessionId>,
) -> bool {
    let timeout_ms = front.settings.config.milliseconds(table::SHUTDOWN_TIMEOUT);
    if let Some(farewell) = &mut front.farewell {
        farewell.sessions.extend(session);
        return true;
    }
    if flags.now || timeout_ms == 0 || front.replication.follows() || lagging(front) == 0 {
        return false;
    }
    front
        .log
        .notice(format_args!("Waiting for replicas before shutting down."));
    front.replication.wants_acks = true;
    front.farewell = Some(Farewell {
        flags,
        until_ms: front.now().mono_us / 1000 + timeout_ms,
        sessions: session.into_iter().collect(),
    });
    gate.holds.hold(Holds::FAREWELL);
    true
}

/// Replicas that have not acknowledged everything.
fn lagging(front: &mut Front) -> usize {
    front.replication.flush();
    let primary = &front.replication.primary;
    let offset = primary.history().offset();
    let lags = |replica: &&cairn_replication::primary::Replica| {
        replica.state_word().is_some() && replica.acked != offset
    };
    primary.replicas().filter(lags).count()
}

/// Looks whether the time has come.
pub fn go_on(engine: &mut Engine, front: &mut Front) {
    let Some(farewell) = &front.farewell else {
        return;
    };
    let (flags, until_ms) = (farewell.flags, farewell.until_ms);
    let left = lagging(front);
    if left > 0 && front.now().mono_us / 1000 < until_ms {
        return;
    }
    tell_lagging(front, left);
    if let Err(reason) = shut_down(&mut engine.ks, front, flags) {
        front.log.warning(format_args!("{reason}"));
        front.log.warning(format_args!("{STAYS}"));
        front.host.forget_interrupt();
        give_up(engine, front);
    }
}

fn tell_lagging(front: &Front, left: usize) {
    let primary = &front.replication.primary;
    let (offset, now_ms) = (primary.history().offset(), front.now().mono_us / 1000);
    for replica in primary.replicas() {
        if let Some(state) = replica.state_word()
            && replica.acked != offset
        {
            front.log.notice(format_args!(
                "Lagging replica {} reported offset {} behind master, lag={}, state={state}.",
                replica.name(),
                offset.saturating_sub(replica.acked),
                replica.lag_s(now_ms)
            ));
        }
    }
    let all = primary.followers();
    front.log.notice(format_args!(
        "{} of {all} replicas are in sync when shutting down.",
        all - left
    ));
}

/// The server stays: who asked for the end hears of it, and writes go on.
pub fn give_up(engine: &mut Engine, front: &mut Front) {
    let Some(farewell) = front.farewell.take() else {
        return;
    };
    for session in farewell.sessions {
        if let Some(state) = engine.shared.sessions.get_mut(session)
            && std::mem::take(&mut state.blocked)
        {
            front.deliver(session, b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
            front.resume(session);
        }
    }
    pause::let_writes_go(&mut engine.ks, &mut engine.shared, front, Holds::FAREWELL);
}
