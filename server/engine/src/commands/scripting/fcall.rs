//! FCALL and the form that only reads.

use super::eval::{EVAL, KEYS_RO};
use super::{CALLS, CALLS_RO, check_read_only, count_keys, flags_of_program, show};
use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags};
use crate::keyspace::Keyspace;
use crate::scripting::{self, Program};
use crate::scripts::running::Sort;

pub(super) const FCALL: Command = Command {
    name: "fcall",
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    summary: "Call a function of a library",
    flags_of: Some(|_, ks, args| flags_of(CALLS, ks, args)),
    run: |cx, args| call(cx, args, false),
    ..EVAL
};

pub(super) const FCALL_RO: Command = Command {
    name: "fcall_ro",
    flags: CALLS_RO,
    keys: KEYS_RO,
    summary: "Call a function of a library that only reads",
    flags_of: Some(|_, ks, args| flags_of(CALLS_RO, ks, args)),
    run: |cx, args| call(cx, args, true),
    ..FCALL
};

fn flags_of(own: Flags, ks: &Keyspace, args: &Args) -> Flags {
    let function = ks.libraries.function(args.at(1));
    flags_of_program(own, function.map(|function| function.flags))
}

fn call(cx: &mut Ctx, args: &Args, reads_only: bool) -> Outcome {
    const NOT_FOUND: Error = Error::new("ERR Function not found");
    show(cx, args);
    let function = cx.ks.libraries.function(args.at(1)).ok_or(NOT_FOUND)?;
    let (name, flags) = (function.name.clone(), function.flags);
    let keys = count_keys(args, Error::new("ERR Bad number of keys provided"))?;
    check_read_only(reads_only, flags)?;
    let mut machine = cx.ks.libraries.take(&name).ok_or(NOT_FOUND)?;
    let program = Program {
        sort: Sort::Function,
        name: &name,
        flags,
        reads_only,
        first_key: 3,
        keys,
    };
    scripting::run(cx, &mut machine, &program, args);
    cx.ks.libraries.give_back(machine);
    Ok(())
}
