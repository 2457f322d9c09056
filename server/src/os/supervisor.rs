//! Whoever started the server and waits for its word: systemd over a socket, upstart by a signal.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::error_text;
use crate::host::Milestone;

/// Variables of the environment by which they show themselves.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// See [`NOTIFY_SOCKET`].
const UPSTART_JOB: &str = "UPSTART_JOB";

/// Who is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nobody.
    Nobody,
    /// Whoever is there.
    Anybody,
    /// systemd.
    Systemd,
    /// upstart.
    Upstart,
}

/// Who waits for a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supervisor {
    /// Nobody.
    Nobody,
    /// systemd, at this socket: a path, or with `@` in front a name of its own kind.
    Systemd(OsString),
    /// upstart, which waits until the process stops itself.
    Upstart,
}

impl Supervisor {
    /// Finds who it is.
    ///
    /// # Errors
    /// A line for the log: that one is not there.
    pub fn find(asked: Asked) -> Result<Supervisor, String> {
        Supervisor::choose(
            asked,
            std::env::var_os(NOTIFY_SOCKET),
            std::env::var_os(UPSTART_JOB),
        )
    }

    fn choose(
        asked: Asked,
        socket: Option<OsString>,
        job: Option<OsString>,
    ) -> Result<Supervisor, String> {
        let systemd = socket
            .filter(|name| !name.is_empty())
            .map(Supervisor::Systemd);
        let upstart = job.map(|_| Supervisor::Upstart);
        match asked {
            Asked::Nobody => Ok(Supervisor::Nobody),
            Asked::Anybody => Ok(upstart.or(systemd).unwrap_or(Supervisor::Nobody)),
            Asked::Systemd => systemd.ok_or_else(|| missing("systemd", NOTIFY_SOCKET)),
            Asked::Upstart => upstart.ok_or_else(|| missing("upstart", UPSTART_JOB)),
        }
    }

    /// Tells that a point was reached.
    ///
    /// # Errors
    /// Why it could not be told.
    pub fn tell(&self, milestone: Milestone) -> Result<(), String> {
        match (self, milestone) {
            (Supervisor::Systemd(socket), _) => notify(socket, &news(milestone))
                .map_err(|error| format!("{}: {}", socket.display(), error_text(&error))),
            (Supervisor::Upstart, Milestone::Ready) => {
                // SAFETY: a signal to ourselves; the process goes on here when it is continued.
                unsafe { libc::raise(libc::SIGSTOP) };
                Ok(())
            }
            (Supervisor::Upstart | Supervisor::Nobody, _) => Ok(()),
        }
    }
}

fn missing(name: &str, variable: &str) -> String {
    format!("{name} supervision requested, but {variable} not found")
}

/// What systemd is sent.
fn news(milestone: Milestone) -> String {
    let state = match milestone {
        Milestone::Initialized => "",
        Milestone::Ready | Milestone::Staying => "READY=1\n",
        Milestone::Stopping => "STOPPING=1\n",
    };
    format!("STATUS={milestone}\n{state}")
}

/// Sends a datagram. It does not wait: who does not take it in time goes without.
fn notify(name: &OsStr, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket
        .send_to_addr(text.as_bytes(), &address_of(name.as_bytes())?)
        .map(drop)
}

fn address_of(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(rest)
        }
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a path nor an abstract name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_is_the_one_that_is_asked_for_or_there() {
        let choose = |asked, socket: Option<&str>, job: Option<&str>| {
            Supervisor::choose(asked, socket.map(Into::into), job.map(Into::into))
        };
        let systemd = || Ok(Supervisor::Systemd("/run/x".into()));
        let socket = Some("/run/x");
        assert_eq!(
            choose(Asked::Nobody, socket, Some("j")),
            Ok(Supervisor::Nobody)
        );
        assert_eq!(choose(Asked::Anybody, None, None), Ok(Supervisor::Nobody));
        assert_eq!(
            choose(Asked::Anybody, Some(""), None),
            Ok(Supervisor::Nobody)
        );
        assert_eq!(choose(Asked::Anybody, socket, None), systemd());
        assert_eq!(
            choose(Asked::Anybody, socket, Some("j")),
            Ok(Supervisor::Upstart)
        );
        assert_eq!(choose(Asked::Systemd, socket, Some("j")), systemd());
        assert!(
            choose(Asked::Systemd, None, None)
                .unwrap_err()
                .contains("NOTIFY_SOCKET")
        );
        assert!(
            choose(Asked::Upstart, socket, None)
                .unwrap_err()
                .contains("UPSTART_JOB")
        );
    }

    #[test]
    fn news_reach_sockets_of_both_kinds_and_failures_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("@cairn-test-{}", std::process::id());
        for name in [path.clone().into_os_string(), abstract_name.into()] {
            let socket = UnixDatagram::bind_addr(&address_of(name.as_bytes()).unwrap()).unwrap();
            Supervisor::Systemd(name).tell(Milestone::Ready).unwrap();
            let mut bytes = [0; 100];
            let count = socket.recv(&mut bytes).unwrap();
            assert_eq!(
                bytes[..count].escape_ascii().to_string(),
                "STATUS=Ready to accept connections\\nREADY=1\\n"
            );
        }
        let long = format!("/{}", "x".repeat(200));
        for dead in [
            path.to_str().unwrap(),
            "/no/such",
            "vsock:2:1",
            "",
            long.as_str(),
        ] {
            assert!(
                Supervisor::Systemd(dead.into())
                    .tell(Milestone::Stopping)
                    .is_err(),
                "{dead}"
            );
        }
    }
}
