//! What the configuration asks to listen on.

use crate::config::{Config, table};
use crate::host::ListenPlan;

/// What the configuration asks to listen on.
pub fn listen_plan(config: &Config) -> ListenPlan {
    let socket = config.path(table::UNIXSOCKET);
    let mark = config.get(table::SOCKET_MARK_ID);
    let permissions = config.get(table::UNIXSOCKETPERM);
    ListenPlan {
        bind: config
            .get(table::BIND)
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
        port: config.get(table::PORT) as u16,
        mark: (mark != 0).then_some(mark as u32),
        backlog: config.get(table::TCP_BACKLOG) as i32,
        unixsocket: (!socket.as_os_str().is_empty()).then_some(socket),
        unixsocketperm: (permissions != 0).then_some(permissions as u32),
    }
}
