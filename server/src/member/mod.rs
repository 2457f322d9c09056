//! The node of a cluster at work: its machine joined to sockets, file, replication and the data.
//!
//! ```text
//!   bus --News--> machine --Output--> file first, then: bus, replication, slots of the data, listeners of channels
//!   commands ---methods-^        the same, at the end of their turn: before any reply leaves
//! ```

mod act;
mod moves;

use std::sync::Arc;

use cairn_cluster::Machine;
use cairn_cluster::machine::Addresses;
use cairn_cluster::seam::Local;
use cairn_engine::Engine;
use cairn_format::cluster::{SlotSet, kind_of_frame};

use crate::cluster::{Cluster, Moves, NodesFile, TICK_MS, at_moment, local_of, options_of};
use crate::config::table;
use crate::front::{Ending, Front};
use crate::host::Disk;
use crate::keeper::LogState;
use crate::net::bus::{End, News};
use crate::net::{Bus, Listeners};

/// A start as a node: takes `nodes.conf`, or begins one.
///
/// # Errors
/// The line to end with.
pub fn join(front: &mut Front, listeners: Listeners) -> Result<(), String> {
    let path = front.settings.config.path(table::CLUSTER_CONFIG_FILE);
    let disk: Arc<dyn Disk> = front.host.disk();
    let file = NodesFile::hold(&*disk, &front.host.data_path(&path))?;
    let name = file.path().display().to_string();
    let text = file
        .read(&disk)
        .map_err(|error| format!("Loading the cluster node config from {name}: {error}"))?;
    let machine = at_moment(&*front.host, |moment| match &text {
        None => Ok(Machine::new(moment)),
        Some(text) => Machine::load(text, moment).map_err(|fault| {
            format!("Unrecoverable error: corrupted cluster config file {name}: {fault}")
        }),
    })?;
    if text.is_some() {
        let id = machine.id();
        front
            .log
            .notice(format_args!("Node configuration loaded, I'm {id}"));
    }
    front.cluster = Some(Box::new(Cluster {
        machine,
        bus: Bus::new(listeners),
        file,
        is_begun: false,
        is_asked: false,
        dropped: None,
        tick_ms: 0,
        moves: Moves::default(),
    }));
    refresh(front);
    Ok(())
}

/// The data is there: slots with keys are looked at, and the machine begins.
pub fn begin(engine: &mut Engine, front: &mut Front) {
    let Front { cluster, host, .. } = front;
    let Some(cluster) = cluster else { return };
    let tables = 0..engine.ks.tables();
    let used = tables.filter(|table| !engine.ks.table(*table).is_empty());
    let used: SlotSet = used.map(|table| table as u16).collect();
    cluster.is_begun = true;
    at_moment(&**host, |moment| cluster.machine.keys_loaded(&used, moment));
    carry_out(engine, front);
}

/// Tells the machine what is configured and what only the server knows.
fn refresh(front: &mut Front) {
    let now_ms = front.now().mono_us / 1000;
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    let config = &front.settings.config;
    cluster.machine.options = options_of(config);
    cluster.machine.local = Local {
        gives_slots: cluster.moves.give_slots(),
        ..local_of(config, &front.replication, now_ms)
    };
}

/// Whether the machine or its bus has something to do now.
pub fn has_work(front: &Front) -> bool {
    let cluster = front.cluster.as_deref();
    cluster.is_some_and(|cluster| cluster.bus.work_left || moves::has_work(front, cluster))
}

/// What a turn does for the cluster: what came on the bus, time, and what commands asked for.
pub fn turn(engine: &mut Engine, front: &mut Front) {
    let now_ms = engine.mono_us() / 1000;
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    if !cluster.moves.is_idle() {
        moves::go_on(engine, front);
    }
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    let is_due = cluster.bus.work_left || cluster.tick_ms <= now_ms;
    if !(std::mem::take(&mut cluster.is_asked) || is_due) || !cluster.is_begun {
        return;
    }
    refresh(front);
    for _ in 0..ROUNDS {
        hear(front);
        if !carry_out(engine, front) {
            break;
        }
    }
    moves::settle(engine, front);
}

pub use moves::{closed, hear as hear_target, is_target};

/// Rounds of hearing and doing in one turn: what is sent at once leaves in the same turn.
const ROUNDS: usize = 2;

fn hear(front: &mut Front) {
    let now_ms = front.now().mono_us / 1000;
    let limit = front.settings.config.get(table::CLUSTER_LINK_SENDBUF_LIMIT) as usize;
    let Front {
        cluster,
        host,
        clients,
        log,
        keeper,
        ..
    } = front;
    let Some(cluster) = cluster else { return };
    let Cluster {
        machine,
        bus,
        tick_ms,
        dropped,
        ..
    } = &mut **cluster;
    let news = bus.turn(&clients.registry, now_ms, limit);
    at_moment(&**host, |moment| {
        for news in news {
            match news {
                News::Frame(_, frame) if dropped.is_some() && kind_of_frame(&frame) == *dropped => {
                }
                News::Connected(peer) => machine.connected(peer, moment),
                News::Accepted(link, theirs, ours) => {
                    let host =
                        |address: std::net::SocketAddr| address.ip().to_canonical().to_string();
                    let addresses = Addresses {
                        remote: host(theirs),
                        local: host(ours),
                    };
                    machine.accepted(link, addresses);
                }
                News::Frame(End::Peer(peer), frame) => {
                    machine.frame_from_peer(peer, &frame, moment)
                }
                News::Frame(End::Link(link), frame) => {
                    machine.frame_from_link(link, &frame, moment)
                }
                News::Ended { end, is_full } => {
                    if is_full {
                        log.warning(format_args!(
                            "Freeing cluster link, exceeding the output buffer memory limit ({end:?})."
                        ));
                        machine.limit_exceeded();
                    }
                    match end {
                        End::Peer(peer) => machine.disconnected(peer),
                        End::Link(link) => machine.hung_up(link),
                    }
                }
            }
        }
        if *tick_ms <= moment.now_ms {
            *tick_ms = moment.now_ms + TICK_MS;
            // Who has no data does not stand for election; whoever asks is answered.
            if !keeper.loading {
                machine.tick(moment);
            }
        }
    });
}

/// Does what the machine asks for; whether there was anything.
fn carry_out(engine: &mut Engine, front: &mut Front) -> bool {
    let mut did = false;
    loop {
        let Some(cluster) = &mut front.cluster else {
            return did;
        };
        let output = cluster.machine.take();
        if output.save.is_none() && output.actions.is_empty() {
            break;
        }
        did = true;
        // What has come with slots that are this node's now is on the disk before it tells so, if writes are to be there at all.
        let has_come = cluster.moves.have_come();
        if has_come && front.saving().flush_log() == LogState::Fatal {
            front.ending = Some(Ending::Lost(1));
            return did;
        }
        if output.save.is_some() && !save(front) {
            // A vote that is not on the disk must not leave.
            front.ending = Some(Ending::Lost(1));
            return did;
        }
        for action in output.actions {
            act::act(engine, front, action);
        }
    }
    if let (Some(cluster), Some(routes)) = (&front.cluster, &mut engine.shared.routes) {
        let (number, served, readable) = cluster.machine.plainly_served();
        if routes.number != number {
            routes.number = number;
            routes.served.clone_from(served);
            routes.readable.clone_from(readable);
            moves::judge_imports(front);
            moves::look_at_dropping(engine, front);
        }
    }
    did
}

/// Writes `nodes.conf`; false: it is as it was, and why is in the log.
fn save(front: &mut Front) -> bool {
    let is_tls = front.settings.config.get(table::TLS_CLUSTER);
    let Front {
        cluster, host, log, ..
    } = front;
    let Some(cluster) = cluster else { return true };
    let text = at_moment(&**host, |moment| cluster.machine.nodes_conf(moment, is_tls));
    let written = cluster.file.write(&host.disk(), &text);
    written
        .inspect_err(|error| {
            let name = cluster.file.path().display();
            log.warning(format_args!(
                "Fatal: can't update cluster config file {name}: {}",
                crate::os::error_text(error)
            ));
        })
        .is_ok()
}
