//! Nodes and roles.

use cairn_cluster::machine::Failover;
use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome, lossless};
use cairn_engine::call::{Command, Ctx, Flags};
use cairn_format::text::number::parse_i64;

use super::{CHANGES, changed, id_at, node};

pub(super) const MEET: Command = Command {
    name: "cluster|meet",
    arity: -4,
    summary: "Make another node known",
    run: meet,
    ..CHANGES
};

fn meet(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    let port = |at: usize, what: &str| -> Result<u16, Error> {
        parse_i64(args.at(at))
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| {
                let word = lossless(args.at(at));
                Error::text(format!("ERR Invalid {what} port specified: {word}"))
            })
    };
    if args.len() > 5 {
        return Err(error::bad_subcommand("CLUSTER", args.at(1)));
    }
    let base = port(3, "base")?;
    let bus = match args.get(4) {
        Some(_) => Some(port(4, "bus")?),
        None => None,
    };
    let ip = lossless(args.at(2));
    changed(cx, |machine, moment| machine.meet(&ip, base, bus, moment))
}

pub(super) const FORGET: Command = Command {
    name: "cluster|forget",
    arity: 3,
    summary: "Remove a node",
    run: |cx, args| {
        node(cx)?;
        let id = id_at(args, 2)?;
        changed(cx, |machine, moment| machine.forget(&id, moment))
    },
    ..CHANGES
};

pub(super) const REPLICATE: Command = Command {
    name: "cluster|replicate",
    arity: 3,
    summary: "Follow a primary of the cluster",
    run: |cx, args| {
        node(cx)?;
        let id = id_at(args, 2)?;
        let has_keys = cx.ks.keys_here() > 0;
        changed(cx, |machine, moment| {
            machine.replicate(&id, has_keys, moment)
        })
    },
    ..CHANGES
};

pub(super) const FAILOVER: Command = Command {
    name: "cluster|failover",
    arity: -2,
    summary: "Take the place of this replica's primary",
    run: |cx, args| {
        node(cx)?;
        let form = match args.get(2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            None => Failover::Agreed,
            Some(b"force") if args.len() == 3 => Failover::Force,
            Some(b"takeover") if args.len() == 3 => Failover::Takeover,
            Some(_) => return Err(error::SYNTAX),
        };
        changed(cx, |machine, moment| machine.failover(form, moment))
    },
    ..CHANGES
};

pub(super) const RESET: Command = Command {
    name: "cluster|reset",
    arity: -2,
    flags: Flags::STALE.and(Flags::ADMIN).and(Flags::NO_SCRIPT),
    complexity: "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
    summary: "Leave the cluster",
    run: |cx, args| {
        node(cx)?;
        let is_hard = match args.get(2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            None => false,
            Some(b"soft") if args.len() == 3 => false,
            Some(b"hard") if args.len() == 3 => true,
            Some(_) => return Err(error::SYNTAX),
        };
        let has_keys = cx.ks.keys_here() > 0;
        changed(cx, |machine, moment| {
            machine.reset(is_hard, has_keys, moment)
        })
    },
    ..CHANGES
};
