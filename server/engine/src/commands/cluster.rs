//! What a client of a cluster says of itself: READONLY, READWRITE, ASKING.

use crate::base::args::Args;
use crate::base::error::{NO_CLUSTER, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group};

/// This family.
pub const COMMANDS: &[&Command] = &[&READONLY, &READWRITE, &ASKING];

const READONLY: Command = Command {
    name: "readonly",
    group: Group::Cluster,
    since: "3.0.0",
    arity: 1,
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    categories: Some(&["@connection"]),
    summary: "Read from a replica of a cluster what its primary owns",
    run: |cx, _| reads_from_replicas(cx, true),
    ..Command::BASE
};

const READWRITE: Command = Command {
    name: "readwrite",
    summary: "Be sent to the primary also for reading",
    run: |cx, _| reads_from_replicas(cx, false),
    ..READONLY
};

const ASKING: Command = Command {
    name: "asking",
    flags: Flags::FAST,
    summary: "Use a slot that is on its way to this node, for the next command",
    run: asking,
    ..READONLY
};

fn reads_from_replicas(cx: &mut Ctx, wanted: bool) -> Outcome {
    must_be_clustered(cx)?;
    cx.session.readonly = wanted;
    cx.reply.ok();
    Ok(())
}

fn asking(cx: &mut Ctx, _: &Args) -> Outcome {
    must_be_clustered(cx)?;
    cx.session.asking = true;
    cx.reply.ok();
    Ok(())
}

fn must_be_clustered(cx: &Ctx) -> Outcome {
    match cx.shared.routes {
        Some(_) => Ok(()),
        None => Err(NO_CLUSTER),
    }
}
