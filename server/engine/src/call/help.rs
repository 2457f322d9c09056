//! The subcommand HELP of containers.

use super::ctx::Ctx;
use super::spec::{Command, Flags};

/// The subcommand HELP of this name beside `sibling`. `lines` are in the words of Redis 7.2, where clients and tests compare them:
/// each is a form or, after blanks, what it does. Forms of subcommands that this server does not have are left out.
pub const fn subcommand(
    name: &'static str,
    sibling: Command,
    lines: &'static [&'static str],
) -> Command {
    Command {
        name,
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE),
        keys: &[],
        tips: &[],
        complexity: Command::BASE.complexity,
        summary: "Show the subcommands",
        help: lines,
        run: |cx, _| {
            write_lines(cx, cx.command.spec.help);
            Ok(())
        },
        ..sibling
    }
}

/// Writes such lines about the container whose command runs, between its form and the one of HELP.
pub fn write_lines(cx: &mut Ctx, lines: &[&str]) {
    let name = cx.command.spec.name;
    let name = name
        .split_once('|')
        .map_or(name, |(container, _)| container);
    let container = cx.shared.table.find_logged(name.as_bytes());
    let name = container.map_or(name, |container| cx.shared.table.name_of(container.id));
    let subcommands = container.map_or(&[][..], |container| container.spec.subcommands);
    let shown = of_those_there(lines, subcommands);
    let reply = &mut *cx.reply;
    reply.array(shown.len() + 3);
    let name = name.to_ascii_uppercase();
    reply.simple(format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for line in shown {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Print this help.");
}

/// The lines about these subcommands; all lines where a command reads its words itself.
fn of_those_there<'l>(lines: &[&'l str], subcommands: &[&Command]) -> Vec<&'l str> {
    let is_there = |form: &str| {
        let word = form.split_whitespace().next().unwrap_or("");
        let mut names = subcommands.iter().map(|sub| sub.own_name());
        // `(no subcommand)` is the form of the container alone.
        let is_own = subcommands.is_empty() || word.starts_with('(');
        is_own || names.any(|name| name.eq_ignore_ascii_case(word))
    };
    let mut shown = Vec::new();
    let mut wanted = true;
    for line in lines {
        if !line.starts_with(' ') {
            wanted = is_there(line);
        }
        if wanted {
            shown.push(*line);
        }
    }
    shown
}
