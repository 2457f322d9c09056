//! The payload of DUMP and RESTORE: one value without its key.
//!
//! ```text
//!   [243 metadata] | type | value | version u16 LE | checksum u64 LE over all before it
//! ```
//!
//! `c0 05` as a value of type 0 under version 11: `00 c005 0b00` and the checksum. FUNCTION DUMP is the same
//! with any number of `245 | str` in place of type and value.

use std::cell::RefCell;

use super::dialect::{Dialect, Family};
use super::event::Head;
use super::object::{self, Object};
use super::opcode::{self, TypeInfo};
use super::raw::{Scan, SliceSource};
use super::reader::Check;
use super::string::{Stored, Text, read_string};
use super::template::Templates;
use super::writer::{WriteOptions, WriteResult, Writer, Written};
use crate::crc64::crc64;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};
use crate::lzf;

/// Version and checksum.
const FOOTER: usize = 10;

/// A payload whose frame is sound.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    dialect: Dialect,
    body: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Checks version and checksum. `newest` is the reader: what it cannot read is refused.
    ///
    /// # Errors
    /// [`Damage::Truncated`], [`Damage::Version`], [`Damage::Checksum`].
    pub fn open(bytes: &'a [u8], newest: Dialect) -> Result<Self> {
        Payload::open_with(bytes, newest, true)
    }

    /// As [`Payload::open`], and if `checksum` is false, whatever the checksum says.
    ///
    /// # Errors
    /// As [`Payload::open`].
    pub fn open_with(bytes: &'a [u8], newest: Dialect, checksum: bool) -> Result<Self> {
        let Some(footer_at) = bytes.len().checked_sub(FOOTER) else {
            return Err(FormatError::new(
                Damage::Truncated,
                0,
                format!("dump payload of {} bytes", bytes.len()),
            ));
        };
        let mut footer = Cursor::at_base(&bytes[footer_at..], footer_at as u64);
        let version = footer.u16le("version")?;
        // Any old version will do, 0 as well: the type byte tells what follows.
        let dialect = match version {
            0 => Some(Dialect::redis(0)),
            _ => Dialect::from_number(version),
        };
        let dialect = dialect.filter(|dialect| newest.reads(*dialect));
        let Some(dialect) = dialect else {
            return Err(FormatError::new(
                Damage::Version,
                footer_at as u64,
                format!("payload of version {version} cannot be read by {newest}"),
            ));
        };
        debug_assert_eq!(
            footer.offset(),
            footer_at as u64 + 2,
            "the checksum is next"
        );
        let body = &bytes[..footer_at];
        if !checksum {
            return Ok(Payload { dialect, body });
        }
        let stored = footer.u64le("checksum")?;
        let computed = crc64(&bytes[..bytes.len() - 8]);
        // Redis 8.8 and up take a checksum of 0 as "not computed".
        if stored != computed
            && !(stored == 0 && dialect.family() == Family::Redis && version >= 14)
        {
            let what = format!("checksum {stored:016x} stored, {computed:016x} computed");
            return Err(FormatError::new(
                Damage::Checksum,
                (bytes.len() - 8) as u64,
                what,
            ));
        }
        Ok(Payload { dialect, body })
    }

    /// The version it was written in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The type byte of the value; `None` if there is none.
    pub fn type_byte(&self) -> Option<u8> {
        self.value_at()
            .ok()
            .and_then(|at| self.body.get(at).copied())
    }

    /// Where the type byte stands: after the metadata, if there is any.
    fn value_at(&self) -> Result<usize> {
        if self.body.first() != Some(&opcode::KEY_META) || !self.dialect.has_key_meta() {
            return Ok(0);
        }
        let mut source = SliceSource::new(self.body, false);
        let mut scan = Scan::new(&mut source, 1, true);
        for _ in 0..scan.len("number of metadata classes")? {
            scan.skip(4, "metadata class")?;
            scan.module_values()?;
        }
        Ok(scan.at)
    }

    /// Metadata and type, and the value: a file has the key between them.
    ///
    /// # Errors
    /// Damage of the metadata, and a payload without a type.
    pub fn split(&self) -> Result<(&'a [u8], &'a [u8])> {
        let at = self.value_at()?;
        self.body.split_at_checked(at + 1).ok_or_else(|| {
            FormatError::new(Damage::Truncated, at as u64, "dump payload without a value")
        })
    }

    /// The value. `scratch` holds it if it was compressed as a whole.
    ///
    /// # Errors
    /// Any damage of the value, and bytes after it.
    pub fn value<'s>(&self, scratch: &'s mut Vec<u8>, check: Check) -> Result<Object<'s>>
    where
        'a: 's,
    {
        let at = self.value_at()?;
        let Some(byte) = self.body.get(at).copied() else {
            return Err(FormatError::new(
                Damage::Truncated,
                at as u64,
                "dump payload without a value",
            ));
        };
        let refused = |what| FormatError::new(Damage::Type, at as u64, what);
        let info: &'static TypeInfo = opcode::type_info(self.dialect.family(), byte)
            .ok_or_else(|| refused(opcode::type_refusal(self.dialect, byte)))?;
        if check == Check::Strict && info.since > self.dialect.version() {
            return Err(refused(opcode::type_too_new(self.dialect, info)));
        }
        let mut source = SliceSource::new(self.body, false);
        let mut scan = Scan::new(&mut source, at + 1, true);
        scan.value(info).map_err(|error| error.inside(info.name))?;
        if scan.at != self.body.len() {
            return Err(scan.error(Damage::Length, "bytes after the value"));
        }
        let cursor = Cursor::at_base(&self.body[at + 1..], at as u64 + 1);
        let mut value = object::decode(info, cursor, &Templates::default(), scratch)
            .map_err(|error| error.inside(info.name))?;
        object::Checker::default()
            .check(&mut value, at as u64 + 1, check)
            .map_err(|error| error.inside(info.name))?;
        Ok(value)
    }

    /// The libraries of a FUNCTION DUMP.
    ///
    /// # Errors
    /// Anything that is no library.
    pub fn functions(&self) -> Result<Vec<Text<'a>>> {
        let mut cursor = Cursor::new(self.body);
        let mut libraries = Vec::new();
        while !cursor.is_at_end() {
            let at = cursor.offset();
            match cursor.u8("opcode")? {
                opcode::FUNCTION => libraries
                    .push(read_string(&mut cursor, "function library").and_then(Stored::text)?),
                other => {
                    return Err(FormatError::new(
                        Damage::Opcode,
                        at,
                        opcode::opcode_refusal(self.dialect, other),
                    ));
                }
            }
        }
        Ok(libraries)
    }
}

thread_local! {
    /// The compressor's table of a thread: to make and clear 64 KB for each payload takes longer than all else.
    static TABLE: RefCell<lzf::Table> = RefCell::default();
}

/// Makes a payload: `write` gets a writer and writes one value with any method of it; heads are ignored.
///
/// # Errors
/// Those of `write`, and [`super::WriteError::Dialect`] for a version that cannot be written.
pub fn build<T>(
    options: WriteOptions,
    write: impl FnOnce(&mut Writer<Vec<u8>>) -> WriteResult<T>,
) -> WriteResult<Vec<u8>> {
    let mut writer = Writer::unframed(
        Vec::new(),
        WriteOptions {
            checksum: false,
            ..options
        },
    )?;
    TABLE.with_borrow_mut(|table| writer.swap_table(table));
    let written = write(&mut writer);
    TABLE.with_borrow_mut(|table| writer.swap_table(table));
    written?;
    let mut payload = writer.into_output()?;
    payload.extend_from_slice(&options.dialect.version().to_le_bytes());
    let sum = crc64(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    Ok(payload)
}

/// The payload of a value in its encoding, or in the full one if the target cannot read that.
///
/// # Errors
/// As [`Writer::object`].
pub fn encode(options: WriteOptions, value: &Object<'_>) -> WriteResult<Vec<u8>> {
    build(options, |writer| -> WriteResult<Written> {
        writer.object(&Head::default(), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_head() {
        let payload = build(WriteOptions::new(Dialect::redis(11)), |writer| {
            writer.integer(&Head::default(), 5)
        })
        .unwrap();
        assert_eq!(payload[..5], [0x00, 0xc0, 0x05, 0x0b, 0x00]);
        let opened = Payload::open(&payload, Dialect::REDIS_7_2).unwrap();
        assert_eq!(opened.type_byte(), Some(0));
        assert!(matches!(
            opened.value(&mut Vec::new(), Check::Strict),
            Ok(Object::String(Text::Int(5)))
        ));
    }

    #[test]
    fn one_changed_byte_is_noticed() {
        let payload = build(WriteOptions::new(Dialect::redis(11)), |writer| {
            writer.string(&Head::default(), b"hello")
        })
        .unwrap();
        for place in 0..payload.len() {
            let mut changed = payload.clone();
            changed[place] ^= 1;
            assert!(
                Payload::open(&changed, Dialect::REDIS_7_2).is_err(),
                "{place}"
            );
        }
        let older = Payload::open(&payload, Dialect::redis(10)).unwrap_err();
        assert_eq!(older.kind, Damage::Version);
    }
}
