//! A directive of which docs/configuration.md says `works` is set by a test that sees what it does, and is read by the server.
//!
//! A test counts if it runs (it is not ignored), sets the directive in its own body (an option of the start, CONFIG SET or a line of a
//! file) and asserts something there. Where the effect can be seen only beside the code, [`ELSEWHERE`] names the test.

use std::path::{Path, PathBuf};

use cairn_server::config::{Effect, table};

/// Tests of CONFIG itself: they set everything and see nothing of what it does. And this file.
const ABOUT_CONFIG: [&str; 7] = [
    "config_",
    "packaging",
    "transcripts",
    "effects/seen.rs",
    "subsets.txt",
    "errors",
    "metrics_document",
];

/// Directives whose effect is seen beside the code: file, test, and what the test sets there in its place.
const ELSEWHERE: [[&str; 4]; 17] = [
    [
        "repl-disable-tcp-nodelay",
        "server/tests/net_sockets.rs",
        "what_is_small_leaves_at_once_or_waits",
        "set_nodelay(",
    ],
    [
        "socket-mark-id",
        "server/src/os/listen.rs",
        "a_mark_is_set_or_its_absence_told",
        "mark: Some(77)",
    ],
    [
        "ignore-warnings",
        "server/src/os/system_check.rs",
        "a_flaw_ends_the_start_unless_it_is_to_be_ignored",
        "unless_ignored(",
    ],
    [
        "dynamic-hz",
        "server/src/settings.rs",
        "many_clients_have_more_runs_if_that_is_wanted",
        "dynamic-hz",
    ],
    [
        "maxmemory-samples",
        "server/engine/tests/evict.rs",
        "least_recently_used_keys_go_first",
        "eviction_samples =",
    ],
    [
        "maxmemory-eviction-tenacity",
        "server/engine/tests/evict.rs",
        "the_cycle_evicts_when_no_command_comes",
        "eviction_tenacity =",
    ],
    [
        "rdb-save-incremental-fsync",
        "server/tests/disk_append_files.rs",
        "a_growing_snapshot_is_synced_on_its_way",
        "incremental",
    ],
    [
        "aof-rewrite-incremental-fsync",
        "server/tests/disk_append_files.rs",
        "a_growing_snapshot_is_synced_on_its_way",
        "incremental",
    ],
    [
        "no-appendfsync-on-rewrite",
        "server/tests/disk_append.rs",
        "everysec_syncs_once_a_second_on_another_thread",
        "hold_syncs: true",
    ],
    [
        "active-expire-effort",
        "server/engine/tests/expire_effort.rs",
        "more_effort_looks_at_more_keys",
        "expire_effort = effort",
    ],
    [
        "activedefrag",
        "server/simulator/tests/defrag.rs",
        "it_is_switched_off_at_once",
        "CONFIG SET activedefrag yes",
    ],
    [
        "active-defrag-ignore-bytes",
        "server/simulator/tests/defrag.rs",
        "the_effort_follows_the_fragmentation",
        "--active-defrag-ignore-bytes 5mb",
    ],
    [
        "active-defrag-threshold-lower",
        "server/simulator/tests/defrag.rs",
        "the_effort_follows_the_fragmentation",
        "--active-defrag-threshold-lower 20",
    ],
    [
        "active-defrag-threshold-upper",
        "server/simulator/tests/defrag.rs",
        "the_effort_follows_the_fragmentation",
        "--active-defrag-threshold-upper 60",
    ],
    [
        "active-defrag-cycle-min",
        "server/simulator/tests/defrag.rs",
        "the_effort_follows_the_fragmentation",
        "--active-defrag-cycle-min 1",
    ],
    [
        "active-defrag-cycle-max",
        "server/simulator/tests/defrag.rs",
        "the_effort_follows_the_fragmentation",
        "--active-defrag-cycle-max 9",
    ],
    [
        "active-defrag-max-scan-fields",
        "server/simulator/tests/defrag.rs",
        "a_large_value_takes_many_slices",
        "--active-defrag-max-scan-fields 20",
    ],
];

/// One test that runs: its name and all its text.
struct Test {
    name: String,
    body: String,
}

impl Test {
    /// Whether it can fail.
    fn asserts(&self) -> bool {
        ["assert", "panic!(", "wait_until(", ".expect("]
            .iter()
            .any(|word| self.body.contains(word))
    }

    /// Whether it gives a directive a value.
    fn sets(&self, name: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        self.body.match_indices(name).any(|(at, _)| {
            let (before, after) = (&self.body[..at], &self.body[at + name.len()..]);
            if after.starts_with(is_part) {
                return false;
            }
            // The words before it in the same text: everything since the last quote or line.
            let text = before.rsplit(['"', '\n']).next().unwrap_or_default();
            let is_option = text
                .strip_suffix("--")
                .is_some_and(|rest| !rest.ends_with(is_part));
            let is_line = text.trim_start().is_empty() || text.ends_with("\\n");
            is_option
                || text.to_ascii_lowercase().contains("config set ") && text.ends_with(' ')
                || before.ends_with("config_set(\"")
                || before
                    .trim_end_matches('"')
                    .trim_end()
                    .ends_with("\"SET\",")
                || is_line && after.starts_with(' ')
        })
    }
}

/// The tests of a file that run. Code is formatted, so a function ends where a brace stands as deep as its attribute.
fn tests_of(path: &Path) -> Vec<Test> {
    let text = std::fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|end| end == "py") {
        let pieces = text.split("\n    def ").skip(1);
        return pieces.filter_map(|piece| test(piece, "test_")).collect();
    }
    let mut tests = Vec::new();
    for (at, mark) in text.match_indices("#[test]\n") {
        let depth = text[..at].rsplit('\n').next().unwrap_or_default();
        let rest = &text[at + mark.len()..];
        let end = rest.find(&format!("\n{depth}}}")).unwrap_or(rest.len());
        let (attributes, function) = rest[..end].split_once("fn ").unwrap();
        if !attributes.contains("ignore") && !depth.contains("//") {
            tests.extend(test(function, ""));
        }
    }
    tests
}

fn test(function: &str, prefix: &str) -> Option<Test> {
    let (name, _) = function.split_once('(')?;
    name.starts_with(prefix).then(|| Test {
        name: name.to_owned(),
        body: function.to_owned(),
    })
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "py")
        {
            into.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_works_is_seen_to_work() {
    let mut paths = Vec::new();
    files(&root().join("server/tests"), &mut paths);
    paths.retain(|path| {
        let path = path.to_str().unwrap();
        !ABOUT_CONFIG.iter().any(|part| path.contains(part))
    });
    let mut tests: Vec<Test> = paths.iter().flat_map(|path| tests_of(path)).collect();
    assert!(tests.len() > 300, "only {} tests found", tests.len());
    tests.retain(Test::asserts);
    let mut unseen = Vec::new();
    for directive in table::all().filter(|directive| directive.effect == Effect::Works) {
        let elsewhere = ELSEWHERE.iter().find(|[name, ..]| *name == directive.name);
        let seen = match elsewhere {
            Some([_, file, name, word]) => tests_of(&root().join(file))
                .iter()
                .any(|test| test.name == *name && test.body.contains(word) && test.asserts()),
            None => {
                let names = [Some(directive.name), directive.alias];
                let mut names = names.into_iter().flatten();
                names.any(|name| tests.iter().any(|test| test.sets(name)))
            }
        };
        if !seen {
            unseen.push(directive.name);
        }
    }
    assert_eq!(unseen, Vec::<&str>::new(), "no test sees what these do");
    for [name, ..] in ELSEWHERE {
        assert!(
            table::all().any(|directive| directive.name == name),
            "{name}"
        );
    }
}

/// A directive that no code reads cannot do anything, whatever a test sees.
#[test]
fn what_works_is_read() {
    let mut paths = Vec::new();
    files(&root().join("server/src"), &mut paths);
    paths.retain(|path| !path.to_str().unwrap().contains("config/table"));
    let mut code = String::new();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        code.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
    }
    let is_read = |name: &str| {
        let key = format!("table::{}", name.to_ascii_uppercase().replace('-', "_"));
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        code.match_indices(&key)
            .any(|(at, _)| !code[at + key.len()..].starts_with(is_part))
    };
    let idle: Vec<&str> = table::all()
        .filter(|directive| directive.effect == Effect::Works && !is_read(directive.name))
        .map(|directive| directive.name)
        .collect();
    assert_eq!(idle, Vec::<&str>::new(), "nobody reads these");
}

#[test]
fn a_name_alone_sets_nothing() {
    let of = |body: &str| Test {
        name: String::new(),
        body: body.to_owned(),
    };
    for body in [
        "with(\"--save 60\")",
        "good(\"CONFIG SET hz 1 save x\")",
        "call(&[\"CONFIG\", \"SET\", \"save\", x])",
        "client.config_set(\"save\", 1)",
        "\"hz 10\\nsave 1\"",
        "\"save 60 1\"",
    ] {
        assert!(of(body).sets("save"), "{body}");
    }
    for body in [
        "// save it",
        "\"CONFIG GET save\"",
        "\"--no-save 1\"",
        "\"--save-all 1\"",
        "\"save\"",
    ] {
        assert!(!of(body).sets("save"), "{body}");
    }
}
