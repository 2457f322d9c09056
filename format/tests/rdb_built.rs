//! What no server at hand writes, put together by hand after its description: forerunners of field expiry, key
//! metadata, slot imports, streams with nacked entries, arrays, hashes on templates, and what is refused because nobody documented it.

mod rdb_support;

use cairn_format::error::Damage;
use cairn_format::rdb::object::ArrayItem;
use cairn_format::rdb::reader::RawKind;
use cairn_format::rdb::{
    Dialect, Event, Object, Options, SliceReader, StreamReader, WriteError, WriteOptions, Writer,
};
use rdb_support::*;
use serde_json::json;

/// A file of a dialect around some records, with its checksum switched off.
fn file(dialect: Dialect, records: &[&[u8]]) -> Vec<u8> {
    [&dialect.magic()[..], &records.concat(), &[0xff], &[0; 8]].concat()
}

fn first_line(bytes: &[u8]) -> serde_json::Value {
    read_all(&mut SliceReader::from_slice(bytes, Options::deep()).unwrap())
        .unwrap()
        .remove(0)
}

#[test]
fn early_forms_of_field_expiry() {
    // Type 22 of Redis: count, then absolute time, field, value.
    let full = file(
        Dialect::redis(12),
        &[b"\x16\x01k\x02\x80\x49\x96\x02\xd2\x01f\x01v\x00\x01g\x01w"],
    );
    let line = first_line(&full);
    assert_eq!(line["field_expire_ms"], json!([1_234_567_890, null]));
    assert_eq!(
        line["value"],
        json!([[b64(b"f"), b64(b"v")], [b64(b"g"), b64(b"w")]])
    );
    // Type 23: a listpack of triples without the lowest time before it.
    let packed = file(
        Dialect::redis(12),
        &[b"\x17\x01k\x0f\x0f\x00\x00\x00\x03\x00\x81f\x02\x81v\x02\x07\x01\xff"],
    );
    let line = first_line(&packed);
    assert_eq!(
        (&line["field_expire_ms"], &line["value"]),
        (&json!([7]), &json!([[b64(b"f"), b64(b"v")]]))
    );
    // The number is a different type in Valkey, and the bytes do not fit it.
    let valkey = file(
        Dialect::valkey(80),
        &[b"\x16\x01k\x02\x80\x49\x96\x02\xd2\x01f\x01v\x00\x01g\x01w"],
    );
    assert!(read_all(&mut SliceReader::from_slice(&valkey, Options::deep()).unwrap()).is_err());
}

#[test]
fn key_metadata_stays_with_its_key() {
    let meta = b"\x01cls1\x02\x07\x00";
    let bytes = file(Dialect::redis(13), &[b"\xf3", meta, b"\x00\x01k\x01v"]);
    let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
    let mut writer = Writer::new(
        Vec::new(),
        WriteOptions {
            checksum: false,
            ..WriteOptions::new(Dialect::redis(13))
        },
    )
    .unwrap();
    let mut older = Writer::new(
        Vec::new(),
        WriteOptions {
            checksum: false,
            ..WriteOptions::new(Dialect::redis(12))
        },
    )
    .unwrap();
    while let Some(found) = reader.next().unwrap() {
        if let Event::Record(record) = &found.event {
            assert_eq!(record.head.meta, Some(&meta[..]));
        }
        writer.event(&found.event).unwrap();
        older.event(&found.event).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), bytes);
    assert_eq!(
        older.finish().unwrap(),
        file(Dialect::redis(12), &[b"\x00\x01k\x01v"])
    );
}

#[test]
fn slot_imports_of_valkey() {
    let bytes = file(
        Dialect::valkey(80),
        &[b"\xf3\x03job\x02\x00\x05\x0a\x40\x64", b"\x00\x01k\x01v"],
    );
    let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
    let found = reader.next().unwrap().unwrap();
    let Event::SlotImport(import) = &found.event else {
        panic!("{found:?}");
    };
    assert_eq!(
        (import.job.to_vec(), &import.ranges),
        (b"job".to_vec(), &vec![(0, 5), (10, 100)])
    );
    let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::redis(12))).unwrap();
    assert!(matches!(
        writer.event(&found.event),
        Err(WriteError::Unsupported(_))
    ));
}

/// After the description alone: no server at hand writes them.
#[test]
fn commands_between_the_keys_of_valkey_81() {
    let command = b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n";
    let inline = [b"\xf2", &command[..]].concat();
    let bytes = file(
        Dialect::valkey(81),
        &[b"\x00\x01k\x01v", &inline, b"\x00\x01l\x01v"],
    );
    let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
    let mut stream = StreamReader::from_read(&bytes[..], Options::deep()).unwrap();
    let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::valkey(81))).unwrap();
    let mut older = Writer::new(Vec::new(), WriteOptions::new(Dialect::valkey(80))).unwrap();
    let mut commands = 0;
    while let Some(found) = reader.next().unwrap() {
        let piped = stream.next().unwrap().unwrap();
        assert_eq!(piped.end, found.end);
        if let Event::Command(raw) = &found.event {
            assert_eq!(raw, command);
            commands += 1;
            assert!(matches!(
                older.event(&found.event),
                Err(WriteError::Unsupported(_))
            ));
        }
        writer.event(&found.event).unwrap();
    }
    assert_eq!(commands, 1);
    // The file that was read has no checksum.
    let body = bytes.len() - 8;
    assert_eq!(writer.finish().unwrap()[..body], bytes[..body]);
    for bad in [
        &b"\xf2*0\r\n"[..],
        b"\xf2*1\r\n$3\r\nDELxx",
        b"\xf2*1\r\n$99\r\nDEL\r\n",
        b"\xf2*99999999999\r\n",
        b"\xf2*1\r\n+OK\r\n",
        b"\xf2PING\r\n",
    ] {
        let bytes = file(Dialect::valkey(81), &[bad]);
        let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
        assert!(reader.next().is_err(), "{}", bad.escape_ascii());
    }
    let bytes = file(Dialect::valkey(80), &[&inline]);
    let error = SliceReader::from_slice(&bytes, Options::deep())
        .unwrap()
        .next()
        .unwrap_err();
    assert!(error.what.contains("an inline command"), "{error}");
}

/// An empty stream of form 5 with a group, one pending entry and its owner or none.
fn nacked_stream(owned: bool) -> Vec<u8> {
    let id = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut value = vec![
        27, 1, b'k', 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, b'g', 1, 0, 1, 1,
    ];
    value.extend_from_slice(&id);
    value.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0, 3]);
    value.extend_from_slice(&[1, 1, b'c']);
    value.extend_from_slice(&[0; 16]);
    for part in [owned, !owned] {
        value.push(u8::from(part));
        value.extend_from_slice(if part { &id } else { &[] });
    }
    // No producers: duration, limit, none, added, duplicates.
    value.extend_from_slice(&[1, 1, 0, 0, 0]);
    file(Dialect::redis(14), &[&value])
}

#[test]
fn streams_with_entries_without_an_owner() {
    for owned in [true, false] {
        let bytes = nacked_stream(owned);
        let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
        let found = reader.next().unwrap().unwrap();
        let Event::Record(record) = &found.event else {
            panic!("{found:?}");
        };
        let Object::Stream(stream) = &record.value else {
            panic!("{record:?}");
        };
        let group = &stream.groups[0];
        assert_eq!(
            (
                group.pending.len(),
                group.consumers[0].pending.len(),
                group.nacked.len()
            ),
            (1, usize::from(owned), usize::from(!owned))
        );
        // No form that can be written has such entries.
        let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::redis(13))).unwrap();
        assert_eq!(writer.event(&found.event).is_ok(), owned);
    }
}

#[test]
fn arrays() {
    let bytes = file(Dialect::redis(14), &[b"\x1c\x01k\x03\x01\x09\x00\x00\x01a\x04\x01\xff\xff\xff\xff\xff\xff\xff\xff\x08\x02\x00\x00\x00\x00\x00\x00\xf8\x3f"]);
    let mut reader = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
    let found = reader.next().unwrap().unwrap();
    let Event::Record(record) = &found.event else {
        panic!("{found:?}");
    };
    let Object::Array(array) = &record.value else {
        panic!("{record:?}");
    };
    assert_eq!(array.insert_index, Some(9));
    let items: Vec<_> = array.items().map(|item| item.unwrap()).collect();
    assert_eq!(
        items,
        [
            (0, ArrayItem::String(b"a"[..].into())),
            (4, ArrayItem::Int(-1)),
            (8, ArrayItem::Double(1.5))
        ]
    );
    let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::redis(13))).unwrap();
    assert!(matches!(
        writer.event(&found.event),
        Err(WriteError::Unsupported(_))
    ));
}

#[test]
fn the_undocumented_is_refused_by_name() {
    let cases: [(Dialect, &[u8], Damage, &str); 4] = [
        (
            Dialect::redis(15),
            b"\x21\x01k\x00",
            Damage::Type,
            "rate limiter",
        ),
        (
            Dialect::valkey(81),
            b"\x17\x01k\x00",
            Damage::Type,
            "path hash",
        ),
        (
            Dialect::valkey(80),
            b"\x17\x01k\x00",
            Damage::Type,
            "path hash",
        ),
        (
            Dialect::valkey(80),
            b"\xf2\x01",
            Damage::Opcode,
            "inline command",
        ),
    ];
    for (dialect, record, kind, word) in cases {
        let bytes = file(dialect, &[record]);
        let error =
            read_all(&mut SliceReader::from_slice(&bytes, Options::deep()).unwrap()).unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, 9), "{error}");
        assert!(error.what.contains(word), "{error}");
    }
}

#[test]
fn a_type_of_a_later_version_is_read_by_its_number_and_odd() {
    for (version, record) in [
        (10, &b"\x14\x01k\x00"[..]),
        (12, b"\x1a\x01k\x00"),
        (6, b"\x0e\x01k\x00"),
    ] {
        let bytes = file(Dialect::redis(version), &[record]);
        let first = |options| {
            let mut reader = SliceReader::from_slice(&bytes, options).unwrap();
            reader.next().map(|_| ()).map_err(|error| error.kind)
        };
        assert_eq!(first(Options::deep()), Err(Damage::Type), "{version}");
        assert_ne!(first(Options::shallow()), Err(Damage::Type), "{version}");
        assert_ne!(first(Options::sound()), Err(Damage::Type), "{version}");
    }
}

#[test]
fn spans_can_be_copied_to_the_same_dialect() {
    let bytes = std::fs::read(testdata().join("rdb/redis-7.2.4/small-nochecksum.rdb")).unwrap();
    let mut reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
    let mut copy = reader.dialect().magic().to_vec();
    while let Some(record) = reader.next_raw().unwrap() {
        if record.kind == RawKind::Opcode(0xff) {
            copy.push(0xff);
        }
        copy.extend_from_slice(record.bytes);
    }
    assert_eq!(copy, bytes);
}

/// A listpack of small texts and numbers.
fn pack(entries: &[&[u8]]) -> Vec<u8> {
    let mut pack = cairn_format::encoding::listpack::empty();
    for entry in entries {
        cairn_format::encoding::listpack::push_back(&mut pack, entry);
    }
    [&[pack.len() as u8][..], &pack].concat()
}

/// A file of version 15 as it is documented, with a hash on a template in each form.
fn on_templates() -> Vec<u8> {
    let names = pack(&[b"a", b"17", b"name"]);
    let values = pack(&[b"7", b"x", b"2", b"bob"]);
    [
        &b"REDIS0015\xfe\x00"[..],
        // Template 7: a, 17, name.
        b"\xf2\x07\x03\x01a\xc0\x11\x04name",
        b"\x1e\x02by",
        &values,
        b"\x20\x05plain\x07\x01x\xc0\x02\x03bob",
        b"\x1d\x03own\x00",
        &names,
        &values,
        b"\x1d\x04own1\x01\x03\x01a\xc0\x11\x04name",
        &values,
        b"\x1f\x04full\x00",
        &names,
        b"\x01x\xc0\x02\x03bob",
        b"\x1f\x05full1\x01\x03\x01a\xc0\x11\x04name\x01x\xc0\x02\x03bob",
        b"\xff\0\0\0\0\0\0\0\0",
    ]
    .concat()
}

#[test]
fn hashes_on_templates_have_their_names() {
    let file = on_templates();
    let fields = |source: &mut dyn FnMut() -> Option<Vec<(String, String)>>| {
        let mut all = Vec::new();
        while let Some(fields) = source() {
            all.push(fields);
        }
        all
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let expected = vec![
        ("a".to_owned(), "x".to_owned()),
        ("17".to_owned(), "2".to_owned()),
        ("name".to_owned(), "bob".to_owned()),
    ];
    let mut slice = SliceReader::from_slice(&file, Options::deep()).unwrap();
    let mut stream = StreamReader::from_read(&file[..], Options::deep()).unwrap();
    let of = |event: &Event<'_>| match event {
        Event::Record(record) => match &record.value {
            Object::Hash(hash) => {
                let pairs = hash.pairs().map(|pair| pair.unwrap());
                Some(
                    pairs
                        .map(|(name, value)| (text(name.to_vec()), text(value.to_vec())))
                        .collect(),
                )
            }
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    let mut from_slice = || loop {
        match slice.next().unwrap() {
            None => return None,
            Some(found) => match of(&found.event) {
                Some(fields) => return Some(fields),
                None => continue,
            },
        }
    };
    assert_eq!(fields(&mut from_slice), vec![expected.clone(); 6]);
    let mut from_stream = || loop {
        match stream.next().unwrap() {
            None => return None,
            Some(found) => match of(&found.event) {
                Some(fields) => return Some(fields),
                None => continue,
            },
        }
    };
    assert_eq!(fields(&mut from_stream), vec![expected; 6]);
}

#[test]
fn templates_that_are_wrong_are_named() {
    let whole = |records: &[u8]| {
        let end = b"\xff\0\0\0\0\0\0\0\0";
        [b"REDIS0015\xfe\x00", records, end].concat()
    };
    let template = &b"\xf2\x07\x02\x01a\x01b"[..];
    let short = [template, b"\x1e\x01k", &pack(&[b"7", b"x"])].concat();
    for (records, told) in [
        (
            &b"\x20\x01k\x07\x01x"[..],
            "template 7 was not defined before",
        ),
        (
            &[b"\x1e\x01k", &pack(&[b"9", b"x"])[..]].concat(),
            "template 9 was not defined before",
        ),
        (
            &[template, template].concat(),
            "template 7 is defined twice",
        ),
        (b"\xf2\x07\x00", "template 7 has no fields"),
        (&short, "1 values for 2 names"),
        (
            b"\x1f\x01k\x02\x01a",
            "names of fields in the unknown form 2",
        ),
        (
            &[template, b"\x1e\x01k", &pack(&[b"x"])].concat(),
            "a template that is no number",
        ),
    ] {
        let file = whole(records);
        let mut reader = SliceReader::from_slice(&file, Options::deep()).unwrap();
        let error = loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{told}: it is taken"),
                Err(error) => break error,
            }
        };
        assert!(error.what.contains(told), "{told}: {error}");
    }
    // Before version 15 there is no such opcode.
    let mut file = on_templates();
    file[8] = b'4';
    let mut reader = SliceReader::from_slice(&file, Options::deep()).unwrap();
    reader.next().unwrap();
    assert!(reader.next().is_err());
}
