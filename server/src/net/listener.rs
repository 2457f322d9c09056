//! What the server listens on: TCP addresses of `bind`, and a unix socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Stream;
use crate::host::{Journal, Level};
use crate::os::error_text;

/// Connections accepted from one listener in one turn; the others wait for the next.
const ACCEPTS_PER_TURN: usize = 1000;

/// What to listen on, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenPlan {
    /// The words of `bind`: addresses or names, `*`, `::*`, each with `-` in front when it may be missing.
    pub bind: Vec<String>,
    /// TCP port; 0 for none.
    pub port: u16,
    /// Connections that may wait to be accepted (`tcp-backlog`).
    pub backlog: i32,
    /// Path of the unix socket (`unixsocket`).
    pub unixsocket: Option<PathBuf>,
    /// Its permissions (`unixsocketperm`); `None` leaves them to the umask.
    pub unixsocketperm: Option<u32>,
}

/// What an accept turn came to.
#[derive(Debug)]
pub enum Accepting {
    /// Nobody waits any more.
    Drained,
    /// The turn is over and more may wait: come again without an event.
    More,
    /// No descriptor or memory is left for another one: come again when some time has passed.
    Exhausted(io::Error),
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// The open listeners; the poll token of each is `first_token` plus its place.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<Listener>,
    first_token: usize,
}

impl Listeners {
    /// Opens everything in `plan`. An address that this machine does not have is passed over when its word begins
    /// with `-`. The error is the line to end with; what led to it is in the journal, both as Redis words them.
    pub fn open(
        plan: &ListenPlan,
        first_token: usize,
        journal: &dyn Journal,
    ) -> Result<Listeners, String> {
        let mut listeners = Vec::new();
        if plan.port != 0 {
            open_tcp(plan, &mut listeners, journal)?;
        }
        if let Some(path) = &plan.unixsocket {
            let listener = bind_unix(path, plan).map_err(|error| {
                format!("Failed opening Unix socket: bind: {}", error_text(&error))
            })?;
            listeners.push(Listener::Unix(listener, path.clone()));
        }
        Ok(Listeners {
            listeners,
            first_token,
        })
    }

    /// Puts all listeners under the poll's eyes.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(
                listener.source(),
                Token(self.first_token + place),
                Interest::READABLE,
            )?;
        }
        Ok(())
    }

    /// Number of listeners.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Whether nothing is listened on.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// The place of the listener that a poll token names.
    pub fn place_of(&self, token: Token) -> Option<usize> {
        token
            .0
            .checked_sub(self.first_token)
            .filter(|place| *place < self.listeners.len())
    }

    /// The addresses and paths listened on, for the log and INFO: `127.0.0.1:6379`, `[::]:6379`, `/run/redis.sock`.
    pub fn names(&self) -> Vec<String> {
        let name = |listener: &Listener| match listener {
            Listener::Tcp(tcp) => tcp
                .local_addr()
                .map_or_else(|_| "?".to_string(), |at| at.to_string()),
            Listener::Unix(_, path) => path.display().to_string(),
        };
        self.listeners.iter().map(name).collect()
    }

    /// The TCP addresses, with the port the system chose where 0 was asked for.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener {
            Listener::Tcp(tcp) => tcp.local_addr().ok(),
            Listener::Unix(..) => None,
        };
        self.listeners.iter().filter_map(address).collect()
    }

    /// Hands everyone who waits at the listener in `place` to `welcome`.
    pub fn accept(&mut self, place: usize, welcome: &mut dyn FnMut(Stream)) -> Accepting {
        // The place may be that of a listener which CONFIG SET bind has taken away meanwhile.
        let Some(listener) = self.listeners.get(place) else {
            return Accepting::Drained;
        };
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept() {
                Ok(stream) => welcome(stream),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Accepting::Drained,
                    // Whoever gave up while waiting is no reason to stop.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Accepting::Exhausted(error),
                },
            }
        }
        Accepting::More
    }

    /// Stops listening and takes the unix socket's file away.
    pub fn close(&mut self, registry: &Registry) {
        for mut listener in self.listeners.drain(..) {
            // On the way out: a failure leaves nothing that could still be done.
            let _ = registry.deregister(listener.source());
            if let Listener::Unix(_, path) = &listener {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix(listener, _) => listener,
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => Ok(Stream::Tcp(listener.accept()?.0)),
            Listener::Unix(listener, path) => Ok(Stream::Unix(
                listener.accept()?.0,
                path.display().to_string(),
            )),
        }
    }
}

fn open_tcp(
    plan: &ListenPlan,
    into: &mut Vec<Listener>,
    journal: &dyn Journal,
) -> Result<(), String> {
    let before = into.len();
    for word in &plan.bind {
        let (optional, name) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        match bind_tcp(name, plan.port, plan.backlog) {
            Ok(listener) => into.push(Listener::Tcp(listener)),
            Err(error) if may_be_missing(&error, optional) => {}
            Err(error) => {
                let text = error_text(&error);
                let line = format!(
                    "Warning: Could not create server TCP listening socket {name}:{}: bind: {text}",
                    plan.port
                );
                journal.log(Level::Warning, &line);
                return Err(failed_listening(plan.port));
            }
        }
    }
    if into.len() == before && !plan.bind.is_empty() {
        return Err(failed_listening(plan.port));
    }
    Ok(())
}

fn failed_listening(port: u16) -> String {
    format!("Failed listening on port {port} (tcp), aborting.")
}

/// A family of addresses that the system does not know is passed over always, a missing address only when the
/// configuration says so, as Redis does.
fn may_be_missing(error: &io::Error, optional: bool) -> bool {
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => optional,
        Some(code) => [
            libc::ENOPROTOOPT,
            libc::EPROTONOSUPPORT,
            libc::ESOCKTNOSUPPORT,
            libc::EPFNOSUPPORT,
            libc::EAFNOSUPPORT,
        ]
        .contains(&code),
        None => false,
    }
}

fn address_of(name: &str, port: u16) -> io::Result<SocketAddr> {
    match name {
        "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        _ => (name, port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
    }
}

fn bind_tcp(name: &str, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let address = address_of(name, port)?;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Both families may be bound to the same port only when this one does not take the other's connections.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn bind_unix(path: &Path, plan: &ListenPlan) -> io::Result<UnixListener> {
    // A socket left by a server that was killed is in the way; any other kind of file stays and fails the bind.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if let Some(mode) = plan.unixsocketperm {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(plan.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from_std(socket.into()))
}
