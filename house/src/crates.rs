//! All members of the workspace with their files.

use std::path::{Path, PathBuf};

use crate::source::{self, Source};

/// One file of a crate.
#[derive(Debug)]
pub struct File {
    /// From the root of the workspace.
    pub path: PathBuf,
    /// Its place in the crate: `["command", "zset", "add"]`; empty for the root.
    pub module: Vec<String>,
    /// Its tokens.
    pub source: Source,
}

/// One member of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Name of the package.
    pub name: String,
    /// Folder, from the root of the workspace.
    pub folder: PathBuf,
    /// The manifest's text.
    pub manifest: String,
    /// Files under `src`.
    pub product: Vec<File>,
    /// Files under `tests` and `benches`.
    pub tests: Vec<File>,
}

impl Crate {
    /// The name as code spells it.
    pub fn code_name(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// Root of the workspace: the folder above this crate.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Reads all members.
///
/// # Errors
/// A manifest or a file cannot be read.
pub fn read_all(root: &Path) -> Result<Vec<Crate>, String> {
    let manifest = text(&root.join("Cargo.toml"))?;
    let members =
        quoted_list(&manifest, "members").ok_or_else(|| "Cargo.toml: no members".to_owned())?;
    members.iter().map(|member| read(root, member)).collect()
}

fn read(root: &Path, member: &str) -> Result<Crate, String> {
    let manifest = text(&root.join(member).join("Cargo.toml"))?;
    let name = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = "))
        .map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| format!("{member}/Cargo.toml: no name"))?;
    let folder = PathBuf::from(member);
    let mut product = Vec::new();
    files(root, &folder.join("src"), &[], &mut product)?;
    let mut tests = Vec::new();
    for kind in ["tests", "benches"] {
        files(root, &folder.join(kind), &[], &mut tests)?;
    }
    Ok(Crate {
        name,
        folder,
        manifest,
        product,
        tests,
    })
}

/// The Rust files of a folder, which need not be there.
fn files(
    root: &Path,
    folder: &Path,
    module: &[String],
    into: &mut Vec<File>,
) -> Result<(), String> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        return Ok(());
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        let path = folder.join(&name);
        if root.join(&path).is_dir() {
            let inner = [module, &[name]].concat();
            files(root, &path, &inner, into)?;
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let mut module = module.to_vec();
            let is_root = module.is_empty() && matches!(stem, "lib" | "main");
            if stem != "mod" && !is_root {
                module.push(stem.to_owned());
            }
            let source = source::read(&root.join(&path))?;
            into.push(File {
                path,
                module,
                source,
            });
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The strings of `key = ["a", "b"]`, on one line or several.
fn quoted_list(manifest: &str, key: &str) -> Option<Vec<String>> {
    let after = manifest.split_once(&format!("{key} = ["))?.1;
    let list = after.split_once(']')?.0;
    Some(
        list.split(',')
            .map(|item| item.trim().trim_matches('"').to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
    )
}
