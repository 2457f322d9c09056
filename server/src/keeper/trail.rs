//! Where the stream of replication is in the log, so that a start goes on from there, and so that replicas whose place has left
//! the backlog in memory are sent what they lack from the files.
//!
//! ```text
//!   a primary that streams:  Begins ... changes, pings ... GoesOn ... changes ... GoesOn (next file) ...
//!   a replica:               commands of a batch, At, commands of a batch, At ...
//! ```
//! While this server is a primary that streams, the log holds the stream, byte for byte: the journal's two readers say the same of
//! databases, and what enters the stream alone stands in the log as annotations. While it follows another, the log has the place
//! alone, behind each batch of commands that was applied: its commands are its own.

use std::path::Path;
use std::sync::Arc;

use cairn_format::aof::place::{Holds, ID, Mark, Note, write_mark};
use cairn_format::aof::reader::Item;

use super::Saving;
use crate::config::table;
use crate::files::log_stream::{LogStream, Segment};
use crate::replication::Place;

/// Bytes of log from which on it is marked again, so that little is read before what somebody asks for.
const MARK_EVERY: u64 = 4 << 20;
/// More segments than this are not kept: the older half goes.
const SEGMENTS_MAX: usize = 20_000;

/// What of the log is the stream.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The log is the stream from the first of these on, without a gap, to its end.
    segments: Vec<Segment>,
    is_exact: bool,
    /// The name under which the last was begun, or the last place was told.
    id: Option<[u8; ID]>,
    /// Size of the open file behind the last mark.
    marked_at: u64,
}

impl Trail {
    fn place_alone(&mut self, id: Option<[u8; ID]>) {
        self.segments.clear();
        self.is_exact = false;
        self.id = id;
    }

    fn mark(&mut self, holds: Holds, id: [u8; ID], segment: Segment) {
        if holds == Holds::Begins {
            self.segments.clear();
        }
        if self.segments.len() >= SEGMENTS_MAX {
            self.segments.drain(..SEGMENTS_MAX / 2);
        }
        self.segments.push(segment);
        self.is_exact = true;
        self.id = Some(id);
    }

    /// What is there so far is not good to be read from: bytes are missing, or files.
    fn forget_segments(&mut self) {
        self.segments.clear();
    }

    /// A file has another name now.
    pub fn renamed(&mut self, from: &Path, to: &Path) {
        let to: Arc<Path> = Arc::from(to);
        for segment in &mut self.segments {
            if *segment.path == *from {
                segment.path = to.clone();
            }
        }
    }

    /// Files that are no part of the log any more are not read.
    pub fn keep_files(&mut self, is_part: impl Fn(&Path) -> bool) {
        let gone = self.segments.iter().rposition(|one| !is_part(&one.path));
        self.segments.drain(..gone.map_or(0, |last| last + 1));
    }

    /// The offset of the first byte of the stream that can be read from the log.
    fn first(&self) -> Option<u64> {
        Some(self.segments.first()?.offset + 1)
    }

    /// The segments from the one on that holds a byte.
    fn from(&self, offset: u64) -> &[Segment] {
        let behind = self.segments.partition_point(|one| one.offset < offset);
        &self.segments[behind.saturating_sub(1)..]
    }
}

impl Saving<'_> {
    /// Says in the log where the stream is, if there is one: when the log's file (`new_file`), the role or the stream's name has
    /// changed, and now and then.
    pub fn note_place(&mut self, new_file: bool) {
        let Some(open) = &mut self.keeper.append else {
            return;
        };
        let place = self.replication.place();
        let at = open.log.size();
        let (holds, id, offset, db) = match place {
            Place::Own {
                id,
                before,
                offset,
                db,
            } => {
                let same = open.trail.id == Some(id) || open.trail.id == before;
                let goes_on = open.trail.is_exact && same;
                if new_file || !goes_on {
                    // From here on both readers say the same.
                    self.replication.say_db_again();
                    open.log.say_db_again();
                }
                let holds = if goes_on {
                    Holds::GoesOn
                } else {
                    Holds::Begins
                };
                let path = Arc::from(open.log.path());
                open.trail.mark(holds, id, Segment { path, at, offset });
                (holds, Some(id), offset, db)
            }
            Place::Followed { id, offset, db } => {
                open.trail.place_alone(Some(id));
                (Holds::At, Some(id), offset, db)
            }
            Place::Unknown if open.trail.id.is_some() => {
                open.trail.place_alone(None);
                (Holds::Ends, None, 0, 0)
            }
            Place::Unknown => return,
        };
        let db = db as u64;
        let mark = Mark {
            holds,
            id,
            offset,
            db,
            at,
        };
        open.log.annotate(|out| write_mark(out, &mark));
        open.trail.marked_at = open.log.size();
    }

    /// As [`Saving::note_place`], if the log has become longer by so much since.
    pub fn note_progress(&mut self, bytes: u64) {
        let grown = |open: &&mut super::OpenLog| {
            open.trail.is_exact && open.log.size().saturating_sub(open.trail.marked_at) >= bytes
        };
        if self.keeper.append.as_mut().filter(grown).is_some() {
            self.note_place(false);
        }
    }

    /// As [`Saving::note_progress`], once a turn.
    pub fn note_much_progress(&mut self) {
        self.note_progress(MARK_EVERY);
    }

    /// A command has entered the stream that is no change.
    pub fn note_inserted(&mut self, db: Option<usize>, command: &[u8]) {
        let is_kept = self.config.get(table::REPL_BACKLOG_FROM_AOF);
        let Some(open) = self
            .keeper
            .append
            .as_mut()
            .filter(|open| open.trail.is_exact)
        else {
            return;
        };
        open.log.insert(db, command, is_kept);
        if !is_kept {
            open.trail.forget_segments();
        }
    }

    /// The database is to be said again before the next change, by the stream and so by the log.
    pub fn say_db_again(&mut self) {
        self.replication.say_db_again();
        if let Some(open) = self
            .keeper
            .append
            .as_mut()
            .filter(|open| open.trail.is_exact)
        {
            open.log.say_db_again();
        }
    }

    /// The offset of the first byte of the stream that can be read from the log, if all up to now can.
    pub fn log_reaches(&mut self) -> Option<u64> {
        let is_wanted = self.config.get(table::REPL_BACKLOG_FROM_AOF);
        let first = self.keeper.append.as_ref()?.trail.first();
        let first = first.filter(|_| is_wanted)?;
        // What this turn has changed so far. A failure is met again at its end, and told there.
        let _ = self.flush_log();
        let open = self.keeper.append.as_ref()?;
        (open.log.buffered() == 0).then_some(first)
    }

    /// The stream from an offset on, as the log holds it.
    ///
    /// # Errors
    /// The disk's; the files are not asked again.
    pub fn read_stream(&mut self, from: u64) -> std::io::Result<LogStream> {
        let disk = self.host.disk();
        let trail = self.keeper.append.as_mut().map(|open| &mut open.trail);
        let trail = trail.ok_or(std::io::ErrorKind::NotFound)?;
        LogStream::open(&*disk, trail.from(from), from).inspect_err(|_| trail.forget_segments())
    }

    /// The log was not what it was taken for: it is not read for replicas any more, up to here.
    pub fn distrust_log(&mut self) {
        if let Some(open) = &mut self.keeper.append {
            open.trail.forget_segments();
        }
    }
}

/// What a log that is loaded says of the stream.
#[derive(Default)]
pub struct TrailReader {
    trail: Trail,
    mark: Option<Mark>,
    /// Since the mark.
    now: Behind,
    /// As far as transactions are whole: what a torn one held goes.
    whole: Behind,
}

/// What stands behind a mark.
#[derive(Clone, Copy, Default)]
struct Behind {
    /// Bytes of the stream.
    bytes: u64,
    /// Whether there were commands.
    commands: bool,
    /// The database that was selected last.
    db: Option<u64>,
}

impl TrailReader {
    /// Takes the next record, which was run. `whole`: no transaction is open behind it.
    pub fn take(&mut self, path: &Path, item: &Item<'_>, whole: bool) {
        match item.annotation() {
            None => self.command(item),
            Some(text) => match Note::parse(text) {
                Some(Note::Mark(mark)) => self.mark(path, mark, item.offset),
                Some(Note::Bytes(bytes)) => self.now.bytes += bytes.len() as u64,
                Some(Note::Gap(count)) => {
                    self.now.bytes = self.now.bytes.saturating_add(count);
                    self.trail.forget_segments();
                }
                None => {}
            },
        }
        if whole {
            self.whole = self.now;
        }
    }

    fn command(&mut self, item: &Item<'_>) {
        self.now.bytes += item.raw.len() as u64;
        self.now.commands = true;
        if item
            .arg(0)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"select"))
        {
            let db = item.arg(1).and_then(cairn_format::text::number::parse_i64);
            self.now.db = db.and_then(|db| u64::try_from(db).ok());
        }
    }

    fn mark(&mut self, path: &Path, mark: Mark, at: u64) {
        let expected = self.end();
        self.now = Behind::default();
        self.mark = None;
        let (Some(id), true) = (mark.id, mark.at == at) else {
            // It ends, or somebody has changed the file.
            return self.trail.place_alone(None);
        };
        let offset = mark.offset;
        self.mark = Some(mark);
        match mark.holds {
            Holds::At | Holds::Ends => self.trail.place_alone(Some(id)),
            Holds::Begins | Holds::GoesOn => {
                let goes_on = mark.holds == Holds::GoesOn
                    && self.trail.is_exact
                    && expected.is_some_and(|(_, end, _)| end == offset);
                let holds = if goes_on {
                    Holds::GoesOn
                } else {
                    Holds::Begins
                };
                let path = Arc::from(path);
                self.trail.mark(holds, id, Segment { path, at, offset });
            }
        }
    }

    /// Name, offset and database of the stream at the end of what was read, if the log tells.
    pub fn end(&self) -> Option<([u8; ID], u64, u64)> {
        let mark = self.mark?;
        let db = self.whole.db.unwrap_or(mark.db);
        match self.trail.is_exact {
            true => Some((mark.id?, mark.offset.checked_add(self.whole.bytes)?, db)),
            false if self.whole.commands => None,
            false => Some((mark.id?, mark.offset, db)),
        }
    }

    /// What of the log is the stream.
    pub fn into_trail(self) -> Trail {
        self.trail
    }
}
