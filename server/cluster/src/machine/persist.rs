//! `nodes.conf`: what of the node outlives it.

use cairn_format::cluster::Flags;
use cairn_format::cluster::nodes_conf::{Fault, Line, Move, NodesConf, Way};

use super::gossip::wall_of;
use super::{Machine, Moving};
use crate::nodes::{Ix, Link};
use crate::seam::{Level, Moment};

impl Machine {
    /// The node that a file remembers.
    ///
    /// # Errors
    /// The file is damaged: where and why.
    pub fn load(bytes: &[u8], moment: &mut Moment<'_>) -> Result<Machine, Fault> {
        let (conf, notes) = NodesConf::parse(bytes)?;
        let damaged = |what: &str| Fault {
            line: 0,
            what: what.to_owned(),
            text: String::new(),
        };
        let myself = conf.nodes.iter().find(|line| line.flags.has(Flags::MYSELF));
        let myself = myself.ok_or_else(|| damaged("one node must be the node itself"))?;
        let shard = myself.shard.unwrap_or_else(|| moment.id());
        let mut machine = Machine::under(myself.id, shard, moment.now_ms);
        machine.current_epoch = conf.current_epoch.max(conf.last_vote_epoch);
        machine.last_vote_epoch = conf.last_vote_epoch;
        for line in &conf.nodes {
            machine
                .load_line(line, moment)
                .ok_or_else(|| damaged("there are too many nodes"))?;
        }
        conf.nodes.iter().for_each(|line| machine.load_ties(line));
        machine
            .load_moves(&myself.moves)
            .map_err(|what| damaged(&what))?;
        notes
            .into_iter()
            .for_each(|note| machine.log(Level::Warning, note));
        machine.log(
            Level::Notice,
            format!("Node configuration loaded, I'm {}", machine.id()),
        );
        machine.state.is_due = true;
        Ok(machine)
    }

    fn load_line(&mut self, line: &Line, moment: &mut Moment<'_>) -> Option<()> {
        let shard = line.shard.unwrap_or_else(|| moment.id());
        let known = self.nodes.find(&line.id);
        let ix = known.or_else(|| self.nodes.add(line.id, line.flags, shard, moment.now_ms))?;
        let node = self.nodes.get_mut(ix);
        node.flags = line.flags;
        if line.flags.has(Flags::PRIMARY) == line.flags.has(Flags::REPLICA) {
            node.flags.set(Flags::REPLICA, line.primary.is_some());
            node.flags.set(Flags::PRIMARY, line.primary.is_none());
        }
        node.ip.clone_from(&line.ip);
        (node.port, node.pport, node.cport) = (line.port, line.pport, line.cport);
        node.hostname.clone_from(&line.hostname);
        node.node_name.clone_from(&line.node_name);
        // A replica's line has the epoch of its primary.
        node.config_epoch = if node.is_primary() {
            line.config_epoch
        } else {
            0
        };
        // It knows this node, unless it has forgotten it since: then it is not to be met again.
        node.has_come = true;
        node.failed_ms = moment.now_ms;
        Some(())
    }

    /// Whom it follows, and which slots it has.
    fn load_ties(&mut self, line: &Line) {
        let Some(ix) = self.nodes.find(&line.id) else {
            return;
        };
        let primary = line
            .primary
            .and_then(|primary| self.nodes.find(&primary))
            .filter(|primary| *primary != ix);
        let node = self.nodes.get_mut(ix);
        if node.is_replica() {
            node.primary = primary;
        }
        // A replica has no slots, whatever a file says that an ADDSLOTS of Redis went into.
        if node.is_primary() {
            for slot in line.slots.iter().flat_map(|(first, last)| *first..=*last) {
                self.owners.set(slot, Some(ix), self.myself);
            }
        }
    }

    fn load_moves(&mut self, moves: &[Move]) -> Result<(), String> {
        for moving in moves {
            let node = self
                .nodes
                .find(&moving.node)
                .filter(|node| *node != self.myself);
            let is_mine = self.owners.mine().contains(moving.slot);
            match node {
                Some(node) if self.is_primary() && is_mine == (moving.way == Way::To) => {
                    self.moving.insert(
                        moving.slot,
                        Moving {
                            way: moving.way,
                            node,
                        },
                    );
                }
                Some(_) => return Err(format!("slot {} cannot move so", moving.slot)),
                None => {
                    return Err(format!(
                        "slot {} moves to or from a node that is not there",
                        moving.slot
                    ));
                }
            }
        }
        Ok(())
    }

    /// The text of `nodes.conf`.
    pub fn nodes_conf(&self, moment: &Moment<'_>, is_tls: bool) -> String {
        let conf = NodesConf {
            nodes: self.lines(moment, false),
            current_epoch: self.current_epoch,
            last_vote_epoch: self.last_vote_epoch,
        };
        conf.write(is_tls)
    }

    /// A line for each node. Strangers are not in files.
    pub(super) fn lines(&self, moment: &Moment<'_>, with_strangers: bool) -> Vec<Line> {
        let mut ranges: Vec<Vec<(u16, u16)>> = vec![Vec::new(); self.nodes.reach()];
        for (ix, first, last) in self.owners.ranges() {
            ranges[usize::from(ix.0)].push((first, last));
        }
        let wanted = self
            .nodes
            .iter()
            .filter(|(_, node)| with_strangers || !node.is_stranger());
        wanted
            .map(|(ix, _)| self.line(ix, std::mem::take(&mut ranges[usize::from(ix.0)]), moment))
            .collect()
    }

    pub(super) fn line(&self, ix: Ix, slots: Vec<(u16, u16)>, moment: &Moment<'_>) -> Line {
        let node = self.nodes.get(ix);
        let is_me = ix == self.myself;
        let time = |at: Option<u64>| at.map_or(0, |at| wall_of(at, moment));
        let moves = self
            .moving
            .iter()
            .filter(|_| is_me)
            .map(|(slot, moving)| Move {
                slot: *slot,
                way: moving.way,
                node: self.nodes.get(moving.node).id,
            });
        let of = node.primary.unwrap_or(ix);
        let local = &self.local;
        Line {
            id: node.id,
            ip: if is_me && !local.ip.is_empty() {
                local.ip.clone()
            } else {
                node.ip.clone()
            },
            port: if is_me { local.port } else { node.port },
            cport: if is_me { local.cport } else { node.cport },
            pport: if is_me { local.pport } else { node.pport },
            hostname: if is_me {
                local.hostname.clone()
            } else {
                node.hostname.clone()
            },
            node_name: if is_me {
                local.node_name.clone()
            } else {
                node.node_name.clone()
            },
            shard: Some(self.shard_of(ix)),
            flags: if is_me {
                node.flags.with(Flags::NOFAILOVER, self.options.no_failover)
            } else {
                node.flags
            },
            primary: node.primary.map(|primary| self.nodes.get(primary).id),
            ping_sent: time(node.ping_sent_ms),
            pong_received: time(node.pong_received_ms),
            config_epoch: self.nodes.get(of).config_epoch,
            is_connected: is_me || matches!(node.link, Link::Up { .. }),
            slots,
            moves: moves.collect(),
        }
    }
}
