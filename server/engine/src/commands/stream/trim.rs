//! Taking away from streams: XTRIM and the options that XADD shares with it, XDEL; and XSETID.

use super::id::{self, NewId};
use super::{stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::Kind;
use crate::value::stream::{Keep, Stream, StreamId, Trim};

const TWO_STRATEGIES: Error =
    Error::new("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const LIMIT_WITHOUT_STRATEGY: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const LIMIT_OF_EXACT: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without the special ~ option");
const NO_STRATEGY: Error =
    Error::new("ERR syntax error, XTRIM must be called with a trimming strategy");

pub(super) const XTRIM: Command = Command {
    name: "xtrim",
    group: Group::Stream,
    since: "5.0.0",
    arity: -4,
    flags: Flags::WRITE,
    keys: &[KeySpec::one(&["RW", "delete"])],
    tips: &["nondeterministic_output"],
    complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released in a single deallocation.",
    summary: "Remove the oldest entries",
    run: xtrim,
    ..Command::BASE
};

/// What stands between the key and the fields of XADD, and behind the key of XTRIM.
#[derive(Debug)]
pub struct Options {
    /// How to trim, if at all.
    pub trim: Option<Trim>,
    /// Argument of the number or id behind MAXLEN or MINID.
    threshold_at: usize,
    /// NOMKSTREAM.
    pub only_existing: bool,
    /// The id of the new entry and its argument, for XADD.
    pub id: Option<(NewId, usize)>,
}

impl Options {
    /// Reads the options; `add` stops at the id.
    pub fn parse(cx: &Ctx, args: &Args, add: bool) -> Result<Options, Error> {
        let mut options = Options {
            trim: None,
            threshold_at: 0,
            only_existing: false,
            id: None,
        };
        let mut limit = None;
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if add && args.at(i) == b"*" {
                options.id = Some((NewId::Auto, i));
                break;
            } else if more > 0 && (args.is(i, "maxlen") || args.is(i, "minid")) {
                i = options.parse_strategy(args, i)?;
            } else if more > 0 && args.is(i, "limit") {
                let number = args.int(i + 1)?;
                let negative = Error::new("ERR The LIMIT argument must be >= 0.");
                limit = Some(u64::try_from(number).map_err(|_| negative)?);
                i += 2;
            } else if add && args.is(i, "nomkstream") {
                options.only_existing = true;
                i += 1;
            } else if add {
                options.id = Some((id::parse_new(args.at(i))?, i));
                break;
            } else {
                return Err(error::SYNTAX);
            }
        }
        if options.trim.is_none() && limit.is_some_and(|limit| limit > 0) {
            return Err(LIMIT_WITHOUT_STRATEGY);
        }
        if options.trim.is_none() && !add {
            return Err(NO_STRATEGY);
        }
        options.set_limit(cx, limit)?;
        Ok(options)
    }

    fn parse_strategy(&mut self, args: &Args, i: usize) -> Result<usize, Error> {
        if self.trim.is_some() {
            return Err(TWO_STRATEGIES);
        }
        let marked = i + 2 < args.len() && matches!(args.at(i + 1), b"~" | b"=");
        let at = i + 1 + usize::from(marked);
        let keep = if args.is(i, "maxlen") {
            let count = u64::try_from(args.int(at)?);
            Keep::Newest(count.map_err(|_| Error::new("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            Keep::From(id::parse(args.at(at))?)
        };
        self.trim = Some(Trim {
            keep,
            approximate: marked && args.at(i + 1) == b"~",
            limit: 0,
        });
        self.threshold_at = at;
        Ok(at + 1)
    }

    /// A log that is replayed holds exact thresholds beside the limits that clients gave: those are not to count.
    fn set_limit(&mut self, cx: &Ctx, limit: Option<u64>) -> Result<(), Error> {
        if cx.session.applies() {
            return Ok(());
        }
        let approximate = self.trim.is_some_and(|trim| trim.approximate);
        if limit.is_some() && !approximate {
            return Err(LIMIT_OF_EXACT);
        }
        if let Some(trim) = self.trim.as_mut().filter(|trim| trim.approximate) {
            trim.limit = limit.unwrap_or_else(|| match cx.ks.limits.stream_node_entries as u64 {
                0 => 10_000,
                entries => entries.saturating_mul(100).min(1_000_000),
            });
        }
        Ok(())
    }

    /// Puts what is left in place of an approximate threshold, so that log and replicas trim as far as this server
    /// did. Answers the text that `words` has to hold.
    pub fn exact_threshold(&self, stream: &Stream) -> Option<String> {
        let trim = self.trim.filter(|trim| trim.approximate)?;
        Some(match trim.keep {
            Keep::Newest(_) => stream.len().to_string(),
            Keep::From(_) => {
                let first = stream.nodes().next().map_or(StreamId::MAX, |(id, _)| id);
                first.to_string()
            }
        })
    }

    /// Replaces `~` and its threshold among the words of the command.
    pub fn rewrite<'w>(&self, words: &mut [&'w [u8]], threshold: &'w str) {
        debug_assert_eq!(
            words[self.threshold_at - 1],
            b"~",
            "of an approximate threshold"
        );
        words[self.threshold_at - 1] = b"=";
        words[self.threshold_at] = threshold.as_bytes();
    }
}

fn xtrim(cx: &mut Ctx, args: &Args) -> Outcome {
    let options = Options::parse(cx, args, false)?;
    let key = args.at(1);
    let mut removed = 0;
    if let Some(slot) = cx.ks.write_kind(key, Kind::Stream)?
        && let Some(trim) = &options.trim
    {
        let before = stream_at(cx.ks, slot).len();
        removed = stream_mut(cx.ks, slot).trim(trim);
        debug_assert_eq!(stream_at(cx.ks, slot).len() + removed, before);
        if removed > 0 {
            let threshold = options.exact_threshold(stream_at(cx.ks, slot));
            cx.ks.modified(EventClass::STREAM, "xtrim", key, removed);
            if let Some(threshold) = threshold {
                let mut words: Vec<&[u8]> = args.iter_from(0).collect();
                options.rewrite(&mut words, &threshold);
                cx.propagate(&words);
            }
        }
    }
    cx.reply.int(removed as i64);
    Ok(())
}

pub(super) const XDEL: Command = Command {
    name: "xdel",
    arity: -3,
    flags: Flags::WRITE.and(Flags::FAST),
    tips: &[],
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
    summary: "Remove entries by their ids",
    run: xdel,
    ..XTRIM
};

fn xdel(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let Some(slot) = cx.ks.write_kind(key, Kind::Stream)? else {
        cx.reply.int(0);
        return Ok(());
    };
    // All or nothing: an id that cannot be read stops the command before anything is deleted.
    let ids: Vec<StreamId> = args.iter_from(2).map(id::parse).collect::<Result<_, _>>()?;
    let stream = stream_mut(cx.ks, slot);
    let before = stream.len();
    let removed = ids.iter().filter(|id| stream.delete(**id)).count() as u64;
    debug_assert_eq!(stream.len() + removed, before);
    if removed > 0 {
        cx.ks.modified(EventClass::STREAM, "xdel", key, removed);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

pub(super) const XSETID: Command = Command {
    name: "xsetid",
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    tips: &[],
    complexity: "O(1)",
    summary: "Set the last id of a stream",
    run: xsetid,
    ..XTRIM
};

fn xsetid(cx: &mut Ctx, args: &Args) -> Outcome {
    let last_id = id::parse(args.at(2))?;
    let (mut added, mut deleted) = (None, StreamId::MIN);
    for i in (3..args.len()).step_by(2) {
        if i + 1 < args.len() && args.is(i, "entriesadded") {
            let negative = Error::new("ERR entries_added must be positive");
            added = Some(u64::try_from(args.int(i + 1)?).map_err(|_| negative)?);
        } else if i + 1 < args.len() && args.is(i, "maxdeletedid") {
            deleted = id::parse(args.at(i + 1))?;
            if last_id < deleted {
                return Err(Error::new(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(error::SYNTAX);
        }
    }
    let key = args.at(1);
    let slot = cx.ks.write_kind(key, Kind::Stream)?;
    let slot = slot.ok_or(error::NO_SUCH_KEY)?;
    let stream = stream_mut(cx.ks, slot);
    let mut marks = stream.marks();
    if last_id < marks.max_deleted_id {
        return Err(Error::new(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if stream.edge_id(false).is_some_and(|top| last_id < top) {
        return Err(Error::new(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if !stream.is_empty() && added.is_some_and(|added| added < stream.len()) {
        return Err(Error::new(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    marks.last_id = last_id;
    marks.entries_added = added.unwrap_or(marks.entries_added);
    if deleted != StreamId::MIN {
        marks.max_deleted_id = deleted;
    }
    stream.set_marks(marks);
    // Transactions that watch the key do not fail: Redis 7.2 does not touch them here.
    cx.ks.dirty += 1;
    cx.ks.notify(EventClass::STREAM, "xsetid", key);
    cx.reply.ok();
    Ok(())
}
