//! The data set as commands: the base of a log when `aof-use-rdb-preamble no`, and what aof-tool writes.
//!
//! What the commands are is said once, in [`cairn_format::aof::rewrite`]; here are the values that it is told.

use std::fmt;
use std::io::{self, Write};

use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::{Collection, FIELD_EXPIRY, Rewriter, STREAM};
use cairn_format::rdb::writer::Lack;
use cairn_format::text::number::I64Text;
use cairn_format::text::words::quote;

use crate::keyspace::Keyspace;
use crate::structure::record::Record;
use crate::value::{Kind, Object, ValueRef, hash_ttl};

/// Bytes collected before the output is asked.
const BUFFER: usize = 64 * 1024;

/// Why the data cannot be written as commands.
#[derive(Debug)]
pub enum RewriteError {
    /// What the output reports.
    Io(io::Error),
    /// A value that the target has no commands for.
    Unsupported {
        /// Who was to read the commands.
        target: Release,
        /// Its database and key.
        key: (usize, Vec<u8>),
        /// What it is.
        what: &'static str,
        /// What could hold it.
        needs: &'static str,
    },
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RewriteError::Io(error) => write!(f, "{error}"),
            RewriteError::Unsupported {
                target,
                key: (db, key),
                what,
                needs,
            } => write!(
                f,
                "db {db}, key {}: {target} has no commands for {what}, which needs {needs}",
                quote(key)
            ),
        }
    }
}

impl std::error::Error for RewriteError {}

impl From<io::Error> for RewriteError {
    fn from(error: io::Error) -> Self {
        RewriteError::Io(error)
    }
}

/// Writes commands that make the data set again on a server of the target's release. `progress` hears the number of keys
/// now and then.
///
/// # Errors
/// What the output reports, or the first value that the target has no commands for.
pub fn rewrite(
    ks: &Keyspace,
    out: &mut dyn Write,
    target: Release,
    progress: &mut dyn FnMut(u64),
) -> Result<(), RewriteError> {
    let mut to = Rewriter::new(target);
    let mut keys = 0;
    for (name, library) in ks.libraries.iter() {
        if !to.library(&library.code) {
            return Err(RewriteError::Unsupported {
                target,
                key: (0, name.to_vec()),
                what: "a library of functions",
                needs: "Redis 7.0",
            });
        }
    }
    for index in 0..ks.databases() {
        for record in ks.database(index).iter() {
            to.select(index as u64);
            if let Err((what, needs)) = write_record(&mut to, record) {
                let key = (index, record.key().to_vec());
                return Err(RewriteError::Unsupported {
                    target,
                    key,
                    what: what.what(),
                    needs,
                });
            }
            keys += 1;
            if to.bytes().len() >= BUFFER {
                out.write_all(to.bytes())?;
                to.clear();
                progress(keys);
            }
        }
    }
    assert_eq!(keys, ks.total_keys() as u64, "all keys, each once");
    progress(keys);
    Ok(out.write_all(to.bytes())?)
}

/// The commands that make one key again, the newest that there are, without its database.
pub fn of_record(record: &Record<Object>) -> Vec<u8> {
    let mut to = Rewriter::new(Release::NEWEST);
    let written = write_record(&mut to, record);
    assert!(written.is_ok(), "the newest servers have all commands");
    to.bytes().to_vec()
}

/// What it is that the target has no commands for, and what could hold it.
pub type Unsupported = (Lack, &'static str);

/// The commands that make one key again, without its database.
///
/// # Errors
/// What of it the target has no commands for.
pub fn write_record(to: &mut Rewriter, record: &Record<Object>) -> Result<(), Unsupported> {
    let (key, value) = (record.key(), ValueRef::of(record.tag(), record.payload()));
    match value {
        ValueRef::Int(i) => to.string(key, I64Text::new().format(i)),
        ValueRef::Str(bytes) => to.string(key, bytes),
        ValueRef::Big(bytes) => to.string(key, bytes),
        ValueRef::Stream(_) if !to.target().has_streams() => return Err(STREAM),
        ValueRef::Stream(stream) => super::stream::rewrite(to, key, stream),
        _ => write_collection(to, key, value)?,
    }
    if let Some(at) = record.expire() {
        to.expiry(key, at);
    }
    Ok(())
}

fn write_collection(to: &mut Rewriter, key: &[u8], value: ValueRef) -> Result<(), Unsupported> {
    let (mut a, mut b) = (I64Text::new(), I64Text::new());
    match value.kind() {
        Kind::List => to.collection(Collection::List, key, |to| {
            value.each(&mut |element| to.one(element.text(&mut a)));
        }),
        Kind::Set => to.collection(Collection::Set, key, |to| {
            value.each(&mut |member| to.one(member.text(&mut a)));
        }),
        Kind::Zset => to.collection(Collection::Zset, key, |to| {
            value.each_scored(&mut |member, score| to.scored(member.text(&mut a), score));
        }),
        Kind::Hash => {
            let mut expires = false;
            to.collection(Collection::Hash, key, |to| {
                value.each_field(&mut |field, value, at| {
                    expires |= at.is_some();
                    to.field(field.text(&mut a), value.text(&mut b));
                });
            });
            if expires {
                write_field_expiries(to, key, value)?;
            }
        }
        Kind::String | Kind::Stream => {}
    }
    Ok(())
}

fn write_field_expiries(to: &mut Rewriter, key: &[u8], hash: ValueRef) -> Result<(), Unsupported> {
    if !to.target().has_field_expiry() {
        return Err(FIELD_EXPIRY);
    }
    debug_assert!(hash_ttl::next_expire(hash).is_some(), "a field has a time");
    let mut text = I64Text::new();
    hash.each_field(&mut |field, _, at| {
        if let Some(at) = at {
            to.field_expiry(key, field.text(&mut text), at);
        }
    });
    Ok(())
}
