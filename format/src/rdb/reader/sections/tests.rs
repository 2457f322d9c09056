//! Sections give what a reader in one go gives: of every file of the corpus, sound or damaged, and of files that are damaged at every place.

use std::path::{Path, PathBuf};

use super::*;
use crate::rdb::{Head, WriteOptions, Writer};

/// Each event as text; the part of a section is its lines.
struct Telling {
    /// The work ends at this key.
    stop_at: Option<&'static [u8]>,
}

impl Work for Telling {
    type Part = Vec<String>;
    type Stop = String;

    fn begin(&self, _: Dialect) -> Vec<String> {
        Vec::new()
    }

    fn event(
        &self,
        part: &mut Vec<String>,
        located: &Located<'_>,
    ) -> std::result::Result<(), String> {
        if let Event::Record(record) = &located.event
            && self.stop_at == Some(record.head.key)
        {
            return Err("stopped".to_owned());
        }
        part.push(format!("{located:?}"));
        Ok(())
    }
}

/// All that is told of a file.
type Told = (Vec<String>, String);

fn told(bytes: &[u8], options: Options, plan: Plan, telling: &Telling) -> Told {
    let mut lines = Vec::new();
    let mut last = 0;
    let reached = read_in_sections(bytes, options, plan, telling, &mut |part, end| {
        assert!(end >= last, "in the order of the file");
        last = end;
        lines.extend(part);
        Ok(())
    });
    let reached = match reached {
        Err(error) => format!("{error:?}"),
        Ok(reached) => format!(
            "{:?} {:?} {} {} {:?}",
            reached.dialect, reached.checksum, reached.records, reached.end, reached.halt
        ),
    };
    (lines, reached)
}

/// What a reader in one go tells.
fn in_one_go(bytes: &[u8], options: Options, telling: &Telling) -> Told {
    let mut reader = match SliceReader::from_slice(bytes, options) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), format!("{error:?}")),
    };
    let dialect = reader.dialect();
    let (mut lines, mut end, mut records) = (Vec::new(), reader.offset(), 0);
    let mut sum = Checksum::None;
    let halt = loop {
        let located = match reader.next() {
            Ok(Some(located)) => located,
            Ok(None) => break None,
            Err(error) => break Some(Halt::Damage(error)),
        };
        if let Err(stop) = telling.event(&mut lines, &located) {
            break Some(Halt::Stopped(stop));
        }
        end = located.end;
        match located.event {
            Event::Record(_) => records += 1,
            Event::End(checksum) => sum = checksum,
            _ => {}
        }
    };
    let reached = format!("{dialect:?} {sum:?} {records} {end} {halt:?}");
    (lines, reached)
}

/// Sections that are as small as the files of the tests are.
fn plans() -> impl Iterator<Item = Plan> {
    let sections = [16, 40, 100, 1000, 20_000];
    sections.into_iter().map(|section| Plan {
        threads: 3,
        section,
    })
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false if path.extension().is_some_and(|end| end == "rdb") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn files_of_servers_and_damaged_ones_are_told_as_in_one_go() {
    let mut all = Vec::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    files(&data, &mut all);
    let telling = Telling { stop_at: None };
    let (mut sound, mut damaged) = (0, 0);
    for path in &all {
        let bytes = std::fs::read(path).unwrap();
        let wanted = in_one_go(&bytes, Options::deep(), &telling);
        match wanted.1.ends_with("None") {
            true => sound += 1,
            false => damaged += 1,
        }
        for plan in plans().filter(|plan| plan.section * 300 > bytes.len()) {
            let found = told(&bytes, Options::deep(), plan, &telling);
            assert_eq!(found, wanted, "{} {plan:?}", path.display());
            let verified =
                super::super::verify_in_sections(&bytes, Options::deep(), plan, &mut |_| {});
            let alone = SliceReader::from_slice(&bytes, Options::deep())
                .and_then(|mut reader| super::super::verify(&mut reader));
            let (verified, alone) = (verified.map(|sound| sound.checksum), alone);
            assert_eq!(format!("{verified:?}"), format!("{alone:?}"), "{plan:?}");
        }
    }
    assert!(
        sound > 50 && damaged > 50,
        "{sound} sound, {damaged} damaged"
    );
}

/// Keys with and without expiry and lists, in two databases.
fn many(keys: u32, twice: Option<u32>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::REDIS_7_2)).unwrap();
    for number in 0..keys {
        if number.is_multiple_of(keys / 2) {
            let db = u64::from(number / (keys / 2));
            writer.select_db(db).unwrap();
        }
        let number = match number == keys - 1 {
            true => twice.unwrap_or(number),
            false => number,
        };
        let key = format!("key:{number}");
        let head = Head {
            expire_ms: number.is_multiple_of(3).then_some(1_900_000_000_000),
            ..Head::new(key.as_bytes())
        };
        if number.is_multiple_of(5) {
            writer.begin_list(&head, 3).unwrap();
            for element in [&b"a"[..], b"bc", b"12345"] {
                writer.element(element).unwrap();
            }
        } else {
            writer.string(&head, b"some value").unwrap();
        }
    }
    writer.finish().unwrap()
}

#[test]
fn no_damage_and_no_key_that_is_there_twice_is_missed() {
    let telling = Telling { stop_at: None };
    let plan = Plan {
        threads: 2,
        section: 200,
    };
    let unsummed = Options {
        checksum: false,
        ..Options::deep()
    };
    for twice in [None, Some(199)] {
        let bytes = many(300, twice);
        let wanted = in_one_go(&bytes, Options::deep(), &telling);
        assert_eq!(wanted.1.contains("occurs twice"), twice.is_some());
        for plan in plans() {
            assert_eq!(told(&bytes, Options::deep(), plan, &telling), wanted);
        }
        if twice.is_some() {
            continue;
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            for options in [Options::deep(), unsummed] {
                let wanted = in_one_go(&damaged, options, &telling);
                let found = told(&damaged, options, plan, &telling);
                assert_eq!(found, wanted, "byte {at}");
            }
        }
    }
}

#[test]
fn work_that_stops_stops_at_the_same_place() {
    let bytes = many(300, None);
    for key in [&b"key:0"[..], b"key:77", b"key:150", b"key:299"] {
        let telling = Telling { stop_at: Some(key) };
        let wanted = in_one_go(&bytes, Options::sound(), &telling);
        assert!(wanted.1.contains("stopped"));
        for plan in plans() {
            assert_eq!(told(&bytes, Options::sound(), plan, &telling), wanted);
        }
    }
}

#[test]
fn most_sections_of_a_file_of_many_keys_are_read_as_they_were_guessed() {
    let bytes = many(3000, None);
    let mut parts = 0;
    let plan = Plan {
        threads: 2,
        section: 2000,
    };
    let telling = Telling { stop_at: None };
    let mut reading = Reading {
        reader: &mut SliceReader::from_slice(&bytes, Options::sound()).unwrap(),
        bytes: &bytes,
        plan,
        work: &telling,
        take: &mut |_, _| {
            parts += 1;
            Ok(())
        },
        end: 0,
        records: 0,
    };
    assert!(reading.one_section(plan.section).unwrap().is_none());
    let guessed = reading.guessed_sections().unwrap();
    assert!(guessed > 5, "{guessed} before the next database");
    assert!(parts > guessed);
}
