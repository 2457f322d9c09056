//! The folder of a log in parts: a snapshot as its base, an increment without commands, and the manifest that names both.

use cairn_format::aof::manifest::{Manifest, Part, PartType, base_name, incr_name, manifest_name};
use cairn_toolkit::{Failure, Output};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the files of a log are called by default.
const PREFIX: &str = "appendonly.aof";

/// A folder under way. Without its manifest no server takes it for a log.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, or takes one that is empty.
    pub fn create(path: &Path) -> Result<Folder, Failure> {
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
            Err(error) => return Err(Failure::io(&name, &error)),
        }
        Ok(Folder {
            path: path.to_owned(),
        })
    }

    /// Where the base goes.
    pub fn base(&self) -> PathBuf {
        self.path.join(base_name(PREFIX, 1, true))
    }

    /// Writes what is there beside the base; the manifest comes last.
    pub fn finish(&self) -> Result<(), Failure> {
        let base = Part::new(base_name(PREFIX, 1, true), 1, PartType::Base);
        let incr = Part::new(incr_name(PREFIX, 1), 1, PartType::Incr);
        Output::create(&self.path.join(incr_name(PREFIX, 1)), &[])?.finish()?;
        let manifest = Manifest {
            base: Some(base),
            incr: vec![incr],
            history: Vec::new(),
        };
        let mut output = Output::create(&self.path.join(manifest_name(PREFIX)), &[])?;
        output.write_all(&manifest.to_text())?;
        output.finish()
    }

    /// Takes the folder away if nothing came into it.
    pub fn abandon(&self) {
        // One that is not empty stays: it is not ours alone.
        let _ = fs::remove_dir(&self.path);
    }
}
