//! What was refused, as ACL LOG tells it: the newest first, the same within a minute once.

use std::collections::VecDeque;

/// How many of the newest entries the same refusal is looked for in.
const LOOKED_AT: usize = 10;
/// Until when a refusal counts to an entry, milliseconds after its last one.
const GROUPED_MS: i64 = 60_000;
/// Entries that are kept, unless configured.
const DEFAULT_LIMIT: usize = 128;

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The command is not allowed.
    Command,
    /// The key.
    Key,
    /// The channel.
    Channel,
    /// The password.
    Auth,
}

impl Reason {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Auth => "auth",
        }
    }
}

/// Where a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A client sent it.
    TopLevel,
    /// In a transaction, while it is queued or when it runs.
    Multi,
    /// A script called it.
    Lua,
}

impl Context {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// What: the command, key or channel; the word that logs in.
    pub object: Box<[u8]>,
    /// Whom.
    pub user: Box<[u8]>,
    /// The client, as CLIENT INFO tells it.
    pub client: Box<[u8]>,
}

/// Refusals of one kind.
#[derive(Debug)]
pub struct Entry {
    /// The newest.
    pub refusal: Refusal,
    /// How many.
    pub count: u64,
    /// Number of the entry.
    pub id: u64,
    /// When the first was, wall milliseconds.
    pub created_ms: i64,
    /// When the last was.
    pub updated_ms: i64,
}

/// How many were refused for each reason.
#[derive(Clone, Copy, Debug, Default)]
pub struct Denials {
    /// Commands.
    pub command: u64,
    /// Keys.
    pub key: u64,
    /// Channels.
    pub channel: u64,
    /// Passwords.
    pub auth: u64,
}

/// The log.
#[derive(Debug)]
pub struct Log {
    entries: VecDeque<Entry>,
    next_id: u64,
    /// Entries that are kept.
    limit: usize,
    /// All that was refused, whether it is kept or not.
    pub denials: Denials,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            entries: VecDeque::new(),
            next_id: 0,
            limit: DEFAULT_LIMIT,
            denials: Denials::default(),
        }
    }
}

impl Log {
    /// Keeps at most so many from the next one on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Notes a refusal.
    pub fn note(&mut self, refusal: Refusal, now_ms: i64) {
        let denials = &mut self.denials;
        *match refusal.reason {
            Reason::Command => &mut denials.command,
            Reason::Key => &mut denials.key,
            Reason::Channel => &mut denials.channel,
            Reason::Auth => &mut denials.auth,
        } += 1;
        let is_same = |entry: &Entry| {
            let old = &entry.refusal;
            old.reason == refusal.reason
                && old.context == refusal.context
                && old.object == refusal.object
                && old.user == refusal.user
                && now_ms - entry.updated_ms <= GROUPED_MS
        };
        let place = self.entries.iter().take(LOOKED_AT).position(is_same);
        let known = place.and_then(|place| self.entries.remove(place));
        let entry = match known {
            Some(old) => Entry {
                refusal,
                count: old.count + 1,
                updated_ms: now_ms,
                ..old
            },
            None => {
                self.next_id += 1;
                Entry {
                    refusal,
                    count: 1,
                    id: self.next_id - 1,
                    created_ms: now_ms,
                    updated_ms: now_ms,
                }
            }
        };
        self.entries.push_front(entry);
        self.entries.truncate(self.limit);
    }

    /// The newest entries, the last one first.
    pub fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().take(count)
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
