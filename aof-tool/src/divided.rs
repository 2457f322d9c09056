//! A log whose data does not fit into memory, played one part after the other, and the parts put together.
//!
//! ```text
//!   reckoned   part 0 of 2       part 1 of 2                  how many parts it takes is a guess
//!   played     0 of 2 | 1 of 4 (too much: ended, divided) 1 of 8 | 5 of 8 | 3 of 4
//! ```

use crate::gauge::Limit;
use crate::log::Log;
use crate::partition::Parts;
use crate::player::Player;
use crate::raw::unwritten;
use crate::rewrite::{Reader, snapshot_of};
use cairn_format::error::FormatError;
use cairn_format::rdb::{Event, Options, SliceReader, WriteOptions, Writer};
use cairn_toolkit::human::plural;
use cairn_toolkit::{Failure, Input, note, quoted};
use std::io::Write;
use std::path::Path;

/// A log that is played in parts.
pub struct Division<'a> {
    /// What it is called.
    pub path: &'a Path,
    /// Its files.
    pub log: &'a Log,
    /// Bytes of memory that a part may take.
    pub limit: u64,
    /// Makes a player.
    pub make: &'a dyn Fn() -> Player,
}

/// What the parts had in common.
#[derive(Default)]
pub struct Played {
    /// Commands of the log.
    pub commands: u64,
    /// Those that were passed over.
    pub passed: u64,
    /// Commands that were left out.
    pub left_out: u64,
    parts: u64,
}

impl Division<'_> {
    /// Plays each part and hands it to `done`. Function libraries are in the first alone.
    pub fn play(
        &self,
        done: &mut dyn FnMut(&mut Player) -> Result<(), Failure>,
    ) -> Result<Played, Failure> {
        if self.path == Path::new("-") {
            return Err(Failure::new(
                "--memory reads the log several times, and stdin can be read once",
            ));
        }
        let mut parts = Parts::of(self.log, self.limit)?;
        let limit = Limit::beside_now(self.limit);
        let (mut played, mut is_bounded) = (Played::default(), true);
        loop {
            let mut player = (self.make)();
            player.parts = Some(parts);
            player.gauge = is_bounded.then(|| limit.gauge());
            let result = player.play(self.log);
            let is_over = player.is_over_limit();
            if !is_over {
                result?;
                if played.parts > 0 {
                    player.engine.ks.libraries.flush();
                }
                done(&mut player)?;
                played.add(&player);
            }
            parts = player.parts.take().unwrap_or_default();
            drop(player);
            if is_over {
                is_bounded = parts.divide();
                if !is_bounded {
                    self.tell_undivided(&parts);
                }
                continue;
            }
            is_bounded = true;
            if !parts.next() {
                let parts = plural(played.parts, "part", "parts");
                note(&format!("{}: played in {parts}", self.path.display()));
                return Ok(played);
            }
        }
    }

    fn tell_undivided(&self, parts: &Parts) {
        let path = self.path.display();
        let key = quoted(parts.first_key());
        note(&format!(
            "{path}: key {key}, with those that commands join with it, takes more than --memory; it is played all the same"
        ));
    }

    /// The parts as snapshots in temporary files; `prepare` is handed each before.
    pub fn snapshots(
        &self,
        to: Option<Reader>,
        prepare: &mut dyn FnMut(&mut Player) -> Result<(), Failure>,
    ) -> Result<(Vec<Input>, Played), Failure> {
        let mut snapshots = Vec::new();
        let played = self.play(&mut |player| {
            prepare(player)?;
            snapshots.push(Input::of_file(snapshot_of(player, to)?, "temporary file")?);
            Ok(())
        })?;
        Ok((snapshots, played))
    }
}

impl Played {
    /// Counts a part in.
    pub fn add(&mut self, player: &Player) {
        self.parts += 1;
        self.commands = player.commands;
        self.passed += player.passed;
        self.left_out = player.left_out;
    }
}

/// Writes several snapshots of different keys as one, of the newest of their versions; gives the number of keys.
pub fn join(snapshots: &[Input], out: &mut impl Write) -> Result<u64, Failure> {
    let damaged = |error: Box<FormatError>| Failure::damage("temporary file", &error);
    let readers = snapshots.iter().map(|input| {
        let bytes = input.bytes().unwrap_or_default();
        SliceReader::from_slice(bytes, Options::shallow()).map_err(damaged)
    });
    let readers = readers.collect::<Result<Vec<_>, Failure>>()?;
    let dialects = readers.iter().map(|reader| reader.dialect());
    let Some(newest) = dialects.max_by_key(|dialect| dialect.version()) else {
        return Ok(0);
    };
    let mut writer = Writer::new(out, WriteOptions::new(newest)).map_err(unwritten)?;
    let mut keys = 0;
    for (number, mut reader) in readers.into_iter().enumerate() {
        while let Some(located) = reader.next().map_err(damaged)? {
            let goes = match &located.event {
                Event::End(_) | Event::Resize { .. } | Event::SlotInfo { .. } => false,
                Event::Aux { .. } => number == 0,
                _ => true,
            };
            keys += u64::from(matches!(located.event, Event::Record(_)));
            if goes {
                writer.event(&located.event).map_err(unwritten)?;
            }
        }
    }
    writer.finish().map_err(unwritten)?;
    Ok(keys)
}
