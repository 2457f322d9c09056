//! Commands as bytes of a log.
//!
//! A log has no field for the database: SELECT comes first, and again whenever it changes. With
//! timestamps a line `#TS:<seconds>` comes before the first command of each new second.

use crate::resp::value::{write_argument, write_command_header};
use crate::text::number::{I64Text, write_i64};

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Append SELECT of database `db`.
fn write_select(out: &mut Vec<u8>, db: u64) {
    let mut text = I64Text::new();
    write_command_header(out, 2);
    write_argument(out, b"SELECT");
    write_argument(out, text.format_u64(db));
}

/// Append PEXPIREAT of `key` at `at_ms`, Unix time in milliseconds: the form in which every expiry is
/// logged from Redis 2.6 on.
pub fn write_pexpireat(out: &mut Vec<u8>, key: &[u8], at_ms: i64) {
    let mut text = I64Text::new();
    write_command_header(out, 3);
    write_argument(out, b"PEXPIREAT");
    write_argument(out, key);
    write_argument(out, text.format(at_ms));
}

/// Append a timestamp annotation of this Unix time in seconds.
pub fn write_timestamp(out: &mut Vec<u8>, seconds: i64) {
    out.extend_from_slice(b"#TS:");
    write_i64(out, seconds);
    out.extend_from_slice(b"\r\n");
}

/// Knows what the log already says, and adds SELECT and timestamps where they are due.
#[derive(Clone, Debug, Default)]
pub struct LogState {
    db: Option<u64>,
    second: Option<i64>,
}

impl LogState {
    /// The state at the start of a file, where no database is selected.
    pub fn new() -> Self {
        LogState::default()
    }

    /// The database that commands appended now would go to.
    pub fn db(&self) -> Option<u64> {
        self.db
    }

    /// The bytes before were written by somebody else, and end in this database.
    pub(super) fn continue_in(&mut self, db: u64) {
        self.db = Some(db);
    }

    /// Call before a command for `db` is appended. `second` is the present Unix time if timestamps
    /// are wanted. Inside MULTI leave `second` out, as the place of an annotation is between commands.
    #[inline]
    pub fn before_command(&mut self, out: &mut Vec<u8>, db: u64, second: Option<i64>) {
        if second.is_some() && second != self.second {
            self.second = second;
            write_timestamp(out, second.unwrap_or_default());
        }
        debug_assert!(
            second.is_none_or(|now| now >= 0),
            "the time of an annotation is after 1970"
        );
        if self.db != Some(db) {
            self.db = Some(db);
            write_select(out, db);
        }
    }

    /// Appends the encoded commands of one unit, each with its database, and with `transaction` MULTI and EXEC around
    /// them. `second` is the present Unix time if timestamps are wanted: an annotation stands between commands, and
    /// so never inside a transaction.
    #[inline]
    pub fn write_unit<'a>(
        &mut self,
        out: &mut Vec<u8>,
        commands: impl Iterator<Item = (u64, &'a [u8])>,
        transaction: bool,
        second: Option<i64>,
    ) {
        let mut commands = commands.peekable();
        let Some(&(first, _)) = commands.peek() else {
            return;
        };
        let start = out.len();
        if transaction {
            self.before_command(out, first, second);
            out.extend_from_slice(MULTI);
        }
        for (db, command) in commands {
            self.before_command(out, db, second.filter(|_| !transaction));
            out.extend_from_slice(command);
        }
        if transaction {
            out.extend_from_slice(EXEC);
        }
        debug_assert!(
            out.len() > start && self.db.is_some(),
            "the log tells the database"
        );
    }
}
