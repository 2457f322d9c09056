//! Who is ready.

use std::io;
use std::time::Duration;

use mio::Registry;

/// What happened to one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The token that it was registered with.
    pub token: usize,
    /// There is something to read, or somebody to accept.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer closed its side, or the socket failed.
    pub hangup: bool,
}

/// Watches sockets. Edges: what is ready and was not before; who does not read or write until the socket says that it
/// would block is not told again.
pub trait Poller {
    /// Waits until something happens or `wait` is over (`None`: for ever), then adds what is ready to `ready`. Signals end
    /// the wait, too.
    fn poll(&mut self, ready: &mut Vec<Readiness>, wait: Option<Duration>) -> io::Result<()>;
    /// Where sockets of the system are registered. Others keep their token themselves when they are.
    fn registry(&self) -> &Registry;
}
