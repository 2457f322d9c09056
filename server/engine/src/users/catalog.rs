//! What rules have to know of commands. The room of calls has the table, and stands above this one.

use std::ops::Range;

use super::check::Touched;
use crate::base::id::CommandId;

/// The keys of a command whose arguments are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownKeys {
    /// It has none.
    None,
    /// It has one, always at the same place, and what is done to it at most.
    One(Touched),
    /// Its arguments decide.
    Unclear,
}

/// All commands of a server, by number and by the names that they were made with.
pub trait Catalog {
    /// How many commands and subcommands there are.
    fn count(&self) -> usize;
    /// The number of a command, or of the subcommand `sub` of a container; names in any case.
    fn find(&self, name: &[u8], sub: Option<&[u8]>) -> Option<CommandId>;
    /// Its whole name, in lower case: `config|get`.
    fn name(&self, command: CommandId) -> &'static str;
    /// The numbers of the subcommands of a container; empty for other commands.
    fn subcommands(&self, container: CommandId) -> Range<u16>;
    /// The category of this name, in any case, without its `@`.
    fn category(&self, name: &[u8]) -> Option<&'static str>;
    /// The keys of a command, as far as they are known without its arguments.
    fn known_keys(&self, command: CommandId) -> KnownKeys;
    /// Whether there are channels among its arguments.
    fn uses_channels(&self, command: CommandId) -> bool;
    /// Whether a command belongs to a category that [`Catalog::category`] gave.
    fn belongs(&self, command: CommandId, category: &'static str) -> bool;
}
