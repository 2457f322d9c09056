//! CONFIG: values of the configuration, asked for, changed and written back.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::call::{Command, Ctx, Flags, Group, Secrets, help};

use super::effects::{self, Parts};
use crate::config::{self, Caller, table};
use crate::front::access;

/// This family.
pub const COMMANDS: &[&Command] = &[&CONFIG];

const CONFIG: Command = Command::container(
    "config",
    Group::Server,
    "2.0.0",
    "Look at and change the configuration",
    &[&GET, &SET, &RESETSTAT, &REWRITE, &HELP],
);

const SUB: Command = Command {
    group: Group::Server,
    since: "2.0.0",
    arity: 2,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

const GET: Command = Command {
    name: "config|get",
    arity: -3,
    tips: &[],
    complexity: "O(N) where N is the number of configuration parameters provided",
    summary: "Tell the values that names or patterns match",
    run: |cx, args| {
        let patterns: Vec<&[u8]> = args.iter_from(2).collect();
        let found = access::settings(&mut *cx.inst).config.matching(&patterns);
        cx.reply.map(found.len());
        for (name, value) in found {
            cx.reply.bulk(&name);
            cx.reply.bulk(&value);
        }
        Ok(())
    },
    ..SUB
};

const SET: Command = Command {
    name: "config|set",
    arity: -4,
    complexity: "O(N) where N is the number of configuration parameters provided",
    summary: "Change values, all or none",
    secrets: Secrets::Where(is_secret_value),
    run: set,
    ..SUB
};

/// Whether an argument of CONFIG SET is the value of a directive that holds a secret.
fn is_secret_value(args: &Args, at: usize) -> bool {
    at % 2 == 1 && at > 2 && config::is_secret(args.at(at - 1))
}

fn set(cx: &mut Ctx, args: &Args) -> Outcome {
    let pairs: Vec<&[u8]> = args.iter_from(2).collect();
    let caller = Caller {
        local: is_local(cx),
        loading: cx.shared.gate.loading || cx.shared.gate.async_loading,
    };
    let front = access::whole(&mut *cx.inst);
    // The hook needs the whole front, which then already has the new values.
    let mut config = front.settings.config.clone();
    let changed = config.set_many(&pairs, caller, &mut |new, changes| {
        front.settings.config = new.clone();
        let parts = Parts {
            front,
            ks: cx.ks,
            gate: &mut cx.shared.gate,
            users: &mut cx.shared.users,
            watch: &mut cx.shared.watch,
            in_transaction: cx.session.deny_blocking,
        };
        effects::apply(parts, changes)
    });
    // The hook may have changed a value itself (the real name of a folder), so its configuration is kept.
    match changed {
        Ok(()) => {
            cx.reply.ok();
            Ok(())
        }
        Err(error) => Err(Error::text(error.to_string())),
    }
}

/// Whether the client is on this machine.
pub(super) fn is_local(cx: &mut Ctx) -> bool {
    access::clients(&mut *cx.inst)
        .connection_of(cx.session.slot)
        .is_some_and(|connection| connection.stream().peer().is_local())
}

const RESETSTAT: Command = Command {
    name: "config|resetstat",
    summary: "Set the counters of INFO to zero",
    run: |cx, _| {
        cx.shared.stats.reset();
        cx.ks.reset_stats();
        if let Some(slots) = &mut cx.shared.watch.slots {
            *slots = Default::default();
        }
        let now_us = cx.inst.now().mono_us;
        let figures = access::figures(&mut *cx.inst);
        figures.counters = Default::default();
        figures.defrag.reset(now_us);
        let replication = access::replication(&mut *cx.inst);
        replication.primary.counters = Default::default();
        replication.bytes = (0, 0);
        replication.unexpected_errors = 0;
        let keeper = access::keeper(&mut *cx.inst);
        keeper.flush_us = 0;
        keeper.last_fork_us = 0;
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const REWRITE: Command = Command {
    name: "config|rewrite",
    since: "2.8.0",
    summary: "Write the values into the configuration file",
    run: |cx, _| rewrite(cx, false),
    ..SUB
};

/// Writes the configuration file, with `force_all` defaults included.
pub(super) fn rewrite(cx: &mut Ctx, force_all: bool) -> Outcome {
    let config = &access::settings(&mut *cx.inst).config;
    let users: Vec<_> = match config.get(table::ACLFILE).is_empty() {
        true => cx.shared.users.lines().collect(),
        false => Vec::new(),
    };
    let written = config.rewrite(force_all, &users);
    let log = access::log(&mut *cx.inst);
    match written {
        Ok(()) => {
            log.notice(format_args!("CONFIG REWRITE executed with success."));
            cx.reply.ok();
            Ok(())
        }
        Err(error) => {
            log.warning(format_args!("CONFIG REWRITE failed: {error}"));
            Err(Error::text(error.to_string()))
        }
    }
}

const HELP: Command = Command {
    since: "5.0.0",
    ..help::subcommand("config|help", SUB, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
];
