//! `bench-tool replay`: recorded requests again, as fast as they came, scaled, or as fast as it goes, and what their clients feel now.
//!
//! ```text
//!   1. the file is read: damage, times and counts are known before anything is sent
//!   2. read again: each command when it is due, counted from the first, so that lateness does not add up
//! ```
//!
//! A log is one sequence and goes over one connection, so that it ends in the log's state. Of a capture each client has its connection, up to `--clients`; what
//! different clients sent keeps its time, and its order only as far as the original speed keeps it. A log knows whole seconds: its commands are
//! spread evenly within each.

use crate::capture::{self, Form, Recorded, is_left_out};
use crate::load::sequence::{Ground, OPERATIONS_MAX, Sequence};
use crate::load::tally::{Tally, no_times};
use crate::options::server::ServerArguments;
use crate::options::time;
use crate::report::{latencies, text};
use cairn_format::resp::value::write_command;
use cairn_toolkit::arguments::Speed;
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::{Failure, Outcome, Output, Verdict, json, map, note};
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  bench-tool replay --port 6380 appendonlydir
  redis-cli monitor > capture.txt; bench-tool replay --port 6380 --speed 2 capture.txt
  bench-tool replay --port 6380 --speed max --pipeline 64 appendonly.aof

A snapshot in front of a log is not sent; `rdb-tool load` does that. Of a capture are left out calls of scripts, what makes a connection another one (SUBSCRIBE, MONITOR, AUTH ...)
and what waits for others (BLPOP ...). Passwords that a capture hides stay hidden.

Exit status: 0 sent, 1 sent, but the server answered with errors, 2 not sent, or not all of it, 130 it was interrupted.";

/// The options of `bench-tool replay`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArguments {
    /// Log file, folder or manifest, or what MONITOR printed
    path: PathBuf,
    #[command(flatten)]
    server: ServerArguments,
    /// How fast: original, max, or a factor as in 2 or 0.5
    #[arg(long, default_value = "original", value_name = "SPEED")]
    speed: Speed,
    /// Connections for the clients of a capture; a log has one
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Commands that a connection has on their way
    #[arg(short = 'P', long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// Time without any reply after which it is given up; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = time)]
    timeout: Duration,
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the first reading gives.
#[derive(Debug, Default)]
struct Known {
    /// Times that follow each other, and how many commands have each. Empty if nobody noted any.
    moments: Vec<(i64, u64)>,
    commands: u64,
    left_out: u64,
    untimed: u64,
}

impl Known {
    fn see(&mut self, at_us: Option<i64>) {
        self.commands += 1;
        let Some(at) = at_us else {
            self.untimed += 1;
            return;
        };
        match self.moments.last_mut() {
            Some((last, n)) if *last == at => *n += 1,
            _ => self.moments.push((at, 1)),
        }
    }
}

/// When each command is due, in the order of the file.
struct Due<'k> {
    known: &'k Known,
    speed: f64,
    /// Length of a moment: a second of a log, nothing of a capture.
    moment_us: f64,
    at: (usize, u64),
}

impl Due<'_> {
    /// Nanoseconds from the start; `None` for at once.
    fn next(&mut self, has_time: bool) -> Option<u64> {
        if self.speed.is_infinite() || !has_time {
            return None;
        }
        let moments = &self.known.moments;
        while moments.get(self.at.0).is_some_and(|(_, n)| self.at.1 >= *n) {
            self.at = (self.at.0 + 1, 0);
        }
        let (first, (at, n)) = (moments.first()?.0, *moments.get(self.at.0)?);
        // Clocks go back at times; such a moment is due at once.
        let whole = at.saturating_sub(first).max(0) as f64;
        let part = self.moment_us * self.at.1 as f64 / n as f64;
        self.at.1 += 1;
        Some(((whole + part) / self.speed * 1e3) as u64)
    }
}

/// Sends it again.
///
/// # Errors
/// The file is damaged or has no times, or the connection ends.
pub fn run(arguments: &ReplayArguments) -> Outcome {
    let path = &arguments.path;
    let form = capture::form(path)?;
    if form == Form::Snapshot && !path.is_dir() {
        note(
            "a file that begins with a snapshot: the commands behind it are sent, if there are any",
        );
    }
    let json = arguments
        .json
        .as_ref()
        .map(|path| Output::create(path, &[]))
        .transpose()?;
    let known = look(arguments, form)?;
    let target = arguments.server.target()?;
    map::ask_before_end();
    let connections = if form == Form::Capture {
        arguments.clients as usize
    } else {
        1
    };
    let timeout = Some(arguments.timeout).filter(|timeout| !timeout.is_zero());
    let mut tally = Tally::new(0, true);
    let ground = Ground::new();
    let mut names: Vec<String> = Vec::new();
    let sequence = Sequence::new(
        &target,
        connections,
        arguments.pipeline as usize,
        timeout,
        &ground,
        &mut tally,
    )?;
    let mut sender = Sender {
        due: Due {
            known: &known,
            speed: arguments.speed.0,
            moment_us: if form == Form::Capture { 0.0 } else { 1e6 },
            at: (0, 0),
        },
        sequence,
        is_capture: form == Form::Capture,
        dbs: vec![0; connections],
        names: &mut names,
    };
    capture::each(path, |recorded| sender.send(recorded))?;
    sender.sequence.finish()?;
    report(arguments, &known, &names, &tally, json)?;
    match map::is_asked_to_end() {
        true => Err(Failure::quiet(crate::INTERRUPTED)),
        false => Ok(Verdict::found_if(tally.error_count() > 0)),
    }
}

fn look(arguments: &ReplayArguments, form: Form) -> Result<Known, Failure> {
    let mut known = Known::default();
    capture::each(&arguments.path, |recorded| {
        match form == Form::Capture && is_left_out(recorded.words[0]) {
            true => known.left_out += 1,
            false => known.see(recorded.at_us),
        }
        Ok(true)
    })?;
    let name = arguments.path.display();
    if known.commands == 0 {
        return Err(Failure::new(format!("{name}: no command to send in it")));
    }
    if known.moments.is_empty() && arguments.speed.0.is_finite() {
        return Err(Failure::new(format!(
            "{name}: the log has no times, so that its speed is not known"
        ))
        .hint("--speed max sends it as fast as it goes; `aof-timestamp-enabled yes` notes times"));
    }
    Ok(known)
}

struct Sender<'a, 'k> {
    due: Due<'k>,
    sequence: Sequence<'a>,
    is_capture: bool,
    /// The database of each connection.
    dbs: Vec<u64>,
    names: &'a mut Vec<String>,
}

impl Sender<'_, '_> {
    fn send(&mut self, recorded: &Recorded<'_>) -> Result<bool, Failure> {
        if self.is_capture && is_left_out(recorded.words[0]) {
            return Ok(true);
        }
        let connection = (recorded.client % self.dbs.len() as u64) as usize;
        let due = self.due.next(recorded.at_us.is_some());
        if self.is_capture && self.dbs[connection] != recorded.db {
            self.dbs[connection] = recorded.db;
            let mut select = Vec::new();
            write_command(&mut select, &["SELECT", &recorded.db.to_string()]);
            let operation = self.operation(b"SELECT");
            if !self.sequence.send(connection, due, &select, operation)? {
                return Ok(false);
            }
        }
        let operation = self.operation(recorded.words[0]);
        self.sequence
            .send(connection, due, recorded.bytes, operation)
    }

    /// The number of a command's name; all others share the last.
    fn operation(&mut self, name: &[u8]) -> usize {
        let known = self
            .names
            .iter()
            .position(|known| known.as_bytes().eq_ignore_ascii_case(name));
        let number = known.unwrap_or_else(|| {
            let is_last = self.names.len() + 1 >= OPERATIONS_MAX;
            let name = if is_last {
                "(others)".to_owned()
            } else {
                String::from_utf8_lossy(name).to_uppercase()
            };
            if self.names.len() < OPERATIONS_MAX {
                self.names.push(name);
                self.sequence.add_operation();
            }
            self.names.len() - 1
        });
        number.min(OPERATIONS_MAX - 1)
    }
}

fn report(
    arguments: &ReplayArguments,
    known: &Known,
    names: &[String],
    tally: &Tally,
    out: Option<Output>,
) -> Result<(), Failure> {
    if !out.as_ref().is_some_and(Output::is_stdout) {
        let mut stdout = Output::stdout();
        as_text(arguments, known, names, tally, &mut stdout)?;
        stdout.finish()?;
    }
    let Some(mut out) = out else {
        return Ok(());
    };
    json::write_pretty(&mut out, &as_json(arguments, known, names, tally))?;
    out.finish()
}

fn seconds(tally: &Tally) -> f64 {
    tally.last_reply.max(tally.last_sent) as f64 / 1e9
}

fn as_text(
    arguments: &ReplayArguments,
    known: &Known,
    names: &[String],
    tally: &Tally,
    out: &mut dyn Write,
) -> io::Result<()> {
    let speed = match arguments.speed.0 {
        speed if speed.is_infinite() => "as fast as it goes".to_owned(),
        speed => format!("{speed} times as fast as it was recorded"),
    };
    let took = seconds(tally);
    writeln!(
        out,
        "{} in {took:.2} s, {:.0} requests/s, {speed}, {}",
        plural(tally.replies(), "reply", "replies"),
        tally.replies() as f64 / took.max(1e-9),
        plural(tally.error_count(), "error", "errors")
    )?;
    let late = Duration::from_nanos(tally.lateness.max());
    if arguments.speed.0.is_finite() {
        writeln!(
            out,
            "the latest command was sent {} late; latency counts from the moment it was due",
            cairn_toolkit::human::duration(late)
        )?;
    }
    if known.left_out > 0 {
        writeln!(
            out,
            "{} of the capture left out",
            plural(known.left_out, "command", "commands")
        )?;
    }
    if known.untimed > 0 && known.untimed < known.commands {
        writeln!(
            out,
            "{} before the first time were sent at once",
            count(known.untimed)
        )?;
    }
    writeln!(out)?;
    text::operations(names.iter().map(String::as_str).zip(&tally.series), out)?;
    text::kinds("error reply", "error replies", &tally.errors, out)
}

fn as_json(arguments: &ReplayArguments, known: &Known, names: &[String], tally: &Tally) -> Value {
    let commands = names.iter().zip(&tally.series).map(|(name, series)| {
        let fields = json!({ "replies": series.response.len(), "errors": series.errors, "latency_us": latencies(&series.response) });
        (name.clone(), fields)
    });
    let errors = tally.errors.iter().map(|(word, kind)| {
        (
            word.clone(),
            json!({ "count": kind.count, "example": kind.example }),
        )
    });
    json!({
        "speed": arguments.speed.0.is_finite().then_some(arguments.speed.0),
        "commands": known.commands,
        "left_out": known.left_out,
        "replies": tally.replies(),
        "unanswered": tally.unanswered,
        "elapsed_s": seconds(tally),
        "latest_us": tally.lateness.max() as f64 / 1e3,
        "latency_us": latencies(&tally.response()),
        "service_us": tally.service().as_ref().map(latencies),
        "errors": tally.error_count(),
        "errors_by_word": errors.collect::<Map<_, _>>(),
        "by_command": commands.collect::<Map<_, _>>(),
    })
}

impl Sequence<'_> {
    /// Room for another operation in the tally.
    fn add_operation(&mut self) {
        let series = crate::load::tally::Series {
            response: no_times(),
            service: Some(no_times()),
            errors: 0,
            hits: 0,
            misses: 0,
        };
        self.tally().series.push(series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_times_from_the_first_and_speed_divides_them() {
        let mut known = Known::default();
        for at in [10, 10, 12, 11, 13] {
            known.see(Some(at * 1_000_000));
        }
        let dues = |speed, moment_us| {
            let mut due = Due {
                known: &known,
                speed,
                moment_us,
                at: (0, 0),
            };
            std::array::from_fn::<_, 5, _>(|_| due.next(true).map(|ns| ns / 1_000_000))
        };
        assert_eq!(dues(1.0, 1e6), [0, 500, 2000, 1000, 3000].map(Some));
        assert_eq!(dues(2.0, 0.0), [0, 0, 1000, 500, 1500].map(Some));
        assert_eq!(dues(f64::INFINITY, 0.0), [None; 5]);
    }
}
