//! Sockets that are listened on: TCP addresses of `bind`, and a unix socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::error_text;
use crate::host::{Acceptor, Level, ListenPlan, Logger, Stream};

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Opens everything in `plan`. See [`crate::host::Host::listen`].
pub fn open(plan: &ListenPlan, logger: &dyn Logger) -> Result<Vec<Box<dyn Acceptor>>, String> {
    let mut listeners: Vec<Box<dyn Acceptor>> = Vec::new();
    if plan.port != 0 {
        open_tcp(plan, &mut listeners, logger)?;
    }
    if let Some(path) = &plan.unixsocket {
        let listener = bind_unix(path, plan)
            .map_err(|error| format!("Failed opening Unix socket: bind: {}", error_text(&error)))?;
        listeners.push(Box::new(Listener::Unix(listener, path.clone())));
    }
    Ok(listeners)
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix(listener, _) => listener,
        }
    }
}

impl Source for Listener {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.source().register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.source().reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.source().deregister(from)
    }
}

impl Acceptor for Listener {
    fn accept(&mut self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => Ok(Stream::Tcp(listener.accept()?.0)),
            Listener::Unix(listener, path) => Ok(Stream::Unix(
                listener.accept()?.0,
                path.display().to_string(),
            )),
        }
    }

    fn name(&self) -> String {
        match self {
            Listener::Tcp(_) => self
                .address()
                .map_or_else(|| "?".to_string(), |at| at.to_string()),
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(tcp) => tcp.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }

    fn close(&mut self) {
        if let Listener::Unix(_, path) = self {
            // On the way out: a failure leaves nothing that could still be done.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn open_tcp(
    plan: &ListenPlan,
    into: &mut Vec<Box<dyn Acceptor>>,
    logger: &dyn Logger,
) -> Result<(), String> {
    let before = into.len();
    for word in &plan.bind {
        let (optional, name) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        match bind_tcp(name, plan.port, plan.backlog) {
            Ok(listener) => {
                if let Some(mark) = plan.mark
                    && let Err(error) = set_mark(&listener, mark)
                {
                    let text = error_text(&error);
                    let line = format!(
                        "Warning: cannot mark {name}:{} with socket-mark-id {mark}: {text}",
                        plan.port
                    );
                    logger.log(Level::Warning, &line);
                }
                into.push(Box::new(Listener::Tcp(listener)));
            }
            Err(error) if may_be_missing(&error, optional) => {}
            Err(error) => {
                let text = error_text(&error);
                let line = format!(
                    "Warning: Could not create server TCP listening socket {name}:{}: bind: {text}",
                    plan.port
                );
                logger.log(Level::Warning, &line);
                return Err(failed_listening(plan));
            }
        }
    }
    if into.len() == before && !plan.bind.is_empty() {
        return Err(failed_listening(plan));
    }
    Ok(())
}

/// What is accepted has the mark of what was listened on.
fn set_mark(listener: &TcpListener, mark: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return socket2::SockRef::from(listener).set_mark(mark);
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}

fn failed_listening(plan: &ListenPlan) -> String {
    let (port, speech) = (plan.port, plan.speech);
    format!("Failed listening on port {port} ({speech}), aborting.")
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Lines(RefCell<Vec<String>>);

    impl Logger for Lines {
        fn log(&self, _: Level, line: &str) {
            self.0.borrow_mut().push(line.to_string());
        }
    }

    #[test]
    fn a_mark_is_set_or_its_absence_told() {
        let listener = bind_tcp("127.0.0.1", 0, 5).unwrap();
        // Marking needs CAP_NET_ADMIN; without it the listener stays, and the log says so.
        let marked = set_mark(&listener, 77);
        if marked.is_ok() {
            assert_eq!(socket2::SockRef::from(&listener).mark().unwrap(), 77);
        }
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let plan = ListenPlan {
            bind: vec!["127.0.0.1".into()],
            port,
            mark: Some(77),
            backlog: 5,
            unixsocket: None,
            unixsocketperm: None,
            speech: "tcp",
        };
        let (mut opened, lines) = (Vec::new(), Lines::default());
        open_tcp(&plan, &mut opened, &lines).unwrap();
        assert_eq!(opened.len(), 1);
        let told = lines.0.into_inner().concat();
        assert_eq!(
            told.contains("cannot mark 127.0.0.1"),
            marked.is_err(),
            "{told}"
        );
    }
}
