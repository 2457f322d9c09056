//! What a replica's socket is sent: what was said to it, then its snapshot, then the stream.

use std::io::{self, Read};

use bytes::Bytes;
use cairn_replication::primary::{PeerId, Replica};

use crate::front::Front;
use crate::net::{ClientClass, Closing, Flush};

/// Bytes of a snapshot that are read at once.
const CHUNK: usize = 256 * 1024;

/// Sends as much as the socket takes and a turn allows. Answers whether the connection ends now.
pub fn flush(front: &mut Front, slot: usize, now_ms: u64) -> bool {
    let connection = front.clients.connections.get(slot);
    if !connection.is_some_and(|connection| connection.closing().sends()) {
        return true;
    }
    match send(front, slot, now_ms) {
        Ok(Flush::Done) => {
            let Some(connection) = front.clients.connections.get_mut(slot) else {
                return false;
            };
            connection.limit_watch.reset();
            // What it sent is run before it goes: it may have said how far it is.
            !matches!(connection.closing(), Closing::Open)
        }
        Ok(Flush::Blocked) => is_beyond_limit(front, slot, now_ms),
        Err(error) => {
            front.log.verbose(format_args!(
                "Writing to a replica: {}",
                crate::os::error_text(&error)
            ));
            true
        }
    }
}

/// Whether too much waits for a replica: what its socket was given and did not take, and what of the stream is kept for it. Asked
/// when the socket takes no more, so that one value larger than the limit passes where it can. Who is beyond it is cut off.
pub(super) fn is_beyond_limit(front: &mut Front, slot: usize, now_ms: u64) -> bool {
    let mut limit = front.settings.buffer_limit(ClientClass::Replica);
    if limit.hard > 0 {
        // Less than the backlog would make going on where one was impossible.
        limit.hard = limit.hard.max(front.replication.primary.backlog_size());
    }
    let behind = front.replication.bytes_behind(slot);
    let Some(connection) = front.clients.connections.get_mut(slot) else {
        return false;
    };
    // What waits of a snapshot is bounded by itself.
    let replica = front.replication.primary.replica(slot as PeerId);
    let waiting = match replica.is_some_and(Replica::is_syncing) {
        true => behind,
        false => behind + connection.output.pending() as u64,
    };
    let beyond = connection.limit_watch.exceeded(limit, waiting, now_ms);
    if beyond {
        front.cut_for_output(slot);
    }
    beyond
}

fn send(front: &mut Front, slot: usize, now_ms: u64) -> io::Result<Flush> {
    let mut written = 0;
    loop {
        if let Err(error) = read_snapshot(front, slot) {
            let of_log = front
                .replication
                .transfer(slot)
                .is_some_and(|one| one.of_log);
            if of_log {
                front.saving().distrust_log();
            }
            return Err(error);
        }
        let left = front.replication.transfer(slot).map(|one| one.left);
        let Some(connection) = front.clients.connections.get_mut(slot) else {
            return Ok(Flush::Done);
        };
        // Nothing is unsent to who is not online.
        let primary = &mut front.replication.primary;
        let registry = &front.clients.registry;
        let (own, stream, flush) =
            connection.flush_with(registry, primary.unsent(slot as PeerId))?;
        primary.sent(slot as PeerId, stream as u64);
        written += own + stream;
        let bytes = (own + stream) as u64;
        front.figures.counters.bytes_out += bytes;
        front.figures.counters.writes += 1;
        front.replication.bytes.1 += bytes;
        if bytes > 0 {
            connection.sent_ms = now_ms;
        }
        match left {
            _ if flush == Flush::Blocked => return Ok(Flush::Blocked),
            None => return Ok(Flush::Done),
            Some(0) => {
                front.replication.transfers.retain(|one| one.slot != slot);
                front
                    .replication
                    .primary
                    .transferred(slot as PeerId, now_ms);
            }
            Some(_) if written < crate::net::TURN_MAX => {}
            Some(_) => {
                connection.ask_for_room(registry)?;
                return Ok(Flush::Blocked);
            }
        }
    }
}

/// The next part of the snapshot waits for the socket.
fn read_snapshot(front: &mut Front, slot: usize) -> io::Result<()> {
    let Some(transfer) = front.replication.transfer(slot) else {
        return Ok(());
    };
    let Some(connection) = front.clients.connections.get_mut(slot) else {
        return Ok(());
    };
    if transfer.left == 0 || connection.output.pending() >= CHUNK {
        return Ok(());
    }
    let mut chunk = vec![0; CHUNK.min(usize::try_from(transfer.left).unwrap_or(CHUNK))];
    transfer.file.read_exact(&mut chunk)?;
    transfer.left -= chunk.len() as u64;
    connection.output.push_shared(Bytes::from(chunk));
    Ok(())
}
