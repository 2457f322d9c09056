//! The answer to `X HELP`, made from the constants of X's subcommands.

use super::reply::Reply;
use super::spec::Command;

/// Writes the help of a container: one line with its form, then each subcommand with its summary.
pub fn write(reply: &mut Reply, container: &Command) {
    let name = container.name.to_ascii_uppercase();
    reply.array(1 + 2 * container.subcommands.len());
    reply.simple(&format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for sub in container.subcommands {
        reply.simple(&sub.own_name().to_ascii_uppercase());
        reply.simple(&format!("    {}.", sub.summary));
    }
}

/// Writes help in the words of Redis 7.2, where clients and tests compare them: each line is a form or, after four
/// blanks, what it does.
pub fn write_lines(reply: &mut Reply, name: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Print this help.");
}
