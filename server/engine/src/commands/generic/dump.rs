//! DUMP and RESTORE: one value as bytes, in the form of a snapshot with a version and a checksum behind it.

use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::dialect::Dialect;
use cairn_format::rdb::dump::{self, Payload};
use cairn_format::rdb::writer::WriteOptions;
use cairn_format::rdb::{Check, Head};

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::Keyspace;
use crate::persist::restore::{Attributes, NoValue, Restored};
use crate::persist::save::{automatic_dialect_of, write_record};
use crate::persist::value::Builder;
use crate::persist::words;
use crate::structure::table::Slot;

/// The newest payload that RESTORE takes. Redis takes its own version and older ones; values that the engine cannot hold
/// are refused one by one.
const NEWEST: Dialect = Dialect::NEWEST_REDIS;

pub(super) const DUMP: Command = Command {
    name: "dump",
    group: Group::Generic,
    since: "2.6.0",
    arity: 2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
    summary: "Write the value at a key as bytes that RESTORE reads",
    run: dump_value,
    ..Command::BASE
};

fn dump_value(cx: &mut Ctx, args: &Args) -> Outcome {
    let Some(slot) = cx.ks.read(args.at(1)) else {
        cx.reply.null();
        return Ok(());
    };
    let payload = payload_of(cx.ks, slot, cx.ks.limits.dump_dialect)?;
    cx.reply.bulk(&payload);
    Ok(())
}

/// The payload of a value, in a version that was asked for or in the oldest that Redis 7.2 and the value allow.
///
/// # Errors
/// The version cannot hold the value.
pub(super) fn payload_of(
    ks: &Keyspace,
    slot: Slot,
    dialect: Option<Dialect>,
) -> Result<Vec<u8>, Error> {
    let automatic = || automatic_dialect_of(ks.view(slot));
    let mut options = WriteOptions::new(dialect.unwrap_or_else(automatic));
    options.compress = ks.limits.dump_compress;
    let record = ks.record(slot);
    dump::build(options, |writer| {
        write_record(writer, &Head::default(), record)
    })
    .map_err(|why| Error::text(format!("ERR {why}")))
}

pub(super) const RESTORE: Command = Command {
    name: "restore",
    group: Group::Generic,
    since: "2.6.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::DANGEROUS),
    keys: &[KeySpec::one(&["OW", "update"])],
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
    summary: "Make a key of the bytes that DUMP wrote",
    run: restore,
    ..Command::BASE
};

pub(super) const RESTORE_ASKING: Command = Command {
    name: "restore-asking",
    group: Group::Server,
    since: "3.0.0",
    flags: Flags::WRITE
        .and(Flags::DENY_OOM)
        .and(Flags::ASKING)
        .and(Flags::KEYSPACE)
        .and(Flags::DANGEROUS),
    summary: "RESTORE as one node of a cluster sends it to another",
    ..RESTORE
};

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_s: Option<i64>,
    freq: Option<u8>,
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut o = Options::default();
        let mut i = 4;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "replace") {
                o.replace = true;
            } else if args.is(i, "absttl") {
                o.absolute = true;
            } else if args.is(i, "idletime") && more && o.freq.is_none() {
                let invalid = Error::new("ERR Invalid IDLETIME value, must be >= 0");
                let idle = args.int(i + 1)?;
                o.idle_s = Some(idle).filter(|s| *s >= 0);
                o.idle_s.ok_or(invalid)?;
                i += 1;
            } else if args.is(i, "freq") && more && o.idle_s.is_none() {
                let invalid = Error::new("ERR Invalid FREQ value, must be >= 0 and <= 255");
                o.freq = Some(u8::try_from(args.int(i + 1)?).map_err(|_| invalid)?);
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(o)
    }
}

fn restore(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let options = Options::parse(args)?;
    let old = cx.ks.write(key);
    if old.is_some() && !options.replace {
        return Err(Error::new("BUSYKEY Target key name already exists."));
    }
    let ttl = args.int(2)?;
    if ttl < 0 {
        return Err(Error::new("ERR Invalid TTL value, must be >= 0"));
    }
    let mut scratch = Vec::new();
    let restored = read_payload(cx, args.at(3), &mut scratch)?;
    if let Some(slot) = old {
        cx.ks.remove(slot);
    }
    let now = cx.ks.now_ms;
    let relative = ttl != 0 && !options.absolute;
    let when = if relative {
        ttl.saturating_add(now)
    } else {
        ttl
    };
    if when != 0 && when <= now && !cx.session.applies() {
        // Its time has come already: what is left to do is to remove what was there.
        if old.is_some() {
            cx.ks.modified(EventClass::GENERIC, "del", key, 1);
            cx.propagate(&[b"DEL", key]);
        }
        cx.reply.ok();
        return Ok(());
    }
    let attributes = Attributes {
        expire_ms: Some(when).filter(|when| *when != 0),
        idle_s: options.idle_s.and_then(|idle| u64::try_from(idle).ok()),
        freq: options.freq,
    };
    restored.store(cx.ks, key, &attributes);
    cx.ks.modified(EventClass::GENERIC, "restore", key, 1);
    if relative {
        let when = when.to_string();
        let mut command: Vec<&[u8]> = args.iter_from(0).collect();
        command[2] = when.as_bytes();
        command.push(b"ABSTTL");
        cx.propagate(&command);
    }
    cx.reply.ok();
    Ok(())
}

fn bad_data() -> Error {
    Error::new("ERR Bad data format")
}

/// Checks frame and content: a client's bytes are looked through to the last entry before they become a value.
/// `scratch` holds what was compressed.
fn read_payload<'a>(
    cx: &mut Ctx,
    payload: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Restored<'a>, Error> {
    let invalid = Error::new("ERR DUMP payload version or checksum are wrong");
    let checksum = !cx.ks.limits.tests.skip_checksums;
    let payload = Payload::open_with(payload, NEWEST, checksum).map_err(|_| invalid)?;
    let saved = payload
        .value(scratch, Check::Sound)
        .map_err(|error| refused(cx, &error))?;
    let builder = Builder {
        limits: &cx.ks.limits,
        hasher: cx.ks.hasher,
    };
    builder.build(&saved).map_err(|no| match no {
        NoValue::Damaged(error) => refused(cx, &error),
        NoValue::Empty => {
            let (name, form) = (saved.type_name(), saved.encoding_name());
            let what = format!("{name} as {form}: no elements");
            refused(cx, &FormatError::new(Damage::Encoding, 1, what))
        }
        NoValue::Unheld(what) => {
            let what = format!("{} cannot be held", what.0);
            refused(cx, &FormatError::new(Damage::Encoding, 0, what))
        }
    })
}

/// The log says what is wrong; the client learns only that it is.
fn refused(cx: &mut Ctx, error: &FormatError) -> Error {
    let line = format!("{} RESTORE: {error}", words::usual(error));
    cx.inst.warn(&line);
    bad_data()
}
