//! LCS: the longest common subsequence of two strings.

mod table;

use cairn_format::text::number::I64Text;

use self::table::{Alphabet, Found, Table};
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
    // What Redis refuses, though a cell is a bit here: four bytes a cell, and the table may not be larger than a string may be.
    if first.len().max(second.len()) >= u32::MAX as usize - 1
        || cells.saturating_mul(4) > cx.ks.limits.string_bytes_max as u64
    {
        return Err(Error::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    if !can_hold(Table::bytes(first.len(), second.len(), options.length)) {
        return Err(Error::new(
            "ERR Insufficient memory, failed allocating transient memory for LCS",
        ));
    }
    let alphabet = Alphabet::new(&first, &second);
    if options.length {
        cx.reply.int(alphabet.length(&first) as i64);
        return Ok(());
    }
    let found = Table::new(&alphabet, &first).walk(&first, &second);
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
