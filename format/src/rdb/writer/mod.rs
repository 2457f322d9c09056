//! Writing a snapshot of any version from 2 to 15, or of Valkey 80 and 81.
//!
//! Two ways in: [`Writer::event`] takes what a reader gives, so that a filter is reader, condition,
//! writer; `begin_*` and the element methods take a collection piece by piece, so that a server saves
//! without building one. The target dialect decides the type byte. An encoding that the target reads is
//! kept, any other becomes the full one; what the target cannot hold at all is refused before a byte of
//! it is written.
//!
//! Invariants: `owed` elements of the collection begun last are still to come; the checksum covers
//! everything that left the buffer.

use std::io::Write;

use super::dialect::Dialect;
use super::event::{Event, Head};
use super::length::write_len;
use super::object::NodeKind;
use super::opcode;
use super::string::{Text, small_int, write_int};
use crate::crc64::Crc64;
use crate::lzf;
use crate::text::double::write_f64_17;

mod convert;
mod error;
mod lack;
mod options;
mod stream;

pub use error::{Unsupported, WriteError, WriteResult, Written};
pub use lack::Lack;
pub use options::{ExpiringFields, WriteOptions};

/// The buffer is handed on when it has this many bytes.
const FLUSH_AT: usize = 128 * 1024;
/// Strings up to this length are not worth compressing, as in Redis.
const COMPRESS_ABOVE: usize = 20;
/// A compressed string must save at least this many bytes, as in Redis.
const COMPRESS_GAIN: usize = 4;

/// A writer of a snapshot.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    buffer: Vec<u8>,
    options: WriteOptions,
    crc: Crc64,
    /// Bytes handed to `out`.
    written: u64,
    owed: u64,
    collection: Collection,
    /// False for a DUMP payload: no keys, no opcodes.
    framed: bool,
    table: lzf::Table,
    packed: Vec<u8>,
}

/// What the elements that are owed belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collection {
    None,
    Elements,
    Fields,
    ExpiringFields { lowest: i64 },
    Scores,
    Nodes { expanded: bool },
}

impl<W: Write> Writer<W> {
    /// A writer that begins with the header.
    ///
    /// # Errors
    /// [`WriteError::Dialect`] if this version cannot be written.
    pub fn new(out: W, options: WriteOptions) -> WriteResult<Self> {
        let mut writer = Writer::unframed(out, options)?;
        writer.framed = true;
        writer.buffer.extend_from_slice(&options.dialect.magic());
        Ok(writer)
    }

    /// A writer of what belongs into the middle of this snapshot: it has no header and no end, and [`Writer::append`] takes what it
    /// has written.
    pub fn section(&self) -> Writer<Vec<u8>> {
        let mut section = Writer::over(Vec::new(), self.options);
        section.framed = self.framed;
        // It is summed up where it belongs.
        section.options.checksum = false;
        section
    }

    /// Writes what a section has written; its last collection must be whole.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn append(&mut self, mut section: Writer<Vec<u8>>) -> WriteResult<()> {
        assert_eq!(section.owed, 0, "a collection is incomplete");
        section.flush_buffer()?;
        self.put_raw(&section.out)
    }

    /// Compresses with another table from here on, for who has many writers and one table.
    pub fn swap_table(&mut self, table: &mut lzf::Table) {
        std::mem::swap(&mut self.table, table);
    }

    /// A writer of values only.
    pub(super) fn unframed(out: W, options: WriteOptions) -> WriteResult<Self> {
        if !options.dialect.is_writable() {
            return Err(WriteError::Dialect(options.dialect));
        }
        Ok(Writer::over(out, options))
    }

    fn over(out: W, options: WriteOptions) -> Self {
        Writer {
            out,
            buffer: Vec::new(),
            options,
            crc: Crc64::new(),
            written: 0,
            owed: 0,
            collection: Collection::None,
            framed: false,
            table: lzf::Table::new(),
            packed: Vec::new(),
        }
    }

    /// The target.
    pub fn dialect(&self) -> Dialect {
        self.options.dialect
    }

    /// Bytes written so far, those in the buffer included.
    pub fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// What the bytes go to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Writes an event as a reader gave it.
    ///
    /// # Errors
    /// [`WriteError::Unsupported`], with nothing of the event written: the caller may leave it out and go on. After any
    /// other error the output is unusable.
    pub fn event(&mut self, event: &Event<'_>) -> WriteResult<Written> {
        match event {
            Event::Aux { name, value } => self.aux_text(name, value),
            Event::ModuleAux(aux) => self.module_aux(aux),
            Event::Function(code) => self.function(&code.to_vec()),
            Event::SelectDb(db) => self.select_db(*db).map(|()| Written::Whole),
            Event::Resize { keys, expires } => self.resize(*keys, *expires),
            Event::SlotInfo {
                slot,
                keys,
                expires,
            } => self.slot_info(*slot, *keys, *expires),
            Event::SlotImport(import) => self.slot_import(import),
            Event::Command(command) => self.command(command),
            // Hashes are written with their names.
            Event::Template => Ok(Written::Nothing),
            Event::Record(record) => self.object(&record.head, &record.value),
            Event::End(_) => Ok(Written::Whole),
        }
    }

    /// A fact about the file. Left out below version 7.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> WriteResult<Written> {
        self.aux_text(&Text::Bytes(name), &Text::Bytes(value))
    }

    fn aux_text(&mut self, name: &Text<'_>, value: &Text<'_>) -> WriteResult<Written> {
        if !self.dialect().has_aux() {
            return Ok(Written::Nothing);
        }
        self.opcode(opcode::AUX);
        self.put_text(name)?;
        self.put_text(value)?;
        Ok(Written::Whole)
    }

    /// The database of the records that follow.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn select_db(&mut self, db: u64) -> WriteResult<()> {
        self.opcode(opcode::SELECTDB);
        write_len(&mut self.buffer, db);
        self.flush_full()
    }

    /// How many keys the database has. Left out below version 7.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn resize(&mut self, keys: u64, expires: u64) -> WriteResult<Written> {
        if !self.dialect().has_aux() {
            return Ok(Written::Nothing);
        }
        self.opcode(opcode::RESIZEDB);
        write_len(&mut self.buffer, keys);
        write_len(&mut self.buffer, expires);
        Ok(Written::Whole)
    }

    /// How many keys a cluster slot has. Left out where there is no such opcode.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn slot_info(&mut self, slot: u64, keys: u64, expires: u64) -> WriteResult<Written> {
        if !self.dialect().has_slot_info() {
            return Ok(Written::Nothing);
        }
        self.opcode(opcode::SLOT_INFO);
        for number in [slot, keys, expires] {
            write_len(&mut self.buffer, number);
        }
        Ok(Written::Whole)
    }

    /// A function library: its code with its first line.
    ///
    /// # Errors
    /// [`WriteError::Unsupported`] below version 10.
    pub fn function(&mut self, code: &[u8]) -> WriteResult<Written> {
        if !self.dialect().has_listpacks() {
            return Err(self.unsupported(Lack::Function, &[], false));
        }
        self.opcode(opcode::FUNCTION);
        self.put_string(code)?;
        Ok(Written::Whole)
    }

    fn module_aux(&mut self, aux: &super::ModuleAux<'_>) -> WriteResult<Written> {
        if !self.dialect().has_streams() {
            return Err(self.unsupported(Lack::ModuleAux, &[], false));
        }
        self.opcode(opcode::MODULE_AUX);
        for number in [aux.module.id, 2, aux.when] {
            write_len(&mut self.buffer, number);
        }
        self.put_raw(aux.module.values)?;
        Ok(Written::Whole)
    }

    fn slot_import(&mut self, import: &super::SlotImport<'_>) -> WriteResult<Written> {
        if !self.dialect().has_valkey_field_expiry() {
            return Err(self.unsupported(Lack::SlotImport, &[], false));
        }
        self.opcode(opcode::SLOT_IMPORT);
        self.put_text(&import.job)?;
        write_len(&mut self.buffer, import.ranges.len() as u64);
        for (first, last) in &import.ranges {
            write_len(&mut self.buffer, *first);
            write_len(&mut self.buffer, *last);
        }
        Ok(Written::Whole)
    }

    fn command(&mut self, command: &[u8]) -> WriteResult<Written> {
        if !self.dialect().has_commands() {
            return Err(self.unsupported(Lack::Command, &[], false));
        }
        self.opcode(opcode::COMMAND);
        self.put_raw(command)?;
        Ok(Written::Whole)
    }

    /// A string.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn string(&mut self, head: &Head<'_>, bytes: &[u8]) -> WriteResult<()> {
        self.start(head, 0)?;
        self.put_string(bytes)
    }

    /// A string that is an integer.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn integer(&mut self, head: &Head<'_>, value: i64) -> WriteResult<()> {
        self.start(head, 0)?;
        write_int(&mut self.buffer, value);
        self.flush_full()
    }

    /// Begins a list of `count` [`Writer::element`]s.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn begin_list(&mut self, head: &Head<'_>, count: u64) -> WriteResult<()> {
        self.begin(head, 1, count, Collection::Elements)
    }

    /// Begins a list of `nodes` [`Writer::node`]s with `elements` elements together.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn begin_list_nodes(
        &mut self,
        head: &Head<'_>,
        nodes: u64,
        elements: u64,
    ) -> WriteResult<()> {
        if self.dialect().has_listpacks() {
            return self.begin(head, 18, nodes, Collection::Nodes { expanded: false });
        }
        self.begin(head, 1, elements, Collection::Nodes { expanded: true })
    }

    /// Begins a set of `count` [`Writer::element`]s.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn begin_set(&mut self, head: &Head<'_>, count: u64) -> WriteResult<()> {
        self.begin(head, 2, count, Collection::Elements)
    }

    /// Begins a hash of `count` [`Writer::field`]s.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn begin_hash(&mut self, head: &Head<'_>, count: u64) -> WriteResult<()> {
        self.begin(head, 4, count, Collection::Fields)
    }

    /// Begins a hash of `count` [`Writer::expiring_field`]s, the lowest expiry of which is `lowest_ms`.
    ///
    /// # Errors
    /// [`WriteError::Unsupported`] below Redis 7.4 and Valkey 9.0.
    pub fn begin_expiring_hash(
        &mut self,
        head: &Head<'_>,
        count: u64,
        lowest_ms: i64,
    ) -> WriteResult<()> {
        if self.dialect().has_valkey_field_expiry() {
            return self.begin(
                head,
                22,
                count,
                Collection::ExpiringFields { lowest: lowest_ms },
            );
        }
        if !self.dialect().has_redis_field_expiry() {
            return Err(self.unsupported(Lack::FieldExpiry, head.key, true));
        }
        self.start(head, 24)?;
        self.buffer.extend_from_slice(&lowest_ms.to_le_bytes());
        self.begin_count(count, Collection::ExpiringFields { lowest: lowest_ms })
    }

    /// Begins a sorted set of `count` [`Writer::member`]s. Redis writes them from the highest score down; readers take any order.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn begin_zset(&mut self, head: &Head<'_>, count: u64) -> WriteResult<()> {
        let byte = if self.dialect().has_binary_scores() {
            5
        } else {
            3
        };
        self.begin(head, byte, count, Collection::Scores)
    }

    /// The next element of a list or set.
    ///
    /// # Errors
    /// Failure of the output.
    #[inline]
    pub fn element(&mut self, bytes: &[u8]) -> WriteResult<()> {
        self.owe(Collection::Elements, 1);
        self.put_string(bytes)
    }

    /// The next element of a list or set, an integer.
    ///
    /// # Errors
    /// Failure of the output.
    #[inline]
    pub fn element_int(&mut self, value: i64) -> WriteResult<()> {
        self.owe(Collection::Elements, 1);
        write_int(&mut self.buffer, value);
        self.flush_full()
    }

    /// The next field of a hash.
    ///
    /// # Errors
    /// Failure of the output.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> WriteResult<()> {
        self.owe(Collection::Fields, 1);
        self.put_string(name)?;
        self.put_string(value)
    }

    /// The next field of a hash with expiries, in Unix milliseconds.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn expiring_field(
        &mut self,
        name: &[u8],
        value: &[u8],
        expire_ms: Option<i64>,
    ) -> WriteResult<()> {
        let Collection::ExpiringFields { lowest } = self.collection else {
            panic!("no hash with field expiries was begun");
        };
        self.owe(self.collection, 1);
        let is_valkey = self.dialect().has_valkey_field_expiry();
        if !is_valkey {
            let ahead = expire_ms.map_or(0, |time| time.saturating_sub(lowest).saturating_add(1));
            write_len(&mut self.buffer, u64::try_from(ahead).unwrap_or(0));
        }
        self.put_string(name)?;
        self.put_string(value)?;
        if is_valkey {
            self.buffer
                .extend_from_slice(&expire_ms.unwrap_or(-1).to_le_bytes());
        }
        Ok(())
    }

    /// The next member of a sorted set.
    ///
    /// # Errors
    /// Failure of the output.
    #[inline]
    pub fn member(&mut self, member: &[u8], score: f64) -> WriteResult<()> {
        self.owe(Collection::Scores, 1);
        self.put_string(member)?;
        self.put_score(score);
        Ok(())
    }

    /// The next node of a list: one element by itself, or a listpack.
    ///
    /// # Errors
    /// Failure of the output; damage in the listpack, if the target needs its elements.
    pub fn node(&mut self, kind: NodeKind, bytes: &[u8]) -> WriteResult<()> {
        if self.collection != (Collection::Nodes { expanded: true }) {
            self.owe(Collection::Nodes { expanded: false }, 1);
            let container = match kind {
                NodeKind::Plain => opcode::NODE_PLAIN,
                NodeKind::Listpack | NodeKind::Ziplist => opcode::NODE_PACKED,
            };
            write_len(&mut self.buffer, container);
            return self.put_string(bytes);
        }
        let node = super::object::Node {
            kind,
            bytes: bytes.into(),
            offset: 0,
        };
        for element in super::object::Elements::of_node(node) {
            self.owe(Collection::Nodes { expanded: true }, 1);
            self.put_text(&element?)?;
        }
        Ok(())
    }

    /// Ends the file: EOF, checksum, and everything handed to the output, which is not flushed.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn finish(mut self) -> WriteResult<W> {
        assert!(self.framed, "a payload has no end of its own");
        self.opcode(opcode::EOF);
        self.flush_buffer()?;
        if self.dialect().has_checksum() {
            let sum = if self.options.checksum {
                self.crc.value()
            } else {
                0
            };
            self.out.write_all(&sum.to_le_bytes())?;
        }
        Ok(self.out)
    }

    /// Hands everything to the output; for a payload without a frame.
    pub(super) fn into_output(mut self) -> WriteResult<W> {
        assert!(!self.framed, "a snapshot ends with EOF");
        assert_eq!(self.owed, 0, "a collection is incomplete");
        self.flush_buffer()?;
        Ok(self.out)
    }

    fn opcode(&mut self, byte: u8) {
        assert!(
            (self.framed || byte == opcode::FUNCTION) && opcode::is_opcode(byte),
            "opcodes stand between keys; a payload has libraries alone"
        );
        assert_eq!(self.owed, 0, "a collection is incomplete");
        self.buffer.push(byte);
    }

    fn begin(
        &mut self,
        head: &Head<'_>,
        byte: u8,
        count: u64,
        collection: Collection,
    ) -> WriteResult<()> {
        self.start(head, byte)?;
        self.begin_count(count, collection)
    }

    fn begin_count(&mut self, count: u64, collection: Collection) -> WriteResult<()> {
        self.check_size(count)?;
        write_len(&mut self.buffer, count);
        debug_assert!(self.collection == Collection::None, "begun by `start`");
        self.owed = count;
        self.collection = collection;
        Ok(())
    }

    #[inline]
    fn owe(&mut self, collection: Collection, count: u64) {
        assert!(
            self.collection == collection && self.owed >= count,
            "an element without a collection"
        );
        self.owed -= count;
    }

    /// Attributes, type and key.
    fn start(&mut self, head: &Head<'_>, byte: u8) -> WriteResult<()> {
        assert_eq!(self.owed, 0, "a collection is incomplete");
        self.collection = Collection::None;
        if !self.framed {
            self.buffer.push(byte);
            return Ok(());
        }
        if let Some(time) = head.expire_ms {
            self.put_expiry(time, head.key)?;
        }
        if self.dialect().has_streams() {
            if let Some(idle) = head.idle_s {
                self.buffer.push(opcode::IDLE);
                write_len(&mut self.buffer, idle);
            }
            if let Some(freq) = head.freq {
                self.buffer.extend_from_slice(&[opcode::FREQ, freq]);
            }
        }
        if let Some(meta) = head.meta.filter(|_| self.dialect().has_key_meta()) {
            self.buffer.push(opcode::KEY_META);
            self.put_raw(meta)?;
        }
        self.buffer.push(byte);
        self.put_string(head.key)
    }

    /// Before version 3 in seconds: the next full one, so that nothing goes early.
    fn put_expiry(&mut self, time_ms: i64, key: &[u8]) -> WriteResult<()> {
        if self.dialect().has_ms_expiry() {
            self.buffer.push(opcode::EXPIRETIME_MS);
            self.buffer.extend_from_slice(&time_ms.to_le_bytes());
            return Ok(());
        }
        let seconds = time_ms.max(0).saturating_add(999) / 1000;
        let Ok(seconds) = i32::try_from(seconds) else {
            return Err(self.unsupported(Lack::LateExpiry, key, false));
        };
        self.buffer.push(opcode::EXPIRETIME);
        self.buffer.extend_from_slice(&seconds.to_le_bytes());
        Ok(())
    }

    fn check_size(&self, size: u64) -> WriteResult<()> {
        if size > u64::from(u32::MAX) && !self.dialect().has_binary_scores() {
            return Err(self.unsupported(Lack::Size, &[], false));
        }
        Ok(())
    }

    #[inline]
    fn put_text(&mut self, text: &Text<'_>) -> WriteResult<()> {
        match text {
            Text::Int(value) => {
                write_int(&mut self.buffer, *value);
                self.flush_full()
            }
            Text::Bytes(bytes) => self.put_string(bytes),
            Text::Owned(bytes) => self.put_string(bytes),
        }
    }

    #[inline]
    fn put_string(&mut self, bytes: &[u8]) -> WriteResult<()> {
        if let Some(value) = small_int(bytes) {
            write_int(&mut self.buffer, i64::from(value));
            return self.flush_full();
        }
        if bytes.len() > COMPRESS_ABOVE && self.options.compress && self.put_compressed(bytes) {
            return self.flush_full();
        }
        self.check_size(bytes.len() as u64)?;
        write_len(&mut self.buffer, bytes.len() as u64);
        self.put_raw(bytes)
    }

    fn put_compressed(&mut self, bytes: &[u8]) -> bool {
        self.packed.clear();
        let shrunk = lzf::compress(bytes, &mut self.packed, &mut self.table);
        if !shrunk || self.packed.len() + COMPRESS_GAIN > bytes.len() {
            return false;
        }
        debug_assert!(lzf::holds(&self.packed, bytes.len()), "it can be read back");
        debug_assert!(self.packed.len() < bytes.len(), "for what it saves");
        self.buffer.push(0xc3);
        write_len(&mut self.buffer, self.packed.len() as u64);
        write_len(&mut self.buffer, bytes.len() as u64);
        self.buffer.extend_from_slice(&self.packed);
        true
    }

    fn put_score(&mut self, score: f64) {
        if self.dialect().has_binary_scores() {
            self.buffer.extend_from_slice(&score.to_le_bytes());
        } else if score.is_infinite() {
            self.buffer.push(if score > 0.0 { 254 } else { 255 });
        } else {
            let at = self.buffer.len();
            self.buffer.push(0);
            write_f64_17(&mut self.buffer, score);
            let len = self.buffer.len() - at - 1;
            assert!((1..253).contains(&len), "longer lengths mean infinities");
            self.buffer[at] = len as u8;
        }
    }

    /// Bytes as they are; long ones pass the buffer by.
    #[inline]
    fn put_raw(&mut self, bytes: &[u8]) -> WriteResult<()> {
        if bytes.len() < FLUSH_AT {
            self.buffer.extend_from_slice(bytes);
            return self.flush_full();
        }
        self.flush_buffer()?;
        self.hand_on(bytes)
    }

    #[inline]
    fn flush_full(&mut self) -> WriteResult<()> {
        if self.buffer.len() < FLUSH_AT {
            Ok(())
        } else {
            self.flush_buffer()
        }
    }

    fn flush_buffer(&mut self) -> WriteResult<()> {
        let position = self.position();
        let buffer = std::mem::take(&mut self.buffer);
        let handed = self.hand_on(&buffer);
        debug_assert_eq!(self.written, position, "what was in the buffer is written");
        self.buffer = buffer;
        self.buffer.clear();
        handed
    }

    fn hand_on(&mut self, bytes: &[u8]) -> WriteResult<()> {
        if self.options.checksum {
            self.crc.update(bytes);
        }
        self.written += bytes.len() as u64;
        Ok(self.out.write_all(bytes)?)
    }

    fn unsupported(&self, lack: Lack, key: &[u8], part: bool) -> WriteError {
        WriteError::Unsupported(Unsupported {
            lack,
            target: self.dialect(),
            key: key.to_vec(),
            part,
        })
    }
}
