//! A log as the data set: its commands run again on a session of their own.

use cairn_format::aof::reader::Item;
use cairn_format::aof::record::Kind;

use crate::base::time::Now;
use crate::command::Instance;
use crate::command::args::ArgsBuf;
use crate::command::reply::Reply;
use crate::engine::Engine;
use crate::session::SessionId;

/// A replay under way. Commands between MULTI and EXEC wait in the session's queue, so that a log that ends inside
/// a transaction leaves no trace of it.
pub struct Replay {
    session: SessionId,
    args: ArgsBuf,
    reply: Reply,
    /// Where the open transaction begins.
    open_at: Option<u64>,
    /// Offset behind the last command that took effect as a whole.
    valid_end: u64,
    commands: u64,
}

/// A command that cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The server does not know it: its name.
    Unknown(String),
    /// It would make what follows land in the wrong place, or its arguments are too few: the error it got.
    Invalid(String),
}

impl Replay {
    /// Begins at an offset of the log. Nothing expires and nothing is propagated until [`Replay::end`].
    pub fn begin(engine: &mut Engine, now: Now, start: u64) -> Replay {
        engine.set_now(now);
        engine.ks.keep_expired = true;
        let session = engine.open_session(now);
        if let Some(state) = engine.shared.sessions.get_mut(session) {
            state.replay = true;
            state.authenticated = true;
        }
        Replay {
            session,
            args: ArgsBuf::default(),
            reply: Reply::default(),
            open_at: None,
            valid_end: start,
            commands: 0,
        }
    }

    /// Runs one record. A command that answers with an error is no reason to stop: the error is returned to be
    /// logged, as Redis does.
    ///
    /// # Errors
    /// A command that cannot be replayed.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        inst: &mut dyn Instance,
        item: &Item,
    ) -> Result<Option<String>, Refused> {
        if item.kind() == Kind::Annotation {
            if self.open_at.is_none() {
                self.valid_end = item.end();
            }
            return Ok(None);
        }
        self.args.clear();
        item.args().for_each(|arg| self.args.push(arg));
        let args = self.args.args();
        let Some((command, _)) = engine.shared.table.find(args.at(0)) else {
            return Err(Refused::Unknown(
                String::from_utf8_lossy(args.at(0)).into_owned(),
            ));
        };
        let waiting = engine
            .shared
            .sessions
            .get(self.session)
            .is_some_and(|s| s.multi.is_some());
        engine.call(self.session, &args, &mut self.reply, inst);
        let count = args.len();
        let failure = self.take_error();
        self.commands += 1;
        let open = engine
            .shared
            .sessions
            .get(self.session)
            .is_some_and(|s| s.multi.is_some());
        match (waiting, open) {
            (false, true) => self.open_at = Some(item.offset),
            (_, false) => {
                self.open_at = None;
                self.valid_end = item.end();
            }
            (true, true) => {}
        }
        match failure {
            Some(text) if command.name == "select" || !command.accepts(count) => {
                Err(Refused::Invalid(text))
            }
            other => Ok(other),
        }
    }

    fn take_error(&mut self) -> Option<String> {
        let failed = std::mem::take(&mut self.reply.errors) > 0;
        let text = failed.then(|| {
            let line = self
                .reply
                .buf
                .split(|b| *b == b'\r')
                .find(|line| line.starts_with(b"-"))
                .unwrap_or(b"");
            String::from_utf8_lossy(line.get(1..).unwrap_or(b"")).into_owned()
        });
        self.reply.buf.clear();
        self.reply.shared.clear();
        text
    }

    /// Where the part of the log ends that took effect: the last whole command, or the start of an open transaction.
    pub fn valid_end(&self) -> u64 {
        self.valid_end
    }

    /// Whether a transaction is open.
    pub fn is_inside_transaction(&self) -> bool {
        self.open_at.is_some()
    }

    /// Commands run.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Ends the replay; an open transaction is dropped.
    pub fn end(self, engine: &mut Engine) {
        engine.close_session(self.session);
        engine.ks.keep_expired = false;
    }
}
