//! OBJECT: how a value is stored.

use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::base::limits::EvictionRule;
use crate::call::ctx::Ctx;
use crate::call::help;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::access::{lfu_counter, lru_idle};
use crate::structure::table::Slot;
use crate::value::encoding_of;

pub(super) const OBJECT: Command = Command::container(
    "object",
    Group::Generic,
    "2.2.3",
    "Look at how values are stored",
    &[&HELP, &FREQ, &IDLETIME, &ENCODING, &REFCOUNT],
);

const LOOK: Command = Command {
    group: Group::Generic,
    since: "2.2.3",
    arity: 3,
    flags: Flags::READ,
    keys: &[KeySpec::at(2, &["RO"])],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

const ENCODING: Command = Command {
    name: "object|encoding",
    summary: "Name the encoding of a value",
    run: encoding,
    ..LOOK
};
const FREQ: Command = Command {
    name: "object|freq",
    since: "4.0.0",
    summary: "Tell how often a key is used, under an LFU policy",
    run: freq,
    ..LOOK
};
const IDLETIME: Command = Command {
    name: "object|idletime",
    summary: "Tell for how many seconds a key was not used",
    run: idle_time,
    ..LOOK
};
const REFCOUNT: Command = Command {
    name: "object|refcount",
    summary: "Tell how many owners a value has",
    run: ref_count,
    ..LOOK
};
const HELP: Command = Command {
    since: "6.2.0",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::KEYSPACE),
    ..help::subcommand("object|help", LOOK, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

/// The key without refreshing its clock; nil was answered if it does not exist.
fn look(cx: &mut Ctx, args: &Args) -> Option<Slot> {
    let slot = cx.ks.peek_quietly(args.at(2));
    if slot.is_none() {
        cx.reply.null();
    }
    slot
}

fn encoding(cx: &mut Ctx, args: &Args) -> Outcome {
    if let Some(slot) = look(cx, args) {
        let name = encoding_of(cx.ks.record(slot).tag()).name();
        cx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

fn ref_count(cx: &mut Ctx, args: &Args) -> Outcome {
    if let Some(slot) = look(cx, args) {
        // Redis shares the integers 0 to 9999 between all keys and shows that as the largest count. Where eviction goes by use it does not, as
        // each value has its own clock there.
        let limits = &cx.ks.limits;
        let goes_by_use = matches!(limits.eviction, EvictionRule::Lru | EvictionRule::Lfu);
        let shared = !(limits.memory_max > 0 && goes_by_use)
            && matches!(cx.ks.view(slot), crate::value::ValueRef::Int(0..=9999));
        cx.reply.int(if shared { i64::from(i32::MAX) } else { 1 });
    }
    Ok(())
}

fn idle_time(cx: &mut Ctx, args: &Args) -> Outcome {
    if let Some(slot) = look(cx, args) {
        if cx.ks.limits.lfu {
            return Err(Error::new(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        let idle = lru_idle(cx.ks.record(slot).access(), cx.ks.now_ms);
        cx.reply.int(i64::from(idle));
    }
    Ok(())
}

fn freq(cx: &mut Ctx, args: &Args) -> Outcome {
    if let Some(slot) = look(cx, args) {
        if !cx.ks.limits.lfu {
            return Err(Error::new(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        let decay = cx.ks.limits.lfu_decay_minutes;
        let counter = lfu_counter(cx.ks.record(slot).access(), cx.ks.now_ms, decay);
        cx.reply.int(i64::from(counter));
    }
    Ok(())
}
