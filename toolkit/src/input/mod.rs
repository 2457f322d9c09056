//! What a tool reads: a path, `-` for standard input, or the address of a server.
//!
//! | what | how |
//! |---|---|
//! | a regular file | mapped, so that readers work over one slice without copies |
//! | a pipe, or a file that seems empty, as under `/proc` | streamed |
//! | a file or pipe whose first bytes are those of gzip, zstd or lz4 | streamed, and what is in it is the input |
//! | `redis://host:port` | streamed, the snapshot that the server sends ([`crate::remote`]) |

mod packed;

use crate::kind::first_of;
use crate::map::Map;
use crate::outcome::{Failure, tool_name};
use crate::remote::{self, Address};
use packed::Codec;
use std::cell::{RefCell, RefMut};
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Cursor, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Bytes of a compressed stream that are read at once.
const PACKED_BUFFER: usize = 256 << 10;

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
    /// The bytes of a map were compressed before they were written to a temporary file.
    was_packed: bool,
}

/// Where the bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A regular file: all bytes at once.
    Mapped(Map),
    /// Anything else, to be read from front to back once.
    Stream(Stream),
}

impl Source {
    fn flow(flow: Flow) -> Source {
        Source::Stream(Stream(RefCell::new(flow)))
    }
}

/// Bytes that come one after the other, once.
pub struct Stream(RefCell<Flow>);

/// A stream before and after its first byte was asked for: opening does not wait for whoever writes it.
enum Flow {
    Unread(Option<File>),
    Plain(Box<dyn Read + Send>),
    Packed(Box<dyn Read + Send>),
}

impl Flow {
    /// Looks whether the bytes are compressed.
    fn begin(file: File) -> io::Result<Flow> {
        let mut file = file;
        let first = first_of(&mut file)?;
        let codec = Codec::of(&first);
        let whole = Cursor::new(first).chain(file);
        Ok(match codec {
            None => Flow::Plain(Box::new(whole)),
            Some(codec) => {
                let whole = BufReader::with_capacity(PACKED_BUFFER, whole);
                Flow::Packed(codec.undo(Box::new(whole))?)
            }
        })
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

/// The one who reads a stream.
struct Reading<'a>(RefMut<'a, Flow>);

impl Read for Reading<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Flow::Unread(file) = &mut *self.0 {
            // Without a file the first look has failed already.
            let Some(file) = file.take() else {
                return Ok(0);
            };
            *self.0 = Flow::begin(file)?;
        }
        match &mut *self.0 {
            Flow::Plain(source) | Flow::Packed(source) => source.read(out),
            Flow::Unread(_) => Ok(0),
        }
    }
}

impl Input {
    /// Opens `path`; `-` is standard input, `redis://...` a server.
    pub fn open(path: &Path) -> Result<Input, Failure> {
        Input::open_with(path, remote::Way::Snapshot)
    }

    /// The same; `way` says how a server is asked for its data.
    pub fn open_with(path: &Path, way: remote::Way) -> Result<Input, Failure> {
        if path == Path::new("-") {
            return Input::stdin().map_err(|error| Failure::io("stdin", &error));
        }
        let name = path.display().to_string();
        if let Some(address) = Address::parse(&name)? {
            return Ok(Input {
                name: address.to_string(),
                id: None,
                source: Source::flow(Flow::Plain(remote::open(&address, way)?)),
                was_packed: false,
            });
        }
        let metadata = path
            .metadata()
            .map_err(|error| Failure::io(&name, &error))?;
        let file_type = metadata.file_type();
        if file_type.is_char_device() || file_type.is_block_device() {
            let line = format!("{name}: is a device, not a file");
            let advice = format!(
                "`cat {name} | {} ... -` reads what comes from it",
                tool_name()
            );
            return Err(Failure::new(line).hint(advice));
        }
        File::open(path)
            .and_then(|file| Input::new(file, name.clone()))
            .map_err(|error| Failure::io(&name, &error))
    }

    /// An open file, which error lines call `name`.
    pub fn of_file(file: File, name: &str) -> Result<Input, Failure> {
        Input::new(file, name.to_owned()).map_err(|error| Failure::io(name, &error))
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
                let source = Source::flow(Flow::Unread(Some(file)));
                Ok(Input {
                    name,
                    id,
                    source,
                    was_packed: false,
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
            true => {
                let map = Map::new(&file, &name)?;
                match Codec::of(&map) {
                    None => Source::Mapped(map),
                    Some(codec) => {
                        Source::flow(Flow::Packed(codec.undo(Box::new(Cursor::new(map)))?))
                    }
                }
            }
            false => Source::flow(Flow::Unread(Some(file))),
        };
        Ok(Input {
            name,
            id,
            source,
            was_packed: false,
        })
    }

    /// The same bytes mapped: what is no file, or compressed, is written to a temporary file without a name first.
    pub fn into_mapped(self) -> Result<Input, Failure> {
        if self.bytes().is_some() {
            return Ok(self);
        }
        let failed = |error: io::Error| Failure::io("temporary file", &error);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut buffer = vec![0; PACKED_BUFFER];
        let mut reader = self.reader();
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => file.write_all(&buffer[..read]).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io(&self.name, &error)),
            }
        }
        drop(reader);
        let input = Input::of_file(file, &self.name)?;
        Ok(Input {
            id: self.id,
            was_packed: self.is_packed(),
            ..input
        })
    }

    /// The name for error lines: the path as it was typed, `stdin`, or the address of a server without its password.
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

    /// Whether the bytes were compressed, so that offsets in them are no offsets in the file. Of a pipe that is known when the
    /// first of them was read.
    pub fn is_packed(&self) -> bool {
        let Source::Stream(stream) = &self.source else {
            return self.was_packed;
        };
        // Whoever reads it holds it, and knows what came.
        let flow = stream.0.try_borrow();
        flow.is_ok_and(|flow| matches!(*flow, Flow::Packed(_)))
    }

    /// All bytes, if the input is mapped.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Mapped(map) => Some(map),
            Source::Stream(_) => None,
        }
    }

    /// The reader of a mapped input has come to `at`; see [`Map::passed`].
    #[inline]
    pub fn passed(&self, at: u64) {
        if let Source::Mapped(map) = &self.source {
            map.passed(usize::try_from(at).unwrap_or(usize::MAX));
        }
    }

    /// The bytes as a slice or as a stream: the two ways in which readers of `format` take them.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// A reader from the start of a mapped input, or from where the stream stands. Not buffered. A stream has one reader at a
    /// time.
    pub fn reader(&self) -> Box<dyn Read + '_> {
        match &self.source {
            Source::Mapped(map) => Box::new(&map[..]),
            Source::Stream(stream) => Box::new(Reading(stream.0.borrow_mut())),
        }
    }
}

#[cfg(test)]
mod tests;
