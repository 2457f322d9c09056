//! Snapshots: read at three depths from slices and streams, and written to every dialect.

use cairn_format::error::{FormatError, Result};
use cairn_format::rdb::reader::{RawKind, Resync, Source};
use cairn_format::rdb::{
    Dialect, Event, ExpiringFields, Options, Reader, SliceReader, StreamReader, WriteError,
    WriteOptions, Writer, verify,
};

use crate::aof::Chopped;
use crate::describe;
use crate::steps::Steps;

/// Every dialect that can be read.
pub const DIALECTS: [Dialect; 16] = [
    Dialect::redis(1),
    Dialect::redis(2),
    Dialect::redis(3),
    Dialect::redis(4),
    Dialect::redis(5),
    Dialect::redis(6),
    Dialect::redis(7),
    Dialect::redis(8),
    Dialect::redis(9),
    Dialect::redis(10),
    Dialect::redis(11),
    Dialect::redis(12),
    Dialect::redis(13),
    Dialect::redis(14),
    Dialect::redis(15),
    Dialect::valkey(80),
];

/// Without the checksum, which would stop every change at the end; keys may come twice, so that parts of files go together.
const DEEP: Options = Options {
    checksum: false,
    duplicate_keys: false,
    ..Options::deep()
};
const SHALLOW: Options = Options {
    checksum: false,
    ..Options::shallow()
};

/// A file from an input: the first byte names the dialect, or that a header of its own follows.
pub fn file(steps: &mut Steps<'_>) -> Vec<u8> {
    match DIALECTS.get(usize::from(steps.byte())) {
        Some(dialect) => [&dialect.magic()[..], steps.rest()].concat(),
        None => steps.rest().to_vec(),
    }
}

/// Reads on behind all damage: forward always, within the file, and with nothing to tell of a file that is sound.
fn examined(file: &[u8], is_sound: bool) {
    let options = Options {
        trailing: false,
        ..DEEP
    };
    let Ok(mut reader) = SliceReader::from_slice(file, options) else {
        return;
    };
    let (mut found, mut at, len) = (Vec::new(), 0, file.len() as u64);
    loop {
        match reader.examine(&mut found) {
            Ok(Some(passed)) => {
                assert!(at <= passed.offset && passed.offset <= passed.end && passed.end <= len);
                at = passed.end;
            }
            Ok(None) => break,
            Err(error) => {
                found.push(error);
                let from = reader.offset();
                let asked = Resync {
                    beyond: 0,
                    text_key: false,
                    db: None,
                    hints: false,
                    beginnings: None,
                };
                let Some(next) = reader.resync(from + 1..len, asked) else {
                    break;
                };
                assert!(from < next && next < len);
                reader.go_to(next, 0);
                at = next;
            }
        }
    }
    assert!(
        found
            .iter()
            .all(|error| error.offset <= len && !error.what.is_empty())
    );
    assert!(!is_sound || found.is_empty(), "{found:?}");
}

/// Reads a file in every way.
pub fn read(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let piece = 1 + steps.below(256);
    let file = file(&mut steps);
    let spans = spans(&file);
    let shallow = SliceReader::from_slice(&file, SHALLOW).and_then(|mut r| events(&mut r, false));
    let deep = SliceReader::from_slice(&file, DEEP).and_then(|mut r| events(&mut r, true));
    let verified = SliceReader::from_slice(&file, DEEP).and_then(|mut r| verify(&mut r));
    let streamed = StreamReader::from_read(Chopped::new(&file, piece), DEEP)
        .and_then(|mut r| events(&mut r, true));
    let errors = [
        spans.as_ref().err(),
        shallow.as_ref().err(),
        deep.as_ref().err(),
        verified.as_ref().err(),
    ];
    examined(&file, verified.is_ok());
    for error in errors.into_iter().flatten() {
        let inside = error.offset <= file.len() as u64;
        assert!(inside && !error.what.is_empty(), "{error}");
    }
    assert_eq!(
        deep.as_ref().err(),
        verified.as_ref().err(),
        "reading and verifying find the same damage"
    );
    if deep.is_ok() {
        assert!(shallow.is_ok() && spans.is_ok(), "{shallow:?} {spans:?}");
    }
    match (&deep, &streamed) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        // A slice knows how many bytes remain and looks behind the damage for its cause, so the findings may differ.
        (Err(_), Err(_)) => {}
        (a, b) => panic!("{a:?} from the slice, {b:?} from the stream"),
    }
}

/// The spans of a file lie side by side; that of the end begins behind its opcode and what stands
/// before that.
fn spans(file: &[u8]) -> Result<u64> {
    let mut reader = SliceReader::from_slice(file, SHALLOW)?;
    let mut end = 9;
    while let Some(span) = reader.next_raw()? {
        let is_end = span.kind == RawKind::Opcode(0xff);
        assert!(
            span.offset == end || is_end && span.offset > end,
            "records leave no gap"
        );
        end = span.offset + span.bytes.len() as u64;
    }
    Ok(end)
}

/// Every event as text, with its place. Values are walked to their last element; one that was checked before must be sound.
fn events<S: Source>(reader: &mut Reader<S>, checked: bool) -> Result<Vec<String>> {
    let mut all = Vec::new();
    while let Some(found) = reader.next()? {
        let text = match &found.event {
            Event::Record(record) => {
                let value = describe::value(&record.value, 5);
                assert!(value.is_ok() || !checked, "passed the check, but {value:?}");
                let count = record.value.count();
                assert!(count.is_ok() || !checked, "passed the check, but {count:?}");
                format!(
                    "{} {:?} {} {value:?}",
                    record.db, record.head, record.type_byte
                )
            }
            Event::Aux { name, value } => format!("{:?} {:?}", name.to_vec(), value.to_vec()),
            Event::Function(code) => format!("{:?}", code.to_vec()),
            Event::ModuleAux(aux) => format!("{} {}", aux.when, aux.module.id),
            other => format!("{other:?}"),
        };
        all.push(format!("{}..{} {text}", found.offset, found.end));
    }
    Ok(all)
}

/// A value and its key, for a comparison of two files.
type Line = (u64, Vec<u8>, String, String);

/// Writes a sound file to another dialect and reads it again.
pub fn rewrite(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let target = DIALECTS[steps.below(DIALECTS.len())];
    let (compress, lossy) = (steps.flip(), steps.flip());
    let options = WriteOptions {
        compress,
        drop_parts: lossy,
        expiring_fields: lossy.then_some(ExpiringFields::Keep {
            now_ms: 1_700_000_000_000,
        }),
        ..WriteOptions::new(target)
    };
    let file = file(&mut steps);
    let Ok(dialect) = SliceReader::from_slice(&file, DEEP).map(|reader| reader.dialect()) else {
        return;
    };
    let form = dialect.stream_form().min(target.stream_form());
    let Ok(written) = convert(&file, options, form) else {
        return;
    };
    let Some((written, expected)) = written else {
        return assert!(!target.is_writable());
    };
    let found =
        lines(&written, form).unwrap_or_else(|error| panic!("{dialect} to {target}: {error}"));
    assert_eq!(found.len(), expected.len(), "{dialect} to {target}");
    for (found, (expected, whole)) in found.iter().zip(&expected) {
        assert_eq!(
            (found.0, &found.1, &found.2),
            (expected.0, &expected.1, &expected.2)
        );
        assert!(
            !whole || found.3 == expected.3,
            "{dialect} to {target}: {expected:?} became {found:?}"
        );
    }
}

/// The file in the target's dialect, and what is expected to be in it: lines, and whether all of the value is kept.
#[allow(clippy::type_complexity)] // a pair of a file and what stands in it, used once
fn convert(
    file: &[u8],
    options: WriteOptions,
    form: u8,
) -> std::result::Result<Option<(Vec<u8>, Vec<(Line, bool)>)>, Box<FormatError>> {
    let mut reader = SliceReader::from_slice(file, DEEP)?;
    let mut writer = match Writer::new(Vec::new(), options) {
        Ok(writer) => writer,
        Err(WriteError::Dialect(_)) => return Ok(None),
        Err(error) => panic!("{error}"),
    };
    let mut expected = Vec::new();
    while let Some(found) = reader.next()? {
        match (writer.event(&found.event), &found.event) {
            (Ok(written), Event::Record(record)) => {
                expected.push((
                    line(record, form, options.dialect)?,
                    written == cairn_format::rdb::Written::Whole,
                ));
            }
            (Ok(_), _) => {}
            (Err(WriteError::Unsupported(_)), _) => {}
            (Err(error), _) => panic!("a sound file cannot be written: {error}"),
        }
    }
    Ok(Some((
        writer.finish().expect("a vector takes every byte"),
        expected,
    )))
}

/// `target` is the version that the record is, or is to be, written in: before 3 expiries have full seconds.
fn line(record: &cairn_format::rdb::Record<'_>, form: u8, target: Dialect) -> Result<Line> {
    let seconds = |ms: i64| (ms.max(0).saturating_add(999) / 1000).saturating_mul(1000);
    let expiry = record.head.expire_ms;
    let attributes = match target.has_ms_expiry() {
        true => format!("{expiry:?}"),
        false => format!("{:?}", expiry.map(seconds)),
    };
    Ok((
        record.db,
        record.head.key.to_vec(),
        attributes,
        describe::value(&record.value, form)?,
    ))
}

fn lines(file: &[u8], form: u8) -> Result<Vec<Line>> {
    let mut reader = SliceReader::from_slice(file, DEEP)?;
    let (dialect, mut all) = (reader.dialect(), Vec::new());
    while let Some(found) = reader.next()? {
        if let Event::Record(record) = &found.event {
            all.push(line(record, form, dialect)?);
        }
    }
    Ok(all)
}
