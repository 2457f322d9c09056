//! Which family and which version a snapshot speaks, and what each can express.
//!
//! Redis counts its versions 1, 2, 3 ... and writes `REDIS` with four digits; Valkey continued that
//! count up to 11 and then started again at 80 with `VALKEY` and three digits. From there on the
//! families give the same type and opcode numbers (22, 23, 242, 243) different meanings, so no byte
//! after the ninth can be understood without a dialect.

use super::opcode;
use crate::error::{Damage, FormatError};
use std::fmt;

/// The two lines of descent; they agree up to version 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Versions 1 to 15, magic `REDIS`.
    Redis,
    /// Versions 80 and up, magic `VALKEY`.
    Valkey,
}

/// Family and version of a snapshot, as its first nine bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialect {
    family: Family,
    version: u16,
}

/// Servers by name and the version that they write.
const SERVERS: [(&str, Dialect); 25] = [
    ("redis-2.2", Dialect::redis(1)),
    ("redis-2.4", Dialect::redis(2)),
    ("redis-2.6", Dialect::redis(6)),
    ("redis-2.8", Dialect::redis(6)),
    ("redis-3.0", Dialect::redis(6)),
    ("redis-3.2", Dialect::redis(7)),
    ("redis-4.0", Dialect::redis(8)),
    ("redis-5.0", Dialect::redis(9)),
    ("redis-6.0", Dialect::redis(9)),
    ("redis-6.2", Dialect::redis(9)),
    ("redis-7.0", Dialect::redis(10)),
    ("redis-7.2", Dialect::redis(11)),
    ("redis-7.4", Dialect::redis(12)),
    ("redis-8.0", Dialect::redis(12)),
    ("redis-8.2", Dialect::redis(12)),
    ("redis-8.4", Dialect::redis(12)),
    ("redis-8.6", Dialect::redis(13)),
    ("redis-8.8", Dialect::redis(14)),
    ("redis-8.10", Dialect::redis(15)),
    ("valkey-7.2", Dialect::redis(11)),
    ("valkey-8.0", Dialect::redis(11)),
    ("valkey-8.1", Dialect::redis(11)),
    ("valkey-9.0", Dialect::valkey(80)),
    ("valkey-9.1", Dialect::valkey(80)),
    ("valkey-9.2", Dialect::valkey(81)),
];

const _: () = {
    let mut at = 0;
    while at < SERVERS.len() {
        assert!(
            SERVERS[at].1.is_known(),
            "a server writes what is not known"
        );
        at += 1;
    }
};

impl Dialect {
    /// The newest version of Redis whose layout is known.
    pub const NEWEST_REDIS: Dialect = Dialect::redis(15);
    /// The newest version of Valkey whose layout is known.
    pub const NEWEST_VALKEY: Dialect = Dialect::valkey(81);
    /// What Redis 7.2 writes.
    pub const REDIS_7_2: Dialect = Dialect::redis(11);

    /// A version of the Redis family.
    pub const fn redis(version: u16) -> Dialect {
        Dialect {
            family: Family::Redis,
            version,
        }
    }

    /// A version of the Valkey family (80 and up).
    pub const fn valkey(version: u16) -> Dialect {
        Dialect {
            family: Family::Valkey,
            version,
        }
    }

    /// Reads a dialect as people write it: a server (`redis-7.2`, `redis-7.2.4`, `valkey-9.0`) or a
    /// version number (`10`; 80 and up is Valkey).
    pub fn parse(name: &str) -> Option<Dialect> {
        if let Ok(number) = name.parse::<u16>() {
            return Dialect::from_number(number);
        }
        let server = SERVERS.iter().find(|(server, _)| names(server, name));
        server.map(|(_, dialect)| *dialect)
    }

    /// The dialect of a bare version number.
    pub fn from_number(version: u16) -> Option<Dialect> {
        match version {
            1..=15 => Some(Dialect::redis(version)),
            80..=81 => Some(Dialect::valkey(version)),
            _ => None,
        }
    }

    /// The family.
    pub const fn family(self) -> Family {
        self.family
    }

    /// The version number as it stands in the file.
    pub const fn version(self) -> u16 {
        self.version
    }

    /// Whether the layout of this version is known.
    pub const fn is_known(self) -> bool {
        match self.family {
            Family::Redis => self.version >= 1 && self.version <= Dialect::NEWEST_REDIS.version,
            Family::Valkey => self.version >= 80 && self.version <= Dialect::NEWEST_VALKEY.version,
        }
    }

    /// The newest version of the same family whose layout is known.
    pub const fn newest_known(self) -> Dialect {
        match self.family {
            Family::Redis => Dialect::NEWEST_REDIS,
            Family::Valkey => Dialect::NEWEST_VALKEY,
        }
    }

    /// Whether a reader made for `self` understands a file of `file`: older versions of the own
    /// family, and up to 11 those of the other, which are the common past.
    pub const fn reads(self, file: Dialect) -> bool {
        match (self.family, file.family) {
            (Family::Redis, Family::Redis) | (Family::Valkey, Family::Valkey) => {
                file.version <= self.version
            }
            (Family::Valkey, Family::Redis) => file.version <= 11,
            (Family::Redis, Family::Valkey) => false,
        }
    }

    /// Why a reader made for `self` refuses a file of `file`; `None` if it does not.
    pub fn refusal(self, file: Dialect) -> Option<Box<FormatError>> {
        if self.reads(file) {
            return None;
        }
        // Redis does not even know the magic of Valkey.
        let kind = match (self.family, file.family) {
            (Family::Redis, Family::Valkey) => Damage::Magic,
            _ => Damage::Version,
        };
        let what = format!("{file} cannot be read by {self}");
        Some(FormatError::new(kind, 0, what))
    }

    /// Whether a reader made for `self` knows the values of this type byte.
    pub fn knows_type(self, byte: u8) -> bool {
        opcode::type_info(self.family, byte).is_some_and(|info| info.since <= self.version)
    }

    /// Whether a record may begin with this byte.
    pub fn begins_record(self, byte: u8) -> bool {
        self.knows_type(byte) || byte >= opcode::KEY_META
    }

    /// Whether the writer can produce this dialect: versions 2 to 15, Valkey 80 and 81. No real file of 14, 15 and 81 was at hand to
    /// confirm those.
    pub const fn is_writable(self) -> bool {
        self.is_known() && self.from(2)
    }

    /// Whether servers of ours save it: what is writable, loses nothing of an expiry and is confirmed by real files (versions 6 to 13
    /// and Valkey 80).
    pub const fn is_saved(self) -> bool {
        match self.family {
            Family::Redis => self.version >= 6 && self.version <= 13,
            Family::Valkey => self.version == 80,
        }
    }

    /// The first nine bytes of a file.
    pub fn magic(self) -> [u8; 9] {
        let text = match self.family {
            Family::Redis => format!("REDIS{:04}", self.version % 10_000),
            Family::Valkey => format!("VALKEY{:03}", self.version % 1_000),
        };
        debug_assert_eq!(text.len(), 9, "{text} is no head of a file");
        let mut magic = [0; 9];
        magic.copy_from_slice(text.as_bytes());
        magic
    }

    /// At least this version of Redis, or any Valkey, which has everything of version 11.
    const fn from(self, version: u16) -> bool {
        match self.family {
            Family::Redis => self.version >= version,
            Family::Valkey => version <= 11,
        }
    }

    /// Expiry in milliseconds (3).
    pub const fn has_ms_expiry(self) -> bool {
        self.from(3)
    }
    /// Ziplists with the integers of 8 and 24 bits that every server since 2.6 writes (6).
    pub const fn has_small_integers(self) -> bool {
        self.from(6)
    }
    /// A checksum follows the EOF opcode (5).
    pub const fn has_checksum(self) -> bool {
        self.from(5)
    }
    /// Aux fields and size hints (7).
    pub const fn has_aux(self) -> bool {
        self.from(7)
    }
    /// Quicklists of ziplists, type 14 (7).
    pub const fn has_quicklist(self) -> bool {
        self.from(7)
    }
    /// Scores as eight bytes, type 5, 64-bit lengths and module values (8).
    pub const fn has_binary_scores(self) -> bool {
        self.from(8)
    }
    /// Module values, type 7 (8).
    pub const fn has_modules(self) -> bool {
        self.from(8)
    }
    /// Streams, idle times, frequencies and module aux fields (9).
    pub const fn has_streams(self) -> bool {
        self.from(9)
    }
    /// Listpacks of hashes, sorted sets and lists, and function libraries (10).
    pub const fn has_listpacks(self) -> bool {
        self.from(10)
    }
    /// Sets as listpacks, type 20 (11).
    pub const fn has_set_listpack(self) -> bool {
        self.from(11)
    }
    /// Redis's field expiry: types 24 and 25 (12).
    pub const fn has_redis_field_expiry(self) -> bool {
        matches!(self.family, Family::Redis) && self.version >= 12
    }
    /// Valkey's field expiry: its type 22 (80).
    pub const fn has_valkey_field_expiry(self) -> bool {
        matches!(self.family, Family::Valkey)
    }
    /// Field expiry in either form.
    pub const fn has_field_expiry(self) -> bool {
        self.has_redis_field_expiry() || self.has_valkey_field_expiry()
    }
    /// Slot sizes as an opcode (Redis 12; Valkey reads it, too).
    pub const fn has_slot_info(self) -> bool {
        self.has_redis_field_expiry() || self.has_valkey_field_expiry()
    }
    /// Key metadata, opcode 243 of Redis (13).
    pub const fn has_key_meta(self) -> bool {
        matches!(self.family, Family::Redis) && self.version >= 13
    }

    /// Arrays (Redis 14).
    pub const fn has_arrays(self) -> bool {
        matches!(self.family, Family::Redis) && self.version >= 14
    }

    /// Templates of hashes (Redis 15).
    pub const fn has_templates(self) -> bool {
        matches!(self.family, Family::Redis) && self.version >= 15
    }

    /// Commands between the keys (Valkey 81).
    pub const fn has_commands(self) -> bool {
        matches!(self.family, Family::Valkey) && self.version >= 81
    }

    /// The newest form of stream: 0 (none) to 5.
    pub const fn stream_form(self) -> u8 {
        match (self.family, self.version) {
            (Family::Valkey, _) | (_, 11 | 12) => 3,
            (_, 0..=8) => 0,
            (_, 9) => 1,
            (_, 10) => 2,
            (_, 13) => 4,
            (_, 14..) => 5,
        }
    }
}

/// `redis-7.2` is also meant by `redis-7.2.4`, but not by `redis-7.20`.
fn names(server: &str, given: &str) -> bool {
    given
        .strip_prefix(server)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `RDB version 9 (Redis 5.0 to 6.2)`: the number in the file, and who writes it.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RDB version {}", self.version)?;
        let mut before = " (";
        for (family, prefix) in [("Redis", "redis-"), ("Valkey", "valkey-")] {
            let mut servers = SERVERS
                .iter()
                .filter(|(_, dialect)| dialect == self)
                .filter_map(|(name, _)| name.strip_prefix(prefix));
            let Some(first) = servers.next() else {
                continue;
            };
            write!(f, "{before}{family} {first}")?;
            if let Some(last) = servers.next_back() {
                write!(f, " to {last}")?;
            }
            before = ", ";
        }
        match (before, self.family) {
            (", ", _) => f.write_str(")"),
            (_, Family::Valkey) => f.write_str(" (Valkey)"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(Dialect::parse("redis-7.2"), Some(Dialect::redis(11)));
        assert_eq!(Dialect::parse("redis-7.2.4"), Some(Dialect::redis(11)));
        assert_eq!(Dialect::parse("redis-7.20"), None);
        assert_eq!(Dialect::parse("redis-8.10"), Some(Dialect::redis(15)));
        assert_eq!(Dialect::parse("valkey-8.0.1"), Some(Dialect::redis(11)));
        assert_eq!(Dialect::parse("valkey-9.0"), Some(Dialect::valkey(80)));
        assert_eq!(Dialect::parse("valkey-9.1.2"), Some(Dialect::valkey(80)));
        assert_eq!(Dialect::parse("10"), Some(Dialect::redis(10)));
        assert_eq!(Dialect::parse("80"), Some(Dialect::valkey(80)));
        assert_eq!(Dialect::parse("valkey-9.2"), Some(Dialect::valkey(81)));
        for wrong in ["", "0", "16", "79", "82", "redis", "7.2", "Redis-7.2"] {
            assert_eq!(Dialect::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_version_is_told_with_those_who_write_it() {
        for (dialect, text) in [
            (Dialect::redis(8), "RDB version 8 (Redis 4.0)"),
            (Dialect::redis(9), "RDB version 9 (Redis 5.0 to 6.2)"),
            (
                Dialect::redis(11),
                "RDB version 11 (Redis 7.2, Valkey 7.2 to 8.1)",
            ),
            (Dialect::redis(4), "RDB version 4"),
            (Dialect::redis(75), "RDB version 75"),
            (Dialect::valkey(80), "RDB version 80 (Valkey 9.0 to 9.1)"),
            (Dialect::valkey(99), "RDB version 99 (Valkey)"),
        ] {
            assert_eq!(dialect.to_string(), text);
        }
    }

    #[test]
    fn what_is_written_and_what_servers_save() {
        let both = |dialect: Dialect| (dialect.is_writable(), dialect.is_saved());
        for version in 1..=16 {
            let dialect = Dialect::redis(version);
            let expected = ((2..=15).contains(&version), (6..=13).contains(&version));
            assert_eq!(both(dialect), expected, "{dialect}");
        }
        assert_eq!(both(Dialect::valkey(80)), (true, true));
        assert_eq!(both(Dialect::valkey(81)), (true, false));
        assert_eq!(both(Dialect::valkey(82)), (false, false));
    }

    #[test]
    fn magic_bytes() {
        assert_eq!(&Dialect::redis(9).magic(), b"REDIS0009");
        assert_eq!(&Dialect::valkey(80).magic(), b"VALKEY080");
    }

    #[test]
    fn who_reads_whom() {
        assert!(Dialect::valkey(80).reads(Dialect::redis(11)));
        assert!(!Dialect::valkey(80).reads(Dialect::redis(12)));
        assert!(!Dialect::NEWEST_REDIS.reads(Dialect::valkey(80)));
        assert!(Dialect::redis(10).reads(Dialect::redis(1)));
        assert!(!Dialect::redis(10).reads(Dialect::redis(11)));
    }
}
