//! From the bytes of one client to calls of the engine.
//!
//! ```text
//!   input  --parse, at most 64 ahead-->  batch of ranges  --aim, fetch-->  call, call, call  -->  output
//! ```
//! The input is moved out of the connection for its batch and put back. Looking ahead keeps ranges, hashes and slots, never
//! pointers into the tables, and what was looked at but not run (the client closes, waits, or its limits change) is
//! parsed again later: between commands the parser holds nothing.

mod letter;
mod stream;

pub use letter::{Ahead, Opened, run_letter};
pub use stream::run_stream;

use std::ops::Range;

use cairn_engine::Engine;
use cairn_engine::base::args::{Args, ArgsBuf};
use cairn_engine::base::id::SessionId;
use cairn_engine::call::reply::{Piece, Reply};
use cairn_engine::keyspace::Aim;
use cairn_engine::session::Role;
use cairn_format::resp::request::{Limits, ProtocolError, RequestParser, Step};

use crate::clients::NOBODY;
use crate::front::Front;
use crate::net::{Cause, Input};
use crate::os::running::{self, Commands};
use crate::threads::Parsed;

/// Commands understood before the first of them runs.
const LOOKAHEAD: usize = 64;

/// The commands understood ahead, in buffers that are kept.
#[derive(Debug, Default)]
pub struct Batch {
    ranges: Vec<Range<u32>>,
    commands: Vec<Parsed>,
    /// What was found out ahead about the first argument of each, if it was looked at.
    aims: Vec<Aim>,
    /// Batches that were looked at: each shows another of its commands.
    turn: usize,
    /// Where in the input the understood part ends.
    end: usize,
}

/// Arguments and commands that a batch keeps room for between two calls of [`Batch::trim`].
const BATCH_KEPT: usize = 4 * 1024;

impl Batch {
    /// Gives back what commands of very many words took. Call it now and then, not while a batch runs.
    pub fn trim(&mut self) {
        if self.ranges.capacity() > BATCH_KEPT {
            self.ranges = Vec::new();
        }
        if self.commands.capacity() > BATCH_KEPT {
            self.commands = Vec::new();
            self.aims = Vec::new();
        }
    }
}

impl Batch {
    /// Looks ahead at the first arguments of all commands, if that pays.
    #[inline(always)]
    fn look_ahead(&mut self, engine: &Engine, bytes: &[u8], session: SessionId) {
        self.aims.clear();
        if self.commands.len() > 1 {
            self.look_at_all(engine, bytes, session);
        }
    }

    #[inline(never)]
    fn look_at_all(&mut self, engine: &Engine, bytes: &[u8], session: SessionId) {
        let state = engine.shared.sessions.get(session);
        let Some(db) = state.map(|state| state.db) else {
            return;
        };
        if engine.wants_lookahead(db) {
            self.aim(engine, db, bytes);
        }
        let one = self.commands.get(self.turn % self.commands.len());
        self.turn = self.turn.wrapping_add(1);
        let args = |command: &Parsed| Args::new(bytes, command.args_in(&self.ranges), None);
        if one.is_some_and(|one| engine.wants_members(db, &args(one))) {
            if self.aims.is_empty() {
                self.aim(engine, db, bytes);
            }
            let args = |command| Args::new(bytes, Parsed::args_in(command, &self.ranges), None);
            engine.fetch_members(self.aims.iter().zip(self.commands.iter().map(args)));
        }
    }

    /// Finds the keys of all commands.
    fn aim(&mut self, engine: &Engine, db: usize, bytes: &[u8]) {
        let ranges = &self.ranges;
        let aims = self
            .commands
            .iter()
            .map(|c| aim_at(engine, db, c, ranges, bytes));
        self.aims.extend(aims);
        engine.fetch_aimed(&self.aims);
    }
}

/// Looks ahead at the first argument of a command. What is no key costs a little and harms nothing.
#[inline]
fn aim_at(
    engine: &Engine,
    db: usize,
    command: &Parsed,
    ranges: &[Range<u32>],
    bytes: &[u8],
) -> Aim {
    let key = command.args_in(ranges).get(1);
    let key = key.map(|key| &bytes[key.start as usize..key.end as usize]);
    key.map_or(Aim::default(), |key| engine.aim(db, key))
}

/// What follows the commands of a batch.
enum After {
    /// More may be in the input.
    More,
    /// The input ends, perhaps inside a command.
    Empty,
    /// An inline command.
    Inline(ArgsBuf, usize),
    /// The client broke the protocol.
    Broken(ProtocolError),
}

/// Runs everything that is complete in a client's input. The replies are appended to its output. It and what it calls for each
/// batch stand in the one loop that reads: calls and spilled registers were a twentieth of a lone request.
#[inline(always)]
pub fn run_input(engine: &mut Engine, front: &mut Front, batch: &mut Batch, slot: usize) {
    let Some(session) = front.clients.session_on(slot) else {
        return;
    };
    let Some(state) = engine.shared.sessions.get(session) else {
        return;
    };
    if state.blocked {
        // Its commands run when the one it waits with has answered.
        return;
    }
    let limit = front.settings.hot.output_max[usize::from(state.listens())];
    let role = state.role;
    let Some(connection) = front.clients.connections.get_mut(slot) else {
        return;
    };
    if !connection.closing().runs() || connection.input.is_empty() {
        return;
    }
    debug_assert_eq!(front.clients.running, NOBODY, "one batch at a time");
    running::note_client(connection.id, connection.stream().fd());
    let mut input = std::mem::take(&mut connection.input);
    let limit = connection.output.tail_max(limit);
    let mut reply = Reply::behind(std::mem::take(connection.output.tail()), limit);
    front.clients.running_input = (input.len(), input.free());
    front.clients.connections.mark_touched(slot);
    front.clients.running = session;
    let consumed = run_commands(engine, front, batch, slot, session, &mut input, &mut reply);
    front.clients.running = NOBODY;
    if role == Role::Replica {
        hear_replica(engine, front, slot, session, &reply);
    }
    input.consume(consumed);
    if let Some(connection) = front.clients.connections.get_mut(slot) {
        connection.input = input;
        if connection.closing().sends() {
            give_back(&mut connection.output, reply);
        }
    }
}

/// A replica has sent something: it lives, and is to be answered nothing.
#[cold]
fn hear_replica(
    engine: &Engine,
    front: &mut Front,
    slot: usize,
    session: SessionId,
    reply: &Reply,
) {
    let now_ms = engine.mono_us() / 1000;
    front.replication.primary.heard(slot as u64, now_ms);
    if !reply.is_empty() {
        let state = engine.shared.sessions.get(session);
        let last = state.and_then(|state| state.last);
        let name = last.map_or("", |last| engine.shared.table.entry(last).spec.name);
        front.cut_replica_off(slot, name, &reply.buf);
    }
}

/// Moves replies into the output: shared values keep their places between the bytes.
#[inline(always)]
fn give_back(output: &mut crate::net::Output, reply: Reply) {
    debug_assert!(output.tail().is_empty(), "letters between replies");
    if !reply.has_shared() {
        *output.tail() = reply.buf;
    } else {
        give_back_shared(output, reply);
    }
}

#[cold]
fn give_back_shared(output: &mut crate::net::Output, reply: Reply) {
    reply.each_piece(|piece| match piece {
        Piece::Bytes(part) => output.tail().extend_from_slice(part),
        Piece::Shared(value) => output.push_shared(value),
    });
}

#[inline(always)]
fn run_commands(
    engine: &mut Engine,
    front: &mut Front,
    batch: &mut Batch,
    slot: usize,
    session: SessionId,
    input: &mut Input,
    reply: &mut Reply,
) -> usize {
    let mut at = 0;
    loop {
        let state = engine.shared.sessions.get(session);
        let limits = Limits {
            bulk_max: front.settings.hot.bulk_max,
            authenticated: state.is_some_and(|state| state.authenticated),
        };
        // Until the client is authenticated each command may change the limits of the next.
        let ahead = if limits.authenticated { LOOKAHEAD } else { 1 };
        let parse = |parser: &mut RequestParser, bytes: &[u8], at, ranges: &mut Vec<Range<u32>>| {
            parser.next(bytes, at, ranges, &limits)
        };
        let after = understand(front, batch, slot, input, at, parse, ahead);
        let bytes = input.filled();
        batch.look_ahead(engine, bytes, session);
        let understood = Understood {
            bytes,
            ranges: &batch.ranges,
            commands: &batch.commands,
            aims: &batch.aims,
        };
        if let Some(stopped) = run_batch(engine, front, session, understood, reply) {
            // What was understood but not run is parsed again when the client goes on.
            if let Some(client) = front.clients.client(slot) {
                client.parser.reset();
            }
            finish(engine, front, slot, session, reply);
            return stopped;
        }
        debug_assert!(
            batch.end > at || !matches!(after, After::More),
            "the same bytes again"
        );
        at = batch.end;
        match after {
            After::More => {}
            After::Empty => return at,
            After::Inline(args, end) => {
                let bytes = &input.filled()[..end];
                let running = Commands::of(bytes);
                running.at(at as u32);
                engine.begin_commands(front);
                if !call(engine, front, session, &args.args(), reply) {
                    finish(engine, front, slot, session, reply);
                    return match is_postponed(engine, session) {
                        true => at,
                        false => end,
                    };
                }
                at = end;
            }
            After::Broken(error) => {
                reply.buf.extend_from_slice(b"-ERR ");
                error.append_to(&mut reply.buf);
                reply.buf.extend_from_slice(b"\r\n");
                front.clients.connections.end(slot, Cause::LastReply);
                return input.len();
            }
        }
    }
}

/// Parses up to `ahead` commands; skips empty lines. The ranges are offsets in the filled input.
#[inline(always)]
fn understand(
    front: &mut Front,
    batch: &mut Batch,
    slot: usize,
    input: &mut Input,
    from: usize,
    parse: impl Fn(&mut RequestParser, &[u8], usize, &mut Vec<Range<u32>>) -> Step,
    ahead: usize,
) -> After {
    batch.ranges.clear();
    batch.commands.clear();
    batch.end = from;
    let Some(client) = front.clients.client(slot) else {
        return After::Empty;
    };
    while batch.commands.len() < ahead {
        let (bytes, at) = (input.filled(), batch.end);
        if at >= bytes.len() {
            return After::Empty;
        }
        let first = batch.ranges.len() as u32;
        match parse(&mut client.parser, bytes, at, &mut batch.ranges) {
            Step::Command { end } => {
                debug_assert!(end > at && end <= bytes.len(), "{at} to {end}");
                let args = first..batch.ranges.len() as u32;
                batch.commands.push(Parsed {
                    args,
                    bytes: at as u32..end as u32,
                });
                batch.end = end;
            }
            Step::Skip { end } => batch.end = end,
            Step::Inline { args, end } => return After::Inline(ArgsBuf::from_slices(&args), end),
            Step::Incomplete { need } => {
                input.expect(need);
                return After::Empty;
            }
            Step::Error(error) => return After::Broken(error),
        }
    }
    After::More
}

/// Commands that are understood, with their bytes.
struct Understood<'a> {
    bytes: &'a [u8],
    /// Arguments of all.
    ranges: &'a [Range<u32>],
    commands: &'a [Parsed],
    /// What was found out ahead about the first argument of each; of none, if nobody looked.
    aims: &'a [Aim],
}

/// Runs the understood commands. Answers where in the input it stopped, if it stopped before their end.
#[inline(always)]
fn run_batch(
    engine: &mut Engine,
    front: &mut Front,
    session: SessionId,
    understood: Understood<'_>,
    reply: &mut Reply,
) -> Option<usize> {
    if understood.commands.is_empty() {
        return None;
    }
    engine.begin_commands(front);
    match understood.aims.is_empty() {
        true => run_each(
            engine,
            front,
            session,
            understood,
            reply,
            std::iter::empty(),
        ),
        false => run_aimed(engine, front, session, understood, reply),
    }
}

/// As [`run_batch`], with what was found out ahead: apart from it, so that who looks at nothing carries nothing.
#[inline(never)]
fn run_aimed(
    engine: &mut Engine,
    front: &mut Front,
    session: SessionId,
    understood: Understood<'_>,
    reply: &mut Reply,
) -> Option<usize> {
    let aims = understood.aims.iter();
    run_each(engine, front, session, understood, reply, aims)
}

#[inline(always)]
fn run_each<'a>(
    engine: &mut Engine,
    front: &mut Front,
    session: SessionId,
    understood: Understood<'a>,
    reply: &mut Reply,
    mut aims: impl Iterator<Item = &'a Aim>,
) -> Option<usize> {
    let bytes = understood.bytes;
    let running = Commands::of(bytes);
    for command in understood.commands {
        let ranges = command.args_in(understood.ranges);
        let args = Args::new(bytes, ranges, Some(command.bytes.clone()));
        if let (Some(aim), Some(key)) = (aims.next(), args.get(1)) {
            engine.hint(key, aim);
        }
        debug_assert!(front.ending.is_none(), "a command after the end");
        running.at(command.bytes.start);
        if !call(engine, front, session, &args, reply) {
            let stop = match is_postponed(engine, session) {
                true => command.bytes.start,
                false => command.bytes.end,
            };
            return Some(stop as usize);
        }
    }
    None
}

/// Whether the command that did not go on has not even begun: its bytes stay, and it is asked again.
#[cold]
fn is_postponed(engine: &Engine, session: SessionId) -> bool {
    let state = engine.shared.sessions.get(session);
    state.is_some_and(|state| state.postponed)
}

/// Runs one command; what it sends to its own client comes behind its reply. Answers whether the client goes on with its next.
/// Not inlined, so that the engine's part is.
#[inline(never)]
pub fn call(
    engine: &mut Engine,
    front: &mut Front,
    session: SessionId,
    args: &Args,
    reply: &mut Reply,
) -> bool {
    let goes_on = engine.call(session, args, reply, front);
    if !front.clients.inbox.is_empty() {
        reply.buf.append(&mut front.clients.inbox);
    }
    goes_on && !reply.is_full()
}

/// Draws the conclusions when a client does not go on: it waits, or it ends.
fn finish(engine: &Engine, front: &mut Front, slot: usize, session: SessionId, reply: &Reply) {
    if reply.is_full() {
        front.cut_for_output(slot);
    }
    let state = engine.shared.sessions.get(session);
    debug_assert!(
        reply.is_full() || state.is_none_or(|s| s.closing || s.blocked),
        "it stops for no reason, and nobody would wake it"
    );
    if state.is_none_or(|s| s.closing) {
        front.clients.connections.end(slot, Cause::LastReply);
    }
}
