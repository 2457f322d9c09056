//! Commands that were remarkable: slow, of a large request, or of a large reply. SLOWLOG and COMMANDLOG show them.

use std::collections::VecDeque;

/// Stands in place of an argument that must not be shown.
pub const REDACTED: &[u8] = b"(redacted)";

/// What makes a command remarkable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It took long: microseconds.
    Slow,
    /// Its request was large: bytes.
    LargeRequest,
    /// Its reply was large: bytes.
    LargeReply,
}

impl Remark {
    /// All of them, with the word that COMMANDLOG has for each.
    pub const ALL: [(Remark, &'static str); 3] = [
        (Remark::Slow, "slow"),
        (Remark::LargeRequest, "large-request"),
        (Remark::LargeReply, "large-reply"),
    ];
}

/// From which value on a command is remarked, and how many entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// In the unit of the [`Remark`]; none: never.
    pub from: Option<u64>,
    /// Entries kept: the oldest goes first.
    pub entries_max: usize,
}

/// One remarkable command.
#[derive(Debug)]
pub struct LogEntry {
    /// Counts up from 0 and is not reset.
    pub id: u64,
    /// When it ended, Unix seconds.
    pub at_s: i64,
    /// What was remarked, in the unit of the [`Remark`].
    pub value: u64,
    /// The arguments as the client sent them, cut and redacted.
    pub args: Vec<Vec<u8>>,
    /// Address of the client; empty if a script ran it.
    pub address: String,
    /// Name of the client.
    pub name: Box<[u8]>,
}

/// The last remarkable commands of one kind.
#[derive(Debug)]
pub struct CommandLog {
    entries: VecDeque<LogEntry>,
    next_id: u64,
    entries_max: usize,
}

impl CommandLog {
    /// An empty log.
    pub fn new(limits: LogLimits) -> CommandLog {
        CommandLog {
            entries: VecDeque::new(),
            next_id: 0,
            entries_max: limits.entries_max,
        }
    }

    /// Keeps at most so many entries from now on.
    pub fn keep(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
        self.entries.truncate(entries_max);
    }

    /// Adds an entry, whose number it chooses.
    pub fn push(&mut self, entry: LogEntry) {
        if self.entries_max == 0 {
            return;
        }
        self.entries.truncate(self.entries_max - 1);
        let id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(LogEntry { id, ..entry });
        assert!(self.entries.len() <= self.entries_max, "the oldest went");
    }

    /// The entries, newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// Forgets the entries.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: u64) -> LogEntry {
        LogEntry {
            id: 0,
            at_s: 0,
            value,
            args: Vec::new(),
            address: String::new(),
            name: Box::default(),
        }
    }

    #[test]
    fn the_oldest_goes_and_numbers_go_on() {
        let limits = LogLimits {
            from: None,
            entries_max: 2,
        };
        let mut log = CommandLog::new(limits);
        (0..5).for_each(|value| log.push(entry(value)));
        let ids = |log: &CommandLog| log.entries().map(|e| (e.id, e.value)).collect::<Vec<_>>();
        assert_eq!(ids(&log), [(4, 4), (3, 3)]);
        log.keep(1);
        assert_eq!(ids(&log), [(4, 4)]);
        log.reset();
        log.push(entry(9));
        assert_eq!(ids(&log), [(5, 9)]);
        log.keep(0);
        log.push(entry(10));
        assert_eq!(log.entries().len(), 0);
    }
}
