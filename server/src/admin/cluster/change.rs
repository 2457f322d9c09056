//! Slots of this node, and epochs.

use cairn_cluster::Machine;
use cairn_cluster::machine::{Bumped, Done, SetSlot as Form};
use cairn_cluster::seam::Moment;
use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome, lossless};
use cairn_engine::call::{Command, Ctx};
use cairn_format::cluster::NodeId;
use cairn_format::crc16::SLOTS;
use cairn_format::text::number::parse_i64;

use super::{CHANGES, changed, with_machine};

/// The slot that an argument names.
pub(super) fn slot_at(args: &Args, at: usize) -> Result<u16, Error> {
    args.get(at)
        .and_then(parse_i64)
        .and_then(|slot| u16::try_from(slot).ok())
        .filter(|slot| *slot < SLOTS)
        .ok_or(Error::new("ERR Invalid or out of range slot"))
}

fn slots_of(args: &Args) -> Result<Vec<u16>, Error> {
    (2..args.len()).map(|at| slot_at(args, at)).collect()
}

/// The slots of pairs of a first and a last one.
fn ranges_of(args: &Args) -> Result<Vec<u16>, Error> {
    if !args.len().is_multiple_of(2) {
        let name = args.at(1).to_ascii_lowercase();
        let name = lossless(&name);
        return Err(Error::text(format!(
            "ERR wrong number of arguments for 'cluster|{name}' command"
        )));
    }
    let mut slots = Vec::new();
    for at in (2..args.len()).step_by(2) {
        let (first, last) = (slot_at(args, at)?, slot_at(args, at + 1)?);
        if first > last {
            return Err(Error::text(format!(
                "ERR start slot number {first} is greater than end slot number {last}"
            )));
        }
        if slots.len() > usize::from(SLOTS) {
            break;
        }
        slots.extend(first..=last);
    }
    Ok(slots)
}

type Reader = fn(&Args) -> Result<Vec<u16>, Error>;
type Change = fn(&mut Machine, &[u16], &mut Moment<'_>) -> Done;

fn change(cx: &mut Ctx, args: &Args, read: Reader, change: Change) -> Outcome {
    super::node(cx)?;
    let slots = read(args)?;
    changed(cx, |machine, moment| change(machine, &slots, moment))
}

pub(super) const ADDSLOTS: Command = Command {
    name: "cluster|addslots",
    arity: -3,
    complexity: "O(N) where N is the total number of hash slot arguments",
    summary: "Take slots that nobody has",
    run: |cx, args| change(cx, args, slots_of, Machine::add_slots),
    ..CHANGES
};

pub(super) const ADDSLOTSRANGE: Command = Command {
    name: "cluster|addslotsrange",
    since: "7.0.0",
    arity: -4,
    summary: "Take ranges of slots that nobody has",
    run: |cx, args| change(cx, args, ranges_of, Machine::add_slots),
    ..ADDSLOTS
};

pub(super) const DELSLOTS: Command = Command {
    name: "cluster|delslots",
    summary: "Forget who has slots",
    run: |cx, args| change(cx, args, slots_of, Machine::delete_slots),
    ..ADDSLOTS
};

pub(super) const DELSLOTSRANGE: Command = Command {
    name: "cluster|delslotsrange",
    summary: "Forget who has ranges of slots",
    run: |cx, args| change(cx, args, ranges_of, Machine::delete_slots),
    ..ADDSLOTSRANGE
};

pub(super) const FLUSHSLOTS: Command = Command {
    name: "cluster|flushslots",
    summary: "Let all slots of this node go",
    run: |cx, _| {
        let has_keys = cx.ks.keys_here() > 0;
        changed(cx, |machine, moment| machine.flush_slots(has_keys, moment))
    },
    ..CHANGES
};

pub(super) const SETSLOT: Command = Command {
    name: "cluster|setslot",
    arity: -4,
    summary: "Begin or end the move of a slot",
    run: setslot,
    ..CHANGES
};

fn setslot(cx: &mut Ctx, args: &Args) -> Outcome {
    super::node(cx)?;
    let is_primary = with_machine(cx, |machine, _| machine.is_primary())?;
    if !is_primary {
        return Err(Error::new("ERR Please use SETSLOT only with masters."));
    }
    let slot = slot_at(args, 2)?;
    let form = form_of(args)?;
    if super::node(cx)?.moves.busy().contains(slot) {
        return Err(Error::text(format!(
            "ERR Slot {slot} moves with others at this moment (CLUSTER GETSLOTMIGRATIONS)"
        )));
    }
    let keys = cx.ks.table(usize::from(slot)).len() as u64;
    changed(cx, |machine, moment| {
        machine.set_slot(slot, form, keys, moment)
    })
}

fn form_of(args: &Args) -> Result<Form, Error> {
    let id = |stranger: &str| {
        NodeId::parse(args.at(4))
            .ok_or_else(|| Error::text(format!("ERR {stranger} {}", lossless(args.at(4)))))
    };
    match (args.at(3).to_ascii_lowercase().as_slice(), args.len()) {
        (b"migrating", 5) => Ok(Form::Migrating(id("I don't know about node")?)),
        (b"importing", 5) => Ok(Form::Importing(id("I don't know about node")?)),
        (b"stable", 4) => Ok(Form::Stable),
        (b"node", 5) => Ok(Form::Node(id("Unknown node")?)),
        _ => Err(Error::new(
            "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
        )),
    }
}

pub(super) const BUMPEPOCH: Command = Command {
    name: "cluster|bumpepoch",
    tips: &["nondeterministic_output"],
    summary: "Give this node the greatest epoch",
    run: |cx, _| {
        let bumped = with_machine(cx, |machine, _| machine.bump_epoch())?;
        cx.reply.simple(match bumped {
            Bumped::Bumped(epoch) => format!("BUMPED {epoch}"),
            Bumped::Still(epoch) => format!("STILL {epoch}"),
        });
        Ok(())
    },
    ..CHANGES
};

pub(super) const SET_CONFIG_EPOCH: Command = Command {
    name: "cluster|set-config-epoch",
    arity: 3,
    summary: "Give a new node its epoch",
    run: |cx, args| {
        super::node(cx)?;
        let epoch = args.int(2)?;
        let epoch = u64::try_from(epoch)
            .map_err(|_| Error::text(format!("ERR Invalid config epoch specified: {epoch}")))?;
        changed(cx, |machine, _| machine.set_config_epoch(epoch))
    },
    ..CHANGES
};

pub(super) const SAVECONFIG: Command = Command {
    name: "cluster|saveconfig",
    summary: "Write nodes.conf",
    run: |cx, _| {
        changed(cx, |machine, _| {
            machine.save_config();
            Ok(())
        })
    },
    ..CHANGES
};
