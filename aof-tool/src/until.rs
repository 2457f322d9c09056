//! A moment of a log: the last command of it that counts, named by number, offset, time or by what comes next.

use cairn_format::aof::reader::Item;
use cairn_format::aof::record::timestamp;
use cairn_format::text::glob::glob_match;
use std::str::FromStr;

/// How a moment is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Behind so many commands of the whole log.
    Command(u64),
    /// Before the record that begins at this offset or behind it; of a log in one file.
    Offset(u64),
    /// Behind all that was written up to this Unix second.
    Time(i64),
    /// Before the first command that matches.
    Before(Vec<u8>),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or_default();
        let found = match kind {
            "command" => rest.parse().ok().map(Until::Command),
            "offset" => rest.parse().ok().map(Until::Offset),
            "time" => rest.parse().ok().map(Until::Time),
            "before" if !rest.is_empty() => Some(Until::Before(rest.as_bytes().to_vec())),
            _ => None,
        };
        found.ok_or_else(|| {
            "expected command:N, offset:N, time:UNIX_SECONDS or before:'COMMAND GLOB'".to_owned()
        })
    }
}

/// Watches a log until the moment comes.
#[derive(Debug)]
pub struct Watch {
    until: Until,
    /// Commands so far.
    commands: u64,
    /// The first timestamp, and the last before the moment.
    first: Option<i64>,
    last: Option<i64>,
    reached: bool,
}

impl Watch {
    /// From the begin of a log on.
    pub fn new(until: Until) -> Watch {
        Watch {
            until,
            commands: 0,
            first: None,
            last: None,
            reached: false,
        }
    }

    /// Whether the moment is before this record.
    pub fn is_reached_before(&mut self, item: &Item<'_>) -> bool {
        let time = item.annotation().and_then(timestamp);
        let is_command = item.annotation().is_none();
        self.reached = match &self.until {
            Until::Command(last) => is_command && self.commands == *last,
            Until::Offset(at) => item.offset >= *at,
            Until::Time(until) => time.is_some_and(|time| time > *until),
            Until::Before(pattern) => is_command && is_like(item, pattern),
        };
        self.commands += u64::from(is_command && !self.reached);
        if let Some(time) = time {
            self.first = self.first.or(Some(time));
            self.last = if self.reached { self.last } else { Some(time) };
        }
        self.reached
    }

    /// Whether it was reached.
    pub fn is_reached(&self) -> bool {
        self.reached
    }

    /// The last timestamp before the moment.
    pub fn time(&self) -> Option<i64> {
        self.last
    }

    /// Where the log ended without it; `None` if its end is the moment.
    pub fn missed(&self) -> Option<String> {
        let commands = self.commands;
        match (&self.until, self.first) {
            (Until::Time(_), None) => Some("it has no timestamps".to_owned()),
            (Until::Time(until), Some(first)) if *until < first => {
                Some(format!("its times begin at {first}"))
            }
            _ if self.reached => None,
            (Until::Time(_), _) => None,
            (Until::Command(last), _) if *last == commands => None,
            (Until::Before(_), _) => Some(format!("none of its {commands} commands is like that")),
            _ => Some(format!("it ends behind command {commands}")),
        }
    }
}

/// Whether the words of a command are what the pattern says, in any case, or begin so.
pub fn is_like(item: &Item<'_>, pattern: &[u8]) -> bool {
    let words: Vec<&[u8]> = item.args().collect();
    let text = words.join(&b' ');
    let longer = [pattern, b" *"].concat();
    glob_match(pattern, &text, true) || glob_match(&longer, &text, true)
}
