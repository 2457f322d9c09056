//! The commands of a log for another tool: one after the other, each with its place and its keys.

use crate::keys::Keys;
use crate::log::Log;
use crate::part::Preamble;
use crate::walk::{Step, Visitor, walk};
use cairn_format::aof::reader::SliceReader;
use cairn_toolkit::{Failure, Input};
use std::path::Path;

/// A command of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogCommand<'a> {
    /// Its words, the name first.
    pub words: &'a [&'a [u8]],
    /// The same as they stand in the log.
    pub bytes: &'a [u8],
    /// The database that it works on; that of SELECT is the one it selects.
    pub db: u64,
    /// The last timestamp before it, Unix seconds.
    pub second: Option<i64>,
}

/// What is called with each command; `false` for no more.
pub type EachCommand<'e> = dyn FnMut(&LogCommand<'_>) -> Result<bool, Failure> + 'e;

/// Hands over each command of a log: a file, a folder in parts, its manifest. Gives the keys of snapshots in front of commands, which are passed over.
///
/// # Errors
/// No log, a damaged one, or what `each` says.
pub fn each_command(path: &Path, label: &str, each: &mut EachCommand<'_>) -> Result<u64, Failure> {
    let log = Log::find_sound(path)?;
    let mut reader = Reader {
        each,
        is_over: false,
        keys: 0,
    };
    match walk(&log, label, &mut reader)? {
        false => Ok(reader.keys),
        true => Err(
            Failure::new(format!("{}: the log is damaged", path.display()))
                .hint("`aof-tool fix` drops what is damaged"),
        ),
    }
}

struct Reader<'e, 'f> {
    each: &'e mut EachCommand<'f>,
    is_over: bool,
    keys: u64,
}

impl Visitor for Reader<'_, '_> {
    fn preamble(&mut self, _: &Input, preamble: Preamble) -> Result<(), Failure> {
        self.keys += preamble.keys;
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        if self.is_over || step.item.annotation().is_some() {
            return Ok(());
        }
        let words: Vec<&[u8]> = step.item.args().collect();
        self.is_over = !(self.each)(&LogCommand {
            words: &words,
            bytes: step.item.raw,
            db: step.db,
            second: step.second,
        })?;
        Ok(())
    }
}

/// Tells which keys a command is about, by what the engine knows of its commands.
#[derive(Default)]
pub struct KeyFinder(Keys);

impl KeyFinder {
    /// Hands over each key of a command, given as bytes of the protocol; answers the type that the command works on, as TYPE names it, or nothing
    /// for commands about keys of any type.
    pub fn each(&mut self, bytes: &[u8], found: impl FnMut(&[u8])) -> &'static str {
        match SliceReader::new(bytes, 0).next_item() {
            Ok(Some(item)) => {
                self.0.each(&item, found);
                self.0.type_name()
            }
            _ => "",
        }
    }
}
