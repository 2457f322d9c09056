//! INFO memory, and MEMORY: what keys and the process take.

pub(super) mod command;
mod doctor;
mod stats;

use super::{Field, View, human, show};
use crate::config::table;
use crate::host::AllocatorStats;
use crate::os::alloc;
use crate::os::process;

/// Memory that is neither keys nor values.
fn used(view: &View) -> u64 {
    view.used
}

fn resident(view: &View) -> u64 {
    view.memory.resident
}

fn peak(view: &View) -> u64 {
    view.front.figures.memory.peak
}

fn startup(view: &View) -> u64 {
    view.front.figures.memory.at_start
}

fn overhead(view: &View) -> u64 {
    startup(view)
        + view.ks.table_bytes() as u64
        + clients(view)
        + log_buffer(view)
        + stream(view).0
        + machines(view)
        + scripts(view)
}

/// Memory of the machines of scripts and functions.
fn machines(view: &View) -> u64 {
    (view.shared.scripts.vm_bytes() + view.ks.libraries.vm_bytes()) as u64
}

/// Memory of scripts and functions beside their machines.
fn scripts(view: &View) -> u64 {
    (view.shared.scripts.script_bytes() + view.ks.libraries.bytes()) as u64
}

fn dataset(view: &View) -> u64 {
    used(view).saturating_sub(overhead(view))
}

fn clients(view: &View) -> u64 {
    view.buffers().bytes as u64
}

/// Memory of the stream of changes: all of it, and what may be kept for replicas that come back.
fn stream(view: &View) -> (u64, u64) {
    view.front.replication.memory()
}

/// What is kept of it because some replica is behind. It goes by itself: to evict keys for it would only add to it.
fn beyond_backlog(view: &View) -> u64 {
    let (all, kept) = stream(view);
    all - kept
}

/// What replicas take: their connections, and what is kept for those that are behind.
fn replicas(view: &View) -> u64 {
    if view.front.replication.primary.followers() == 0 {
        return 0;
    }
    let buffers = view
        .front
        .replication
        .primary
        .replicas()
        .filter_map(|replica| view.front.clients.connections.get(replica.peer as usize))
        .map(|connection| connection.output.memory() as u64);
    buffers.sum::<u64>() + beyond_backlog(view)
}

/// Memory of what of the log waits to be written.
fn log_buffer(view: &View) -> u64 {
    view.front
        .keeper
        .append
        .as_ref()
        .map_or(0, |open| open.log.buffer_memory() as u64)
}

/// Bytes that a key takes on average, with its value and its share of everything but the start.
fn keys_mean(view: &View) -> u64 {
    used(view).saturating_sub(startup(view)) / (view.ks.total_keys() as u64).max(1)
}

/// Percent.
fn part(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn fraction(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

fn difference(a: u64, b: u64) -> i64 {
    a as i64 - b as i64
}

fn percent(a: u64, b: u64) -> String {
    format!("{:.2}%", part(a, b))
}

fn ratio(a: u64, b: u64) -> String {
    format!("{:.2}", fraction(a, b))
}

/// The allocator's own view. Without statistics everything is what the counters of the threads say.
fn stats(view: &View) -> AllocatorStats {
    view.memory.allocator.unwrap_or_else(|| {
        let used = used(view);
        let resident = resident(view);
        AllocatorStats {
            allocated: used,
            active: used,
            resident,
            retained: 0,
            metadata: 0,
        }
    })
}

/// `# Memory`.
pub(super) const MEMORY: &[Field] = &[
    ("used_memory", show!(|v| used(v))),
    ("used_memory_human", |v| human(used(v))),
    ("used_memory_rss", show!(|v| resident(v))),
    ("used_memory_rss_human", |v| human(resident(v))),
    ("used_memory_peak", show!(|v| peak(v))),
    ("used_memory_peak_human", |v| human(peak(v))),
    ("used_memory_peak_perc", |v| percent(used(v), peak(v))),
    ("used_memory_overhead", show!(|v| overhead(v))),
    ("used_memory_startup", show!(|v| startup(v))),
    ("used_memory_dataset", show!(|v| dataset(v))),
    ("used_memory_dataset_perc", |v| {
        percent(dataset(v), used(v).saturating_sub(startup(v)))
    }),
    ("allocator_allocated", show!(|v| stats(v).allocated)),
    ("allocator_active", show!(|v| stats(v).active)),
    ("allocator_resident", show!(|v| stats(v).resident)),
    ("total_system_memory", show!(|_v| process::total_memory())),
    ("total_system_memory_human", |_| {
        human(process::total_memory())
    }),
    ("used_memory_lua", show!(|v| v.shared.scripts.vm_bytes())),
    (
        "used_memory_vm_eval",
        show!(|v| v.shared.scripts.vm_bytes()),
    ),
    ("used_memory_lua_human", |v| {
        human(v.shared.scripts.vm_bytes() as u64)
    }),
    (
        "used_memory_scripts_eval",
        show!(|v| v.shared.scripts.script_bytes()),
    ),
    (
        "number_of_cached_scripts",
        show!(|v| v.shared.scripts.len()),
    ),
    ("number_of_functions", show!(|v| v.ks.libraries.functions())),
    ("number_of_libraries", show!(|v| v.ks.libraries.len())),
    (
        "used_memory_vm_functions",
        show!(|v| v.ks.libraries.vm_bytes()),
    ),
    ("used_memory_vm_total", show!(|v| machines(v))),
    ("used_memory_vm_total_human", |v| human(machines(v))),
    ("used_memory_functions", show!(|v| v.ks.libraries.bytes())),
    ("used_memory_scripts", show!(|v| scripts(v))),
    ("used_memory_scripts_human", |v| human(scripts(v))),
    (
        "maxmemory",
        show!(|v| v.front.settings.config.get(table::MAXMEMORY)),
    ),
    ("maxmemory_human", |v| {
        human(v.front.settings.config.get(table::MAXMEMORY))
    }),
    ("maxmemory_policy", |v| {
        v.front
            .settings
            .config
            .get(table::MAXMEMORY_POLICY)
            .word()
            .to_string()
    }),
    ("allocator_frag_ratio", |v| {
        ratio(stats(v).active, stats(v).allocated)
    }),
    (
        "allocator_frag_bytes",
        show!(|v| difference(stats(v).active, stats(v).allocated)),
    ),
    ("allocator_rss_ratio", |v| {
        ratio(stats(v).resident, stats(v).active)
    }),
    (
        "allocator_rss_bytes",
        show!(|v| difference(stats(v).resident, stats(v).active)),
    ),
    ("rss_overhead_ratio", |v| {
        ratio(resident(v), stats(v).resident)
    }),
    (
        "rss_overhead_bytes",
        show!(|v| difference(resident(v), stats(v).resident)),
    ),
    ("mem_fragmentation_ratio", |v| ratio(resident(v), used(v))),
    (
        "mem_fragmentation_bytes",
        show!(|v| difference(resident(v), used(v))),
    ),
    (
        "mem_not_counted_for_evict",
        show!(|v| log_buffer(v) + beyond_backlog(v)),
    ),
    ("mem_replication_backlog", show!(|v| stream(v).1)),
    ("mem_total_replication_buffers", show!(|v| stream(v).0)),
    ("mem_clients_slaves", show!(|v| replicas(v))),
    ("mem_clients_normal", show!(|v| clients(v))),
    (
        "mem_cluster_links",
        show!(|v| v.front.cluster.as_ref().map_or(0, |c| c.bus.mem_bytes())),
    ),
    ("mem_aof_buffer", show!(|v| log_buffer(v))),
    ("mem_allocator", show!(|_v| alloc::name())),
    (
        "active_defrag_running",
        show!(|v| v.front.figures.defrag.running),
    ),
    (
        "lazyfree_pending_objects",
        show!(|v| v.ks.ledger().pending()),
    ),
    ("lazyfreed_objects", show!(|v| v.ks.ledger().freed())),
];
