//! The constant that describes a command. Names, arity, flags, key positions and tips are facts of Redis 7.2.4
//! (`COMMAND` on a running server); summaries are our own words.

use super::ctx::{Ctx, Shared};
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::keyspace::Keyspace;
use crate::users::check::UsedChannels;

/// What runs a command.
pub type Handler = fn(&mut Ctx, &Args) -> Outcome;

/// Who may run a command at all, whatever their rights: refuses, or does nothing.
pub type Guard = fn(&mut Ctx) -> Outcome;

/// Flags that a call has beyond those of its command: what a script asks for decides when it may run.
pub type FlagsOf = fn(&Shared, &Keyspace, &Args) -> Flags;

/// A command, or a subcommand named `container|sub`.
#[derive(Debug)]
pub struct Command {
    /// Lower case; `config|get` for a subcommand.
    pub name: &'static str,
    /// Family it belongs to.
    pub group: Group,
    /// First Redis version that has it.
    pub since: &'static str,
    /// Number of arguments with the name (a container counts its word and the subcommand's); negative: at least.
    pub arity: i16,
    /// What it does and where it may run.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Which of its arguments are channels that messages go through.
    pub channels: UsedChannels,
    /// ACL categories in place of that of the group, for commands that belong elsewhere or to several.
    pub categories: Option<&'static [&'static str]>,
    /// Tips for clients and proxies, as COMMAND INFO lists them.
    pub tips: &'static [&'static str],
    /// Cost, in the usual notation.
    pub complexity: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// Asked before anything else of the client, its password included.
    pub guard: Option<Guard>,
    /// Where its arguments decide about its flags: asked in place of `flags` when the gate is not open.
    pub flags_of: Option<FlagsOf>,
    /// Which of its arguments nobody may be shown.
    pub secrets: Secrets,
    /// The handler. A container's own handler runs only if no subcommand is given.
    pub run: Handler,
    /// Subcommands of a container.
    pub subcommands: &'static [&'static Command],
    /// What a subcommand HELP shows.
    pub help: &'static [&'static str],
}

impl Command {
    /// A base for constants: `Command { name: .., run: .., ..Command::BASE }`.
    pub const BASE: Command = Command {
        name: "",
        group: Group::Generic,
        since: "1.0.0",
        arity: -1,
        flags: Flags::NONE,
        keys: &[],
        channels: UsedChannels::None,
        categories: None,
        tips: &[],
        complexity: "O(1)",
        summary: "",
        guard: None,
        flags_of: None,
        secrets: Secrets::None,
        run: no_handler,
        subcommands: &[],
        help: &[],
    };

    /// A container: it does nothing without a subcommand.
    pub const fn container(
        name: &'static str,
        group: Group,
        since: &'static str,
        summary: &'static str,
        subcommands: &'static [&'static Command],
    ) -> Command {
        assert!(!subcommands.is_empty(), "a container of nothing");
        Command {
            name,
            group,
            since,
            arity: -2,
            summary,
            subcommands,
            complexity: "Depends on subcommand.",
            ..Command::BASE
        }
    }

    /// The flags of a call of it.
    pub fn flags_of_call(&self, shared: &Shared, ks: &Keyspace, args: &Args) -> Flags {
        match self.flags_of {
            None => self.flags,
            Some(flags_of) => flags_of(shared, ks, args),
        }
    }

    /// The name without its container.
    pub fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, sub)| sub)
    }

    /// Whether argument `at` must not be shown: in MONITOR, in logs.
    pub fn is_secret(&self, args: &Args, at: usize) -> bool {
        match self.secrets {
            Secrets::None => false,
            Secrets::From(first) => at >= first,
            Secrets::After(words) => words.iter().any(|(word, count)| {
                let first = at.saturating_sub(*count).max(1);
                (first..at).any(|before| args.is(before, word))
            }),
            Secrets::Where(asked) => asked(args, at),
        }
    }

    /// Whether this many arguments (name included) are accepted.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = self.arity as isize;
        if arity >= 0 {
            count as isize == arity
        } else {
            count as isize >= -arity
        }
    }
}

/// Which arguments of a command are passwords or the like.
#[derive(Clone, Copy, Debug)]
pub enum Secrets {
    /// None of them.
    None,
    /// Those from this place on.
    From(usize),
    /// So many behind each of these words.
    After(&'static [(&'static str, usize)]),
    /// Those that this says.
    Where(fn(&Args, usize) -> bool),
}

/// Stands in a container's constant; dispatch answers before it could run.
fn no_handler(_: &mut Ctx, args: &Args) -> Outcome {
    Err(crate::base::error::wrong_arity(
        &String::from_utf8_lossy(args.at(0)).to_ascii_lowercase(),
    ))
}

/// Family of a command, as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    HyperLogLog,
    Cluster,
    Sentinel,
    Geo,
    Stream,
    Bitmap,
}

impl Group {
    /// The word in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
        }
    }

    /// The ACL category that all its commands carry, if any.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Group::Generic => Some("@keyspace"),
            Group::String => Some("@string"),
            Group::List => Some("@list"),
            Group::Set => Some("@set"),
            Group::SortedSet => Some("@sortedset"),
            Group::Hash => Some("@hash"),
            Group::Transactions => Some("@transaction"),
            Group::Connection => Some("@connection"),
            Group::Scripting => Some("@scripting"),
            Group::HyperLogLog => Some("@hyperloglog"),
            Group::Geo => Some("@geo"),
            Group::Stream => Some("@stream"),
            Group::Bitmap => Some("@bitmap"),
            Group::PubSub | Group::Server | Group::Cluster | Group::Sentinel => None,
        }
    }
}

/// Flags of a command, a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

#[allow(missing_docs)]
impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const WRITE: Flags = Flags(1);
    pub const READ: Flags = Flags(1 << 1);
    pub const DENY_OOM: Flags = Flags(1 << 2);
    pub const ADMIN: Flags = Flags(1 << 3);
    pub const PUBSUB: Flags = Flags(1 << 4);
    pub const NO_SCRIPT: Flags = Flags(1 << 5);
    pub const BLOCKING: Flags = Flags(1 << 6);
    pub const LOADING: Flags = Flags(1 << 7);
    pub const STALE: Flags = Flags(1 << 8);
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    pub const ASKING: Flags = Flags(1 << 11);
    pub const FAST: Flags = Flags(1 << 12);
    pub const NO_AUTH: Flags = Flags(1 << 13);
    /// Not shown by COMMAND.
    pub const MAY_REPLICATE: Flags = Flags(1 << 14);
    pub const NO_MULTI: Flags = Flags(1 << 15);
    pub const MOVABLE_KEYS: Flags = Flags(1 << 16);
    pub const ALLOW_BUSY: Flags = Flags(1 << 17);
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 18);
    pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 19);
    /// Not shown by COMMAND: belongs to the @dangerous category although not an admin command.
    pub const DANGEROUS: Flags = Flags(1 << 20);
    /// Not shown by COMMAND: belongs to the @keyspace category although of another group.
    pub const KEYSPACE: Flags = Flags(1 << 21);
    /// Not shown: runs in RESP2 subscribe mode.
    pub const IN_SUBSCRIBE: Flags = Flags(1 << 22);

    /// Those that are not in `other`.
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Both sets.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of COMMAND INFO in Redis's order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        FLAG_WORDS
            .iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, word)| *word)
    }
}

const FLAG_WORDS: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READ, "readonly"),
    (Flags::DENY_OOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::PUBSUB, "pubsub"),
    (Flags::NO_SCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_slowlog"),
    (Flags::ASKING, "asking"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_ASYNC_LOADING, "no_async_loading"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (Flags::MOVABLE_KEYS, "movablekeys"),
    (Flags::ALLOW_BUSY, "allow_busy"),
];

/// Where a group of keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(i16),
    /// After this word, searched from an argument on (negative: from the end, backwards).
    Keyword(&'static str, i16),
    /// Not known without running the command's own parser.
    Unknown,
}

/// How the keys go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Last key (relative; negative: from the end), step, and for last = -1 which fraction (0, 1: all) is keys.
    Range {
        /// Relative to the first key; -1 is the last argument.
        last: i16,
        /// From one key to the next.
        step: i16,
        /// 0 or 1: to the end; 2: half of what remains.
        limit: i16,
    },
    /// A count, then so many keys.
    Count {
        /// Argument of the count, relative to the begin.
        at: i16,
        /// Argument of the first key, relative to the begin.
        first: i16,
        /// From one key to the next.
        step: i16,
    },
    /// Not known.
    Unknown,
}

/// One group of keys of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// A remark that COMMAND INFO shows, or empty.
    pub notes: &'static str,
    /// What happens to the keys: RO, RW, OW, RM and access, update, insert, delete, ...
    pub flags: &'static [&'static str],
    /// Where they begin.
    pub begin: Begin,
    /// How they go on.
    pub find: Find,
}

impl KeySpec {
    /// The key at argument 1.
    pub const fn one(flags: &'static [&'static str]) -> KeySpec {
        KeySpec::at(1, flags)
    }

    /// The key at one argument.
    pub const fn at(index: i16, flags: &'static [&'static str]) -> KeySpec {
        KeySpec::range(index, 0, 1, flags)
    }

    /// Keys from one argument on; `last` is relative to it, or negative from the end.
    pub const fn range(
        first: i16,
        last: i16,
        step: i16,
        flags: &'static [&'static str],
    ) -> KeySpec {
        assert!(first > 0 && step > 0, "argument 0 is the command's name");
        KeySpec {
            notes: "",
            flags,
            begin: Begin::Index(first),
            find: Find::Range {
                last,
                step,
                limit: 0,
            },
        }
    }

    /// A count at argument `at`, its keys right after it.
    pub const fn count(at: i16, flags: &'static [&'static str]) -> KeySpec {
        assert!(at > 0, "argument 0 is the command's name");
        KeySpec {
            notes: "",
            flags,
            begin: Begin::Index(at),
            find: Find::Count {
                at: 0,
                first: 1,
                step: 1,
            },
        }
    }

    /// The same with a remark.
    pub const fn note(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }
}
