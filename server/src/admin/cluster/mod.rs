//! CLUSTER.
//!
//! ```text
//! tell     what the node knows: INFO, NODES, SLOTS, SHARDS, LINKS, ids, keys of slots
//! slot_stats   what slots hold and cost
//! change   slots: ADDSLOTS, DELSLOTS, SETSLOT ...     members   nodes and roles: MEET, FORGET, REPLICATE, FAILOVER, RESET ...
//! moves    slots that move as one: MIGRATESLOTS and what belongs to it
//! ```
//! What a change asks for is done at the end of the turn, before its reply leaves ([`crate::member::turn`]).

mod change;
mod members;
mod moves;
mod slot_stats;
mod tell;

use cairn_cluster::Machine;
use cairn_cluster::machine::{Done, Refusal};
use cairn_cluster::seam::Moment;
use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, NO_CLUSTER, Outcome, lossless};
use cairn_engine::call::{Command, Ctx, Flags, Group, help};
use cairn_format::cluster::NodeId;

use crate::cluster::{Cluster, at_moment};
use crate::front::{Front, access};

/// This family.
pub const COMMANDS: &[&Command] = &[&CLUSTER];

const CLUSTER: Command = Command::container(
    "cluster",
    Group::Cluster,
    "3.0.0",
    "Look at the cluster, and change it",
    &[
        &HELP,
        &tell::INFO,
        &tell::NODES,
        &tell::MYID,
        &tell::MYSHARDID,
        &tell::SLOTS,
        &tell::SHARDS,
        &tell::LINKS,
        &tell::REPLICAS,
        &tell::SLAVES,
        &tell::COUNT_FAILURE_REPORTS,
        &tell::KEYSLOT,
        &tell::COUNTKEYSINSLOT,
        &tell::GETKEYSINSLOT,
        &slot_stats::SLOT_STATS,
        &change::ADDSLOTS,
        &change::ADDSLOTSRANGE,
        &change::DELSLOTS,
        &change::DELSLOTSRANGE,
        &change::FLUSHSLOTS,
        &change::SETSLOT,
        &change::BUMPEPOCH,
        &change::SET_CONFIG_EPOCH,
        &change::SAVECONFIG,
        &members::MEET,
        &members::FORGET,
        &members::REPLICATE,
        &members::FAILOVER,
        &members::RESET,
        &moves::MIGRATESLOTS,
        &moves::GETSLOTMIGRATIONS,
        &moves::CANCELSLOTMIGRATIONS,
        &moves::SYNCSLOTS,
    ],
);

/// What everybody may ask.
const ASKS: Command = Command {
    group: Group::Cluster,
    since: "3.0.0",
    arity: 2,
    flags: Flags::STALE,
    ..Command::BASE
};

/// What changes the cluster.
const CHANGES: Command = Command {
    flags: Flags::STALE.and(Flags::ADMIN).and(Flags::NO_ASYNC_LOADING),
    ..ASKS
};

const HELP: Command = Command {
    since: "5.0.0",
    flags: Flags::STALE.and(Flags::LOADING),
    run: |cx, _| {
        if cx.shared.routes.is_none() {
            return Err(NO_CLUSTER);
        }
        help::write_lines(cx, cx.command.spec.help);
        Ok(())
    },
    ..help::subcommand("cluster|help", ASKS, HELP_LINES)
};

/// The node of a command.
///
/// # Errors
/// This server is none.
fn node<'a>(cx: &'a mut Ctx) -> Result<&'a mut Cluster, Error> {
    of(&mut access::whole(&mut *cx.inst).cluster)
}

/// The node, if there is one ([`node`]).
fn of(cluster: &mut Option<Box<Cluster>>) -> Result<&mut Cluster, Error> {
    cluster.as_deref_mut().ok_or(NO_CLUSTER)
}

/// Calls the machine of the node with the time and random numbers.
fn with_machine<T>(
    cx: &mut Ctx,
    call: impl FnOnce(&mut Machine, &mut Moment<'_>) -> T,
) -> Result<T, Error> {
    let Front { cluster, host, .. } = access::whole(&mut *cx.inst);
    let cluster = of(cluster)?;
    cluster.is_asked = true;
    Ok(at_moment(&**host, |moment| {
        call(&mut cluster.machine, moment)
    }))
}

/// A change: OK, or why not.
fn changed(cx: &mut Ctx, change: impl FnOnce(&mut Machine, &mut Moment<'_>) -> Done) -> Outcome {
    let done = with_machine(cx, change)?;
    done.map_err(refused)?;
    cx.reply.ok();
    Ok(())
}

/// What the machine refuses, as a reply.
fn refused(refusal: Refusal) -> Error {
    Error::text(format!("ERR {}", refusal.0))
}

/// The node that an argument names.
///
/// # Errors
/// It is no id, and so nobody's.
fn id_at(args: &Args, at: usize) -> Result<NodeId, Error> {
    NodeId::parse(args.at(at))
        .ok_or_else(|| Error::text(format!("ERR Unknown node {}", lossless(args.at(at)))))
}

const HELP_LINES: &[&str] = &[
    "ADDSLOTS <slot> [<slot> ...]",
    "    Assign slots to current node.",
    "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
    "    Assign slots which are between <start-slot> and <end-slot> to current node.",
    "BUMPEPOCH",
    "    Advance the cluster config epoch.",
    "COUNT-FAILURE-REPORTS <node-id>",
    "    Return number of failure reports for <node-id>.",
    "COUNTKEYSINSLOT <slot>",
    "    Return the number of keys in <slot>.",
    "DELSLOTS <slot> [<slot> ...]",
    "    Delete slots information from current node.",
    "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
    "    Delete slots information which are between <start-slot> and <end-slot> from current node.",
    "FAILOVER [FORCE|TAKEOVER]",
    "    Promote current replica node to being a master.",
    "FORGET <node-id>",
    "    Remove a node from the cluster.",
    "GETKEYSINSLOT <slot> <count>",
    "    Return key names stored by current node in a slot.",
    "FLUSHSLOTS",
    "    Delete current node own slots information.",
    "INFO",
    "    Return information about the cluster.",
    "KEYSLOT <key>",
    "    Return the hash slot for <key>.",
    "MEET <ip> <port> [<bus-port>]",
    "    Connect nodes into a working cluster.",
    "MIGRATESLOTS SLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...] NODE <node-id> [SLOTSRANGE ... NODE <node-id> ...]",
    "    Move slots to other nodes, each set of ranges as one.",
    "GETSLOTMIGRATIONS",
    "    Return the moves of MIGRATESLOTS that are under way here, and those that are over.",
    "CANCELSLOTMIGRATIONS",
    "    End all moves of MIGRATESLOTS that are under way here.",
    "MYID",
    "    Return the node id.",
    "MYSHARDID",
    "    Return the node's shard id.",
    "NODES",
    "    Return cluster configuration seen by node. Output format:",
    "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
    "REPLICATE <node-id>",
    "    Configure current node as replica to <node-id>.",
    "RESET [HARD|SOFT]",
    "    Reset current node (default: soft).",
    "SET-CONFIG-EPOCH <epoch>",
    "    Set config epoch of current node.",
    "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
    "    Set slot state.",
    "REPLICAS <node-id>",
    "    Return <node-id> replicas.",
    "SAVECONFIG",
    "    Force saving cluster configuration on disk.",
    "SLOT-STATS",
    "    Return an array of slot usage statistics for slots assigned to the current node.",
    "SLOTS",
    "    Return information about slots range mappings. Each range is made of:",
    "    start, end, master and replicas IP addresses, ports and ids",
    "SHARDS",
    "    Return information about slot range mappings and the nodes associated with them.",
    "LINKS",
    "    Return information about all network links between this node and its peers.",
    "    Output format is an array where each array element is a map containing attributes of a link",
];
