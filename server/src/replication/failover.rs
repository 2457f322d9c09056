//! A role that is being handed over.

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// No replica has everything yet.
    WaitingForSync,
    /// This server follows the new primary, which has not taken over yet.
    InProgress,
}

impl HandOver {
    /// The word of INFO.
    pub fn word(self) -> &'static str {
        match self {
            HandOver::WaitingForSync => "waiting-for-sync",
            HandOver::InProgress => "failover-in-progress",
        }
    }
}

/// FAILOVER, as it was asked for.
#[derive(Clone, Debug)]
pub struct Failover {
    /// To whom; none: to the first that has everything.
    pub target: Option<(String, u16)>,
    /// When the time is over, the target takes over although it has not everything.
    pub force: bool,
    /// When it is over, monotonic milliseconds.
    pub until_ms: Option<u64>,
    /// How far it is.
    pub state: HandOver,
    /// ABORT was asked for.
    pub aborted: bool,
}
