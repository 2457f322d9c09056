//! Reading a snapshot, over a slice or a pipe.
//!
//! [`Reader::next`] gives one event at a time; what it borrows, it borrows from the slice or from the
//! reader's own buffers, which the next call reuses. Nothing is allocated per key. The checksum is
//! computed on the way and compared at the end.
//!
//! ```text
//!   next ── next_raw ── scan ── opcode, attributes, key, value: only their extents
//!     └─ decode ── key, value in its encoding ── deep check, if asked for
//! ```
//!
//! Invariants: `taken` bytes of the source belong to the event given out last and are consumed by the
//! next call; after an error every call gives that error again, but for [`Damage::Pending`]: the source has no more bytes yet,
//! nothing of the record at hand is consumed, and the next call tries it anew.

use std::io::Read;

use super::dialect::{Dialect, Family};
use super::event::{Checksum, Located};
use super::object;
use super::opcode::{self, TypeInfo};
pub use super::raw::{Packed, SliceSource, Source, StreamSource, Watched};
use super::raw::{Parts, Scan};
use super::template::Templates;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

mod blame;
mod decode;
mod define;
mod examine;
mod fast;
mod header;
mod keys;
mod packed;
mod resync;
mod sections;
mod strings;
mod verify;

use blame::blame_key_length;
pub use decode::library_name;
pub use examine::Examined;
use header::read_header;
use keys::KeyIndex;
pub use keys::{Beyond, Hashes, Spill};
pub use resync::{Resync, beginning, is_text};
pub use sections::{Halt, Plan, Reached, Work, go_on_in_sections, read_in_sections};
pub use verify::verify;
pub use verify::{Sound, verify_in_sections};

/// How closely a value and what stands around it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The structure: where each part ends. Packed values may hold anything.
    Structure,
    /// Every entry of packed values and streams. What passes can be read to its end and held by a server. What no server
    /// writes but all can read passes: attributes in any place and number, lengths in long forms, types that are newer than
    /// the version of the file, empty collections, sorted sets out of order, wrong lengths of streams.
    Sound,
    /// And it is written as a server writes it.
    Strict,
}

/// What a reader looks at, besides the structure, which it always checks.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How closely values are looked at.
    pub check: Check,
    /// Compute and compare the checksum.
    pub checksum: bool,
    /// Bytes after the end are damage. Servers ignore them; the head of a command log has commands there.
    pub trailing: bool,
    /// A key that occurs twice in a database is damage. Takes 8 to 16 bytes of memory per key, twice that over a pipe.
    pub duplicate_keys: bool,
    /// What memory may hold of that, and where the rest goes; without, all is in memory.
    pub beyond: Option<Beyond>,
    /// Database numbers from this on are damage.
    pub databases: Option<u64>,
    /// Files that this dialect cannot read are refused.
    pub newest: Option<Dialect>,
    /// Files of a version that nobody here knows are read as the newest known one of their family, as far as that goes.
    pub any_version: bool,
    /// Values of modules are accepted; without, they are refused as a server without modules does.
    pub modules: bool,
}

impl Options {
    /// Structure and checksum: what a server checks when it loads.
    pub const fn shallow() -> Self {
        Options {
            check: Check::Structure,
            checksum: true,
            trailing: false,
            duplicate_keys: false,
            beyond: None,
            databases: None,
            newest: None,
            any_version: false,
            modules: true,
        }
    }

    /// As a server should load it: whatever harms nobody.
    pub const fn sound() -> Self {
        Options {
            check: Check::Sound,
            ..Options::shallow()
        }
    }

    /// Everything that can be known without knowing the server.
    pub const fn deep() -> Self {
        Options {
            check: Check::Strict,
            trailing: true,
            duplicate_keys: true,
            ..Options::shallow()
        }
    }

    /// Everything, for a server of this dialect with its default configuration and no modules.
    pub const fn for_server(newest: Dialect) -> Self {
        Options {
            databases: Some(16),
            newest: Some(newest),
            modules: false,
            ..Options::deep()
        }
    }
}

/// A reader of a snapshot. See [`SliceReader`] and [`StreamReader`].
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    options: Options,
    state: State,
    dialect: Dialect,
    db: u64,
    /// Keys given out so far.
    records: u64,
    /// Bytes of the source that belong to the last event.
    taken: usize,
    /// Attributes that a later key gets, because another opcode stood between.
    carried: Parts,
    /// Bytes of the window from which on the record at hand is tried again; 0 unless it was cut short.
    resume: usize,
    /// Where the last record's key stands, and its type.
    last_value: Option<(u64, &'static TypeInfo)>,
    key_buffer: Vec<u8>,
    value_buffer: Vec<u8>,
    checker: object::Checker,
    keys: KeyIndex,
    templates: Templates,
    /// A wrong checksum is given out, not an error.
    examining: bool,
    /// Whether it is told what led to an error.
    blames: bool,
}

/// A reader over a file in memory.
pub type SliceReader<'a> = Reader<SliceSource<'a>>;
/// A reader over anything that can be read, holding one record at a time.
pub type StreamReader<R> = Reader<StreamSource<R>>;

#[derive(Debug)]
enum State {
    Body,
    Done,
    Failed(Box<FormatError>),
}

/// What the byte at the head of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// A key with a value of this type byte.
    Value(u8),
    /// Anything else, by its opcode.
    Opcode(u8),
}

/// A record by its extent: attributes, opcode or type, key, value.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Absolute offset of its first byte.
    pub offset: u64,
    /// What it is.
    pub kind: RawKind,
    /// The database it belongs to.
    pub db: u64,
    /// All its bytes; a reader of the same dialect takes them as they are. Of the end: the checksum behind the opcode.
    pub bytes: &'a [u8],
}

struct Shape {
    kind: Kind,
    parts: Parts,
    /// Where the payload of an opcode begins.
    body: usize,
    len: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Value(&'static TypeInfo),
    Opcode(u8),
    End(Checksum),
}

impl<'a> SliceReader<'a> {
    /// A reader over a whole file; reads the header.
    ///
    /// # Errors
    /// [`Damage::Magic`], [`Damage::Version`], [`Damage::Truncated`].
    pub fn from_slice(bytes: &'a [u8], options: Options) -> Result<Self> {
        Reader::open(SliceSource::new(bytes, options.checksum), options)
    }

    /// A reader of a file whose head is lost: it is taken for one of `dialect`, and a record for what begins at `from`.
    pub fn headless(bytes: &'a [u8], from: u64, dialect: Dialect, options: Options) -> Self {
        let source = SliceSource::new(bytes, options.checksum);
        let mut reader = Reader::over(source, options, dialect, 0);
        reader.go_to(from, 0);
        reader
    }
}

impl<'a, F: FnMut(Packed<'a>)> Reader<Watched<'a, F>> {
    /// A reader over a whole file that shows each compressed string to `watch` when it passes it, keys included.
    ///
    /// # Errors
    /// As [`SliceReader::from_slice`].
    pub fn watching(bytes: &'a [u8], options: Options, watch: F) -> Result<Self> {
        Reader::open(Watched::new(bytes, options.checksum, watch), options)
    }
}

impl<R: Read> StreamReader<R> {
    /// A reader over a pipe or an open file; reads the header.
    ///
    /// # Errors
    /// As [`SliceReader::from_slice`], and [`Damage::Io`].
    pub fn from_read(input: R, options: Options) -> Result<Self> {
        Reader::open(StreamSource::new(input, options.checksum), options)
    }

    /// After the end: the bytes that were read beyond it, and the input. A command log goes on there.
    pub fn into_rest(mut self) -> (Vec<u8>, R) {
        self.source.consume(std::mem::take(&mut self.taken));
        self.source.into_parts()
    }
}

impl<S: Source> Reader<S> {
    fn open(mut source: S, options: Options) -> Result<Self> {
        let dialect = read_header(&mut source, options.newest, options.any_version)?;
        Ok(Reader::over(source, options, dialect, header::SIZE))
    }

    /// A reader whose first `taken` bytes were read.
    fn over(source: S, options: Options, dialect: Dialect, taken: usize) -> Self {
        Reader {
            source,
            options,
            state: State::Body,
            dialect,
            db: 0,
            records: 0,
            taken,
            carried: Parts::default(),
            resume: 0,
            last_value: None,
            key_buffer: Vec::new(),
            value_buffer: Vec::new(),
            checker: object::Checker::default(),
            keys: KeyIndex::within(options.beyond),
            templates: Templates::default(),
            examining: false,
            blames: true,
        }
    }

    /// Family and version of the file.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many keys were read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Absolute offset after the last event.
    pub fn offset(&self) -> u64 {
        self.source.offset() + self.taken as u64
    }

    /// The next event; `None` after the end.
    ///
    /// # Errors
    /// The first damage, with offset, database and key. Later calls give the same error again.
    #[allow(clippy::should_implement_trait)] // events borrow from the reader, which an Iterator cannot say
    pub fn next(&mut self) -> Result<Option<Located<'_>>> {
        if let Some(found) = self.plain_string_ahead() {
            return Ok(Some(self.plain_string(&found)));
        }
        let Some(shape) = self.advance()? else {
            return Ok(None);
        };
        self.decode_shape(&shape).map(Some)
    }

    fn decode_shape(&mut self, shape: &Shape) -> Result<Located<'_>> {
        let (located, _, state) = self.decode_apart(shape);
        located.inspect_err(|error| *state = State::Failed(error.clone()))
    }

    /// Decodes a record, and gives what is not borrowed by it, too.
    fn decode_apart(
        &mut self,
        shape: &Shape,
    ) -> (Result<Located<'_>>, &mut object::Checker, &mut State) {
        let Reader {
            source,
            options,
            state,
            key_buffer,
            value_buffer,
            checker,
            keys,
            templates,
            ..
        } = self;
        let mut context = decode::Context {
            options,
            dialect: self.dialect,
            db: &mut self.db,
            checker,
            templates,
        };
        let located = decode::event(
            &mut context,
            &*source,
            shape,
            key_buffer,
            value_buffer,
            keys,
        );
        (located, checker, state)
    }

    /// The next record by its extent, nothing decoded. Database numbers are followed.
    ///
    /// # Errors
    /// As [`Reader::next`], for damage of the structure.
    pub fn next_raw(&mut self) -> Result<Option<RawRecord<'_>>> {
        let Some(shape) = self.advance()? else {
            return Ok(None);
        };
        let offset = self.source.offset();
        let bytes = &self.source.window()[..shape.len];
        let kind = match shape.kind {
            Kind::Value(info) => RawKind::Value(info.byte),
            Kind::Opcode(byte) => RawKind::Opcode(byte),
            Kind::End(_) => RawKind::Opcode(opcode::EOF),
        };
        debug_assert!(
            shape.body <= bytes.len(),
            "what follows the opcode or type is there"
        );
        if let Kind::Opcode(opcode::SELECTDB) = shape.kind {
            let mut cursor = Cursor::new(&bytes[shape.body..]);
            self.db = super::length::read_len(&mut cursor, "database")?;
        }
        Ok(Some(RawRecord {
            offset,
            kind,
            db: self.db,
            bytes,
        }))
    }

    /// Consumes the last record and finds the extent of the next.
    fn advance(&mut self) -> Result<Option<Shape>> {
        match &self.state {
            State::Done => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
            State::Body => {}
        }
        self.source.consume(std::mem::take(&mut self.taken));
        if self.resume > 0 {
            // Half as much again as was there: a record that comes in many pieces is not walked over for each of them.
            self.source.have(self.resume)?;
            self.resume = 0;
        }
        match self.scan().and_then(|shape| self.defined(shape)) {
            Err(error) if error.kind == Damage::Pending => {
                let there = self.source.window().len();
                self.resume = there + (there / 2).max(1);
                Err(error)
            }
            Ok(shape) => {
                self.take(&shape);
                Ok(Some(shape))
            }
            Err(error) => {
                let error = self.blamed(error);
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// The record that was found is the one given out.
    fn take(&mut self, shape: &Shape) {
        if let Kind::Value(_) = shape.kind {
            self.carried = Parts::default();
        }
        assert!(
            shape.len <= self.source.window().len(),
            "the record is in the window"
        );
        self.taken = shape.len;
        self.records += u64::from(matches!(shape.kind, Kind::Value(_)));
        self.last_value = match shape.kind {
            Kind::Value(info) => Some((self.source.offset() + shape.parts.key.start as u64, info)),
            _ => None,
        };
    }

    /// An error of the structure, with the key before it if that is at fault, and the database.
    fn blamed(&self, error: Box<FormatError>) -> Box<FormatError> {
        let last = self.last_value.filter(|_| self.blames);
        blame_key_length(&self.source, self.dialect, last, error).in_db(self.db)
    }

    fn scan(&mut self) -> Result<Shape> {
        let mut parts = self.carried.clone();
        let strict = self.options.check == Check::Strict;
        let mut scan = Scan::new(&mut self.source, 0, self.dialect.has_checksum())
            .strict(strict)
            .knowing(&self.templates);
        loop {
            let start = scan.at;
            let byte = scan.byte("opcode or type")?;
            if attribute(&mut scan, &mut parts, byte, self.dialect, strict)? {
                continue;
            }
            if strict && start > 0 && opcode::is_opcode(byte) {
                return Err(scan.error_at(
                    start,
                    Damage::Opcode,
                    format!("opcode {byte} where a key should follow its attributes"),
                ));
            }
            if byte == opcode::EOF {
                let at = scan.at;
                return self.finish(at);
            }
            if opcode::is_opcode(byte) {
                skip_opcode(&mut scan, byte, self.dialect, start)?;
                let len = scan.at;
                self.carried = Parts {
                    meta: None,
                    ..parts.clone()
                };
                return Ok(Shape {
                    kind: Kind::Opcode(byte),
                    parts,
                    body: start + 1,
                    len,
                });
            }
            return scan_value(scan, parts, byte, self.dialect, &self.options, start);
        }
    }

    /// After the EOF opcode: checksum and what may follow it.
    fn finish(&mut self, at: usize) -> Result<Shape> {
        if self.dialect.has_checksum() {
            // What is missing of it is told below.
            self.source.have(at + 8)?;
        }
        self.source.consume(at);
        let computed = self.source.checksum();
        let offset = self.source.offset();
        let (checksum, len) = self.end_of_file(computed)?;
        if let Checksum::Wrong { stored, computed } = checksum
            && !self.examining
        {
            return Err(wrong_checksum(offset, stored, computed));
        }
        if self.options.trailing && self.source.have(len + 1)? {
            let at = self.source.offset() + len as u64;
            return Err(FormatError::new(
                Damage::Length,
                at,
                "bytes after the end of the snapshot",
            ));
        }
        self.state = State::Done;
        Ok(Shape {
            kind: Kind::End(checksum),
            parts: Parts::default(),
            body: 0,
            len,
        })
    }

    fn end_of_file(&mut self, computed: u64) -> Result<(Checksum, usize)> {
        if !self.dialect.has_checksum() {
            return Ok((Checksum::None, 0));
        }
        let offset = self.source.offset();
        if !self.source.have(8)? {
            let remain = self.source.window().len();
            return Err(FormatError::new(
                Damage::Truncated,
                offset,
                format!("checksum: 8 bytes needed, {remain} remain"),
            ));
        }
        let stored = self
            .source
            .window()
            .first_chunk::<8>()
            .map_or(0, |chunk| u64::from_le_bytes(*chunk));
        let checksum = match stored {
            0 => Checksum::Off,
            _ if !self.options.checksum => Checksum::Unchecked(stored),
            _ if stored == computed => Checksum::Verified(stored),
            _ => Checksum::Wrong { stored, computed },
        };
        Ok((checksum, 8))
    }
}

/// The finding for a checksum that is wrong.
fn wrong_checksum(offset: u64, stored: u64, computed: u64) -> Box<FormatError> {
    let what = format!("checksum {stored:016x} stored, {computed:016x} computed");
    FormatError::new(Damage::Checksum, offset, what)
}

/// Reads an attribute of the next key; false if the byte is something else.
pub(super) fn attribute<S: Source>(
    scan: &mut Scan<'_, S>,
    parts: &mut Parts,
    byte: u8,
    dialect: Dialect,
    strict: bool,
) -> Result<bool> {
    let start = scan.at - 1;
    let repeated = match byte {
        opcode::EXPIRETIME_MS => parts
            .expire_ms
            .replace(i64::from_le_bytes(scan.array("expiry")?))
            .is_some(),
        opcode::EXPIRETIME => {
            let seconds = i32::from_le_bytes(scan.array("expiry")?);
            parts.expire_ms.replace(i64::from(seconds) * 1000).is_some()
        }
        opcode::IDLE => parts.idle_s.replace(scan.len("idle time")?).is_some(),
        opcode::FREQ => parts.freq.replace(scan.byte("frequency")?).is_some(),
        opcode::KEY_META if dialect.has_key_meta() => {
            let meta_start = scan.at;
            for _ in 0..scan.len("number of metadata classes")? {
                scan.skip(4, "metadata class")?;
                scan.module_values()?;
            }
            parts.meta.replace(meta_start..scan.at).is_some()
        }
        _ => return Ok(false),
    };
    if strict && repeated {
        return Err(scan.error_at(
            start,
            Damage::Opcode,
            format!("opcode {byte} twice before one key"),
        ));
    }
    Ok(true)
}

/// Walks over an opcode that is no attribute.
pub(super) fn skip_opcode<S: Source>(
    scan: &mut Scan<'_, S>,
    byte: u8,
    dialect: Dialect,
    start: usize,
) -> Result<()> {
    let is_valkey = dialect.family() == Family::Valkey;
    match byte {
        opcode::SELECTDB => scan.len("database").map(|_| ()),
        opcode::RESIZEDB => scan
            .len("number of keys")
            .and_then(|_| scan.len("number of expiring keys"))
            .map(|_| ()),
        opcode::AUX => scan
            .string("aux name")
            .and_then(|()| scan.string("aux value")),
        opcode::MODULE_AUX => {
            scan.len("module id")?;
            scan.len("module opcode")?;
            scan.len("module aux place")?;
            scan.module_values()
        }
        opcode::FUNCTION if dialect.has_listpacks() => scan.string("function library"),
        opcode::TEMPLATE if dialect.has_templates() => scan.template(),
        opcode::COMMAND if dialect.has_commands() => scan.command(),
        opcode::SLOT_INFO if dialect.has_slot_info() => {
            scan.len("slot")?;
            scan.len("number of keys")?;
            scan.len("number of expiring keys").map(|_| ())
        }
        opcode::SLOT_IMPORT if is_valkey => {
            scan.string("slot import job")?;
            for _ in 0..scan.len("number of slot ranges")? {
                scan.len("first slot")?;
                scan.len("last slot")?;
            }
            Ok(())
        }
        _ => Err(scan.error_at(start, Damage::Opcode, opcode::opcode_refusal(dialect, byte))),
    }
}

fn scan_value<S: Source>(
    mut scan: Scan<'_, S>,
    mut parts: Parts,
    byte: u8,
    dialect: Dialect,
    options: &Options,
    start: usize,
) -> Result<Shape> {
    let Some(info) = opcode::type_info(dialect.family(), byte) else {
        return Err(scan.error_at(start, Damage::Type, opcode::type_refusal(dialect, byte)));
    };
    if options.check == Check::Strict && info.since > dialect.version() {
        let what = opcode::type_too_new(dialect, info);
        return Err(scan.error_at(start, Damage::Type, what));
    }
    let key_start = scan.at;
    scan.string("key")?;
    parts.key = key_start..scan.at;
    let value_start = scan.at;
    let walked = if info.layout == opcode::Layout::Module && !options.modules {
        Err(scan.error_at(
            start,
            Damage::Type,
            "a module value, and its module is not loaded",
        ))
    } else {
        scan.value(info)
    };
    if let Err(error) = walked {
        return Err(scan.name_key(error.inside(info.name), &parts.key));
    }
    parts.value = value_start..scan.at;
    debug_assert!(
        start < key_start && parts.key.end == value_start,
        "type, key, value"
    );
    let len = scan.at;
    Ok(Shape {
        kind: Kind::Value(info),
        parts,
        body: start + 1,
        len,
    })
}
