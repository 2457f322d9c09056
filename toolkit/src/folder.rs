//! The folder of a log in parts: its files, and the manifest that names them, which is written last.

use crate::{Failure, Output};
use cairn_format::aof::manifest::{Manifest, Part, PartType, base_name, incr_name, manifest_name};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the files of a log are called by default.
pub const PREFIX: &str = "appendonly.aof";

/// A folder under way. Without its manifest no server takes it for a log.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    prefix: String,
}

impl Folder {
    /// Makes the folder, or takes one that is empty, for a log whose files are called by `prefix`.
    ///
    /// # Errors
    /// It cannot be made, or something is in it.
    pub fn create(path: &Path, prefix: &str) -> Result<Folder, Failure> {
        let name = path.display().to_string();
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(_) if path.is_dir() => {
                let first = path
                    .read_dir()
                    .map_err(|error| Failure::io(&name, &error))?
                    .next();
                if first.is_some() {
                    return Err(
                        Failure::new(format!("{name}: is there already, and not empty"))
                            .hint("name a new folder; nothing was changed"),
                    );
                }
            }
            Err(error) => return Err(Failure::of_output(&name, &error)),
        }
        Ok(Folder {
            path: path.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// A snapshot as base.
    pub fn base(&self) -> Part {
        Part::new(base_name(&self.prefix, 1, true), 1, PartType::Base)
    }

    /// Where a part goes.
    pub fn part(&self, part: &Part) -> PathBuf {
        self.path.join(OsStr::from_bytes(&part.name))
    }

    /// Writes what is there beside a base: an increment without commands, and the manifest.
    ///
    /// # Errors
    /// What the system reports.
    pub fn finish(&self, base: Part) -> Result<(), Failure> {
        let incr = Part::new(incr_name(&self.prefix, 1), 1, PartType::Incr);
        Output::create(&self.part(&incr), &[])?.finish()?;
        self.list(&Manifest {
            base: Some(base),
            incr: vec![incr],
            history: Vec::new(),
        })
    }

    /// Writes the manifest, which makes it a log: all its parts are there.
    ///
    /// # Errors
    /// What the system reports.
    pub fn list(&self, manifest: &Manifest) -> Result<(), Failure> {
        let mut output = Output::create(&self.path.join(manifest_name(&self.prefix)), &[])?;
        output.write_all(&manifest.to_text())?;
        output.finish()
    }

    /// Takes the folder away if nothing came into it.
    pub fn abandon(&self) {
        // One that is not empty stays: it is not ours alone.
        let _ = fs::remove_dir(&self.path);
    }
}
