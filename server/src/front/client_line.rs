//! One client as CLIENT LIST shows it: a line of `name=value` in the order of Redis 7.2.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::Error;
use cairn_engine::call::reply::Protocol;
use cairn_engine::call::{Ctx, Shared};
use cairn_engine::session::{Role, Session};
use cairn_engine::tracking::options::Options;

use super::access;
use crate::clients::weight;
use crate::host::Address;
use crate::net::{ClientClass, Closing, Connection};

/// What is known of one client while its line is made.
pub struct Line {
    id: u64,
    kind: ClientClass,
    is_self: bool,
    addr: String,
    laddr: String,
    fd: i32,
    /// Wall milliseconds.
    now_ms: i64,
    created_ms: i64,
    active_ms: i64,
    name: Box<[u8]>,
    lib_name: Box<[u8]>,
    lib_ver: Box<[u8]>,
    flags: String,
    db: usize,
    /// Channels, patterns, shard channels.
    subscriptions: [usize; 3],
    /// Commands queued, or -1.
    queued: i64,
    queued_bytes: usize,
    input: usize,
    input_free: usize,
    args: usize,
    /// What it costs in memory, without the arguments of its command.
    total: usize,
    output: [usize; 5],
    wants_to_write: bool,
    command: &'static str,
    user: Box<[u8]>,
    redirection: i64,
    protocol: u8,
}

impl Line {
    /// The clients with connections, by number.
    pub fn all(cx: &mut Ctx, args: &Args) -> Vec<Line> {
        let mut lines = vec![Line::of_running(cx, args)];
        let now_ms = cx.ks.now_ms;
        let clients = access::clients(&mut *cx.inst);
        for session in cx.shared.sessions.iter() {
            if let Some(slot) = clients.connection_slot(session.slot)
                && let Some(connection) = clients.connections.get(slot)
            {
                let mut line = Line::of(session, cx.shared, connection, now_ms);
                if let Some(client) = clients.client(slot) {
                    let (understood, arguments) = client.parser.understood();
                    line.input = line.input.saturating_sub(understood);
                    line.args += arguments;
                }
                lines.push(line);
            }
        }
        lines.sort_by_key(|line| line.id);
        lines
    }

    /// The client that asks. Its input and output are with the loop while its command runs.
    pub fn of_running(cx: &mut Ctx, args: &Args) -> Line {
        let clients = access::clients(&mut *cx.inst);
        let slot = clients.connection_slot(cx.session.slot);
        let now_ms = cx.ks.now_ms;
        let mut line = match slot.and_then(|slot| clients.connections.get(slot)) {
            Some(connection) => Line::of(cx.session, cx.shared, connection, now_ms),
            None => Line::of_session(cx.session, cx.shared, now_ms),
        };
        line.is_self = true;
        (line.input, line.input_free) = clients.running_input;
        line.args = argument_bytes(args);
        let capacity = cx.reply.buf.capacity();
        line.output[0] = capacity;
        line.total += line.input + line.input_free + capacity;
        line.output[1] = cx.reply.buf.len();
        line
    }

    /// The line as it stands in the log.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).trim_end().to_owned()
    }

    /// The client of a session with a connection.
    pub fn of(session: &Session, shared: &Shared, connection: &Connection, now_ms: i64) -> Line {
        let stream = connection.stream();
        let mut line = Line {
            addr: stream.peer().to_string(),
            laddr: stream.local().to_string(),
            fd: stream.fd(),
            input: connection.input.len() + stream.gathered(),
            input_free: connection.input.free(),
            output: output_figures(connection),
            wants_to_write: connection.is_blocked(),
            total: weight(session, connection),
            ..Line::of_session(session, shared, now_ms)
        };
        line.add_flag(
            'c',
            matches!(
                connection.closing(),
                Closing::InputOver | Closing::AfterReply
            ) && !session.closing,
        );
        line.add_flag('A', connection.closing() == Closing::Now);
        line.add_flag('U', matches!(stream.peer(), Address::Unix(_)));
        line.add_flag('e', session.no_evict);
        line.add_flag('T', session.no_touch);
        line
    }

    /// A session without its connection.
    pub fn of_session(session: &Session, shared: &Shared, now_ms: i64) -> Line {
        let multi = session.multi.as_deref();
        let waiting = session.waiting.as_deref();
        let subscriptions = session.subscriptions.as_deref();
        let mut line = Line {
            id: session.id,
            kind: kind_of(session),
            is_self: false,
            addr: String::new(),
            laddr: String::new(),
            fd: -1,
            now_ms,
            created_ms: session.created_ms,
            active_ms: session.active_ms,
            name: session.name.clone(),
            lib_name: session.lib_name.clone(),
            lib_ver: session.lib_ver.clone(),
            flags: String::new(),
            db: session.db,
            subscriptions: subscriptions.map_or([0; 3], |s| {
                [s.channels.len(), s.patterns.len(), s.shard_channels.len()]
            }),
            queued: multi.map_or(-1, |m| m.queue.len() as i64),
            queued_bytes: multi
                .map_or(0, |m| m.queue.iter().map(|q| queued_bytes(&q.args())).sum()),
            input: 0,
            input_free: 0,
            args: waiting.map_or(0, |waiting| argument_bytes(&waiting.command.args())),
            total: 0,
            output: [0; 5],
            wants_to_write: false,
            command: session
                .last
                .map_or("NULL", |last| shared.table.entry(last).spec.name),
            user: user_of(session, shared).into(),
            redirection: session.tracking.as_deref().map_or(-1, Options::redirection),
            protocol: if session.protocol == Protocol::Resp3 {
                3
            } else {
                2
            },
        };
        line.add_flag('M', session.role == Role::Primary);
        line.add_flag('S', session.role == Role::Replica);
        line.add_flag('O', session.role == Role::Monitor);
        line.add_flag('e', session.role == Role::Export);
        line.add_flag('i', session.role == Role::Import);
        line.add_flag('P', line.kind == ClientClass::Pubsub);
        line.add_flag('x', session.multi.is_some());
        line.add_flag('b', session.blocked);
        let tracking = session.tracking.as_deref();
        line.add_flag('t', tracking.is_some());
        line.add_flag('R', tracking.is_some_and(|options| options.broken));
        line.add_flag('B', tracking.is_some_and(|options| options.bcast));
        line.add_flag('d', session.watch_touched);
        line.add_flag('c', session.closing);
        line
    }

    fn add_flag(&mut self, letter: char, holds: bool) {
        if holds {
            self.flags.push(letter);
        }
    }

    /// The number that CLIENT ID answers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The class that CLIENT LIST TYPE and CLIENT KILL TYPE ask for.
    pub fn kind(&self) -> ClientClass {
        self.kind
    }

    /// The client that asked.
    pub fn is_self(&self) -> bool {
        self.is_self
    }

    /// Who it is.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The other end's address.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// This end's address.
    pub fn laddr(&self) -> &str {
        &self.laddr
    }

    /// Appends the line and its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let seconds = |since: i64| (self.now_ms - since).max(0) / 1000;
        let [rbs, rbp, obl, oll, omem] = self.output;
        let [sub, psub, ssub] = self.subscriptions;
        let flags = if self.flags.is_empty() {
            "N"
        } else {
            &self.flags
        };
        let events = if self.wants_to_write { "rw" } else { "r" };
        let head = format!(
            "id={} addr={} laddr={} fd={} name=",
            self.id, self.addr, self.laddr, self.fd
        );
        let middle = format!(
            " age={} idle={} flags={flags} db={} sub={sub} psub={psub} ssub={ssub} multi={} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={rbs} rbp={rbp} obl={obl} oll={oll} omem={omem} tot-mem={} events={events} cmd={} user=",
            seconds(self.created_ms),
            seconds(self.active_ms),
            self.db,
            self.queued,
            self.input,
            self.input_free,
            self.args,
            self.queued_bytes,
            self.total + self.args,
            self.command,
        );
        let tail = format!(
            " redir={} resp={} lib-name=",
            self.redirection, self.protocol
        );
        for part in [
            head.as_bytes(),
            &self.name,
            middle.as_bytes(),
            &self.user,
            tail.as_bytes(),
            &self.lib_name,
            b" lib-ver=",
            &self.lib_ver,
        ] {
            out.extend_from_slice(part);
        }
        out.push(b'\n');
    }
}

/// Whose rights a session has; what the primary says is not judged.
fn user_of<'a>(session: &Session, shared: &'a Shared) -> &'a [u8] {
    let name = shared.users.name_of(session.user);
    name.filter(|_| !session.applies())
        .unwrap_or(b"(superuser)")
}

fn argument_bytes(args: &Args) -> usize {
    args.iter_from(0).map(<[u8]>::len).sum()
}

/// `multi-mem` of a queued command: its arguments, and a pointer to each, as Redis counts them.
fn queued_bytes(args: &Args) -> usize {
    argument_bytes(args) + size_of::<usize>() * args.len()
}

/// Reply buffer, its peak, bytes in it, blocks and bytes beyond it.
fn output_figures(connection: &Connection) -> [usize; 5] {
    let output = &connection.output;
    let beyond = output.list_bytes();
    let buffer = output.memory().saturating_sub(beyond);
    [
        buffer,
        output.peak(),
        output.buffer_len(),
        output.list_len(),
        beyond,
    ]
}

/// The class of a client; the connection to a primary is of none that is limited, and of one that can be asked for.
fn kind_of(session: &Session) -> ClientClass {
    match session.role {
        Role::Replica => return ClientClass::Replica,
        Role::Primary => return ClientClass::Primary,
        _ => {}
    }
    let subscriptions = session.subscriptions.as_deref();
    match subscriptions.is_some_and(|s| !s.is_empty()) {
        true => ClientClass::Pubsub,
        false => ClientClass::Normal,
    }
}

/// The class that a word of TYPE names.
pub fn kind_of_word(word: &[u8]) -> Result<ClientClass, Error> {
    Ok(match word.to_ascii_lowercase().as_slice() {
        b"normal" => ClientClass::Normal,
        b"slave" | b"replica" => ClientClass::Replica,
        b"pubsub" => ClientClass::Pubsub,
        b"master" => ClientClass::Primary,
        _ => {
            let word = String::from_utf8_lossy(word);
            return Err(Error::text(format!("ERR Unknown client type '{word}'")));
        }
    })
}
