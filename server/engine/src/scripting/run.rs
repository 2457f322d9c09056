//! A script from its call to its answer.

use cairn_format::resp::reply::Protocol;
use cairn_lua::{Fault, Kind, Machine, Raise, Stack};

use super::host::{Room, Script};
use super::values::{Answer, COUNTED, until_nul};
use crate::base::args::{Args, ArgsBuf};
use crate::base::error::{Error, MASTER_DOWN, lossless};
use crate::call::ctx::Ctx;
use crate::call::room;
use crate::call::route;
use crate::call::run::count_error;
use crate::scripts::api::error_text;
use crate::scripts::flags::ScriptFlags;
use crate::scripts::running::{Running, Sort};

/// Instructions between two looks at the clock, as in Redis.
const LOOK_EACH: u32 = 100_000;

/// What is to run: its function is on the machine's stack.
#[derive(Debug)]
pub struct Program<'a> {
    /// Script or function.
    pub sort: Sort,
    /// SHA-1 or name.
    pub name: &'a [u8],
    /// What it asks for.
    pub flags: ScriptFlags,
    /// It was called by a command that must not change anything.
    pub reads_only: bool,
    /// Its keys: arguments of the command from here on.
    pub first_key: usize,
    /// How many; the rest are its other arguments.
    pub keys: usize,
}

/// Runs a program on behalf of the command `args`, and answers its client.
pub fn run(cx: &mut Ctx, machine: &mut Machine, program: &Program, args: &Args) {
    debug_assert!(cx.shared.running.is_none(), "scripts do not run scripts");
    if let Some(error) = refusal_of(cx, program.flags) {
        count_error(&mut cx.shared.stats, &error);
        cx.reply.error(&error);
        return machine.stack().cut(0);
    }
    let base = machine.stack().top();
    debug_assert_eq!(base, 1, "the function, and nothing else");
    match push_arguments(&mut machine.stack(), program, args) {
        Ok(arguments) => perform(cx, machine, program, args, arguments),
        Err(_) => {
            let error = Error::new("ERR the arguments do not fit into the memory of scripts");
            count_error(&mut cx.shared.stats, &error);
            cx.reply.error(&error);
        }
    }
    machine.stack().cut(0);
}

/// Why a program may not even begin, where the flags of its call do not tell.
fn refusal_of(cx: &Ctx, flags: ScriptFlags) -> Option<Error> {
    if flags.has(ScriptFlags::NO_CLUSTER) && cx.ks.has_slots() {
        let text = "ERR Can not run script on cluster, 'no-cluster' flag is set.";
        return Some(Error::new(text));
    }
    let following = cx.shared.gate.replica;
    let is_stale = following.is_some_and(|following| following.stale) && !cx.session.applies();
    (flags.has(ScriptFlags::COMPATIBLE) && is_stale).then_some(MASTER_DOWN)
}

/// Puts keys and other arguments where the program looks for them; answers how many stand on the stack.
fn push_arguments(stack: &mut Stack, program: &Program, args: &Args) -> Result<usize, Raise> {
    let split = program.first_key + program.keys;
    match program.sort {
        Sort::Function => {
            push_list(stack, args, program.first_key, split)?;
            push_list(stack, args, split, args.len())?;
            Ok(2)
        }
        Sort::Script => {
            cairn_lua::sandbox::push_globals_behind(stack)?;
            push_list(stack, args, program.first_key, split)?;
            stack.set_field(-2, "KEYS")?;
            push_list(stack, args, split, args.len())?;
            stack.set_field(-2, "ARGV")?;
            stack.pop(1);
            Ok(0)
        }
    }
}

fn push_list(stack: &mut Stack, args: &Args, from: usize, to: usize) -> Result<(), Raise> {
    stack.push_table(to - from, 0)?;
    for (n, word) in args.iter_from(from).take(to - from).enumerate() {
        stack.push_bytes(word)?;
        stack.set_index(-2, n as i32 + 1)?;
    }
    Ok(())
}

fn perform(cx: &mut Ctx, machine: &mut Machine, program: &Program, args: &Args, arguments: usize) {
    let started = cx.inst.now();
    cx.shared.running = Some(Running {
        sort: program.sort,
        started,
        wrote: false,
        killed: false,
        applied: cx.session.applies(),
        slow: None,
    });
    let before = Caller::of(cx);
    cx.session.protocol = Protocol::Resp2;
    cx.session.deny_blocking = true;
    let flags = program.flags;
    let lacks_memory = cx.ks.limits.memory_max > 0 && room::is_short(cx);
    let mut host = Room {
        script: Script {
            flags,
            reads_only: program.reads_only || flags.has(ScriptFlags::NO_WRITES),
            wrote: false,
            lacks_memory,
            propagates: true,
            is_cut_short: false,
            protocol: Protocol::Resp2,
            slot: route::slot_of(cx.command, args),
        },
        command: args,
        name: program.name,
        words: ArgsBuf::default(),
        tape: None,
        cx: &mut *cx,
    };
    let fed = host.cx.ks.fx.feed.len();
    let every = match host.cx.ks.limits.script_slow_us {
        0 => 0,
        _ => LOOK_EACH,
    };
    let ran = machine.run(&mut host, arguments, 1, every);
    let (protocol, is_cut_short) = (host.script.protocol, host.script.is_cut_short);
    drop(host);
    if is_cut_short {
        cx.ks.fx.feed.truncate(fed);
    }
    before.restore(cx);
    cx.shared.running = None;
    cx.shared.gate.busy = None;
    match ran {
        Ok(()) => Answer {
            reply: cx.reply,
            stats: &mut cx.shared.stats,
            protocol,
        }
        .write(&mut machine.stack(), 0),
        Err(fault) => answer_fault(cx, &mut machine.stack(), program, fault),
    }
    // What the commands of a script propagate is in the feed; the call itself is not.
    cx.propagate_nothing();
}

/// What a script changes of its client's session while it runs.
struct Caller {
    table: usize,
    db: usize,
    protocol: Protocol,
    deny_blocking: bool,
    command: crate::call::table::Entry,
}

impl Caller {
    fn of(cx: &Ctx) -> Caller {
        Caller {
            table: cx.ks.selected(),
            db: cx.session.db,
            protocol: cx.session.protocol,
            deny_blocking: cx.session.deny_blocking,
            command: cx.command,
        }
    }

    fn restore(self, cx: &mut Ctx) {
        cx.session.db = self.db;
        cx.session.protocol = self.protocol;
        cx.session.deny_blocking = self.deny_blocking;
        cx.command = self.command;
        cx.ks.select(self.table);
    }
}

/// Answers the error on top of the stack.
fn answer_fault(cx: &mut Ctx, stack: &mut Stack, program: &Program, fault: Fault) {
    let name = lossless(program.name);
    let (text, is_counted) = match fault {
        Fault::Broken => {
            let what = match program.sort {
                Sort::Script => "script",
                Sort::Function => "function",
            };
            (
                format!("ERR Error running {what} {name}, error in error handling"),
                false,
            )
        }
        Fault::Error(place) => {
            let is_counted = is_counted(stack);
            let text = error_text(stack);
            let text = until_nul(&text);
            let source = program.sort.chunk().to_string_lossy();
            let place = match place {
                Some(place) => format!(" script: {name}, on {source}:{}.", place.line),
                None => format!(" script: {name}."),
            };
            (lossless(text) + &place, is_counted)
        }
    };
    let error = Error::text(text);
    if !is_counted {
        count_error(&mut cx.shared.stats, &error);
    }
    cx.reply.error(&error);
}

/// Whether an error was counted when it arose.
fn is_counted(stack: &mut Stack) -> bool {
    if stack.kind(-1) != Kind::Table || stack.get_field(-1, COUNTED).is_err() {
        return false;
    }
    let is_counted = stack.truth(-1);
    stack.pop(1);
    is_counted
}
