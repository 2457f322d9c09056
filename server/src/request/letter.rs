//! Commands that an I/O thread has read and understood.

use std::ops::Range;

use cairn_engine::Engine;
use cairn_engine::call::reply::{Piece, Reply};
use cairn_engine::session::Role;

use super::{Batch, finish, run_batch};
use crate::clients::NOBODY;
use crate::front::Front;
use crate::net::Output;
use crate::os::running;
use crate::threads::{Letter, Requests};

/// Runs a letter whose replies go with its parcel: they are appended to `replies`. Answers where they stand; none if this client has
/// to be served the other way, by [`super::run_input`], and nothing has run.
///
/// What of the letter is not run (the client waits, or ends) is put into the connection's input.
pub fn run_letter(
    engine: &mut Engine,
    front: &mut Front,
    batch: &mut Batch,
    slot: usize,
    requests: &Requests,
    letter: &Letter,
    replies: &mut Vec<u8>,
) -> Option<Range<usize>> {
    let session = front.clients.session_on(slot)?;
    let state = engine.shared.sessions.get(session)?;
    let is_plain = state.authenticated && !state.blocked && state.role == Role::Client;
    let limit = front.settings.hot.output_max[usize::from(state.listens())];
    let connection = front.clients.connections.get_mut(slot)?;
    let is_idle = connection.input.is_empty() && connection.output.is_empty() && !connection.feeds;
    if !is_plain || !is_idle || !connection.closing().runs() {
        return None;
    }
    debug_assert_eq!(front.clients.running, NOBODY, "one batch at a time");
    running::note_client(connection.id, connection.stream().fd());
    let begin = replies.len();
    let limit = connection.output.tail_max(limit).saturating_add(begin);
    let mut reply = Reply::behind(std::mem::take(replies), limit);
    front.clients.running_input = (letter.bytes.len(), 0);
    front.clients.running = session;
    batch.commands.clear();
    let commands = letter.commands.start as usize..letter.commands.end as usize;
    batch
        .commands
        .extend_from_slice(&requests.commands[commands]);
    let stopped = run_batch(
        engine,
        front,
        &requests.ranges,
        &mut batch.commands,
        session,
        &requests.bytes,
        &mut reply,
    );
    if stopped.is_some() {
        finish(engine, front, slot, session, &reply);
    }
    front.clients.running = NOBODY;
    let connection = front.clients.connections.get_mut(slot);
    if let (Some(stopped), Some(connection)) = (stopped, connection) {
        let rest = stopped..letter.bytes.end as usize;
        connection.input.push(&requests.bytes[rest]);
    }
    Some(settle(front, slot, reply, begin, replies))
}

/// Puts replies where they leave from: with the parcel, or the connection's own output if there are values among them that are not
/// copied.
fn settle(
    front: &mut Front,
    slot: usize,
    reply: Reply,
    begin: usize,
    replies: &mut Vec<u8>,
) -> Range<usize> {
    let connection = front.clients.connections.get_mut(slot);
    let connection = connection.filter(|connection| connection.closing().sends());
    if !reply.has_shared() {
        *replies = reply.buf;
        if connection.is_none() {
            replies.truncate(begin);
        }
        return begin..replies.len();
    }
    let mut nowhere = Output::new();
    let output = connection.map_or(&mut nowhere, |connection| &mut connection.output);
    separate(reply, begin, replies, output);
    front.clients.connections.mark_touched(slot);
    begin..begin
}

/// What others were answered stays, what is behind goes to `output`.
#[cold]
fn separate(reply: Reply, begin: usize, replies: &mut Vec<u8>, output: &mut Output) {
    let mut left = begin;
    reply.each_piece(|piece| match piece {
        Piece::Bytes(part) => {
            let (others, own) = part.split_at(left.min(part.len()));
            left -= others.len();
            replies.extend_from_slice(others);
            output.tail().extend_from_slice(own);
        }
        Piece::Shared(value) => output.push_shared(value),
    });
}
