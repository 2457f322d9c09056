//! ACL.
//!
//! ```text
//! change   SETUSER, DELUSER          ask   CAT, DRYRUN, GENPASS
//! show     WHOAMI, USERS, LIST, GETUSER      log   what was refused
//! file     LOAD, SAVE
//! ```

mod ask;
mod change;
mod file;
mod log;
mod show;

use crate::call::help;
use crate::call::spec::{Command, Flags, Group};

/// This family.
pub const COMMANDS: &[&Command] = &[&ACL];

const ACL: Command = Command::container(
    "acl",
    Group::Server,
    "6.0.0",
    "Look after users",
    &[
        &HELP,
        &file::LOAD,
        &show::LIST,
        &show::USERS,
        &ask::DRYRUN,
        &show::WHOAMI,
        &log::LOG,
        &change::SETUSER,
        &file::SAVE,
        &change::DELUSER,
        &ask::CAT,
        &ask::GENPASS,
        &show::GETUSER,
    ],
);

/// What everybody may ask who may run ACL at all.
const ASKS: Command = Command {
    group: Group::Server,
    since: "6.0.0",
    flags: Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE),
    ..Command::BASE
};

/// What needs an administrator.
const RULES: Command = Command {
    flags: ASKS.flags.and(Flags::ADMIN),
    ..ASKS
};

const HELP: Command = help::subcommand("acl|help", ASKS, HELP_LINES);

const HELP_LINES: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "DELUSER <username> [<username> ...]",
    "    Delete a list of users.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Returns whether the user can execute the given command without executing the command.",
    "GETUSER <username>",
    "    Get the user's details.",
    "GENPASS [<bits>]",
    "    Generate a secure 256-bit user password. The optional `bits` argument can",
    "    be used to specify a different size.",
    "LIST",
    "    Show users details in config file format.",
    "LOAD",
    "    Reload users from the ACL file.",
    "LOG [<count> | RESET]",
    "    Show the ACL log entries.",
    "SAVE",
    "    Save the current config to the ACL file.",
    "SETUSER <username> <attribute> [<attribute> ...]",
    "    Create or modify a user with the specified attributes.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];
