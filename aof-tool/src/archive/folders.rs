//! The folders of an archive: numbered, each a log of its own.

use super::stream::Writing;
use cairn_format::aof::block::{self, Block};
use cairn_format::aof::manifest::{Manifest, Part, PartType, incr_name, manifest_name};
use cairn_replication::ReplId;
use cairn_toolkit::folder::Folder;
use cairn_toolkit::human::count;
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Output, note};
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Digits of a folder's name.
const DIGITS: usize = 6;
/// Bytes in which the line of a first block fits.
const LINE: u64 = 256;

/// An archive.
pub struct Folders {
    root: PathBuf,
    prefix: String,
}

/// A folder whose snapshot comes.
pub struct Base {
    folder: Folder,
    part: Part,
    path: PathBuf,
    out: Output,
    prefix: String,
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    |error| Failure::io(&path.display().to_string(), &error)
}

/// The folders in `root` that are logs, by their number.
fn folders(root: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_number = name.len() == DIGITS && name.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| Some((name.parse().ok()?, entry.path())))?
        })
        .collect();
    found.sort();
    found
}

fn has_manifest(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().as_encoded_bytes().ends_with(b".manifest"))
}

/// The newest log of an archive, if `root` is one.
pub fn newest(root: &Path) -> Option<PathBuf> {
    let mut logs = folders(root).into_iter().rev();
    logs.find(|(_, folder)| has_manifest(folder))
        .map(|(_, folder)| folder)
}

/// The log of an archive that is the one to look at for this Unix second: the last that began before.
pub fn of_time(root: &Path, second: i64) -> Option<PathBuf> {
    let logs = folders(root).into_iter().rev();
    let mut logs = logs.filter(|(_, folder)| has_manifest(folder)).peekable();
    let mut last = None;
    for (_, folder) in logs.by_ref() {
        let began = began_ms(&folder);
        last = Some(folder);
        if began.is_some_and(|ms| i64::try_from(ms / 1000).unwrap_or(i64::MAX) <= second) {
            break;
        }
    }
    last
}

/// When a log began: its first block says so.
fn began_ms(folder: &Path) -> Option<u64> {
    let mut entries = fs::read_dir(folder).ok()?.flatten();
    let incr =
        entries.find(|entry| entry.file_name().as_encoded_bytes().ends_with(b".incr.aof"))?;
    let mut first = Vec::new();
    let mut head = fs::File::open(incr.path()).ok()?.take(LINE);
    head.read_to_end(&mut first).ok()?;
    let line = first.split(|byte| *byte == b'\r').next()?;
    Block::parse(line).map(|block| block.ms)
}

impl Folders {
    /// An archive that is there, or a new one. A folder whose snapshot never came whole goes.
    pub fn open(root: &Path, prefix: &str) -> Result<Folders, Failure> {
        fs::create_dir_all(root).map_err(failed(root))?;
        for (_, folder) in folders(root) {
            if !has_manifest(&folder) {
                fs::remove_dir_all(&folder).map_err(failed(&folder))?;
            }
        }
        Ok(Folders {
            root: root.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The increment to go on with, cut behind its last whole block.
    pub fn go_on(&self) -> Result<Option<Writing>, Failure> {
        let Some(folder) = newest(&self.root) else {
            return Ok(None);
        };
        let path = folder.join(incr_name(&self.prefix, 1));
        let input = Input::open(&path)?;
        let bytes = input.bytes().unwrap_or_default();
        let found = block::verify(bytes, |at| input.passed(at));
        let (Some(first), Some(last)) = (found.first, found.last) else {
            return Ok(None);
        };
        let Some(id) = ReplId::parse(&last.id) else {
            return Ok(None);
        };
        let cut = bytes.len() as u64 - found.end;
        if cut > 0 && found.wrong.is_some() {
            let name = path.display();
            let line = format!("{name}: the block at offset {} is damaged", found.end);
            return Err(
                Failure::new(line).hint("move this folder away; the archive then begins a new one")
            );
        }
        drop(input);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed(&path))?;
        if cut > 0 {
            let name = path.display();
            note(&format!(
                "{name}: {} bytes that were not whole are cut off",
                count(cut)
            ));
            file.set_len(found.end).map_err(failed(&path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed(&path))?;
        file.sync_all().map_err(failed(&path))?;
        Ok(Some(Writing {
            file,
            path,
            id,
            offset: last.offset,
            size: found.end,
            since_ms: i64::try_from(first.ms).unwrap_or(i64::MAX),
            second: None,
            is_synced: true,
        }))
    }

    /// A new folder, for a snapshot that comes.
    pub fn begin(&self) -> Result<Base, Failure> {
        let last = folders(&self.root).last().map_or(0, |(number, _)| *number);
        let path = self.root.join(format!("{:0DIGITS$}", last + 1));
        let folder = Folder::create(&path, &self.prefix)?;
        let part = folder.base();
        let out = Output::create(&folder.part(&part), &[])?;
        Ok(Base {
            folder,
            part,
            path,
            out,
            prefix: self.prefix.clone(),
        })
    }

    /// Removes what is not to be kept; the newest always stays.
    pub fn prune(&self, keep: Option<u32>, keep_for_ms: Option<u64>) -> Result<(), Failure> {
        let all = folders(&self.root);
        for (index, (_, folder)) in all.iter().enumerate() {
            let newer = all.len() - index - 1;
            // All of it is older than what the next one began with.
            let ended = all.get(index + 1).and_then(|(_, next)| began_ms(next));
            let age = ended.map_or(0, |ms| now_ms().max(0).unsigned_abs().saturating_sub(ms));
            let is_beyond = keep.is_some_and(|keep| newer >= keep as usize)
                || keep_for_ms.is_some_and(|most| age > most);
            if newer > 0 && is_beyond {
                // Without its manifest it is no log any more, whenever this ends.
                let manifest = folder.join(manifest_name(&self.prefix));
                fs::remove_file(&manifest).map_err(failed(&manifest))?;
                fs::remove_dir_all(folder).map_err(failed(folder))?;
                note(&format!("{}: is old, and removed", folder.display()));
            }
        }
        Ok(())
    }
}

impl Base {
    /// Where the snapshot goes.
    pub fn file(&mut self) -> &mut Output {
        &mut self.out
    }

    /// The snapshot is whole: what follows it in the stream of `id` is behind `offset`.
    pub fn finish(self, id: ReplId, offset: u64) -> Result<Writing, Failure> {
        self.out.finish()?;
        let incr = Part::new(incr_name(&self.prefix, 1), 1, PartType::Incr);
        let path = self.folder.part(&incr);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let mut writing = Writing {
            file: file.map_err(failed(&path))?,
            path,
            id,
            offset,
            size: 0,
            since_ms: now_ms(),
            second: None,
            is_synced: false,
        };
        writing.block(b"", 0)?;
        writing.file.flush().map_err(failed(&writing.path))?;
        writing.sync()?;
        self.folder.list(&Manifest {
            base: Some(self.part),
            incr: vec![incr],
            history: Vec::new(),
        })?;
        note(&format!("{}: begins at {id}:{offset}", self.path.display()));
        Ok(writing)
    }
}
