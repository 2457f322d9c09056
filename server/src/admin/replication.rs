//! The commands of replication: what a replica says to its primary (REPLCONF, PSYNC, SYNC), and who follows whom (REPLICAOF,
//! ROLE).

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::{Command, Ctx, Flags, Group};
use cairn_engine::session::Role;
use cairn_format::text::number::parse_i64;
use cairn_format::text::words::split_words;
use cairn_replication::primary::{Answer, Asked, Filter, Greeting, PeerId};

use crate::config::table;
use crate::front::client_line::Line;
use crate::front::{Front, access};
use crate::host::Address;
use crate::replication::{Failover, HandOver, fresh_id};
use crate::sync;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &REPLCONF, &PSYNC, &SYNC, &REPLICAOF, &SLAVEOF, &FAILOVER, &ROLE,
];

const ADMIN: Flags = Flags::ADMIN.and(Flags::NO_SCRIPT);

const REPLCONF: Command = Command {
    name: "replconf",
    group: Group::Server,
    since: "3.0.0",
    arity: -1,
    flags: ADMIN
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::ALLOW_BUSY),
    summary: "Say something of a replica to its primary, or of a primary to its replica",
    run: replconf,
    ..Command::BASE
};

/// The connection that a command came on, and where its other end is.
fn peer(cx: &mut Ctx) -> Option<(PeerId, String)> {
    let clients = access::clients(&mut *cx.inst);
    let slot = clients.connection_slot(cx.session.slot)?;
    let host = match clients.connections.get(slot)?.stream().peer() {
        Address::Tcp(address) => address.ip().to_canonical().to_string(),
        Address::Unix(path) => path,
    };
    Some((slot as PeerId, host))
}

fn replconf(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let Some((peer, host)) = peer(cx) else {
        return Ok(());
    };
    for at in (1..args.len()).step_by(2) {
        let value = args.at(at + 1);
        let option = args.at(at).to_ascii_lowercase();
        let word = match option.as_slice() {
            b"ack" => {
                acknowledged(cx, peer, args, at);
                return Ok(());
            }
            b"getack" => {
                if cx.session.role == Role::Primary {
                    access::whole(&mut *cx.inst).replication.is_asked = true;
                }
                return Ok(());
            }
            b"listening-port" => Greeting::Port(parse_i64(value).ok_or(error::NOT_INTEGER)?),
            b"ip-address" => Greeting::address(value).map_err(Error::text)?,
            b"capa" => Greeting::Capability(error::lossless(value)),
            b"version" => Greeting::Version(error::lossless(value)),
            b"rdb-only" => Greeting::RdbOnly(rdb_only(value)?),
            b"rdb-filter-only" => Greeting::Filter(filter(value)?),
            _ => {
                return Err(Error::text(format!(
                    "ERR Unrecognized REPLCONF option: {}",
                    error::lossless(args.at(at))
                )));
            }
        };
        access::whole(&mut *cx.inst)
            .replication
            .primary
            .greeted(peer, &host, word);
    }
    cx.reply.ok();
    Ok(())
}

/// `ACK offset [FACK offset]`: never answered, whoever says it and whatever it is.
fn acknowledged(cx: &mut Ctx, peer: PeerId, args: &Args, at: usize) {
    let number = |at: usize| {
        args.get(at)
            .and_then(parse_i64)
            .and_then(|n| u64::try_from(n).ok())
    };
    if cx.session.role != Role::Replica {
        return;
    }
    let front = access::whole(&mut *cx.inst);
    let now_ms = front.now().mono_us / 1000;
    let synced = match args.get(at + 2) {
        Some(word) if word.eq_ignore_ascii_case(b"fack") => number(at + 3),
        _ => None,
    };
    if let Some(offset) = number(at + 1) {
        front
            .replication
            .primary
            .acked(peer, offset, synced, now_ms);
        sync::refresh_gate(front, &mut cx.shared.gate);
    }
}

fn rdb_only(value: &[u8]) -> Result<bool, Error> {
    match parse_i64(value).ok_or(error::NOT_INTEGER)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new(
            "ERR value is out of range, value must between 0 and 1",
        )),
    }
}

fn filter(value: &[u8]) -> Result<Filter, Error> {
    let words = split_words(value).map_err(|_| Error::new("ERR Missing rdb-filter-only values"))?;
    let mut filter = Filter::Nothing;
    for word in words {
        if !word.eq_ignore_ascii_case(b"functions") {
            return Err(Error::text(format!(
                "ERR Unsupported rdb-filter-only option: {}",
                error::lossless(&word)
            )));
        }
        filter = Filter::Functions;
    }
    Ok(filter)
}

const PSYNC: Command = Command {
    name: "psync",
    group: Group::Server,
    since: "2.8.0",
    arity: -3,
    flags: ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI),
    summary: "Become a replica: go on with a stream where it was, or begin with a snapshot",
    run: psync,
    ..Command::BASE
};

const SYNC: Command = Command {
    name: "sync",
    since: "1.0.0",
    arity: 1,
    summary: "Become a replica: a snapshot, and the stream behind it",
    run: sync_whole,
    ..PSYNC
};

fn psync(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.session.role != Role::Client {
        return Ok(());
    }
    if args
        .get(3)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"failover"))
    {
        take_over(cx, args.at(1))?;
    }
    may_sync(cx)?;
    let Some(from) = parse_i64(args.at(2)) else {
        let host = peer(cx).map_or(String::new(), |(_, host)| host);
        access::log(&mut *cx.inst).warning(format_args!(
            "Replica {host} asks for synchronization but with a wrong offset"
        ));
        return Err(error::NOT_INTEGER);
    };
    let asked = Asked {
        id: args.at(1),
        from,
    };
    become_replica(cx, Some(asked))
}

/// The primary of this replica asks it to take over: it is promoted, and its primary goes on as a replica of it.
fn take_over(cx: &mut Ctx, id: &[u8]) -> Outcome {
    let front = access::whole(&mut *cx.inst);
    if !front.replication.follows() {
        return Err(Error::new("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !front.replication.primary.history().id().is(id) {
        return Err(Error::new(
            "ERR PSYNC FAILOVER replid must match my replid.",
        ));
    }
    front.log.warning(format_args!(
        "Failover request received for replid {}.",
        id.escape_ascii()
    ));
    sync::promote(front, cx.ks, &mut cx.shared.gate);
    front.log.notice(format_args!(
        "MASTER MODE enabled (failover request from a primary)"
    ));
    Ok(())
}

fn sync_whole(cx: &mut Ctx, _: &Args) -> Outcome {
    if cx.session.role != Role::Client {
        return Ok(());
    }
    may_sync(cx)?;
    become_replica(cx, None)
}

fn may_sync(cx: &mut Ctx) -> Outcome {
    let front = access::whole(&mut *cx.inst);
    let is_down = |up: &crate::replication::Upstream| !up.link.is_up();
    if front.replication.failover.is_some() {
        return Err(Error::new("NOMASTERLINK Can't SYNC while failing over"));
    }
    if front.replication.upstream.as_ref().is_some_and(is_down) {
        return Err(Error::new(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    if cx.reply.position() > 0 {
        return Err(Error::new(
            "ERR SYNC and PSYNC are invalid with pending output",
        ));
    }
    Ok(())
}

fn become_replica(cx: &mut Ctx, asked: Option<Asked>) -> Outcome {
    let Some((peer, host)) = peer(cx) else {
        return Ok(());
    };
    let front = access::whole(&mut *cx.inst);
    let now_ms = front.now().mono_us / 1000;
    let fresh = fresh_id(&*front.host);
    // What changed so far is before whatever it is sent.
    front.replication.flush();
    let kept = front.saving().log_reaches();
    let answer = front
        .replication
        .primary
        .sync(peer, &host, asked, fresh, kept, now_ms)
        .map_err(Error::new)?;
    if let Answer::Continue(line) = &answer {
        cx.reply.buf.extend_from_slice(line.as_bytes());
    }
    cx.session.role = Role::Replica;
    if let Some(connection) = front.clients.connections.get_mut(peer as usize) {
        connection.feeds = true;
        let at_once = !front.settings.config.get(table::REPL_DISABLE_TCP_NODELAY);
        // A socket that does not take it sends all the same.
        let _ = connection.stream().set_nodelay(at_once);
    }
    sync::refresh_gate(front, &mut cx.shared.gate);
    Ok(())
}

const REPLICAOF: Command = Command {
    name: "replicaof",
    group: Group::Server,
    since: "5.0.0",
    arity: 3,
    flags: ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::STALE),
    summary: "Follow another server, or nobody",
    run: replicaof,
    ..Command::BASE
};

const SLAVEOF: Command = Command {
    name: "slaveof",
    since: "1.0.0",
    ..REPLICAOF
};

fn replicaof(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.session.role == Role::Replica {
        return Err(Error::new(
            "ERR Command is not valid when client is a replica.",
        ));
    }
    let by = Line::of_running(cx, args).text();
    let front = access::whole(&mut *cx.inst);
    if front.cluster.is_some() {
        return Err(Error::new("ERR REPLICAOF not allowed in cluster mode."));
    }
    if front.replication.failover.is_some() {
        return Err(Error::new("ERR REPLICAOF not allowed while failing over."));
    }
    if front.keeper.loading && front.replication.upstream.is_none() {
        return Err(error::LOADING);
    }
    if args.is(1, "no") && args.is(2, "one") {
        if front.replication.follows() {
            sync::promote(front, cx.ks, &mut cx.shared.gate);
            front.log.notice(format_args!(
                "MASTER MODE enabled (user request from '{by}')"
            ));
        }
        cx.reply.ok();
        return Ok(());
    }
    let host = String::from_utf8_lossy(args.at(1)).into_owned();
    let port = parse_i64(args.at(2)).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(Error::new("ERR Invalid master port"))?;
    let is_same =
        |up: &crate::replication::Upstream| up.link.host() == host && up.link.port() == port;
    if front.replication.upstream.as_ref().is_some_and(is_same) {
        cx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    sync::follow(front, &mut cx.shared.gate, &host, port);
    front.log.notice(format_args!(
        "REPLICAOF {host}:{port} enabled (user request from '{by}')"
    ));
    cx.reply.ok();
    Ok(())
}

const FAILOVER: Command = Command {
    name: "failover",
    group: Group::Server,
    since: "6.2.0",
    arity: -1,
    flags: ADMIN.and(Flags::STALE),
    summary: "Hand the role of the primary to a replica that has everything",
    run: failover,
    ..Command::BASE
};

fn failover(cx: &mut Ctx, args: &Args) -> Outcome {
    let front = access::whole(&mut *cx.inst);
    if front.cluster.is_some() {
        return Err(Error::new(
            "ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.",
        ));
    }
    if args.len() == 2 && args.is(1, "abort") {
        let Some(failover) = &mut front.replication.failover else {
            return Err(Error::new("ERR No failover in progress."));
        };
        failover.aborted = true;
        cx.reply.ok();
        return Ok(());
    }
    let now_ms = front.now().mono_us / 1000;
    let failover = failover_of(args, now_ms)?;
    let replication = &front.replication;
    let refuse = |text: &'static str| Err(Error::new(text));
    if replication.failover.is_some() {
        return refuse("ERR FAILOVER already in progress.");
    }
    if replication.follows() {
        return refuse("ERR FAILOVER is not valid when server is a replica.");
    }
    if replication.primary.followers() == 0 {
        return refuse("ERR FAILOVER requires connected replicas.");
    }
    if failover.force && (failover.until_ms.is_none() || failover.target.is_none()) {
        return refuse(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        );
    }
    if let Some((host, port)) = &failover.target {
        let mut replicas = replication.primary.replicas();
        let found = replicas.find(|r| r.address() == host && r.port == i64::from(*port));
        match found {
            None => return refuse("ERR FAILOVER target HOST and PORT is not a replica."),
            Some(replica) if !replica.is_online() => {
                return refuse("ERR FAILOVER target replica is not online.");
            }
            Some(_) => {}
        }
    }
    sync::failover::begin(front, &mut cx.shared.gate, failover);
    cx.reply.ok();
    Ok(())
}

fn failover_of(args: &Args, now_ms: u64) -> Result<Failover, Error> {
    let mut failover = Failover {
        target: None,
        force: false,
        until_ms: None,
        state: HandOver::WaitingForSync,
        aborted: false,
    };
    let mut at = 1;
    while at < args.len() {
        let left = args.len() - at - 1;
        if args.is(at, "to") && left >= 2 && failover.target.is_none() {
            let port = parse_i64(args.at(at + 2)).ok_or(error::NOT_INTEGER)?;
            let port = u16::try_from(port).map_err(|_| error::SYNTAX)?;
            failover.target = Some((error::lossless(args.at(at + 1)), port));
            at += 3;
        } else if args.is(at, "timeout") && left >= 1 && failover.until_ms.is_none() {
            let timeout = parse_i64(args.at(at + 1)).ok_or(error::NOT_INTEGER)?;
            let timeout = u64::try_from(timeout).ok().filter(|ms| *ms > 0);
            let timeout =
                timeout.ok_or(Error::new("ERR FAILOVER timeout must be greater than 0"))?;
            failover.until_ms = Some(now_ms + timeout);
            at += 2;
        } else if args.is(at, "force") && !failover.force {
            failover.force = true;
            at += 1;
        } else {
            return Err(error::SYNTAX);
        }
    }
    Ok(failover)
}

const ROLE: Command = Command {
    name: "role",
    group: Group::Server,
    since: "2.8.12",
    arity: 1,
    flags: Flags::NO_SCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST),
    categories: Some(&["@admin", "@dangerous"]),
    summary: "Tell the place in the replication",
    run: role,
    ..Command::BASE
};

fn role(cx: &mut Ctx, _: &Args) -> Outcome {
    let front: &mut Front = access::whole(&mut *cx.inst);
    front.replication.flush();
    let primary = &front.replication.primary;
    if let Some(upstream) = &front.replication.upstream {
        cx.reply.array(5);
        cx.reply.bulk(b"slave");
        cx.reply.bulk(upstream.link.host().as_bytes());
        cx.reply.int(i64::from(upstream.link.port()));
        cx.reply.bulk(upstream.link.state_word().as_bytes());
        cx.reply.int(match upstream.link.is_up() {
            true => primary.history().offset() as i64,
            false => -1,
        });
        return Ok(());
    }
    let online: Vec<_> = primary
        .replicas()
        .filter(|replica| replica.is_online())
        .collect();
    cx.reply.array(3);
    cx.reply.bulk(b"master");
    cx.reply.int(primary.history().offset() as i64);
    cx.reply.array(online.len());
    for replica in online {
        cx.reply.array(3);
        cx.reply.bulk(replica.address().as_bytes());
        cx.reply.bulk(replica.port.to_string().as_bytes());
        cx.reply.bulk(replica.acked.to_string().as_bytes());
    }
    Ok(())
}
