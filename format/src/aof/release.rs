//! Which server reads a log, and which commands it has for what a value holds.

use crate::rdb::Dialect;
use crate::rdb::dialect::Family;
use std::fmt;

/// A server by family and the first two numbers of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    family: Family,
    major: u8,
    minor: u8,
}

impl Release {
    /// Has every command that values are written with.
    pub const NEWEST: Release = Release::redis(u8::MAX, 0);

    /// A release of Redis.
    pub const fn redis(major: u8, minor: u8) -> Release {
        Release {
            family: Family::Redis,
            major,
            minor,
        }
    }

    /// Reads a server as people write it (`redis-6.2`, `redis-6.2.14`, `valkey-9.0`): from 2.6 on, which has the commands for expiries.
    pub fn parse(name: &str) -> Option<Release> {
        let (family, version) = match (name.strip_prefix("redis-"), name.strip_prefix("valkey-")) {
            (Some(version), _) => (Family::Redis, version),
            (_, Some(version)) => (Family::Valkey, version),
            _ => return None,
        };
        Dialect::parse(name).filter(|dialect| dialect.has_small_integers())?;
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some(Release {
            family,
            major: numbers.next()??,
            minor: numbers.next()??,
        })
    }

    /// At least this release of Redis, or any Valkey, which begins with all of Redis 7.2.
    const fn from(self, major: u8, minor: u8) -> bool {
        match self.family {
            Family::Redis => self.major > major || (self.major == major && self.minor >= minor),
            Family::Valkey => true,
        }
    }

    /// RESTORE with module values (4.0).
    pub const fn has_modules(self) -> bool {
        self.from(4, 0)
    }
    /// XADD, XGROUP CREATE and SETID, XCLAIM, XSETID (5.0).
    pub const fn has_streams(self) -> bool {
        self.from(5, 0)
    }
    /// XGROUP CREATECONSUMER (6.2); before, only reading or claiming makes a consumer.
    pub const fn has_create_consumer(self) -> bool {
        self.from(6, 2)
    }
    /// ENTRIESREAD of XGROUP, ENTRIESADDED and MAXDELETEDID of XSETID (7.0).
    pub const fn has_stream_counters(self) -> bool {
        self.from(7, 0)
    }
    /// FUNCTION LOAD of one whole library (7.0).
    pub const fn has_functions(self) -> bool {
        self.from(7, 0)
    }
    /// Lines that begin with `#` between commands (7.0); before, they are a format error.
    pub const fn has_annotations(self) -> bool {
        self.from(7, 0)
    }
    /// HPEXPIREAT (Redis 7.4, Valkey 9.0).
    pub const fn has_field_expiry(self) -> bool {
        match self.family {
            Family::Redis => self.from(7, 4),
            Family::Valkey => self.major >= 9,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Release::NEWEST {
            return f.write_str("the newest servers");
        }
        let family = match self.family {
            Family::Redis => "Redis",
            Family::Valkey => "Valkey",
        };
        write!(f, "{family} {}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        assert_eq!(Release::parse("redis-6.2"), Some(Release::redis(6, 2)));
        assert_eq!(Release::parse("redis-6.2.14"), Some(Release::redis(6, 2)));
        assert!(
            Release::parse("redis-8.6").is_some_and(|r| r.has_field_expiry() && r.has_functions())
        );
        assert!(
            Release::parse("valkey-8.1")
                .is_some_and(|r| !r.has_field_expiry() && r.has_stream_counters())
        );
        assert!(Release::parse("valkey-9.0").is_some_and(Release::has_field_expiry));
        for wrong in [
            "redis-2.4",
            "redis-9.9",
            "redis-7",
            "6.2",
            "redis",
            "11",
            "",
        ] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }
}
