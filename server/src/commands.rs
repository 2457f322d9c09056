//! The list of all instance commands: what [`cairn_engine::Engine::new`] is told beside its own families.

use cairn_engine::call::Command;

/// All of them, list by list.
pub fn all() -> Vec<&'static [&'static Command]> {
    [crate::admin::COMMANDS, &[crate::info::COMMANDS]].concat()
}
