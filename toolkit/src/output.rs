//! What a tool writes: a file that appears whole or not at all, or standard output.
//!
//! ```text
//!   create   a temporary file beside the target   .target.Xa81bc
//!   write    buffered, and summed up
//!   finish   flush, read it again and compare the sum, fsync the file, rename it over the target, fsync the folder
//!   drop     without finish: the temporary file is removed, the target was never touched
//! ```
//!
//! A target that is a link is followed, so the file behind it is replaced and the link stays. A file that is replaced gives its
//! mode to the new one and, where we may give files away, its owner and group. A target
//! that is no regular file (`/dev/null`, a pipe) is written to directly: there is nothing to rename.
//!
//! Some work finds out only at its end whether it can be done. [`Output::create_whole`] keeps even standard output
//! back until then, in an unnamed temporary file.

use crate::input::{FileId, Input};
use crate::map::{Litter, Map};
use crate::outcome::{Failure, ReaderGone, plain};
use cairn_format::crc64::Crc64;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

const BUFFER: usize = 1 << 16;
/// Bytes that are compared at once.
const PIECE: usize = 1 << 20;

/// A place for a tool's data. Errors of writes carry the name of the place.
#[derive(Debug)]
pub struct Output {
    name: String,
    place: Place,
    /// Of all that was written to a file that can be read again.
    sum: Crc64,
}

#[derive(Debug)]
enum Place {
    Stdout(BufWriter<io::Stdout>),
    Direct(BufWriter<File>),
    Spool(BufWriter<File>),
    Replace {
        file: BufWriter<NamedTempFile>,
        target: PathBuf,
        litter: Litter,
    },
}

impl Output {
    /// Opens `path` for writing; `-` is standard output. `inputs` are what the tool reads: an output that is one of
    /// them, under whatever name, is refused, because writing would destroy what is being read.
    pub fn create(path: &Path, inputs: &[&Input]) -> Result<Output, Failure> {
        if path == Path::new("-") {
            let output = Output::stdout();
            let id = stdout_id();
            return refuse_same(id, inputs, &output.name).map(|()| output);
        }
        let name = path.display().to_string();
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::io(&name, &error)),
        };
        if let Some(metadata) = &existing {
            refuse_same(Some(FileId::of(metadata)), inputs, &name)?;
        }
        let place = match &existing {
            Some(metadata) if metadata.is_dir() => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            Some(metadata) if !metadata.is_file() => OpenOptions::new()
                .write(true)
                .open(path)
                .map(|file| Place::Direct(BufWriter::with_capacity(BUFFER, file))),
            Some(metadata) => fs::canonicalize(path).and_then(|real| {
                let place = replace(real, metadata.permissions().mode())?;
                keep_owner(&place, metadata)?;
                Ok(place)
            }),
            None => replace(path.to_owned(), 0o666),
        };
        place
            .map(|place| Output {
                name: name.clone(),
                place,
                sum: Crc64::new(),
            })
            .map_err(|error| Failure::of_output(&name, &error))
    }

    /// As [`Output::create`], but standard output too gets all or nothing: its bytes are kept in an unnamed temporary
    /// file until [`Output::finish`].
    pub fn create_whole(path: &Path, inputs: &[&Input]) -> Result<Output, Failure> {
        let mut output = Output::create(path, inputs)?;
        if output.is_stdout() {
            output.place = Output::temporary()?.place;
        }
        Ok(output)
    }

    /// An unnamed temporary file, which is gone with this output: for what is read back ([`Output::read_back`]) before it goes elsewhere.
    pub fn temporary() -> Result<Output, Failure> {
        let name = "temporary file".to_owned();
        let file = tempfile::tempfile().map_err(|error| Failure::io(&name, &error))?;
        Ok(Output {
            name,
            place: Place::Spool(BufWriter::with_capacity(BUFFER, file)),
            sum: Crc64::new(),
        })
    }

    /// Refuses a file that is there, unless it may be replaced.
    pub fn refuse_existing(path: &Path, may_replace: bool) -> Result<(), Failure> {
        match !may_replace && path != Path::new("-") && path.is_file() {
            false => Ok(()),
            true => Err(
                Failure::new(format!("{}: is there already", path.display()))
                    .hint("--force replaces it; nothing was changed"),
            ),
        }
    }

    /// Standard output, buffered. A reader that has gone ends the tool quietly.
    pub fn stdout() -> Output {
        Output {
            name: "stdout".to_owned(),
            place: Place::Stdout(BufWriter::with_capacity(BUFFER, io::stdout())),
            sum: Crc64::new(),
        }
    }

    /// The name for error lines: the path as it was typed, or `stdout`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the data goes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout(_))
    }

    /// Makes the output lasting: only now does a file stand under its name. Standard output is flushed.
    ///
    /// # Errors
    /// What can be read again is not what was written, or the system fails.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        self.compare()?;
        let name = self.name;
        match self.place {
            Place::Stdout(_) | Place::Direct(_) => Ok(()),
            Place::Spool(file) => hand_over(
                file.into_inner()
                    .map_err(|error| Failure::io(&name, error.error()))?,
            ),
            Place::Replace {
                file,
                target,
                litter,
            } => {
                let result = persist(file, &target);
                drop(litter);
                result.map_err(|error| Failure::io(&name, &error))
            }
        }
    }

    /// Reads a file again, and compares it with what was written.
    fn compare(&mut self) -> Result<(), Failure> {
        let Some(file) = self.reopened()? else {
            return Ok(());
        };
        let failed = |error: io::Error| Failure::io(&self.name, &error);
        let mut sum = Crc64::new();
        // Nothing cannot be mapped.
        if file.metadata().map_err(failed)?.len() > 0 {
            let map = Map::new(&file, &self.name).map_err(failed)?;
            for (number, piece) in map.chunks(PIECE).enumerate() {
                sum.update(piece);
                map.passed(number * PIECE);
            }
        }
        match sum.value() == self.sum.value() {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "{}: what can be read again is not what was written",
                self.name
            ))
            .hint("nothing was kept of it; the disk may be failing, or somebody else wrote there")),
        }
    }

    /// What was written so far, to be read before it is made lasting; `None` where that cannot be: a pipe, a device.
    pub fn read_back(&mut self) -> Result<Option<Input>, Failure> {
        let file = self.reopened()?;
        file.map(|file| Input::of_file(file, &self.name))
            .transpose()
    }

    /// The same as a file at its begin.
    pub fn reopened(&mut self) -> Result<Option<File>, Failure> {
        self.flush()?;
        let file = match &self.place {
            Place::Stdout(_) | Place::Direct(_) => return Ok(None),
            Place::Spool(file) => file.get_ref().try_clone(),
            Place::Replace { file, .. } => File::open(file.get_ref().path()),
        };
        file.map(Some)
            .map_err(|error| Failure::io(&self.name, &error))
    }

    fn named(&self, error: io::Error) -> io::Error {
        if error.kind() == ErrorKind::BrokenPipe && self.is_stdout() {
            return io::Error::new(ErrorKind::BrokenPipe, ReaderGone);
        }
        io::Error::new(error.kind(), format!("{}: {}", self.name, plain(&error)))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = match &mut self.place {
            Place::Stdout(out) => out.write(bytes),
            Place::Direct(out) => out.write(bytes),
            Place::Spool(out) => summed(out.write(bytes), bytes, &mut self.sum),
            Place::Replace { file, .. } => summed(file.write(bytes), bytes, &mut self.sum),
        };
        result.map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = match &mut self.place {
            Place::Stdout(out) => out.flush(),
            Place::Direct(out) | Place::Spool(out) => out.flush(),
            Place::Replace { file, .. } => file.flush(),
        };
        result.map_err(|error| self.named(error))
    }
}

/// Takes into the sum what was written.
fn summed(written: io::Result<usize>, bytes: &[u8], sum: &mut Crc64) -> io::Result<usize> {
    if let Ok(count) = written {
        sum.update(&bytes[..count]);
    }
    written
}

fn hand_over(mut file: File) -> Result<(), Failure> {
    let mut stdout = Output::stdout();
    file.seek(SeekFrom::Start(0))
        .map_err(|error| Failure::io("temporary file", &error))?;
    io::copy(&mut file, &mut stdout)?;
    stdout.finish()
}

fn replace(target: PathBuf, mode: u32) -> io::Result<Place> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EISDIR))?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let file = Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(mode & 0o7777))
        .tempfile_in(folder_of(&target))?;
    let litter = Litter::watch(file.path());
    Ok(Place::Replace {
        file: BufWriter::with_capacity(BUFFER, file),
        target,
        litter,
    })
}

/// Gives a new file the owner and group of the one that it will replace, as far as the system lets us. Who may not give it away
/// writes a file of their own, as `cp` would.
fn keep_owner(place: &Place, old: &Metadata) -> io::Result<()> {
    let Place::Replace { file, .. } = place else {
        return Ok(());
    };
    let file = file.get_ref().as_file();
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    match fchown(file, Some(old.uid()), Some(old.gid())) {
        // A change of owner takes set-user-id and set-group-id away.
        Ok(()) => file.set_permissions(Permissions::from_mode(old.mode() & 0o7777)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn persist(file: BufWriter<NamedTempFile>, target: &Path) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(target).map_err(|error| error.error)?;
    // The rename is lasting only once the folder is; some file systems cannot sync one and say EINVAL.
    match File::open(folder_of(target)).and_then(|folder| folder.sync_all()) {
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn refuse_same(id: Option<FileId>, inputs: &[&Input], name: &str) -> Result<(), Failure> {
    match inputs
        .iter()
        .find(|input| id.is_some() && input.bytes().is_some() && input.id() == id)
    {
        None => Ok(()),
        Some(input) => Err(Failure::new(format!(
            "{name}: output is the same file as the input {}",
            input.name()
        ))
        .hint("write to another name; nothing was changed")),
    }
}

fn stdout_id() -> Option<FileId> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    file.metadata().ok().map(|metadata| FileId::of(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_with_finish_and_never_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut output = Output::create(&path, &[]).unwrap();
        output.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(output);
        assert!(names(folder.path()).is_empty());
        let mut output = Output::create(&path, &[]).unwrap();
        output.write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_that_reads_back_otherwise_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, b"before").unwrap();
        let mut output = Output::create(&path, &[]).unwrap();
        output.write_all(b"first").unwrap();
        output.flush().unwrap();
        let temporary = names(folder.path()).into_iter().find(|name| name != "out");
        let temporary = folder.path().join(temporary.unwrap());
        let mut other = OpenOptions::new().write(true).open(temporary).unwrap();
        other.write_all(b"F").unwrap();
        output.write_all(b" and second").unwrap();
        let failure = output.finish().unwrap_err();
        let line = format!(
            "{}: what can be read again is not what was written",
            path.display()
        );
        assert_eq!(failure.line(), Some(&line[..]));
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(fs::read(&path).unwrap(), b"before");
    }

    #[test]
    fn an_input_is_refused_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        fs::write(&path, b"data").unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("soft")).unwrap();
        fs::hard_link(&path, folder.path().join("hard")).unwrap();
        let input = Input::open(&path).unwrap();
        for name in ["in", "soft", "hard", "./in"] {
            let failure = Output::create(&folder.path().join(name), &[&input]).unwrap_err();
            assert!(
                failure.line().unwrap().contains("same file as the input"),
                "{failure:?}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let mut output = Output::create(&link, &[]).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }

    #[test]
    fn the_owner_stays_where_files_may_be_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"old").unwrap();
        // Only the superuser may; anybody else can keep only what is their own already.
        let own = fs::metadata(&path).unwrap();
        let owner = match own.uid() {
            0 => (65_534, 12),
            uid => (uid, own.gid()),
        };
        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o2640)).unwrap();
        let mut output = Output::create(&path, &[]).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        let now = fs::metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid()), owner);
        assert_eq!(now.mode() & 0o7777, 0o2640);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn devices_are_written_to_and_stay_devices() {
        let mut output = Output::create(Path::new("/dev/null"), &[]).unwrap();
        output.write_all(b"gone").unwrap();
        output.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
