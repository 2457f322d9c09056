//! Recorded sessions of a real Redis 7.2.4 replayed against the engine: every reply, event and propagated command of
//! the commands that the engine has must be the recorded one. `testdata/transcripts/README.md` has the format.
//!
//! A step whose command the engine does not have is counted and named at the end. What such a step would have written
//! cannot be checked later either: steps that touch its keys, or the whole data set, are counted as `after it`; where its
//! effect cannot be told from its keys (scripts, ACL), the session is given up from there on.
//!
//! `CAIRN_TRANSCRIPTS=folder` replays another folder of recordings in place of `testdata/transcripts`,
//! `CAIRN_TRANSCRIPTS_ONLY=part` the sessions whose name contains a word.

mod absent;
mod compare;
mod instance;
mod pattern;
mod script;
mod session;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use session::{Tally, replay};

/// Mismatches shown in full, unless `CAIRN_TRANSCRIPTS_SHOW` says how many.
const SHOWN: usize = 40;

#[test]
fn recorded_sessions_are_answered_as_recorded() {
    let folder = std::env::var_os("CAIRN_TRANSCRIPTS")
        .map_or_else(|| testdata("transcripts"), PathBuf::from);
    replay_folder(&folder);
}

/// Field expiry, of which 7.2 knows nothing: sessions of a Redis 8.6.3.
#[test]
fn sessions_of_a_newer_redis_are_answered_as_recorded() {
    replay_folder(&testdata("transcripts/newer"));
}

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(path)
}

fn replay_folder(folder: &Path) {
    let only = std::env::var("CAIRN_TRANSCRIPTS_ONLY").unwrap_or_default();
    let mut total = Tally::default();
    for path in script::files(folder) {
        let family = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut tally = Tally::default();
        for steps in script::sessions(&path) {
            // Others can only be answered while a script runs where there are sockets, and CLIENT is of the server: `cairn-server`
            // replays these.
            let session = &steps[0].session;
            let is_of_server = session == "scripting/busy" || session.starts_with("tracking/");
            if session.contains(&only) && !is_of_server {
                replay(&steps, &mut tally);
            }
        }
        println!("{family:18} {}", tally.line());
        total.add(tally);
    }
    println!("{:18} {}", "total", total.line());
    println!(
        "commands that the engine does not have, with their steps: {}",
        names(&total.absent)
    );
    let shown = std::env::var("CAIRN_TRANSCRIPTS_SHOW")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(SHOWN);
    total
        .mismatches
        .iter()
        .take(shown)
        .for_each(|m| println!("{m}"));
    assert!(total.passed > 0, "{} holds no steps", folder.display());
    assert_eq!(
        total.mismatches.len(),
        0,
        "steps that differ, of {}",
        total.checked()
    );
}

fn names(absent: &BTreeMap<String, usize>) -> String {
    let name = |(name, count): (&String, &usize)| format!("{name} {count}");
    absent.iter().map(name).collect::<Vec<_>>().join(", ")
}
