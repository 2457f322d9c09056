//! XADD.

use super::id::{self, NewId};
use super::trim::Options;
use super::{stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::stream::{AppendError, Stream, StreamId, StreamLimits};
use crate::value::{Kind, NewValue, Object};

const ZERO: Error = Error::new("ERR The ID specified in XADD must be greater than 0-0");
const NOT_GREATER: Error =
    Error::new("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const EXHAUSTED: Error =
    Error::new("ERR The stream has exhausted the last possible ID, unable to add more items");

pub(super) const XADD: Command = Command {
    name: "xadd",
    group: Group::Stream,
    since: "5.0.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])
        .note("UPDATE instead of INSERT because of the optional trimming feature")],
    tips: &["nondeterministic_output"],
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    summary: "Append an entry to a stream",
    run: xadd,
    ..Command::BASE
};

fn xadd(cx: &mut Ctx, args: &Args) -> Outcome {
    let options = Options::parse(cx, args, true)?;
    let Some((new_id, id_at)) = options.id else {
        return Err(error::wrong_arity("xadd"));
    };
    let words = args.len() - id_at - 1;
    if words < 2 || words % 2 == 1 {
        return Err(error::wrong_arity("xadd"));
    }
    if new_id == NewId::Whole(StreamId::MIN) {
        return Err(ZERO);
    }
    let key = args.at(1);
    let slot = cx.ks.write_kind(key, Kind::Stream)?;
    if slot.is_none() && options.only_existing {
        cx.reply.null();
        return Ok(());
    }
    let (slot, id) = append(cx, args, slot, new_id, id_at + 1)?;
    id::reply(cx.reply, id);
    cx.ks.modified(EventClass::STREAM, "xadd", key, 1);
    if let Some(trim) = &options.trim
        && stream_mut(cx.ks, slot).trim(trim) > 0
    {
        cx.ks.notify(EventClass::STREAM, "xtrim", key);
    }
    propagate(cx, args, &options, slot, id);
    Ok(())
}

/// Adds the entry whose fields begin at argument `from`. A stream that is not there is made with its first entry.
fn append(
    cx: &mut Ctx,
    args: &Args,
    slot: Option<Slot>,
    new_id: NewId,
    from: usize,
) -> Result<(Slot, StreamId), Error> {
    let now_ms = cx.ks.now_ms.max(0) as u64;
    let limits = StreamLimits {
        node_bytes: cx.ks.limits.stream_node_bytes,
        node_entries: cx.ks.limits.stream_node_entries,
    };
    let pairs = (from..args.len()).step_by(2);
    let fields = pairs.map(|i| (args.at(i), args.at(i + 1)));
    let add = |stream: &mut Stream| {
        let id = id_for(stream, new_id, now_ms)?;
        match stream.append(id, fields, &limits) {
            Ok(()) => {
                debug_assert_eq!(stream.last_id(), id, "the newest entry");
                Ok(id)
            }
            Err(AppendError::IdNotGreater) => Err(NOT_GREATER),
            Err(AppendError::TooLarge) => {
                Err(Error::new("ERR Elements are too large to be stored"))
            }
        }
    };
    match slot {
        Some(slot) => Ok((slot, add(stream_mut(cx.ks, slot))?)),
        None => {
            let mut stream = Stream::new();
            let id = add(&mut stream)?;
            let value = NewValue::object(Object::Stream(stream));
            Ok((cx.ks.add(args.at(1), value, None), id))
        }
    }
}

fn id_for(stream: &Stream, new_id: NewId, now_ms: u64) -> Result<StreamId, Error> {
    if stream.last_id() == StreamId::MAX {
        return Err(EXHAUSTED);
    }
    match new_id {
        NewId::Auto => stream.next_id(now_ms).ok_or(EXHAUSTED),
        NewId::InMs(ms) => stream.next_seq(ms).ok_or(NOT_GREATER),
        NewId::Whole(id) => Ok(id),
    }
}

/// Log and replicas get the id that was made and the threshold that was reached.
fn propagate(cx: &mut Ctx, args: &Args, options: &Options, slot: Slot, id: StreamId) {
    let given = matches!(options.id, Some((NewId::Whole(_), _)));
    let exact = options.trim.is_none_or(|trim| !trim.approximate);
    if !cx.ks.fx.feed_on || (given && exact) {
        return;
    }
    let id = id.to_string();
    let threshold = options.exact_threshold(stream_at(cx.ks, slot));
    let mut words: Vec<&[u8]> = args.iter_from(0).collect();
    if let Some((NewId::Auto | NewId::InMs(_), at)) = options.id {
        words[at] = id.as_bytes();
    }
    if let Some(threshold) = &threshold {
        options.rewrite(&mut words, threshold);
    }
    cx.propagate(&words);
}
