//! One file of a log: a snapshot preamble if it has one, then commands, over a map or a stream.
//!
//! [`open`] looks at the first bytes, hands a preamble to a [`Head`], which checks or loads it, and gives the commands
//! behind it. All commands of the tool read a file that way.

use cairn_format::aof::reader::{Item, Records, SliceReader, StreamReader};
use cairn_format::aof::{Form, form};
use cairn_format::error::{Damage, FormatError, Result as FormatResult};
use cairn_format::rdb;
use cairn_toolkit::input::Source;
use cairn_toolkit::kind::{FileKind, KIND_BYTES, first_of};
use cairn_toolkit::snapshot::spill::BEYOND;
use cairn_toolkit::{Failure, Input, Progress, quoted};
use std::io::{Chain, Cursor, Read};

/// The rest of a stream behind what was read ahead.
type Rest<'a> = Chain<Cursor<Vec<u8>>, Box<dyn Read + 'a>>;

/// The commands of a file.
pub enum Commands<'a> {
    Mapped(SliceReader<'a>),
    Stream(StreamReader<Rest<'a>>),
}

impl Records for Commands<'_> {
    fn offset(&self) -> u64 {
        match self {
            Commands::Mapped(reader) => reader.offset(),
            Commands::Stream(reader) => reader.offset(),
        }
    }

    #[inline]
    fn next_item(&mut self) -> FormatResult<Option<Item<'_>>> {
        match self {
            Commands::Mapped(reader) => reader.next_item(),
            Commands::Stream(reader) => reader.next_item(),
        }
    }

    fn ends_in_zeros(&self) -> bool {
        match self {
            Commands::Mapped(reader) => reader.ends_in_zeros(),
            Commands::Stream(reader) => reader.ends_in_zeros(),
        }
    }
}

/// What stands before the commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preamble {
    /// Absolute offset of the first command.
    pub end: u64,
    pub keys: u64,
}

/// What kept a file from being read as far as its commands.
pub enum Problem {
    Damaged(Box<FormatError>),
    Failed(Failure),
}

impl Problem {
    /// An input that cannot be read is no damage.
    pub fn of(input: &Input, error: Box<FormatError>) -> Problem {
        match error.kind {
            Damage::Io => Problem::Failed(Failure::damage(input.name(), &error)),
            _ => Problem::Damaged(error),
        }
    }
}

/// What is done with a snapshot in front of the commands.
pub trait Head {
    /// Reads a snapshot at the start of `log`, the bytes of a mapped input.
    fn slice(
        &mut self,
        log: &[u8],
        _input: &Input,
        progress: &mut Progress,
    ) -> Result<Preamble, Problem> {
        self.stream(log, progress).map(|(preamble, _, _)| preamble)
    }

    /// The same from a stream; gives what was read behind it, and the rest of the stream.
    fn stream<R: Read>(
        &mut self,
        input: R,
        progress: &mut Progress,
    ) -> Result<(Preamble, Vec<u8>, R), Problem>;
}

/// Looks at a snapshot and keeps nothing.
#[derive(Clone, Copy)]
pub enum Look {
    /// Structure, to get past it.
    Structure,
    /// Everything, for this many databases.
    Everything(u64),
    /// What servers refuse, for this many databases.
    Sound(u64),
}

impl Look {
    fn options(self) -> rdb::Options {
        match self {
            Look::Structure => rdb::Options::shallow(),
            // Commands follow the snapshot, so bytes behind it are no damage.
            Look::Everything(databases) => rdb::Options {
                databases: Some(databases),
                trailing: false,
                beyond: Some(BEYOND),
                ..rdb::Options::deep()
            },
            Look::Sound(databases) => rdb::Options {
                databases: Some(databases),
                duplicate_keys: true,
                beyond: Some(BEYOND),
                ..rdb::Options::sound()
            },
        }
    }
}

impl Head for Look {
    fn slice(
        &mut self,
        log: &[u8],
        input: &Input,
        progress: &mut Progress,
    ) -> Result<Preamble, Problem> {
        let reader = rdb::SliceReader::from_slice(log, self.options());
        let preamble = reader.and_then(|mut reader| {
            count(&mut reader, |at| {
                progress.at(at);
                input.passed(at);
            })
        });
        preamble.map_err(Problem::Damaged)
    }

    fn stream<R: Read>(
        &mut self,
        input: R,
        progress: &mut Progress,
    ) -> Result<(Preamble, Vec<u8>, R), Problem> {
        let mut reader =
            rdb::StreamReader::from_read(input, self.options()).map_err(Problem::Damaged)?;
        let preamble = count(&mut reader, |at| progress.at(at)).map_err(Problem::Damaged)?;
        let (ahead, rest) = reader.into_rest();
        Ok((preamble, ahead, rest))
    }
}

fn count<S: rdb::reader::Source>(
    reader: &mut rdb::Reader<S>,
    mut progress: impl FnMut(u64),
) -> FormatResult<Preamble> {
    let mut preamble = Preamble::default();
    while let Some(located) = reader.next()? {
        progress(located.end);
        preamble.end = located.end;
        preamble.keys += u64::from(matches!(located.event, rdb::Event::Record(_)));
    }
    Ok(preamble)
}

/// Read the preamble of `input` into `head`, if it has one, and give the commands behind it.
pub fn open<'a>(
    input: &'a Input,
    head: &mut impl Head,
    progress: &mut Progress,
) -> Result<(Option<Preamble>, Commands<'a>), Problem> {
    let opened = match input.source() {
        Source::Mapped(map) => {
            refuse_foreign(input, map).and_then(|()| open_mapped(map, input, head, progress))
        }
        Source::Stream(_) => open_stream(input, head, progress),
    };
    opened.map_err(|problem| match problem {
        Problem::Damaged(error) => Problem::of(input, error),
        failed => failed,
    })
}

/// The tool that reads logs, also where another one calls this.
const READER: &str = "aof-tool";

/// A file that is no log at all is not looked at as a damaged one.
fn refuse_foreign(input: &Input, first: &[u8]) -> Result<(), Problem> {
    let first = &first[..first.len().min(KIND_BYTES)];
    let kind = FileKind::of(first);
    match kind.advice(READER, input.name()) {
        // A log in which nothing was written yet.
        _ if kind == FileKind::Empty => Ok(()),
        None => Ok(()),
        Some(advice) => {
            let begins = quoted(&first[..first.len().min(9)]);
            let line = format!("{}: not a log: begins with {begins}", input.name());
            Err(Problem::Failed(Failure::new(line).hint(advice)))
        }
    }
}

fn open_mapped<'a>(
    log: &'a [u8],
    input: &Input,
    head: &mut impl Head,
    progress: &mut Progress,
) -> Result<(Option<Preamble>, Commands<'a>), Problem> {
    if form(log) == Form::Commands {
        return Ok((None, Commands::Mapped(SliceReader::new(log, 0))));
    }
    let preamble = head.slice(log, input, progress)?;
    let rest = usize::try_from(preamble.end)
        .ok()
        .and_then(|end| log.get(end..));
    let reader = SliceReader::new(rest.unwrap_or_default(), preamble.end);
    Ok((Some(preamble), Commands::Mapped(reader)))
}

fn open_stream<'a>(
    input: &'a Input,
    head: &mut impl Head,
    progress: &mut Progress,
) -> Result<(Option<Preamble>, Commands<'a>), Problem> {
    let mut source = input.reader();
    let first = first_of(&mut source);
    let first = first.map_err(|error| Problem::Failed(Failure::io(input.name(), &error)))?;
    refuse_foreign(input, &first)?;
    let is_preamble = form(&first) == Form::Preamble;
    let whole = Cursor::new(first).chain(source);
    if !is_preamble {
        return Ok((None, Commands::Stream(StreamReader::new(whole, 0))));
    }
    let (preamble, ahead, whole) = head.stream(whole, progress)?;
    let (_, source) = whole.into_inner();
    let rest = Cursor::new(ahead).chain(source);
    let reader = StreamReader::new(rest, preamble.end);
    Ok((Some(preamble), Commands::Stream(reader)))
}
