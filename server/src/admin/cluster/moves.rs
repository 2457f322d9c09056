//! Slots that move as one: what Valkey 9 has these commands for. The words between the nodes are our own ([`cairn_cluster::moves`]).

use cairn_cluster::moves::{COMMITTED, DISAGREES, ESTABLISHED, End, Move, PREPARED, State};
use cairn_cluster::seam::Moment;
use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome, lossless};
use cairn_engine::call::{Command, Ctx};
use cairn_engine::outgoing::Outgoing;
use cairn_engine::session::{ReplyMode, Role};
use cairn_format::cluster::{NodeId, SlotSet, ranges};

use super::change::slot_at;
use super::{CHANGES, node, refused, with_machine};
use crate::cluster::{Export, Import, at_moment};
use crate::front::{Front, access};
use crate::net::Connections;

pub(super) const MIGRATESLOTS: Command = Command {
    name: "cluster|migrateslots",
    since: "9.0.0",
    arity: -4,
    complexity: "O(N) where N is the number of slots; the keys are sent beside",
    summary: "Move slots to other nodes, each set as one",
    run: migrate_slots,
    ..CHANGES
};

fn migrate_slots(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    let wanted = parse(args)?;
    let mut busy = node(cx)?.moves.busy();
    for (slots, target) in &wanted {
        let verdict = with_machine(cx, |machine, _| machine.may_export(slots, target))?;
        verdict.map_err(refused)?;
        if slots.iter().any(|slot| !busy.insert(slot)) {
            return Err(Error::new("ERR Slot ranges in migrations overlap"));
        }
    }
    for (slots, target) in wanted {
        with_moment(cx, |cluster, moment| {
            let name = NodeId::of_random(&mut moment.draw);
            let source = cluster.machine.id();
            let outgoing = Outgoing::new(&slots);
            cluster.moves.exports.push(Export {
                what: Move::new(End::Export, name, slots, (source, target), moment),
                outgoing,
                reader: None,
                slot: None,
                greetings: 0,
                holds: false,
                waited: 0,
                ping_ms: 0,
                ask_ms: None,
            });
            cluster.is_asked = true;
        })?;
    }
    cx.reply.ok();
    Ok(())
}

/// Sets of slots with their targets.
fn parse(args: &Args) -> Result<Vec<(SlotSet, NodeId)>, Error> {
    let mut wanted = Vec::new();
    let mut at = 2;
    while at < args.len() {
        if !args.is(at, "slotsrange") {
            return Err(error::SYNTAX);
        }
        at += 1;
        let mut given: Vec<(u16, u16)> = Vec::new();
        while at + 1 < args.len() && !args.is(at, "node") {
            given.push(range_at(args, at, &given)?);
            at += 2;
        }
        let Some(id) = args
            .get(at + 1)
            .filter(|_| args.is(at, "node") && !given.is_empty())
        else {
            return Err(error::SYNTAX);
        };
        let id = NodeId::parse(id)
            .ok_or_else(|| Error::text(format!("ERR Invalid node name: {}", lossless(id))))?;
        let slots = given.into_iter().flat_map(|(first, last)| first..=last);
        wanted.push((slots.collect(), id));
        at += 2;
    }
    Ok(wanted)
}

/// The range at a place; it is not to touch those before it.
fn range_at(args: &Args, at: usize, before: &[(u16, u16)]) -> Result<(u16, u16), Error> {
    let (first, last) = (slot_at(args, at)?, slot_at(args, at + 1)?);
    if first > last {
        return Err(Error::text(format!(
            "ERR Start slot number {first} is greater than end slot number {last}."
        )));
    }
    match before
        .iter()
        .find(|(from, to)| first <= *to && *from <= last)
    {
        Some((from, to)) => Err(Error::text(format!(
            "ERR Slot range {first}-{last} overlaps with previous range {from}-{to}."
        ))),
        None => Ok((first, last)),
    }
}

/// Calls with the node and the moment.
fn with_moment<T>(
    cx: &mut Ctx,
    call: impl FnOnce(&mut crate::cluster::Cluster, &mut Moment<'_>) -> T,
) -> Result<T, Error> {
    let Front { cluster, host, .. } = access::whole(&mut *cx.inst);
    let cluster = super::of(cluster)?;
    Ok(at_moment(&**host, |moment| call(cluster, moment)))
}

pub(super) const GETSLOTMIGRATIONS: Command = Command {
    name: "cluster|getslotmigrations",
    since: "9.0.0",
    complexity: "O(N) where N is the number of moves that are told of",
    summary: "List the moves of slots",
    run: get_slot_migrations,
    ..CHANGES
};

fn get_slot_migrations(cx: &mut Ctx, _: &Args) -> Outcome {
    node(cx)?;
    let Front {
        cluster, clients, ..
    } = access::whole(&mut *cx.inst);
    let moves = &super::of(cluster)?.moves;
    let waits = |what: &Move| {
        let mut exports = moves.exports.iter();
        let slot = exports
            .find(|export| export.what.name == what.name)
            .and_then(|export| export.slot);
        slot.map_or(0, |slot| waiting(&clients.connections, slot))
    };
    let all: Vec<(&Move, usize)> = moves.all().map(|what| (what, waits(what))).collect();
    cx.reply.array(all.len());
    for (what, waiting) in all {
        let second = |ms: u64| (ms / 1000) as i64;
        let texts = [
            ("name", what.name.to_string()),
            ("operation", operation(what.end).to_owned()),
            ("slot_ranges", told(&what.slots)),
            ("target_node", what.target.to_string()),
            ("source_node", what.source.to_string()),
        ];
        let numbers = [
            ("create_time", second(what.created_ms)),
            ("last_update_time", second(what.updated_ms)),
            ("last_ack_time", second(what.heard_ms)),
        ];
        let reply = &mut cx.reply;
        reply.map(12);
        for (name, text) in texts {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        for (name, number) in numbers {
            reply.bulk(name.as_bytes());
            reply.int(number);
        }
        for (name, text) in [("state", state(what)), ("message", &what.message)] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        // Nothing is copied: no child writes the keys.
        for (name, bytes) in [("cow_size", 0), ("remaining_repl_size", waiting)] {
            reply.bulk(name.as_bytes());
            reply.int(bytes as i64);
        }
    }
    Ok(())
}

fn waiting(connections: &Connections, slot: usize) -> usize {
    connections
        .get(slot)
        .map_or(0, |connection| connection.output.pending())
}

fn operation(end: End) -> &'static str {
    match end {
        End::Export => "EXPORT",
        End::Import => "IMPORT",
    }
}

/// Valkey's word for a state.
fn state(what: &Move) -> &'static str {
    match (what.end, what.state) {
        (_, State::Success) => "success",
        (_, State::Failed) => "failed",
        (_, State::Cancelled) => "cancelled",
        (_, State::Establishing) => "reading-establish-response",
        (End::Export, State::Sending) => "snapshotting",
        (End::Export, State::Preparing) => "waiting-to-pause",
        (End::Export, State::Committing) => "failover-paused",
        (End::Import, State::Sending) => "receiving-snapshot",
        (End::Import, State::Preparing | State::Committing) => "waiting-for-paused",
    }
}

fn told(slots: &SlotSet) -> String {
    let ranges = ranges(slots.iter());
    let each = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
    each.collect::<Vec<_>>().join(" ")
}

pub(super) const CANCELSLOTMIGRATIONS: Command = Command {
    name: "cluster|cancelslotmigrations",
    since: "9.0.0",
    complexity: "O(N) where N is the number of moves under way",
    summary: "End the moves of slots that are under way",
    run: cancel,
    ..CHANGES
};

fn cancel(cx: &mut Ctx, _: &Args) -> Outcome {
    let cancelled = with_moment(cx, |cluster, moment| {
        let moves = &mut cluster.moves;
        let exports = moves.exports.iter_mut().map(|export| &mut export.what);
        let imports = moves.imports.iter_mut().map(|import| &mut import.what);
        // Who has said COMMIT, or that all is done, does not know who has the slots in a moment.
        let open = exports
            .chain(imports)
            .filter(|what| what.state != State::Committing);
        let cancelled = open.filter_map(|what| {
            let ended = what.fail(State::Cancelled, "Cancelled by a command", moment);
            ended.then_some(())
        });
        let count = cancelled.count();
        cluster.is_asked = true;
        count
    })?;
    match cancelled {
        0 => Err(Error::new("ERR No migrations ongoing")),
        _ => {
            cx.reply.ok();
            Ok(())
        }
    }
}

pub(super) const SYNCSLOTS: Command = Command {
    name: "cluster|syncslots",
    since: "9.0.0",
    arity: -3,
    complexity: "O(N) where N is the number of slots",
    summary: "Speak with the node that slots come from",
    run: sync_slots,
    ..CHANGES
};

fn sync_slots(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    match args.at(2).to_ascii_uppercase().as_slice() {
        b"ESTABLISH" if args.len() >= 7 && args.len() % 2 == 1 => establish(cx, args),
        b"PREPARE" if args.len() == 3 => {
            import(cx, |what, moment| what.prepared(moment))?;
            answer(cx, PREPARED);
            Ok(())
        }
        b"COMMIT" if args.len() == 5 => commit(cx, args),
        _ => Err(error::SYNTAX),
    }
}

/// Says something to the source, which is told errors only otherwise.
fn answer(cx: &mut Ctx, words: &str) {
    let session = cx.session.slot;
    cx.deliver(session, format!("+{words}\r\n").as_bytes());
}

/// Calls with the move that comes through this session.
fn import<T>(
    cx: &mut Ctx,
    call: impl FnOnce(&mut Move, &Moment<'_>) -> Result<T, String>,
) -> Result<T, Error> {
    let session = cx.session.slot;
    let done = with_moment(cx, |cluster, moment| {
        let import = cluster.moves.import_of(session);
        import.map(|import| call(&mut import.what, moment))
    })?;
    let done = done.ok_or(Error::new("ERR No slots come through this connection"))?;
    done.map_err(|why| Error::text(format!("ERR {why}")))
}

fn establish(cx: &mut Ctx, args: &Args) -> Outcome {
    let id = |at: usize| NodeId::parse(args.at(at)).ok_or(error::SYNTAX);
    let (name, source) = (id(3)?, id(4)?);
    let mut given = Vec::new();
    for at in (5..args.len()).step_by(2) {
        given.push(range_at(args, at, &given)?);
    }
    let slots: SlotSet = given
        .into_iter()
        .flat_map(|(first, last)| first..=last)
        .collect();
    if cx.session.role != Role::Client || cx.session.deny_blocking {
        return Err(Error::new("ERR Slots cannot come through this connection"));
    }
    let (verdict, may_hear) = with_machine(cx, |machine, _| {
        let may_hear = machine.may_hear_of_owner(&slots, &source);
        (machine.may_import(&slots, &source), may_hear)
    })?;
    verdict.map_err(|refusal| match may_hear {
        true => Error::text(format!("{DISAGREES} {}", refusal.0)),
        false => refused(refusal),
    })?;
    let moves = &node(cx)?.moves;
    let busy = moves.busy();
    if moves.under_way().any(|what| what.name == name)
        || slots.iter().any(|slot| busy.contains(slot))
    {
        return Err(Error::new("ERR Slot ranges in migrations overlap"));
    }
    // What is left of an earlier attempt, or of an earlier owner, is no part of this.
    for slot in slots.iter() {
        cx.ks.drop_from_slot(slot, usize::MAX);
        cx.ks.hide_slot(slot, true);
    }
    let session = cx.session.slot;
    with_moment(cx, |cluster, moment| {
        cluster.moves.dropping.retain(|slot| !slots.contains(*slot));
        let ends = (source, cluster.machine.id());
        let what = Move::new(End::Import, name, slots, ends, moment);
        cluster.moves.imports.push(Import {
            what,
            session: Some(session),
        });
    })?;
    cx.session.role = Role::Import;
    cx.session.reply_mode = ReplyMode::Errors;
    answer(cx, ESTABLISHED);
    Ok(())
}

fn commit(cx: &mut Ctx, args: &Args) -> Outcome {
    let number = |at| u64::try_from(args.int(at)?).map_err(|_| error::SYNTAX);
    let (lease_ms, theirs) = (number(3)?, number(4)?);
    let (slots, source) = import(cx, |what, moment| {
        what.may_commit(lease_ms, moment)?;
        Ok((what.slots.clone(), what.source))
    })?;
    let taken = with_machine(cx, |machine, moment| {
        machine.take_over(&slots, &source, theirs, moment)
    })?;
    let epoch = taken.map_err(refused)?;
    import(cx, |what, moment| {
        what.succeed(moment);
        Ok(())
    })?;
    for slot in slots.iter() {
        cx.ks.hide_slot(slot, false);
    }
    cx.session.role = Role::Client;
    cx.session.reply_mode = ReplyMode::On;
    cx.reply.simple(format!("{COMMITTED} {epoch}"));
    Ok(())
}
