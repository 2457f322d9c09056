//! Ranges: ZRANGE and the commands it unites, ZCOUNT, ZLEXCOUNT.

use std::ops::Range;

use super::bound::{By, Ends, limit, parse_limit};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::{Protocol, Reply};
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, ValueRef, zset};

pub(super) const ZRANGE: Command = Command {
    name: "zrange",
    group: Group::SortedSet,
    since: "1.2.0",
    arity: -4,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    summary: "Read a range of members by position, score or bytes",
    run: |cx, args| range(cx, args, None, None),
    ..Command::BASE
};

pub(super) const ZREVRANGE: Command = Command {
    name: "zrevrange",
    summary: "Read a range of members by position, from the highest score",
    run: |cx, args| range(cx, args, Some(By::Rank), Some(true)),
    ..ZRANGE
};

pub(super) const ZRANGEBYSCORE: Command = Command {
    name: "zrangebyscore",
    since: "1.0.5",
    summary: "Read the members whose scores are in a range",
    run: |cx, args| range(cx, args, Some(By::Score), Some(false)),
    ..ZRANGE
};

pub(super) const ZREVRANGEBYSCORE: Command = Command {
    name: "zrevrangebyscore",
    since: "2.2.0",
    summary: "Read the members whose scores are in a range, highest first",
    run: |cx, args| range(cx, args, Some(By::Score), Some(true)),
    ..ZRANGE
};

pub(super) const ZRANGEBYLEX: Command = Command {
    name: "zrangebylex",
    since: "2.8.9",
    summary: "Read the members whose bytes are in a range",
    run: |cx, args| range(cx, args, Some(By::Lex), Some(false)),
    ..ZRANGE
};

pub(super) const ZREVRANGEBYLEX: Command = Command {
    name: "zrevrangebylex",
    summary: "Read the members whose bytes are in a range, last first",
    run: |cx, args| range(cx, args, Some(By::Lex), Some(true)),
    ..ZRANGEBYLEX
};

struct Options {
    by: By,
    reverse: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

/// Reads the words behind the two ends. What the command's name fixes (`by`, `reverse`) or what was said before cannot be said again.
fn parse(
    args: &Args,
    from: usize,
    by: Option<By>,
    reverse: Option<bool>,
) -> Result<Options, Error> {
    let mut o = Options {
        by: by.unwrap_or(By::Rank),
        reverse: reverse.unwrap_or(false),
        with_scores: false,
        limit: None,
    };
    let (mut free_by, mut free_reverse) = (by.is_none(), reverse.is_none());
    let mut i = from;
    while i < args.len() {
        match () {
            () if args.is(i, "withscores") => o.with_scores = true,
            () if args.is(i, "limit") && i + 2 < args.len() => {
                o.limit = Some(parse_limit(args, i)?);
                i += 2;
            }
            () if free_by && args.is(i, "byscore") => (o.by, free_by) = (By::Score, false),
            () if free_by && args.is(i, "bylex") => (o.by, free_by) = (By::Lex, false),
            () if free_reverse && args.is(i, "rev") => {
                (o.reverse, free_reverse) = (true, false);
            }
            () => return Err(error::SYNTAX),
        }
        i += 1;
    }
    if o.limit.is_some() && o.limit != Some((0, -1)) && o.by == By::Rank {
        return Err(Error::new(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ));
    }
    if o.with_scores && o.by == By::Lex {
        return Err(Error::new(
            "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ));
    }
    Ok(o)
}

fn range(cx: &mut Ctx, args: &Args, by: Option<By>, reverse: Option<bool>) -> Outcome {
    let options = parse(args, 4, by, reverse)?;
    // By position the first number is the first read; by score and bytes a reversed range names its upper end first.
    let swapped = options.reverse && options.by != By::Rank;
    let (min, max) = if swapped { (3, 2) } else { (2, 3) };
    let ends = Ends::parse(args, options.by, min, max)?;
    let Some(slot) = cx.ks.read_kind(args.at(1), Kind::Zset)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let view = cx.ks.view(slot);
    let mut ranks = ends.ranks(view, options.reverse);
    if let Some((offset, count)) = options.limit.filter(|_| options.by != By::Rank) {
        ranks = limit(ranks, offset, count, options.reverse);
    }
    reply_ranks(cx.reply, view, ranks, options.reverse, options.with_scores);
    Ok(())
}

pub(super) const ZRANGESTORE: Command = Command {
    name: "zrangestore",
    since: "6.2.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["OW", "update"]),
        KeySpec::at(2, &["RO", "access"]),
    ],
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
    summary: "Store a range of members of another sorted set",
    run: range_store,
    ..ZRANGE
};

fn range_store(cx: &mut Ctx, args: &Args) -> Outcome {
    let options = parse(args, 5, None, None)?;
    if options.with_scores {
        return Err(error::SYNTAX);
    }
    let swapped = options.reverse && options.by != By::Rank;
    let (min, max) = if swapped { (4, 3) } else { (3, 4) };
    let ends = Ends::parse(args, options.by, min, max)?;
    let mut found = Vec::new();
    if let Some(slot) = cx.ks.read_kind(args.at(2), Kind::Zset)? {
        let view = cx.ks.view(slot);
        let mut ranks = ends.ranks(view, options.reverse);
        if let Some((offset, count)) = options.limit.filter(|_| options.by != By::Rank) {
            ranks = limit(ranks, offset, count, options.reverse);
        }
        zset::each_ranked(view, ranks, false, &mut |member, score| {
            found.push((member.to_bytes().into_owned(), score));
        });
    }
    super::combine::store_sorted(cx, args.at(1), &found, "zrangestore");
    Ok(())
}

/// Members, with scores as pairs in RESP3 and flat in RESP2.
fn reply_ranks(
    reply: &mut Reply,
    view: ValueRef,
    ranks: Range<usize>,
    reverse: bool,
    with_scores: bool,
) {
    let paired = with_scores && reply.protocol == Protocol::Resp3;
    reply.array(if with_scores && !paired {
        2 * ranks.len()
    } else {
        ranks.len()
    });
    zset::each_ranked(view, ranks, reverse, &mut |member, score| {
        if paired {
            reply.array(2);
        }
        reply.entry(member);
        if with_scores {
            reply.double(score);
        }
    });
}

pub(super) const ZCOUNT: Command = Command {
    name: "zcount",
    group: Group::SortedSet,
    since: "2.0.0",
    arity: 4,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Count the members whose scores are in a range",
    run: |cx, args| count(cx, args, By::Score),
    ..Command::BASE
};

pub(super) const ZLEXCOUNT: Command = Command {
    name: "zlexcount",
    since: "2.8.9",
    summary: "Count the members whose bytes are in a range",
    run: |cx, args| count(cx, args, By::Lex),
    ..ZCOUNT
};

fn count(cx: &mut Ctx, args: &Args, by: By) -> Outcome {
    let ends = Ends::parse(args, by, 2, 3)?;
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    let count = slot.map_or(0, |slot| ends.ranks(cx.ks.view(slot), false).len());
    cx.reply.int(count as i64);
    Ok(())
}
