//! Following another server, and being promoted.

use cairn_engine::call::ctx::{Following, Gate};
use cairn_engine::keyspace::{Expired, Keyspace};
use cairn_replication::link::Link;

use crate::config::table;
use crate::front::Front;
use crate::net::Cause;
use crate::replication::{Upstream, fresh_id};

/// This server follows another one from now on. Its data stays until it is known what comes instead.
pub fn follow(front: &mut Front, gate: &mut Gate, host: &str, port: u16) {
    let now_ms = front.now().mono_us / 1000;
    let replication = &mut front.replication;
    let (may_resume, db) = match &replication.upstream {
        Some(before) => (before.may_resume, before.db),
        None => {
            // What it holds is what it wrote: the new primary may have it, too, and go on from there.
            replication.flush();
            (replication.primary.streams(), replication.db())
        }
    };
    leave(front);
    if may_resume && front.replication.upstream.is_none() {
        let history = front.replication.primary.history();
        front.log.notice(format_args!(
            "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able to synchronize with the new master with just a partial transfer. ({}:{})",
            history.id(),
            history.offset()
        ));
    }
    let link = Link::new(host, port, now_ms);
    if front.cluster.is_none() {
        // A node of a cluster remembers it in its own file.
        front.settings.config.note_primary(Some((host, port)));
    }
    front.replication.upstream = Some(Upstream::new(link, may_resume, db));
    front.attach_stream();
    refresh_gate(front, gate);
    // What the system does not allow is in the log.
    front.refresh_oom_score();
    front.role_changed = true;
}

/// A start follows whom the configuration names, or the file of a cluster's node. What it holds is not known yet.
pub fn follow_configured(front: &mut Front, gate: &mut Gate) {
    let named = front.settings.config.get(table::REPLICAOF);
    let named = named.map(|(host, port)| (String::from_utf8_lossy(host).into_owned(), port));
    let remembered = || {
        let (_, ip, port) = front.cluster.as_ref()?.machine.primary_place()?;
        Some((ip, port))
    };
    let Some((host, port)) = named.or_else(remembered) else {
        return refresh_gate(front, gate);
    };
    let now_ms = front.now().mono_us / 1000;
    let link = Link::new(&host, port, now_ms);
    front.replication.upstream = Some(Upstream::new(link, false, 0));
    refresh_gate(front, gate);
    front.refresh_oom_score();
}

/// This server follows nobody from now on, and goes on with its stream under a new name.
pub fn promote(front: &mut Front, ks: &mut Keyspace, gate: &mut Gate) {
    leave(front);
    front.replication.upstream = None;
    front.settings.config.note_primary(None);
    let now_ms = front.now().mono_us / 1000;
    let fresh = fresh_id(&*front.host);
    front.replication.primary.promoted(fresh, now_ms);
    front.attach_stream();
    ks.fx.feed_on = front.journal.is_read();
    ks.expired = Expired::Goes;
    refresh_gate(front, gate);
    front.refresh_oom_score();
}

/// Hangs up on the primary. A snapshot that was coming is given up.
fn leave(front: &mut Front) {
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    if let Some(slot) = upstream.slot.take() {
        front.clients.connections.end(slot, Cause::Cut);
    }
    super::arrive::give_up(front);
}

/// What clients may do, now that a role, a link or a directive has changed.
pub fn refresh_gate(front: &Front, gate: &mut Gate) {
    let config = &front.settings.config;
    gate.replica = front
        .replication
        .upstream
        .as_ref()
        .map(|upstream| Following {
            read_only: config.get(table::REPLICA_READ_ONLY),
            ignores_memory: config.get(table::REPLICA_IGNORE_MAXMEMORY),
            stale: !upstream.link.is_up() && !config.get(table::REPLICA_SERVE_STALE_DATA),
        });
    let wanted = config.get(table::MIN_REPLICAS_TO_WRITE) as usize;
    let max_lag_s = config.get(table::MIN_REPLICAS_MAX_LAG) as u64;
    let now_ms = front.now().mono_us / 1000;
    gate.few_replicas = wanted > 0
        && max_lag_s > 0
        && gate.replica.is_none()
        && front.replication.primary.good(now_ms, max_lag_s) < wanted;
}
