//! Once a turn, and once a second.

use std::path::Path;

use cairn_engine::Engine;
use cairn_engine::persist::load::{DroppedKey, StreamPlace};
use cairn_engine::persist::save::Part;
use cairn_replication::ReplId;
use cairn_replication::primary::{Action, Filter, Level, PeerId, State, Timing, Wanted};
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::{failover, feed, pour, role, upstream};
use crate::config::table;
use crate::front::Front;
use crate::keeper::{Job, SyncEnd, Target};
use crate::net::{CHILD_NEWS, Cause};
use crate::os::error_text;
use crate::replication::{GETACK, Transfer, fresh_id};

/// Everything that changed in this turn enters the stream, and who follows it is visited. Call it when the log is written.
#[inline]
pub fn settle(engine: &mut Engine, front: &mut Front) {
    if front.replication.is_at_work() || front.keeper.ended_snapshot.is_some() {
        settle_stream(engine, front);
    }
}

/// Not inlined, so that the turn of a server that is alone is short.
#[inline(never)]
fn settle_stream(engine: &mut Engine, front: &mut Front) {
    front.attach_stream();
    engine.ks.fx.feed_on = front.journal.is_read();
    if !front.replication.primary.streams() && front.keeper.ended_snapshot.is_none() {
        // What is to be logged may be left.
        return act(front, None);
    }
    let now_ms = engine.mono_us() / 1000;
    match front.keeper.ended_snapshot.take() {
        Some(end) if front.replication.pouring.is_some() => pour::child_ended(front, end),
        Some(SyncEnd::File(path)) => {
            front.replication.primary.snapshot_ended(true, now_ms);
            act(front, Some(&path));
            remove_dump_if_unwanted(front);
        }
        Some(SyncEnd::Piped | SyncEnd::Failed) => {
            front.replication.primary.snapshot_ended(false, now_ms);
        }
        None => {}
    }
    if let Some(well) = pour::go_on(front) {
        front.replication.primary.snapshot_ended(well, now_ms);
    }
    begin_snapshot(engine, front, now_ms);
    act(front, None);
    if std::mem::take(&mut front.replication.wants_acks) {
        front.enter_stream(None, GETACK);
    }
    front.replication.flush();
    front.saving().note_much_progress();
    front.replication.primary.note_time(now_ms);
    let syncing: Vec<PeerId> = front.replication.primary.syncing().collect();
    for peer in syncing {
        feed::is_beyond_limit(front, peer as usize, now_ms);
    }
    let behind: Vec<PeerId> = front.replication.primary.behind().collect();
    for peer in behind {
        front.clients.connections.mark_touched(peer as usize);
    }
}

/// `rdb-del-sync-files`: without any persistence a snapshot that was only there to be sent or received does not stay.
pub(super) fn remove_dump_if_unwanted(front: &mut Front) {
    let config = &front.settings.config;
    let unwanted = config.get(table::RDB_DEL_SYNC_FILES)
        && config.get(table::SAVE).is_empty()
        && !config.get(table::APPENDONLY);
    if unwanted {
        let dump = front.saving().snapshot_path();
        // It may be gone already.
        let _ = front.host.disk().remove(&dump);
    }
}

fn begin_snapshot(engine: &mut Engine, front: &mut Front, now_ms: u64) {
    let is_busy = front.keeper.work.is_some() || front.replication.pouring.is_some();
    if is_busy || front.keeper.loading || front.ending.is_some() {
        return;
    }
    let Some(wanted) = front.replication.primary.wanted(now_ms) else {
        return;
    };
    let target = target(front, &wanted);
    if target != Target::Dump && !is_time(front, &wanted) {
        return;
    }
    let kind = match target {
        Target::Dump => "disk",
        Target::Replicas => "replicas sockets",
    };
    front
        .log
        .notice(format_args!("Starting BGSAVE for SYNC with target: {kind}"));
    let part = match wanted.filter {
        Filter::Everything => Part::Everything,
        Filter::Functions => Part::Libraries,
        Filter::Nothing => Part::Nothing,
    };
    // Who reads from here on knows no database.
    front.replication.flush();
    front.saving().say_db_again();
    match front
        .saving()
        .begin_sync(&mut engine.ks, target, wanted.reads, part)
    {
        Ok(pipe) => {
            watch_child(front);
            let marker = pipe.map(|pipe| pour::begin(front, pipe));
            let primary = &mut front.replication.primary;
            primary.snapshot_began(wanted.filter, marker);
        }
        Err(error) => {
            let reason = error.0.strip_prefix("ERR ").unwrap_or(&error.0).to_owned();
            front
                .log
                .warning(format_args!("BGSAVE for replication failed: {reason}"));
            let reason = format!("BGSAVE failed, replication can't continue: {reason}");
            front.replication.primary.snapshot_refused(&reason);
        }
    }
}

/// The poll tells when the child has news. Where it cannot be watched, it is looked after with other timed work.
fn watch_child(front: &mut Front) {
    let work = front.keeper.work.as_ref();
    if let Some(fd) = work.and_then(|work| work.child.news_fd()) {
        let registry = &front.clients.registry;
        let _ = registry.register(&mut SourceFd(&fd), Token(CHILD_NEWS), Interest::READABLE);
    }
}

/// `repl-diskless-sync`: the child's snapshot goes to sockets only, if all who wait understand a marker.
fn target(front: &Front, wanted: &Wanted) -> Target {
    let config = &front.settings.config;
    let is_diskless = config.get(table::REPL_DISKLESS_SYNC) && wanted.eof;
    match is_diskless || wanted.filter != Filter::Everything {
        true => Target::Replicas,
        false => Target::Dump,
    }
}

/// More replicas may be about to come.
fn is_time(front: &Front, wanted: &Wanted) -> bool {
    let config = &front.settings.config;
    let delay_ms = config.milliseconds(table::REPL_DISKLESS_SYNC_DELAY);
    let enough = config.get(table::REPL_DISKLESS_SYNC_MAX_REPLICAS) as usize;
    wanted.waited_ms >= delay_ms || (enough > 0 && wanted.replicas >= enough)
}

/// Does what the primary's machine asks for. `snapshot`: the one that has just ended.
fn act(front: &mut Front, snapshot: Option<&Path>) {
    for action in front.replication.primary.take_actions() {
        match action {
            Action::Send(peer, bytes) => front.clients.send(peer as usize, &bytes),
            Action::Enter(command) => front.enter_stream(None, &command),
            Action::Replay { peer, from, until } => begin_replay(front, peer as usize, from, until),
            Action::Transfer(peer) => begin_transfer(front, peer as usize, snapshot),
            Action::Close(peer) => front.clients.connections.end(peer as usize, Cause::Cut),
            Action::Dismiss(peer) => front
                .clients
                .connections
                .end(peer as usize, Cause::LastReply),
            Action::Log(Level::Notice, line) => front.log.notice(format_args!("{line}")),
            Action::Log(Level::Warning, line) => front.log.warning(format_args!("{line}")),
        }
    }
}

fn begin_transfer(front: &mut Front, slot: usize, snapshot: Option<&Path>) {
    let disk = front.host.disk();
    let opened = snapshot.map(|path| Ok::<_, std::io::Error>((disk.open(path)?, disk.size(path)?)));
    match opened {
        Some(Ok((file, Some(left)))) => {
            let head = format!("${left}\r\n");
            front.clients.send(slot, head.as_bytes());
            front.replication.transfers.push(Transfer {
                slot,
                file,
                left,
                of_log: false,
            });
        }
        other => {
            front.log.warning(format_args!(
                "The snapshot for a replica cannot be read: {:?}",
                other.map(|opened| opened.map(|(_, size)| size))
            ));
            front.clients.connections.end(slot, Cause::Cut);
        }
    }
}

/// A replica goes on where the log is, up to where the backlog begins.
fn begin_replay(front: &mut Front, slot: usize, from: u64, until: u64) {
    match front.saving().read_stream(from) {
        Ok(stream) => front.replication.transfers.push(Transfer {
            slot,
            file: Box::new(stream),
            left: until - from,
            of_log: true,
        }),
        Err(error) => {
            front.log.warning(format_args!(
                "The append only file cannot be read for a replica: {}",
                error_text(&error)
            ));
            front.clients.connections.end(slot, Cause::Cut);
        }
    }
}

/// Connects to the primary, if there is one and it is time to.
pub fn connect(engine: &mut Engine, front: &mut Front) {
    let now_ms = front.host.clock().monotonic_us() / 1000;
    upstream::try_again(engine, front, now_ms);
}

/// Timed work of replication, as often as there is timed work: what is due once a second is done once a second.
pub fn tick(engine: &mut Engine, front: &mut Front) {
    let now_ms = front.host.clock().monotonic_us() / 1000;
    failover::go_on(engine, front);
    connect(engine, front);
    if now_ms.saturating_sub(front.replication.ticked_ms) < 1000 {
        return;
    }
    front.replication.ticked_ms = now_ms;
    upstream::tick(engine, front, now_ms);
    let config = &front.settings.config;
    let timing = Timing {
        ping_ms: config.milliseconds(table::REPL_PING_REPLICA_PERIOD),
        timeout_ms: config.milliseconds(table::REPL_TIMEOUT),
        backlog_ttl_ms: config.milliseconds(table::REPL_BACKLOG_TTL),
        no_pings: front
            .replication
            .failover
            .as_ref()
            .is_some_and(|failover| failover.until_ms.is_some()),
        follows: front.replication.follows(),
        is_cut_off: front
            .replication
            .upstream
            .as_ref()
            .is_some_and(|upstream| !upstream.link.is_up()),
    };
    let fresh = fresh_id(&*front.host);
    front.replication.primary.tick(now_ms, &timing, fresh);
    front.saving().note_progress(1);
    pour::drop_stuck(front, now_ms, timing.timeout_ms);
    act(front, None);
    role::refresh_gate(front, &mut engine.shared.gate);
}

/// A connection has ended: whoever was on it is gone.
pub fn closed(engine: &mut Engine, front: &mut Front, slot: usize) {
    let now_ms = engine.mono_us() / 1000;
    if front.replication.is_upstream(slot) {
        upstream::lost(engine, front, slot);
    }
    front.replication.transfers.retain(|one| one.slot != slot);
    if !front.replication.primary.gone(slot as PeerId, now_ms) {
        return;
    }
    let wanted = front.replication.primary.replicas().any(|replica| {
        matches!(
            replica.state,
            State::Snapshot { .. } | State::Streamed { .. }
        )
    });
    let for_replicas = front.keeper.work.as_ref().is_some_and(|work| {
        let saves = !front.settings.config.get(table::SAVE).is_empty();
        work.job == Job::Snapshot && work.for_sync && (work.target != Target::Dump || !saves)
    });
    if for_replicas && !wanted && front.replication.pouring.is_some() {
        pour::give_up(engine, front);
    } else if for_replicas && !wanted {
        front.log.notice(format_args!(
            "Nobody waits for the snapshot any more: its child ends"
        ));
        front.saving().kill_child(&mut engine.ks);
    }
    role::refresh_gate(front, &mut engine.shared.gate);
}

/// A start has read where the stream was. `place`: what the snapshot says; `dropped`: keys that have expired since.
pub fn restore(
    engine: &mut Engine,
    front: &mut Front,
    place: &StreamPlace,
    dropped: &[DroppedKey],
) {
    let (Some(id), Some(offset)) = (place.id.as_deref().and_then(ReplId::parse), place.offset)
    else {
        return;
    };
    front.log.notice(format_args!(
        "The snapshot is of the stream {id} at offset {offset}: replication may go on from there"
    ));
    if let Some(upstream) = &mut front.replication.upstream {
        upstream.db = place.db.unwrap_or(0);
        upstream.may_resume = true;
        upstream.is_known = true;
        front.replication.primary.copied(id, offset);
        return front.saving().note_place(false);
    }
    front.replication.primary.restored(id, offset);
    front.attach_stream();
    engine.ks.fx.feed_on = front.journal.is_read();
    // Those who come back have them.
    for (db, key) in dropped {
        engine.ks.fx.feed.push(*db, &[b"DEL", key]);
        engine.apply_effects(front);
    }
    front.replication.flush();
}
