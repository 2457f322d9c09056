//! There and back: lines of JSON, commands and logs made of a snapshot make the same data again, and bad lines are named by place.

mod common;

use common::real_server::RealServer;
use common::{all_golden, code, golden, names, run, run_piped, stderr, stdout};
use std::fs;
use std::path::Path;

fn words(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn ok(words: &[&str]) {
    let output = run(words);
    let told = format!("{words:?}: {}{}", stdout(&output), stderr(&output));
    assert_eq!(code(&output), 0, "{told}");
}

/// Equal, but for what modules keep outside the keys: it has no line and no command.
fn is_same(output: &std::process::Output) -> bool {
    let told = stdout(output);
    let named = told.lines().filter(|line| line.starts_with("  "));
    let is_module_data = |line: &str| line.starts_with("  data of the module type ");
    let mut others = named.filter(|line| !is_module_data(line));
    code(output) == 0 || (told.contains("different: 0 keys\n") && others.next().is_none())
}

#[test]
fn every_golden_snapshot_comes_back_from_lines() {
    let folder = tempfile::tempdir().unwrap();
    let [lines, back] = ["keys.jsonl", "back.rdb"].map(|name| words(&folder.path().join(name)));
    for from in all_golden() {
        let from = words(&from);
        for (bytes, form) in [("base64", "jsonl"), ("text", "jsonl-text")] {
            ok(&["dump", "--force", "--bytes", bytes, "-o", &lines, &from]);
            // Version 15 holds everything, modules that nobody knows included.
            let every = run(&["dump", "--from", form, &lines]);
            assert_eq!(code(&every), 0, "{from}: {}", stderr(&every));
            ok(&["diff", "--from", form, &lines, &lines]);
            let modules: Vec<String> = stdout(&every)
                .lines()
                .filter_map(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    Some(line.get("module_type")?.as_str()?.to_owned())
                })
                .flat_map(|name| ["--with-module".to_owned(), name])
                .collect();
            let mut convert = vec![
                "convert", "--force", "--to", "15", "--from", form, "-o", &back,
            ];
            convert.extend(modules.iter().map(String::as_str));
            convert.push(&lines);
            ok(&convert);
            let output = run(&["diff", &from, &back]);
            assert!(is_same(&output), "{from}: {}", stdout(&output));
        }
    }
}

/// Options that name every type of a module in a file, as one that the target has.
fn with_modules(file: &str) -> Vec<String> {
    let output = run(&["inspect", "--json", file]);
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let types = found["modules"].as_array().unwrap().iter();
    let names = types.map(|module| module["type"].as_str().unwrap().to_owned());
    names
        .flat_map(|name| ["--with-module".to_owned(), name])
        .collect()
}

/// Function libraries and values of modules, too, though our engine runs neither.
#[test]
fn every_golden_snapshot_comes_back_from_commands() {
    let folder = tempfile::tempdir().unwrap();
    let [log, dir, back] =
        ["log.aof", "logs", "back.rdb"].map(|name| words(&folder.path().join(name)));
    let mut modules_seen = 0;
    for from in all_golden() {
        let from = words(&from);
        let modules = with_modules(&from);
        modules_seen += modules.len() / 2;
        let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
        let convert = |options: &[&str], to: &str, out: &str, file: &str| {
            let begin = ["convert", "--force", "--to", to, "-o", out];
            ok(&[&begin[..], options, &[file]].concat());
        };
        // Attributes of idle time and the like are not compared, producers have no command.
        let drop = ["--on", "all=drop"];
        convert(&[&drop, &modules[..]].concat(), "resp", &log, &from);
        let from_log = [&["--from", "log"], &modules[..]].concat();
        convert(&from_log, "redis-8.6", &back, &log);
        let output = run(&["diff", &from, &back]);
        let told = stdout(&output);
        let has_producers = from.contains("redis-8.6.3/");
        let is_whole = is_same(&output) || told.contains("only in") && has_producers;
        assert!(is_whole, "{from}: {told}");
        // A folder is read by the engine, which refuses data of modules outside the keys.
        convert(&drop, "aof-folder:redis-7.4", &dir, &from);
        let output = run(&["diff", "--not-type", "module", &from, &dir]);
        let told = stdout(&output);
        assert!(is_same(&output) || has_producers, "{from}: {told}");
        fs::remove_dir_all(&dir).unwrap();
    }
    assert!(modules_seen > 1, "{modules_seen} types of modules");
}

#[test]
fn a_server_takes_the_folder_and_the_commands() {
    let from = words(&golden("redis-7.0.15/small-nocompress.rdb"));
    let folder = tempfile::tempdir().unwrap();
    let dir = words(&folder.path().join("appendonlydir"));
    let to = "aof-folder:redis-7.0";
    ok(&["convert", "--force", "--to", to, "-o", &dir, &from]);
    assert_eq!(
        names(Path::new(&dir)),
        [
            "appendonly.aof.1.base.rdb",
            "appendonly.aof.1.incr.aof",
            "appendonly.aof.manifest"
        ]
    );
    let server = RealServer::start(folder.path(), &["--appendonly", "yes"]);
    let url = format!("redis://127.0.0.1:{}", server.port);
    let alive = ["diff", "--scan", "--not-ttl", "expired"];
    ok(&[&alive[..], &[&from, &url]].concat());
    // A folder that is in use is not written into, and one that was refused is gone.
    let output = run(&["convert", "--force", "--to", to, "-o", &dir, &from]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("is there already, and not empty"));
    let other = words(&folder.path().join("other"));
    let newer = words(&golden("redis-8.6.3/all.rdb"));
    assert_eq!(
        code(&run(&[
            "convert", "--force", "--to", to, "-o", &other, &newer
        ])),
        2
    );
    assert!(!Path::new(&other).exists());
}

#[test]
fn a_table_has_the_columns_that_were_asked_for() {
    let lines = b"{\"db\":3,\"key\":\"a,\\\"b\\\"\",\"type\":\"list\",\"expire_ms\":17,\"value\":[\"x\",\"y\"],\"freq\":9}\n";
    let form = [
        "convert",
        "--force",
        "--from",
        "jsonl-text",
        "--to",
        "csv",
        "-o",
        "-",
    ];
    let output = run_piped(&[&form[..], &["-"]].concat(), lines);
    assert_eq!(
        stdout(&output),
        "db,key,type,encoding,expire_ms,bytes,elements\r\n3,\"a,\"\"b\"\"\",list,linkedlist,17,23,2\r\n",
        "{}",
        stderr(&output)
    );
    let columns = ["--columns", "slot,key_base64,freq,idle_s", "-"];
    let output = run_piped(&[&form[..], &columns].concat(), lines);
    assert_eq!(
        stdout(&output),
        "slot,key_base64,freq,idle_s\r\n2623,YSwiYiI=,9,\r\n"
    );
}

/// The complaint about lines of text form.
fn complaint(lines: &[u8]) -> String {
    let words = [
        "convert",
        "--force",
        "--dry-run",
        "--to",
        "11",
        "--from",
        "jsonl-text",
        "-",
    ];
    let output = run_piped(&words, lines);
    assert_eq!(code(&output), 2, "{}", String::from_utf8_lossy(lines));
    stderr(&output).lines().next().unwrap().to_owned()
}

/// With a search for each of them this would take minutes.
#[test]
fn a_group_with_many_pending_entries_is_read_in_one_go() {
    let ids = || (1..=60_000).map(|ms| format!("{ms}-0"));
    let join = |words: Vec<String>| words.join(",");
    let entries = join(
        ids()
            .map(|id| format!("[\"{id}\",[[\"f\",\"v\"]]]"))
            .collect(),
    );
    let pending = join(ids().map(|id| format!("[\"{id}\",\"a\",1,1]")).collect());
    let owned = join(ids().map(|id| format!("[\"{id}\"]")).collect());
    let line = format!(
        "{{\"db\":0,\"key\":\"x\",\"type\":\"stream\",\"value\":{{\"entries\":[{entries}],\"groups\":[{{\"name\":\"g\",\"last_id\":\"60000-0\",\"pel\":[{pending}],\"consumers\":[{{\"name\":\"a\",\"pel\":[{owned}]}}]}}]}}}}\n"
    );
    let words = ["inspect", "--json", "--from", "jsonl-text", "-"];
    let output = run_piped(&words, line.as_bytes());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn bad_lines_are_named_by_line_and_column() {
    let good = "{\"db\":0,\"key\":\"k\",\"type\":\"string\",\"value\":\"v\"}\n";
    for (line, told) in [
        ("nonsense", "column 1: expected an object, found 'n'"),
        ("{\"db\":0", "column 9: expected ',' or '}', the line ends"),
        (
            "{\"db\":0,\"db\":1}",
            "column 14: the field \"db\" comes twice",
        ),
        (
            "{\"db\":0,\"key\":\"k\",\"value\":\"v\"}",
            "column 1: the field \"type\" is missing",
        ),
        (
            "{\"db\":0,\"key\":\"\u{e9}\",\"type\":\"tree\",\"value\":\"v\"}",
            "column 26: \"tree\" is no type",
        ),
        (
            "{\"db\":-1,\"key\":\"k\",\"type\":\"string\",\"value\":\"v\"}",
            "column 7: the number -1 is out of range here",
        ),
        (
            "{\"db\":0,\"key\":{\"base64\":\"!\"},\"type\":\"string\",\"value\":\"v\"}",
            "column 25: the string is no base64",
        ),
        (
            "{\"db\":0,\"key\":\"z\",\"type\":\"zset\",\"value\":[[\"m\",\"nan\"]]}",
            "column 47: \"nan\" is no score",
        ),
        (
            "{\"db\":0,\"key\":\"s\",\"type\":\"set\",\"value\":[\"m\",\"m\"]}",
            "column 40: \"m\" comes twice",
        ),
        (
            "{\"db\":0,\"key\":\"h\",\"type\":\"hash\",\"value\":[[\"f\",\"v\"]],\"field_expire_ms\":[1,2]}",
            "2 expiries for 1 fields",
        ),
        (
            "{\"db\":0,\"key\":\"x\",\"type\":\"stream\",\"value\":{\"entries\":[[\"2-0\",[]],[\"1-0\",[]]]}}",
            "entry 1-0 does not come after the one before it",
        ),
        (
            "{\"db\":0,\"key\":\"x\",\"type\":\"stream\",\"value\":{\"entries\":[[\"1-0\",[[\"f\",\"v\"]]]],\"groups\":[{\"name\":\"g\",\"pel\":[[\"1-0\",\"a\",1,1]],\"consumers\":[{\"name\":\"b\",\"pel\":[[\"1-0\"]]}]}]}}",
            "entry 1-0 is pending, and its owner does not have it",
        ),
        (
            "{\"db\":0,\"key\":\"m\",\"type\":\"module\",\"value\":[1]}",
            "the field \"payload\" is missing",
        ),
        (
            "{\"db\":0,\"key\":\"m\",\"type\":\"array\",\"value\":[],\"payload\":\"AAAA\"}",
            "column 55: ",
        ),
    ] {
        let lines = format!("{good}\n{line}\n{good}");
        let found = complaint(lines.as_bytes());
        assert!(found.contains("stdin: line 3, "), "{line}: {found}");
        assert!(found.contains(told), "{line}: {found}");
    }
    let deep = "[".repeat(1_000_000);
    assert!(complaint(format!("{{\"x\":{deep}").as_bytes()).contains("line 1, column 1000006"));
    assert!(
        complaint(b"{\"db\":0,\"key\":\"\xff\"}").contains("column 16: the bytes are not UTF-8")
    );
    // A key twice is damage, as in any other snapshot.
    assert!(complaint(format!("{good}{good}").as_bytes()).contains("db 0, key \"k\""));
}
