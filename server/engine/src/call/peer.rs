//! What commands ask of another server. The engine owns no sockets: the server around it sends and waits.

/// Commands for another server.
#[derive(Clone, Copy, Debug)]
pub struct PeerCall<'a> {
    /// Name or address.
    pub host: &'a [u8],
    /// Port, as the client wrote it.
    pub port: &'a [u8],
    /// How long connecting, sending, and each answer may take, milliseconds.
    pub timeout_ms: u64,
    /// What follows AUTH: nothing, a password, or a user and a password.
    pub auth: &'a [&'a [u8]],
    /// The database that the commands are for.
    pub db: i64,
    /// The commands in protocol form, one behind the other.
    pub commands: &'a [u8],
    /// How many they are; each is answered by one line.
    pub count: usize,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerAnswer {
    /// The answers so far, without their line ends.
    pub lines: Vec<Vec<u8>>,
    /// Why there are no more.
    pub failure: Option<PeerFailure>,
}

impl PeerAnswer {
    /// No answer at all.
    pub fn failed(why: PeerFailure) -> PeerAnswer {
        PeerAnswer {
            lines: Vec::new(),
            failure: Some(why),
        }
    }
}

/// Why another server did not answer everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerFailure {
    /// Its name means nothing, or it did not take the connection in time.
    Connect,
    /// It refused the connection, or did not take the bytes in time.
    Write,
    /// It hung up, or did not answer in time.
    Read,
    /// It refused AUTH or SELECT with this line.
    Refused(Vec<u8>),
}
