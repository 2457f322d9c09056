//! Messages out. A message that goes to many is made once.

use std::sync::Arc;

use cairn_format::cluster::{Body, Flags, Header, Kind, Message, SlotSet, mflags};

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Action, LinkId, Moment};

impl Machine {
    /// What each message says of this node.
    fn header(&self, mflags: u8) -> Header {
        let me = self.me();
        let primary = me.primary.unwrap_or(self.myself);
        let is_paused = self.manual.pauses();
        let slots = match me.primary {
            None => self.owners.mine().clone(),
            Some(primary) => self.owners.set_of(primary),
        };
        Header {
            port: self.local.port,
            current_epoch: self.current_epoch,
            config_epoch: self.nodes.get(primary).config_epoch,
            offset: self.local.offset,
            sender: me.id,
            slots,
            primary: me.primary.map(|primary| self.nodes.get(primary).id),
            ip: self.local.ip.clone(),
            pport: self.local.pport,
            cport: self.local.cport,
            flags: me.flags.with(Flags::NOFAILOVER, self.options.no_failover),
            is_ok: self.state.is_ok,
            mflags: mflags
                | if is_paused && me.is_primary() {
                    mflags::PAUSED
                } else {
                    0
                },
        }
    }

    fn encode(&self, body: Body, mflags: u8) -> Arc<[u8]> {
        let header = self.header(mflags);
        Message { header, body }.encode().into()
    }

    /// A message to a node whose connection is there; else it is lost, as in Redis.
    fn send(&mut self, ix: Ix, kind: Kind, bytes: Arc<[u8]>) {
        let node = self.nodes.get(ix);
        if node.is_up() {
            let peer = node.peer;
            self.counters.sent[usize::from(kind.number())] += 1;
            self.act(Action::SendPeer(peer, bytes));
        }
    }

    /// PING, PONG or MEET for one node, or for one that is not known. It always shows that extensions are understood, and has some for those who
    /// have shown the same: nodes before 7.0 drop what has any.
    fn ping_bytes(&mut self, kind: Kind, to: Option<Ix>, moment: &mut Moment<'_>) -> Arc<[u8]> {
        let gossip = self.gossip_for(to, moment);
        let understands = to.is_some_and(|to| self.nodes.get(to).knows_extensions);
        let extensions = match understands {
            true => self.extensions(moment),
            false => cairn_format::cluster::Extensions::default(),
        };
        self.encode(
            Body::Ping {
                kind,
                gossip,
                extensions,
            },
            mflags::EXT_DATA,
        )
    }

    pub(super) fn ping(&mut self, ix: Ix, kind: Kind, moment: &mut Moment<'_>) {
        if !self.nodes.get(ix).is_up() {
            return;
        }
        let bytes = self.ping_bytes(kind, Some(ix), moment);
        if kind != Kind::Pong {
            self.nodes.get_mut(ix).ping_sent_ms = Some(moment.now_ms);
        }
        self.send(ix, kind, bytes);
    }

    /// The first message on a connection.
    pub(super) fn greet(&mut self, ix: Ix, moment: &mut Moment<'_>) {
        let kind = match self.nodes.get(ix).flags.has(Flags::MEET) {
            true => Kind::Meet,
            false => Kind::Ping,
        };
        self.ping(ix, kind, moment);
    }

    /// The answer to a PING, on the connection that it came on.
    pub(super) fn answer(&mut self, link: LinkId, to: Option<Ix>, moment: &mut Moment<'_>) {
        let bytes = self.ping_bytes(Kind::Pong, to, moment);
        self.counters.sent[usize::from(Kind::Pong.number())] += 1;
        self.act(Action::SendLink(link, bytes));
    }

    /// News for all, unasked.
    pub(super) fn tell_all(&mut self, moment: &mut Moment<'_>) {
        for ix in self.others() {
            self.ping(ix, Kind::Pong, moment);
        }
    }

    /// News for those who follow the same primary, or this one.
    pub(super) fn tell_shard(&mut self, moment: &mut Moment<'_>) {
        let of = self.me().primary.unwrap_or(self.myself);
        for ix in self.others() {
            if ix == of || self.nodes.get(ix).primary == Some(of) {
                self.ping(ix, Kind::Pong, moment);
            }
        }
    }

    /// All others whose id is known.
    pub(super) fn others(&self) -> Vec<Ix> {
        let others = self
            .nodes
            .iter()
            .filter(|(ix, node)| *ix != self.myself && !node.is_stranger());
        others.map(|(ix, _)| ix).collect()
    }

    fn send_all(&mut self, body: Body, mflags: u8) {
        let kind = body.kind();
        let bytes = self.encode(body, mflags);
        for ix in self.others() {
            self.send(ix, kind, Arc::clone(&bytes));
        }
    }

    pub(super) fn send_failure(&mut self, ix: Ix) {
        let id = self.nodes.get(ix).id;
        self.send_all(Body::Fail(id), 0);
    }

    pub(super) fn ask_for_votes(&mut self, is_forced: bool) {
        let flags = if is_forced { mflags::FORCE_ACK } else { 0 };
        self.send_all(Body::AuthRequest, flags);
    }

    pub(super) fn send_vote(&mut self, ix: Ix) {
        let bytes = self.encode(Body::AuthAck, 0);
        self.send(ix, Kind::AuthAck, bytes);
    }

    pub(super) fn ask_to_stand_still(&mut self, ix: Ix) {
        let bytes = self.encode(Body::MfStart, 0);
        self.send(ix, Kind::MfStart, bytes);
    }

    /// Tells a node who has what it claims.
    pub(super) fn send_update(&mut self, to: Ix, about: Ix) {
        let slots: SlotSet = self
            .owners
            .slots_of(about)
            .filter(|slot| !self.owners.is_unclaimed(*slot))
            .collect();
        let node = self.nodes.get(about);
        let body = Body::Update {
            config_epoch: node.config_epoch,
            id: node.id,
            slots,
        };
        let bytes = self.encode(body, 0);
        self.send(to, Kind::Update, bytes);
    }

    /// A client's message for subscribers elsewhere: of all nodes, or of this node's shard.
    pub fn publish(&mut self, is_sharded: bool, channel: &[u8], message: &[u8]) {
        let body = Body::Publish {
            is_sharded,
            channel: channel.to_vec(),
            message: message.to_vec(),
        };
        if !is_sharded {
            self.send_all(body, 0);
            return;
        }
        let kind = body.kind();
        let bytes = self.encode(body, 0);
        let of = self.me().primary.unwrap_or(self.myself);
        for ix in self.others() {
            if ix == of || self.nodes.get(ix).primary == Some(of) {
                self.send(ix, kind, Arc::clone(&bytes));
            }
        }
    }
}
