//! Reads and writes of many sockets with one call of the system: io_uring.
//!
//! ```text
//!   read, send  -->  submissions  --+
//!                                   +-- wait: one call for all of them -->  the system
//!   take        <--  completions  --+
//! ```
//!
//! Each place stands for a socket and has one buffer to read into, and one page that is sent. Both are the system's while it is at them: nobody
//! touches a buffer while `reads` is set, nor a page that stands in `sends`, and neither is freed before the system is done with it.
//!
//! All `unsafe` of this program is in this file: the system is given addresses of memory, and must be done with them before the memory goes.
#![allow(unsafe_code)]

use crate::workload::page::Page;
use io_uring::{IoUring, opcode, squeue, types};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// First size of a buffer to read into; it doubles when a read fills it.
const INPUT_BYTES: usize = 4 << 10;
const INPUT_MAX: usize = 64 << 10;
/// Most submissions that wait for a call.
const ENTRIES_MAX: u32 = 4096;
/// Wait for something to come before the first try to read it (`IORING_RECVSEND_POLL_FIRST` of linux/io_uring.h).
const POLL_FIRST: u16 = 1;
/// How long the end waits for what is under way, and how often.
const END_WAIT: Duration = Duration::from_millis(10);
const END_WAITS: usize = 100;

#[derive(Debug)]
struct Place {
    input: Vec<u8>,
    /// The system may write to `input` at any time.
    reads: bool,
    /// The system may read this at any time.
    sends: Option<Page>,
}

/// What the system has done.
#[derive(Debug)]
pub enum Done {
    /// It has read for a place; see [`Ring::bytes`]. Of no bytes: the other side has closed.
    Read(usize, io::Result<usize>),
    /// It has sent all of a page of a place, which comes back, or has given up.
    Sent(usize, Page, io::Result<()>),
}

/// See the head of this file.
pub struct Ring {
    ring: IoUring,
    places: Vec<Place>,
    /// Submissions without a completion yet.
    under_way: usize,
    /// Nothing more is sent: what the system gave up stays so.
    is_ending: bool,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Ring({} of {})", self.under_way, self.places.len())
    }
}

impl Ring {
    /// A ring over these sockets, whose places are their numbers here. It is for the calling thread alone.
    ///
    /// # Errors
    /// The system has none (Linux before 6.1), or does not allow it.
    pub fn new(sockets: &[RawFd]) -> io::Result<Ring> {
        let entries = (2 * sockets.len() as u32).next_power_of_two();
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(entries.clamp(8, ENTRIES_MAX))?;
        ring.submitter().register_files(sockets)?;
        let place = |_| Place {
            input: vec![0; INPUT_BYTES],
            reads: false,
            sends: None,
        };
        Ok(Ring {
            ring,
            places: sockets.iter().map(place).collect(),
            under_way: 0,
            is_ending: false,
        })
    }

    /// Has the system read for a place, once something comes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn read(&mut self, number: usize) -> io::Result<()> {
        let place = &mut self.places[number];
        debug_assert!(!place.reads, "two reads into one buffer");
        place.reads = true;
        let (address, room) = (place.input.as_mut_ptr(), place.input.len() as u32);
        let entry = opcode::Recv::new(types::Fixed(number as u32), address, room)
            // A reply that is there before it is asked for is rare.
            .ioprio(POLL_FIRST)
            .build();
        self.push(entry.user_data(number as u64 * 2))
    }

    /// What the last read of a place brought, `count` bytes.
    pub fn bytes(&self, number: usize, count: usize) -> &[u8] {
        let place = &self.places[number];
        assert!(!place.reads, "the system is at this buffer");
        &place.input[..count]
    }

    /// Whether a page of a place is still on its way.
    pub fn is_sending(&self, number: usize) -> bool {
        self.places[number].sends.is_some()
    }

    /// Has the system send a page.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// If one is on its way.
    pub fn send(&mut self, number: usize, page: Page) -> io::Result<()> {
        assert!(!self.is_sending(number), "two pages at once have no order");
        self.places[number].sends = Some(page);
        self.send_rest(number)
    }

    fn send_rest(&mut self, number: usize) -> io::Result<()> {
        let Some(page) = &self.places[number].sends else {
            return Ok(());
        };
        let (address, count) = (page.rest().as_ptr(), page.rest().len() as u32);
        let entry = opcode::Send::new(types::Fixed(number as u32), address, count)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(entry.user_data(number as u64 * 2 + 1))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: the entry's memory is the heap memory of `input` or `sends` of a place, which stays where it is when the vectors that
            // own it move. Until the completion is taken `reads` and `sends` keep everybody from it, and `drop` outlasts what is under way.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                self.under_way += 1;
                return Ok(());
            }
            self.ring.submit()?;
        }
    }

    /// A place is no more: its socket closes when nothing is under way for it.
    pub fn forget(&mut self, number: usize) {
        // Should it fail, the socket is closed with all the others.
        let _ = self
            .ring
            .submitter()
            .register_files_update(number as u32, &[-1]);
    }

    /// Hands over what was asked for, and waits until something is done, or for so long.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let time = types::Timespec::from(longest);
        let arguments = types::SubmitArgs::new().timespec(&time);
        match self.ring.submitter().submit_with_args(1, &arguments) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time is up, a signal came, or completions are to be taken first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// What is done, one after the other.
    ///
    /// # Errors
    /// Those of the system.
    pub fn take(&mut self) -> io::Result<Option<Done>> {
        loop {
            let next = self.ring.completion().next();
            let Some(entry) = next else {
                return Ok(None);
            };
            self.under_way -= 1;
            let (number, result) = ((entry.user_data() / 2) as usize, entry.result());
            let result = match usize::try_from(result) {
                Ok(count) => Ok(count),
                Err(_) => Err(io::Error::from_raw_os_error(-result)),
            };
            if entry.user_data().is_multiple_of(2) {
                return Ok(Some(self.has_read(number, result)));
            }
            if let Some(done) = self.has_sent(number, result)? {
                return Ok(Some(done));
            }
        }
    }

    fn has_read(&mut self, number: usize, result: io::Result<usize>) -> Done {
        let place = &mut self.places[number];
        place.reads = false;
        let room = place.input.len();
        if matches!(result, Ok(count) if count == room) && room < INPUT_MAX {
            place.input.resize(2 * room, 0);
        }
        Done::Read(number, result)
    }

    fn has_sent(&mut self, number: usize, result: io::Result<usize>) -> io::Result<Option<Done>> {
        let Some(mut page) = self.places[number].sends.take() else {
            debug_assert!(false, "nothing was sent");
            return Ok(None);
        };
        let result = match result {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                page.sent(count);
                if !page.is_empty() && !self.is_ending {
                    self.places[number].sends = Some(page);
                    return self.send_rest(number).map(|()| None);
                }
                Ok(())
            }
            Err(error) => Err(error),
        };
        Ok(Some(Done::Sent(number, page, result)))
    }

    /// Has the system give up what is under way, and waits until it has.
    fn end(&mut self) -> io::Result<()> {
        self.is_ending = true;
        self.ring.submit()?;
        let all = types::CancelBuilder::any();
        // That there is nothing to cancel is an error to the system.
        let _ = self.ring.submitter().register_sync_cancel(None, all);
        for _ in 0..END_WAITS {
            while self.take()?.is_some() {}
            if self.under_way == 0 {
                break;
            }
            self.wait(END_WAIT)?;
        }
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.end().is_err() || self.under_way > 0 {
            // Rather lost than written to by the system when it is somebody else's.
            std::mem::forget(std::mem::take(&mut self.places));
        }
    }
}

#[cfg(test)]
#[path = "../../../toolkit/tests/support/left_out.rs"]
mod left_out;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// A ring over so many sockets, and their other ends; none where the system has no rings.
    fn ring(count: usize) -> Option<(Ring, Vec<UnixStream>, Vec<UnixStream>)> {
        let pairs = (0..count).map(|_| UnixStream::pair().unwrap());
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
        let sockets: Vec<RawFd> = ours.iter().map(AsRawFd::as_raw_fd).collect();
        match Ring::new(&sockets) {
            Ok(ring) => Some((ring, ours, theirs)),
            Err(error) => {
                left_out::left_out("load::ring", &error.to_string());
                None
            }
        }
    }

    fn page(bytes: &[u8]) -> Page {
        let mut page = Page::default();
        page.put(bytes);
        page
    }

    fn next(ring: &mut Ring) -> Done {
        loop {
            if let Some(done) = ring.take().unwrap() {
                return done;
            }
            ring.wait(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn what_is_sent_arrives_and_what_comes_is_read() {
        let Some((mut ring, _ours, mut theirs)) = ring(3) else {
            return;
        };
        for number in 0..3 {
            ring.read(number).unwrap();
            ring.send(number, page(format!("to {number}").as_bytes()))
                .unwrap();
            assert!(ring.is_sending(number));
        }
        for _ in 0..3 {
            assert!(matches!(next(&mut ring), Done::Sent(_, page, Ok(())) if page.is_empty()));
        }
        for (number, stream) in theirs.iter_mut().enumerate() {
            assert!(!ring.is_sending(number));
            let mut got = [0; 4];
            stream.read_exact(&mut got).unwrap();
            assert_eq!(got, *format!("to {number}").as_bytes());
            stream
                .write_all(format!("from {number}").as_bytes())
                .unwrap();
            let Done::Read(from, Ok(6)) = next(&mut ring) else {
                panic!("nothing came");
            };
            assert_eq!(ring.bytes(from, 6), format!("from {number}").as_bytes());
        }
    }

    #[test]
    fn a_page_that_is_longer_than_the_sockets_room_is_sent_whole() {
        let Some((mut ring, _ours, mut theirs)) = ring(1) else {
            return;
        };
        let long: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        ring.send(0, page(&long)).unwrap();
        let mut stream = theirs.remove(0);
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; 3_000_000];
            stream.read_exact(&mut got).map(|()| (got, stream))
        });
        assert!(matches!(next(&mut ring), Done::Sent(0, _, Ok(()))));
        let (got, mut stream) = reader.join().unwrap().unwrap();
        assert!(got == long);
        // And read with buffers that grow.
        let writer = std::thread::spawn(move || stream.write_all(&got));
        let mut read = Vec::new();
        loop {
            ring.read(0).unwrap();
            match next(&mut ring) {
                Done::Read(0, Ok(0)) => break,
                Done::Read(0, Ok(count)) => read.extend_from_slice(ring.bytes(0, count)),
                other => panic!("{other:?}"),
            }
        }
        writer.join().unwrap().unwrap();
        assert!(read == long && ring.places[0].input.len() == INPUT_MAX);
    }

    #[test]
    fn ends_and_failures_are_told_and_time_runs_out() {
        let Some((mut ring, ours, mut theirs)) = ring(2) else {
            return;
        };
        ring.read(0).unwrap();
        ring.wait(Duration::from_millis(1)).unwrap();
        assert!(ring.take().unwrap().is_none(), "nothing was done");
        drop(theirs.remove(0));
        assert!(matches!(next(&mut ring), Done::Read(0, Ok(0))));
        ring.send(0, page(b"to nobody")).unwrap();
        assert!(matches!(next(&mut ring), Done::Sent(0, _, Err(_))));
        // A place that is forgotten closes its socket, once ours is closed, too.
        ring.forget(1);
        drop(ours);
        assert_eq!(theirs[0].read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn nothing_is_under_way_when_it_is_gone() {
        let Some((mut ring, _ours, mut theirs)) = ring(40) else {
            return;
        };
        for number in 0..40 {
            ring.read(number).unwrap();
            ring.send(number, page(&[7; 1 << 20])).unwrap();
        }
        ring.wait(Duration::from_millis(1)).unwrap();
        assert!(ring.under_way > 0);
        ring.end().unwrap();
        assert_eq!(ring.under_way, 0);
        drop(ring);
        // What was sent meanwhile is there, and nothing else comes.
        theirs[3].set_nonblocking(true).unwrap();
        let mut got = Vec::new();
        let _ = theirs[3].read_to_end(&mut got);
        assert!(got.iter().all(|byte| *byte == 7));
    }
}
