//! A manifest for parts that have none: what a person would write after looking at the names in the folder.

use cairn_format::aof::manifest::{Manifest, Part, PartType, manifest_name, split_part_name};
use std::fs;
use std::path::{Path, PathBuf};

/// A manifest that parts in a folder could have.
#[derive(Debug)]
pub struct Proposal {
    /// Where it would stand.
    pub path: PathBuf,
    /// What it would say.
    pub manifest: Manifest,
}

impl Proposal {
    /// The same in words for a person.
    pub fn text(&self) -> String {
        let lines = self.manifest.to_text();
        let unsealed = match self.manifest.incr.is_empty() {
            true => {
                "\na base alone is also what BACKUP START of Redis 8.10 makes: BACKUP SEAL adds what came since, and a manifest"
            }
            false => "",
        };
        format!(
            "parts of a log are there. After a look at each, a file {} with these lines would list them:\n{}{unsealed}",
            self.path.display(),
            String::from_utf8_lossy(&lines).trim_end()
        )
    }
}

/// A manifest that lists the parts in `folder`; none if there are no parts, or parts of several logs. The
/// base with the highest number and all increments: older bases are what a rewrite left behind, as is what a readable line of
/// the manifest that was there, `broken`, calls history.
pub fn of(folder: &Path, broken: &[u8]) -> Option<Proposal> {
    let mut prefixes = Vec::new();
    let history = history_in(broken);
    let mut manifest = Manifest::default();
    for entry in fs::read_dir(folder).ok()? {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let Some((prefix, part)) = part_of(&name) else {
            continue;
        };
        if history.iter().any(|old| old.name == part.name) {
            continue;
        }
        prefixes.push(prefix.to_owned());
        match part.part_type {
            PartType::Base
                if manifest
                    .base
                    .as_ref()
                    .is_none_or(|base| base.seq < part.seq) =>
            {
                manifest.base = Some(part);
            }
            PartType::Incr => manifest.incr.push(part),
            _ => {}
        }
    }
    prefixes.sort();
    prefixes.dedup();
    let [prefix] = &prefixes[..] else {
        return None;
    };
    manifest.incr.sort_by_key(|part| part.seq);
    // Two names may have one number, as in 1 and 01: nobody can say which is meant.
    let rises = manifest.incr.is_sorted_by(|a, b| a.seq < b.seq);
    rises.then(|| Proposal {
        path: folder.join(manifest_name(prefix)),
        manifest,
    })
}

/// The part that such a name means, and the log it belongs to.
fn part_of(name: &str) -> Option<(&str, Part)> {
    let (prefix, seq, part_type) = split_part_name(name)?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
    Some((prefix, Part::new(name, seq, part_type)))
}

/// What those lines of a manifest call history that can be read.
fn history_in(text: &[u8]) -> Vec<Part> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let read = lines.filter_map(|line| Manifest::parse(line).ok());
    read.flat_map(|line| line.history).collect()
}
