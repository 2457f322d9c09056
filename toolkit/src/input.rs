//! What a tool reads: a path, or `-` for standard input.
//!
//! A regular file is mapped, so that readers work over one slice without copies; everything else (pipes,
//! devices, empty files that are not really empty, as under `/proc`) is streamed.

use crate::map::Map;
use crate::outcome::Failure;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file on which device; equal for all names and links of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> FileId {
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// An opened input and the name that error lines give it.
#[derive(Debug)]
pub struct Input {
    name: String,
    id: Option<FileId>,
    source: Source,
}

/// Where the bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A regular file: all bytes at once.
    Mapped(Map),
    /// Anything else, to be read from front to back once.
    Stream(File),
}

impl Input {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Input, Failure> {
        if path == Path::new("-") {
            return Input::stdin().map_err(|error| Failure::io("stdin", &error));
        }
        let name = path.display().to_string();
        File::open(path)
            .and_then(|file| Input::new(file, name.clone()))
            .map_err(|error| Failure::io(&name, &error))
    }

    /// Standard input, mapped too when it is a regular file read from its start.
    fn stdin() -> io::Result<Input> {
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let name = "stdin".to_owned();
        match io::Seek::stream_position(&mut &file) {
            Ok(0) => Input::new(file, name),
            // Somebody has read a part already, or it is a pipe: go on from where it stands.
            _ => {
                let id = Some(FileId::of(&file.metadata()?));
                Ok(Input {
                    name,
                    id,
                    source: Source::Stream(file),
                })
            }
        }
    }

    fn new(file: File, name: String) -> io::Result<Input> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        let id = Some(FileId::of(&metadata));
        let source = match metadata.is_file() && metadata.len() > 0 {
            true => Source::Mapped(Map::new(&file, &name)?),
            false => Source::Stream(file),
        };
        Ok(Input { name, id, source })
    }

    /// The name for error lines: the path as it was typed, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which file this is.
    pub fn id(&self) -> Option<FileId> {
        self.id
    }

    /// Length in bytes if known beforehand.
    pub fn len(&self) -> Option<u64> {
        self.bytes().map(|bytes| bytes.len() as u64)
    }

    /// Whether the input is known to hold nothing; a stream is not known.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// All bytes, if the input is mapped.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Mapped(map) => Some(map),
            Source::Stream(_) => None,
        }
    }

    /// The bytes as a slice or as a stream: the two ways in which readers of `format` take them.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// A reader from the start of a mapped input, or from where the stream stands. Not buffered.
    pub fn reader(&self) -> Box<dyn Read + '_> {
        match &self.source {
            Source::Mapped(map) => Box::new(&map[..]),
            Source::Stream(file) => Box::new(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_are_mapped_and_links_share_their_id() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        File::create(&path).unwrap().write_all(b"abc").unwrap();
        let link = folder.path().join("b");
        std::fs::hard_link(&path, &link).unwrap();
        let (a, b) = (Input::open(&path).unwrap(), Input::open(&link).unwrap());
        assert_eq!((a.bytes(), a.len()), (Some(&b"abc"[..]), Some(3)));
        assert!(a.id().is_some());
        assert_eq!(a.id(), b.id());
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let line = Input::open(folder.path())
            .unwrap_err()
            .line()
            .unwrap()
            .to_owned();
        assert!(line.ends_with(": is a directory"), "{line}");
        let line = Input::open(&folder.path().join("no"))
            .unwrap_err()
            .line()
            .unwrap()
            .to_owned();
        assert!(line.ends_with("/no: no such file or directory"), "{line}");
    }

    #[test]
    fn an_empty_file_is_a_stream_of_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let input = Input::open(file.path()).unwrap();
        assert!(input.bytes().is_none());
        let mut all = Vec::new();
        input.reader().read_to_end(&mut all).unwrap();
        assert!(all.is_empty());
    }
}
