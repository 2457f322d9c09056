//! Where a client is sent, in the words of Redis 7.2.

use cairn_cluster::machine::{Asked, Place, Present, Route};
use cairn_engine::base::error::Error;
use cairn_engine::call::route::{self, Ask};

use super::Cluster;
use crate::config::choice::EndpointType;

impl Cluster {
    /// Whether a call that is not plainly served here may run. `tells_other_port`: see [`port_for_client`].
    ///
    /// # Errors
    /// Where it may, or why nowhere.
    pub fn judge(
        &self,
        ask: &Ask,
        preferred: EndpointType,
        tells_other_port: bool,
        missing: &mut dyn FnMut() -> (usize, usize),
    ) -> Result<(), Error> {
        let asked = Asked {
            slot: ask.slot,
            is_crossed: ask.is_crossed,
            has_many_keys: ask.has_many_keys,
            is_write: ask.is_write,
            is_pubsub: ask.is_channel,
            is_migrate: ask.is_migrate,
            is_asking: ask.is_asking,
            is_readonly: ask.is_readonly,
        };
        let present = || match missing() {
            (0, _) => Present::All,
            (absent, all) if absent < all => Present::Some,
            _ => Present::None,
        };
        let to = |word: &str, place: Place| {
            let host = endpoint(preferred, place.ip, place.hostname);
            let port = port_for_client(tells_other_port, place.port, place.pport);
            let slot = ask.slot;
            Err(Error::text(format!("{word} {slot} {host}:{port}")))
        };
        match self.machine.route(&asked, present) {
            Route::Serve => Ok(()),
            Route::Unowned => Err(Error::new("CLUSTERDOWN Hash slot not served")),
            Route::CrossSlot => Err(route::CROSS_SLOT),
            Route::Down => Err(route::DOWN),
            Route::DownForWrites => Err(route::DOWN_FOR_WRITES),
            Route::TryAgain => Err(Error::new(
                "TRYAGAIN Multiple keys request during rehashing of slot",
            )),
            Route::Ask(place) => to("ASK", place),
            Route::Moved(place) => to("MOVED", place),
        }
    }
}

/// What clients are told to connect to (`cluster-preferred-endpoint-type`); nothing: where they are connected now.
pub fn endpoint<'a>(preferred: EndpointType, ip: &'a str, hostname: &'a str) -> &'a str {
    match preferred {
        EndpointType::Ip => ip,
        EndpointType::Hostname if hostname.is_empty() => "?",
        EndpointType::Hostname => hostname,
        EndpointType::UnknownEndpoint => "",
    }
}

/// The port of a node that a client is told: the main one, or where the client speaks the other language the other one, if there is
/// one.
pub fn port_for_client(tells_other: bool, port: u16, pport: u16) -> u16 {
    match tells_other && pport != 0 {
        true => pport,
        false => port,
    }
}
