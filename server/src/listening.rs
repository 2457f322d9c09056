//! What the configuration asks to listen on, and how it is opened.

use mio::Registry;

use crate::config::{Config, table};
use crate::host::{Acceptor, Host, ListenPlan, Logger};
use crate::net::{FIRST_BUS_LISTENER, FIRST_LISTENER, FIRST_METRICS_LISTENER, Listeners};
use crate::os::error_text;
use crate::tls::{Encryption, TlsAcceptor};

/// How far the port of the bus is behind that of clients.
const BUS_OFFSET: u16 = 10_000;

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
        speech: "tcp",
    }
}

/// Opens a port for encrypted connections, if there is to be one.
fn encrypted(
    config: &Config,
    port: i64,
    host: &dyn Host,
    logger: &dyn Logger,
) -> Result<Vec<Box<dyn Acceptor>>, String> {
    let plan = ListenPlan {
        speech: "tls",
        ..tcp(config, config.get(table::BIND), port)
    };
    match plan.port {
        0 => Ok(Vec::new()),
        _ => host.listen(&plan, logger),
    }
}

/// Opens what clients connect to.
///
/// # Errors
/// The line to end with, or to log.
pub fn for_clients(
    config: &Config,
    encryption: &Encryption,
    host: &dyn Host,
    registry: &Registry,
    logger: &dyn Logger,
) -> Result<Listeners, String> {
    let mut opened = host.listen(&listen_plan(config), logger)?;
    let encrypted = encrypted(config, config.get(table::TLS_PORT), host, logger)?;
    let encrypted = encrypted.into_iter();
    opened.extend(encrypted.map(|inner| TlsAcceptor::of_clients(inner, encryption)));
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

/// Opens the port of the cluster's bus.
///
/// # Errors
/// The line to end with.
pub fn for_bus(
    config: &Config,
    encryption: &Encryption,
    host: &dyn Host,
    registry: &Registry,
    logger: &dyn Logger,
) -> Result<Listeners, String> {
    let port = bus_port(config)?;
    let failed = |line: String| format!("Cluster bus: {line}");
    let opened = match config.get(table::TLS_CLUSTER) {
        true => {
            let opened = encrypted(config, port, host, logger).map_err(failed)?;
            let opened = opened.into_iter();
            opened
                .map(|inner| TlsAcceptor::of_nodes(inner, encryption))
                .collect()
        }
        false => {
            let plan = tcp(config, config.get(table::BIND), port);
            host.listen(&plan, logger).map_err(failed)?
        }
    };
    register(Listeners::new(opened, FIRST_BUS_LISTENER), registry).map_err(failed)
}

/// The port of clients that other nodes are told first: that for TLS, if the bus is encrypted.
fn main_port(config: &Config) -> i64 {
    match config.get(table::TLS_CLUSTER) {
        true => config.get(table::TLS_PORT),
        false => config.get(table::PORT),
    }
}

/// The port of the cluster's bus.
///
/// # Errors
/// There is none that far behind the port of clients.
pub fn bus_port(config: &Config) -> Result<i64, String> {
    let port = match config.get(table::CLUSTER_PORT) {
        0 => main_port(config) + i64::from(BUS_OFFSET),
        port => port,
    };
    match port <= i64::from(u16::MAX) {
        true => Ok(port),
        false => Err(
            "Redis port number too high for cluster mode. Its cluster port is the port number plus 10000. Cluster port number must be less than or equal to 65535."
                .to_owned(),
        ),
    }
}

fn register(mut listeners: Listeners, registry: &Registry) -> Result<Listeners, String> {
    let registered = listeners.register(registry);
    registered.map_err(|error| error_text(&error).to_string())?;
    Ok(listeners)
}
