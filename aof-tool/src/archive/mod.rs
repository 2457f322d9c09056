//! `aof-tool archive`: the log of a living server, kept elsewhere, as a replica.
//!
//! ```text
//!   DIR/000001/appendonly.aof.manifest          a log in parts, as servers and all commands of this tool read it
//!             /appendonly.aof.1.base.rdb        the snapshot that the server made for us
//!             /appendonly.aof.1.incr.aof        what came since, in blocks with time, place and checksum (format/src/aof/block.rs)
//!      /000002/...                              from the next full resynchronisation on
//! ```
//!
//! What is told to the server as received (REPLCONF ACK) is on the disk then: what it acknowledges to WAIT is in the archive, whichever side
//! ends when. After a cut, of the connection or of this program, the stream goes on behind the last block that is whole; only where the
//! server has no such place any more a new folder begins. Old folders stay until they are pruned, so what a server lost that came back without its
//! data is still there.

mod folders;
mod stream;

pub use folders::{newest, of_time};

use crate::convert::file_name;
use cairn_format::resp::value::write_command;
use cairn_replication::link::{About, Failure as Lost, Link, Order, Resume};
use cairn_toolkit::folder::PREFIX;
use cairn_toolkit::remote::{Address, Place, Stream};
use cairn_toolkit::select::{bytes, milliseconds};
use cairn_toolkit::{Failure, Outcome, note};
use clap::Args;
use folders::Folders;
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use stream::{Incoming, Writing};

/// The options of `aof-tool archive`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool archive --from redis://db:6379 -o /backup/db
  aof-tool archive --from redis://db:6379 -o /backup/db --rotate 4gb --rotate-every 1d --keep 14
  aof-tool restore --until time:1795400892 /backup/db -o saved.aof
  aof-tool check /backup/db/000003

Follows the server as a replica does, with the right to do so, until it is interrupted. Each folder below DIR is a log of its own; a new one begins where the
server cannot go on, and at each rotation, which costs it a fork. `restore` takes DIR for the folder of its moment, other commands for the newest.

Exit status: 2 it could not begin; else that of the signal that ended it.")]
pub struct ArchiveArguments {
    /// The server: redis://user:password@host:port, rediss:// over TLS
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// The folder of the archive; one that is there goes on
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Begin a new folder when the last has so many bytes of commands: 4gb
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rotate: Option<u64>,
    /// Begin a new folder when the last is so old: 1d
    #[arg(long, value_name = "TIME", value_parser = time)]
    rotate_every: Option<u64>,
    /// Keep so many folders, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Remove folders all of which is older than this: 30d
    #[arg(long, value_name = "TIME", value_parser = time)]
    keep_for: Option<u64>,
    /// What the files are called (appendfilename)
    #[arg(long, default_value = PREFIX, value_name = "NAME", value_parser = file_name)]
    name: String,
}

fn size(text: &str) -> Result<u64, String> {
    let known = bytes(text).filter(|size| *size > 0);
    known.ok_or_else(|| "expected a size as in 4gb".to_owned())
}

fn time(text: &str) -> Result<u64, String> {
    let known = milliseconds(text).filter(|time| *time > 0);
    known.ok_or_else(|| "expected a time as in 1d or 12h".to_owned())
}

/// Silence after which a connection is given up, milliseconds.
const SILENCE_MS: u64 = 60_000;
/// Longest wait for bytes, so that the time is looked at.
const TICK: Duration = Duration::from_millis(200);
/// Between two words of how far we are.
const ACK_MS: u64 = 1000;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// The newest version of snapshots: all that a server may send is kept as it is.
const READS: u32 = 15;

/// Follow the server.
pub fn run(arguments: &ArchiveArguments) -> Outcome {
    let address = Address::parse(&arguments.from)?.ok_or_else(|| {
        Failure::new(format!("{}: is no address", arguments.from))
            .hint("--from redis://user:password@host:port")
    })?;
    let folders = Folders::open(&arguments.output, &arguments.name)?;
    let Place::Tcp(host, port) = address.place().clone() else {
        return Err(Failure::new("expected an address as in redis://host:6379"));
    };
    let mut archive = Archive {
        arguments,
        link: Link::new(&host, port, 0),
        writing: folders.go_on()?,
        folders,
        address,
        began: Instant::now(),
        anew: false,
    };
    // Who cannot begin is told at once; who was there once is waited for.
    let mut stream = Some(archive.connect()?);
    loop {
        archive.follow(&mut stream)?;
        while !archive.link.is_due(archive.now_ms()) {
            thread::sleep(TICK);
        }
        stream = archive.connect().ok();
    }
}

struct Archive<'a> {
    arguments: &'a ArchiveArguments,
    address: Address,
    link: Link,
    folders: Folders,
    /// The increment that is written.
    writing: Option<Writing>,
    began: Instant,
    /// A new folder is wanted: no place to go on from is told.
    anew: bool,
}

/// Why a connection is left.
enum Left {
    Lost(Lost),
    /// The archive cannot go on, whoever sends.
    Failed(Failure),
}

impl From<Failure> for Left {
    fn from(failure: Failure) -> Left {
        Left::Failed(failure)
    }
}

impl Archive<'_> {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn connect(&self) -> Result<Stream, Failure> {
        let (address, name) = (&self.address, self.address.to_string());
        Stream::connect(address.place(), address.tls(), &name, TICK)
    }

    /// Follows one connection to its end.
    fn follow(&mut self, stream: &mut Option<Stream>) -> Result<(), Failure> {
        let left = match stream {
            Some(stream) => self.talk(stream),
            None => Err(Left::Lost(Lost::soon("could not connect"))),
        };
        let lost = match left {
            Ok(()) => Lost::at_once("a new folder begins"),
            Err(Left::Lost(lost)) => lost,
            Err(Left::Failed(failure)) => return Err(failure),
        };
        let now_ms = self.now_ms();
        self.link
            .failed(lost, now_ms, u64::from(std::process::id()));
        self.tell();
        Ok(())
    }

    fn tell(&mut self) {
        self.link.take_lines().iter().for_each(|line| note(line));
    }

    fn about(&self) -> About {
        let sign = self.address.sign();
        let text = |word: &Option<String>| word.clone().unwrap_or_default().into_bytes();
        let place = self.writing.as_ref().filter(|_| !self.anew);
        About {
            user: text(&sign.user),
            password: text(&sign.password),
            reads: READS,
            resume: place.map(|writing| Resume {
                id: writing.id,
                from: writing.offset + 1,
            }),
            ..About::default()
        }
    }

    /// From the first word to the last block; comes back where a new folder is to begin.
    fn talk(&mut self, stream: &mut Stream) -> Result<(), Left> {
        let first = self.link.connected(self.now_ms());
        send(stream, &first)?;
        let mut input: Vec<u8> = Vec::new();
        let mut base = None;
        while !self.link.is_up() {
            let (taken, order) = self.understand(&input, &mut base)?;
            input.drain(..taken);
            match order {
                Order::Send(bytes) => send(stream, &bytes)?,
                Order::Open(_) => base = Some(self.folders.begin()?),
                Order::Load => {
                    let given = self.link.given();
                    let (Some(new), Some((id, offset))) = (base.take(), given) else {
                        return Err(Left::Lost(Lost::later(
                            "the server gave no place in its stream",
                        )));
                    };
                    self.writing = Some(new.finish(id, offset)?);
                    self.anew = false;
                    self.prune()?;
                    self.link.loaded(self.now_ms());
                }
                Order::Continue(id) => {
                    if let (Some(writing), Some(id)) = (&mut self.writing, id) {
                        writing.id = id;
                    }
                }
                Order::Reject => {}
                Order::Fail(lost) => return Err(Left::Lost(lost)),
                Order::Wait if taken == 0 => self.receive(stream, &mut input)?,
                Order::Wait => {}
            }
            self.tell();
        }
        self.stream(stream, input)
    }

    fn understand(
        &mut self,
        input: &[u8],
        base: &mut Option<folders::Base>,
    ) -> Result<(usize, Order), Left> {
        let (about, now_ms) = (self.about(), self.now_ms());
        let mut nowhere = io::sink();
        let file: &mut dyn Write = match base {
            Some(base) => base.file(),
            None => &mut nowhere,
        };
        self.link
            .input(input, &about, now_ms, file)
            .map_err(|error| Left::Failed(Failure::from(error)))
    }

    /// Waits a moment for more bytes; looks at the time.
    fn receive(&mut self, stream: &mut Stream, input: &mut Vec<u8>) -> Result<(), Left> {
        let old = input.len();
        input.resize(old + CHUNK, 0);
        let read = stream.read(&mut input[old..]);
        input.truncate(old + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                let lost = self.link.lost();
                Err(Left::Lost(
                    lost.unwrap_or_else(|| Lost::soon("closed by the server")),
                ))
            }
            Ok(_) => {
                let now_ms = self.now_ms();
                self.link.heard(now_ms);
                Ok(())
            }
            Err(error) if is_pause(&error) => {
                let now_ms = self.now_ms();
                match self.link.tick(now_ms, SILENCE_MS) {
                    Some(lost) => Err(Left::Lost(lost)),
                    None => Ok(()),
                }
            }
            Err(error) => Err(Left::Lost(Lost::soon(error.to_string()))),
        }
    }

    /// Writes down what comes, and says how far that is.
    fn stream(&mut self, stream: &mut Stream, rest: Vec<u8>) -> Result<(), Left> {
        let mut incoming = Incoming::new(rest);
        let mut acked_ms = 0;
        loop {
            let Some(writing) = &mut self.writing else {
                return Err(Left::Lost(Lost::later("no place in the stream is known")));
            };
            let asked = incoming.write_whole(writing).map_err(|error| match error {
                stream::Wrong::Stream(what) => Left::Lost(Lost::later(what)),
                stream::Wrong::File(failure) => Left::Failed(failure),
            })?;
            let is_due = writing.is_full(self.arguments.rotate, self.arguments.rotate_every);
            let now_ms = self.now_ms();
            if asked || now_ms >= acked_ms + ACK_MS {
                self.acknowledge(stream)?;
                acked_ms = now_ms;
            }
            if is_due {
                self.anew = true;
                return Ok(());
            }
            self.receive(stream, incoming.buffer())?;
        }
    }

    /// What was written is on the disk before the server hears of it.
    fn acknowledge(&mut self, stream: &mut Stream) -> Result<(), Left> {
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        writing.sync()?;
        let offset = writing.offset.to_string();
        let mut bytes = Vec::new();
        write_command(&mut bytes, &["REPLCONF", "ACK", &offset]);
        send(stream, &bytes)
    }

    fn prune(&self) -> Result<(), Failure> {
        self.folders
            .prune(self.arguments.keep, self.arguments.keep_for)
    }
}

fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Left> {
    let sent = stream.write_all(bytes).and_then(|()| stream.flush());
    sent.map_err(|error| Left::Lost(Lost::soon(error.to_string())))
}

fn is_pause(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
