//! The data of two players as one snapshot, which both write at once.
//!
//! ```text
//!   first    database, its size | keys |       | keys |       | keys |
//!   second                             | keys |       | keys |             next database ...
//! ```
//!
//! Each hands over its keys in pieces that go into the file in turns, so that the same data gives the same bytes and no more than
//! some pieces wait in memory.

use crate::player::Player;
use crate::raw::unwritten;
use crate::rewrite::{Reader, save_options, say_keys};
use cairn_engine::keyspace::Database;
use cairn_engine::persist::save::{self, automatic_dialect, write_record};
use cairn_format::lzf::Table;
use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Dialect, Head, Writer};
use cairn_toolkit::{Failure, Progress};
use std::io::Write;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of a piece, about.
const PIECE: u64 = 256 * 1024;
/// Pieces that may wait, beside one that is under way at each end: one value may be as large as all others.
const WAITING: usize = 1;

/// A piece that the second player hands over.
struct Handed {
    section: Box<Section>,
    keys: u64,
    /// There are no more in this database.
    is_last: bool,
}

type Section = Writer<Vec<u8>>;

/// Writes the data of both, of which the first has the libraries; gives the number of keys.
pub fn write(
    players: &mut [Player; 2],
    out: &mut impl Write,
    to: Option<Reader>,
) -> Result<u64, Failure> {
    let [first, second] = players;
    let dialect = match to {
        Some(reader) => reader.snapshot,
        None => newest([&*first, second].map(|player| automatic_dialect(&player.engine.ks))),
    };
    let mut file = Begun::new(out, dialect, first).map_err(unwritten)?;
    let ks = &second.engine.ks;
    let sizes = (0..ks.databases()).map(|db| (ks.database(db).len(), ks.database(db).expiring()));
    let sizes: Vec<(usize, usize)> = sizes.collect();
    let (sender, pieces) = sync_channel(WAITING);
    let section = file.writer.section();
    thread::scope(|scope| {
        // Two threads cannot share an engine: the other one alone has the second meanwhile.
        let other = scope.spawn(move || hand_over(second, section, &sender));
        let written = file.databases(first, &sizes, &pieces);
        // Whoever waits to hand a piece over hears that nobody takes it.
        drop(pieces);
        let handed = other.join().unwrap_or_else(|panic| resume_unwind(panic));
        handed.and(written)
    })
    .map_err(unwritten)?;
    for keys in players.iter().map(|player| &player.raw) {
        keys.write_into(&mut file.writer).map_err(unwritten)?;
        file.keys += keys.len();
    }
    file.writer.finish().map_err(unwritten)?;
    Ok(file.keys)
}

fn newest([first, second]: [Dialect; 2]) -> Dialect {
    match second.version() > first.version() {
        true => second,
        false => first,
    }
}

/// A file with its first lines.
struct Begun<W: Write> {
    writer: Writer<W>,
    keys: u64,
    progress: Progress,
}

impl<W: Write> Begun<W> {
    fn new(out: W, dialect: Dialect, first: &Player) -> WriteResult<Begun<W>> {
        let writer = save::begin(&first.engine.ks, out, &save_options(dialect))?;
        let progress = Progress::line();
        Ok(Begun {
            writer,
            keys: 0,
            progress,
        })
    }

    /// All keys; `sizes` are the numbers of those of the second in each database, and of those that expire.
    fn databases(
        &mut self,
        first: &Player,
        sizes: &[(usize, usize)],
        pieces: &Receiver<Handed>,
    ) -> WriteResult<()> {
        for (index, (more, more_expiring)) in sizes.iter().enumerate() {
            let own = first.engine.ks.database(index);
            let size = (own.len() + more) as u64;
            if size > 0 {
                self.writer.select_db(index as u64)?;
                let expiring = (own.expiring() + more_expiring) as u64;
                self.writer.resize(size, expiring)?;
            }
            let before = self.keys;
            let Some(()) = self.database(own, pieces)? else {
                // The second has failed, and says how.
                return Ok(());
            };
            assert_eq!(self.keys - before, size, "all keys, each once");
        }
        Ok(())
    }

    /// The keys of a database; nothing if the second hands nothing over any more.
    fn database(
        &mut self,
        own: Database<'_>,
        pieces: &Receiver<Handed>,
    ) -> WriteResult<Option<()>> {
        let (mut mark, mut others_are_in) = (self.writer.position(), false);
        for record in own.iter() {
            write_record(
                &mut self.writer,
                &Head::expiring(record.key(), record.expire()),
                record,
            )?;
            self.keys += 1;
            if self.writer.position() - mark >= PIECE && !others_are_in {
                let Some(is_last) = self.take(pieces)? else {
                    return Ok(None);
                };
                others_are_in = is_last;
                mark = self.writer.position();
            }
        }
        while !others_are_in {
            let Some(is_last) = self.take(pieces)? else {
                return Ok(None);
            };
            others_are_in = is_last;
        }
        Ok(Some(()))
    }

    /// Takes a piece of the second; tells whether it was the last of the database.
    fn take(&mut self, pieces: &Receiver<Handed>) -> WriteResult<Option<bool>> {
        let Ok(piece) = pieces.recv() else {
            return Ok(None);
        };
        self.writer.append(*piece.section)?;
        self.keys += piece.keys;
        say_keys(&self.progress, self.keys);
        Ok(Some(piece.is_last))
    }
}

/// Hands the keys of all databases over. That nobody takes them is no failure of this side.
fn hand_over(
    player: &Player,
    mut section: Section,
    sender: &SyncSender<Handed>,
) -> WriteResult<()> {
    let ks = &player.engine.ks;
    let hand = |section: &mut Section, keys, is_last| {
        let section = renew(section);
        let piece = Handed {
            section,
            keys,
            is_last,
        };
        sender.send(piece).is_ok()
    };
    for index in 0..ks.databases() {
        let mut keys = 0;
        for record in ks.database(index).iter() {
            if section.position() >= PIECE {
                if !hand(&mut section, keys, false) {
                    return Ok(());
                }
                keys = 0;
            }
            let head = Head::expiring(record.key(), record.expire());
            write_record(&mut section, &head, record)?;
            keys += 1;
        }
        if !hand(&mut section, keys, true) {
            return Ok(());
        }
    }
    Ok(())
}

/// Begins the next piece; gives the one that is full.
fn renew(section: &mut Section) -> Box<Section> {
    let next = section.section();
    let mut full = std::mem::replace(section, next);
    let mut table = Table::new();
    full.swap_table(&mut table);
    section.swap_table(&mut table);
    Box::new(full)
}
