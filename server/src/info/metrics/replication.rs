//! Sources of metrics of replication: each replica, and the link to the primary.

use cairn_replication::primary::Replica;

use super::super::View;
use super::Samples;
use crate::replication::Upstream;

/// Labels of a replica.
pub(super) const REPLICA: &[&str] = &["slave_ip", "slave_port", "slave_state"];
/// Labels of the primary.
pub(super) const PRIMARY: &[&str] = &["master_host", "master_port"];

fn per_replica(view: &View, samples: &mut Samples, value: fn(&View, &Replica) -> u64) {
    for replica in view.front.replication.primary.replicas() {
        if let Some(state) = replica.state_word() {
            let labels = [replica.address(), &replica.port.to_string(), state];
            samples.add(&labels, value(view, replica));
        }
    }
}

fn now_ms(view: &View) -> u64 {
    view.now.mono_us / 1000
}

fn lag(view: &View, replica: &Replica) -> (u64, u64) {
    view.front.replication.primary.lag(replica, now_ms(view))
}

/// What each replica has acknowledged.
pub(super) fn offsets(view: &View, samples: &mut Samples) {
    per_replica(view, samples, |_, replica| replica.acked);
}

/// How long ago each replica did.
pub(super) fn silence(view: &View, samples: &mut Samples) {
    per_replica(view, samples, |view, replica| replica.lag_s(now_ms(view)));
}

/// What each replica lacks.
pub(super) fn lag_bytes(view: &View, samples: &mut Samples) {
    per_replica(view, samples, |view, replica| lag(view, replica).0);
}

/// For how long what each replica lacks has been there.
pub(super) fn lag_ms(view: &View, samples: &mut Samples) {
    per_replica(view, samples, |view, replica| lag(view, replica).1);
}

fn of_link(view: &View, samples: &mut Samples, value: fn(&View, &Upstream) -> u64) {
    if let Some(upstream) = &view.front.replication.upstream {
        let labels = [upstream.link.host(), &upstream.link.port().to_string()];
        samples.add(&labels, value(view, upstream));
    }
}

/// Whether commands come from the primary.
pub(super) fn link_up(view: &View, samples: &mut Samples) {
    of_link(view, samples, |_, upstream| {
        u64::from(upstream.link.is_up())
    });
}

/// How long ago the primary was heard.
pub(super) fn link_silence(view: &View, samples: &mut Samples) {
    of_link(view, samples, |view, upstream| {
        now_ms(view).saturating_sub(upstream.link.heard_at_ms()) / 1000
    });
}

/// Whether a snapshot of the primary comes or is loaded.
pub(super) fn link_syncs(view: &View, samples: &mut Samples) {
    of_link(view, samples, |_, upstream| {
        u64::from(upstream.link.is_syncing())
    });
}
