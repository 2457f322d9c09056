//! The byte that opens each record: an opcode, or the type of the value whose key follows.
//!
//! Numbers from 242 up are opcodes, the rest are types; 22, 23, 242 and 243 mean different things
//! to the two families. The table below is the one place that knows the layout of every type.

use super::dialect::{Dialect, Family};

/// End of the file.
pub const EOF: u8 = 255;
/// The keys that follow belong to this database.
pub const SELECTDB: u8 = 254;
/// Expiry of the next key in seconds, 4 bytes (up to Redis 2.4).
pub const EXPIRETIME: u8 = 253;
/// Expiry of the next key in milliseconds, 8 bytes.
pub const EXPIRETIME_MS: u8 = 252;
/// Number of keys and of expiring keys in this database; a hint.
pub const RESIZEDB: u8 = 251;
/// A name and a value about the file.
pub const AUX: u8 = 250;
/// Access frequency of the next key, 1 byte.
pub const FREQ: u8 = 249;
/// Idle time of the next key in seconds.
pub const IDLE: u8 = 248;
/// Data of a module that belongs to no key.
pub const MODULE_AUX: u8 = 247;
/// A function library as release candidates of 7.0 wrote it; refused by everyone.
pub const FUNCTION_EARLY: u8 = 246;
/// A function library.
pub const FUNCTION: u8 = 245;
/// Number of keys in one cluster slot; a hint.
pub const SLOT_INFO: u8 = 244;
/// Redis: metadata of the next key. Valkey: `SLOT_IMPORT`.
pub const KEY_META: u8 = 243;
/// Redis: names of fields that the hashes of a file share.
pub const TEMPLATE: u8 = 242;
/// Valkey, from 81 on: a command as a client sends it. After its description only; no real file was at hand.
pub const COMMAND: u8 = 242;
/// Valkey's meaning of 243: an import of slots that was under way.
pub const SLOT_IMPORT: u8 = 243;

/// The wire shape of a value, as far as skipping it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One string.
    String,
    /// A count, then that many times so many strings.
    Strings(u8),
    /// A count, then member and text score.
    TextScores,
    /// A count, then member and 8 bytes.
    BinaryScores,
    /// A count, then container number and string.
    Nodes,
    /// 8 bytes if `base`, a count, then length, string, string.
    Expiring {
        /// Whether the lowest expiry stands first (types 24 and 25).
        base: bool,
    },
    /// A count, then string, string, 8 bytes: Valkey's type 22.
    ValkeyExpiring,
    /// 8 bytes if `base`, then one string.
    ExpiringPack {
        /// Whether the lowest expiry stands first.
        base: bool,
    },
    /// A stream of form 1 to 5.
    Stream(u8),
    /// A module id and module values.
    Module,
    /// An array (Redis 8.8).
    Array,
    /// A hash on a template (Redis 8.10).
    Template {
        /// It names a template that the file has defined.
        by_reference: bool,
        /// The values are one listpack.
        packed: bool,
    },
}

/// What a type byte stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeInfo {
    pub byte: u8,
    /// How messages name it: "hash as listpack".
    pub name: &'static str,
    pub layout: Layout,
    /// First version of the family that may hold it.
    pub since: u16,
}

const fn info(byte: u8, name: &'static str, layout: Layout, since: u16) -> TypeInfo {
    TypeInfo {
        byte,
        name,
        layout,
        since,
    }
}

const fn on_template(byte: u8, by_reference: bool, packed: bool) -> TypeInfo {
    let layout = Layout::Template {
        by_reference,
        packed,
    };
    info(byte, "hash on a template", layout, 15)
}

/// What a node of a list holds, before its string: one element.
pub(crate) const NODE_PLAIN: u64 = 1;
/// A listpack.
pub(crate) const NODE_PACKED: u64 = 2;

/// The string.
pub(crate) const STRING: u8 = 0;
/// The list as single elements.
pub(crate) const LIST: u8 = 1;
/// The set as single members.
pub(crate) const SET: u8 = 2;
/// The hash as single fields and values.
pub(crate) const HASH: u8 = 4;
/// The set as intset.
pub(crate) const SET_INTSET: u8 = 11;
/// The hash as listpack.
pub(crate) const HASH_LISTPACK: u8 = 16;
/// The sorted set as listpack.
pub(crate) const ZSET_LISTPACK: u8 = 17;
/// The list of nodes that are listpacks or single elements.
pub(crate) const LIST_NODES: u8 = 18;
/// The set as listpack.
pub(crate) const SET_LISTPACK: u8 = 20;

/// Types that both families have, or Redis alone.
static TYPES: [TypeInfo; 31] = [
    info(STRING, "string", Layout::String, 1),
    info(LIST, "list", Layout::Strings(1), 1),
    info(SET, "set", Layout::Strings(1), 1),
    info(3, "zset with text scores", Layout::TextScores, 1),
    info(HASH, "hash", Layout::Strings(2), 1),
    info(5, "zset", Layout::BinaryScores, 8),
    info(7, "module value", Layout::Module, 8),
    info(9, "hash as zipmap", Layout::String, 1),
    info(10, "list as ziplist", Layout::String, 1),
    info(SET_INTSET, "set as intset", Layout::String, 1),
    info(12, "zset as ziplist", Layout::String, 1),
    info(13, "hash as ziplist", Layout::String, 3),
    info(14, "list as quicklist", Layout::Strings(1), 7),
    info(15, "stream", Layout::Stream(1), 9),
    info(HASH_LISTPACK, "hash as listpack", Layout::String, 10),
    info(ZSET_LISTPACK, "zset as listpack", Layout::String, 10),
    info(LIST_NODES, "list as quicklist 2", Layout::Nodes, 10),
    info(19, "stream 2", Layout::Stream(2), 10),
    info(SET_LISTPACK, "set as listpack", Layout::String, 11),
    info(21, "stream 3", Layout::Stream(3), 11),
    info(
        22,
        "hash with expiry, early form",
        Layout::Expiring { base: false },
        12,
    ),
    info(
        23,
        "hash with expiry as listpack, early form",
        Layout::ExpiringPack { base: false },
        12,
    ),
    info(24, "hash with expiry", Layout::Expiring { base: true }, 12),
    info(
        25,
        "hash with expiry as listpack",
        Layout::ExpiringPack { base: true },
        12,
    ),
    info(26, "stream 4", Layout::Stream(4), 13),
    info(27, "stream 5", Layout::Stream(5), 14),
    info(28, "array", Layout::Array, 14),
    on_template(29, false, true),
    on_template(30, true, true),
    on_template(31, false, false),
    on_template(32, true, false),
];

/// Valkey's own types.
static VALKEY_TYPES: [TypeInfo; 1] = [info(22, "hash with expiry", Layout::ValkeyExpiring, 80)];

/// Where Valkey's types are its own.
const VALKEY_OWN: u8 = 22;

/// The types of a family by their byte.
type ByByte = [Option<&'static TypeInfo>; 1 << u8::BITS];
static REDIS_BY_BYTE: ByByte = by_byte([None; 1 << u8::BITS], &TYPES, u8::MAX);
static VALKEY_BY_BYTE: ByByte = by_byte(
    by_byte([None; 1 << u8::BITS], &TYPES, VALKEY_OWN - 1),
    &VALKEY_TYPES,
    u8::MAX,
);

/// Adds those up to this byte.
const fn by_byte(mut table: ByByte, types: &'static [TypeInfo], last: u8) -> ByByte {
    let mut at = 0;
    while at < types.len() {
        if types[at].byte <= last {
            table[types[at].byte as usize] = Some(&types[at]);
        }
        at += 1;
    }
    table
}

/// Looks up a type byte. `None`: no such type in this family.
#[inline]
pub(crate) fn type_info(family: Family, byte: u8) -> Option<&'static TypeInfo> {
    match family {
        Family::Redis => REDIS_BY_BYTE[usize::from(byte)],
        Family::Valkey => VALKEY_BY_BYTE[usize::from(byte)],
    }
}

/// What a type byte stands for that cannot be read, where that is known.
pub(crate) fn unreadable_type(family: Family, byte: u8) -> Option<&'static str> {
    Some(match (family, byte) {
        (_, 6) => "a module value as release candidates of 4.0 wrote it",
        (Family::Redis, 33) => "a rate limiter, whose layout is not documented",
        (Family::Valkey, 23) => "a path hash, whose layout is not documented",
        _ => return None,
    })
}

/// Why a type byte cannot be read in this dialect; the text ends an error line.
pub(crate) fn type_refusal(dialect: Dialect, byte: u8) -> String {
    match unreadable_type(dialect.family(), byte) {
        Some(what) => format!("type {byte} is {what}"),
        None => format!("unknown type {byte} (0x{byte:02x})"),
    }
}

/// What is odd about a type that came after the version of the file; servers read it by its number.
pub(crate) fn type_too_new(dialect: Dialect, info: &TypeInfo) -> String {
    let TypeInfo {
        byte, name, since, ..
    } = info;
    format!("type {byte} ({name}) came with version {since}, and this is {dialect}")
}

/// Whether a byte is an opcode in some version of some family, known or not.
pub(crate) fn is_opcode(byte: u8) -> bool {
    byte >= 241
}

/// Why an opcode cannot be read in this dialect.
pub(crate) fn opcode_refusal(dialect: Dialect, byte: u8) -> String {
    let reason = match (dialect.family(), byte) {
        (_, FUNCTION_EARLY) => "a function as release candidates of 7.0 wrote it",
        (Family::Redis, TEMPLATE) => "a template of hashes, which came with version 15",
        (Family::Valkey, COMMAND) => "an inline command, which came with version 81",
        _ => return format!("unknown opcode {byte} in {dialect}"),
    };
    format!("opcode {byte} is {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_differ_at_22() {
        let redis = type_info(Family::Redis, 22).map(|info| info.layout);
        let valkey = type_info(Family::Valkey, 22).map(|info| info.layout);
        assert_eq!(redis, Some(Layout::Expiring { base: false }));
        assert_eq!(valkey, Some(Layout::ValkeyExpiring));
        assert!(type_info(Family::Valkey, 24).is_none());
        assert!(type_info(Family::Redis, 8).is_none());
    }

    #[test]
    fn an_opcode_that_is_refused_is_named() {
        let redis = Dialect::redis(11);
        assert!(opcode_refusal(redis, FUNCTION_EARLY).contains("release candidates of 7.0"));
        assert!(opcode_refusal(redis, 242).contains("a template of hashes"));
        assert!(opcode_refusal(Dialect::valkey(80), 242).contains("an inline command"));
        assert!(opcode_refusal(redis, 241).starts_with("unknown opcode 241 in "));
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TYPES.windows(2).all(|pair| pair[0].byte < pair[1].byte));
        for byte in 0..=u8::MAX {
            let own = byte >= VALKEY_OWN;
            let redis = TYPES.iter().find(|info| info.byte == byte);
            let valkey = VALKEY_TYPES.iter().find(|info| info.byte == byte);
            let name = |info: Option<&TypeInfo>| info.map(|info| info.name);
            assert_eq!(name(type_info(Family::Redis, byte)), name(redis));
            let expected = if own { valkey } else { redis };
            assert_eq!(name(type_info(Family::Valkey, byte)), name(expected));
        }
    }
}
