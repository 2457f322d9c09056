//! XGROUP: the groups of a stream and their consumers.

use super::{group_mut, id, no_group, stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::help;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::stream::{self, Stream, StreamId};
use crate::value::{Kind, NewValue, Object};

pub(super) const XGROUP: Command = Command::container(
    "xgroup",
    Group::Stream,
    "5.0.0",
    "Manage the groups that read a stream",
    &[
        &CREATE,
        &CREATECONSUMER,
        &DELCONSUMER,
        &DESTROY,
        &HELP,
        &SETID,
    ],
);

const CREATE: Command = Command {
    name: "xgroup|create",
    group: Group::Stream,
    since: "5.0.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::at(2, &["RW", "insert"])],
    summary: "Make a group",
    run: create,
    ..Command::BASE
};
const CREATECONSUMER: Command = Command {
    name: "xgroup|createconsumer",
    since: "6.2.0",
    arity: 5,
    summary: "Make a consumer of a group",
    run: create_consumer,
    ..CREATE
};
const DELCONSUMER: Command = Command {
    name: "xgroup|delconsumer",
    arity: 5,
    flags: Flags::WRITE,
    keys: &[KeySpec::at(2, &["RW", "delete"])],
    summary: "Remove a consumer with what is pending at it",
    run: del_consumer,
    ..CREATE
};
const DESTROY: Command = Command {
    name: "xgroup|destroy",
    arity: 4,
    flags: Flags::WRITE,
    keys: &[KeySpec::at(2, &["RW", "delete"])],
    complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
    summary: "Remove a group",
    run: destroy,
    ..CREATE
};
const SETID: Command = Command {
    name: "xgroup|setid",
    arity: -5,
    flags: Flags::WRITE,
    keys: &[KeySpec::at(2, &["RW", "update"])],
    summary: "Set the last id that a group was given",
    run: set_id,
    ..CREATE
};
const HELP: Command = help::subcommand("xgroup|help", CREATE, HELP_LINES);

const HELP_LINES: &[&str] = &[
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

const NO_KEY: Error = Error::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

/// The stream that a subcommand works on.
fn find(cx: &mut Ctx, args: &Args) -> Result<Slot, Error> {
    cx.ks.write_kind(args.at(2), Kind::Stream)?.ok_or(NO_KEY)
}

/// The stream and its group, for subcommands that need both.
fn find_group(cx: &mut Ctx, args: &Args) -> Result<Slot, Error> {
    let slot = find(cx, args)?;
    match stream_at(cx.ks, slot).group(args.at(3)) {
        Some(_) => Ok(slot),
        None => Err(no_group(args.at(2), args.at(3))),
    }
}

/// A group changed. Transactions that watch the key do not fail: Redis 7.2 does not touch them for groups.
fn changed(cx: &mut Ctx, args: &Args, event: &'static str) {
    cx.ks.dirty += 1;
    cx.ks.notify(EventClass::STREAM, event, args.at(2));
}

/// Reads MKSTREAM (where it is known) and ENTRIESREAD behind the id.
fn options(args: &Args, with_make: bool) -> Result<(bool, Option<u64>), Error> {
    let (mut make, mut read) = (false, None);
    let mut i = 5;
    while i < args.len() {
        if with_make && args.is(i, "mkstream") {
            make = true;
            i += 1;
        } else if i + 1 < args.len() && args.is(i, "entriesread") {
            let invalid = Error::new("ERR value for ENTRIESREAD must be positive or -1");
            read = match args.int(i + 1)? {
                -1 => None,
                count => Some(u64::try_from(count).map_err(|_| invalid)?),
            };
            i += 2;
        } else {
            return Err(error::bad_subcommand("XGROUP", args.at(1)));
        }
    }
    Ok((make, read))
}

fn create(cx: &mut Ctx, args: &Args) -> Outcome {
    let (make, read) = options(args, true)?;
    let (key, name) = (args.at(2), args.at(3));
    let slot = cx.ks.write_kind(key, Kind::Stream)?;
    if slot.is_none() && !make {
        return Err(NO_KEY);
    }
    if args.len() > 8 {
        return Err(error::bad_subcommand("XGROUP", args.at(1)));
    }
    let last = match args.at(4) {
        b"$" => slot.map_or(StreamId::MIN, |slot| stream_at(cx.ks, slot).last_id()),
        text => id::parse(text)?,
    };
    let slot = slot.unwrap_or_else(|| {
        let value = NewValue::object(Object::Stream(Stream::new()));
        let slot = cx.ks.add(key, value, None);
        cx.ks.changed(key, 0);
        slot
    });
    let group = stream::Group::new(last, read);
    if !stream_mut(cx.ks, slot).add_group(name, group) {
        return Err(Error::new("BUSYGROUP Consumer Group name already exists"));
    }
    changed(cx, args, "xgroup-create");
    cx.reply.ok();
    Ok(())
}

fn set_id(cx: &mut Ctx, args: &Args) -> Outcome {
    let (_, read) = options(args, false)?;
    let slot = find_group(cx, args)?;
    if args.len() != 5 && args.len() != 7 {
        return Err(error::bad_subcommand("XGROUP", args.at(1)));
    }
    let last = match args.at(4) {
        b"$" => stream_at(cx.ks, slot).last_id(),
        text => id::parse_or_end(text, 0)?,
    };
    let group = group_mut(cx.ks, slot, args.at(3));
    group.last_id = last;
    group.entries_read = read;
    changed(cx, args, "xgroup-setid");
    cx.reply.ok();
    Ok(())
}

fn destroy(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find(cx, args)?;
    let removed = stream_mut(cx.ks, slot).remove_group(args.at(3)).is_some();
    if removed {
        changed(cx, args, "xgroup-destroy");
        // Consumers that wait for entries of the group hear that it is gone.
        cx.ks.wake(cx.ks.selected(), args.at(2));
    }
    cx.reply.int(i64::from(removed));
    Ok(())
}

fn create_consumer(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find_group(cx, args)?;
    let now_ms = cx.ks.now_ms;
    let group = group_mut(cx.ks, slot, args.at(3));
    let made = group.create_consumer(args.at(4), now_ms).is_some();
    if made {
        changed(cx, args, "xgroup-createconsumer");
    }
    cx.reply.int(i64::from(made));
    Ok(())
}

fn del_consumer(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find_group(cx, args)?;
    let removed = group_mut(cx.ks, slot, args.at(3)).remove_consumer(args.at(4));
    if removed.is_some() {
        changed(cx, args, "xgroup-delconsumer");
    }
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}
