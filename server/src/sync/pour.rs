//! A snapshot on its way from the child that writes it to the sockets of replicas.
//!
//! ```text
//!   child --pipe--> chunk --the same bytes--> output of each replica
//! ```
//! The pipe is read while every replica has room, so the slowest holds all of them: nobody has more than a window of it waiting, however
//! many there are. Who takes nothing at all for `repl-timeout` goes.

use std::io;

use bytes::Bytes;
use cairn_engine::Engine;
use cairn_replication::ReplId;
use cairn_replication::primary::PeerId;
use mio::{Interest, Token};

use crate::front::Front;
use crate::host::Pipe;
use crate::keeper::SyncEnd;
use crate::net::{CHILD_PIPE, Cause, TURN_MAX};
use crate::replication::{Pouring, fresh_id};

/// Bytes that wait for one socket from which on the pipe is left alone.
const WINDOW: usize = 1 << 20;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// A child writes into this pipe from now on. Answers the marker that will end it.
pub(super) fn begin(front: &mut Front, mut pipe: Box<dyn Pipe>) -> ReplId {
    let registry = &front.clients.registry;
    if let Err(error) = registry.register(&mut *pipe, Token(CHILD_PIPE), Interest::READABLE) {
        // It is read all the same, only without waiting for it to have something.
        front
            .log
            .warning(format_args!("Watching the child's pipe: {error}"));
    }
    front.replication.pouring = Some(Pouring {
        pipe: Some(pipe),
        buffer: vec![0; CHUNK],
        is_readable: true,
        child: None,
    });
    // Not one that anything else is called by.
    fresh_id(&*front.host)
}

/// The poll says that there is something in the pipe.
pub fn pipe_is_ready(front: &mut Front) {
    if let Some(pouring) = &mut front.replication.pouring {
        pouring.is_readable = true;
    }
}

/// The child has ended.
pub(super) fn child_ended(front: &mut Front, end: SyncEnd) {
    let Some(pouring) = &mut front.replication.pouring else {
        debug_assert!(false, "a pipe that nobody reads");
        return;
    };
    pouring.child = Some(end == SyncEnd::Piped);
    pouring.is_readable = true;
}

/// Moves what is in the pipe; answers whether the child wrote all of it once it has ended and the pipe is empty.
pub(super) fn go_on(front: &mut Front) -> Option<bool> {
    let mut moved = 0;
    while has_work(front) && moved < TURN_MAX {
        moved += pump(front);
    }
    let pouring = front.replication.pouring.as_ref()?;
    let ended = match pouring.child? {
        true => pouring.pipe.is_none(),
        false => true,
    };
    if !ended {
        return None;
    }
    close(front);
    let pouring = front.replication.pouring.take()?;
    pouring.child
}

/// Whether there is something in the pipe, and every socket has room for it.
pub fn has_work(front: &Front) -> bool {
    let Some(pouring) = &front.replication.pouring else {
        return false;
    };
    let is_full = |peer: PeerId| {
        let connection = front.clients.connections.get(peer as usize);
        connection.is_some_and(|connection| connection.output.pending() >= WINDOW)
    };
    pouring.pipe.is_some()
        && pouring.is_readable
        && !front.replication.primary.streamed().any(is_full)
}

/// One read; answers how much it brought.
fn pump(front: &mut Front) -> usize {
    let Some(pouring) = &mut front.replication.pouring else {
        return 0;
    };
    let Some(pipe) = &mut pouring.pipe else {
        return 0;
    };
    match pipe.read(&mut pouring.buffer) {
        Ok(0) => {
            close(front);
            let left = front.replication.primary.streamed().count();
            front.log.notice(format_args!(
                "Diskless rdb transfer, done reading from pipe, {left} replicas still up."
            ));
            0
        }
        Ok(count) => {
            let bytes = Bytes::copy_from_slice(&pouring.buffer[..count]);
            let peers: Vec<PeerId> = front.replication.primary.streamed().collect();
            for peer in peers {
                if let Some(connection) = front.clients.connections.get_mut(peer as usize) {
                    connection.output.push_shared(bytes.clone());
                    front.clients.connections.mark_touched(peer as usize);
                }
            }
            count
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        Err(error) => {
            pouring.is_readable = false;
            if error.kind() != io::ErrorKind::WouldBlock {
                front
                    .log
                    .warning(format_args!("Reading the child's pipe: {error}"));
                close(front);
                if let Some(pouring) = &mut front.replication.pouring {
                    pouring.child = Some(false);
                }
            }
            0
        }
    }
}

fn close(front: &mut Front) {
    let pouring = front.replication.pouring.as_mut();
    if let Some(mut pipe) = pouring.and_then(|pouring| pouring.pipe.take()) {
        // It may not have been watched.
        let _ = front.clients.registry.deregister(&mut *pipe);
    }
}

/// Nobody is sent it any more, and its child has been ended.
pub(super) fn forget(front: &mut Front) {
    close(front);
    front.replication.pouring = None;
}

/// Once a second: who is being sent a snapshot, from the child or from a file, and has taken nothing of what waits for it for too
/// long goes. (Redis waits for ever where it comes from a file.)
pub(super) fn drop_stuck(front: &mut Front, now_ms: u64, timeout_ms: u64) {
    let idle = |peer: &PeerId| {
        let connection = front.clients.connections.get(*peer as usize);
        connection.filter(|one| now_ms.saturating_sub(one.sent_ms) > timeout_ms)
    };
    let waits = |peer: &PeerId| idle(peer).is_some_and(|one| one.output.pending() > 0);
    let streamed = front.replication.primary.streamed().filter(waits);
    // Of a file as much is read as the socket takes: there is always more.
    let from_files = front.replication.transfers.iter();
    let from_files = from_files.map(|transfer| transfer.slot as PeerId);
    let from_files = from_files.filter(|peer| idle(peer).is_some());
    let lost: Vec<PeerId> = streamed.chain(from_files).collect();
    for peer in lost {
        let name = primary_name(front, peer);
        front.log.warning(format_args!(
            "Disconnecting timedout replica (full sync): {name}"
        ));
        front.clients.connections.end(peer as usize, Cause::Cut);
    }
}

fn primary_name(front: &Front, peer: PeerId) -> String {
    let replica = front.replication.primary.replica(peer);
    replica.map_or_else(String::new, |replica| replica.name())
}

/// Nobody is left to send it to: the child ends.
pub(super) fn give_up(engine: &mut Engine, front: &mut Front) {
    front.log.warning(format_args!(
        "Diskless rdb transfer, last replica dropped, killing fork child."
    ));
    front.saving().kill_child(&mut engine.ks);
}
