//! BITCOUNT and BITPOS: both take a range of bytes or, since 7.0, of bits.

use std::ops::Range;

use super::{read, unit};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::bits;

pub(super) const BITCOUNT: Command = Command {
    name: "bitcount",
    group: Group::Bitmap,
    since: "2.6.0",
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N)",
    summary: "Count the set bits of a string",
    run: bitcount,
    ..Command::BASE
};

fn bitcount(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = read(cx, args.at(1), |bytes| {
        let range = match args.len() {
            2 => 0..bytes.len() as u64 * 8,
            4 | 5 => {
                let (start, end) = (args.int(2)?, args.int(3)?);
                // Both negative and crossed is empty even where clipping would uncross them, and whatever follows, as
                // in Redis.
                if start < 0 && end < 0 && start > end {
                    return Ok(0);
                }
                let by_bit = args.len() == 5 && unit(args, 4)?;
                bit_range(start, end, bytes.len(), by_bit)
            }
            _ => return Err(error::SYNTAX),
        };
        Ok(bits::count_range(bytes, range))
    })?;
    cx.reply.int(count.transpose()?.unwrap_or(0) as i64);
    Ok(())
}

/// The bits between two positions, both inclusive and negative from the end, in bits or in bytes.
fn bit_range(start: i64, end: i64, bytes: usize, by_bit: bool) -> Range<u64> {
    let unit = if by_bit { 1 } else { 8 };
    let total = (bytes as i64 * 8) / unit;
    let from_end = |i: i64| if i < 0 { (total + i).max(0) } else { i };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    debug_assert!(start >= 0 && end < total, "bits that are there");
    (start * unit) as u64..((end + 1) * unit) as u64
}

pub(super) const BITPOS: Command = Command {
    name: "bitpos",
    since: "2.8.7",
    arity: -3,
    summary: "Find the first bit of a value in a string",
    run: bitpos,
    ..BITCOUNT
};

fn bitpos(cx: &mut Ctx, args: &Args) -> Outcome {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::new("ERR The bit argument must be 1 or 0.")),
    };
    let found = read(cx, args.at(1), |bytes| {
        let range = match args.len() {
            3 => 0..bytes.len() as u64 * 8,
            4..=6 => {
                let start = args.int(3)?;
                let by_bit = args.len() == 6 && unit(args, 5)?;
                let end = if args.len() > 4 { args.int(4)? } else { -1 };
                bit_range(start, end, bytes.len(), by_bit)
            }
            _ => return Err(error::SYNTAX),
        };
        let empty = range.is_empty();
        let behind = range.end;
        Ok(match bits::find(bytes, bit, range) {
            Some(at) => at as i64,
            // Without an end the zeros behind the string count too.
            None if !bit && !empty && args.len() < 5 => behind as i64,
            None => -1,
        })
    })?;
    // A key that is not there is an endless row of zeros, and what follows is not even read, as in Redis 7.2.
    let absent = if bit { -1 } else { 0 };
    cx.reply.int(found.transpose()?.unwrap_or(absent));
    Ok(())
}
