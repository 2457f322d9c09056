//! Every combination of the files of a folder that may be missing, whole, empty or foreign: does the server start, with
//! which keys, and what happens to the files? Ours and the reference, side by side, in `subsets.txt`.
//!
//! ```text
//!   on  Mw Bw I- D- O- T- H- | starts b, new incr.1, manifest changed | starts b, ... |
//!   |   |  |                   ours                                     7.0.15          why they differ
//!   |   M manifest  B base  I increment  D dump.rdb  O single file of old  T manifest under its temporary name  H history
//!   appendonly        - missing  w whole  e empty  f foreign
//! ```
//!
//! Each file that is whole holds one key with its letter. What ours does is checked against the table and against the one
//! rule that must hold whatever the table says: **a start changes no byte of data that it did not load**.
//!
//! The table is written anew with `CAIRN_WRITE_SUBSETS=1 cargo test -p cairn-server --test start subsets`; then read it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::process::Program;
use crate::support::{Folder, Setup, wait_until};

const PREFIX: &str = "appendonlydir/appendonly.aof";

/// State of each file, and whether the log is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    on: bool,
    states: [char; 7],
}

/// Letters of the files, in the order of `Case::states`.
const LETTERS: [char; 7] = ['M', 'B', 'I', 'D', 'O', 'T', 'H'];

impl Case {
    fn of(on: bool, states: &str) -> Case {
        let mut all = states.chars();
        Case {
            on,
            states: std::array::from_fn(|_| all.next().unwrap_or('-')),
        }
    }

    fn name(&self) -> String {
        let mut name = String::from(if self.on { "on " } else { "off" });
        for (letter, state) in LETTERS.iter().zip(self.states) {
            write!(name, " {letter}{state}").unwrap();
        }
        name
    }

    fn lay_out(&self, data: &Path) {
        fs::create_dir_all(data.join("appendonlydir")).unwrap();
        for (letter, state) in LETTERS.iter().zip(self.states) {
            let bytes = match state {
                '-' => continue,
                'w' => whole(*letter, self.states[6] == 'w'),
                'e' => Vec::new(),
                _ => b"someone else's bytes\n".to_vec(),
            };
            fs::write(data.join(path(*letter)), bytes).unwrap();
        }
    }
}

fn path(letter: char) -> PathBuf {
    match letter {
        'M' => format!("{PREFIX}.manifest"),
        'B' => format!("{PREFIX}.1.base.rdb"),
        'I' => format!("{PREFIX}.1.incr.aof"),
        'D' => "dump.rdb".into(),
        'O' => "appendonly.aof".into(),
        'T' => "appendonlydir/temp-appendonly.aof.manifest".into(),
        _ => format!("{PREFIX}.7.incr.aof"),
    }
    .into()
}

fn whole(letter: char, history: bool) -> Vec<u8> {
    let key = letter.to_ascii_lowercase();
    let mut manifest = String::from("file appendonly.aof.1.base.rdb seq 1 type b\n");
    if history {
        manifest.push_str("file appendonly.aof.7.incr.aof seq 7 type h\n");
    }
    manifest.push_str("file appendonly.aof.1.incr.aof seq 1 type i\n");
    match letter {
        'M' | 'T' => manifest.into_bytes(),
        // No expiry, no checksum.
        'B' | 'D' => [
            b"REDIS0009\xfe\x00\x00\x01".as_slice(),
            &[key as u8],
            b"\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        ]
        .concat(),
        _ => format!(
            "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\n{key}\r\n$1\r\nv\r\n"
        )
        .into_bytes(),
    }
}

fn cases() -> Vec<Case> {
    const ALL: [char; 4] = ['-', 'w', 'e', 'f'];
    let mut cases = Vec::new();
    let mut add = |on: bool, states: String| {
        let case = Case::of(on, &states);
        if !cases.contains(&case) {
            cases.push(case);
        }
    };
    for m in ALL {
        for b in ALL {
            for i in ALL {
                for d in ['-', 'w'] {
                    add(true, format!("{m}{b}{i}{d}"));
                }
            }
        }
    }
    for o in ['w', 'e', 'f'] {
        for parts in ["---", "w--", "-w-", "--w", "-ww", "www", "ww-"] {
            for d in ['-', 'w'] {
                add(true, format!("{parts}{d}{o}"));
            }
        }
    }
    for t in ['w', 'e', 'f'] {
        for parts in ["---", "-w-", "--w", "-ww", "-we", "--e", "www"] {
            add(true, format!("{parts}--{t}"));
        }
    }
    for h in ['-', 'w'] {
        add(true, format!("www---{h}"));
        add(true, format!("-ww---{h}"));
        add(true, format!("------{h}"));
    }
    for d in ALL {
        add(true, format!("---{d}"));
        for parts in ["---", "www", "-ww", "fff"] {
            add(false, format!("{parts}{d}"));
        }
    }
    cases.sort();
    cases
}

/// All files of a folder with their bytes.
fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [data.to_path_buf(), data.join("appendonlydir")] {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path
                    .strip_prefix(data)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// `appendonlydir/appendonly.aof.1.incr.aof` as `1.incr.aof`.
fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(name)
}

/// The outcome of one start, and what breaks the rule.
fn outcome(program: Program, case: &Case) -> (String, Vec<String>) {
    let folder = Folder::new();
    case.lay_out(&folder.data());
    let before = files(&folder.data());
    let options = if case.on { "--appendonly yes" } else { "" };
    let setup = Setup::new(program, &folder).with(options);
    let mut server = setup.launch();
    let mut told = String::new();
    let mut keys = Vec::new();
    if server.wait_ready() {
        let mut connection = server.connect();
        for key in ["b", "i", "d", "o", "h"] {
            if connection.int(&format!("EXISTS {key}")) == 1 {
                keys.push(key);
            }
        }
        told.push_str("starts");
        if keys.is_empty() {
            told.push_str(" empty");
        }
        for key in &keys {
            write!(told, " {key}").unwrap();
        }
    } else {
        told.push_str("refuses");
    }
    let started = told.starts_with("starts");
    let history = folder.data().join(path('H'));
    if started && case.on && case.states[0] == 'w' && case.states[6] == 'w' {
        wait_until("the history goes", || !history.exists());
    }
    server.kill();
    let after = files(&folder.data());
    let mut broken = Vec::new();
    for (name, bytes) in &before {
        let now = after.get(name);
        if now == Some(bytes) {
            continue;
        }
        let moved = after
            .iter()
            .any(|(other, now)| other != name && now == bytes);
        let fate = match now {
            None if moved => "moved",
            None => "gone",
            Some(_) => "changed",
        };
        write!(told, ", {} {fate}", short(name)).unwrap();
        let is_manifest = name.ends_with(".manifest");
        // What the manifest calls history was to go.
        let was_history = name.contains(".7.incr.") && case.states[0] == 'w';
        if !bytes.is_empty() && !moved && !(started && (is_manifest || was_history)) {
            broken.push(format!("{}: {name} is {fate}", case.name()));
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        if !before
            .values()
            .any(|bytes| *bytes == after[name] && !bytes.is_empty())
        {
            write!(told, ", new {}", short(name)).unwrap();
        }
    }
    (told, broken)
}

/// Runs all cases on a few threads.
fn outcomes(program: Program, cases: &[Case]) -> Vec<(String, Vec<String>)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![(String::new(), Vec::new()); cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let found = outcome(program, case);
                    results.lock().unwrap()[at] = found;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// Why ours differs from the reference, for a case in which it does.
fn reason(case: &Case, ours: &str, reference: &str) -> &'static str {
    if ours == reference {
        return "";
    }
    if !case.on && ours.starts_with("starts") && reference == "refuses" {
        return "the log is off, so its manifest is not read";
    }
    let [m, b, i, d, o, ..] = case.states;
    let nothing_listed = m == '-' || m == 'e' || m == 'f';
    let has_parts = [b, i, case.states[6]]
        .iter()
        .any(|state| matches!(state, 'w' | 'f'));
    if ours == "refuses" && nothing_listed && has_parts {
        "parts without manifest are somebody's data"
    } else if ours.starts_with("starts") && m == '-' && case.states[5] == 'w' {
        "a start that was cut off is finished"
    } else if m == '-' && o == '-' && d == 'w' && !has_parts {
        "snapshot before the first log"
    } else if m == '-' && o == '-' && matches!(d, 'e' | 'f') && ours == "refuses" {
        "the first base would be made from the snapshot, which is damaged"
    } else {
        "?"
    }
}

#[test]
fn subsets_of_the_files_of_a_folder_start_as_the_table_says() {
    let cases = cases();
    let ours = outcomes(Program::Cairn, &cases);
    let broken: Vec<&String> = ours.iter().flat_map(|(_, broken)| broken).collect();
    assert!(broken.is_empty(), "a start changed data: {broken:#?}");
    let reference = outcomes(Program::Reference, &cases);
    let mut table = String::from("# case | ours | 7.0.15 | why they differ; see subsets.rs\n");
    for ((case, (ours, _)), (reference, _)) in cases.iter().zip(&ours).zip(&reference) {
        let why = reason(case, ours, reference);
        let line = format!("{} | {ours} | {reference} | {why}", case.name());
        writeln!(table, "{}", line.trim_end()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/start/subsets.txt");
    if std::env::var_os("CAIRN_WRITE_SUBSETS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let unexplained: Vec<&str> = table.lines().filter(|line| line.ends_with("| ?")).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let kept = fs::read_to_string(&path).unwrap();
    for (kept, now) in kept.lines().zip(table.lines()) {
        assert_eq!(kept, now, "the table says something else");
    }
    assert_eq!(kept.lines().count(), table.lines().count());
}
