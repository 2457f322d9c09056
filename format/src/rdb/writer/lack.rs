//! What a snapshot, or a log of commands, may have no place for: one name for each, in words of people and of programs.

/// A kind of data that not every target can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A function library.
    Function,
    /// A stream.
    Stream,
    /// Hash fields that expire.
    FieldExpiry,
    /// Key metadata.
    KeyMeta,
    /// A value of a module.
    Module,
    /// Data of a module that belongs to no key.
    ModuleAux,
    /// An import of slots that was under way.
    SlotImport,
    /// A command between the keys.
    Command,
    /// An array.
    Array,
    /// What a stream remembers of idempotent producers.
    Producers,
    /// Pending entries of a stream that nobody owns.
    Unowned,
    /// A string or collection beyond 32-bit lengths.
    Size,
    /// An expiry beyond 32-bit seconds.
    LateExpiry,
    /// The milliseconds of an expiry.
    ExpiryMs,
    /// When a key was last used.
    Idle,
    /// How often a key was used.
    Frequency,
    /// Counters of a stream and of its groups.
    StreamCounters,
    /// When consumers got something.
    ConsumerTimes,
}

impl Lack {
    /// All of them.
    pub const ALL: [Lack; 18] = [
        Lack::Function,
        Lack::Stream,
        Lack::FieldExpiry,
        Lack::KeyMeta,
        Lack::Module,
        Lack::ModuleAux,
        Lack::SlotImport,
        Lack::Command,
        Lack::Array,
        Lack::Producers,
        Lack::Unowned,
        Lack::Size,
        Lack::LateExpiry,
        Lack::ExpiryMs,
        Lack::Idle,
        Lack::Frequency,
        Lack::StreamCounters,
        Lack::ConsumerTimes,
    ];

    /// As one word for programs and options.
    pub const fn word(self) -> &'static str {
        self.texts().0
    }

    /// As a person reads it: "a stream".
    pub const fn what(self) -> &'static str {
        self.texts().1
    }

    /// The first version that could hold it.
    pub const fn needs(self) -> &'static str {
        self.texts().2
    }

    const fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Lack::Function => ("function", "a function library", "Redis 7.0 (version 10)"),
            Lack::Stream => ("stream", "a stream", "Redis 5.0 (version 9)"),
            Lack::FieldExpiry => (
                "field-expiry",
                "hash fields that expire",
                "Redis 7.4 (version 12) or Valkey 9.0 (version 80)",
            ),
            Lack::KeyMeta => ("key-metadata", "key metadata", "Redis 8.6 (version 13)"),
            Lack::Module => ("module", "a module value", "Redis 4.0 (version 8)"),
            Lack::ModuleAux => (
                "module-aux",
                "data of a module outside the keys",
                "Redis 5.0 (version 9)",
            ),
            Lack::SlotImport => (
                "slot-import",
                "an import of slots under way",
                "Valkey 9.0 (version 80)",
            ),
            Lack::Command => (
                "command",
                "a command between the keys",
                "Valkey 9.2 (version 81)",
            ),
            Lack::Array => ("array", "an array", "Redis 8.8 (version 14)"),
            Lack::Producers => (
                "producers",
                "idempotent producers of a stream",
                "Redis 8.6 (version 13)",
            ),
            Lack::Unowned => (
                "unowned",
                "stream entries without an owner",
                "Redis 8.8 (version 14)",
            ),
            Lack::Size => (
                "size",
                "more than 2^32-1 bytes or elements",
                "Redis 4.0 (version 8)",
            ),
            Lack::LateExpiry => (
                "late-expiry",
                "an expiry after January 2038",
                "Redis 2.6 (version 6)",
            ),
            Lack::ExpiryMs => (
                "expiry-ms",
                "the milliseconds of an expiry",
                "Redis 2.6 (version 6)",
            ),
            Lack::Idle => ("idle", "an idle time", "Redis 5.0 (version 9)"),
            Lack::Frequency => ("frequency", "an access frequency", "Redis 5.0 (version 9)"),
            Lack::StreamCounters => (
                "stream-counters",
                "counters of a stream",
                "Redis 7.0 (version 10)",
            ),
            Lack::ConsumerTimes => (
                "consumer-times",
                "when a consumer was active",
                "Redis 7.2 (version 11)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Lack::ALL.map(Lack::word).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Lack::ALL.len());
    }
}
