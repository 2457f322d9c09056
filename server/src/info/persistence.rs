//! INFO persistence.

use super::{Field, View, bit, ok, show, word};
use crate::keeper::{Job, Work};

/// The child that does this job.
fn work<'a>(view: &View<'a>, job: Job) -> Option<&'a Work> {
    view.front
        .keeper
        .work
        .as_ref()
        .filter(|work| work.job == job)
}

/// Seconds that a child has been at work; -1 without one.
fn seconds_of(view: &View, job: Job) -> String {
    let now_s = view.now.wall_ms() / 1000;
    work(view, job)
        .map_or(-1, |work| now_s - work.started_s)
        .to_string()
}

/// `# Persistence`; the figures of the log follow while it is on.
pub(super) const PERSISTENCE: &[Field] = &[
    ("loading", |v| bit(v.shared.gate.loading)),
    ("async_loading", |v| bit(v.shared.gate.async_loading)),
    (
        "current_cow_peak",
        show!(|v| v
            .front
            .keeper
            .work
            .as_ref()
            .map_or(0, |w| w.child.report().cow_peak)),
    ),
    (
        "current_cow_size",
        show!(|v| v
            .front
            .keeper
            .work
            .as_ref()
            .map_or(0, |w| w.child.report().cow)),
    ),
    // The child reports about once a second; how long ago the last report came is not kept.
    ("current_cow_size_age", word!("0")),
    ("current_fork_perc", |v| {
        let done = |w: &Work| w.child.report().keys as f64 * 100.0 / w.keys.max(1) as f64;
        format!("{:.2}", v.front.keeper.work.as_ref().map_or(0.0, done))
    }),
    (
        "current_save_keys_processed",
        show!(|v| v
            .front
            .keeper
            .work
            .as_ref()
            .map_or(0, |w| w.child.report().keys)),
    ),
    (
        "current_save_keys_total",
        show!(|v| v.front.keeper.work.as_ref().map_or(0, |w| w.keys)),
    ),
    ("rdb_changes_since_last_save", show!(|v| v.ks.dirty)),
    ("rdb_bgsave_in_progress", |v| {
        bit(v.front.keeper.is_saving())
    }),
    ("rdb_last_save_time", show!(|v| v.front.keeper.last_save_s)),
    ("rdb_last_bgsave_status", |v| {
        ok(v.front.keeper.last_save_ok)
    }),
    (
        "rdb_last_bgsave_time_sec",
        show!(|v| v.front.keeper.last_save_took_s),
    ),
    ("rdb_current_bgsave_time_sec", |v| {
        seconds_of(v, Job::Snapshot)
    }),
    ("rdb_saves", show!(|v| v.front.keeper.saves)),
    ("rdb_last_cow_size", show!(|v| v.front.keeper.last_save_cow)),
    (
        "rdb_last_load_keys_expired",
        show!(|v| v.front.keeper.last_load.1),
    ),
    (
        "rdb_last_load_keys_loaded",
        show!(|v| v.front.keeper.last_load.0),
    ),
    ("aof_enabled", |v| bit(v.front.keeper.log_is_on())),
    ("aof_rewrite_in_progress", |v| {
        bit(v.front.keeper.is_rewriting())
    }),
    ("aof_rewrite_scheduled", |v| {
        bit(v.front.keeper.rewrite_scheduled)
    }),
    (
        "aof_last_rewrite_time_sec",
        show!(|v| v.front.keeper.last_rewrite_took_s),
    ),
    ("aof_current_rewrite_time_sec", |v| {
        seconds_of(v, Job::Rewrite)
    }),
    ("aof_last_bgrewrite_status", |v| {
        ok(v.front.keeper.last_rewrite_ok)
    }),
    ("aof_rewrites", show!(|v| v.front.keeper.rewrites)),
    (
        "aof_rewrites_consecutive_failures",
        show!(|v| v.front.keeper.rewrite_failures),
    ),
    ("aof_last_write_status", |v| {
        ok(v.front
            .keeper
            .append
            .as_ref()
            .is_none_or(|open| open.log.refusal().is_none()))
    }),
    (
        "aof_last_cow_size",
        show!(|v| v.front.keeper.last_rewrite_cow),
    ),
    ("module_fork_in_progress", word!("0")),
    ("module_fork_last_cow_size", word!("0")),
];

/// Figures of the log while it is on.
pub(super) fn log(view: &View) -> Vec<(&'static str, u64)> {
    let keeper = &view.front.keeper;
    let Some(open) = &keeper.append else {
        return Vec::new();
    };
    vec![
        ("aof_current_size", open.size()),
        ("aof_base_size", open.base_size),
        ("aof_pending_rewrite", u64::from(keeper.rewrite_scheduled)),
        ("aof_buffer_length", open.log.buffered() as u64),
        ("aof_pending_bio_fsync", open.log.pending_syncs() as u64),
        ("aof_delayed_fsync", open.log.delayed()),
    ]
}

/// Figures of the log while it is on, and of the load while it goes on.
pub(super) fn extra(view: &View, text: &mut String) {
    for (name, value) in log(view) {
        text.push_str(&format!("{name}:{value}\r\n"));
    }
    if view.shared.gate.loading {
        let (done, all) = view.front.keeper.load_progress;
        let percent = done as f64 * 100.0 / all.max(1) as f64;
        text.push_str(&format!(
            "loading_total_bytes:{all}\r\nloading_loaded_bytes:{done}\r\nloading_loaded_perc:{percent:.2}\r\n"
        ));
    }
}
