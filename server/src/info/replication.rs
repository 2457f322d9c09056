//! INFO replication: the role of this server, whom it follows and who follows it.

use std::fmt::Write;

use cairn_replication::ReplId;

use super::{Field, View, show};
use crate::config::table;

/// Those who follow, in number.
pub(super) const REPLICAS: &[Field] = &[(
    "connected_slaves",
    show!(|v| v.front.replication.primary.followers()),
)];

/// The fields behind the list of replicas.
pub(super) const REPLICATION: &[Field] = &[
    ("master_failover_state", |v| {
        let failover = v.front.replication.failover.as_ref();
        failover
            .map_or("no-failover", |failover| failover.state.word())
            .to_owned()
    }),
    (
        "master_replid",
        show!(|v| v.front.replication.primary.history().id()),
    ),
    ("master_replid2", |v| {
        let earlier = v.front.replication.primary.history().earlier();
        earlier
            .map_or(ReplId::NONE, |earlier| earlier.id)
            .to_string()
    }),
    (
        "master_repl_offset",
        show!(|v| v.front.replication.offset()),
    ),
    ("second_repl_offset", |v| {
        let earlier = v.front.replication.primary.history().earlier();
        earlier.map_or("-1".to_owned(), |earlier| earlier.until.to_string())
    }),
    (
        "repl_backlog_active",
        show!(|v| u8::from(v.front.replication.primary.streams())),
    ),
    (
        "repl_backlog_size",
        show!(|v| v.front.settings.config.get(table::REPL_BACKLOG_SIZE)),
    ),
    ("repl_backlog_first_byte_offset", |v| {
        let backlog = v.front.replication.primary.backlog();
        backlog.map_or(0, |backlog| backlog.first()).to_string()
    }),
    ("repl_backlog_histlen", |v| {
        let backlog = v.front.replication.primary.backlog();
        backlog.map_or(0, |backlog| backlog.len()).to_string()
    }),
];

/// What depends on the role: it stands before the fields.
pub(super) fn by_role(view: &View, out: &mut String) {
    let role = match view.front.replication.follows() {
        true => "slave",
        false => "master",
    };
    line(out, "role", role);
    upstream(view, out);
    replicas(view, out);
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // A string takes everything.
    let _ = write!(out, "{name}:{value}\r\n");
}

fn upstream(view: &View, out: &mut String) {
    let replication = &view.front.replication;
    let Some(upstream) = &replication.upstream else {
        return;
    };
    let (link, config) = (&upstream.link, &view.front.settings.config);
    let now_ms = view.now.mono_us / 1000;
    let seconds = |since: u64| (now_ms.saturating_sub(since) / 1000) as i64;
    let applied = replication.primary.history().offset();
    let input = upstream
        .slot
        .and_then(|slot| view.front.clients.connections.get(slot))
        .map_or(0, |connection| connection.input.len() as u64);
    line(out, "master_host", link.host());
    line(out, "master_port", link.port());
    let status = if link.is_up() { "up" } else { "down" };
    line(out, "master_link_status", status);
    let heard = match link.is_up() {
        true => seconds(link.heard_at_ms()),
        false => -1,
    };
    line(out, "master_last_io_seconds_ago", heard);
    line(out, "master_sync_in_progress", u8::from(link.is_syncing()));
    let read = match link.is_up() {
        true => applied + upstream.pending.len() as u64 + input,
        false => applied,
    };
    line(out, "slave_read_repl_offset", read);
    line(out, "slave_repl_offset", applied);
    if link.is_receiving() {
        let (all, got) = link.progress();
        let all = all.map_or(0, |all| all as i64);
        line(out, "master_sync_total_bytes", all);
        line(out, "master_sync_read_bytes", got);
        line(out, "master_sync_left_bytes", all - got as i64);
        let percent = got as f64 * 100.0 / (all as f64).max(1.0);
        line(out, "master_sync_perc", format!("{percent:.2}"));
        line(
            out,
            "master_sync_last_io_seconds_ago",
            seconds(link.heard_at_ms()),
        );
    }
    if !link.is_up() {
        let down = link.down_since_ms().map_or(-1, seconds);
        line(out, "master_link_down_since_seconds", down);
    }
    line(out, "slave_priority", config.get(table::REPLICA_PRIORITY));
    let flag = |on: bool| u8::from(on);
    line(
        out,
        "slave_read_only",
        flag(config.get(table::REPLICA_READ_ONLY)),
    );
    line(
        out,
        "replica_announced",
        flag(config.get(table::REPLICA_ANNOUNCED)),
    );
}

fn replicas(view: &View, out: &mut String) {
    let primary = &view.front.replication.primary;
    let config = &view.front.settings.config;
    let now_ms = view.now.mono_us / 1000;
    for (name, value) in REPLICAS {
        line(out, name, value(view));
    }
    let (wanted, max_lag) = (
        config.get(table::MIN_REPLICAS_TO_WRITE),
        config.get(table::MIN_REPLICAS_MAX_LAG),
    );
    if wanted > 0 && max_lag > 0 {
        line(
            out,
            "min_slaves_good_slaves",
            primary.good(now_ms, max_lag as u64),
        );
    }
    let shown = primary
        .replicas()
        .filter_map(|r| Some((r, r.state_word()?)));
    for (number, (replica, state)) in shown.enumerate() {
        let value = format!(
            "ip={},port={},state={state},offset={},lag={}",
            replica.address(),
            replica.port,
            replica.acked,
            replica.lag_s(now_ms)
        );
        line(out, &format!("slave{number}"), value);
        if replica.is_online() {
            let (bytes, ms) = primary.lag(replica, now_ms);
            let value = format!("bytes={bytes},ms={ms}");
            line(out, &format!("slave{number}_lag"), value);
        }
    }
}
