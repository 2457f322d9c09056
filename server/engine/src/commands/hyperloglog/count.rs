//! PFADD, PFCOUNT, PFMERGE.

use super::{corrupted, look, make_raw, store};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::string::edit_text;
use crate::structure::table::Slot;
use cairn_format::encoding::hll::{self, Encoding, Registers};

pub(super) const PFADD: Command = Command {
    name: "pfadd",
    group: Group::HyperLogLog,
    since: "2.8.9",
    arity: -2,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(1) to add every element.",
    summary: "Count elements, each once",
    run: pfadd,
    ..Command::BASE
};

fn pfadd(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let slot = cx.ks.write(key);
    let encoding = match slot {
        Some(slot) => Some(look(cx.ks, slot, |_, encoding| encoding)?),
        None => None,
    };
    let changes = match (slot, encoding) {
        (Some(slot), Some(Encoding::Dense)) => {
            let mut changes = 0;
            edit_text(cx.ks, slot, hll::DENSE_SIZE, |bytes| {
                for element in args.iter_from(2) {
                    changes += u64::from(hll::add_dense(bytes, element));
                }
            });
            changes
        }
        _ => add_sparse(cx, args, slot)?,
    };
    if changes > 0 {
        cx.ks.modified(EventClass::STRING, "pfadd", key, changes);
    }
    cx.reply.int(i64::from(changes > 0));
    Ok(())
}

/// Adds to a sparse one, or to a new one, which counts as a change too; answers the number of changes.
fn add_sparse(cx: &mut Ctx, args: &Args, slot: Option<Slot>) -> Result<u64, Error> {
    let sparse_max = cx.ks.limits.hll_sparse_bytes;
    let mut changes = 0;
    let mut bytes = match slot {
        Some(slot) => look(cx.ks, slot, |bytes, _| bytes.to_vec())?,
        None => {
            changes = 1;
            let mut empty = hll::empty();
            hll::invalidate(&mut empty);
            empty
        }
    };
    for element in args.iter_from(2) {
        let changed = hll::add(&mut bytes, element, sparse_max).map_err(corrupted)?;
        changes += u64::from(changed);
    }
    if changes > 0 {
        store(cx.ks, args.at(1), slot, bytes);
    } else if let Some(slot) = slot {
        make_raw(cx.ks, args.at(1), slot);
    }
    Ok(changes)
}

pub(super) const PFCOUNT: Command = Command {
    name: "pfcount",
    flags: Flags::READ.and(Flags::MAY_REPLICATE),
    keys: &[KeySpec::range(1, -1, 1, &["RW", "access"]).note(
        "RW because it may change the internal representation of the key, and propagate to replicas",
    )],
    complexity: "O(1) for one key whose count is known, else O(N) in the number of keys.",
    summary: "Estimate how many different elements were added",
    run: pfcount,
    ..PFADD
};

fn pfcount(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 2 {
        let mut all = Registers::default();
        for key in args.iter_from(1) {
            if let Some(slot) = cx.ks.read(key) {
                look(cx.ks, slot, |bytes, _| all.unite(bytes))?.map_err(corrupted)?;
            }
        }
        cx.reply.int(all.count() as i64);
        return Ok(());
    }
    let key = args.at(1);
    let Some(slot) = cx.ks.read(key) else {
        cx.reply.int(0);
        return Ok(());
    };
    let (cached, len) = look(cx.ks, slot, |bytes, _| (hll::cached(bytes), bytes.len()))?;
    let slot = make_raw(cx.ks, key, slot);
    let count = match cached {
        Some(count) => count,
        None => {
            let count = look(cx.ks, slot, |bytes, _| hll::count(bytes))?.map_err(corrupted)?;
            edit_text(cx.ks, slot, len, |bytes| hll::set_cached(bytes, count));
            // The bytes of the value change, so replicas and the log must see it, though this is a reading command.
            cx.ks.changed(key, 1);
            let words: Vec<&[u8]> = args.iter_from(0).collect();
            cx.propagate(&words);
            count
        }
    };
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) const PFMERGE: Command = Command {
    name: "pfmerge",
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["RW", "access", "insert"]),
        KeySpec::range(2, -1, 1, &["RO", "access"]),
    ],
    complexity: "O(N) in the number of keys, with a high constant.",
    summary: "Unite several counts in one",
    run: pfmerge,
    ..PFADD
};

fn pfmerge(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let (mut all, mut dense) = (Registers::default(), false);
    for key in args.iter_from(1) {
        if let Some(slot) = cx.ks.read(key) {
            look(cx.ks, slot, |bytes, encoding| {
                dense |= encoding == Encoding::Dense;
                all.unite(bytes)
            })?
            .map_err(corrupted)?;
        }
    }
    let slot = cx.ks.write(key);
    let mut bytes = match slot {
        Some(slot) => look(cx.ks, slot, |bytes, _| bytes.to_vec())?,
        None => hll::empty(),
    };
    if dense {
        hll::to_dense(&mut bytes).map_err(corrupted)?;
    }
    all.store(&mut bytes, cx.ks.limits.hll_sparse_bytes)
        .map_err(corrupted)?;
    hll::invalidate(&mut bytes);
    store(cx.ks, key, slot, bytes);
    cx.ks.modified(EventClass::STRING, "pfadd", key, 1);
    cx.reply.ok();
    Ok(())
}
