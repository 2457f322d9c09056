//! One thing that the machine asks for.

use cairn_cluster::seam::{Action, Level};
use cairn_engine::Engine;
use cairn_engine::base::error::Error;
use cairn_engine::call::ctx::Holds;
use cairn_engine::call::publish::publish;
use cairn_engine::call::route::{self, Ask};
use cairn_engine::call::{Instance, pause};
use cairn_engine::commands::pubsub::publish_sharded;
use cairn_engine::session::Session;
use cairn_format::cluster::SlotSet;

use crate::config::table;
use crate::front::Front;
use crate::net::bus::End;
use crate::sync;

use super::moves;

pub(super) fn act(engine: &mut Engine, front: &mut Front, action: Action) {
    match action {
        Action::Connect { peer, ip, port } => connect(front, End::Peer(peer), &ip, port),
        Action::Disconnect(peer) => end(front, End::Peer(peer)),
        Action::HangUp(link) => end(front, End::Link(link)),
        Action::SendPeer(peer, frame) => {
            if let Some(cluster) = &mut front.cluster {
                cluster.bus.send(End::Peer(peer), frame);
            }
        }
        Action::SendLink(link, frame) => {
            if let Some(cluster) = &mut front.cluster {
                cluster.bus.send(End::Link(link), frame);
            }
        }
        Action::Replicate { ip, port, .. } => {
            // A replica deletes nothing by itself.
            moves::drop_all(engine, front);
            sync::follow(front, &mut engine.shared.gate, &ip, port);
        }
        Action::Promote => {
            sync::promote(front, &mut engine.ks, &mut engine.shared.gate);
            front.role_changed = true;
        }
        Action::SlotsLost { slots, with_keys } => lose(engine, front, &slots, with_keys),
        Action::State(is_ok) => {
            if !is_ok {
                look_at_waiters(engine, front);
            }
        }
        // The machine says itself when they go on, also when nothing comes of it.
        Action::PauseWrites(_) => engine.shared.gate.holds.hold(Holds::MANUAL),
        Action::ResumeWrites => {
            pause::let_writes_go(&mut engine.ks, &mut engine.shared, front, Holds::MANUAL);
        }
        Action::Publish {
            is_sharded: true,
            channel,
            message,
        } => publish_sharded(&engine.shared, front, &channel, &message),
        Action::Publish {
            channel, message, ..
        } => {
            publish(&engine.shared, front, None, &channel, &message);
        }
        Action::EmptyData => engine.empty(front),
        Action::Log(level, text) => match level {
            Level::Verbose => front.log.verbose(format_args!("{text}")),
            Level::Notice => front.log.notice(format_args!("{text}")),
            Level::Warning => front.log.warning(format_args!("{text}")),
        },
    }
}

fn connect(front: &mut Front, end: End, ip: &str, port: u16) {
    let stream = front.connect(ip, port, front.settings.config.get(table::TLS_CLUSTER));
    let now_ms = front.now().mono_us / 1000;
    if let Some(cluster) = &mut front.cluster {
        let registry = &front.clients.registry;
        cluster.bus.add(registry, end, stream, now_ms);
    }
}

fn end(front: &mut Front, end: End) {
    if let Some(cluster) = &mut front.cluster {
        cluster.bus.end(&front.clients.registry, end);
    }
}

/// Slots are another's, or nobody's.
fn lose(engine: &mut Engine, front: &mut Front, slots: &[u16], with_keys: bool) {
    let set: SlotSet = slots.iter().copied().collect();
    engine.drop_shard_channels(&set, front);
    if let Some(uses) = &mut engine.shared.watch.slots {
        slots.iter().for_each(|slot| uses.forget(*slot));
    }
    look_at_waiters(engine, front);
    if with_keys && let Some(cluster) = &mut front.cluster {
        // They go in slices, and are out of sight at once.
        for slot in slots {
            engine.ks.hide_slot(*slot, true);
        }
        cluster.moves.dropping.extend(slots);
    }
}

/// Who waits for keys that are not served here is sent where they are, or told that they are nowhere.
fn look_at_waiters(engine: &mut Engine, front: &mut Front) {
    engine.unblock_slots(front, &mut |inst: &mut dyn Instance,
                                      session: &Session,
                                      slot| {
        let ask = Ask {
            slot,
            is_crossed: false,
            has_many_keys: false,
            is_write: true,
            is_migrate: false,
            is_channel: false,
            is_asking: true,
            is_readonly: session.readonly,
        };
        let refused: Option<Error> = inst.route(&ask, &mut || (0, 1)).err();
        refused.filter(route::is_redirect)
    });
}
