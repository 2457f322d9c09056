//! Publish and subscribe.

use cairn_format::cluster::SlotSet;
use cairn_format::crc16::key_slot;

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::{Ctx, Instance, Shared};
use crate::call::help;
use crate::call::publish::{publish, send};
use crate::call::reply::{Protocol, Reply};
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::pubsub::{Channels, PubSub};
use crate::session::{ReplyMode, Session, Subscriptions};
use crate::users::check::UsedChannels;
use std::collections::HashSet;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &SUBSCRIBE,
    &UNSUBSCRIBE,
    &PSUBSCRIBE,
    &PUNSUBSCRIBE,
    &SSUBSCRIBE,
    &SUNSUBSCRIBE,
    &PUBLISH,
    &SPUBLISH,
    &PUBSUB,
];

const LISTEN: Flags = Flags::PUBSUB
    .and(Flags::NO_SCRIPT)
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::IN_SUBSCRIBE);
const SEND: Flags = Flags::PUBSUB
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::MAY_REPLICATE);

/// What a (P|S)SUBSCRIBE works on.
struct Sort {
    word: &'static [u8],
    un_word: &'static [u8],
    own: fn(&mut Subscriptions) -> &mut HashSet<Box<[u8]>>,
    all: fn(&mut PubSub) -> &mut Channels,
    sharded: bool,
}

const CHANNELS: Sort = Sort {
    word: b"subscribe",
    un_word: b"unsubscribe",
    own: |s| &mut s.channels,
    all: |p| &mut p.channels,
    sharded: false,
};
const PATTERNS: Sort = Sort {
    word: b"psubscribe",
    un_word: b"punsubscribe",
    own: |s| &mut s.patterns,
    all: |p| &mut p.patterns,
    sharded: false,
};
const SHARDED: Sort = Sort {
    word: b"ssubscribe",
    un_word: b"sunsubscribe",
    own: |s| &mut s.shard_channels,
    all: |p| &mut p.shard_channels,
    sharded: true,
};

const SUBSCRIBE: Command = Command {
    name: "subscribe",
    group: Group::PubSub,
    since: "2.0.0",
    arity: -2,
    flags: LISTEN,
    complexity: "O(N) where N is the number of channels to subscribe to.",
    channels: UsedChannels::All,
    summary: "Listen to channels",
    run: |cx, args| subscribe(cx, args, &CHANNELS),
    ..Command::BASE
};

const PSUBSCRIBE: Command = Command {
    name: "psubscribe",
    complexity: "O(N) where N is the number of patterns to subscribe to.",
    channels: UsedChannels::Patterns,
    summary: "Listen to all channels that match patterns",
    run: |cx, args| subscribe(cx, args, &PATTERNS),
    ..SUBSCRIBE
};

const SSUBSCRIBE: Command = Command {
    name: "ssubscribe",
    since: "7.0.0",
    keys: &[KeySpec::range(1, -1, 1, &["not_key"])],
    complexity: "O(N) where N is the number of shard channels to subscribe to.",
    summary: "Listen to shard channels",
    run: |cx, args| subscribe(cx, args, &SHARDED),
    ..SUBSCRIBE
};

fn subscribe(cx: &mut Ctx, args: &Args, sort: &Sort) -> Outcome {
    if cx.session.multi.is_some() && cx.session.protocol == Protocol::Resp2 {
        return Err(Error::new("ERR Command not allowed inside a transaction"));
    }
    for channel in args.iter_from(1) {
        let subscriptions = cx.session.subscriptions.get_or_insert_default();
        if (sort.own)(subscriptions).insert(channel.into()) {
            (sort.all)(&mut cx.shared.pubsub).add(channel, cx.session.slot);
        }
        confirm(cx, sort.word, Some(channel), sort.sharded);
    }
    Ok(())
}

/// Confirms one subscription or its end. Confirmations are pushes: they come also where CLIENT REPLY is off.
fn confirm(cx: &mut Ctx, word: &[u8], channel: Option<&[u8]>, sharded: bool) {
    if cx.session.reply_mode == ReplyMode::On {
        return write_confirmation(cx.reply, cx.session, word, channel, sharded);
    }
    // The reply is going to be taken back, messages are not.
    let mut push = Reply::to(cx.reply.protocol);
    write_confirmation(&mut push, cx.session, word, channel, sharded);
    cx.deliver(cx.session.slot, &push.buf);
}

/// Ends all subscriptions to channels of these slots, and tells the listeners.
pub fn drop_shard_channels(shared: &mut Shared, slots: &SlotSet, inst: &mut dyn Instance) {
    let names = shared.pubsub.shard_channels.names();
    let lost = names.filter(|name| slots.contains(key_slot(name)));
    let lost: Vec<Box<[u8]>> = lost.map(Box::from).collect();
    for channel in lost {
        for slot in shared.pubsub.shard_channels.of(&channel).to_vec() {
            shared.pubsub.shard_channels.remove(&channel, slot);
            let Some(session) = shared.sessions.get_mut(slot) else {
                continue;
            };
            if let Some(subscriptions) = &mut session.subscriptions {
                subscriptions.shard_channels.remove(&channel);
            }
            let mut push = Reply::to(session.protocol);
            write_confirmation(&mut push, session, b"sunsubscribe", Some(&channel), true);
            if session.subscriptions.as_ref().is_some_and(|s| s.is_empty()) {
                session.subscriptions = None;
            }
            inst.deliver(slot, &push.buf);
        }
    }
}

/// Sends a message of another node to the listeners of a shard channel here.
pub fn publish_sharded(shared: &Shared, inst: &mut dyn Instance, channel: &[u8], message: &[u8]) {
    let listeners = shared.pubsub.shard_channels.of(channel);
    send(
        shared,
        inst,
        None,
        listeners,
        &[b"smessage", channel, message],
    );
}

fn write_confirmation(
    reply: &mut Reply,
    session: &Session,
    word: &[u8],
    channel: Option<&[u8]>,
    sharded: bool,
) {
    let count = session.subscriptions.as_ref().map_or(0, |s| {
        if sharded {
            s.shard_channels.len()
        } else {
            s.count()
        }
    });
    reply.push(3);
    reply.bulk(word);
    match channel {
        Some(channel) => reply.bulk(channel),
        None => reply.null(),
    }
    reply.int(count as i64);
}

const UNSUBSCRIBE: Command = Command {
    name: "unsubscribe",
    channels: UsedChannels::None,
    arity: -1,
    complexity: "O(N) where N is the number of channels to unsubscribe.",
    summary: "Stop listening to channels, or to all",
    run: |cx, args| unsubscribe(cx, args, &CHANNELS),
    ..SUBSCRIBE
};

const PUNSUBSCRIBE: Command = Command {
    name: "punsubscribe",
    complexity: "O(N) where N is the number of patterns to unsubscribe.",
    summary: "Stop listening to patterns, or to all",
    run: |cx, args| unsubscribe(cx, args, &PATTERNS),
    ..UNSUBSCRIBE
};

const SUNSUBSCRIBE: Command = Command {
    name: "sunsubscribe",
    channels: UsedChannels::None,
    arity: -1,
    complexity: "O(N) where N is the number of shard channels to unsubscribe.",
    summary: "Stop listening to shard channels, or to all",
    run: |cx, args| unsubscribe(cx, args, &SHARDED),
    ..SSUBSCRIBE
};

fn unsubscribe(cx: &mut Ctx, args: &Args, sort: &Sort) -> Outcome {
    let channels: Vec<Box<[u8]>> = if args.len() > 1 {
        args.iter_from(1).map(Into::into).collect()
    } else {
        cx.session
            .subscriptions
            .as_mut()
            .map(|s| (sort.own)(s).iter().cloned().collect())
            .unwrap_or_default()
    };
    for channel in &channels {
        if let Some(subscriptions) = &mut cx.session.subscriptions
            && (sort.own)(subscriptions).remove(channel)
        {
            (sort.all)(&mut cx.shared.pubsub).remove(channel, cx.session.slot);
        }
        confirm(cx, sort.un_word, Some(channel), sort.sharded);
    }
    debug_assert!(
        args.len() > 1
            || cx
                .session
                .subscriptions
                .as_mut()
                .is_none_or(|s| (sort.own)(s).is_empty()),
        "without names all end"
    );
    if channels.is_empty() {
        confirm(cx, sort.un_word, None, sort.sharded);
    }
    if cx
        .session
        .subscriptions
        .as_ref()
        .is_some_and(|s| s.is_empty())
    {
        cx.session.subscriptions = None;
    }
    Ok(())
}

const PUBLISH: Command = Command {
    name: "publish",
    group: Group::PubSub,
    since: "2.0.0",
    arity: 3,
    flags: SEND,
    channels: UsedChannels::First,
    complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
    summary: "Send a message to a channel",
    run: publish_command,
    ..Command::BASE
};

fn publish_command(cx: &mut Ctx, args: &Args) -> Outcome {
    let receivers = publish(cx.shared, cx.inst, Some(cx.session), args.at(1), args.at(2));
    cx.inst.relay(cx.session.db, args);
    cx.reply.int(receivers as i64);
    Ok(())
}

const SPUBLISH: Command = Command {
    name: "spublish",
    group: Group::PubSub,
    since: "7.0.0",
    arity: 3,
    flags: SEND,
    keys: &[KeySpec::at(1, &["not_key"])],
    channels: UsedChannels::First,
    complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
    summary: "Send a message to a shard channel",
    run: spublish,
    ..Command::BASE
};

fn spublish(cx: &mut Ctx, args: &Args) -> Outcome {
    let listeners = cx.shared.pubsub.shard_channels.of(args.at(1));
    send(
        cx.shared,
        cx.inst,
        Some(cx.session),
        listeners,
        &[b"smessage", args.at(1), args.at(2)],
    );
    cx.inst.relay(cx.session.db, args);
    cx.reply
        .int(cx.shared.pubsub.shard_channels.of(args.at(1)).len() as i64);
    Ok(())
}

const PUBSUB: Command = Command::container(
    "pubsub",
    Group::PubSub,
    "2.8.0",
    "Look at channels and their listeners",
    &[
        &PUBSUB_HELP,
        &PUBSUB_CHANNELS,
        &PUBSUB_NUMPAT,
        &PUBSUB_NUMSUB,
        &PUBSUB_SHARDCHANNELS,
        &PUBSUB_SHARDNUMSUB,
    ],
);

const LOOK: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);

const PUBSUB_CHANNELS: Command = Command {
    name: "pubsub|channels",
    group: Group::PubSub,
    since: "2.8.0",
    arity: -2,
    flags: LOOK,
    complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
    summary: "List the channels that have listeners",
    run: |cx, args| channels(cx, args, |p| &p.channels),
    ..Command::BASE
};

const PUBSUB_SHARDCHANNELS: Command = Command {
    name: "pubsub|shardchannels",
    since: "7.0.0",
    complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
    summary: "List the shard channels that have listeners",
    run: |cx, args| channels(cx, args, |p| &p.shard_channels),
    ..PUBSUB_CHANNELS
};

fn channels(cx: &mut Ctx, args: &Args, of: fn(&PubSub) -> &Channels) -> Outcome {
    if args.len() > 3 {
        return Err(error::bad_subcommand("PUBSUB", args.at(1)));
    }
    let mark = cx.reply.mark();
    let mut count = 0;
    for name in of(&cx.shared.pubsub).names() {
        if args
            .get(2)
            .is_none_or(|pattern| cairn_format::text::glob::glob_match(pattern, name, false))
        {
            cx.reply.bulk(name);
            count += 1;
        }
    }
    cx.reply.array_at(mark, count);
    Ok(())
}

const PUBSUB_NUMSUB: Command = Command {
    name: "pubsub|numsub",
    complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    summary: "Count the listeners of channels",
    run: |cx, args| listener_counts(cx, args, |p| &p.channels),
    ..PUBSUB_CHANNELS
};

const PUBSUB_SHARDNUMSUB: Command = Command {
    name: "pubsub|shardnumsub",
    since: "7.0.0",
    complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
    summary: "Count the listeners of shard channels",
    run: |cx, args| listener_counts(cx, args, |p| &p.shard_channels),
    ..PUBSUB_CHANNELS
};

fn listener_counts(cx: &mut Ctx, args: &Args, of: fn(&PubSub) -> &Channels) -> Outcome {
    cx.reply.array(2 * (args.len() - 2));
    for channel in args.iter_from(2) {
        cx.reply.bulk(channel);
        cx.reply.int(of(&cx.shared.pubsub).of(channel).len() as i64);
    }
    Ok(())
}

const PUBSUB_NUMPAT: Command = Command {
    name: "pubsub|numpat",
    arity: 2,
    complexity: "O(1)",
    summary: "Count the patterns that are listened to",
    run: |cx, _| {
        cx.reply.int(cx.shared.pubsub.patterns.len() as i64);
        Ok(())
    },
    ..PUBSUB_CHANNELS
};

const HELP_LINES: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];

const PUBSUB_HELP: Command = Command {
    since: "6.2.0",
    ..help::subcommand("pubsub|help", PUBSUB_CHANNELS, HELP_LINES)
};
