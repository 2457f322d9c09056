//! Whether a call is served here, and where else. One bit for nearly all calls.

use cairn_format::cluster::nodes_conf::Way;

use super::Machine;

/// What a call asks for: its keys' slots, what it does, what its session said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Slot of the first key, or of the first sharded channel.
    pub slot: u16,
    /// Another key is of another slot.
    pub is_crossed: bool,
    /// There are several different keys.
    pub has_many_keys: bool,
    /// It writes.
    pub is_write: bool,
    /// Its keys are sharded channels.
    pub is_pubsub: bool,
    /// It is MIGRATE.
    pub is_migrate: bool,
    /// ASKING stood before it, or it is RESTORE-ASKING.
    pub is_asking: bool,
    /// READONLY was said.
    pub is_readonly: bool,
}

/// How many of a call's keys are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// All.
    All,
    /// Some.
    Some,
    /// None.
    None,
}

/// Another node, for the text of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its address.
    pub ip: &'a str,
    /// Its host name.
    pub hostname: &'a str,
    /// Main port for clients.
    pub port: u16,
    /// The other one.
    pub pport: u16,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// It runs here.
    Serve,
    /// `CLUSTERDOWN Hash slot not served`.
    Unowned,
    /// `CROSSSLOT Keys in request don't hash to the same slot`.
    CrossSlot,
    /// `CLUSTERDOWN The cluster is down`.
    Down,
    /// `CLUSTERDOWN The cluster is down and only accepts read commands`.
    DownForWrites,
    /// `TRYAGAIN Multiple keys request during rehashing of slot`.
    TryAgain,
    /// `ASK slot host:port`.
    Ask(Place<'a>),
    /// `MOVED slot host:port`.
    Moved(Place<'a>),
}

impl Machine {
    /// Whether calls on this slot alone are served here, whatever they are: the way of nearly all. Where not, [`Machine::route`] says more.
    #[inline]
    pub fn serves(&self, slot: u16) -> bool {
        self.served.contains(slot)
    }

    /// What becomes of a call with keys. `present` looks for them, without touching them, and is asked only while a slot moves; a key past its time is
    /// not there.
    pub fn route(&self, asked: &Asked, present: impl FnOnce() -> Present) -> Route<'_> {
        if !asked.is_crossed && self.serves(asked.slot) {
            return Route::Serve;
        }
        let Some(owner) = self.owners.of(asked.slot) else {
            return Route::Unowned;
        };
        if asked.is_crossed {
            return Route::CrossSlot;
        }
        if let Some(refused) = self.refused_while_down(asked) {
            return refused;
        }
        let moving = self.moving.get(&asked.slot);
        if moving.is_some() && asked.is_migrate {
            return Route::Serve;
        }
        match moving.map(|moving| moving.way) {
            Some(Way::To) if !asked.is_pubsub => match present() {
                Present::All => return Route::Serve,
                Present::Some => return Route::TryAgain,
                Present::None => {
                    return Route::Ask(self.place(moving.map_or(owner, |moving| moving.node)));
                }
            },
            Some(Way::From) if asked.is_asking => {
                let is_split = asked.has_many_keys && !asked.is_pubsub && present() != Present::All;
                return if is_split {
                    Route::TryAgain
                } else {
                    Route::Serve
                };
            }
            _ => {}
        }
        let is_replicas = (asked.is_readonly || asked.is_pubsub)
            && !asked.is_write
            && self.me().primary == Some(owner);
        match owner == self.myself || is_replicas {
            true => Route::Serve,
            false => Route::Moved(self.place(owner)),
        }
    }

    fn refused_while_down(&self, asked: &Asked) -> Option<Route<'_>> {
        if self.state.is_ok || (asked.is_pubsub && self.options.pubsub_when_down) {
            return None;
        }
        match (
            self.options.reads_when_down && !asked.is_pubsub,
            asked.is_write,
        ) {
            (false, _) => Some(Route::Down),
            (true, true) => Some(Route::DownForWrites),
            (true, false) => None,
        }
    }

    fn place(&self, ix: crate::nodes::Ix) -> Place<'_> {
        let node = self.nodes.get(ix);
        Place {
            ip: &node.ip,
            hostname: &node.hostname,
            port: node.port,
            pport: node.pport,
        }
    }
}
