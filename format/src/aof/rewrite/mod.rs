//! Values as the commands that make them, in the words and portions in which servers rewrite their logs, for a server
//! of one's choice.
//!
//! ```text
//!   string  SET           list    RPUSH      set  SADD      zset  ZADD      hash  HMSET      up to 64 elements each
//!   stream  XADD ..., XSETID, XGROUP CREATE, XGROUP CREATECONSUMER, XCLAIM                   see `stream`
//!   expiry  PEXPIREAT, HPEXPIREAT          library  FUNCTION LOAD          module  RESTORE
//! ```
//!
//! A server walks over its own values and hands their elements to a [`Rewriter`]; what is read from a snapshot goes through
//! [`Rewriter::event`], which does the same with its elements.

mod event;
mod stream;

pub use event::{FIELD_EXPIRY, Lost, STREAM};
pub use stream::StreamRewriter;

use super::release::Release;
use super::writer::{LogState, write_pexpireat};
use crate::rdb::{ExpiringFields, Text};
use crate::resp::value::{write_argument, write_command_header};
use crate::text::double::write_f64;
use crate::text::number::I64Text;

/// Elements in one command, as `AOF_REWRITE_ITEMS_PER_CMD` of Redis: a reader of the log holds one command in memory.
const ELEMENTS_MAX: usize = 64;

/// A value made of elements that are pushed one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Elements in order.
    List,
    /// Members.
    Set,
    /// Score, member.
    Zset,
    /// Field, value.
    Hash,
}

impl Collection {
    const fn command(self) -> &'static [u8] {
        match self {
            Collection::List => b"RPUSH",
            Collection::Set => b"SADD",
            Collection::Zset => b"ZADD",
            Collection::Hash => b"HMSET",
        }
    }
}

/// Commands under way; the caller takes the bytes and clears them as it likes.
#[derive(Debug)]
pub struct Rewriter {
    target: Release,
    /// What becomes of hash fields that expire where the target has no command for that; without, such hashes are left out.
    pub expiring_fields: Option<ExpiringFields>,
    out: Vec<u8>,
    log: LogState,
    /// Of a section: the database in which it begins, which its bytes do not name.
    begins_in: Option<u64>,
    is_section: bool,
    /// Arguments of the next command as they stand in a log, and how many there are.
    arguments: Vec<u8>,
    count: usize,
}

impl Rewriter {
    /// No commands yet.
    pub fn new(target: Release) -> Rewriter {
        Rewriter {
            target,
            expiring_fields: None,
            out: Vec::new(),
            log: LogState::new(),
            begins_in: None,
            is_section: false,
            arguments: Vec::new(),
            count: 0,
        }
    }

    /// Commands that belong behind these, for [`Rewriter::append`].
    pub fn section(&self) -> Rewriter {
        Rewriter {
            expiring_fields: self.expiring_fields,
            is_section: true,
            ..Rewriter::new(self.target)
        }
    }

    /// Takes over the commands of a section.
    pub fn append(&mut self, section: Rewriter) {
        if let Some(db) = section.begins_in {
            self.select(db);
        }
        if let Some(db) = section.log.db() {
            self.log.continue_in(db);
        }
        match self.out.is_empty() {
            true => self.out = section.out,
            false => self.out.extend_from_slice(&section.out),
        }
    }

    /// Who is to read the commands.
    pub fn target(&self) -> Release {
        self.target
    }

    /// What was written since the last [`Rewriter::clear`].
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets the bytes; the database stays selected.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// The keys that follow belong to this database.
    pub fn select(&mut self, db: u64) {
        if self.is_section && self.out.is_empty() && self.log.db().is_none() {
            self.begins_in = Some(db);
            self.log.continue_in(db);
        }
        self.log.before_command(&mut self.out, db, None);
    }

    /// A string.
    pub fn string(&mut self, key: &[u8], value: &[u8]) {
        self.begin(b"SET").push(key).push(value).send();
    }

    /// A collection: `fill` is handed what takes its elements.
    pub fn collection<R>(
        &mut self,
        kind: Collection,
        key: &[u8],
        fill: impl FnOnce(&mut Elements<'_>) -> R,
    ) -> R {
        let mut elements = Elements {
            to: self,
            command: kind.command(),
            key,
            count: 0,
        };
        let filled = fill(&mut elements);
        debug_assert!(elements.count < ELEMENTS_MAX, "a full command is sent");
        if elements.count > 0 {
            self.send();
        }
        filled
    }

    /// When a field of a hash expires, Unix milliseconds. The target has to know that.
    pub fn field_expiry(&mut self, key: &[u8], field: &[u8], at_ms: i64) {
        debug_assert!(
            self.target.has_field_expiry(),
            "the target knows the command"
        );
        self.begin(b"HPEXPIREAT").push(key).push_int(at_ms);
        self.push(b"FIELDS").push(b"1").push(field).send();
    }

    /// When the key expires, Unix milliseconds.
    pub fn expiry(&mut self, key: &[u8], at_ms: i64) {
        write_pexpireat(&mut self.out, key, at_ms);
    }

    fn begin(&mut self, command: &[u8]) -> &mut Self {
        self.arguments.clear();
        self.count = 0;
        self.push(command)
    }

    fn push(&mut self, argument: &[u8]) -> &mut Self {
        write_argument(&mut self.arguments, argument);
        self.count += 1;
        self
    }

    fn push_text(&mut self, text: &Text<'_>) -> &mut Self {
        self.push(text.bytes(&mut I64Text::new()))
    }

    fn push_int(&mut self, int: i64) -> &mut Self {
        self.push(I64Text::new().format(int))
    }

    fn send(&mut self) {
        debug_assert!(
            self.count > 0 && !self.arguments.is_empty(),
            "a command was begun"
        );
        write_command_header(&mut self.out, self.count);
        self.out.extend_from_slice(&self.arguments);
    }
}

/// Takes the elements of a collection and sends them in portions.
#[derive(Debug)]
pub struct Elements<'r> {
    to: &'r mut Rewriter,
    command: &'static [u8],
    key: &'r [u8],
    count: usize,
}

impl Elements<'_> {
    /// An element of a list, or a member of a set.
    pub fn one(&mut self, element: &[u8]) {
        self.next(|to| to.push(element));
    }

    /// A field of a hash and its value.
    pub fn field(&mut self, field: &[u8], value: &[u8]) {
        self.next(|to| to.push(field).push(value));
    }

    /// A member of a sorted set.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        let mut text = Vec::with_capacity(32);
        write_f64(&mut text, score);
        self.next(|to| to.push(&text).push(member));
    }

    fn next(&mut self, push: impl FnOnce(&mut Rewriter) -> &mut Rewriter) {
        if self.count == 0 {
            self.to.begin(self.command).push(self.key);
        }
        let before = self.to.count;
        push(self.to);
        self.count += 1;
        debug_assert_eq!(
            self.to.count,
            2 + self.count * (self.to.count - before),
            "name, key, and elements of one size"
        );
        if self.count == ELEMENTS_MAX {
            self.to.send();
            self.count = 0;
        }
    }
}
