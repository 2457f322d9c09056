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
        format!(
            "parts of a log are there. After a look at each, a file {} with these lines would list them:\n{}",
            self.path.display(),
            String::from_utf8_lossy(&lines).trim_end()
        )
    }
}

/// A manifest that lists the parts in `folder`; none if there are no parts, or parts of several logs. The
/// base with the highest number and all increments: older bases are what a rewrite left behind.
pub fn of(folder: &Path) -> Option<Proposal> {
    let mut prefixes = Vec::new();
    let mut manifest = Manifest::default();
    for entry in fs::read_dir(folder).ok()? {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let Some((prefix, part)) = part_of(&name) else {
            continue;
        };
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
