//! INFO server, clients, cairn.

use cairn_engine::commands::connection::REDIS_VERSION;
use cairn_engine::keyspace::lru_clock;
use cairn_engine::tracking::Tracking;

use super::{Field, View, show, tracked, word};
use crate::config::table;
use crate::os::process;

/// `# Server`; the listeners follow.
pub(super) const SERVER: &[Field] = &[
    ("redis_version", show!(|_v| REDIS_VERSION)),
    ("redis_git_sha1", word!("00000000")),
    ("redis_git_dirty", word!("0")),
    (
        "redis_build_id",
        show!(|_v| concat!("cairn-", env!("CARGO_PKG_VERSION"))),
    ),
    ("redis_mode", show!(|v| v.front.settings.config.mode())),
    ("os", show!(|_v| process::system_name())),
    ("arch_bits", show!(|_v| usize::BITS)),
    ("monotonic_clock", |v| {
        v.front.host.clock().monotonic_source()
    }),
    ("multiplexing_api", |_| {
        if cfg!(any(target_os = "linux", target_os = "android")) {
            "epoll"
        } else {
            "kqueue"
        }
        .to_string()
    }),
    ("atomicvar_api", word!("rust")),
    ("gcc_version", word!("0.0.0")),
    ("process_id", show!(|v| v.front.host.pid())),
    ("process_supervised", word!("no")),
    ("run_id", |v| v.front.figures.run_id.clone()),
    (
        "tcp_port",
        show!(|v| match v.front.settings.config.get(table::PORT) {
            0 => v.front.settings.config.get(table::TLS_PORT),
            port => port,
        }),
    ),
    ("server_time_usec", show!(|v| v.now.wall_us)),
    ("uptime_in_seconds", show!(|v| uptime_s(v))),
    ("uptime_in_days", show!(|v| uptime_s(v) / 86_400)),
    (
        "hz",
        show!(|v| v.front.settings.hz(v.front.clients.connections.len())),
    ),
    (
        "configured_hz",
        show!(|v| v.front.settings.config.get(table::HZ)),
    ),
    ("lru_clock", show!(|v| lru_clock(v.now.wall_ms()))),
    ("executable", |_| {
        process::executable().display().to_string()
    }),
    ("config_file", |v| {
        v.front
            .settings
            .config
            .file()
            .map_or(String::new(), |path| path.display().to_string())
    }),
    (
        "io_threads_active",
        show!(|v| match v.front.clients.pool.is_active {
            true => v.front.clients.pool.len(),
            false => 0,
        }),
    ),
];

/// Seconds since the start.
fn uptime_s(view: &View) -> u64 {
    (view.now.mono_us - view.front.figures.started.mono_us) / 1_000_000
}

/// `listener0:name=tcp,bind=*,port=6379`, one for each kind.
pub(super) fn listeners(view: &View, text: &mut String) {
    if let Some(farewell) = &view.front.farewell {
        let now_ms = view.now.mono_us / 1000;
        let left = farewell.until_ms.saturating_sub(now_ms);
        text.push_str(&format!("shutdown_in_milliseconds:{left}\r\n"));
    }
    let config = &view.front.settings.config;
    let port = |text: &mut String, number: u8, name: &str, port: i64| {
        if port != 0 {
            text.push_str(&format!("listener{number}:name={name}"));
            for word in config.get(table::BIND) {
                text.push_str(&format!(",bind={}", String::from_utf8_lossy(word)));
            }
            text.push_str(&format!(",port={port}\r\n"));
        }
    };
    // Each kind has its number, whether or not there is one before it.
    port(text, 0, "tcp", config.get(table::PORT));
    let socket = config.path(table::UNIXSOCKET);
    if !socket.as_os_str().is_empty() {
        text.push_str(&format!(
            "listener1:name=unix,bind={}\r\n",
            socket.display()
        ));
    }
    port(text, 2, "tls", config.get(table::TLS_PORT));
}

/// `# Clients`.
pub(super) const CLIENTS: &[Field] = &[
    (
        "connected_clients",
        show!(|v| {
            let all = v.front.clients.connections.len();
            all.saturating_sub(v.front.replication.primary.followers())
        }),
    ),
    (
        "cluster_connections",
        show!(|v| v.front.cluster.as_ref().map_or(0, |c| c.bus.connections())),
    ),
    (
        "maxclients",
        show!(|v| v.front.settings.config.get(table::MAXCLIENTS)),
    ),
    (
        "client_recent_max_input_buffer",
        show!(|v| v.buffers().largest_input),
    ),
    (
        "client_recent_max_output_buffer",
        show!(|v| v.buffers().largest_output),
    ),
    (
        "blocked_clients",
        show!(|v| v.shared.sessions.iter().filter(|s| s.blocked).count()),
    ),
    ("tracking_clients", show!(|v| tracked(v, Tracking::clients))),
    (
        "clients_in_timeout_table",
        show!(|v| v.shared.deadlines.len()),
    ),
    ("total_blocking_keys", show!(|v| v.ks.waited_keys().0)),
    (
        "total_blocking_keys_on_nokey",
        show!(|v| v.ks.waited_keys().1),
    ),
];

/// `# Cairn`: what Redis does not have.
pub(super) const CAIRN: &[Field] = &[("cairn_version", show!(|_v| env!("CARGO_PKG_VERSION")))];
