//! Names of things that several rooms hand around without knowing them.

/// Address of a session in the slab. Ids of closed sessions are reused, so the server removes a session before
/// it forgets the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// Number of a command in the table of this server, which never changes while it runs. Subcommands have numbers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandId(pub u16);

impl CommandId {
    /// As an index into tables with a place per command.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Number of a user. The numbers of users who are gone are not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(pub u32);

impl UserId {
    /// The user that everybody is at first.
    pub const DEFAULT: UserId = UserId(0);
}

/// A session that is told of something later: its address, and enough of its number to know it from one that has the address
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reader {
    /// Address of the session.
    pub slot: SessionId,
    /// Low half of its number.
    pub id: u32,
}

impl Reader {
    /// Both in one word.
    pub fn to_word(self) -> i64 {
        (u64::from(self.slot.0) << 32 | u64::from(self.id)).cast_signed()
    }

    /// What [`Reader::to_word`] made.
    pub fn of_word(word: i64) -> Reader {
        let word = word.cast_unsigned();
        Reader {
            slot: SessionId((word >> 32) as u32),
            id: word as u32,
        }
    }
}
