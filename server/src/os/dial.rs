//! Connections to other servers.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::host::Line;

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
pub fn dial(host: &str, port: u16, timeout: Duration) -> io::Result<Box<dyn Line>> {
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
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
