//! The list of all instance commands: what [`cairn_engine::Engine::new`] is told beside its own families.

use cairn_engine::call::Command;

/// All of them, list by list.
pub fn all() -> Vec<&'static [&'static Command]> {
    [crate::admin::COMMANDS, &[crate::info::COMMANDS]].concat()
}

#[cfg(test)]
mod tests {
    use cairn_engine::call::{Command, Secrets};
    use cairn_engine::families;

    use crate::os::running::SECRET;

    /// The report of a crash shows arguments without asking the table, from a handler of signals.
    #[test]
    fn a_crash_report_knows_all_commands_with_secrets() {
        let lists = [families::ALL.to_vec(), super::all()].concat();
        let commands = lists.into_iter().flatten();
        let has_secrets = |command: &Command| !matches!(command.secrets, Secrets::None);
        let mut names: Vec<&[u8]> = commands
            .filter(|c| has_secrets(c) || c.subcommands.iter().any(|sub| has_secrets(sub)))
            .map(|c| c.name.as_bytes())
            .collect();
        let mut known = SECRET.to_vec();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }
}
