//! `aof-tool rewrite`: the same data from fewer commands, or nothing at all.

mod tool;

use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tool::{bad, golden, run, run_with_stdin};

#[test]
fn a_log_becomes_the_commands_that_make_its_data() {
    let run = run(&["rewrite", "--force", &bad("ok-base.aof"), "-o", "-"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stderr
            .ends_with("ok-base.aof: 3 commands became 2 keys\n"),
        "{run:?}"
    );
    let dump = run_with_stdin(&["dump", "-"], run.stdout.as_bytes());
    let commands = dump
        .stdout
        .lines()
        .map(|line| line.split_once('\t').unwrap().1);
    let mut commands: Vec<&str> = commands.collect();
    assert_eq!(commands.remove(0), "0\t\"SELECT\" \"0\"");
    commands.sort_unstable();
    assert_eq!(
        commands,
        [
            "0\t\"RPUSH\" \"l\" \"x\" \"y\" \"z\"",
            "0\t\"SET\" \"a\" \"1\""
        ]
    );
}

#[test]
fn the_same_log_gives_the_same_bytes_from_a_file_and_a_pipe() {
    let path = golden("redis-4.0.14/appendonly-rewritten.aof");
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let log = fs::read(&path).unwrap();
    assert_eq!(
        run(&["rewrite", "--force", &path, "-o", &out("file")]).code,
        0
    );
    assert_eq!(
        run_with_stdin(&["rewrite", "--force", "-", "-o", &out("pipe")], &log).code,
        0
    );
    assert_eq!(
        fs::read(out("file")).unwrap(),
        fs::read(out("pipe")).unwrap()
    );
}

#[test]
fn the_parts_of_a_folder_are_played_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.aof.manifest",
        "file a.aof.2.incr.aof seq 2 type i\nfile a.aof.1.base.aof seq 1 type b\n",
    );
    write(
        "a.aof.1.base.aof",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n",
    );
    write(
        "a.aof.2.incr.aof",
        "*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1\r\n2\r\n",
    );
    let run = run(&[
        "rewrite",
        "--force",
        folder.path().to_str().unwrap(),
        "-o",
        "-",
    ]);
    assert_eq!(
        run.stdout,
        "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n"
    );
}

#[test]
fn nothing_is_written_when_the_log_cannot_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (name, reason) in [
        (
            "aof-unknown-command.aof",
            "offset 93 (0x5d): command 4, NOSUCHCMD, is unknown here",
        ),
        (
            "aof-wrong-args.aof",
            "offset 93 (0x5d): command 4, SET, is refused: ERR wrong number",
        ),
        (
            "aof-select-bad.aof",
            "offset 93 (0x5d): command 4, SELECT, is refused: ERR DB index",
        ),
        (
            "aof-truncated-060.aof",
            "offset 50 (0x32): command: argument 1 of 5 claims 5 bytes",
        ),
        (
            "aof-multi-open.aof",
            "offset 93 (0x5d): the log ends at offset 162 inside a transaction",
        ),
        ("aof-zeros.aof", "offset 93 (0x5d): 4096 zero bytes"),
        ("manifest-two-bases", "offset 44 (0x2c): line 2"),
        ("manifest-missing-base", "no such file or directory"),
    ] {
        let run = run(&[
            "rewrite",
            "--force",
            &bad(name),
            "-o",
            out.to_str().unwrap(),
        ]);
        assert_eq!(run.code, 2, "{name}: {run:?}");
        assert!(run.stderr.contains(reason), "{name}: {run:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_refused_command_ends_the_work() {
    let run = run(&["rewrite", "--force", &bad("aof-wrongtype.aof"), "-o", "-"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    let told = "offset 93 (0x5d): command 4, INCR, is refused: WRONGTYPE ";
    assert!(run.stderr.contains(told), "{run:?}");
}

#[test]
fn what_changes_no_data_is_passed_over_and_told() {
    let run = run(&["rewrite", "--force", &bad("aof-exec-alone.aof"), "-o", "-"]);
    assert_eq!(run.code, 1, "{run:?}");
    let told = "offset 93 (0x5d): EXEC is passed over, outside of any transaction";
    assert!(run.stderr.contains(told), "{run:?}");
    assert!(run.stdout.starts_with("*2\r\n$6\r\nSELECT"));
}

#[test]
fn the_input_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::copy(bad("ok-base.aof"), &path).unwrap();
    let path = path.to_str().unwrap();
    let run = run(&["rewrite", "--force", path, "-o", path]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("same file as the input"), "{run:?}");
    assert_eq!(fs::read(path).unwrap().len(), 93);
}

/// Hash fields that expire have a place only in snapshots from 12 on: the tool takes the version that the data needs, as the
/// server does.
#[test]
fn a_log_with_field_expiry_becomes_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let mut log = Vec::new();
    for line in [
        "SELECT 0",
        "HSET h a 1 b 2",
        "HPEXPIREAT h 4000000000000 FIELDS 1 a",
        "SET k v",
    ] {
        write_command(&mut log, &line.split(' ').collect::<Vec<_>>());
    }
    fs::write(path("log"), &log).unwrap();
    let snapshot = |extra: &[&str]| {
        let (from, out) = (path("log"), path("out"));
        let words = [
            "rewrite", "--force", "--form", "snapshot", &from, "-o", &out,
        ];
        run(&[&words[..], extra].concat())
    };
    assert_eq!(snapshot(&[]).code, 0, "{:?}", snapshot(&[]));
    assert!(fs::read(path("out")).unwrap().starts_with(b"REDIS0012"));
    let back = run(&["rewrite", "--force", &path("out"), "-o", "-"]);
    assert!(back.stdout.contains("HPEXPIREAT"), "{back:?}");
    fs::remove_file(path("out")).unwrap();
    // One that cannot hold it is refused, in either form, with the key.
    let refused = snapshot(&["--to", "redis-7.2"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("key \"h\""), "{refused:?}");
    let refused = run(&[
        "rewrite",
        "--force",
        "--to",
        "redis-7.2",
        &path("log"),
        "-o",
        &path("out"),
    ]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains(
            "db 0, key \"h\": Redis 7.2 has no commands for hash fields that expire, which needs Redis 7.4 or Valkey 9.0"
        ),
        "{refused:?}"
    );
    assert!(!Path::new(&path("out")).exists());
    let without = snapshot(&["--to", "valkey-9.0"]);
    assert_eq!(without.code, 0, "{without:?}");
    assert!(fs::read(path("out")).unwrap().starts_with(b"VALKEY080"));
}

/// Of three pending entries two are not in the stream any more; the real server keeps all three, and so does the log.
#[test]
fn pending_entries_of_deleted_messages_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let mut log = Vec::new();
    for line in [
        "SELECT 0",
        "XADD jobs 1-0 f v",
        "XADD jobs 2-0 f v",
        "XADD jobs 3-0 f v",
        "XGROUP CREATE jobs grp 0",
        "XREADGROUP GROUP grp A COUNT 2 STREAMS jobs >",
        "XREADGROUP GROUP grp B STREAMS jobs >",
        "XDEL jobs 1-0 3-0",
    ] {
        write_command(&mut log, &line.split(' ').collect::<Vec<_>>());
    }
    fs::write(path("log"), &log).unwrap();
    for to in ["redis-8.0", "redis-7.0", "redis-6.2", "redis-5.0"] {
        let written = run(&[
            "rewrite",
            "--force",
            "--to",
            to,
            &path("log"),
            "-o",
            &path("out"),
        ]);
        assert_eq!(written.code, 0, "{written:?}");
        let server = Reference::start(Path::new(&path("out")));
        let summary = server.ask(&["XPENDING", "jobs", "grp"]);
        let owners = [["A", "2"], ["B", "1"]];
        let owners = owners.map(|pair| pair.map(|word| Value::Bulk(word.into())).to_vec());
        let wanted = vec![
            Value::Int(3),
            Value::Bulk("1-0".into()),
            Value::Bulk("3-0".into()),
            Value::Array(owners.map(Value::Array).to_vec()),
        ];
        assert_eq!(summary, Value::Array(wanted), "{to}");
        assert_eq!(server.ask(&["XLEN", "jobs"]), Value::Int(1), "{to}");
    }
}

/// A log of many commands over three databases, with expiry and both small and large values.
fn busy_log() -> Vec<u8> {
    let mut log = Vec::new();
    let mut add = |words: &str| write_command(&mut log, &words.split(' ').collect::<Vec<_>>());
    for i in 0..2000 {
        add(&format!("SELECT {}", i % 3));
        add(&format!("RPUSH list:{} element:{i} {i}", i % 7));
        add(&format!("HSET hash:{} field:{i} value:{i}", i % 5));
        add(&format!("ZADD zset:{} {}.25 member:{i}", i % 4, i * 3));
        add(&format!("SADD set:{} {i} member:{}", i % 6, i % 300));
        add(&format!("SADD numbers:{} {i}", i % 6));
        add(&format!("SET string:{i} {}", "v".repeat(i % 90)));
        add(&format!(
            "PEXPIREAT string:{} {}",
            i / 2,
            4_000_000_000_000i64 + i as i64
        ));
        add(&format!("INCRBY counter:{} {i}", i % 11));
        add(&format!("LPOP list:{}", i % 9));
        add(&format!("DEL string:{}", i / 3));
    }
    log
}

/// The reference server is what decides whether the data is the same. `scripts/test` installs it.
#[test]
fn the_reference_server_has_the_same_data_from_both_logs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    fs::write(path("busy.aof"), busy_log()).unwrap();
    fs::copy(
        golden("redis-4.0.14/appendonly-rewritten.aof"),
        path("golden.aof"),
    )
    .unwrap();
    for name in ["busy.aof", "golden.aof"] {
        let commands = run(&["rewrite", "--force", &path(name), "-o", &path("commands")]);
        assert_eq!(commands.code, 0, "{commands:?}");
        assert_eq!(run(&["check", &path("commands")]).code, 0);
        let snapshot = run(&[
            "rewrite",
            "--force",
            "--form",
            "snapshot",
            &path(name),
            "-o",
            &path("snapshot"),
        ]);
        assert_eq!(snapshot.code, 0, "{snapshot:?}");
        // The snapshot is of 7.2, which the reference does not read: go back to commands.
        let back = run(&["rewrite", "--force", &path("snapshot"), "-o", &path("back")]);
        assert_eq!(back.code, 0, "{back:?}");
        let expected = digest(Path::new(&path(name)));
        assert_eq!(expected.len(), 40, "{expected}");
        assert_ne!(expected, "0".repeat(40));
        assert_eq!(digest(Path::new(&path("commands"))), expected, "{name}");
        assert_eq!(digest(Path::new(&path("back"))), expected, "{name}");
    }
}

/// A reference server that has loaded a log.
struct Reference {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Reference {
    fn drop(&mut self) {
        // A server that has ended already is what this wants.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reference {
    fn start(log: &Path) -> Reference {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(log, folder.path().join("appendonly.aof")).unwrap();
        let words = "--port 0 --unixsocket socket --appendonly yes --enable-debug-command yes";
        let child = Command::new("redis-server")
            .args(words.split(' '))
            .args(["--save", ""])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the reference redis-server is needed; scripts/test installs it");
        let server = Reference { child, folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        // DEBUG is answered while loading, DBSIZE is not.
        while !matches!(ask(&server.socket(), &["DBSIZE"]), Some(Value::Int(_))) {
            assert!(
                Instant::now() < deadline,
                "the reference server does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    fn ask(&self, words: &[&str]) -> Value {
        ask(&self.socket(), words).expect("it has loaded")
    }
}

/// What DEBUG DIGEST of the reference server says after loading a log.
fn digest(log: &Path) -> String {
    let digest = Reference::start(log).ask(&["DEBUG", "DIGEST"]);
    String::from_utf8(digest.as_bytes().unwrap().to_vec()).unwrap()
}

/// One command and its reply; nothing while the server is starting or loading.
fn ask(socket: &Path, words: &[&str]) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let mut request = Vec::new();
    write_command(&mut request, words);
    stream.write_all(&request).ok()?;
    let (mut reply, mut scanner, mut piece) = (Vec::new(), ReplyScanner::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        reply.extend_from_slice(&piece[..n]);
        if let ReplyStep::Complete { .. } = scanner.next(&reply, 0).unwrap() {
            return Value::decode(&reply).ok().map(|(value, _)| value);
        }
    }
}

fn odd(name: &str) -> String {
    format!("{}/../testdata/odd/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_log_of_a_newer_server_is_not_rewritten_to_another_state() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.aof");
    let out = out.to_str().unwrap();
    for form in ["commands", "snapshot"] {
        let log = odd("newer-redis-8.6");
        let run = run(&["rewrite", "--force", &log, "--form", form, "-o", out]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        let place = "appendonly.aof.1.incr.aof: offset 94 (0x5e): command 4, xadd, is refused: ";
        assert!(run.stderr.contains(place), "{run:?}");
        assert!(run.stderr.contains("hint: nothing was written"), "{run:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// What newer servers log and the engine knows is run again: the condition holds as it did there.
#[test]
fn a_log_of_a_newer_server_is_rewritten_as_far_as_it_is_known() {
    let run = run(&["rewrite", "--force", &odd("newer-valkey-9.1"), "-o", "-"]);
    let set = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n";
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.ends_with(set), "{run:?}");
}

/// Options, subcommands and commands that came after 7.2, as servers log them. None may be taken for something that we know.
#[test]
fn what_newer_servers_log_and_we_do_not_know_is_refused_word_by_word() {
    let setup = [
        "SET k v",
        "XADD s 1-1 f v",
        "XGROUP CREATE s g 0",
        "HSET h f v",
        "SET b x",
    ];
    for newer in [
        "XADD s KEEPREF MAXLEN 10 2-1 f v",
        "XADD s DELREF 2-1 f v",
        "XADD s IDMP p i 2-1 f v",
        "XADD s IDMPAUTO p 2-1 f v",
        "XTRIM s MAXLEN 10 KEEPREF",
        "XCFGSET s IDMP-DURATION 5",
        "VADD vs VALUES 2 1 1 e",
        "HSETEX h NOSUCH FIELDS 1 f v",
        "CLUSTER NEWER",
    ] {
        let mut log = Vec::new();
        let words = |line: &'static str| line.split(' ').map(str::as_bytes).collect::<Vec<_>>();
        for line in setup {
            write_command(&mut log, &words(line));
        }
        let offset = log.len();
        write_command(&mut log, &words(newer));
        let run = run_with_stdin(&["rewrite", "--force", "-", "-o", "-"], &log);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{newer}: {run:?}");
        assert!(
            run.stderr.contains(&format!("offset {offset} (")),
            "{newer}: {run:?}"
        );
    }
}

#[test]
fn a_log_behind_a_snapshot_becomes_a_snapshot_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.rdb");
    let whole = whole.to_str().unwrap();
    let first = run(&[
        "rewrite",
        "--force",
        "--form",
        "snapshot",
        "-o",
        whole,
        &odd("preamble-log.aof"),
    ]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(
        first.stderr.ends_with(": 2 commands became 3 keys\n"),
        "{first:?}"
    );
    let check = run(&["check", whole]);
    assert!(
        check.stdout.contains("a snapshot of 3 keys and 0 commands"),
        "{check:?}"
    );
}

/// A log played in parts makes the same data, whatever flows from key to key.
#[test]
fn parts_behind_each_other_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut logs = tool::goldens();
    for seed in [5, 6] {
        let mut lines = tool::tangle(seed, 200);
        lines.extend((0..300).map(|i| format!("MSET k{i} {i} o{i} {i}")));
        lines.extend(
            [
                "DEL k1 k2 o3",
                "RENAME k4 o5",
                "SELECT 2",
                "SET k6 6",
                "SWAPDB 2 3",
            ]
            .map(str::to_owned),
        );
        let text: String = lines.iter().map(|line| tool::command(line)).collect();
        let log = path(&format!("log{seed}"));
        fs::write(&log, text).unwrap();
        logs.push(log);
    }
    let mut compared = 0;
    for log in logs {
        for form in ["commands", "snapshot"] {
            let words = ["rewrite", "--force", "--form", form, &log, "-o"];
            let whole = run(&[&words[..], &[&path("whole")]].concat());
            let parts = run(&[&words[..], &[&path("parts"), "--memory", "3kb"]].concat());
            if parts.stderr.contains("a script, may use any key") {
                continue;
            }
            assert_eq!(whole.code, parts.code, "{log}: {parts:?}");
            if whole.code > 1 {
                continue;
            }
            compared += 1;
            let same = run(&["diff", &path("whole"), &path("parts")]);
            assert_eq!(same.code, 0, "{log}: {same:?}");
            let keys = |run: &tool::Run| run.stderr.rsplit(" became ").next().unwrap().to_owned();
            assert_eq!(keys(&whole), keys(&parts), "{log}");
            let is_alone = parts.stderr.contains("played in 1 part");
            assert!(!log.contains("/log") || !is_alone, "{parts:?}");
        }
    }
    assert!(compared > 40, "{compared}");
    assert_eq!(
        run(&["rewrite", "--force", "--memory", "1gb", "-", "-o", "-"]).code,
        2
    );
}

/// The most memory that a rewrite of this log had, and what it said.
fn taken(log: &str, out: &str, more: &[&str]) -> (u64, String) {
    let words = [
        &["rewrite", "--force", "--form", "snapshot", log, "-o", out],
        more,
    ]
    .concat();
    let (run, taken) = tool::run_watched(&words);
    assert_eq!(run.code, 0, "{run:?}");
    (taken, run.stderr)
}

/// Short commands that make much: what is reckoned from their bytes is a hundredth of what they take. The limit is kept all the same, and a
/// key that is larger alone is told.
#[test]
fn a_limit_of_memory_is_kept_whatever_was_reckoned() {
    const LIMIT: u64 = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut lines: Vec<String> = (0..4000).map(|i| format!("SETBIT b{i} 160000 1")).collect();
    fs::write(
        path("log"),
        tool::log(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
    )
    .unwrap();
    let (whole, _) = taken(&path("log"), &path("whole"), &[]);
    let (parts, told) = taken(&path("log"), &path("parts"), &["--memory", "16mb"]);
    assert!(whole > 4 * LIMIT, "{whole}");
    assert!(parts < 3 * LIMIT, "{parts} of {whole}");
    assert!(
        told.contains("4,000 keys") && !told.contains("all the same"),
        "{told}"
    );
    assert_eq!(run(&["diff", &path("whole"), &path("parts")]).code, 0);
    lines.push(format!("SET large {}", "value".repeat(5 << 20)));
    lines.push("RENAME large other".to_owned());
    fs::write(
        path("log"),
        tool::log(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
    )
    .unwrap();
    let (_, told) = taken(&path("log"), &path("parts"), &["--memory", "16mb"]);
    let key = "key \"large\", with those that commands join with it, takes more than --memory";
    assert!(told.contains(key) && told.contains("4,001 keys"), "{told}");
    for form in ["commands", "snapshot"] {
        let words = [
            "restore",
            "--force",
            "--form",
            form,
            "--memory",
            "16mb",
            "--until",
            "command:4001",
        ];
        let restored = run(&[&words[..], &[&path("log"), "-o", &path(form)]].concat());
        assert_eq!(restored.code, 0, "{restored:?}");
        assert!(restored.stderr.contains("4,001 keys"), "{restored:?}");
    }
    assert_eq!(run(&["diff", &path("commands"), &path("snapshot")]).code, 0);
    let none = run(&[
        "restore",
        "--force",
        "--memory",
        "16mb",
        "--key",
        "nobody",
        &path("log"),
        "-o",
        &path("none"),
    ]);
    assert!(
        none.code == 2 && none.stderr.contains("no key that was asked for"),
        "{none:?}"
    );
    assert!(!Path::new(&path("none")).exists());
}

/// Keys of modules go round the engine as they are.
#[test]
fn keys_of_modules_are_kept_raw() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let base = fs::read(bad("module-key-unknown.rdb")).unwrap();
    let play = |lines: &[&str], words: &[&str]| {
        let log = [&base[..], tool::log(lines).as_bytes()].concat();
        fs::write(path("log"), log).unwrap();
        run(&[
            &["rewrite", "--force", &path("log"), "-o", &path("new")],
            words,
        ]
        .concat())
    };
    // What is in the new log: the key of the module, as RESTORE has it, and the expiry.
    let held = || {
        let lines = run(&["dump", "--bytes", "base64", "--json", &path("new")]).stdout;
        let all: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let restored: Vec<&serde_json::Value> = all
            .iter()
            .filter(|line| line["args"][0] == "UkVTVE9SRQ==")
            .collect();
        assert!(restored.len() < 2);
        restored.first().map(|line| {
            (
                line["db"].as_u64().unwrap(),
                line["args"][1].as_str().unwrap().to_owned(),
            )
        })
    };
    let (k, j) = ("aw==".to_owned(), "ag==".to_owned());
    for (lines, expected) in [
        (&["SET s 1"][..], Some((0, k.clone()))),
        (&["SELECT 1", "DEL k"], Some((0, k.clone()))),
        (&["DEL k", "SET s 1"], None),
        (&["RENAME k j"], Some((0, j.clone()))),
        (&["SET s 1", "RENAME s k"], None),
        (&["SWAPDB 0 3"], Some((3, k.clone()))),
        (&["FLUSHALL"], None),
        (&["SELECT 2", "FLUSHDB"], Some((0, k.clone()))),
        (&["SET k 1"], None),
        (&["PEXPIREAT k 4000000000000"], Some((0, k.clone()))),
    ] {
        for words in [&[][..], &["--memory", "1kb"]] {
            let written = play(lines, words);
            assert_eq!(written.code, 0, "{lines:?}: {written:?}");
            assert_eq!(held(), expected, "{lines:?} {words:?}");
            let whole = play(lines, &[words, &["--form", "snapshot"]].concat());
            assert_eq!(whole.code, 0, "{lines:?}: {whole:?}");
            let same = run(&["diff", &path("log"), &path("new")]);
            assert_eq!(same.code, 0, "{lines:?}: {same:?}");
        }
    }
    play(&["PEXPIREAT k 4000000000000"], &[]);
    let made = fs::read(path("new")).unwrap();
    assert!(made.windows(13).any(|part| part == b"4000000000000"));
    // What was written can be played again, and the keys are chosen as any other.
    fs::copy(path("new"), path("again")).unwrap();
    assert_eq!(run(&["diff", &path("log"), &path("again")]).code, 0);
    for (words, expected) in [(&["--type", "module"][..], 0), (&["--type", "list"], 2)] {
        let (again, new) = (path("again"), path("new"));
        let words = [&["restore", "--force", &again, "-o", &new], words].concat();
        assert_eq!(run(&words).code, expected, "{words:?}");
    }
    for (lines, told) in [
        (&["JSON.SET k $ 1"][..], "only its module can run that"),
        (&["JSON.SET other $ 1"], "is unknown here"),
        (&["COPY k j"], "COPY of key \"k\": only its module"),
        (&["APPEND k x"], "only its module can run that"),
    ] {
        let refused = play(lines, &[]);
        assert_eq!(refused.code, 2, "{lines:?}: {refused:?}");
        assert!(refused.stderr.contains(told), "{refused:?}");
    }
    let old = play(&["SET s 1"], &["--to", "redis-3.2"]);
    assert!(
        old.code == 2 && old.stderr.contains("which needs Redis 4.0"),
        "{old:?}"
    );
}
