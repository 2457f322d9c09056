//! Connections to other servers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::host::{Dialing, Line};

#[derive(Debug)]
struct TcpLine(TcpStream);

impl Read for TcpLine {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for TcpLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line for TcpLine {
    fn set_read_timeout(&mut self, after: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(after))
    }

    fn set_write_timeout(&mut self, after: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(after))
    }
}

/// See [`crate::host::Host::dial`].
pub fn dial(to: &Dialing<'_>) -> io::Result<Box<dyn Line>> {
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for address in (to.host, to.port).to_socket_addrs()? {
        match wait_for(address, to.from, to.timeout) {
            Ok(stream) => {
                // Without it the commands only leave a little later.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(TcpLine(stream)));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn wait_for(to: SocketAddr, from: &str, timeout: Duration) -> io::Result<TcpStream> {
    let socket = socket(to, from)?;
    socket.connect_timeout(&to.into(), timeout)?;
    Ok(socket.into())
}

fn socket(to: SocketAddr, from: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(from) = source(from, to) {
        // Best effort, as in Redis: an address that is not there leaves it to the system.
        let _ = socket.bind(&from.into());
    }
    Ok(socket)
}

/// See [`crate::host::Host::connect`]. The first address of the name is taken.
pub fn connect(to: &Dialing<'_>) -> io::Result<mio::net::TcpStream> {
    let address = (to.host, to.port).to_socket_addrs()?.next();
    let address = address.ok_or(io::ErrorKind::NotFound)?;
    let socket = socket(address, to.from)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(mio::net::TcpStream::from_std(socket.into())),
    }
}

/// The first address of the name that is of the other end's family, on any port.
fn source(name: &str, to: SocketAddr) -> Option<SocketAddr> {
    let mut found = (!name.is_empty()).then(|| (name, 0).to_socket_addrs().ok())??;
    found.find(|from| from.is_ipv4() == to.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_connection_comes_from_where_it_is_told_to_if_it_can() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (from, seen) in [
            ("", "127.0.0.1"),
            ("127.0.0.9", "127.0.0.9"),
            ("::1", "127.0.0.1"),
            // Not of this machine, and no address.
            ("192.0.2.1", "127.0.0.1"),
            ("no such name", "127.0.0.1"),
        ] {
            let timeout = Duration::from_secs(10);
            let to = Dialing {
                host: "127.0.0.1",
                port,
                from,
                timeout,
            };
            let line = dial(&to).unwrap();
            assert_eq!(
                listener.accept().unwrap().1.ip().to_string(),
                seen,
                "{from}"
            );
            drop(line);
        }
    }
}
