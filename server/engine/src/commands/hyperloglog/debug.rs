//! PFDEBUG and PFSELFTEST.

use super::{corrupted, look, store};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use cairn_format::encoding::hll::{self, Encoding, Registers};

pub(super) const PFDEBUG: Command = Command {
    name: "pfdebug",
    group: Group::HyperLogLog,
    since: "2.8.9",
    arity: 3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::ADMIN),
    keys: &[KeySpec::at(2, &["RW", "access"])],
    complexity: "O(N) in the number of registers.",
    summary: "Look into a HyperLogLog",
    run: pfdebug,
    ..Command::BASE
};

fn pfdebug(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(2);
    let slot = cx
        .ks
        .write(key)
        .ok_or(Error::new("ERR The specified key does not exist"))?;
    let encoding = look(cx.ks, slot, |_, encoding| encoding)?;
    match () {
        () if args.is(1, "getreg") => {
            let slot = make_dense(cx, key, slot, encoding)?;
            let registers = look(cx.ks, slot, |bytes, _| Registers::of(bytes))?;
            let registers = registers.map_err(corrupted)?;
            cx.reply.array(registers.values().len());
            for value in registers.values() {
                cx.reply.int(i64::from(*value));
            }
        }
        () if args.is(1, "decode") => {
            if encoding != Encoding::Sparse {
                return Err(Error::new("ERR HLL encoding is not sparse"));
            }
            let text = look(cx.ks, slot, |bytes, _| hll::describe(bytes))?;
            cx.reply.bulk(&text);
        }
        () if args.is(1, "encoding") => cx.reply.simple(encoding.name()),
        () if args.is(1, "todense") => {
            make_dense(cx, key, slot, encoding)?;
            cx.reply.int(i64::from(encoding == Encoding::Sparse));
        }
        () => {
            return Err(Error::text(format!(
                "ERR Unknown PFDEBUG subcommand '{}'",
                error::lossless(args.at(1))
            )));
        }
    }
    Ok(())
}

/// Turns a sparse one into a dense one. The change is propagated, but nobody who watches the key minds.
fn make_dense(cx: &mut Ctx, key: &[u8], slot: Slot, encoding: Encoding) -> Result<Slot, Error> {
    if encoding == Encoding::Dense {
        return Ok(slot);
    }
    let mut bytes = look(cx.ks, slot, |bytes, _| bytes.to_vec())?;
    hll::to_dense(&mut bytes).map_err(corrupted)?;
    cx.ks.dirty += 1;
    Ok(store(cx.ks, key, Some(slot), bytes))
}

pub(super) const PFSELFTEST: Command = Command {
    name: "pfselftest",
    arity: 1,
    flags: Flags::ADMIN,
    keys: &[],
    complexity: "O(N)",
    summary: "Test the HyperLogLog of this server",
    run: pfselftest,
    ..PFDEBUG
};

/// Elements that the self-test adds.
const TEST_ELEMENTS: u64 = 100_000;

/// How far an estimate of so many elements may be off: six standard errors. A handful of elements may share a register by chance.
fn tolerated(elements: u64) -> u64 {
    (6.0 * 0.008125 * elements as f64).ceil().max(2.0) as u64
}

/// Adds to a sparse and to a dense one; both must have the same registers at each power of ten, and the estimate must lie
/// within six standard errors.
fn pfselftest(cx: &mut Ctx, _: &Args) -> Outcome {
    let sparse_max = cx.ks.limits.hll_sparse_bytes;
    let (mut growing, mut dense) = (hll::empty(), hll::empty());
    hll::to_dense(&mut dense).map_err(corrupted)?;
    let seed = cx.ks.random.next_u64();
    let mut checkpoint = 1;
    for i in 1..=TEST_ELEMENTS {
        let element = (seed ^ i).to_le_bytes();
        let grew = hll::add(&mut growing, &element, sparse_max).map_err(corrupted)?;
        if grew != hll::add_dense(&mut dense, &element) {
            return Err(Error::new("TESTFAILED dense/sparse disagree"));
        }
        if i == checkpoint {
            let registers = Registers::of(&growing).map_err(corrupted)?;
            if registers.values() != Registers::of(&dense).map_err(corrupted)?.values() {
                return Err(Error::new("TESTFAILED dense/sparse disagree"));
            }
            let error = registers.count().abs_diff(i);
            if error > tolerated(i) {
                return Err(Error::text(format!(
                    "TESTFAILED Too big error. card:{i} abserr:{error}"
                )));
            }
            checkpoint *= 10;
        }
    }
    cx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_test_tolerates_six_standard_errors() {
        let bounds = [1, 10, 41, 42, 100, 1000, 100_000].map(tolerated);
        assert_eq!(bounds, [2, 2, 2, 3, 5, 49, 4875]);
    }
}
