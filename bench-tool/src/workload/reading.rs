//! What the replies of a command tell beside errors: hits and misses, and values that can be compared with what was written.

/// What is known of a command's replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// No value, or an empty collection, is a miss, and everything else a hit.
    pub has_hits: bool,
    /// Strings in its replies are values of its key.
    pub has_values: bool,
    /// Some of its commands tell something and others do not: statuses and numbers are those of the others.
    pub is_mixed: bool,
}

/// Commands whose replies are values of their key, as `{data}` wrote them.
const VALUES: [&str; 11] = [
    "get", "getex", "getdel", "hget", "hmget", "hvals", "lindex", "lrange", "lpop", "rpop",
    "getset",
];

/// Other commands that find something or do not.
const FINDS: [&str; 31] = [
    "mget",
    "hgetall",
    "hkeys",
    "hrandfield",
    "smembers",
    "srandmember",
    "spop",
    "sinter",
    "sunion",
    "sdiff",
    "zrange",
    "zrangebyscore",
    "zrangebylex",
    "zrevrange",
    "zrevrangebyscore",
    "zrevrangebylex",
    "zscore",
    "zrank",
    "zrevrank",
    "zpopmin",
    "zpopmax",
    "zrandmember",
    "lmpop",
    "zmpop",
    "xrange",
    "xrevrange",
    "getrange",
    "substr",
    "dump",
    "geopos",
    "geodist",
];

impl Reading {
    /// Of the command with this name.
    pub fn of(name: &[u8]) -> Reading {
        let is_in = |list: &[&str]| {
            list.iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        let has_values = is_in(&VALUES);
        Reading {
            has_hits: has_values || is_in(&FINDS),
            has_values,
            is_mixed: false,
        }
    }

    /// Of a request of several commands: what one of them tells.
    pub fn and(self, other: Reading) -> Reading {
        Reading {
            has_hits: self.has_hits || other.has_hits,
            has_values: self.has_values || other.has_values,
            is_mixed: self != other,
        }
    }
}

/// Longest reply that says so, in bytes.
const NOTHING_MAX: usize = 7;

/// Whether a reply says that nothing was found.
pub fn is_miss(reply: &[u8]) -> bool {
    // Most replies have something, and are longer than any that has nothing.
    if reply.len() > NOTHING_MAX {
        return false;
    }
    let nothing: [&[u8]; 8] = [b"$-1", b"*-1", b"_", b"*0", b"%0", b"~0", b"$0", b"+none"];
    let line = reply.strip_suffix(b"\r\n").unwrap_or(reply);
    nothing.contains(&line) || reply == b"$0\r\n\r\n"
}
