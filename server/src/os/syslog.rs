//! The system's log: datagrams to `/dev/log`, in the form of RFC 3164 that the C library sends.
//!
//! A socket for each line: nothing is shared between threads and children, and a daemon that was started again is found. A
//! line that the daemon does not take at once is lost; the server does not wait for it.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use crate::host::Level;

/// Longest line that is sent, bytes; longer ones are cut (as by the C library's own limit and most daemons').
const LINE_MAX: usize = 8192;

/// Where lines of the log are sent to as well.
#[derive(Debug)]
pub struct Syslog {
    socket: PathBuf,
    facility: u8,
    ident: String,
}

impl Syslog {
    /// The system's daemon; lines are of the facility of this number and by this name.
    pub fn new(facility: u8, ident: String) -> Syslog {
        Syslog::at("/dev/log".into(), facility, ident)
    }

    fn at(socket: PathBuf, facility: u8, ident: String) -> Syslog {
        Syslog {
            socket,
            facility,
            ident,
        }
    }

    /// Whether somebody listens.
    ///
    /// # Errors
    /// Why lines will be lost, for as long as nobody does.
    pub fn probe(&self) -> Result<(), String> {
        UnixDatagram::unbound()
            .and_then(|socket| socket.connect(&self.socket))
            .map_err(|error| format!("{}: {}", self.socket.display(), super::error_text(&error)))
    }

    /// Sends a line. `stamp` is local time as `Nov 28 19:00:00`.
    pub fn send(&self, level: Level, stamp: &str, message: &str) {
        let severity = match level {
            Level::Warning => 4,
            Level::Notice => 5,
            Level::Verbose => 6,
            Level::Debug => 7,
        };
        let mut line = format!(
            "<{}>{stamp} {}[{}]: {message}",
            self.facility * 8 + severity,
            self.ident,
            std::process::id()
        );
        line.truncate(line.floor_char_boundary(LINE_MAX));
        // A line that cannot be sent is lost: there is nowhere to tell it but the other log, which has it.
        let _ = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to(line.as_bytes(), &self.socket)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_facility_severity_name_and_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let syslog = Syslog::at(path.clone(), 19, "cache".into());
        assert!(syslog.probe().unwrap_err().contains("No such file"));
        syslog.send(Level::Warning, "Nov 28 19:00:00", "lost");
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.probe().unwrap();
        let pid = std::process::id();
        for (level, number) in [
            (Level::Warning, 156),
            (Level::Notice, 157),
            (Level::Verbose, 158),
            (Level::Debug, 159),
        ] {
            syslog.send(level, "Nov 28 19:00:00", "hello");
            let mut bytes = [0; 200];
            let count = daemon.recv(&mut bytes).unwrap();
            let expected = format!("<{number}>Nov 28 19:00:00 cache[{pid}]: hello");
            assert_eq!(String::from_utf8_lossy(&bytes[..count]), expected);
        }
        syslog.send(Level::Notice, "Nov 28 19:00:00", &"ä".repeat(LINE_MAX));
        let mut bytes = vec![0; 2 * LINE_MAX];
        let count = daemon.recv(&mut bytes).unwrap();
        assert!(count <= LINE_MAX && std::str::from_utf8(&bytes[..count]).is_ok());
        let user = Syslog::at(path, 1, String::new());
        user.send(Level::Notice, "s", "m");
        let count = daemon.recv(&mut bytes).unwrap();
        assert_eq!(bytes[..count], *format!("<13>s [{pid}]: m").as_bytes());
    }
}
