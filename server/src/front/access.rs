//! The parts of the instance for handlers of instance commands. Each takes the instance alone, so that the other parts of the
//! context stay usable.

use cairn_engine::call::Instance;

use super::Front;
use crate::clients::Clients;
use crate::figures::Figures;
use crate::host::Host;
use crate::keeper::{Keeper, Saving};
use crate::log::Log;
use crate::replication::Replication;
use crate::settings::Settings;

/// All of it: for what shows everything (INFO) or changes anything (CONFIG SET, SHUTDOWN).
pub fn whole(instance: &mut dyn Instance) -> &mut Front {
    match instance.as_any().downcast_mut() {
        Some(front) => front,
        None => unreachable!("instance commands are registered by the server only"),
    }
}

/// Who is connected.
pub fn clients(instance: &mut dyn Instance) -> &mut Clients {
    &mut whole(instance).clients
}

/// What is configured.
pub fn settings(instance: &mut dyn Instance) -> &mut Settings {
    &mut whole(instance).settings
}

/// What is counted.
pub fn figures(instance: &mut dyn Instance) -> &mut Figures {
    &mut whole(instance).figures
}

/// How saving stands.
pub fn keeper(instance: &mut dyn Instance) -> &mut Keeper {
    &mut whole(instance).keeper
}

/// Who follows whom.
pub fn replication(instance: &mut dyn Instance) -> &mut Replication {
    &mut whole(instance).replication
}

/// The keeper at work.
pub fn saving(instance: &mut dyn Instance) -> Saving<'_> {
    whole(instance).saving()
}

/// The world.
pub fn host(instance: &mut dyn Instance) -> &dyn Host {
    &*whole(instance).host
}

/// Where lines go.
pub fn log(instance: &mut dyn Instance) -> &Log {
    &whole(instance).log
}
