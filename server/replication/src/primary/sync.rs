//! From a replica's request to the stream: going on where it was, or a snapshot first.

use super::{Action, Filter, Level, PeerId, Primary, Replica, State};
use crate::backlog::Backlog;
use crate::history::{Reach, ReplId};

/// What PSYNC asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The stream's name, or `?`.
    pub id: &'a [u8],
    /// Offset of the first byte wanted.
    pub from: i64,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None: it is a replica already.
    Nothing,
    /// This line, and the stream behind it.
    Continue(String),
    /// A snapshot, later.
    Full,
}

/// The snapshot that replicas wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The latest version that all of them say they read; none if one does not say.
    pub reads: Option<u32>,
    /// How many wait.
    pub replicas: usize,
    /// All understand a marker at the end.
    pub eof: bool,
    /// What of the data.
    pub filter: Filter,
    /// How long the first has waited, milliseconds.
    pub waited_ms: u64,
}

impl Primary {
    /// A client asks to be a replica, by PSYNC (`asked`) or SYNC. `host`: where its connection comes from; `fresh`: an id that
    /// was not used yet, in case the stream begins now; `kept`: the offset of the first byte that is kept beside the backlog, with
    /// everything from there up to it.
    ///
    /// # Errors
    /// The reply.
    pub fn sync(
        &mut self,
        peer: PeerId,
        host: &str,
        asked: Option<Asked>,
        fresh: ReplId,
        kept: Option<u64>,
        now_ms: u64,
    ) -> Result<Answer, &'static str> {
        let replica = self
            .replicas
            .entry(peer)
            .or_insert_with(|| Replica::new(peer, host.to_owned()));
        if replica.state != State::Named {
            return Ok(Answer::Nothing);
        }
        if replica.filter != Filter::Everything && !replica.capa.eof {
            return Err("ERR Filtered replica requires EOF capability");
        }
        replica.acked_at_ms = now_ms;
        replica.knows_offsets = asked.is_some();
        if let Some(asked) = asked {
            if let Some(line) = self.go_on(peer, asked, kept) {
                return Ok(Answer::Continue(line));
            }
            self.counters.partial_err += u64::from(asked.id != b"?");
        }
        self.counters.sync_full += 1;
        self.begin_stream(fresh);
        self.wait_for_snapshot(peer, now_ms);
        Ok(Answer::Full)
    }

    /// Puts a replica online if what it asks for is there; the line to answer then.
    fn go_on(&mut self, peer: PeerId, asked: Asked, kept: Option<u64>) -> Option<String> {
        let name = self.replicas[&peer].name();
        let until = match self.may_go_on(&name, asked, kept) {
            Ok(until) => until,
            Err(reason) => {
                self.log(Level::Notice, reason);
                return None;
            }
        };
        let from = asked.from as u64;
        let replica = self.replicas.get_mut(&peer)?;
        replica.state = match from < until {
            true => State::Transfer { next: until },
            false => State::Online { next: from },
        };
        if from < until {
            self.actions.push(Action::Replay { peer, from, until });
        }
        replica.acked = from - 1;
        let line = match replica.capa.psync2 {
            true => format!("+CONTINUE {}\r\n", self.history.id()),
            false => "+CONTINUE\r\n".to_owned(),
        };
        self.alone_since_ms = None;
        self.counters.partial_ok += 1;
        let bytes = self.history.offset() + 1 - from;
        let more = match from < until {
            true => format!(
                " {} of them have left the backlog and come from the append only file.",
                until - from
            ),
            false => String::new(),
        };
        self.log(
            Level::Notice,
            format!(
                "Partial resynchronization request from {name} accepted. Sending {bytes} bytes of backlog starting from offset {from}.{more}"
            ),
        );
        Some(line)
    }

    /// The offset from which on the backlog has what is asked for; what is before it is kept elsewhere.
    fn may_go_on(&self, name: &str, asked: Asked, kept: Option<u64>) -> Result<u64, String> {
        let from = u64::try_from(asked.from).unwrap_or(0);
        match self.history.reach(asked.id, from) {
            Reach::Ours => {}
            Reach::Unknown if asked.id == b"?" => {
                return Err(format!("Full resync requested by replica {name}"));
            }
            Reach::Unknown => {
                let earlier = self.history.earlier().map_or(ReplId::NONE, |e| e.id);
                return Err(format!(
                    "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}', my replication IDs are '{}' and '{earlier}')",
                    // It may be of any length.
                    asked.id[..asked.id.len().min(ReplId::LEN)].escape_ascii(),
                    self.history.id()
                ));
            }
            Reach::BeyondEarlier(until) => {
                return Err(format!(
                    "Partial resynchronization not accepted: Requested offset for second ID was {from}, but I can reply up to {until}"
                ));
            }
        }
        match &self.backlog {
            // The first byte of a stream has offset 1.
            Some(backlog) if from > 0 && backlog.reaches(from) => Ok(from),
            Some(backlog)
                if kept.is_some_and(|kept| kept.max(1) <= from) && from < backlog.first() =>
            {
                Ok(backlog.first())
            }
            _ => Err(format!(
                "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {}).",
                asked.from
            )),
        }
    }

    /// From now on the stream is kept. A stream that nobody kept before gets a new name: nobody can go on with it.
    fn begin_stream(&mut self, fresh: ReplId) {
        self.alone_since_ms = None;
        if self.backlog.is_some() {
            return;
        }
        self.history.begin_anew(fresh);
        self.backlog = Some(Backlog::new(self.history.offset() + 1, self.backlog_size));
        self.log(
            Level::Notice,
            format!(
                "Replication backlog created, my new replication IDs are '{fresh}' and '{}'",
                ReplId::NONE
            ),
        );
    }

    /// A snapshot that is being written for somebody like this one will do, as what changed since is kept for that one.
    fn wait_for_snapshot(&mut self, peer: PeerId, now_ms: u64) {
        let new = &self.replicas[&peer];
        let like = |other: &Replica| {
            other.filter == new.filter && (other.reads == new.reads) && other.knows_offsets
        };
        let joined = self.replicas.values().find_map(|other| match other.state {
            State::Snapshot { next } if like(other) && new.knows_offsets => Some(next),
            _ => None,
        });
        let Some(replica) = self.replicas.get_mut(&peer) else {
            return;
        };
        match joined {
            Some(next) => {
                replica.state = State::Snapshot { next };
                let line = self.full_line(next - 1);
                self.actions.push(Action::Send(peer, line));
                self.log(
                    Level::Notice,
                    "Waiting for end of BGSAVE for SYNC".to_owned(),
                );
            }
            None => {
                replica.state = State::Waits { since_ms: now_ms };
                if self.streamed().next().is_some() {
                    let line = "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC";
                    self.log(Level::Notice, line.to_owned());
                }
            }
        }
    }

    fn full_line(&self, offset: u64) -> Vec<u8> {
        format!("+FULLRESYNC {} {offset}\r\n", self.history.id()).into_bytes()
    }

    fn waiting(&self) -> impl Iterator<Item = &Replica> {
        let waits = |replica: &&Replica| matches!(replica.state, State::Waits { .. });
        self.replicas.values().filter(waits)
    }

    /// The snapshot that should begin when it can: for all who wait and want what the first of them wants.
    pub fn wanted(&self, now_ms: u64) -> Option<Wanted> {
        let filter = self.waiting().next()?.filter;
        let group = || {
            self.waiting()
                .filter(move |replica| replica.filter == filter)
        };
        let first = group().filter_map(|replica| match replica.state {
            State::Waits { since_ms } => Some(since_ms),
            _ => None,
        });
        Some(Wanted {
            reads: group().map(|r| r.reads).min().flatten(),
            replicas: group().count(),
            eof: group().all(|replica| replica.capa.eof),
            filter,
            waited_ms: now_ms.saturating_sub(first.min()?),
        })
    }

    /// A snapshot has begun that holds everything up to the end of the stream so far, for those of this filter. With a marker it
    /// is sent to them while it is written, from now on; the marker must not have been used for anything.
    pub fn snapshot_began(&mut self, filter: Filter, marker: Option<ReplId>) {
        let next = self.history.offset() + 1;
        let full = self.full_line(next - 1);
        let form = marker.map(|marker| format!("$EOF:{marker}\r\n"));
        self.marker = marker.map_or_else(String::new, |marker| marker.to_string());
        for replica in self.replicas.values_mut() {
            if !matches!(replica.state, State::Waits { .. }) || replica.filter != filter {
                continue;
            }
            if replica.knows_offsets {
                self.actions.push(Action::Send(replica.peer, full.clone()));
            }
            replica.state = match &form {
                None => State::Snapshot { next },
                Some(form) => {
                    let line = form.clone().into_bytes();
                    self.actions.push(Action::Send(replica.peer, line));
                    State::Streamed { next }
                }
            };
        }
    }

    /// No snapshot can be begun: all who wait are told, and go.
    pub fn snapshot_refused(&mut self, reason: &str) {
        let peers: Vec<PeerId> = self.waiting().map(|replica| replica.peer).collect();
        for peer in peers {
            self.actions.push(Action::Send(
                peer,
                format!("-ERR {reason}\r\n").into_bytes(),
            ));
            self.actions.push(Action::Dismiss(peer));
        }
    }

    /// The snapshot that was begun last has ended; if it is sent while it is written, all of it was handed to the sockets.
    pub fn snapshot_ended(&mut self, well: bool, now_ms: u64) {
        let (mut lost, mut marked) = (Vec::new(), Vec::new());
        for replica in self.replicas.values_mut() {
            match replica.state {
                State::Snapshot { .. } | State::Streamed { .. } if !well => lost.push(replica.peer),
                State::Snapshot { next } => {
                    replica.state = State::Transfer { next };
                    self.actions.push(Action::Transfer(replica.peer));
                }
                State::Streamed { next } => {
                    replica.state = State::Marked { next };
                    replica.acked_at_ms = now_ms;
                    let marker = self.marker.clone().into_bytes();
                    self.actions.push(Action::Send(replica.peer, marker));
                    marked.push(replica.peer);
                }
                _ => {}
            }
        }
        for peer in marked {
            self.told_marker(peer);
        }
        for peer in lost {
            self.log(
                Level::Warning,
                "SYNC failed. BGSAVE child returned an error".to_owned(),
            );
            self.actions.push(Action::Close(peer));
        }
    }

    /// A replica was sent its snapshot up to the marker.
    fn told_marker(&mut self, peer: PeerId) {
        let replica = &self.replicas[&peer];
        let name = replica.name();
        if replica.rdb_only {
            self.actions.push(Action::Dismiss(peer));
            return self.log(Level::Notice, rdb_only_line(&name));
        }
        self.log(
            Level::Notice,
            format!(
                "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming"
            ),
        );
    }

    /// A replica that was sent a marker has answered: nothing it is sent from now on is taken for its snapshot.
    pub(super) fn answered_marker(&mut self, peer: PeerId) {
        let Some(replica) = self.replicas.get_mut(&peer) else {
            return;
        };
        if let State::Marked { next } = replica.state {
            replica.state = State::Online { next };
            let line = succeeded_line(&replica.name());
            self.log(Level::Notice, line);
        }
    }

    /// A replica has been sent its snapshot whole.
    pub fn transferred(&mut self, peer: PeerId, now_ms: u64) {
        let Some(replica) = self.replicas.get_mut(&peer) else {
            return;
        };
        let State::Transfer { next } = replica.state else {
            debug_assert!(false, "a transfer that nobody began: {replica:?}");
            return;
        };
        let name = replica.name();
        replica.acked_at_ms = now_ms;
        if replica.rdb_only {
            self.actions.push(Action::Close(peer));
            return self.log(Level::Notice, rdb_only_line(&name));
        }
        replica.state = State::Online { next };
        self.log(Level::Notice, succeeded_line(&name));
    }
}

fn rdb_only_line(name: &str) -> String {
    format!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap")
}

fn succeeded_line(name: &str) -> String {
    format!("Synchronization with replica {name} succeeded")
}
