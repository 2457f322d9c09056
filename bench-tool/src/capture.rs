//! Recorded traffic: what MONITOR prints, and the commands of a log.
//!
//! ```text
//!   1700000000.123456 [0 127.0.0.1:50412] "SET" "key" "a\x00b"      MONITOR; "lua" in place of the address is a script's call
//!   +1700000000.123456 [0 unix:/run/redis.sock] "GET" "key"         the same as it comes from the server
//! ```

use aof_tool::each_command;
use cairn_format::resp::value::write_command;
use cairn_format::text::words::split_words;
use cairn_toolkit::human::plural;
use cairn_toolkit::{Failure, note};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line of a capture that is read, in bytes: four for each of the largest argument.
const LINE_MAX: u64 = 2 << 30;

/// Commands of captures that are not sent again: they make a connection another one, wait for others, or end the server.
const LEFT_OUT: [&str; 30] = [
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "monitor",
    "sync",
    "psync",
    "replconf",
    "auth",
    "hello",
    "quit",
    "reset",
    "client",
    "shutdown",
    "replicaof",
    "slaveof",
    "debug",
    "failover",
    "blpop",
    "brpop",
    "brpoplpush",
    "blmove",
    "blmpop",
    "bzpopmin",
    "bzpopmax",
    "bzmpop",
    "wait",
    "waitaof",
];

/// One recorded command.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// When it ran, microseconds of Unix time; `None` if nobody noted it.
    pub at_us: Option<i64>,
    /// The database.
    pub db: u64,
    /// Who sent it, as a number that is the same for the same connection; 0 for all of a log.
    pub client: u64,
    /// Its words.
    pub words: &'a [&'a [u8]],
    /// The same as bytes of the protocol.
    pub bytes: &'a [u8],
}

/// Whether a command of this name is not sent again: it makes a connection another one, waits for others, or ends the server.
pub fn is_left_out(name: &[u8]) -> bool {
    LEFT_OUT
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// A line of MONITOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds of Unix time.
    pub at_us: i64,
    /// The database.
    pub db: u64,
    /// Address of the client; `lua` for a script.
    pub client: String,
    /// The command.
    pub words: Vec<Vec<u8>>,
}

/// Reads a line of MONITOR; `None` for what is none of its lines and harmless (`OK`, nothing).
///
/// # Errors
/// What was expected.
pub fn line(line: &[u8]) -> Result<Option<Line>, &'static str> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"+").unwrap_or(line);
    if line.is_empty() || line == b"OK" {
        return Ok(None);
    }
    let open = line
        .iter()
        .position(|&byte| byte == b'[')
        .ok_or("expected [database address]")?;
    let close = line
        .iter()
        .position(|&byte| byte == b']')
        .filter(|close| *close > open);
    // An IPv6 address has brackets of its own.
    let close = match close {
        Some(close) if line.get(close + 1) == Some(&b':') => line[close + 1..]
            .iter()
            .position(|&byte| byte == b']')
            .map(|at| close + 1 + at),
        close => close,
    };
    let close = close.ok_or("expected ] behind the address")?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let at_us = text(&line[..open])
        .and_then(|time| micros(time.trim()))
        .ok_or("expected seconds with six digits behind the point")?;
    let (db, client) = text(&line[open + 1..close])
        .and_then(|inner| inner.split_once(' '))
        .ok_or("expected [database address]")?;
    let words = split_words(&line[close + 1..]).map_err(|_| "unbalanced quotes")?;
    match words.is_empty() {
        true => Err("expected a command"),
        false => Ok(Some(Line {
            at_us,
            db: db
                .parse()
                .map_err(|_| "expected the number of a database")?,
            client: client.to_owned(),
            words,
        })),
    }
}

fn micros(time: &str) -> Option<i64> {
    let (seconds, fraction) = time.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let is_fraction = fraction.len() == 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: i64 = is_fraction.then(|| fraction.parse().ok())??;
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

/// What a file of recorded traffic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of MONITOR.
    Capture,
    /// A log of commands, or a folder of one.
    Log,
    /// A snapshot: data without commands.
    Snapshot,
}

/// Looks at the first bytes.
///
/// # Errors
/// The file cannot be read.
pub fn form(path: &Path) -> Result<Form, Failure> {
    if path.is_dir() {
        return Ok(Form::Log);
    }
    let name = path.display().to_string();
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(9).read_to_end(&mut first));
    read.map_err(|error| Failure::io(&name, &error))?;
    Ok(match first.first() {
        Some(b'0'..=b'9' | b'+' | b'O') => Form::Capture,
        _ if first.starts_with(b"REDIS") || first.starts_with(b"VALKEY") => Form::Snapshot,
        _ => Form::Log,
    })
}

/// Gives each command of a capture or log; `false` from `each` ends it. Calls of scripts are left out: the script is what is sent.
///
/// # Errors
/// The file cannot be read or is damaged, or what `each` says.
pub fn each(
    path: &Path,
    mut each: impl FnMut(&Recorded<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    match form(path)? {
        Form::Capture => of_capture(path, &mut each),
        Form::Log | Form::Snapshot => of_log(path, &mut each),
    }
}

fn of_capture(
    path: &Path,
    each: &mut dyn FnMut(&Recorded<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| Failure::io(&name, &error);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let (mut text, mut number, mut bytes) = (Vec::new(), 0_u64, Vec::new());
    loop {
        text.clear();
        number += 1;
        let read = reader
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut text)
            .map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        let line =
            line(&text).map_err(|what| Failure::new(format!("{name}: line {number}: {what}")))?;
        let Some(line) = line.filter(|line| line.client != "lua") else {
            continue;
        };
        let words: Vec<&[u8]> = line.words.iter().map(Vec::as_slice).collect();
        bytes.clear();
        write_command(&mut bytes, &words);
        let recorded = Recorded {
            at_us: Some(line.at_us),
            db: line.db,
            client: crate::workload::data::seed_of(line.client.as_bytes()),
            words: &words,
            bytes: &bytes,
        };
        if !each(&recorded)? {
            return Ok(());
        }
    }
}

/// What a log says of time is a second, in which commands are spread by whoever asks.
fn of_log(
    path: &Path,
    each: &mut dyn FnMut(&Recorded<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let keys = each_command(path, "reading", &mut |command| {
        each(&Recorded {
            at_us: command
                .second
                .map(|second| second.saturating_mul(1_000_000)),
            db: command.db,
            client: 0,
            words: command.words,
            bytes: command.bytes,
        })
    })?;
    if keys > 0 {
        let keys = plural(keys, "key", "keys");
        note(&format!(
            "{}: the snapshot of {keys} in front of the commands is passed over",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_monitor_are_read() {
        let read = line(
            b"1700000000.123456 [3 127.0.0.1:50412] \"SET\" \"a \\\"b\\\"\" \"\\x00\\xff\"\r\n",
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            (read.at_us, read.db, read.client.as_str()),
            (1_700_000_000_123_456, 3, "127.0.0.1:50412")
        );
        assert_eq!(read.words, [&b"SET"[..], b"a \"b\"", b"\x00\xff"]);
        let six = line(b"+1.000001 [0 [::1]:6379] \"PING\"").unwrap().unwrap();
        assert_eq!((six.client.as_str(), six.words.len()), ("[::1]:6379", 1));
        for nothing in [&b"OK\r\n"[..], b"", b"+OK"] {
            assert_eq!(line(nothing), Ok(None));
        }
        for wrong in [
            &b"x"[..],
            b"1.0 [0 a] \"PING\"",
            b"1.000000 [0 a \"PING\"",
            b"1.000000 [0 a]",
            b"1.000000 [x a] \"PING\"",
            b"1.000000 [0] \"PING\"",
            b"1.000000 [0 a] \"PING",
            b"99999999999999999999.000000 [0 a] \"PING\"",
            b"] [",
        ] {
            assert!(line(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
