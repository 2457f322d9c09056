//! Which files make up the log that was named: one file, or the parts that a manifest lists.

use crate::{archive, proposal};
use cairn_format::aof::manifest::{Manifest, PartType, is_part_name};
use cairn_format::error::{Damage, FormatError};
use cairn_toolkit::remote::Address;
use cairn_toolkit::{Failure, Input};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Manifests above this size are not read: a line per file makes a few kB.
const MANIFEST_MAX: u64 = 16 << 20;

/// What servers call the folder of a log by default (`appenddirname`).
const FOLDER: &str = "appendonlydir";

/// And a log in one file (`appendfilename`), before 7.0.
pub const SINGLE: &str = cairn_toolkit::folder::PREFIX;

/// One file of a log.
#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub role: Role,
    /// No other part follows, so a server may write here, and a torn end is what a crash leaves.
    pub is_last: bool,
}

/// What a file is in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The whole log.
    Single,
    Base,
    Incr,
}

/// A log as a list of files in loading order.
#[derive(Debug)]
pub struct Log {
    /// The manifest that lists the files, if there is one.
    pub manifest: Option<ManifestFile>,
    pub files: Vec<File>,
}

/// A manifest that was read.
#[derive(Debug)]
pub struct ManifestFile {
    pub path: PathBuf,
    pub size: u64,
    pub history: usize,
    /// Names of parts beside it that it does not list: servers neither load nor remove them.
    pub orphans: Vec<String>,
    /// Names that it lists more than once: servers load such a part as often.
    pub twice: Vec<String>,
    /// Numbers between those of its increments that none has, first and last: servers do not miss them.
    pub gaps: Vec<(i64, i64)>,
    /// There is none, or none that can be read, and this is what it could be, in words.
    pub proposal: Option<String>,
    /// What is wrong with it. With damage that servers tolerate the files are listed all the same.
    pub damage: Option<Box<FormatError>>,
    /// What a server makes of the log that begins with it.
    pub start: Start,
}

/// What a server with `appendonly yes` does with a log in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It loads the parts.
    Loads,
    /// There is no manifest: it begins without data.
    Empty,
    /// The manifest cannot be read: it does not start.
    Refused,
}

impl Log {
    /// Find the files of the log called `path`: a log file, a manifest, a folder with a manifest, or `-`.
    pub fn find(path: &Path) -> Result<Log, Failure> {
        if path != Path::new("-") {
            let metadata = fs::metadata(path).map_err(|error| unopened(path, &error))?;
            if metadata.is_dir() {
                // An archive is taken for its newest log.
                let newest = archive::newest(path);
                let folder = newest.as_deref().unwrap_or(path);
                return match single_in(folder)? {
                    Some(file) => Ok(Log::single(file)),
                    None => Log::from_manifest(&manifest_in(folder)?),
                };
            }
            if metadata.is_file() && is_manifest(path)? {
                return Log::from_manifest(path);
            }
        }
        Ok(Log::single(path.to_owned()))
    }

    fn single(path: PathBuf) -> Log {
        let file = File {
            path,
            role: Role::Single,
            is_last: true,
        };
        Log {
            manifest: None,
            files: vec![file],
        }
    }

    /// The same of a log whose manifest can be read.
    pub fn find_sound(path: &Path) -> Result<Log, Failure> {
        let log = Log::find(path)?;
        let manifest = log.manifest.as_ref();
        let damage = manifest.and_then(|m| Some((m, m.damage.as_ref()?)));
        match damage {
            Some((manifest, damage)) if log.files.is_empty() => {
                let name = manifest.path.display().to_string();
                Err(Failure::damage(&name, damage))
            }
            _ => Ok(log),
        }
    }

    /// All files in memory: what is read twice must stay.
    pub fn mapped(&self) -> Result<Vec<Input>, Failure> {
        let files = self.files.iter();
        files
            .map(|file| Input::open(&file.path)?.into_mapped())
            .collect()
    }

    /// Refuse an output that is one of the log's files, under whatever name, since writing would destroy
    /// what is being read.
    pub fn refuse_as_output(&self, output: &Path) -> Result<(), Failure> {
        let id = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
        };
        let target = id(output);
        let manifest = self.manifest.iter().map(|manifest| &manifest.path);
        let mut files = self.files.iter().map(|file| &file.path).chain(manifest);
        match files.find(|path| target.is_some() && id(path) == target) {
            None => Ok(()),
            Some(path) => {
                let (output, input) = (output.display(), path.display());
                Err(Failure::new(format!(
                    "{output}: output is the same file as the input {input}"
                ))
                .hint("write to another name; nothing was changed"))
            }
        }
    }

    /// As [`Log::find`]; parts without a manifest, or with one that cannot be read, are taken as one could list them, and that is the log's damage.
    pub fn find_or_propose(path: &Path) -> Result<Log, Failure> {
        let below = path.join(FOLDER);
        let folder = if below.is_dir() { &below } else { path };
        let lacks_one = path.is_dir()
            && manifests(path)?.is_empty()
            && (folder == path || manifests(folder)?.is_empty());
        let Some(proposal) = lacks_one.then(|| proposal::of(folder, b"")).flatten() else {
            return Log::find(path)?.or_proposed();
        };
        let what = "there is no manifest, and servers start without this log";
        let manifest = ManifestFile {
            size: 0,
            history: 0,
            orphans: orphans_of(&proposal.path, &proposal.manifest),
            twice: Vec::new(),
            gaps: gaps_of(&proposal.manifest),
            damage: Some(FormatError::new(Damage::Manifest, 0, what)),
            proposal: Some(proposal.text()),
            path: proposal.path.clone(),
            start: Start::Empty,
        };
        Ok(Log {
            files: files_of(&proposal.path, &proposal.manifest),
            manifest: Some(manifest),
        })
    }

    /// The same log; if its manifest cannot be read, with the parts that one could list.
    fn or_proposed(mut self) -> Result<Log, Failure> {
        let unread = self.manifest.as_mut();
        let Some(manifest) = unread.filter(|manifest| manifest.start == Start::Refused) else {
            return Ok(self);
        };
        let text = read_manifest(&manifest.path)?;
        let own = manifest.path.file_name();
        if let Some(proposal) = proposal::of(folder_of(&manifest.path), &text)
            && proposal.path.file_name() == own
        {
            manifest.orphans = orphans_of(&manifest.path, &proposal.manifest);
            manifest.gaps = gaps_of(&proposal.manifest);
            manifest.proposal = Some(proposal.text());
            self.files = files_of(&manifest.path, &proposal.manifest);
        }
        Ok(self)
    }

    fn from_manifest(path: &Path) -> Result<Log, Failure> {
        let text = read_manifest(path)?;
        let strict = Manifest::parse_strict(&text);
        let mut file = ManifestFile {
            path: path.to_owned(),
            size: text.len() as u64,
            history: 0,
            orphans: Vec::new(),
            twice: Vec::new(),
            gaps: Vec::new(),
            proposal: None,
            damage: strict.err(),
            start: Start::Refused,
        };
        let mut files = Vec::new();
        if let Ok(manifest) = Manifest::parse(&text) {
            file.history = manifest.history.len();
            file.orphans = orphans_of(path, &manifest);
            file.twice = listed_twice(&manifest);
            file.gaps = gaps_of(&manifest);
            file.start = Start::Loads;
            files = files_of(path, &manifest);
        }
        Ok(Log {
            manifest: Some(file),
            files,
        })
    }
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn files_of(manifest_path: &Path, manifest: &Manifest) -> Vec<File> {
    let folder = manifest_path.parent().unwrap_or(Path::new(""));
    let count = manifest.to_load().count();
    let parts = manifest.to_load().enumerate();
    parts
        .map(|(index, part)| File {
            path: folder.join(OsStr::from_bytes(&part.name)),
            role: if part.part_type == PartType::Base {
                Role::Base
            } else {
                Role::Incr
            },
            is_last: index + 1 == count,
        })
        .collect()
}

/// Names that a manifest lists more than once.
fn listed_twice(manifest: &Manifest) -> Vec<String> {
    let mut names: Vec<&[u8]> = manifest.to_load().map(|part| &part.name[..]).collect();
    names.sort_unstable();
    let pairs = names.windows(2).filter(|pair| pair[0] == pair[1]);
    let mut twice: Vec<String> = pairs
        .map(|pair| String::from_utf8_lossy(pair[0]).into_owned())
        .collect();
    twice.dedup();
    twice
}

/// Numbers that are missing between those of increments.
fn gaps_of(manifest: &Manifest) -> Vec<(i64, i64)> {
    let pairs = manifest.incr.windows(2);
    pairs
        .filter(|pair| pair[1].seq - pair[0].seq > 1)
        .map(|pair| (pair[0].seq + 1, pair[1].seq - 1))
        .collect()
}

/// Files with the names of parts of this log that the manifest does not list. A folder that cannot be read has none.
fn orphans_of(manifest_path: &Path, manifest: &Manifest) -> Vec<String> {
    let folder = folder_of(manifest_path);
    let own = manifest_path.file_name().and_then(OsStr::to_str);
    let Some(prefix) = own.and_then(|name| name.strip_suffix(".manifest")) else {
        return Vec::new();
    };
    let listed = |name: &str| {
        let mut parts = manifest.to_load().chain(&manifest.history);
        parts.any(|part| part.name == name.as_bytes())
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut orphans: Vec<String> = names
        .filter(|name| is_part_name(prefix, name) && name != own.unwrap_or_default())
        .filter(|name| !listed(name))
        .collect();
    orphans.sort();
    orphans
}

fn read_manifest(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let name = path.display().to_string();
    fs::File::open(path)
        .and_then(|file| file.take(MANIFEST_MAX + 1).read_to_end(&mut text))
        .map_err(|error| Failure::io(&name, &error))?;
    match text.len() as u64 > MANIFEST_MAX {
        true => Err(Failure::new(format!(
            "{name}: a manifest of more than 16 MB"
        ))),
        false => Ok(text),
    }
}

/// The log of a server before 7.0 in its data folder, where no log in parts is.
fn single_in(folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let single = folder.join(SINGLE);
    let is_alone =
        single.is_file() && !folder.join(FOLDER).is_dir() && manifests(folder)?.is_empty();
    Ok(is_alone.then_some(single))
}

/// The manifest in `folder`, or in the log's folder below a server's data folder.
fn manifest_in(folder: &Path) -> Result<PathBuf, Failure> {
    let mut found = manifests(folder)?;
    let below = folder.join(FOLDER);
    if found.is_empty() && below.is_dir() {
        found = manifests(&below)?;
    }
    let name = folder.display();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let folder = if below.is_dir() { &below } else { folder };
            let failure = Failure::new(format!("{name}: no manifest in this folder"));
            Err(match proposal::of(folder, b"") {
                Some(proposed) => failure.hint(proposed.text()),
                None => {
                    failure.hint("name the log file itself, or the folder that holds `*.manifest`")
                }
            })
        }
        n => Err(Failure::new(format!(
            "{name}: {n} manifests in this folder, one was expected"
        ))
        .hint(format!(
            "name one of them, for instance {}",
            found[0].display()
        ))),
    }
}

fn manifests(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: &std::io::Error| Failure::io(&folder.display().to_string(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| failed(&e))? {
        let entry = entry.map_err(|e| failed(&e))?;
        let name = entry.file_name();
        let name = name.as_bytes();
        // `temp-` is how servers call a manifest that is not complete yet.
        if name.ends_with(b".manifest") && !name.starts_with(b"temp-") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// By its name, or because the first line that is no comment begins with `file`, as no log does.
fn is_manifest(path: &Path) -> Result<bool, Failure> {
    if path.as_os_str().as_bytes().ends_with(b".manifest") {
        return Ok(true);
    }
    let mut first = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut first))
        .map_err(|error| Failure::io(&path.display().to_string(), &error))?;
    let mut lines = first.split(|b| *b == b'\n');
    let line = lines
        .find(|line| !line.starts_with(b"#"))
        .unwrap_or_default();
    Ok(line.starts_with(b"file "))
}

/// Why there is no file of this name, which may be meant as something else.
fn unopened(path: &Path, error: &io::Error) -> Failure {
    let name = path.display().to_string();
    match Address::parse(&name) {
        Ok(None) => Failure::io(&name, error),
        // Its own name for itself is without the password.
        Ok(Some(address)) => Failure::new(format!(
            "{address}: this is a server, and logs are read from files"
        ))
        .hint("`aof-tool archive --from ADDRESS -o FOLDER` keeps the log of a server, and `rdb-tool diff FILE ADDRESS` compares its data"),
        Err(failure) => failure,
    }
}
