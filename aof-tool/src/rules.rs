//! What commands are measured by when a log is looked at: the options of all commands that only look or copy.

use cairn_format::aof::extent::Rules;
use clap::Args;

/// The options that say what a server takes.
#[derive(Args, Clone, Copy, Debug)]
pub struct RulesArguments {
    /// Databases of the server; SELECT of a higher one is damage
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub databases: u64,
    /// Do not ask whether commands are known and have enough arguments
    #[arg(long)]
    any_command: bool,
}

impl RulesArguments {
    /// The same for who reads the records.
    pub fn rules(self) -> Rules {
        Rules {
            databases: self.databases,
            vocabulary: !self.any_command,
        }
    }
}
