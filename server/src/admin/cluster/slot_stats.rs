//! CLUSTER SLOT-STATS, of Valkey 8.0 and Redis 8.2; the words are Valkey's 9.1.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::watch::slot_uses::SlotUse;
use cairn_engine::call::{Command, Ctx, Flags};
use cairn_format::crc16::SLOTS;

use super::change::slot_at;
use super::{ASKS, node, with_machine};

pub(super) const SLOT_STATS: Command = Command {
    name: "cluster|slot-stats",
    since: "8.0.0",
    arity: -4,
    flags: Flags::STALE.and(Flags::LOADING),
    tips: &["nondeterministic_output", "request_policy:all_shards"],
    complexity: "O(N) where N is the total number of slots based on arguments. O(N*log(N)) with ORDERBY subcommand.",
    summary: "Tell what slots of this node hold and cost",
    run: slot_stats,
    ..ASKS
};

/// What slots are ordered by; the word is the name of the field, too.
const METRICS: [&str; 4] = [
    "key-count",
    "cpu-usec",
    "network-bytes-in",
    "network-bytes-out",
];

fn slot_stats(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    match () {
        () if args.is(2, "slotsrange") && args.len() == 5 => {
            let (first, last) = (slot_at(args, 3)?, slot_at(args, 4)?);
            if first > last {
                return Err(Error::text(format!(
                    "ERR Start slot number {first} is greater than end slot number {last}"
                )));
            }
            let slots = own_slots(cx)?;
            let told = slots
                .into_iter()
                .filter(|slot| (first..=last).contains(slot));
            tell(cx, &told.collect::<Vec<_>>());
            Ok(())
        }
        () if args.is(2, "orderby") => order_by(cx, args),
        () => Err(error::bad_subcommand("CLUSTER", args.at(1))),
    }
}

fn own_slots(cx: &mut Ctx) -> Result<Vec<u16>, Error> {
    with_machine(cx, |machine, _| machine.served_slots())
}

fn order_by(cx: &mut Ctx, args: &Args) -> Outcome {
    let counted = if cx.shared.watch.counts_slots {
        METRICS.len()
    } else {
        1
    };
    let metric = METRICS[..counted].iter().position(|name| args.is(3, name));
    let metric = metric.ok_or(Error::new("ERR Unrecognized sort metric for ORDERBY."))?;
    let (mut limit, mut is_ascending) = (None, None);
    let twice = Error::new("ERR Multiple filters of the same type are disallowed.");
    let mut at = 4;
    while at < args.len() {
        match () {
            () if args.is(at, "limit") && at + 1 < args.len() => {
                let range = Error::new(
                    "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).",
                );
                let count = args
                    .int(at + 1)
                    .ok()
                    .and_then(|count| usize::try_from(count).ok());
                let count = count.filter(|count| (1..=usize::from(SLOTS)).contains(count));
                if limit.replace(count.ok_or(range)?).is_some() {
                    return Err(twice);
                }
                at += 1;
            }
            () if args.is(at, "asc") || args.is(at, "desc") => {
                if is_ascending.replace(args.is(at, "asc")).is_some() {
                    return Err(twice);
                }
            }
            () => return Err(error::SYNTAX),
        }
        at += 1;
    }
    let mut slots = own_slots(cx)?;
    match is_ascending.unwrap_or(false) {
        true => slots.sort_by_key(|slot| figures(cx, *slot)[metric]),
        false => slots.sort_by_key(|slot| std::cmp::Reverse(figures(cx, *slot)[metric])),
    }
    slots.truncate(limit.unwrap_or(usize::MAX));
    tell(cx, &slots);
    Ok(())
}

/// The figures of a slot, in the order of [`METRICS`].
fn figures(cx: &Ctx, slot: u16) -> [u64; 4] {
    let keys = cx.ks.table(usize::from(slot)).len() as u64;
    let uses = cx.shared.watch.slots.as_ref();
    let SlotUse {
        cpu_us,
        bytes_in,
        bytes_out,
    } = uses.map(|uses| uses.of(slot)).unwrap_or_default();
    [keys, cpu_us, bytes_in, bytes_out]
}

fn tell(cx: &mut Ctx, slots: &[u16]) {
    let counted = if cx.shared.watch.counts_slots {
        METRICS.len()
    } else {
        1
    };
    cx.reply.array(slots.len());
    for slot in slots {
        let figures = figures(cx, *slot);
        cx.reply.array(2);
        cx.reply.int(i64::from(*slot));
        cx.reply.map(counted);
        for (name, figure) in METRICS.iter().zip(figures).take(counted) {
            cx.reply.bulk(name.as_bytes());
            cx.reply.int(figure as i64);
        }
    }
}
