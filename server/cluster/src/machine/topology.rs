//! What commands change of nodes and roles. Errors are the texts of Redis, without `ERR `.

use std::net::IpAddr;

use cairn_format::cluster::NodeId;

use super::Machine;
use super::change::{Done, refuse};
use crate::nodes::Ix;
use crate::seam::{Action, Level, Moment, Save};

/// A node that was forgotten is not introduced again for so long, milliseconds.
const FORGOTTEN_MS: u64 = 60_000;
/// The bus is so far above the port for clients.
const BUS_OFFSET: u16 = 10_000;

/// The forms of CLUSTER FAILOVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// The primary stands still first.
    Agreed,
    /// Without the primary.
    Force,
    /// Without anybody.
    Takeover,
}

impl Machine {
    /// CLUSTER MEET. Without a port of the bus it is the usual distance away.
    ///
    /// # Errors
    /// That is no address.
    pub fn meet(
        &mut self,
        ip: &str,
        port: u16,
        cport: Option<u16>,
        moment: &mut Moment<'_>,
    ) -> Done {
        let address: Option<IpAddr> = ip.parse().ok();
        let cport = cport
            .filter(|cport| *cport != 0)
            .or_else(|| port.checked_add(BUS_OFFSET));
        let (Some(address), Some(cport), true) = (address, cport, port != 0) else {
            return refuse(format!("Invalid node address specified: {ip}:{port}"));
        };
        self.meet_stranger(&address.to_string(), (port, 0, cport), true, moment);
        Ok(())
    }

    /// CLUSTER FORGET; others of 7.2 are told.
    ///
    /// # Errors
    /// It is not known, or cannot be done without.
    pub fn forget(&mut self, id: &NodeId, moment: &mut Moment<'_>) -> Done {
        let Some(ix) = self.nodes.find(id) else {
            // The others may have told, since.
            return match self.is_forgotten(id, moment.now_ms) {
                true => Ok(()),
                false => refuse(format!("Unknown node {id}")),
            };
        };
        if ix == self.myself {
            return refuse("I tried hard but I can't forget myself...");
        }
        if self.me().primary == Some(ix) {
            return refuse("Can't forget my master!");
        }
        self.forget_node(ix, moment.now_ms + FORGOTTEN_MS);
        self.slots_changed(moment);
        Ok(())
    }

    /// CLUSTER REPLICATE.
    ///
    /// # Errors
    /// That node cannot be followed, or this one has something to lose.
    pub fn replicate(&mut self, id: &NodeId, has_keys: bool, moment: &mut Moment<'_>) -> Done {
        let ix = self.known(id)?;
        if ix == self.myself {
            return refuse("Can't replicate myself");
        }
        if !self.nodes.get(ix).is_primary() {
            return refuse("I can only replicate a master, not a replica.");
        }
        if self.is_primary() && (has_keys || !self.slots().is_empty()) {
            return refuse("To set a master the node must be empty and without assigned slots.");
        }
        self.follow(ix);
        self.slots_changed(moment);
        Ok(())
    }

    /// CLUSTER FAILOVER, in its three forms.
    ///
    /// # Errors
    /// This is no replica, or its primary is away and nobody said to go on without it.
    pub fn failover(&mut self, form: Failover, moment: &mut Moment<'_>) -> Done {
        if self.is_primary() {
            return refuse("You should send CLUSTER FAILOVER to a replica");
        }
        let Some(primary) = self.me().primary else {
            return refuse("I'm a replica but my master is unknown to me");
        };
        let node = self.nodes.get(primary);
        if form == Failover::Agreed && (node.has_failed() || !node.is_up()) {
            return refuse("Master is down or failed, please use CLUSTER FAILOVER FORCE");
        }
        match form {
            Failover::Agreed => {
                self.log(Level::Notice, "Manual failover user request accepted.");
                self.begin_manual(false, moment);
                self.ask_to_stand_still(primary);
            }
            Failover::Force => {
                self.log(Level::Notice, "Forced failover user request accepted.");
                self.begin_manual(true, moment);
                self.settle(moment);
            }
            Failover::Takeover => {
                self.log(Level::Notice, "Taking over the master (user request).");
                self.bump();
                self.replace_primary(moment);
            }
        }
        Ok(())
    }

    /// CLUSTER RESET.
    ///
    /// # Errors
    /// It is a primary with keys.
    pub fn reset(&mut self, is_hard: bool, has_keys: bool, moment: &mut Moment<'_>) -> Done {
        if self.is_primary() && has_keys {
            return refuse("CLUSTER RESET can't be called with master nodes containing keys");
        }
        if !self.is_primary() {
            self.lead();
            self.act(Action::EmptyData);
        }
        self.moving.clear();
        self.end_manual();
        self.election = super::election::Election::default();
        let others: Vec<Ix> = self
            .nodes
            .places()
            .into_iter()
            .filter(|ix| *ix != self.myself)
            .collect();
        others.into_iter().for_each(|ix| self.remove_node(ix));
        let mine: Vec<u16> = self.slots().iter().collect();
        mine.iter()
            .for_each(|slot| self.owners.set(*slot, None, self.myself));
        self.let_go(mine);
        self.forgotten.clear();
        if is_hard {
            self.begin_anew(moment);
        }
        self.save(Save::Synced);
        self.slots_changed(moment);
        Ok(())
    }

    fn begin_anew(&mut self, moment: &mut Moment<'_>) {
        (self.current_epoch, self.last_vote_epoch) = (0, 0);
        let (id, shard) = (moment.id(), moment.id());
        self.nodes.rename(self.myself, id);
        let me = self.me_mut();
        (me.config_epoch, me.shard) = (0, shard);
        self.log(Level::Notice, format!("Node hard reset, now I'm {id}"));
    }
}
