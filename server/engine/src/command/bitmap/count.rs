//! BITCOUNT and BITPOS.

use super::{counts_bits, range, with_bytes};
use crate::command::Args;
use crate::command::ctx::Ctx;
use crate::command::error::{self, Error, Outcome};
use crate::command::spec::{Command, Flags, Group, KeySpec};

pub(super) const BITCOUNT: Command = Command {
    name: "bitcount",
    group: Group::Bitmap,
    since: "2.6.0",
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N)",
    summary: "Count the bits that are 1",
    run: bitcount,
    ..Command::BASE
};

fn bitcount(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let Some(len) = with_bytes(cx.ks, key, <[u8]>::len)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let bits = match args.len() {
        2 => 0..8 * len as i64,
        4 | 5 => {
            let (start, end) = (args.int(2)?, args.int(3)?);
            let by_bits = args.len() == 5 && counts_bits(args, 4)?;
            // Both negative and crossed is empty even where clipping would uncross them, as in Redis.
            if start < 0 && end < 0 && start > end {
                0..0
            } else {
                bit_range(start, end, len, by_bits)
            }
        }
        _ => return Err(error::SYNTAX),
    };
    let count = with_bytes(cx.ks, key, |bytes| count_ones(bytes, bits))?;
    cx.reply.int(count.unwrap_or(0));
    Ok(())
}

/// A range of bytes or bits as one of bits.
fn bit_range(start: i64, end: i64, len: usize, by_bits: bool) -> std::ops::Range<i64> {
    if by_bits {
        return range(start, end, 8 * len as i64);
    }
    let bytes = range(start, end, len as i64);
    if bytes.is_empty() {
        return 0..0;
    }
    8 * bytes.start..8 * bytes.end
}

fn count_ones(bytes: &[u8], bits: std::ops::Range<i64>) -> i64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = ((bits.start >> 3) as usize, ((bits.end - 1) >> 3) as usize);
    let whole: u64 = bytes[first..=last]
        .iter()
        .map(|byte| u64::from(byte.count_ones()))
        .sum();
    let before = bytes[first] & !(0xff >> (bits.start & 7));
    let behind = bytes[last] & (0x7f >> ((bits.end - 1) & 7)) as u8;
    whole as i64 - i64::from(before.count_ones()) - i64::from(behind.count_ones())
}

pub(super) const BITPOS: Command = Command {
    name: "bitpos",
    since: "2.8.7",
    arity: -3,
    summary: "Find the first bit that is 0, or 1",
    run: bitpos,
    ..BITCOUNT
};

fn bitpos(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let bit = args.int(2)?;
    if !(0..=1).contains(&bit) {
        return Err(Error::new("ERR The bit argument must be 1 or 0."));
    }
    let Some(len) = with_bytes(cx.ks, key, <[u8]>::len)? else {
        // A key that does not exist is nothing but zeros.
        cx.reply.int(-bit);
        return Ok(());
    };
    let end_given = args.len() >= 5;
    let bits = match args.len() {
        3 => 0..8 * len as i64,
        4..=6 => {
            let start = args.int(3)?;
            let by_bits = args.len() == 6 && counts_bits(args, 5)?;
            let end = if end_given { args.int(4)? } else { -1 };
            bit_range(start, end, len, by_bits)
        }
        _ => return Err(error::SYNTAX),
    };
    let empty = bits.is_empty();
    let found = with_bytes(cx.ks, key, |bytes| find_bit(bytes, bits, bit == 1))?.flatten();
    cx.reply.int(match found {
        Some(at) => at,
        // Without an end the string goes on with zeros.
        None if bit == 0 && !end_given && !empty => 8 * len as i64,
        None => -1,
    });
    Ok(())
}

fn find_bit(bytes: &[u8], bits: std::ops::Range<i64>, wanted: bool) -> Option<i64> {
    let skip = if wanted { 0 } else { 0xff };
    let mut at = bits.start;
    while at < bits.end {
        let byte = bytes[(at >> 3) as usize];
        if byte == skip && at & 7 == 0 {
            at += 8;
        } else if (byte >> (7 - (at & 7)) & 1 == 1) == wanted {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_bits_is_counted_from_its_first_to_its_last() {
        let bytes = [0b1010_1010, 0xff, 0b0000_0001];
        for start in 0..24 {
            for end in start..=24 {
                let one = |i: i64| bytes[(i >> 3) as usize] >> (7 - (i & 7)) & 1 == 1;
                let slowly = (start..end).filter(|i| one(*i)).count() as i64;
                assert_eq!(count_ones(&bytes, start..end), slowly, "{start}..{end}");
                for wanted in [true, false] {
                    let first = (start..end).find(|i| one(*i) == wanted);
                    assert_eq!(find_bit(&bytes, start..end, wanted), first);
                }
            }
        }
    }
}
