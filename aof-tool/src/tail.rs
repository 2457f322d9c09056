//! `aof-tool tail`: the last commands of a log, and with `-f` those that come, also when a rewrite begins a new file.
//!
//! ```text
//!   manifest   base 1, incr 1            at the end of incr 1 the manifest is read again:
//!              base 2, incr 2            incr 1 is read to its end once more, then incr 2 from its begin
//! ```
//!
//! A log in one file that was rewritten is another file under its name; what was written between is in it as data, not as
//! commands, so the reading goes on at its end, and that is said.

use crate::dump::{Format, Style};
use crate::keys::{Keys, NO_TIMES};
use crate::log::{File, Log, Role};
use crate::walk::{Place, Step, Visitor, name_of, walk};
use cairn_format::aof::manifest::split_part_name;
use cairn_format::aof::reader::SliceReader;
use cairn_format::aof::record::{self, Failure as Unread};
use cairn_format::error::FormatError;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Selection, Verdict, note};
use clap::Args;
use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `aof-tool tail`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool tail -n 20 appendonlydir
  aof-tool tail -f --key 'session:*' /var/lib/redis/appendonlydir

The lines are those of `aof-tool dump`. With -f it goes on until it is interrupted, across rewrites of the log.

Exit status: 0 printed, 1 the log is damaged, 2 it could not be read.")]
pub struct TailArguments {
    /// Log file, folder or manifest
    path: PathBuf,
    /// So many commands from the end
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    lines: usize,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value_t = Bytes::Text)]
    bytes: Bytes,
    #[command(flatten)]
    selection: Selection,
}

/// Bytes of lines that are kept until it is known which are the last.
const KEPT_MAX: usize = 32 << 20;
/// Between two looks at a log that does not grow.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// Print the end of the log.
pub fn run(arguments: &TailArguments) -> Outcome {
    if arguments.selection.asks_for_time() {
        return Err(Failure::new(NO_TIMES));
    }
    if arguments.path == Path::new("-") {
        return Err(Failure::new("stdin: no file that could be followed")
            .hint("`aof-tool dump -` prints what comes as it comes"));
    }
    let log = Log::find_sound(&arguments.path)?;
    let mut tail = Tail {
        arguments,
        keys: Keys::default(),
        lines: VecDeque::new(),
        kept: 0,
        name: None,
        end: 0,
        place: Place::default(),
    };
    let found = walk(&log, "reading", &mut tail)?;
    let mut out = Output::stdout();
    for line in tail.lines.drain(..) {
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    if arguments.follow
        && let Some(last) = log.files.last()
    {
        let mut follower = Follower::new(&mut tail, last, &mut out)?;
        return follower.run();
    }
    out.finish()?;
    Ok(Verdict::found_if(found))
}

struct Tail<'a> {
    arguments: &'a TailArguments,
    keys: Keys,
    lines: VecDeque<String>,
    kept: usize,
    name: Option<String>,
    /// Behind the last record.
    end: u64,
    place: Place,
}

impl Tail<'_> {
    fn line(&mut self, step: &Step<'_>) -> Option<String> {
        let selection = &self.arguments.selection;
        if !selection.is_all() && !self.keys.are_taken(step, selection) {
            return None;
        }
        let style = Style {
            format: if self.arguments.json {
                Format::Jsonl
            } else {
                Format::Text
            },
            bytes: self.arguments.bytes,
        };
        let mut line = String::new();
        style.step(&mut line, self.name.as_deref(), step);
        Some(line)
    }
}

impl Visitor for Tail<'_> {
    fn file(&mut self, name: Option<&str>) {
        self.name = name.map(str::to_owned);
        self.end = 0;
    }

    fn preamble(&mut self, _: &Input, preamble: crate::part::Preamble) -> Result<(), Failure> {
        self.end = preamble.end;
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        self.end = step.item.end();
        self.place = Place {
            db: step.db,
            second: step.second,
            number: step.number,
        };
        let lines = self.arguments.lines;
        if lines == 0 {
            return Ok(());
        }
        if let Some(line) = self.line(step) {
            self.kept += line.len();
            self.lines.push_back(line);
            while self.lines.len() > lines || (self.kept > KEPT_MAX && self.lines.len() > 1) {
                let first = self.lines.pop_front();
                self.kept -= first.map_or(0, |line| line.len());
            }
        }
        Ok(())
    }
}

/// Reads on where a log grows.
struct Follower<'a, 'b> {
    tail: &'a mut Tail<'b>,
    out: &'a mut Output,
    path: PathBuf,
    file: fs::File,
    /// Bytes that were read and are no whole record yet.
    buffer: Vec<u8>,
}

impl<'a, 'b> Follower<'a, 'b> {
    fn new(
        tail: &'a mut Tail<'b>,
        last: &File,
        out: &'a mut Output,
    ) -> Result<Follower<'a, 'b>, Failure> {
        let file = open_at(&last.path, tail.end)?;
        Ok(Follower {
            tail,
            out,
            path: last.path.clone(),
            file,
            buffer: Vec::new(),
        })
    }

    fn run(&mut self) -> Outcome {
        loop {
            if self.read_all()? {
                return Ok(Verdict::Found);
            }
            self.out.flush()?;
            // What the next file is said to be is asked first: what this one got until then is read before it is left.
            let next = self.next_file()?;
            match next {
                None => std::thread::sleep(PAUSE),
                Some(next) => {
                    if self.read_all()? {
                        return Ok(Verdict::Found);
                    }
                    self.change_to(next)?;
                }
            }
        }
    }

    /// Prints all whole records that are there; gives whether the log is damaged.
    fn read_all(&mut self) -> Result<bool, Failure> {
        loop {
            let mut part = Read::by_ref(&mut self.file).take(CHUNK);
            let read = part.read_to_end(&mut self.buffer);
            let read =
                read.map_err(|error| Failure::io(&self.path.display().to_string(), &error))?;
            if let Some(damage) = self.print_whole()? {
                note(&damage_line(&self.path.display().to_string(), &damage));
                self.out.flush()?;
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
        }
    }

    /// Prints what is whole of the bytes that were read; gives what is no record.
    fn print_whole(&mut self) -> Result<Option<Box<FormatError>>, Failure> {
        let (mut args, mut end, base) = (Vec::new(), 0, self.tail.end);
        let damage = loop {
            match record::read(&self.buffer, end, base, &mut args) {
                Ok(found) => end = found.end,
                Err(Unread::Short(_)) => break None,
                Err(Unread::Damaged(error)) => break Some(error),
            }
        };
        let mut reader = SliceReader::new(&self.buffer[..end], base);
        while let Ok(Some(item)) = reader.next_item() {
            self.tail.place.take(&item);
            let place = self.tail.place;
            if let Some(line) = self.tail.line(&place.step(&item)) {
                self.out.write_all(line.as_bytes())?;
            }
        }
        self.buffer.drain(..end);
        self.tail.end += end as u64;
        Ok(damage)
    }

    /// The file to go on with, if this one is no longer the last of the log.
    fn next_file(&self) -> Result<Option<Next>, Failure> {
        // While a rewrite replaces the manifest there may be none for a moment.
        let Ok(log) = Log::find_sound(&self.tail.arguments.path) else {
            return Ok(None);
        };
        let at = log.files.iter().position(|file| file.path == self.path);
        match (at, log.manifest.is_some()) {
            (Some(at), true) => Ok(log.files.into_iter().nth(at + 1).map(Next::Begin)),
            // A base stands for what was read already.
            (None, true) => {
                let increments = log.files.into_iter().filter(|file| file.role != Role::Base);
                Ok(increments.into_iter().next().map(Next::Begin))
            }
            (_, false) => Ok(self
                .is_replaced()
                .then_some(())
                .and_then(|()| log.files.into_iter().next().map(Next::End))),
        }
    }

    /// Whether another file has the name now, or this one is shorter than what was read of it.
    fn is_replaced(&self) -> bool {
        let (Ok(ours), Ok(named)) = (self.file.metadata(), fs::metadata(&self.path)) else {
            return false;
        };
        let read = self.tail.end + self.buffer.len() as u64;
        (ours.dev(), ours.ino()) != (named.dev(), named.ino()) || named.len() < read
    }

    fn change_to(&mut self, next: Next) -> Result<(), Failure> {
        self.buffer.clear();
        match next {
            Next::Begin(file) => {
                self.file = open_at(&file.path, 0)?;
                if let (Some(last), Some(next)) = (number(&self.path), number(&file.path))
                    && next > last + 1
                {
                    let name = file.path.display();
                    note(&format!(
                        "{name}: {} files before it are gone already",
                        next - last - 1
                    ));
                }
                self.tail.name = Some(name_of(&file));
                self.tail.end = 0;
                self.tail.place.db = 0;
                self.path = file.path;
            }
            Next::End(file) => {
                let name = file.path.display();
                note(&format!("{name}: was replaced; going on at its end"));
                let log = Log::find_sound(&file.path)?;
                walk(&log, "reading", self.tail)?;
                self.tail.lines.clear();
                self.file = open_at(&file.path, self.tail.end)?;
                self.path = file.path;
            }
        }
        Ok(())
    }
}

/// Where a log goes on.
enum Next {
    /// In this file.
    Begin(File),
    /// In this file, behind what is in it.
    End(File),
}

/// The number in the name of an increment.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    split_part_name(name).and_then(|(_, number, _)| number.parse().ok())
}

fn open_at(path: &Path, at: u64) -> Result<fs::File, Failure> {
    let failed = |error: std::io::Error| Failure::io(&path.display().to_string(), &error);
    let mut file = fs::File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(at)).map_err(failed)?;
    Ok(file)
}
