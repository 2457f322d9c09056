//! LOG: what was refused.

use super::RULES;
use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::Command;
use crate::users::log::Entry;

pub(super) const LOG: Command = Command {
    name: "acl|log",
    arity: -2,
    complexity: "O(N) with N being the number of entries shown.",
    summary: "List what was refused, or forget it",
    run: log,
    ..RULES
};

/// Entries that are shown if nothing else is asked for.
const SHOWN: usize = 10;

fn log(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return Err(error::bad_subcommand("ACL", args.at(1)));
    }
    if args.is(2, "reset") {
        cx.shared.users.log.clear();
        cx.reply.ok();
        return Ok(());
    }
    let count = match args.get(2) {
        Some(_) => usize::try_from(args.int(2)?).unwrap_or(0),
        None => SHOWN,
    };
    let entries = cx.shared.users.log.newest(count);
    cx.reply.array(entries.len());
    for entry in entries {
        write_entry(cx.reply, entry, cx.ks.now_ms);
    }
    Ok(())
}

fn write_entry(reply: &mut Reply, entry: &Entry, now_ms: i64) {
    let refusal = &entry.refusal;
    let number = |reply: &mut Reply, name: &[u8], value: i64| {
        reply.bulk(name);
        reply.int(value);
    };
    let text = |reply: &mut Reply, name: &[u8], value: &[u8]| {
        reply.bulk(name);
        reply.bulk(value);
    };
    reply.map(10);
    number(reply, b"count", entry.count as i64);
    text(reply, b"reason", refusal.reason.word().as_bytes());
    text(reply, b"context", refusal.context.word().as_bytes());
    text(reply, b"object", &refusal.object);
    text(reply, b"username", &refusal.user);
    reply.bulk(b"age-seconds");
    reply.double((now_ms - entry.updated_ms) as f64 / 1000.0);
    text(reply, b"client-info", &refusal.client);
    number(reply, b"entry-id", entry.id as i64);
    number(reply, b"timestamp-created", entry.created_ms);
    number(reply, b"timestamp-last-updated", entry.updated_ms);
}
