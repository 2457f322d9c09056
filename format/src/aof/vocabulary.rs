//! The commands that a log may hold, with the number of arguments each takes.
//!
//! A server ends its start at a command it does not know, or at one with too few arguments (it crashes
//! there), and a log that was damaged in place often still has the form of commands. So a check looks
//! at names and counts too. The table holds every command of Redis 7.2 and those that later versions of
//! Redis (to 8.6) and Valkey (to 9) added; commands of modules, whose names hold a point, are not judged.

/// Name in capitals, and how many arguments it takes with its name: exactly, or if negative at least
/// so many. Sorted by name. A newer command whose count is not known for sure says "at least 1".
#[rustfmt::skip]
const COMMANDS: &[(&str, i16)] = &[
    ("ACL", -2), ("APPEND", 3), ("ASKING", 1), ("AUTH", -2), ("BGREWRITEAOF", 1), ("BGSAVE", -1),
    ("BITCOUNT", -2), ("BITFIELD", -2), ("BITFIELD_RO", -2), ("BITOP", -4), ("BITPOS", -3),
    ("BLMOVE", 6), ("BLMPOP", -5), ("BLPOP", -3), ("BRPOP", -3), ("BRPOPLPUSH", 4), ("BZMPOP", -5),
    ("BZPOPMAX", -3), ("BZPOPMIN", -3), ("CLIENT", -2), ("CLUSTER", -2), ("CLUSTERSCAN", -1),
    ("COMMAND", -1), ("COMMANDLOG", -2), ("CONFIG", -2), ("COPY", -3), ("DBSIZE", 1), ("DEBUG", -2),
    ("DECR", 2), ("DECRBY", 3), ("DEL", -2), ("DELEX", -2), ("DELIFEQ", 3), ("DIGEST", 2),
    ("DISCARD", 1), ("DUMP", 2), ("ECHO", 2), ("EVAL", -3), ("EVALSHA", -3), ("EVALSHA_RO", -3),
    ("EVAL_RO", -3), ("EXEC", 1), ("EXISTS", -2), ("EXPIRE", -3), ("EXPIREAT", -3),
    ("EXPIRETIME", 2), ("FAILOVER", -1), ("FCALL", -3), ("FCALL_RO", -3), ("FLUSHALL", -1),
    ("FLUSHDB", -1), ("FUNCTION", -2), ("GEOADD", -5), ("GEODIST", -4), ("GEOHASH", -2),
    ("GEOPOS", -2), ("GEORADIUS", -6), ("GEORADIUSBYMEMBER", -5), ("GEORADIUSBYMEMBER_RO", -5),
    ("GEORADIUS_RO", -6), ("GEOSEARCH", -7), ("GEOSEARCHSTORE", -8), ("GET", 2), ("GETBIT", 3),
    ("GETDEL", 2), ("GETEX", -2), ("GETRANGE", 4), ("GETSET", 3), ("HDEL", -3), ("HELLO", -1),
    ("HEXISTS", 3), ("HEXPIRE", -6), ("HEXPIREAT", -6), ("HEXPIRETIME", -5), ("HGET", 3),
    ("HGETALL", 2), ("HGETDEL", -5), ("HGETEX", -5), ("HINCRBY", 4), ("HINCRBYFLOAT", 4),
    ("HKEYS", 2), ("HLEN", 2), ("HMGET", -3), ("HMSET", -4), ("HPERSIST", -5), ("HPEXPIRE", -6),
    ("HPEXPIREAT", -6), ("HPEXPIRETIME", -5), ("HPTTL", -5), ("HRANDFIELD", -2), ("HSCAN", -3),
    ("HSET", -4), ("HSETEX", -6), ("HSETNX", 4), ("HSTRLEN", 3), ("HTTL", -5), ("HVALS", 2),
    ("INCR", 2), ("INCRBY", 3), ("INCRBYFLOAT", 3), ("INFO", -1), ("KEYS", 2), ("LASTSAVE", 1),
    ("LATENCY", -2), ("LCS", -3), ("LINDEX", 3), ("LINSERT", 5), ("LLEN", 2), ("LMOVE", 5),
    ("LMPOP", -4), ("LOLWUT", -1), ("LPOP", -2), ("LPOS", -3), ("LPUSH", -3), ("LPUSHX", -3),
    ("LRANGE", 4), ("LREM", 4), ("LSET", 4), ("LTRIM", 4), ("MEMORY", -2), ("MGET", -2),
    ("MIGRATE", -6), ("MODULE", -2), ("MONITOR", 1), ("MOVE", 3), ("MSET", -3), ("MSETEX", -4),
    ("MSETNX", -3), ("MULTI", 1), ("OBJECT", -2), ("PERSIST", 2), ("PEXPIRE", -3),
    ("PEXPIREAT", -3), ("PEXPIRETIME", 2), ("PFADD", -2), ("PFCOUNT", -2), ("PFDEBUG", 3),
    ("PFMERGE", -2), ("PFSELFTEST", 1), ("PING", -1), ("PSETEX", 4), ("PSUBSCRIBE", -2),
    ("PSYNC", -3), ("PTTL", 2), ("PUBLISH", 3), ("PUBSUB", -2), ("PUNSUBSCRIBE", -1), ("QUIT", -1),
    ("RANDOMKEY", 1), ("READONLY", 1), ("READWRITE", 1), ("RENAME", 3), ("RENAMENX", 3),
    ("REPLCONF", -1), ("REPLICAOF", 3), ("RESET", 1), ("RESTORE", -4), ("RESTORE-ASKING", -4),
    ("ROLE", 1), ("RPOP", -2), ("RPOPLPUSH", 3), ("RPUSH", -3), ("RPUSHX", -3), ("SADD", -3),
    ("SAVE", 1), ("SCAN", -2), ("SCARD", 2), ("SCRIPT", -2), ("SDIFF", -2), ("SDIFFSTORE", -3),
    ("SELECT", 2), ("SET", -3), ("SETBIT", 4), ("SETEX", 4), ("SETNX", 3), ("SETRANGE", 4),
    ("SHUTDOWN", -1), ("SINTER", -2), ("SINTERCARD", -3), ("SINTERSTORE", -3), ("SISMEMBER", 3),
    ("SLAVEOF", 3), ("SLOWLOG", -2), ("SMEMBERS", 2), ("SMISMEMBER", -3), ("SMOVE", 4),
    ("SORT", -2), ("SORT_RO", -2), ("SPOP", -2), ("SPUBLISH", 3), ("SRANDMEMBER", -2), ("SREM", -3),
    ("SSCAN", -3), ("SSUBSCRIBE", -2), ("STRLEN", 2), ("SUBSCRIBE", -2), ("SUBSTR", 4),
    ("SUNION", -2), ("SUNIONSTORE", -3), ("SUNSUBSCRIBE", -1), ("SWAPDB", 3), ("SYNC", 1),
    ("TIME", 1), ("TOUCH", -2), ("TRIMSLOTS", -1), ("TTL", 2), ("TYPE", 2), ("UNLINK", -2),
    ("UNSUBSCRIBE", -1), ("UNWATCH", 1), ("VADD", -5), ("VCARD", 2), ("VDIM", 2), ("VEMB", -3),
    ("VGETATTR", 3), ("VINFO", 2), ("VISMEMBER", 3), ("VLINKS", -3), ("VRANDMEMBER", -2),
    ("VRANGE", -1), ("VREM", 3), ("VSETATTR", 4), ("VSIM", -4), ("WAIT", 3), ("WAITAOF", 4),
    ("WATCH", -2), ("XACK", -4), ("XACKDEL", -6), ("XADD", -5), ("XAUTOCLAIM", -6), ("XCFGSET", -1),
    ("XCLAIM", -6), ("XDEL", -3), ("XDELEX", -5), ("XGROUP", -2), ("XIDMPRECORD", -1),
    ("XINFO", -2), ("XLEN", 2), ("XPENDING", -3), ("XRANGE", -4), ("XREAD", -4), ("XREADGROUP", -7),
    ("XREVRANGE", -4), ("XSETID", -3), ("XTRIM", -4), ("ZADD", -4), ("ZCARD", 2), ("ZCOUNT", 4),
    ("ZDIFF", -3), ("ZDIFFSTORE", -4), ("ZINCRBY", 4), ("ZINTER", -3), ("ZINTERCARD", -3),
    ("ZINTERSTORE", -4), ("ZLEXCOUNT", 4), ("ZMPOP", -4), ("ZMSCORE", -3), ("ZPOPMAX", -2),
    ("ZPOPMIN", -2), ("ZRANDMEMBER", -2), ("ZRANGE", -4), ("ZRANGEBYLEX", -4),
    ("ZRANGEBYSCORE", -4), ("ZRANGESTORE", -5), ("ZRANK", -3), ("ZREM", -3), ("ZREMRANGEBYLEX", 4),
    ("ZREMRANGEBYRANK", 4), ("ZREMRANGEBYSCORE", 4), ("ZREVRANGE", -4), ("ZREVRANGEBYLEX", -4),
    ("ZREVRANGEBYSCORE", -4), ("ZREVRANK", -3), ("ZSCAN", -3), ("ZSCORE", 3), ("ZUNION", -3),
    ("ZUNIONSTORE", -4),
];

/// Longest name in bytes.
const NAME_MAX: usize = 32;

/// What is wrong with a command, judged by its name and the count of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// No server has this command.
    Unknown,
    /// The command takes this many arguments with its name: exactly, or if negative at least so many.
    Arity(i16),
}

/// Judge a command with `argc` arguments, the name included. Modules' commands always pass.
pub fn judge(name: &[u8], argc: usize) -> Option<Objection> {
    match arity(name) {
        Some(arity) if fits(arity, argc) => None,
        Some(arity) => Some(Objection::Arity(arity)),
        None if name.contains(&b'.') => None,
        None => Some(Objection::Unknown),
    }
}

/// The count of arguments that a command takes, as in the table.
pub fn arity(name: &[u8]) -> Option<i16> {
    let mut upper = [0; NAME_MAX];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let found = COMMANDS.binary_search_by(|(known, _)| known.as_bytes().cmp(upper));
    found.ok().map(|at| COMMANDS[at].1)
}

/// Whether `argc` arguments are what `arity` asks for.
pub fn fits(arity: i16, argc: usize) -> bool {
    let wanted = arity.unsigned_abs() as usize;
    if arity < 0 {
        argc >= wanted
    } else {
        argc == wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts are what a 7.2.4 says of itself.
    #[test]
    fn counts_are_those_of_a_real_server() {
        let text = include_str!("../../../testdata/commands-7.2.json");
        let told: serde_json::Value = serde_json::from_str(text).unwrap();
        let told = told.as_array().unwrap();
        assert!(told.len() > 200);
        for command in told {
            let name = command["name"].as_str().unwrap();
            let found = arity(name.as_bytes()).map(i64::from);
            assert_eq!(found, command["arity"].as_i64(), "{name}");
        }
    }

    #[test]
    fn table_is_sorted_in_capitals_and_short() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(COMMANDS.iter().all(|(name, _)| name.len() <= NAME_MAX));
        assert!(
            COMMANDS
                .iter()
                .all(|(name, _)| name.to_ascii_uppercase() == *name)
        );
        assert!(COMMANDS.iter().all(|(_, arity)| *arity != 0));
    }

    #[test]
    fn commands_are_judged_by_name_and_count() {
        assert_eq!(judge(b"set", 3), None);
        assert_eq!(judge(b"SET", 2), Some(Objection::Arity(-3)));
        assert_eq!(judge(b"Get", 3), Some(Objection::Arity(2)));
        assert_eq!(judge(b"NOSUCHCMD", 1), Some(Objection::Unknown));
        assert_eq!(judge(b"JSON.SET", 4), None);
        assert_eq!(judge(&[b'x'; 100], 1), Some(Objection::Unknown));
        assert_eq!(judge(b"", 1), Some(Objection::Unknown));
    }
}
