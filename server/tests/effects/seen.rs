//! A directive of which docs/configuration.md says `works` is set by a test that sees what it does.
//!
//! Tests are looked for by its name in `server/tests` (but for those that only look at CONFIG itself), or, where a unit test sees
//! the effect, by the file and the word that [`ELSEWHERE`] names.

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

/// Directives whose effect is seen beside the code: file, and a word of the test there.
const ELSEWHERE: [(&str, &str, &str); 18] = [
    (
        "socket-mark-id",
        "server/src/os/listen.rs",
        "a_mark_is_set_or_its_absence_told",
    ),
    (
        "ignore-warnings",
        "server/src/os/system_check.rs",
        "a_flaw_ends_the_start_unless_it_is_to_be_ignored",
    ),
    (
        "dynamic-hz",
        "server/src/settings.rs",
        "many_clients_have_more_runs_if_that_is_wanted",
    ),
    (
        "maxmemory-samples",
        "server/engine/tests/evict.rs",
        "eviction_samples",
    ),
    (
        "maxmemory-eviction-tenacity",
        "server/engine/tests/evict.rs",
        "eviction_tenacity",
    ),
    (
        "lazyfree-lazy-eviction",
        "server/engine/tests/evict.rs",
        "lazy_eviction",
    ),
    (
        "set-max-listpack-entries",
        "server/engine/tests/packed_limit.rs",
        "set_listpack_entries",
    ),
    (
        "set-max-listpack-value",
        "server/engine/tests/packed_limit.rs",
        "set_listpack_value",
    ),
    (
        "stream-node-max-bytes",
        "server/engine/tests/transcripts/instance.rs",
        "stream_node_bytes",
    ),
    (
        "stream-node-max-entries",
        "server/engine/tests/evict.rs",
        "stream_node_entries",
    ),
    (
        "rdb-save-incremental-fsync",
        "server/tests/disk_append_files.rs",
        "incremental",
    ),
    (
        "aof-rewrite-incremental-fsync",
        "server/tests/disk_append_files.rs",
        "incremental",
    ),
    (
        "no-appendfsync-on-rewrite",
        "server/tests/disk_append.rs",
        "hold_syncs",
    ),
    (
        "notify-keyspace-events",
        "server/engine/tests/transcripts/instance.rs",
        "notify",
    ),
    (
        "hll-sparse-max-bytes",
        "server/engine/tests/transcripts/instance.rs",
        "hll_sparse_bytes",
    ),
    (
        "list-compress-depth",
        "server/engine/tests/transcripts/instance.rs",
        "list_compress_depth",
    ),
    (
        "active-expire-effort",
        "server/engine/tests/expire_effort.rs",
        "expire_effort",
    ),
    (
        "client-query-buffer-limit",
        "server/tests/protocol/limits.rs",
        "client-query-buffer-limit",
    ),
];

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

/// Whether a name stands in a text by itself, or as an option.
fn has_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].strip_suffix("--").unwrap_or(&text[..at]);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !before.ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}

#[test]
fn what_works_is_seen_to_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = Vec::new();
    files(&root.join("server/tests"), &mut paths);
    paths.retain(|path| {
        let path = path.to_str().unwrap();
        !ABOUT_CONFIG.iter().any(|part| path.contains(part))
    });
    let texts: Vec<String> = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut unseen = Vec::new();
    for directive in table::all().filter(|directive| directive.effect == Effect::Works) {
        let elsewhere = ELSEWHERE.iter().find(|(name, ..)| *name == directive.name);
        let seen = match elsewhere {
            Some((_, file, word)) => {
                std::fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(word))
            }
            None => {
                let names = [Some(directive.name), directive.alias];
                let mut names = names.into_iter().flatten();
                names.any(|name| texts.iter().any(|text| has_name(text, name)))
            }
        };
        if !seen {
            unseen.push(directive.name);
        }
    }
    assert_eq!(unseen, Vec::<&str>::new(), "no test sees what these do");
    for (name, ..) in ELSEWHERE {
        assert!(
            table::all().any(|directive| directive.name == name),
            "{name}"
        );
    }
}
