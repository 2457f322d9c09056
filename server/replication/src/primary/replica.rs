//! One replica, as its primary sees it.

/// The number of a peer's connection; another may have it once [`super::Primary::gone`] was told.
pub type PeerId = u64;

/// What a replica said that it understands (REPLCONF capa).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// A snapshot whose end is told by a marker.
    pub eof: bool,
    /// `+CONTINUE` with an id.
    pub psync2: bool,
    /// Empty lines between commands, which it does not count.
    pub empty_lines: bool,
}

/// Which part of the data a replica wants (REPLCONF rdb-filter-only).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All.
    #[default]
    Everything,
    /// Function libraries.
    Functions,
    /// Nothing at all: an empty snapshot.
    Nothing,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has named itself, and asked for nothing yet.
    Named,
    /// It waits for a snapshot to begin.
    Waits {
        /// Since when, monotonic milliseconds.
        since_ms: u64,
    },
    /// Its snapshot is being written to the disk.
    Snapshot {
        /// Offset of the first byte that is not in the snapshot.
        next: u64,
    },
    /// Its snapshot is being sent while it is written, up to a marker.
    Streamed {
        /// As above.
        next: u64,
    },
    /// It was sent all of that. What would follow the marker at once could be taken for a part of the snapshot, so it is to say
    /// first that it has it.
    Marked {
        /// As above.
        next: u64,
    },
    /// Its snapshot is being sent.
    Transfer {
        /// As above.
        next: u64,
    },
    /// It follows the stream.
    Online {
        /// Offset of the first byte that was not handed to its socket yet.
        next: u64,
    },
    /// Its stream is not ours any more, and its connection is being closed: it follows nothing, and what it says counts for
    /// nothing.
    Dropped,
}

/// A client that follows, or wants to.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its connection.
    pub peer: PeerId,
    /// Where its connection comes from.
    pub host: String,
    /// Where it says that it is.
    pub announced: Option<String>,
    /// The port that it listens on, as it says; 0 until then.
    pub port: i64,
    /// What it understands.
    pub capa: Capabilities,
    /// The latest version of snapshots that it says it reads.
    pub reads: Option<u32>,
    /// It wants a snapshot and no stream.
    pub rdb_only: bool,
    /// What of the data it wants.
    pub filter: Filter,
    /// How far it is.
    pub state: State,
    /// It came by PSYNC, so that it knows offsets and acknowledges them.
    pub knows_offsets: bool,
    /// The offset up to which it has applied the stream.
    pub acked: u64,
    /// The offset up to which its log is on its disk; none as long as it never said.
    pub synced: Option<u64>,
    /// When it last said so, monotonic milliseconds.
    pub acked_at_ms: u64,
}

impl Replica {
    pub(super) fn new(peer: PeerId, host: String) -> Replica {
        Replica {
            peer,
            host,
            announced: None,
            port: 0,
            capa: Capabilities::default(),
            reads: None,
            rdb_only: false,
            filter: Filter::Everything,
            state: State::Named,
            knows_offsets: false,
            acked: 0,
            synced: None,
            acked_at_ms: 0,
        }
    }

    /// The address that others find it at: the announced one, if it has one.
    pub fn address(&self) -> &str {
        self.announced.as_deref().unwrap_or(&self.host)
    }

    /// How it is called in the log: `address:port`.
    pub fn name(&self) -> String {
        match self.port {
            0 => format!("{}:<unknown-replica-port>", self.address()),
            port => format!("{}:{port}", self.address()),
        }
    }

    /// The word of INFO for its state; none for who asked for nothing.
    pub fn state_word(&self) -> Option<&'static str> {
        match self.state {
            State::Named | State::Dropped => None,
            State::Waits { .. } | State::Snapshot { .. } | State::Streamed { .. } => {
                Some("wait_bgsave")
            }
            State::Transfer { .. } => Some("send_bulk"),
            State::Marked { .. } | State::Online { .. } => Some("online"),
        }
    }

    /// Whether it gets its snapshot while that is written.
    pub fn is_streamed(&self) -> bool {
        matches!(self.state, State::Streamed { .. })
    }

    /// Whether it is being given a snapshot, so that the stream is kept for it and not sent.
    pub fn is_syncing(&self) -> bool {
        !matches!(self.state, State::Waits { .. }) && self.next().is_some() && !self.is_online()
    }

    /// Whether it follows the stream.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Offset of the first byte of the stream that it still has to be sent.
    pub fn next(&self) -> Option<u64> {
        match self.state {
            State::Named | State::Waits { .. } | State::Dropped => None,
            State::Snapshot { next }
            | State::Streamed { next }
            | State::Marked { next }
            | State::Transfer { next }
            | State::Online { next } => Some(next),
        }
    }

    /// Seconds since it last acknowledged; 0 unless it is online.
    pub fn lag_s(&self, now_ms: u64) -> u64 {
        match self.is_online() {
            true => now_ms.saturating_sub(self.acked_at_ms) / 1000,
            false => 0,
        }
    }
}
