//! One file of a log: a snapshot preamble if it has one, then commands, over a map or a stream.

use cairn_format::aof::reader::StreamReader;
use cairn_format::aof::{FORM_BYTES, Form, form};
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb;
use cairn_toolkit::input::Source;
use cairn_toolkit::{Failure, Input, Progress};
use std::io::{Chain, Cursor, Read};

/// The rest of a stream behind what was read ahead.
type Rest<'a> = Chain<Cursor<Vec<u8>>, Box<dyn Read + 'a>>;

/// The commands of a file.
pub enum Commands<'a> {
    /// All of them in memory, the first byte at this absolute offset.
    Mapped {
        log: &'a [u8],
        base: u64,
    },
    Stream(StreamReader<Rest<'a>>),
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

/// What is looked at in a preamble.
#[derive(Clone, Copy)]
pub enum Depth {
    /// Structure, to get past it.
    Structure,
    /// Everything, for this many databases.
    Everything(u64),
}

impl Depth {
    fn options(self) -> rdb::Options {
        match self {
            Depth::Structure => rdb::Options::shallow(),
            // Commands follow the snapshot, so bytes behind it are no damage.
            Depth::Everything(databases) => rdb::Options {
                databases: Some(databases),
                trailing: false,
                ..rdb::Options::deep()
            },
        }
    }
}

/// Read the preamble of `input`, if it has one, and give the commands behind it.
pub fn open<'a>(
    input: &'a Input,
    depth: Depth,
    progress: &mut Progress,
) -> Result<(Option<Preamble>, Commands<'a>), Problem> {
    match input.source() {
        Source::Mapped(map) => {
            let log = &map[..];
            if form(log) == Form::Commands {
                return Ok((None, Commands::Mapped { log, base: 0 }));
            }
            let mut reader =
                rdb::SliceReader::from_slice(log, depth.options()).map_err(Problem::Damaged)?;
            let preamble = read_preamble(&mut reader, progress).map_err(Problem::Damaged)?;
            let rest = usize::try_from(preamble.end)
                .ok()
                .and_then(|end| log.get(end..));
            let commands = Commands::Mapped {
                log: rest.unwrap_or_default(),
                base: preamble.end,
            };
            Ok((Some(preamble), commands))
        }
        Source::Stream(_) => open_stream(input, depth, progress),
    }
}

fn open_stream<'a>(
    input: &'a Input,
    depth: Depth,
    progress: &mut Progress,
) -> Result<(Option<Preamble>, Commands<'a>), Problem> {
    let mut source = input.reader();
    let mut first = Vec::new();
    let read = source
        .by_ref()
        .take(FORM_BYTES as u64)
        .read_to_end(&mut first);
    read.map_err(|error| Problem::Failed(Failure::io(input.name(), &error)))?;
    let is_preamble = form(&first) == Form::Preamble;
    let whole = Cursor::new(first).chain(source);
    if !is_preamble {
        return Ok((None, Commands::Stream(StreamReader::new(whole, 0))));
    }
    let mut reader =
        rdb::StreamReader::from_read(whole, depth.options()).map_err(|e| sort(input, e))?;
    let preamble = read_preamble(&mut reader, progress).map_err(|e| sort(input, e))?;
    let (ahead, whole) = reader.into_rest();
    let (_, source) = whole.into_inner();
    let rest = Cursor::new(ahead).chain(source);
    Ok((
        Some(preamble),
        Commands::Stream(StreamReader::new(rest, preamble.end)),
    ))
}

fn read_preamble<S: rdb::reader::Source>(
    reader: &mut rdb::Reader<S>,
    progress: &mut Progress,
) -> cairn_format::error::Result<Preamble> {
    let mut preamble = Preamble::default();
    while let Some(located) = reader.next()? {
        progress.at(located.end);
        preamble.end = located.end;
        preamble.keys += u64::from(matches!(located.event, rdb::Event::Record(_)));
    }
    Ok(preamble)
}

/// An input that cannot be read is no damage.
pub fn sort(input: &Input, error: Box<FormatError>) -> Problem {
    match error.kind {
        Damage::Io => Problem::Failed(Failure::damage(input.name(), &error)),
        _ => Problem::Damaged(error),
    }
}
