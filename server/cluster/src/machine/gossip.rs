//! What others say of others, and what this node says.

use cairn_format::cluster::{Extensions, Flags, Forgotten, Gossip, NodeId};

use super::Machine;
use crate::nodes::{Ix, Node};
use crate::seam::{Level, Moment, Save};

/// Entries of a message at least.
const ENTRIES_MIN: usize = 3;
/// And one for so many nodes.
const NODES_FOR_ENTRY: usize = 10;
/// A time that another tells may be so far ahead of ours, milliseconds.
const AHEAD_MAX_MS: u64 = 500;
const SECOND_MS: u64 = 1000;
/// What is believed of a node that somebody else introduces; that it has failed is found out here.
const TOLD: [Flags; 3] = [Flags::PRIMARY, Flags::REPLICA, Flags::NOFAILOVER];

impl Machine {
    pub(super) fn hear_gossip(&mut self, from: Ix, gossip: &[Gossip], moment: &mut Moment<'_>) {
        for entry in gossip {
            match self.nodes.find(&entry.id) {
                Some(ix) if ix == self.myself => {}
                Some(ix) => self.hear_of(from, ix, entry, moment),
                None => self.hear_of_new(entry, moment),
            }
        }
    }

    fn hear_of(&mut self, from: Ix, ix: Ix, entry: &Gossip, moment: &mut Moment<'_>) {
        let says_down = entry.flags.has_any(Flags::PFAIL | Flags::FAIL);
        if from != ix && self.has_voice(from) {
            self.hear_report(from, ix, says_down, moment);
        }
        if says_down {
            return;
        }
        let node = self.nodes.get_mut(ix);
        if node.ping_sent_ms.is_none() && node.reports.is_empty() {
            // The clock of messages is the wall's; how long ago it was is the same on any clock.
            let told_ms = u64::from(entry.pong_received) * SECOND_MS;
            let age_ms = moment.wall_ms.saturating_sub(told_ms);
            let at = moment.now_ms.saturating_sub(age_ms);
            let is_newer = node.pong_received_ms.is_none_or(|before| at > before);
            if is_newer && entry.pong_received != 0 && told_ms <= moment.wall_ms + AHEAD_MAX_MS {
                node.pong_received_ms = Some(at);
            }
        }
        let is_elsewhere =
            node.ip != entry.ip || (node.port, node.cport) != (entry.port, entry.cport);
        let is_useful = !entry.flags.has(Flags::NOADDR) && !entry.ip.is_empty();
        if node.is(Flags::PFAIL | Flags::FAIL | Flags::NOADDR) && is_useful && is_elsewhere {
            self.set_address(ix, entry.ip.clone(), (entry.port, entry.pport, entry.cport));
        }
    }

    fn hear_of_new(&mut self, entry: &Gossip, moment: &mut Moment<'_>) {
        let is_lost = entry.flags.has_any(Flags::NOADDR | Flags::HANDSHAKE) || entry.ip.is_empty();
        if is_lost || self.is_forgotten(&entry.id, moment.now_ms) {
            return;
        }
        let mut flags = Flags::default();
        for flag in TOLD {
            flags.set(flag, entry.flags.has(flag));
        }
        if flags.has(Flags::PRIMARY) == flags.has(Flags::REPLICA) {
            return;
        }
        if let Some(ix) = self.nodes.add(entry.id, flags, moment.id(), moment.now_ms) {
            let node = self.nodes.get_mut(ix);
            node.ip.clone_from(&entry.ip);
            (node.port, node.pport, node.cport) = (entry.port, entry.pport, entry.cport);
            self.save(Save::Plain);
        }
    }

    /// Whether nobody may introduce a node.
    pub(super) fn is_forgotten(&self, id: &NodeId, now_ms: u64) -> bool {
        self.forgotten.get(id).is_some_and(|until| *until > now_ms)
    }

    pub(super) fn hear_extensions(
        &mut self,
        from: Ix,
        extensions: &Extensions,
        moment: &mut Moment<'_>,
    ) {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let (hostname, node_name) = (name(&extensions.hostname), name(&extensions.node_name));
        let node = self.nodes.get_mut(from);
        let before = (node.hostname.clone(), node.node_name.clone(), node.shard);
        (node.hostname, node.node_name) = (hostname, node_name);
        node.shard = extensions.shard.unwrap_or(node.shard);
        if before != (node.hostname.clone(), node.node_name.clone(), node.shard) {
            self.save(Save::Plain);
        }
        for forgotten in &extensions.forgotten {
            let Some(ix) = self.nodes.find(&forgotten.id) else {
                continue;
            };
            if ix == self.myself || self.me().primary == Some(ix) || ix == from {
                continue;
            }
            let until = moment
                .now_ms
                .saturating_add(forgotten.seconds.saturating_mul(SECOND_MS));
            self.log(
                Level::Notice,
                format!(
                    "Forgetting node {}, as {} has.",
                    forgotten.id,
                    self.nodes.get(from).id
                ),
            );
            self.forget_node(ix, until);
        }
    }

    /// Lets a node go for a time.
    pub(super) fn forget_node(&mut self, ix: Ix, until_ms: u64) {
        let id = self.nodes.get(ix).id;
        self.remove_node(ix);
        self.forgotten.insert(id, until_ms);
        self.save(Save::Plain);
    }

    /// What this node says of others to one of them.
    pub(super) fn gossip_for(&mut self, to: Option<Ix>, moment: &mut Moment<'_>) -> Vec<Gossip> {
        self.messages += 1;
        let known = self.nodes.len();
        let wanted = (known / NODES_FOR_ENTRY)
            .max(ENTRIES_MIN)
            .min(known.saturating_sub(2));
        let mut entries = Vec::with_capacity(wanted);
        let reach = self.nodes.reach() as u64;
        for _ in 0..wanted * 3 {
            if entries.len() == wanted {
                break;
            }
            let Some(ix) = self.nodes.at(moment.below(reach) as usize) else {
                continue;
            };
            let has_slots = self.owners.count(ix) > 0;
            let node = self.nodes.get_mut(ix);
            let is_left_out = ix == self.myself || Some(ix) == to || node.gossiped == self.messages;
            let is_unknown = node.is(Flags::HANDSHAKE | Flags::NOADDR | Flags::PFAIL)
                || !(node.is_up() || has_slots);
            if !(is_left_out || is_unknown) {
                node.gossiped = self.messages;
                entries.push(entry_of(node, moment));
            }
        }
        // Those that may have failed are told of always: the others wait for it.
        let failing = self.nodes.iter().filter(|(_, node)| {
            node.is(Flags::PFAIL) && !node.is(Flags::HANDSHAKE | Flags::NOADDR)
        });
        entries.extend(failing.map(|(_, node)| entry_of(node, moment)));
        entries
    }

    /// What this node says of itself, for those who understand it.
    pub(super) fn extensions(&self, moment: &Moment<'_>) -> Extensions {
        let name = |name: &String| (!name.is_empty()).then(|| name.clone());
        let seconds = |until: u64| until.saturating_sub(moment.now_ms) / SECOND_MS;
        let forgotten = self.forgotten.iter();
        let forgotten = forgotten.map(|(id, until)| Forgotten {
            id: *id,
            seconds: seconds(*until),
        });
        Extensions {
            hostname: name(&self.local.hostname),
            node_name: name(&self.local.node_name),
            forgotten: forgotten
                .filter(|forgotten| forgotten.seconds > 0)
                .collect(),
            shard: Some(self.shard_of(self.myself)),
            others: Vec::new(),
        }
    }
}

fn entry_of(node: &Node, moment: &Moment<'_>) -> Gossip {
    let seconds = |at: Option<u64>| at.map_or(0, |at| (wall_of(at, moment) / SECOND_MS) as u32);
    Gossip {
        id: node.id,
        ping_sent: seconds(node.ping_sent_ms),
        pong_received: seconds(node.pong_received_ms),
        ip: node.ip.clone(),
        port: node.port,
        cport: node.cport,
        flags: node.flags,
        pport: node.pport,
    }
}

/// A time of ours as the wall clock has it.
pub(super) fn wall_of(at_ms: u64, moment: &Moment<'_>) -> u64 {
    moment
        .wall_ms
        .saturating_sub(moment.now_ms.saturating_sub(at_ms))
}
