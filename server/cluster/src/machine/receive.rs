//! A message, from its sender to what it changes.

use cairn_format::cluster::{Body, Flags, Header, Kind, Message, mflags};

use super::Machine;
use super::links::Source;
use crate::nodes::Ix;
use crate::seam::{Action, Level, LinkId, Moment, Save};

impl Machine {
    pub(super) fn receive(&mut self, source: Source, message: &Message, moment: &mut Moment<'_>) {
        let header = &message.header;
        if header.sender == self.id() {
            self.receive_own(source, message, moment);
            return;
        }
        let Ok(sender) = self.sender(source, header, moment) else {
            self.counters.forged += 1;
            return;
        };
        if let Source::Own(ix) = source {
            self.nodes.get_mut(ix).data_received_ms = Some(moment.now_ms);
        }
        if let Some(ix) = sender {
            if let Source::Accepted(link) = source {
                self.belongs(link, ix);
            }
            self.hear_epochs(ix, header, moment);
        }
        match &message.body {
            Body::Ping { kind, .. } => self.receive_ping(source, sender, *kind, message, moment),
            body => {
                if let Some(ix) = sender {
                    self.receive_other(ix, header, body, moment);
                }
            }
        }
    }

    /// It has met itself, or somebody speaks under its id.
    fn receive_own(&mut self, source: Source, message: &Message, moment: &mut Moment<'_>) {
        match source {
            Source::Own(ix) if self.nodes.get(ix).is_stranger() => self.remove_node(ix),
            Source::Own(ix) => self.lose_address(ix),
            Source::Accepted(link) => match message.body.kind() {
                Kind::Ping | Kind::Meet => self.answer(link, None, moment),
                _ => self.counters.forged += 1,
            },
        }
    }

    /// Who sent it: nobody known, or a node that is believed.
    ///
    /// # Errors
    /// Somebody else did: another known node's messages came over this connection, or it comes from an address other than that of the
    /// node, which answers at its own.
    fn sender(
        &mut self,
        source: Source,
        header: &Header,
        moment: &Moment<'_>,
    ) -> Result<Option<Ix>, ()> {
        let Some(ix) = self.nodes.find(&header.sender) else {
            return Ok(None);
        };
        let node = self.nodes.get(ix);
        let link = match source {
            // Another node answers where this one was: see `receive_ping`.
            Source::Own(at) if at == ix || self.nodes.get(at).is_stranger() => return Ok(Some(ix)),
            Source::Own(_) => return Ok(None),
            Source::Accepted(link) => link,
        };
        let inbound = &self.inbound[&link];
        if inbound.node.is_some_and(|of| of != ix) {
            self.hang_up(link);
            return Err(());
        }
        let ip = self.address_of(link, header);
        let is_there = node.ip == ip && (node.port, node.cport) == (header.port, header.cport);
        let recent = self.options.node_timeout_ms / 2;
        let answers = node.is_up()
            && node
                .pong_received_ms
                .is_some_and(|at| moment.now_ms.saturating_sub(at) <= recent)
            && node
                .ping_sent_ms
                .is_none_or(|at| moment.now_ms.saturating_sub(at) <= recent);
        match is_there || !answers {
            true => Ok(Some(ix)),
            false => Err(()),
        }
    }

    /// The address that a message gives its sender: its own word, or where it came from.
    fn address_of(&self, link: LinkId, header: &Header) -> String {
        match header.ip.is_empty() {
            true => self.inbound[&link].addresses.remote.clone(),
            false => header.ip.clone(),
        }
    }

    fn hear_epochs(&mut self, ix: Ix, header: &Header, moment: &Moment<'_>) {
        self.current_epoch = self
            .current_epoch
            .max(header.current_epoch)
            .max(header.config_epoch);
        let node = self.nodes.get_mut(ix);
        node.data_received_ms = Some(moment.now_ms);
        node.offset = header.offset;
        node.knows_extensions |= header.mflags & mflags::EXT_DATA != 0;
        let is_news = header.config_epoch > node.config_epoch;
        node.config_epoch = node.config_epoch.max(header.config_epoch);
        if is_news {
            self.save(Save::Synced);
        }
        if header.mflags & mflags::PAUSED != 0 && self.me().primary == Some(ix) {
            self.primary_stands_still(header.offset);
        }
    }

    fn receive_ping(
        &mut self,
        source: Source,
        sender: Option<Ix>,
        kind: Kind,
        message: &Message,
        moment: &mut Moment<'_>,
    ) {
        let header = &message.header;
        if let Source::Accepted(link) = source
            && kind != Kind::Pong
        {
            self.learn_own_ip(link, kind);
            if kind == Kind::Meet && sender.is_none() {
                let ip = self.address_of(link, header);
                self.meet_stranger(
                    &ip,
                    (header.port, header.pport, header.cport),
                    false,
                    moment,
                );
                self.save(Save::Plain);
            }
            if let Some(ix) = sender {
                self.learn_address(ix, link, header);
            }
            self.answer(link, sender, moment);
        }
        let mut sender = sender;
        if let Source::Own(ix) = source {
            if self.nodes.get(ix).is_stranger() {
                match sender {
                    // It was known before under its id.
                    Some(known) => {
                        self.adopt_address(known, ix);
                        self.remove_node(ix);
                    }
                    None => {
                        self.introduce(ix, header, moment);
                        sender = Some(ix);
                    }
                }
            } else if sender.is_none() {
                self.lose_address(ix);
                return;
            } else {
                self.follow_address(ix, header);
            }
        }
        let Some(ix) = sender else {
            return;
        };
        let no_failover = header.flags.has(Flags::NOFAILOVER);
        self.nodes
            .get_mut(ix)
            .flags
            .set(Flags::NOFAILOVER, no_failover);
        if kind == Kind::Pong && source == Source::Own(ix) {
            self.answered(ix, moment);
        }
        self.hear_role(ix, header, moment);
        self.hear_claims(ix, header, moment);
        if let Body::Ping {
            gossip, extensions, ..
        } = &message.body
        {
            self.hear_gossip(ix, gossip, moment);
            self.hear_extensions(ix, extensions, moment);
        }
    }

    /// The other messages, of a node that is known.
    fn receive_other(&mut self, ix: Ix, header: &Header, body: &Body, moment: &mut Moment<'_>) {
        match body {
            Body::Fail(id) => self.hear_failure(ix, id, moment),
            Body::Publish {
                is_sharded,
                channel,
                message,
            } => self.act(Action::Publish {
                is_sharded: *is_sharded,
                channel: channel.clone(),
                message: message.clone(),
            }),
            Body::AuthRequest => self.vote(ix, header, moment),
            Body::AuthAck => self.hear_vote(ix, header, moment),
            Body::Update {
                config_epoch,
                id,
                slots,
            } => self.hear_update(*config_epoch, id, slots, moment),
            Body::MfStart => self.stand_still_for(ix, moment),
            Body::Module { .. } | Body::Ping { .. } => {}
        }
    }

    /// Who sends a MEET knows how to reach this node; a PING tells as long as nobody else did.
    fn learn_own_ip(&mut self, link: LinkId, kind: Kind) {
        let ip = self.inbound[&link].addresses.local.clone();
        let is_open = kind == Kind::Meet || self.me().ip.is_empty();
        if !self.local.ip.is_empty() || ip.is_empty() || !is_open || self.me().ip == ip {
            return;
        }
        self.log(
            Level::Warning,
            format!("IP address for this node updated to {ip}"),
        );
        self.me_mut().ip = ip;
        self.save(Save::Plain);
    }

    /// A node speaks from elsewhere.
    fn learn_address(&mut self, ix: Ix, link: LinkId, header: &Header) {
        let ip = self.address_of(link, header);
        let ports = (header.port, header.pport, header.cport);
        let node = self.nodes.get(ix);
        if node.ip == ip && (node.port, node.pport, node.cport) == ports || ip.is_empty() {
            return;
        }
        self.set_address(ix, ip, ports);
    }

    /// A node that answers where it is known to be says that it is elsewhere from now on: what it announces has changed.
    fn follow_address(&mut self, ix: Ix, header: &Header) {
        let node = self.nodes.get(ix);
        let ip = if header.ip.is_empty() {
            &node.ip
        } else {
            &header.ip
        };
        let ports = (header.port, header.pport, header.cport);
        if *ip != node.ip || ports != (node.port, node.pport, node.cport) {
            let ip = ip.clone();
            self.set_address(ix, ip, ports);
        }
    }

    /// A node is where a stranger was met.
    fn adopt_address(&mut self, known: Ix, stranger: Ix) {
        let node = self.nodes.get(stranger);
        let (ip, ports) = (node.ip.clone(), (node.port, node.pport, node.cport));
        let now = self.nodes.get(known);
        if now.ip != ip || (now.port, now.cport) != (ports.0, ports.2) {
            self.set_address(known, ip, ports);
        }
    }

    pub(super) fn set_address(&mut self, ix: Ix, ip: String, ports: (u16, u16, u16)) {
        let node = self.nodes.get_mut(ix);
        node.ip = ip;
        (node.port, node.pport, node.cport) = ports;
        node.flags.set(Flags::NOADDR, false);
        let text = format!(
            "Address updated for node {}, now {}:{}",
            node.named(),
            node.ip,
            node.port
        );
        self.log(Level::Notice, text);
        self.disconnect(ix);
        self.save(Save::Plain);
    }

    /// Somebody else is where this node was.
    fn lose_address(&mut self, ix: Ix) {
        let node = self.nodes.get_mut(ix);
        node.flags.set(Flags::NOADDR, true);
        node.ip.clear();
        (node.port, node.pport, node.cport) = (0, 0, 0);
        self.disconnect(ix);
        self.save(Save::Plain);
    }

    /// A stranger says who it is.
    fn introduce(&mut self, ix: Ix, header: &Header, moment: &Moment<'_>) {
        self.nodes.rename(ix, header.sender);
        let node = self.nodes.get_mut(ix);
        let is_replica = header.flags.has(Flags::REPLICA);
        node.flags.set(Flags::HANDSHAKE, false);
        node.flags.set(Flags::REPLICA, is_replica);
        node.flags.set(Flags::PRIMARY, !is_replica);
        if !header.ip.is_empty() {
            node.ip.clone_from(&header.ip);
        }
        (node.port, node.pport, node.cport) = (header.port, header.pport, header.cport);
        self.log(
            Level::Verbose,
            format!("Handshake with node {} completed.", header.sender),
        );
        self.hear_epochs(ix, header, moment);
        self.save(Save::Plain);
        self.state.is_due = true;
    }
}
