//! Walking over keys: KEYS and SCAN.

use std::borrow::Cow;

use cairn_format::crc16::key_slot;
use cairn_format::text::glob::glob_match;

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags, Group};
use crate::value::{Kind, ValueRef, kind_of};

pub(super) const KEYS: Command = Command {
    name: "keys",
    group: Group::Generic,
    arity: 2,
    flags: Flags::READ.and(Flags::DANGEROUS),
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
    summary: "List all keys that match a pattern",
    run: keys,
    ..Command::BASE
};

fn keys(cx: &mut Ctx, args: &Args) -> Outcome {
    let pattern = args.at(1);
    let now = cx.ks.now_ms;
    let mark = cx.reply.mark();
    let mut count = 0;
    let hidden = cx.ks.hidden_slots();
    let is_hidden = |key: &[u8]| hidden.is_some_and(|slots| slots.contains(key_slot(key)));
    for record in cx.ks.whole().iter() {
        // Expired keys are left out here and removed by whoever looks for them next.
        if record.expire().is_none_or(|at| at >= now)
            && !is_hidden(record.key())
            && (pattern == b"*" || glob_match(pattern, record.key(), false))
        {
            cx.reply.bulk(record.key());
            count += 1;
            if cx.reply.is_full() {
                break;
            }
        }
    }
    cx.reply.array_at(mark, count);
    Ok(())
}

pub(super) const SCAN: Command = Command {
    name: "scan",
    group: Group::Generic,
    since: "2.8.0",
    arity: -2,
    flags: Flags::READ,
    tips: &[
        "nondeterministic_output",
        "request_policy:special",
        "response_policy:special",
    ],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Walk over all keys, some at a time",
    run: scan,
    ..Command::BASE
};

/// MATCH, COUNT and TYPE of the whole SCAN family.
#[derive(Debug, Clone, Copy)]
struct ScanOptions<'a> {
    /// Only names that match.
    pub pattern: Option<&'a [u8]>,
    /// About how many to visit.
    pub count: usize,
    /// Only keys of this type (SCAN).
    pub kind: Option<&'a [u8]>,
    /// Without the values (HSCAN).
    pub names_only: bool,
}

impl<'a> ScanOptions<'a> {
    /// Parses what follows the cursor; `keys` allows TYPE, `fields` NOVALUES (HSCAN, since Redis 7.4).
    fn parse(
        args: &Args<'a>,
        from: usize,
        fields: bool,
        keys: bool,
    ) -> Result<ScanOptions<'a>, Error> {
        let mut options = ScanOptions {
            pattern: None,
            count: 10,
            kind: None,
            names_only: false,
        };
        let mut i = from;
        while i < args.len() {
            if args.is(i, "count") && i + 1 < args.len() {
                let count = args.int(i + 1)?;
                options.count = usize::try_from(count)
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or(error::SYNTAX)?;
                i += 2;
            } else if args.is(i, "match") && i + 1 < args.len() {
                options.pattern = Some(args.at(i + 1)).filter(|p| *p != b"*");
                i += 2;
            } else if args.is(i, "type") && keys && i + 1 < args.len() {
                options.kind = Some(args.at(i + 1));
                i += 2;
            } else if args.is(i, "novalues") && fields {
                options.names_only = true;
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }

    /// As Redis: at most ten steps for each element asked for, so that a sparse table does not hold the loop up.
    fn steps(&self) -> usize {
        self.count.saturating_mul(10)
    }

    /// Whether a name is wanted.
    fn wants(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob_match(pattern, name, false))
    }
}

/// What one call of SSCAN, HSCAN or ZSCAN has met so far.
#[derive(Debug)]
pub struct Visit<'a> {
    options: ScanOptions<'a>,
    visited: usize,
    words: Vec<Vec<u8>>,
}

impl Visit<'_> {
    /// Meets an element; `value` is what stands behind its name in the answer, if anything.
    pub fn meet<'e>(
        &mut self,
        name: impl Into<Cow<'e, [u8]>>,
        value: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let name = name.into();
        self.visited += 1;
        if self.options.wants(&name) {
            self.words.push(name.into_owned());
            self.words
                .extend(value().filter(|_| !self.options.names_only));
        }
    }
}

/// SSCAN, HSCAN and ZSCAN: `step` walks over a part of the value from a cursor on and answers the next one.
pub fn scan_elements<'a>(
    cx: &mut Ctx,
    args: &Args<'a>,
    kind: Kind,
    step: fn(ValueRef, u64, &mut Visit<'a>) -> u64,
) -> Outcome {
    let mut cursor = parse_cursor(args.at(2))?;
    let Some(slot) = cx.ks.read_kind(args.at(1), kind)? else {
        reply_scan(cx.reply, 0, 0, |_| {});
        return Ok(());
    };
    // The options of a scan over nothing are not even read.
    let options = ScanOptions::parse(args, 3, kind == Kind::Hash, false)?;
    let mut visit = Visit {
        options,
        visited: 0,
        words: Vec::new(),
    };
    let mut steps = visit.options.steps();
    loop {
        cursor = step(cx.ks.view(slot), cursor, &mut visit);
        steps -= 1;
        if cursor == 0 || visit.visited >= visit.options.count || steps == 0 {
            break;
        }
    }
    reply_scan(cx.reply, cursor, visit.words.len(), |reply| {
        visit.words.iter().for_each(|word| reply.bulk(word))
    });
    Ok(())
}

/// A cursor as clients send it. Redis reads it with C's `strtoul`: nothing is 0, and a negative number counts back
/// from the end of the unsigned range.
fn parse_cursor(text: &[u8]) -> Result<u64, Error> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if text.is_empty() {
        return Ok(0);
    }
    let number: Option<u64> = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.starts_with('+'))
        .and_then(|digits| digits.parse().ok());
    let number = number.ok_or(Error::new("ERR invalid cursor"))?;
    Ok(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// Writes the answer of a scan: the next cursor and `n` elements that `write` appends.
fn reply_scan(reply: &mut Reply, cursor: u64, n: usize, write: impl FnOnce(&mut Reply)) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
    reply.array(n);
    write(reply);
}

fn scan(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut cursor = parse_cursor(args.at(1))?;
    let options = ScanOptions::parse(args, 2, false, true)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let mut visited = 0;
    let mut steps = options.steps();
    let now = cx.ks.now_ms;
    loop {
        cursor = cx.ks.scan(cursor, &mut |record| {
            visited += 1;
            // What has expired goes, whatever its type was.
            let expired = record.expire().is_some_and(|at| at < now);
            if options.wants(record.key())
                && (expired || has_type(kind_of(record.tag()), options.kind))
            {
                found.push(record.key().into());
            }
        });
        steps -= 1;
        if cursor == 0 || visited >= options.count || steps == 0 {
            break;
        }
    }
    found.retain(|key| {
        cx.ks.select_key(key);
        let slot = match options.kind {
            None => cx.ks.find(key),
            Some(_) => cx.ks.peek(key),
        };
        slot.is_some_and(|slot| has_type(cx.ks.kind(slot), options.kind))
    });
    cx.ends_independently();
    reply_scan(cx.reply, cursor, found.len(), |reply| {
        found.iter().for_each(|key| reply.bulk(key))
    });
    Ok(())
}

fn has_type(kind: Kind, wanted: Option<&[u8]>) -> bool {
    wanted.is_none_or(|name| name.eq_ignore_ascii_case(kind.name().as_bytes()))
}
