//! Connections to other servers, which MIGRATE speaks over. They are used while the loop waits, and kept for a while:
//! keys are often moved in many small steps.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use cairn_engine::call::peer::{PeerAnswer, PeerCall, PeerFailure};
use cairn_format::resp::value::write_command;

use crate::host::{Clock, Dialing, Host, Line};
use crate::tls::Encryption;

/// A connection that was not used for so long is closed, milliseconds (as in Redis).
const KEPT_MS: u64 = 10_000;
/// Connections kept at most.
const KEPT_MAX: usize = 64;
/// Longest line taken for an answer, bytes.
const LINE_MAX: usize = 64 * 1024;

/// How connections are made.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The address that they come from, if there is one.
    pub from: &'a str,
    /// What encrypts them, if anything does.
    pub encryption: Option<&'a Encryption>,
}

/// The connections by host and port.
#[derive(Debug, Default)]
pub struct Peers {
    kept: HashMap<(Vec<u8>, Vec<u8>), Peer>,
}

impl Peers {
    /// Sends the commands of a call and reads their answers. A kept connection that turns out to be closed is made
    /// anew once, if nothing was answered on it. New ones are made along `way`.
    pub fn ask(&mut self, call: &PeerCall, way: &Way<'_>, host: &dyn Host) -> PeerAnswer {
        let clock = &**host.clock();
        let now_ms = clock.monotonic_us() / 1000;
        let name = (call.host.to_vec(), call.port.to_vec());
        if let Some(mut peer) = self.kept.remove(&name) {
            let answer = peer.ask(call, clock);
            let stale = answer.lines.is_empty() && answer.failure.is_some() && !peer.timed_out;
            if !stale || matches!(answer.failure, Some(PeerFailure::Refused(_))) {
                self.keep(name, peer, &answer, now_ms);
                return answer;
            }
        }
        match Peer::connect(call, way, host) {
            Ok(mut peer) => {
                let answer = peer.ask(call, clock);
                self.keep(name, peer, &answer, now_ms);
                answer
            }
            Err(failure) => PeerAnswer::failed(failure),
        }
    }

    /// Keeps a connection that is still in step.
    fn keep(&mut self, name: (Vec<u8>, Vec<u8>), mut peer: Peer, answer: &PeerAnswer, now_ms: u64) {
        // More than was asked for would be taken for the next answers.
        if answer.failure.is_some() || !peer.received.is_empty() {
            return;
        }
        if self.kept.len() >= KEPT_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, peer)| peer.used_ms);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.kept.remove(&oldest);
            }
        }
        debug_assert!(peer.used_ms <= now_ms, "used in the future");
        peer.used_ms = now_ms;
        let before = self.kept.insert(name, peer);
        debug_assert!(before.is_none(), "two connections to one server");
        debug_assert!(self.kept.len() <= KEPT_MAX);
    }

    /// How many connections are kept.
    pub fn count(&self) -> usize {
        self.kept.len()
    }

    /// Closes what was not used for ten seconds.
    pub fn forget_idle(&mut self, now_ms: u64) {
        self.kept
            .retain(|_, peer| now_ms.saturating_sub(peer.used_ms) < KEPT_MS);
    }
}

/// One connection.
#[derive(Debug)]
struct Peer {
    stream: Box<dyn Line>,
    /// Bytes received and not taken yet.
    received: Vec<u8>,
    /// The database selected there, as far as is known.
    db: Option<i64>,
    /// Monotonic milliseconds.
    used_ms: u64,
    /// The last failure was that the time was over.
    timed_out: bool,
}

impl Peer {
    fn connect(call: &PeerCall, way: &Way<'_>, world: &dyn Host) -> Result<Peer, PeerFailure> {
        let host = std::str::from_utf8(call.host).map_err(|_| PeerFailure::Connect)?;
        // As Redis: what is no number is port 0, which nobody listens on.
        let port = std::str::from_utf8(call.port).map_or(0, |text| text.parse().unwrap_or(0));
        let timeout = Duration::from_millis(call.timeout_ms);
        let to = Dialing {
            host,
            port,
            from: way.from,
            timeout,
        };
        let mut stream = world
            .dial(&to)
            .map_err(|error| match error.raw_os_error() {
                // Redis notices a refusal only when it writes.
                Some(_) if error.kind() != ErrorKind::TimedOut => PeerFailure::Write,
                // Nobody there, or no such name.
                _ => PeerFailure::Connect,
            })?;
        if let Some(encryption) = way.encryption {
            // The handshake is a part of the first write, and has its time.
            stream = encryption.over(stream).map_err(|_| PeerFailure::Connect)?;
            stream
                .set_read_timeout(timeout)
                .map_err(|_| PeerFailure::Connect)?;
        }
        Ok(Peer {
            stream,
            received: Vec::new(),
            db: None,
            used_ms: 0,
            timed_out: false,
        })
    }

    fn ask(&mut self, call: &PeerCall, clock: &dyn Clock) -> PeerAnswer {
        let mut opening = Vec::new();
        if !call.auth.is_empty() {
            let words: Vec<&[u8]> = std::iter::once(b"AUTH".as_slice())
                .chain(call.auth.iter().copied())
                .collect();
            write_command(&mut opening, &words);
        }
        let select = self.db != Some(call.db);
        if select {
            write_command(
                &mut opening,
                &[b"SELECT".as_slice(), call.db.to_string().as_bytes()],
            );
        }
        // Until everything is answered nobody knows where the connection stands.
        self.db = None;
        let timeout = Duration::from_millis(call.timeout_ms);
        let sent = self
            .send(&opening, timeout)
            .and_then(|()| self.send(call.commands, timeout));
        if let Err(error) = sent {
            self.note(&error);
            return PeerAnswer::failed(PeerFailure::Write);
        }
        let greetings = usize::from(!call.auth.is_empty()) + usize::from(select);
        self.answers(greetings, call, timeout, clock)
    }

    /// Reads the answers to AUTH and SELECT, then those of the commands.
    fn answers(
        &mut self,
        greetings: usize,
        call: &PeerCall,
        timeout: Duration,
        clock: &dyn Clock,
    ) -> PeerAnswer {
        let mut answer = PeerAnswer::default();
        for _ in 0..greetings {
            match self.line(timeout, clock) {
                Ok(line) if line.starts_with(b"-") => {
                    answer.failure = Some(PeerFailure::Refused(line));
                    return answer;
                }
                Ok(_) => {}
                Err(error) => {
                    self.note(&error);
                    answer.failure = Some(PeerFailure::Read);
                    return answer;
                }
            }
        }
        for _ in 0..call.count {
            match self.line(timeout, clock) {
                Ok(line) => answer.lines.push(line),
                Err(error) => {
                    self.note(&error);
                    answer.failure = Some(PeerFailure::Read);
                    return answer;
                }
            }
        }
        debug_assert_eq!(answer.lines.len(), call.count, "an answer for each command");
        self.db = Some(call.db);
        answer
    }

    fn note(&mut self, error: &io::Error) {
        self.timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    }

    fn send(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)?;
        self.stream.write_all(bytes)
    }

    /// The next line, without its end. The whole line has to come in time.
    fn line(&mut self, timeout: Duration, clock: &dyn Clock) -> io::Result<Vec<u8>> {
        let end_us = clock.monotonic_us() + timeout.as_micros() as u64;
        let mut searched = 0;
        loop {
            let fresh = &self.received[searched..];
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.received.drain(..=searched + at).collect();
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.received.len();
            if searched > LINE_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            let left_us = end_us.saturating_sub(clock.monotonic_us());
            if left_us == 0 {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream
                .set_read_timeout(Duration::from_micros(left_us))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemHost;

    const PLAIN: Way<'_> = Way {
        from: "",
        encryption: None,
    };
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn call<'a>(port: &'a [u8], commands: &'a [u8], count: usize) -> PeerCall<'a> {
        PeerCall {
            host: b"127.0.0.1",
            port,
            timeout_ms: 300,
            auth: &[],
            db: 3,
            commands,
            count,
        }
    }

    /// Takes one connection, sends `answers` and hangs up if so asked. Answers what it was sent.
    fn server(
        listener: &TcpListener,
        answers: &'static [u8],
    ) -> std::thread::JoinHandle<(Vec<u8>, TcpStream)> {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = vec![0; 4096];
            let count = stream.read(&mut got).unwrap();
            stream.write_all(answers).unwrap();
            got.truncate(count);
            (got, stream)
        })
    }

    #[test]
    fn a_connection_is_kept_and_made_anew_when_it_was_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (host, mut peers) = (SystemHost::new(), Peers::default());
        let first = server(&listener, b"+OK\r\n+one\r\n+two\r\n");
        let answer = peers.ask(
            &call(port.as_bytes(), b"PING\r\nPING\r\n", 2),
            &PLAIN,
            &host,
        );
        assert_eq!(answer.lines, [b"+one".to_vec(), b"+two".to_vec()]);
        assert_eq!(answer.failure, None);
        let (got, stream) = first.join().unwrap();
        assert!(got.starts_with(b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
        assert_eq!(peers.kept.len(), 1);
        // The server goes away; the next call finds a new one.
        drop(stream);
        let second = server(&listener, b"+OK\r\n-no\r\n");
        let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
        assert_eq!(answer.lines, [b"-no".to_vec()]);
        second.join().unwrap();
        let used_ms = peers.kept.values().map(|peer| peer.used_ms).sum::<u64>();
        peers.forget_idle(used_ms + 9_999);
        assert_eq!(peers.kept.len(), 1);
        peers.forget_idle(used_ms + 10_000);
        assert_eq!(peers.kept.len(), 0);
    }

    #[test]
    fn who_says_more_than_was_asked_is_not_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (host, mut peers) = (SystemHost::new(), Peers::default());
        for more in [&b"+OK\r\n+one\r\n+two\r\n"[..], b"+OK\r\n+one\r\n+"] {
            let wordy = server(&listener, more);
            let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
            assert_eq!(
                (answer.lines, answer.failure),
                (vec![b"+one".to_vec()], None)
            );
            wordy.join().unwrap();
            assert_eq!(peers.count(), 0);
        }
        let next = server(&listener, b"+OK\r\n+three\r\n");
        let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
        assert_eq!(answer.lines, [b"+three".to_vec()]);
        next.join().unwrap();
    }

    #[test]
    fn silence_refusal_and_nonsense_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (host, mut peers) = (SystemHost::new(), Peers::default());
        let silent = server(&listener, b"");
        let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
        assert_eq!(answer, PeerAnswer::failed(PeerFailure::Read));
        silent.join().unwrap();
        let strict = server(&listener, b"-NOAUTH no\r\n");
        let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
        assert_eq!(
            answer.failure,
            Some(PeerFailure::Refused(b"-NOAUTH no".to_vec()))
        );
        strict.join().unwrap();
        drop(listener);
        let answer = peers.ask(&call(port.as_bytes(), b"PING\r\n", 1), &PLAIN, &host);
        assert_eq!(answer, PeerAnswer::failed(PeerFailure::Write));
        assert_eq!(peers.kept.len(), 0);
    }
}
