//! What rules have to know of commands. The room of calls has the table, and stands above this one.

use std::ops::Range;

use crate::base::id::CommandId;

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
    /// Whether a command belongs to a category that [`Catalog::category`] gave.
    fn belongs(&self, command: CommandId, category: &'static str) -> bool;
}
