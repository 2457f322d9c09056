//! From the bytes of a primary's stream to calls of the engine: as with a client, but nobody is answered, and what has run is
//! noted unit by unit.

use cairn_engine::Engine;
use cairn_engine::base::args::Args;
use cairn_engine::base::id::SessionId;
use cairn_engine::call::ctx::Following;
use cairn_engine::call::reply::Reply;

use super::{After, Batch, LOOKAHEAD, call, is_postponed, understand};
use cairn_format::resp::request::{Limits, RequestParser};

use crate::config::choice::PropagationError;
use crate::config::table;
use crate::front::Front;
use crate::net::Input;
use crate::os::running::{self, Commands};
use crate::sync;

/// Bytes of the stream that are shown when a command of it fails.
const SHOWN: usize = 256;

/// What one primary took as an argument, its replicas take.
const LIMITS: Limits = Limits {
    bulk_max: usize::MAX / 2,
    authenticated: true,
};

/// Runs everything that is complete in what the primary sent.
pub fn run_stream(engine: &mut Engine, front: &mut Front, batch: &mut Batch, slot: usize) {
    let Some(session) = front.clients.session_on(slot) else {
        return;
    };
    let state = engine.shared.sessions.get(session);
    if state.is_none_or(|state| state.blocked) {
        return;
    }
    let Some(connection) = front.clients.connections.get_mut(slot) else {
        return;
    };
    if connection.input.is_empty() {
        return;
    }
    running::note_client(connection.id, connection.stream().fd());
    let mut input = std::mem::take(&mut connection.input);
    front.clients.running = session;
    let mut run = Run {
        at: 0,
        whole: 0,
        noted: 0,
    };
    let broken = run.commands(engine, front, batch, slot, session, &mut input);
    run.note(engine, front, session, input.filled());
    front.clients.running = crate::clients::NOBODY;
    front
        .replication
        .heard(run.at as u64, front.now().mono_us / 1000);
    input.consume(run.at);
    if let Some(connection) = front.clients.connections.get_mut(slot) {
        connection.input = input;
    }
    if let Some(reason) = broken {
        sync::broken(engine, front, reason);
    }
}

/// How far it is in the input.
struct Run {
    /// Behind the last command that has run.
    at: usize,
    /// Behind the last unit that is whole.
    whole: usize,
    /// What was noted as applied.
    noted: usize,
}

impl Run {
    /// Answers why the stream is no good, if so.
    fn commands(
        &mut self,
        engine: &mut Engine,
        front: &mut Front,
        batch: &mut Batch,
        slot: usize,
        session: SessionId,
        input: &mut Input,
    ) -> Option<&'static str> {
        let mut reply = Reply::default();
        loop {
            let from = self.at;
            let parse = |parser: &mut RequestParser, bytes: &[u8], at, ranges: &mut _| {
                parser.resume(bytes, at, ranges, &LIMITS)
            };
            let after = understand(front, batch, slot, input, from, parse, LOOKAHEAD);
            let bytes = input.filled();
            batch.look_ahead(engine, bytes, session);
            if !batch.commands.is_empty() {
                engine.begin_commands(front);
            }
            let running = Commands::of(bytes);
            for index in 0..batch.commands.len() {
                let command = &batch.commands[index];
                let ranges = command.args_in(&batch.ranges);
                let args = Args::new(bytes, ranges, Some(command.bytes.clone()));
                if let (Some(aim), Some(key)) = (batch.aims.get(index), args.get(1)) {
                    engine.hint(key, aim);
                }
                let (start, end) = (command.bytes.start as usize, command.bytes.end as usize);
                self.pass_lines(engine, front, session, bytes, start);
                running.at(start as u32);
                if front.ending.is_some() || !call(engine, front, session, &args, &mut reply) {
                    if let Some(client) = front.clients.client(slot) {
                        client.parser.reset();
                    }
                    if front.ending.is_none() && !is_postponed(engine, session) {
                        self.passed(engine, session, end);
                    }
                    return None;
                }
                if reply.buf.first() == Some(&b'-') {
                    tell_error(engine, front, &reply.buf, &args, &bytes[..start]);
                }
                reply.truncate(0);
                if std::mem::take(&mut front.replication.is_asked) {
                    self.note(engine, front, session, bytes);
                    sync::acknowledge(front);
                }
                self.passed(engine, session, end);
            }
            self.pass_lines(engine, front, session, bytes, batch.end);
            match after {
                After::More => {}
                After::Empty => return None,
                After::Inline(..) => {
                    return Some(
                        "Receiving inline protocol from master, master stream corruption? Closing the master connection and discarding the cached master.",
                    );
                }
                After::Broken(_) => {
                    return Some(
                        "The stream of the master breaks the protocol. Closing the master connection and discarding the cached master.",
                    );
                }
            }
        }
    }

    fn passed(&mut self, engine: &Engine, session: SessionId, end: usize) {
        self.at = end;
        let state = engine.shared.sessions.get(session);
        if state.is_none_or(|state| state.multi.is_none()) {
            self.whole = end;
        }
    }

    /// Empty lines up to `end` are no part of the stream: no primary writes them, but somebody on the way may, to keep the
    /// connection alive. Redis counts them, and is at another offset than its primary from then on.
    fn pass_lines(
        &mut self,
        engine: &Engine,
        front: &mut Front,
        session: SessionId,
        bytes: &[u8],
        end: usize,
    ) {
        if end > self.at {
            self.note(engine, front, session, bytes);
            self.at = end;
            self.noted = end;
        }
    }

    /// What has run goes to those who follow us.
    fn note(&mut self, engine: &Engine, front: &mut Front, session: SessionId, input: &[u8]) {
        let bytes = &input[self.noted..self.at];
        if bytes.is_empty() {
            return;
        }
        let db = engine
            .shared
            .sessions
            .get(session)
            .map_or(0, |state| state.db);
        let whole = self.whole.saturating_sub(self.noted);
        sync::applied(front, db, bytes, whole);
        self.noted = self.at;
    }
}

/// A command that ran at the primary fails here: the data of both differ, or will.
#[cold]
fn tell_error(engine: &Engine, front: &mut Front, reply: &[u8], args: &Args, so_far: &[u8]) {
    front.replication.unexpected_errors += 1;
    let text = reply
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let name = args.at(0).to_ascii_lowercase();
    front.log.warning(format_args!(
        "== CRITICAL == This replica is sending an error to its master: '{}' after processing the command '{}'",
        String::from_utf8_lossy(&text[1..]),
        name.escape_ascii()
    ));
    let shown = &so_far[so_far.len().saturating_sub(SHOWN)..];
    front.log.notice(format_args!(
        "Latest backlog is: '{}'",
        cairn_format::text::words::quote(shown).trim_matches('"')
    ));
    // Clients of a writable replica make such differences themselves.
    let is_read_only = |following: Following| following.read_only;
    let dies = front.settings.config.get(table::PROPAGATION_ERROR_BEHAVIOR)
        != PropagationError::Ignore
        && engine.shared.gate.replica.is_some_and(is_read_only);
    assert!(
        !dies,
        "propagation-error-behavior: a command of the primary failed"
    );
}
