//! The connection to a primary: made, read, lost, tried again.

use std::io::{self, Write};

use cairn_engine::Engine;
use cairn_engine::base::id::SessionId;
use cairn_engine::session::Role;
use cairn_format::rdb::Dialect;
use cairn_format::resp::value::write_command;
use cairn_replication::link::{About, Failure, Order, Resume};

use super::{arrive, failover, role};
use crate::config::{Config, table};
use crate::front::Front;
use crate::net::Cause;
use crate::replication::Upstream;

/// Who was to take over does not.
const REJECTED: &str = "Failover target rejected psync request";

/// Connects, if it is time to.
pub(super) fn try_again(engine: &mut Engine, front: &mut Front, now_ms: u64) {
    let Some(upstream) = &front.replication.upstream else {
        return;
    };
    if !upstream.link.is_due(now_ms) || upstream.slot.is_some() || front.keeper.loading {
        return;
    }
    let (host, port) = (upstream.link.host().to_owned(), upstream.link.port());
    front
        .log
        .notice(format_args!("Connecting to MASTER {host}:{port}"));
    let is_encrypted = front.settings.config.get(table::TLS_REPLICATION);
    let (slot, session) = match dial(engine, front, (&host, port, is_encrypted), Role::Primary) {
        Ok(dialed) => dialed,
        Err(error) => {
            let reason = format!(
                "Unable to connect to MASTER: {}",
                crate::os::error_text(&error)
            );
            return note_failure(front, Failure::soon(reason), now_ms);
        }
    };
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    upstream.slot = Some(slot);
    upstream.session = Some(session);
    let first = upstream.link.connected(now_ms);
    front
        .log
        .notice(format_args!("MASTER <-> REPLICA sync started"));
    send(front, &first);
}

/// The port that a replica would be followed on.
fn own_port(config: &Config) -> i64 {
    match config.get(table::TLS_PORT) {
        port @ 1.. if config.get(table::TLS_REPLICATION) => port,
        _ => config.get(table::PORT),
    }
}

/// Begins a connection to another server (host, port, whether it is encrypted), which is served as those of clients are, on a session of
/// this role. Answers its place and its session.
///
/// # Errors
/// It cannot be begun.
pub fn dial(
    engine: &mut Engine,
    front: &mut Front,
    (host, port, is_encrypted): (&str, u16, bool),
    role: Role,
) -> io::Result<(usize, SessionId)> {
    let stream = front.connect(host, port, is_encrypted)?;
    let _ = stream.set_nodelay(true);
    let clients = &mut front.clients;
    let now_ms = engine.mono_us() / 1000;
    let slot = clients.connections.add(&clients.registry, stream, now_ms)?;
    let session = engine.open_session(front.now());
    if let Some(state) = engine.shared.sessions.get_mut(session) {
        state.authenticated = true;
        state.role = role;
    }
    front.clients.bind(slot, session);
    Ok((slot, session))
}

/// What this server says of itself.
fn about(front: &Front) -> About {
    let config = &front.settings.config;
    let announced = config.get(table::REPLICA_ANNOUNCE_PORT) as u16;
    let history = front.replication.primary.history();
    let may_resume = front
        .replication
        .upstream
        .as_ref()
        .is_some_and(|u| u.may_resume);
    About {
        user: config.get(table::MASTERUSER).to_vec(),
        password: config.get(table::MASTERAUTH).to_vec(),
        port: match announced {
            0 => own_port(config) as u16,
            port => port,
        },
        address: config.text(table::REPLICA_ANNOUNCE_IP).into_owned(),
        reads: u32::from(Dialect::NEWEST_REDIS.version()),
        resume: may_resume.then(|| Resume {
            id: history.id(),
            from: history.offset() + 1,
        }),
        failover: front.replication.failover.is_some(),
    }
}

fn send(front: &mut Front, bytes: &[u8]) {
    if let Some(slot) = front.replication.upstream.as_ref().and_then(|u| u.slot) {
        front.clients.send(slot, bytes);
    }
}

fn tell(front: &mut Front) {
    let lines = front
        .replication
        .upstream
        .as_mut()
        .map(|upstream| upstream.link.take_lines());
    for line in lines.unwrap_or_default() {
        front.log.notice(format_args!("{line}"));
    }
}

/// The link is down for this reason.
pub(super) fn note_failure(front: &mut Front, failure: Failure, now_ms: u64) {
    let mut jitter = [0; 8];
    front.host.random(&mut jitter);
    if let Some(upstream) = &mut front.replication.upstream {
        upstream
            .link
            .failed(failure, now_ms, u64::from_le_bytes(jitter));
    }
    tell(front);
}

/// It cannot go on: hangs up, and comes back later.
pub(super) fn fail(engine: &mut Engine, front: &mut Front, failure: Failure) {
    let now_ms = engine.mono_us() / 1000;
    let slot = front
        .replication
        .upstream
        .as_mut()
        .and_then(|u| u.slot.take());
    if let Some(slot) = slot {
        front.clients.connections.end(slot, Cause::Cut);
    }
    arrive::give_up(front);
    note_failure(front, failure, now_ms);
    role::refresh_gate(front, &mut engine.shared.gate);
}

/// The connection has ended.
pub(super) fn lost(engine: &mut Engine, front: &mut Front, slot: usize) {
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    debug_assert!(upstream.is_on(slot));
    upstream.slot = None;
    upstream.session = None;
    upstream.pending.clear();
    let Some(failure) = upstream.link.lost() else {
        // The snapshot is here whole: what follows it is asked for when it is loaded.
        return;
    };
    let now_ms = engine.mono_us() / 1000;
    arrive::give_up(front);
    note_failure(front, failure, now_ms);
    role::refresh_gate(front, &mut engine.shared.gate);
}

/// What has come from the primary, before commands do. What is a command stays.
pub fn read(engine: &mut Engine, front: &mut Front, slot: usize) {
    let now_ms = engine.mono_us() / 1000;
    // While a snapshot comes, which is read after read, nothing is said.
    let receives = |up: &Upstream| up.link.is_receiving();
    let about = match front.replication.upstream.as_ref().is_some_and(receives) {
        true => About::default(),
        false => about(front),
    };
    loop {
        let replication = &mut front.replication;
        let Some(upstream) = replication.upstream.as_mut().filter(|u| u.is_on(slot)) else {
            return;
        };
        let Some(connection) = front.clients.connections.get_mut(slot) else {
            return;
        };
        if upstream.link.is_up() || upstream.link.is_loading() {
            return;
        }
        let mut nowhere = Nowhere;
        let sink: &mut dyn Write = match &mut replication.load {
            Some(load) => &mut **load,
            None => &mut nowhere,
        };
        let bytes = connection.input.filled();
        let (taken, order) = match upstream.link.input(bytes, &about, now_ms, sink) {
            Ok(done) => done,
            Err(error) => {
                let reason = format!(
                    "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: {}",
                    crate::os::error_text(&error)
                );
                return fail(engine, front, Failure::later(reason));
            }
        };
        connection.input.consume(taken);
        front.replication.bytes.0 += taken as u64;
        tell(front);
        match order {
            Order::Wait if taken == 0 => return,
            Order::Wait => {}
            Order::Send(bytes) => send(front, &bytes),
            Order::Open(size) => {
                if let Err(reason) = arrive::open(engine, front, size) {
                    return fail(engine, front, Failure::later(reason));
                }
            }
            Order::Load => {
                if let Err(reason) = arrive::complete(front) {
                    return fail(engine, front, Failure::later(reason));
                }
            }
            Order::Continue(id) => {
                if let Some(id) = id {
                    front.replication.primary.renamed(id);
                }
                streams(engine, front);
                failover::done(engine, front);
            }
            Order::Reject => {
                // What the failover's end says is in the log once.
                fail(engine, front, Failure::soon("psync request rejected"));
                failover::abort(engine, front, REJECTED);
                return;
            }
            Order::Fail(failure) => return fail(engine, front, failure),
        }
    }
}

/// Commands come from now on.
pub(super) fn streams(engine: &mut Engine, front: &mut Front) {
    let offset = front.replication.primary.history().offset();
    front.replication.primary.keep_backlog();
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    upstream.may_resume = true;
    upstream.is_known = true;
    upstream.read_offset = offset;
    upstream.pending.clear();
    if let Some(state) = upstream
        .session
        .and_then(|session| engine.shared.sessions.get_mut(session))
    {
        state.db = upstream.db;
    }
    if let Some(slot) = upstream.slot {
        // Commands may have come with what was before them.
        front.clients.connections.mark_ready(slot);
    }
    front.saving().note_place(false);
    tell(front);
    role::refresh_gate(front, &mut engine.shared.gate);
}

/// Commands of the stream have run: these bytes, of which the first `whole` end a unit. They go to those who follow us, byte for
/// byte.
pub fn applied(front: &mut Front, db: usize, bytes: &[u8], whole: usize) {
    let replication = &mut front.replication;
    let Some(upstream) = &mut replication.upstream else {
        return;
    };
    let (unit, rest) = bytes.split_at(whole);
    if whole > 0 {
        upstream.db = db;
        if upstream.pending.is_empty() {
            replication.primary.stream(unit);
        } else {
            upstream.pending.extend_from_slice(unit);
            let pending = std::mem::take(&mut upstream.pending);
            replication.primary.stream(&pending);
        }
    }
    upstream.pending.extend_from_slice(rest);
    let offset = replication.primary.history().offset();
    upstream.read_offset = offset + upstream.pending.len() as u64;
    let position = front.journal.position();
    replication.marks.note(position, offset);
    if whole > 0 {
        front.saving().note_place(false);
    }
}

/// Once a second: says how far this server is, or that it lives, and looks whether the primary does.
pub(super) fn tick(engine: &mut Engine, front: &mut Front, now_ms: u64) {
    let timeout_ms = front.settings.config.milliseconds(table::REPL_TIMEOUT);
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    if let Some(failure) = upstream.link.tick(now_ms, timeout_ms) {
        return fail(engine, front, failure);
    }
    if upstream.link.is_loading() {
        send(front, b"\n");
    } else if upstream.link.is_up() {
        acknowledge(front);
    }
}

/// Tells the primary how far this server is.
pub fn acknowledge(front: &mut Front) {
    let offset = front.replication.primary.history().offset().to_string();
    let synced = match front.keeper.log_durable() {
        cairn_engine::call::ctx::Durable::NoLog => None,
        cairn_engine::call::ctx::Durable::Nothing => Some(0),
        cairn_engine::call::ctx::Durable::UpTo(position) => {
            Some(front.replication.marks.offset_within(position).unwrap_or(0))
        }
    };
    let synced = synced.map(|synced| synced.to_string());
    let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", offset.as_bytes()];
    if let Some(synced) = &synced {
        words.extend([&b"FACK"[..], synced.as_bytes()]);
    }
    let mut bytes = Vec::new();
    write_command(&mut bytes, &words);
    send(front, &bytes);
}

/// There is no place for bytes of a snapshot that nobody waits for: a fault of ours.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("no snapshot was begun"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The stream is no good: nobody knows what of it was lost, so that all is asked for anew.
pub fn broken(engine: &mut Engine, front: &mut Front, reason: &str) {
    if let Some(upstream) = &mut front.replication.upstream {
        upstream.may_resume = false;
    }
    fail(engine, front, Failure::later(format!("WARNING: {reason}")));
}
