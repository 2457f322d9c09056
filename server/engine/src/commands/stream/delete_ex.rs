//! XDELEX and XACKDEL: entries go with what groups still hold of them, or only once no group does. Answers are those of Redis 8.2.

use super::{group_mut, id, stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::Kind;
use crate::value::stream::{Stream, StreamId};

pub(super) const XDELEX: Command = Command {
    name: "xdelex",
    group: Group::Stream,
    since: "8.2.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
    summary: "Remove entries by their ids, with or without what groups hold of them",
    run: |cx, args| delete(cx, args, None),
    ..Command::BASE
};

pub(super) const XACKDEL: Command = Command {
    name: "xackdel",
    arity: -6,
    keys: &[KeySpec::one(&["RW", "update", "delete"])],
    complexity: "O(1) for each message ID processed.",
    summary: "Acknowledge entries that a group was given, and remove them",
    run: |cx, args| delete(cx, args, Some(args.at(2))),
    ..XDELEX
};

/// What becomes of entries that groups were given and have not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// They go; groups keep the ids.
    KeepRef,
    /// They go, from the groups, too.
    DelRef,
    /// They stay until all groups have been given and have acknowledged them.
    Acked,
}

impl Policy {
    fn named(args: &Args, i: usize) -> Option<Policy> {
        match () {
            () if args.is(i, "keepref") => Some(Policy::KeepRef),
            () if args.is(i, "delref") => Some(Policy::DelRef),
            () if args.is(i, "acked") => Some(Policy::Acked),
            () => None,
        }
    }
}

/// Not there.
const ABSENT: i64 = -1;
/// It is gone.
const DELETED: i64 = 1;
/// Some group still needs it.
const NEEDED: i64 = 2;

/// The policy, and where the ids begin and end.
fn parse(args: &Args, first: usize) -> Result<(Policy, std::ops::Range<usize>), Error> {
    let (mut policy, mut ids) = (None, None);
    let mut i = first;
    while i < args.len() {
        if let Some(named) = Policy::named(args, i)
            && policy.is_none()
        {
            policy = Some(named);
            i += 1;
        } else if args.is(i, "ids") && ids.is_none() && i + 1 < args.len() {
            let count = args.int(i + 1).ok().and_then(|n| usize::try_from(n).ok());
            let count = count
                .filter(|n| *n > 0)
                .ok_or(Error::new("ERR Number of IDs must be a positive integer"))?;
            let start = i + 2;
            if count > args.len() - start {
                return Err(Error::new(
                    "ERR The `numids` parameter must match the number of arguments",
                ));
            }
            ids = Some(start..start + count);
            i = start + count;
        } else {
            return Err(error::SYNTAX);
        }
    }
    let ids = ids.ok_or(error::SYNTAX)?;
    Ok((policy.unwrap_or(Policy::KeepRef), ids))
}

/// What is told to others: per group what it holds no longer, and what is gone.
#[derive(Default)]
struct Done {
    acknowledged: Vec<(Box<[u8]>, Vec<StreamId>)>,
    deleted: Vec<StreamId>,
}

fn delete(cx: &mut Ctx, args: &Args, group: Option<&[u8]>) -> Outcome {
    let (policy, ids) = parse(args, 2 + usize::from(group.is_some()))?;
    let key = args.at(1);
    let slot = cx.ks.write_kind(key, Kind::Stream)?;
    let knows =
        |slot: &Slot| group.is_none_or(|name| stream_at(cx.ks, *slot).group(name).is_some());
    let Some(slot) = slot.filter(knows) else {
        cx.reply.array(ids.len());
        ids.for_each(|_| cx.reply.int(ABSENT));
        return Ok(());
    };
    // All or nothing: an id that cannot be read stops the command before anything is deleted.
    let ids: Vec<StreamId> = ids
        .map(|i| id::parse(args.at(i)))
        .collect::<Result<_, _>>()?;
    cx.reply.array(ids.len());
    let mut done = Done::default();
    for id in ids {
        let answer = match group {
            Some(name) if !group_mut(cx.ks, slot, name).acknowledge(id) => ABSENT,
            Some(name) => {
                done.acknowledge(name, id);
                delete_one(stream_mut(cx.ks, slot), id, policy, &mut done).max(DELETED)
            }
            None => delete_one(stream_mut(cx.ks, slot), id, policy, &mut done),
        };
        cx.reply.int(answer);
    }
    done.tell(cx, key);
    Ok(())
}

fn delete_one(stream: &mut Stream, id: StreamId, policy: Policy, done: &mut Done) -> i64 {
    if policy == Policy::Acked && is_needed(stream, id) {
        return NEEDED;
    }
    if policy == Policy::DelRef {
        let holders = stream
            .groups()
            .filter(|(_, group)| group.pending(id).is_some());
        let names: Vec<Box<[u8]>> = holders.map(|(name, _)| name.into()).collect();
        for name in names {
            if let Some(group) = stream.group_mut(&name) {
                group.acknowledge(id);
                done.acknowledge(&name, id);
            }
        }
    }
    match stream.delete(id) {
        true => {
            done.deleted.push(id);
            DELETED
        }
        false => ABSENT,
    }
}

/// Whether some group was not given the entry yet, or has not acknowledged it.
fn is_needed(stream: &Stream, id: StreamId) -> bool {
    stream
        .groups()
        .any(|(_, group)| id > group.last_id || group.pending(id).is_some())
}

impl Done {
    fn acknowledge(&mut self, group: &[u8], id: StreamId) {
        match self
            .acknowledged
            .iter_mut()
            .find(|(name, _)| **name == *group)
        {
            Some((_, ids)) => ids.push(id),
            None => self.acknowledged.push((group.into(), vec![id])),
        }
    }

    /// Older servers have neither command: they are told XACK and XDEL.
    fn tell(&self, cx: &mut Ctx, key: &[u8]) {
        let text = |ids: &[StreamId]| -> Vec<String> {
            let text = |id: &StreamId| format!("{}-{}", id.ms, id.seq);
            ids.iter().map(text).collect()
        };
        let acknowledged: usize = self.acknowledged.iter().map(|(_, ids)| ids.len()).sum();
        cx.ks.dirty += acknowledged as u64;
        for (group, ids) in &self.acknowledged {
            let ids = text(ids);
            let mut command: Vec<&[u8]> = vec![b"XACK", key, group];
            command.extend(ids.iter().map(|id| id.as_bytes()));
            cx.propagate(&command);
        }
        if !self.deleted.is_empty() {
            let count = self.deleted.len() as u64;
            cx.ks.modified(EventClass::STREAM, "xdel", key, count);
            let ids = text(&self.deleted);
            let mut command: Vec<&[u8]> = vec![b"XDEL", key];
            command.extend(ids.iter().map(|id| id.as_bytes()));
            cx.propagate(&command);
        }
    }
}
