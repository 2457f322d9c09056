//! FAILOVER: this primary hands its role to a replica that has everything.
//!
//! ```text
//!   waiting-for-sync --a replica has all--> failover-in-progress --PSYNC ... FAILOVER, +CONTINUE--> replica
//!         \---- time is over, ABORT -------------- refused, ABORT ----> primary as before
//! ```
//! Writes are held back from the first state on; in the end they run here, or hear that this server is a replica.

use cairn_engine::Engine;
use cairn_engine::call::ctx::Holds;
use cairn_engine::call::pause;

use super::role;
use crate::front::Front;
use crate::replication::{Failover, HandOver};

/// Begins it. Its conditions were looked at.
pub fn begin(front: &mut Front, gate: &mut cairn_engine::call::ctx::Gate, failover: Failover) {
    match &failover.target {
        Some((host, port)) => front
            .log
            .notice(format_args!("FAILOVER requested to {host}:{port}.")),
        None => front.log.notice(format_args!("FAILOVER requested.")),
    }
    gate.holds.hold(Holds::HANDOVER);
    front.replication.wants_acks = true;
    front.replication.failover = Some(failover);
}

/// Looks whether somebody has everything, or the time is over.
pub(super) fn go_on(engine: &mut Engine, front: &mut Front) {
    let Some(failover) = &front.replication.failover else {
        return;
    };
    if failover.state != HandOver::WaitingForSync {
        return;
    }
    front.replication.flush();
    let Some(failover) = &front.replication.failover else {
        return;
    };
    let offset = front.replication.primary.history().offset();
    let fits = |replica: &&cairn_replication::primary::Replica| {
        replica.is_online()
            && replica.acked == offset
            && failover.target.as_ref().is_none_or(|(host, port)| {
                replica.address() == host && replica.port == i64::from(*port)
            })
    };
    let found = front
        .replication
        .primary
        .replicas()
        .find(fits)
        .map(|replica| (replica.address().to_owned(), replica.port as u16));
    let now_ms = front.now().mono_us / 1000;
    let is_over = failover.until_ms.is_some_and(|until| now_ms >= until);
    let (target, force) = (failover.target.clone(), failover.force);
    match (found, target) {
        (Some((host, port)), _) => {
            front.log.notice(format_args!(
                "Failover target {host}:{port} is synced, failing over."
            ));
            hand_over(engine, front, &host, port);
        }
        (None, Some((host, port))) if is_over && force => {
            front.log.notice(format_args!(
                "FAILOVER to {host}:{port} time out exceeded, failing over."
            ));
            hand_over(engine, front, &host, port);
        }
        (None, _) if is_over => abort(engine, front, "Replica never caught up before timeout"),
        (None, _) => front.replication.wants_acks = true,
    }
}

fn hand_over(engine: &mut Engine, front: &mut Front, host: &str, port: u16) {
    if let Some(failover) = &mut front.replication.failover {
        failover.state = HandOver::InProgress;
        failover.target = Some((host.to_owned(), port));
    }
    role::follow(front, &mut engine.shared.gate, host, port);
}

/// The new primary has taken over.
pub(super) fn done(engine: &mut Engine, front: &mut Front) {
    if front.replication.failover.take().is_some() {
        pause::let_writes_go(&mut engine.ks, &mut engine.shared, front, Holds::HANDOVER);
    }
}

/// It does not come about: this server is, or becomes again, a primary.
pub fn abort(engine: &mut Engine, front: &mut Front, reason: &str) {
    let Some(failover) = front.replication.failover.take() else {
        return;
    };
    match &failover.target {
        Some((host, port)) => front
            .log
            .notice(format_args!("FAILOVER to {host}:{port} aborted: {reason}")),
        None => front.log.notice(format_args!("FAILOVER aborted: {reason}")),
    }
    if failover.state == HandOver::InProgress {
        role::promote(front, &mut engine.ks, &mut engine.shared.gate);
    }
    pause::let_writes_go(&mut engine.ks, &mut engine.shared, front, Holds::HANDOVER);
}
