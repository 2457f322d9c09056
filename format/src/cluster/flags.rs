//! What a node is: bits of messages, words of CLUSTER NODES and `nodes.conf`.

/// Flags of a node. Unknown bits are kept: newer servers have more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// It may own slots.
    pub const PRIMARY: Flags = Flags(1);
    /// It follows a primary.
    pub const REPLICA: Flags = Flags(2);
    /// One node thinks that it has failed.
    pub const PFAIL: Flags = Flags(4);
    /// It has failed, as most primaries think.
    pub const FAIL: Flags = Flags(8);
    /// The node that speaks.
    pub const MYSELF: Flags = Flags(16);
    /// Its real id is not known yet.
    pub const HANDSHAKE: Flags = Flags(32);
    /// Its address is not known.
    pub const NOADDR: Flags = Flags(64);
    /// It is to be sent a MEET.
    pub const MEET: Flags = Flags(128);
    /// A primary that has or had replicas, and may get others.
    pub const MIGRATE_TO: Flags = Flags(256);
    /// A replica that never stands for election.
    pub const NOFAILOVER: Flags = Flags(512);

    /// Words in the order in which they are written.
    const WORDS: [(Flags, &'static str); 8] = [
        (Flags::MYSELF, "myself"),
        (Flags::PRIMARY, "master"),
        (Flags::REPLICA, "slave"),
        (Flags::PFAIL, "fail?"),
        (Flags::FAIL, "fail"),
        (Flags::HANDSHAKE, "handshake"),
        (Flags::NOADDR, "noaddr"),
        (Flags::NOFAILOVER, "nofailover"),
    ];

    /// What stands where there are none.
    const NONE_WORD: &'static str = "noflags";

    /// Whether all of these are set.
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether one of these is set.
    pub fn has_any(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }

    /// With these set or not.
    pub fn with(self, flags: Flags, on: bool) -> Flags {
        match on {
            true => Flags(self.0 | flags.0),
            false => Flags(self.0 & !flags.0),
        }
    }

    /// Sets these or not.
    pub fn set(&mut self, flags: Flags, on: bool) {
        *self = self.with(flags, on);
    }

    /// The words, commas between them.
    pub fn words(self) -> String {
        let words = Flags::WORDS.iter().filter(|(flag, _)| self.has(*flag));
        let words: Vec<&str> = words.map(|(_, word)| *word).collect();
        match words.is_empty() {
            true => Flags::NONE_WORD.to_owned(),
            false => words.join(","),
        }
    }

    /// The flags of words.
    ///
    /// # Errors
    /// The word that is none.
    pub fn of_words(text: &str) -> Result<Flags, &str> {
        let mut flags = Flags::default();
        for word in text.split(',').filter(|word| *word != Flags::NONE_WORD) {
            let known = Flags::WORDS.iter().find(|(_, name)| *name == word);
            flags.set(known.ok_or(word)?.0, true);
        }
        Ok(flags)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// The first byte of a message's own flags.
pub mod mflags {
    /// The sender, a primary, is paused for a manual failover: its offset stands still.
    pub const PAUSED: u8 = 1;
    /// Vote, although the primary is up.
    pub const FORCE_ACK: u8 = 2;
    /// Extensions follow, or would be understood.
    pub const EXT_DATA: u8 = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_cluster_nodes() {
        let text = "myself,master,fail?,fail,noaddr,nofailover";
        assert_eq!(Flags::of_words(text).map(Flags::words).as_deref(), Ok(text));
        assert_eq!(Flags::of_words("noflags"), Ok(Flags::default()));
        assert_eq!(Flags::default().words(), "noflags");
        assert_eq!(Flags::of_words("slave,maste"), Err("maste"));
    }
}
