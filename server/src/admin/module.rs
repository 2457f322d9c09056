//! MODULE: no module can be loaded into this server, and what is asked of one is refused by name.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::call::{Command, Ctx, Flags, Group, help};

use super::protected::protected;
use crate::config::table;
use crate::front::access;

/// This family.
pub const COMMANDS: &[&Command] = &[&MODULE];

const MODULE: Command = Command::container(
    "module",
    Group::Server,
    "4.0.0",
    "Ask for modules, of which there are none",
    &[&LIST, &LOAD, &LOADEX, &UNLOAD, &HELP],
);

const SUB: Command = Command {
    group: Group::Server,
    since: "4.0.0",
    flags: Flags::ADMIN.and(Flags::NO_SCRIPT),
    ..Command::BASE
};

const LIST: Command = Command {
    name: "module|list",
    arity: 2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of loaded modules.",
    summary: "List the loaded modules: none",
    run: |cx, _| {
        cx.reply.array(0);
        Ok(())
    },
    ..SUB
};

const CHANGE: Command = Command {
    flags: SUB.flags.and(Flags::NO_ASYNC_LOADING),
    guard: Some(|cx| protected(cx, table::ENABLE_MODULE_COMMAND, "MODULE")),
    ..SUB
};

const LOAD: Command = Command {
    name: "module|load",
    arity: -3,
    summary: "Load a module: always refused",
    run: load,
    ..CHANGE
};

const LOADEX: Command = Command {
    name: "module|loadex",
    since: "7.0.0",
    arity: -3,
    summary: "Load a module with values for its configuration: always refused",
    run: load,
    ..CHANGE
};

const UNLOAD: Command = Command {
    name: "module|unload",
    arity: 3,
    summary: "Unload a module: there is none",
    run: |_, _| {
        Err(Error::new(
            "ERR Error unloading module: no such module with that name",
        ))
    },
    ..CHANGE
};

/// As where a file cannot be loaded; the log says why none can.
fn load(cx: &mut Ctx, args: &Args) -> Outcome {
    access::log(&mut *cx.inst).warning(format_args!(
        "Module {} failed to load: this server has no modules",
        String::from_utf8_lossy(args.at(2))
    ));
    Err(Error::new(
        "ERR Error loading the extension. Please check the server logs.",
    ))
}

const HELP: Command = Command {
    since: "5.0.0",
    ..help::subcommand("module|help", SUB, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "LIST",
    "    Return a list of loaded modules.",
    "LOAD <path> [<arg> ...]",
    "    Load a module library from <path>, passing to it any optional arguments.",
    "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
    "    Load a module library from <path>, while passing it module configurations and optional arguments.",
    "UNLOAD <name>",
    "    Unload a module.",
];
