//! Commands that an I/O thread has read and understood.

use std::ops::Range;

use cairn_engine::Engine;
use cairn_engine::base::args::Args;
use cairn_engine::call::reply::{Piece, Reply};
use cairn_engine::keyspace::Aim;
use cairn_engine::session::Role;

use super::{LOOKAHEAD, Understood, aim_at, finish, run_batch};
use crate::clients::NOBODY;
use crate::front::Front;
use crate::net::Output;
use crate::os::running;
use crate::threads::{Letter, Parsed, Requests};

/// Commands of letters whose keys are looked up together, so that those of many clients are fetched at once.
#[derive(Debug, Default)]
pub struct Ahead {
    /// What was found out about the first argument of each.
    aims: Vec<Aim>,
    /// The first of them in the parcel.
    first: usize,
    /// The first letter behind them.
    until: usize,
}

impl Ahead {
    /// Begins another parcel.
    pub fn reset(&mut self) {
        self.aims.clear();
        (self.first, self.until) = (0, 0);
    }

    /// Looks up what the letters from `at` on begin with, unless it was. `database_of`: the one that a client has chosen.
    pub fn look(
        &mut self,
        engine: &Engine,
        requests: &Requests,
        at: usize,
        database_of: impl Fn(&Letter) -> Option<usize>,
    ) {
        if at < self.until {
            return;
        }
        self.aims.clear();
        self.first = requests.letters[at].commands.start as usize;
        self.until = at;
        let (ranges, bytes) = (&requests.ranges, &requests.bytes);
        let args = |command| Args::new(bytes, Parsed::args_in(command, ranges), None);
        // One of them tells for all.
        let first = database_of(&requests.letters[at]).zip(requests.commands.get(self.first));
        let within = first.is_some_and(|(db, first)| engine.wants_members(db, &args(first)));
        for letter in &requests.letters[at..] {
            let database = database_of(letter).filter(|db| within || engine.wants_lookahead(*db));
            let commands = &requests.commands[commands_of(letter)];
            let aims = commands.iter().map(|command| match database {
                Some(db) => aim_at(engine, db, command, ranges, bytes),
                None => Aim::default(),
            });
            self.aims.extend(aims);
            self.until += 1;
            if self.aims.len() >= LOOKAHEAD {
                break;
            }
        }
        engine.fetch_aimed(&self.aims);
        if within {
            let commands = requests.commands[self.first..].iter().map(args);
            engine.fetch_members(self.aims.iter().zip(commands));
        }
    }

    /// What was found out about commands of a letter; nothing if they were not looked at.
    fn of(&self, commands: &Range<usize>) -> &[Aim] {
        let at = commands.start.checked_sub(self.first);
        let found = at.and_then(|at| self.aims.get(at..at + commands.len()));
        found.unwrap_or_default()
    }
}

fn commands_of(letter: &Letter) -> Range<usize> {
    letter.commands.start as usize..letter.commands.end as usize
}

/// A letter that is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// All of its parcel.
    pub requests: &'a Requests,
    /// This one.
    pub letter: &'a Letter,
    /// What was looked up of it.
    pub ahead: &'a Ahead,
}

/// Runs a letter whose replies go with its parcel: they are appended to `replies`. Answers where they stand; none if this client has
/// to be served the other way, by [`super::run_input`], and nothing has run.
///
/// What of the letter is not run (the client waits, or ends) is put into the connection's input.
pub fn run_letter(
    engine: &mut Engine,
    front: &mut Front,
    slot: usize,
    opened: &Opened,
    replies: &mut Vec<u8>,
) -> Option<Range<usize>> {
    let Opened {
        requests,
        letter,
        ahead,
    } = *opened;
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
    let commands = commands_of(letter);
    let understood = Understood {
        bytes: &requests.bytes,
        ranges: &requests.ranges,
        aims: ahead.of(&commands),
        commands: &requests.commands[commands],
    };
    let stopped = run_batch(engine, front, session, understood, &mut reply);
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
