//! What the configuration asks to listen on, and how it is opened.

use mio::Registry;

use crate::config::{Config, table};
use crate::host::{Host, ListenPlan, Logger};
use crate::net::{FIRST_LISTENER, FIRST_METRICS_LISTENER, Listeners};
use crate::os::error_text;

/// What clients connect to.
fn listen_plan(config: &Config) -> ListenPlan {
    let socket = config.path(table::UNIXSOCKET);
    let permissions = config.get(table::UNIXSOCKETPERM);
    ListenPlan {
        unixsocket: (!socket.as_os_str().is_empty()).then_some(socket),
        unixsocketperm: (permissions != 0).then_some(permissions as u32),
        ..tcp(config, config.get(table::BIND), config.get(table::PORT))
    }
}

fn tcp(config: &Config, bind: &[Vec<u8>], port: i64) -> ListenPlan {
    let mark = config.get(table::SOCKET_MARK_ID);
    assert!(u16::try_from(port).is_ok(), "no port is {port}");
    ListenPlan {
        bind: bind
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
        port: port as u16,
        mark: (mark != 0).then_some(mark as u32),
        backlog: config.get(table::TCP_BACKLOG) as i32,
        unixsocket: None,
        unixsocketperm: None,
    }
}

/// Opens what clients connect to.
///
/// # Errors
/// The line to end with, or to log.
pub fn for_clients(
    config: &Config,
    host: &dyn Host,
    registry: &Registry,
    logger: &dyn Logger,
) -> Result<Listeners, String> {
    let opened = host.listen(&listen_plan(config), logger)?;
    register(Listeners::new(opened, FIRST_LISTENER), registry)
}

/// Opens the metrics port, if there is to be one.
///
/// # Errors
/// The line to end with, or to log.
pub fn for_metrics(
    config: &Config,
    host: &dyn Host,
    registry: &Registry,
    logger: &dyn Logger,
) -> Result<Option<Listeners>, String> {
    let plan = tcp(
        config,
        config.get(table::METRICS_BIND),
        config.get(table::METRICS_PORT),
    );
    if plan.port == 0 {
        return Ok(None);
    }
    let failed = |line: String| format!("Metrics port: {line}");
    let opened = host.listen(&plan, logger).map_err(failed)?;
    let listeners = Listeners::new(opened, FIRST_METRICS_LISTENER);
    register(listeners, registry).map(Some).map_err(failed)
}

fn register(mut listeners: Listeners, registry: &Registry) -> Result<Listeners, String> {
    let registered = listeners.register(registry);
    registered.map_err(|error| error_text(&error).to_string())?;
    Ok(listeners)
}
