//! Connections that come and go, and who is at their other end.

use cairn_format::cluster::{Flags, Message, frame_len};
use cairn_format::error::Damage;

use super::Machine;
use crate::nodes::{Ix, Link};
use crate::seam::{Action, Level, LinkId, Moment, PeerId};

/// Frames above this are not waited for: no message but a module's or a publisher's comes near.
const FRAME_MAX: usize = 1 << 29;

/// So many are met at the same time at most: each costs a connection, and anybody may send a MEET.
const STRANGERS_MAX: usize = 2000;

/// The two ends of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Of the other.
    pub remote: String,
    /// Of this node.
    pub local: String,
}

/// A connection that another node made.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbound {
    /// Whose messages came over it.
    pub node: Option<Ix>,
    pub addresses: Addresses,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The own connection to this node.
    Own(Ix),
    /// One that another made.
    Accepted(LinkId),
}

/// How long the frame is that begins here, where that is known: what the server cuts by.
///
/// # Errors
/// It is none, or too long: the connection is to end.
pub fn length_of_frame(bytes: &[u8]) -> Result<Option<usize>, String> {
    match frame_len(bytes) {
        Ok(Some(length)) if length > FRAME_MAX => Err(format!("frame of {length} bytes")),
        Ok(length) => Ok(length),
        Err(damage) => Err(damage.to_string()),
    }
}

impl Machine {
    /// The own connection to a node is made.
    pub fn connected(&mut self, peer: PeerId, moment: &mut Moment<'_>) {
        let Some(ix) = self.nodes.of_peer(peer) else {
            self.act(Action::Disconnect(peer));
            return;
        };
        let node = self.nodes.get_mut(ix);
        node.link = Link::Up {
            since_ms: moment.now_ms,
        };
        let waits_since = node.ping_sent_ms;
        self.greet(ix, moment);
        // Silence counts from when it began, not from this connection on.
        if waits_since.is_some() {
            self.nodes.get_mut(ix).ping_sent_ms = waits_since;
        }
    }

    /// The own connection to a node could not be made, or has ended.
    pub fn disconnected(&mut self, peer: PeerId) {
        if let Some(ix) = self.nodes.of_peer(peer) {
            self.nodes.get_mut(ix).link = Link::None;
        }
    }

    /// Another node has made a connection.
    pub fn accepted(&mut self, link: LinkId, addresses: Addresses) {
        let inbound = Inbound {
            node: None,
            addresses,
        };
        self.inbound.insert(link, inbound);
    }

    /// It has ended.
    pub fn hung_up(&mut self, link: LinkId) {
        let inbound = self.inbound.remove(&link);
        if let Some(ix) = inbound.and_then(|inbound| inbound.node) {
            self.nodes.get_mut(ix).inbound = None;
        }
    }

    /// A frame came on the own connection to a node.
    pub fn frame_from_peer(&mut self, peer: PeerId, frame: &[u8], moment: &mut Moment<'_>) {
        if let Some(ix) = self.nodes.of_peer(peer) {
            self.frame(Source::Own(ix), frame, moment);
        }
    }

    /// A frame came on a connection that another node made.
    pub fn frame_from_link(&mut self, link: LinkId, frame: &[u8], moment: &mut Moment<'_>) {
        if self.inbound.contains_key(&link) {
            self.frame(Source::Accepted(link), frame, moment);
        }
    }

    fn frame(&mut self, source: Source, frame: &[u8], moment: &mut Moment<'_>) {
        match Message::decode(frame) {
            Ok(message) => {
                self.counters.received[usize::from(message.body.kind().number())] += 1;
                self.receive(source, &message, moment);
                self.settle(moment);
            }
            Err(damage) => {
                self.counters.damaged += 1;
                // Another version is another age of the bus: nothing is said, as in Redis.
                if damage.kind != Damage::Version {
                    self.log(
                        Level::Warning,
                        format!("Received an invalid message on the cluster bus, {damage}"),
                    );
                }
            }
        }
    }

    /// Asks for the own connection to a node.
    pub(super) fn connect(&mut self, ix: Ix, moment: &Moment<'_>) {
        let peer = self.nodes.renumber(ix);
        let node = self.nodes.get_mut(ix);
        node.link = Link::Asked {
            since_ms: moment.now_ms,
        };
        // So that silence is measured also of who cannot be reached.
        node.ping_sent_ms.get_or_insert(moment.now_ms);
        let (ip, port) = (node.ip.clone(), node.cport);
        self.act(Action::Connect { peer, ip, port });
    }

    /// Ends the own connection to a node.
    pub(super) fn disconnect(&mut self, ix: Ix) {
        let node = self.nodes.get_mut(ix);
        if node.link != Link::None {
            node.link = Link::None;
            let peer = node.peer;
            self.act(Action::Disconnect(peer));
        }
    }

    /// Ends a connection that another node made.
    pub(super) fn hang_up(&mut self, link: LinkId) {
        self.hung_up(link);
        self.act(Action::HangUp(link));
    }

    /// A connection carries messages of a node; an older one of the same node ends.
    pub(super) fn belongs(&mut self, link: LinkId, ix: Ix) {
        let Some(inbound) = self.inbound.get_mut(&link) else {
            return;
        };
        inbound.node = Some(ix);
        let node = self.nodes.get_mut(ix);
        node.has_come = true;
        let before = node.inbound.replace(link);
        if let Some(before) = before.filter(|before| *before != link)
            && let Some(old) = self.inbound.get_mut(&before)
        {
            old.node = None;
            self.hang_up(before);
        }
    }

    /// DEBUG CLUSTERLINK KILL: ends the own connection to a node, the one that it made, or both. Who has none loses none.
    pub fn kill_links(
        &mut self,
        id: &cairn_format::cluster::NodeId,
        own: bool,
        accepted: bool,
    ) -> bool {
        let Some(ix) = self.nodes.find(id).filter(|ix| *ix != self.myself) else {
            return false;
        };
        if own {
            self.disconnect(ix);
        }
        if let Some(link) = self.nodes.get(ix).inbound.filter(|_| accepted) {
            self.hang_up(link);
        }
        true
    }

    /// A connection was ended by the server, as too much waited on it (`cluster-link-sendbuf-limit`).
    pub fn limit_exceeded(&mut self) {
        self.counters.limits_exceeded += 1;
    }

    /// A new stranger: who is met, or has sent a MEET. None if it is being met, or there are too many.
    pub(super) fn meet_stranger(
        &mut self,
        ip: &str,
        ports: (u16, u16, u16),
        sends_meet: bool,
        moment: &mut Moment<'_>,
    ) {
        let (port, _, cport) = ports;
        let is_known = |node: &crate::nodes::Node| {
            node.is_stranger() && node.ip == ip && (node.port, node.cport) == (port, cport)
        };
        let strangers = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_stranger())
            .count();
        if strangers >= STRANGERS_MAX || self.nodes.iter().any(|(_, node)| is_known(node)) {
            return;
        }
        let flags = Flags::HANDSHAKE.with(Flags::MEET, sends_meet);
        let (id, shard) = (moment.id(), moment.id());
        if let Some(ix) = self.nodes.add(id, flags, shard, moment.now_ms) {
            let node = self.nodes.get_mut(ix);
            ip.clone_into(&mut node.ip);
            (node.port, node.pport, node.cport) = ports;
        }
    }
}
