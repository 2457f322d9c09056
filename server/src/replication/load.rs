//! A snapshot of the primary on its way to being the data of this server.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;

use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::load::Loader;

use crate::files::snapshot::SyncingWriter;

/// Where a snapshot is read from.
pub type Reading = Box<dyn Read>;

/// Bytes that have come and were not understood from which on the socket is not read.
const FEED_MAX: usize = 1 << 20;

/// What has come of a snapshot and was not understood yet. Both ends are clones of one.
#[derive(Clone, Default)]
pub struct Feed(Rc<RefCell<Queue>>);

#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Feed {
    /// Number of bytes.
    pub fn waiting(&self) -> usize {
        self.0.borrow().bytes.len()
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Whether nothing more comes.
    pub fn has_ended(&self) -> bool {
        self.0.borrow().ended
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut queue = self.0.borrow_mut();
        if queue.bytes.is_empty() && !queue.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        queue.bytes.read(into)
    }
}

/// Where the keys of a snapshot go.
pub enum Goes {
    /// Nowhere: it is read to learn whether it can be read, one small part after the other.
    Nowhere(Box<Keyspace>),
    /// Beside the data, which it takes the place of when it is whole.
    Beside(Box<Keyspace>),
    /// In the place of the old data, which is gone.
    InPlace,
}

/// What clients of this server hear meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The data that is there.
    OldData,
    /// The data that is there, which is of the same history: nothing is saved, and no role changes (`async_loading`).
    SameHistory,
    /// That the data is being loaded.
    Nothing,
}

/// A snapshot on the disk, as it comes.
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// While it comes.
    pub file: Option<SyncingWriter>,
}

/// A snapshot of the primary: written to the disk, if it is to be there, and read.
pub struct Load {
    /// What the log calls it.
    pub name: PathBuf,
    /// How far it is read; none before its header has come.
    pub loader: Option<Loader<Reading>>,
    /// Where its keys go.
    pub goes: Goes,
    /// What clients hear.
    pub serving: Serving,
    /// Its bytes as they come.
    pub feed: Option<Feed>,
    /// The copy of it on the disk.
    pub copy: Option<Copy>,
    /// Keys asked of it.
    pub keys: u64,
    /// The log was on before the old data went.
    pub log_was_on: bool,
    /// Nobody wants it any more.
    pub given_up: bool,
    /// All that has come is read.
    pub waits: bool,
    /// More has come than is kept: the socket was left unread.
    pub held_back: bool,
}

impl Load {
    /// Of bytes that come.
    pub fn arriving(goes: Goes, serving: Serving, copy: Option<Copy>) -> Load {
        Load {
            name: match &copy {
                Some(copy) => copy.path.clone(),
                None => PathBuf::from("the snapshot of the primary"),
            },
            loader: None,
            goes,
            serving,
            feed: Some(Feed::default()),
            copy,
            keys: 0,
            log_was_on: false,
            given_up: false,
            waits: true,
            held_back: false,
        }
    }

    /// Whether the data from before is there still.
    pub fn keeps_old(&self) -> bool {
        !matches!(self.goes, Goes::InPlace)
    }

    /// Whether there is as much of it as is kept.
    pub(super) fn holds_back(&mut self) -> bool {
        self.held_back = self
            .feed
            .as_ref()
            .is_some_and(|feed| feed.waiting() >= FEED_MAX);
        self.held_back
    }

    /// Whether there is nothing to do before more of it comes.
    pub fn is_idle(&self) -> bool {
        self.waits && !self.given_up
    }
}

/// The snapshot's bytes as they come.
impl Write for Load {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = self.copy.as_mut().and_then(|copy| copy.file.as_mut()) {
            file.write_all(bytes)?;
        }
        if let Some(feed) = &self.feed {
            feed.0.borrow_mut().bytes.extend(bytes);
        }
        self.waits = false;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
