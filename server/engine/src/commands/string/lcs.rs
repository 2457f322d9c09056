//! LCS: the longest common subsequence of two strings.
//!
//! The table of lengths has a row per byte of the first string and a column per byte of the second, with a row and a
//! column of zeros before them:
//!
//! ```text
//!          o h m y
//!        0 0 0 0 0
//!      m 0 0 0 1 1        lengths[i][j] = lengths[i-1][j-1] + 1           where the bytes are equal
//!      y 0 0 0 1 2                      = max of the one above and left    elsewhere
//! ```
//! Walking back from the last corner, up or left where the length is larger, finds the bytes and the runs of matches.

use cairn_format::text::number::I64Text;

use super::bytes_of;
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::base::limits::can_hold;
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::Keyspace;
use crate::value::Kind;

pub(super) const LCS: Command = Command {
    name: "lcs",
    group: Group::String,
    since: "7.0.0",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::range(1, 1, 1, &["RO", "access"])],
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary: "Find the longest common subsequence of two strings",
    run: lcs,
    ..Command::BASE
};

#[derive(Default)]
struct Options {
    length: bool,
    indexes: bool,
    with_lengths: bool,
    least: usize,
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut o = Options::default();
        let mut i = 3;
        while i < args.len() {
            match () {
                () if args.is(i, "idx") => o.indexes = true,
                () if args.is(i, "len") => o.length = true,
                () if args.is(i, "withmatchlen") => o.with_lengths = true,
                () if args.is(i, "minmatchlen") && i + 1 < args.len() => {
                    o.least = usize::try_from(args.int(i + 1)?).unwrap_or(0);
                    i += 1;
                }
                () => return Err(error::SYNTAX),
            }
            i += 1;
        }
        if o.indexes && o.length {
            return Err(Error::new(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(o)
    }
}

fn lcs(cx: &mut Ctx, args: &Args) -> Outcome {
    let first = text(cx.ks, args.at(1))?;
    let second = text(cx.ks, args.at(2))?;
    let options = Options::parse(args)?;
    let cells = (first.len() as u64 + 1).saturating_mul(second.len() as u64 + 1);
    // As Redis: four bytes a cell, and the table may not be larger than a string may be.
    if first.len().max(second.len()) >= u32::MAX as usize - 1
        || cells.saturating_mul(4) > cx.ks.limits.string_bytes_max as u64
    {
        return Err(Error::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    if !can_hold(cells as usize * 4) {
        return Err(Error::new(
            "ERR Insufficient memory, failed allocating transient memory for LCS",
        ));
    }
    let lengths = Lengths::new(&first, &second);
    if options.length {
        cx.reply
            .int(i64::from(lengths.at(first.len(), second.len())));
        return Ok(());
    }
    let found = walk(&lengths, &first, &second);
    if options.indexes {
        reply_runs(cx.reply, &found, &options);
    } else {
        cx.reply.bulk(&found.bytes);
    }
    Ok(())
}

fn text(ks: &mut Keyspace, key: &[u8]) -> Result<Vec<u8>, Error> {
    let strings = Error::new("ERR The specified keys must contain string values");
    let Some(slot) = ks.read(key) else {
        return Ok(Vec::new());
    };
    if ks.kind(slot) != Kind::String {
        return Err(strings);
    }
    Ok(bytes_of(ks.view(slot), &mut I64Text::new())?.to_vec())
}

/// The table of the head comment.
struct Lengths {
    cells: Vec<u32>,
    columns: usize,
}

impl Lengths {
    fn new(first: &[u8], second: &[u8]) -> Lengths {
        let columns = second.len() + 1;
        let mut cells = vec![0; (first.len() + 1) * columns];
        for (i, a) in first.iter().enumerate() {
            let (above, here) = cells[i * columns..(i + 2) * columns].split_at_mut(columns);
            for (j, b) in second.iter().enumerate() {
                here[j + 1] = if a == b {
                    above[j] + 1
                } else {
                    above[j + 1].max(here[j])
                };
            }
        }
        Lengths { cells, columns }
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.columns + j]
    }
}

/// A run of equal bytes: where it begins in either string, and how long it is.
struct Run {
    first: usize,
    second: usize,
    len: usize,
}

struct Found {
    bytes: Vec<u8>,
    /// From the last to the first.
    runs: Vec<Run>,
}

fn walk(lengths: &Lengths, first: &[u8], second: &[u8]) -> Found {
    let (mut i, mut j) = (first.len(), second.len());
    let (mut bytes, mut runs): (Vec<u8>, Vec<Run>) = (Vec::new(), Vec::new());
    while i > 0 && j > 0 {
        if first[i - 1] == second[j - 1] {
            (i, j) = (i - 1, j - 1);
            bytes.push(first[i]);
            match runs.last_mut() {
                Some(run) if (run.first, run.second) == (i + 1, j + 1) => {
                    (run.first, run.second, run.len) = (i, j, run.len + 1);
                }
                _ => runs.push(Run {
                    first: i,
                    second: j,
                    len: 1,
                }),
            }
        } else if lengths.at(i - 1, j) > lengths.at(i, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    bytes.reverse();
    Found { bytes, runs }
}

fn reply_runs(reply: &mut Reply, found: &Found, options: &Options) {
    reply.map(2);
    reply.bulk(b"matches");
    let shown = || found.runs.iter().filter(|run| run.len >= options.least);
    reply.array(shown().count());
    for run in shown() {
        reply.array(if options.with_lengths { 3 } else { 2 });
        for start in [run.first, run.second] {
            reply.array(2);
            reply.int(start as i64);
            reply.int((start + run.len - 1) as i64);
        }
        if options.with_lengths {
            reply.int(run.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.int(found.bytes.len() as i64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_and_runs_of_the_usual_example() {
        let (a, b) = (b"ohmytext".as_slice(), b"mynewtext".as_slice());
        let found = walk(&Lengths::new(a, b), a, b);
        assert_eq!(found.bytes, b"mytext");
        let runs: Vec<_> = found
            .runs
            .iter()
            .map(|r| (r.first, r.second, r.len))
            .collect();
        assert_eq!(runs, [(4, 5, 4), (2, 0, 2)]);
    }
}
