//! DEBUG: what tests and fault finding need. One row per subcommand; unlike in other containers they are no commands of
//! their own, as in Redis.
//!
//! | file | what |
//! |---|---|
//! | `data` | digests, one key in detail, many keys at once, switches that shape values |
//! | `structure` | listpacks, nodes of lists, how full tables are |
//! | `process` | sleep, crash, log, timed work, buffers, allocator |
//! | `protocol` | a reply of each type |
//! | `bus` | CLUSTERLINK, DROP-CLUSTER-PACKET-FILTER |
//! | `reload` | RELOAD, LOADAOF |
//!
//! Left out, because what they look at is not there: CLUSTERLINK, DROP-CLUSTER-PACKET-FILTER (clusters),
//! CLIENT-EVICTION (`maxmemory-clients`), and SDSLEN, STRUCTSIZE, LEAK, OOM, RESTART,
//! CRASH-AND-RECOVER, MALLCTL of names that hold pointers (the insides of another program).

mod bus;
mod data;
mod help;
mod process;
mod protocol;
mod reload;
mod structure;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome, bad_subcommand};
use cairn_engine::call::{Command, Ctx, Flags, Group, help as help_reply};

use super::config::rewrite;
use super::protected::protected;
use crate::config::table;
use crate::os::crash;

/// This family.
pub const COMMANDS: &[&Command] = &[&DEBUG];

const DEBUG: Command = Command {
    name: "debug",
    group: Group::Server,
    arity: -2,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    complexity: "Depends on subcommand.",
    summary: "Do what tests and fault finding need",
    guard: Some(|cx| protected(cx, table::ENABLE_DEBUG_COMMAND, "DEBUG")),
    run: debug,
    ..Command::BASE
};

type Handler = fn(&mut Ctx, &Args) -> Outcome;

/// Word, fewest and most arguments (both words included), what it does.
const SUBCOMMANDS: &[(&str, usize, usize, Handler)] = &[
    ("help", 2, 2, show_help),
    ("aof-flush-sleep", 3, 3, process::aof_flush_sleep),
    ("assert", 2, 2, process::assert_fails),
    ("change-repl-id", 2, 2, process::change_repl_id),
    ("clusterlink", 5, 5, bus::end_links),
    ("config-rewrite-force-all", 2, 2, |cx, _| rewrite(cx, true)),
    ("digest", 2, 2, data::all_digest),
    ("digest-value", 2, usize::MAX, data::value_digests),
    ("drop-cluster-packet-filter", 3, 3, bus::drop_kind),
    ("error", 3, 3, process::error_reply),
    ("htstats", 3, 4, structure::table_stats),
    ("htstats-key", 3, 4, structure::key_table_stats),
    ("listpack", 3, 3, structure::show_listpack),
    ("loadaof", 2, 2, reload::load_log),
    ("log", 3, 3, process::log_line),
    ("loop-turn", 2, 3, process::loop_turn),
    ("mallctl", 3, 4, process::allocator_number),
    ("mallctl-str", 3, 4, process::allocator_text),
    ("object", 3, 4, data::describe),
    ("panic", 2, 2, process::panics),
    ("pause-cron", 3, 3, process::pause_cron),
    ("populate", 3, 5, data::populate),
    ("protocol", 3, 3, protocol::protocol),
    ("quicklist", 3, 4, structure::show_list),
    ("quicklist-packed-threshold", 3, 3, data::plain_threshold),
    ("reload", 2, usize::MAX, reload::reload),
    ("replicate", 3, usize::MAX, process::replicate),
    ("replybuffer", 4, 4, process::reply_buffer),
    ("segfault", 2, 2, |_, _| crash::segfault()),
    ("set-active-expire", 3, 3, data::set_active_expire),
    ("set-disable-deny-scripts", 3, 3, data::scripts_call_all),
    ("set-skip-checksum-validation", 3, 3, data::skip_checksums),
    ("sleep", 3, 3, process::sleep),
    ("stringmatch-test", 2, 2, data::glob_test),
];

fn debug(cx: &mut Ctx, args: &Args) -> Outcome {
    let found = SUBCOMMANDS
        .iter()
        .find(|(word, least, most, _)| args.is(1, word) && (*least..=*most).contains(&args.len()));
    match found {
        Some((.., run)) => run(cx, args),
        None => Err(unknown(args)),
    }
}

fn unknown(args: &Args) -> Error {
    bad_subcommand("DEBUG", args.at(1))
}

fn ok(cx: &mut Ctx) -> Outcome {
    cx.reply.ok();
    Ok(())
}

/// A switch as C's `atoi` reads it: on for a number that is not 0.
fn switch(args: &Args) -> bool {
    args.int(2).is_ok_and(|number| number != 0)
}

fn show_help(cx: &mut Ctx, _: &Args) -> Outcome {
    help_reply::write_lines(cx, help::LINES);
    Ok(())
}
