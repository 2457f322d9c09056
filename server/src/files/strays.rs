//! Parts of a log in its folder that the manifest does not list, and manifests that were never given their name.
//!
//! Such parts are somebody's data, or left from a power cut; nobody can tell from here. A start therefore never loads,
//! overwrites or removes one: with a manifest it leaves them alone and says so, without one it refuses, and new files
//! take numbers that no file has.
//!
//! One case explains itself: a server writes the next manifest under a temporary name, then puts the files in place that
//! it lists, then renames it. If the power fails before the rename and there is no older manifest, the temporary one is
//! the truth as long as it accounts for every part in the folder.

use std::io;
use std::path::PathBuf;

use cairn_format::aof::manifest::{
    Manifest, base_name, incr_name, is_part_name, manifest_temp_name,
};

use super::append_names::{AppendNames, MANIFEST_MAX};
use crate::host::{self, Disk};

/// A part that nothing lists. Empty ones hold nothing and are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    /// Its path, within the data folder.
    pub(super) path: PathBuf,
    /// Its bytes.
    pub(super) size: u64,
}

impl std::fmt::Display for Stray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.size)
    }
}

/// The parts in the folder that `manifest` does not list, in the order of their names.
pub(super) fn unlisted(
    disk: &dyn Disk,
    names: &AppendNames,
    manifest: &Manifest,
) -> io::Result<Vec<Stray>> {
    let mut found = match disk.list(&names.folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing?,
    };
    found.retain(|name| is_part_name(&names.prefix, name) && !lists(manifest, name));
    found.sort();
    let mut strays = Vec::new();
    for name in found {
        let path = names.inside(&name);
        if let Some(size) = disk.size(&path)?.filter(|size| *size > 0) {
            strays.push(Stray { path, size });
        }
    }
    Ok(strays)
}

fn lists(manifest: &Manifest, name: &str) -> bool {
    manifest
        .to_load()
        .chain(&manifest.history)
        .any(|part| part.name == name.as_bytes())
}

/// The manifest that waits under its temporary name, if it lists every part in the folder and all that it lists is there.
pub(super) fn prepared(disk: &dyn Disk, names: &AppendNames) -> io::Result<Option<Manifest>> {
    let path = names.inside(&manifest_temp_name(&names.prefix));
    if disk.size(&path)?.is_none() {
        return Ok(None);
    }
    let text = host::read_all(disk, &path, MANIFEST_MAX)?;
    // A torn one explains nothing.
    let Ok(manifest) = Manifest::parse(&text) else {
        return Ok(None);
    };
    for part in manifest.to_load() {
        if disk.size(&names.part(part))?.is_none() {
            return Ok(None);
        }
    }
    let explains_all = unlisted(disk, names, &manifest)?.is_empty();
    Ok(Some(manifest).filter(|manifest| explains_all && manifest.to_load().next().is_some()))
}

/// The first number above `last` under which no base holds anything.
pub(super) fn free_base(disk: &dyn Disk, names: &AppendNames, last: i64) -> io::Result<i64> {
    first_free(last, |seq| {
        Ok(is_taken(disk, names, &base_name(&names.prefix, seq, true))?
            || is_taken(disk, names, &base_name(&names.prefix, seq, false))?)
    })
}

/// The first number above `last` under which no increment holds anything.
pub(super) fn free_incr(disk: &dyn Disk, names: &AppendNames, last: i64) -> io::Result<i64> {
    first_free(last, |seq| {
        is_taken(disk, names, &incr_name(&names.prefix, seq))
    })
}

/// A manifest from elsewhere may list any number as the last one; ours begin at 1, as a start refuses 0.
fn first_free(last: i64, is_taken: impl Fn(i64) -> io::Result<bool>) -> io::Result<i64> {
    let mut seq = last.max(0);
    loop {
        seq = seq
            .checked_add(1)
            .ok_or_else(|| io::Error::other("no number is left for the next part of the log"))?;
        if !is_taken(seq)? {
            debug_assert!(seq > last && seq > 0, "{seq} after {last}");
            return Ok(seq);
        }
    }
}

fn is_taken(disk: &dyn Disk, names: &AppendNames, name: &str) -> io::Result<bool> {
    Ok(disk.size(&names.inside(name))?.is_some_and(|size| size > 0))
}
