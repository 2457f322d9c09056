//! Whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB; and TIME.

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group};
use crate::scripts::running::Running;

pub(super) const DBSIZE: Command = Command {
    name: "dbsize",
    group: Group::Server,
    arity: 1,
    flags: Flags::READ.and(Flags::FAST).and(Flags::KEYSPACE),
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    summary: "Count the keys of the database",
    run: dbsize,
    ..Command::BASE
};

fn dbsize(cx: &mut Ctx, _: &Args) -> Outcome {
    cx.reply.int(cx.ks.keys_here() as i64);
    Ok(())
}

pub(super) const FLUSHDB: Command = Command {
    name: "flushdb",
    group: Group::Server,
    arity: -1,
    flags: Flags::WRITE.and(Flags::KEYSPACE).and(Flags::DANGEROUS),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "O(N) where N is the number of keys in the selected database",
    summary: "Delete all keys of the database",
    run: |cx, args| flush(cx, args, false),
    ..Command::BASE
};

pub(super) const FLUSHALL: Command = Command {
    name: "flushall",
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Delete all keys of all databases",
    run: |cx, args| flush(cx, args, true),
    ..FLUSHDB
};

fn flush(cx: &mut Ctx, args: &Args, all: bool) -> Outcome {
    let fits = match args.len() {
        1 => true,
        2 => args.is(1, "sync") || args.is(1, "async"),
        _ => false,
    };
    if !fits {
        return Err(error::SYNTAX);
    }
    let removed = match all {
        true => cx.ks.flush_all(),
        false => cx.ks.flush(cx.session.db),
    };
    // Redis counts and logs a flush even of nothing; one more change keeps the log complete.
    cx.ks.dirty += removed as u64 + u64::from(all || removed == 0);
    if all && !cx.session.replays() {
        // Told by itself: the instance may save, and nothing has changed then since the last save.
        cx.propagate(&args.iter_from(0).collect::<Vec<_>>());
        cx.inst.emptied(cx.ks);
    }
    cx.reply.ok();
    Ok(())
}

pub(super) const SWAPDB: Command = Command {
    name: "swapdb",
    group: Group::Server,
    since: "4.0.0",
    arity: 3,
    flags: Flags::WRITE
        .and(Flags::FAST)
        .and(Flags::KEYSPACE)
        .and(Flags::DANGEROUS),
    complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
    summary: "Exchange two databases",
    run: swapdb,
    ..Command::BASE
};

fn swapdb(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.ks.has_slots() {
        return Err(Error::new("ERR SWAPDB is not allowed in cluster mode"));
    }
    let index = |i: usize, invalid: &'static str| -> Result<i64, Error> {
        args.int(i)
            .ok()
            .filter(|n| i32::try_from(*n).is_ok())
            .ok_or(Error::new(invalid))
    };
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    let databases = cx.ks.databases();
    let within = |n: i64| {
        usize::try_from(n)
            .ok()
            .filter(|n| *n < databases)
            .ok_or(error::DB_INDEX)
    };
    let (a, b) = (within(first)?, within(second)?);
    if a != b {
        cx.ks.swap(a, b);
    }
    cx.ks.dirty += 1;
    cx.reply.ok();
    Ok(())
}

pub(super) const TIME: Command = Command {
    name: "time",
    group: Group::Server,
    since: "2.6.0",
    arity: 1,
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    tips: &["nondeterministic_output"],
    summary: "Tell the server's clock",
    run: time,
    ..Command::BASE
};

fn time(cx: &mut Ctx, _: &Args) -> Outcome {
    // For a script time stands still.
    let running = cx.shared.running.as_ref();
    // Unless it takes so long that others are let in.
    let stands = |running: &&Running| running.slow.is_none() && cx.shared.in_script(cx.session);
    let running = running.filter(stands);
    let script = running.map(|running| running.started);
    let micros = script.unwrap_or_else(|| cx.inst.now()).wall_us;
    cx.reply.array(2);
    cx.reply.bulk_int(micros / 1_000_000);
    cx.reply.bulk_int(micros % 1_000_000);
    Ok(())
}
