//! MIGRATE: keys go to another server, by RESTORE there and DEL here.
//!
//! The server waits for the other one, as Redis does, so that nobody sees a key at both places or at none; the timeout
//! bounds each step. What a key's deletion propagates is a DEL.

use std::collections::BTreeMap;

use cairn_format::rdb::dialect::Dialect;
use cairn_format::resp::value::write_command;

use super::dump::payload_of;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome, lossless};
use crate::call::ctx::Ctx;
use crate::call::peer::{PeerAnswer, PeerCall, PeerFailure};
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec, Secrets};

/// Timeout in place of one that is 0 or less, milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 1000;

/// What a server says that does not know the version of a payload.
const UNKNOWN_VERSION: &[u8] = b"-ERR DUMP payload version or checksum are wrong";

/// Versions tried one after the other with a server that is older than 7.2: those of 7.0, 5.0, 4.0, 3.2 and 2.6.
const OLDER: [Dialect; 5] = [
    Dialect::redis(10),
    Dialect::redis(9),
    Dialect::redis(8),
    Dialect::redis(7),
    Dialect::redis(6),
];

pub(super) const MIGRATE: Command = Command {
    name: "migrate",
    group: Group::Generic,
    since: "2.6.0",
    arity: -6,
    flags: Flags::WRITE.and(Flags::MOVABLE_KEYS).and(Flags::DANGEROUS),
    keys: &[
        KeySpec::at(3, &["RW", "access", "delete"]),
        KeySpec {
            notes: "",
            flags: &["RW", "access", "delete", "incomplete"],
            begin: Begin::Keyword("KEYS", -2),
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 0,
            },
        },
    ],
    tips: &["nondeterministic_output"],
    complexity: "O(N) for the keys and what they hold: each is written, sent, and made again at the other server.",
    summary: "Move keys to another server",
    secrets: Secrets::After(&[("auth", 1), ("auth2", 2)]),
    run: migrate,
    ..Command::BASE
};

/// What the words of a MIGRATE ask for.
struct Request<'a> {
    copy: bool,
    replace: bool,
    /// A password, or a user and a password.
    auth: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
    db: i64,
    timeout_ms: u64,
}

impl<'a> Request<'a> {
    fn parse(args: &Args<'a>) -> Result<Request<'a>, Error> {
        let mut request = Request {
            copy: false,
            replace: false,
            auth: Vec::new(),
            keys: vec![args.at(3)],
            db: 0,
            timeout_ms: 0,
        };
        let mut i = 6;
        while i < args.len() {
            let left = args.len() - i - 1;
            match () {
                () if args.is(i, "copy") => request.copy = true,
                () if args.is(i, "replace") => request.replace = true,
                () if args.is(i, "auth") && left >= 1 => {
                    request.auth = vec![args.at(i + 1)];
                    i += 1;
                }
                () if args.is(i, "auth2") && left >= 2 => {
                    request.auth = vec![args.at(i + 1), args.at(i + 2)];
                    i += 2;
                }
                () if args.is(i, "keys") => {
                    if !args.at(3).is_empty() {
                        return Err(Error::new(
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                        ));
                    }
                    request.keys = args.iter_from(i + 1).collect();
                    break;
                }
                () => return Err(error::SYNTAX),
            }
            i += 1;
        }
        let timeout = args.int(5)?;
        request.db = args.int(4)?;
        request.timeout_ms = u64::try_from(timeout)
            .ok()
            .filter(|ms| *ms > 0)
            .unwrap_or(DEFAULT_TIMEOUT_MS);
        Ok(request)
    }
}

fn migrate(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut request = Request::parse(args)?;
    request.keys.retain(|key| cx.ks.read(key).is_some());
    if request.keys.is_empty() {
        cx.reply.simple("NOKEY");
        return Ok(());
    }
    let mut shipment = Shipment {
        left: (0..request.keys.len()).collect(),
        ..Shipment::default()
    };
    let asked = cx.ks.limits.dump_dialect;
    // A version that was asked for by name is the only one tried.
    let older = OLDER.iter().map(|older| Some(*older));
    for dialect in std::iter::once(asked).chain(older.take_while(|_| asked.is_none())) {
        let answer = match send(cx, args, &request, &shipment.left, dialect) {
            Ok(answer) => answer,
            // The value does not fit into this version: what was said of the last one stands.
            Err(_) if !shipment.refused.is_empty() => break,
            Err(error) => return Err(error),
        };
        shipment.note(answer);
        if shipment.left.is_empty() || shipment.failure.is_some() {
            break;
        }
    }
    if !request.copy {
        let moved: Vec<&[u8]> = shipment.moved.iter().map(|i| request.keys[*i]).collect();
        delete(cx, &moved);
    }
    match (shipment.failure, shipment.refused.first_key_value()) {
        (Some(PeerFailure::Refused(line)), _) => Err(replied(&line)),
        (_, Some((_, line))) => Err(replied(line)),
        (Some(failure), None) => Err(failed(&failure)),
        (None, None) => {
            cx.reply.ok();
            Ok(())
        }
    }
}

/// What became of the keys, by their places in the request.
#[derive(Default)]
struct Shipment {
    /// To be sent.
    left: Vec<usize>,
    /// Arrived.
    moved: Vec<usize>,
    /// Refused, with the other server's words.
    refused: BTreeMap<usize, Vec<u8>>,
    failure: Option<PeerFailure>,
}

impl Shipment {
    /// Takes the answers for `left`; what is left then are the keys whose version the other server does not know.
    fn note(&mut self, answer: PeerAnswer) {
        let sent = std::mem::take(&mut self.left);
        for (place, line) in sent.into_iter().zip(answer.lines) {
            if !line.starts_with(b"-") {
                self.refused.remove(&place);
                self.moved.push(place);
                continue;
            }
            if line.starts_with(UNKNOWN_VERSION) {
                self.left.push(place);
            }
            self.refused.insert(place, line);
        }
        self.failure = answer.failure;
    }
}

/// Sends the RESTORE of each key.
fn send(
    cx: &mut Ctx,
    args: &Args,
    request: &Request,
    places: &[usize],
    dialect: Option<Dialect>,
) -> Result<PeerAnswer, Error> {
    let mut commands = Vec::new();
    for key in places.iter().map(|i| request.keys[*i]) {
        let slot = cx.ks.find(key).ok_or(error::NO_SUCH_KEY)?;
        let payload = payload_of(cx.ks, slot, dialect)?;
        let ttl = cx
            .ks
            .expire_at(slot)
            .map_or(0, |at| (at - cx.ks.now_ms).max(1));
        let ttl = ttl.to_string();
        // The slot may be on its way to the other node.
        let name: &[u8] = match cx.ks.has_slots() {
            true => b"RESTORE-ASKING",
            false => b"RESTORE",
        };
        let mut restore: Vec<&[u8]> = vec![name, key, ttl.as_bytes(), &payload];
        if request.replace {
            restore.push(b"REPLACE");
        }
        write_command(&mut commands, &restore);
    }
    Ok(cx.inst.ask_peer(&PeerCall {
        host: args.at(1),
        port: args.at(2),
        timeout_ms: request.timeout_ms,
        auth: &request.auth,
        db: request.db,
        commands: &commands,
        count: places.len(),
    }))
}

fn delete(cx: &mut Ctx, keys: &[&[u8]]) {
    let mut command: Vec<&[u8]> = vec![b"DEL"];
    for key in keys {
        if cx.ks.delete(key) {
            cx.ks.modified(EventClass::GENERIC, "del", key, 1);
            command.push(key);
        }
    }
    if command.len() > 1 {
        cx.propagate(&command);
    }
}

fn replied(line: &[u8]) -> Error {
    let text = lossless(line.strip_prefix(b"-").unwrap_or(line));
    Error::text(format!("ERR Target instance replied with error: {text}"))
}

fn failed(failure: &PeerFailure) -> Error {
    Error::new(match failure {
        PeerFailure::Connect => "IOERR error or timeout connecting to the client",
        PeerFailure::Write => "IOERR error or timeout writing to target instance",
        PeerFailure::Read | PeerFailure::Refused(_) => {
            "IOERR error or timeout reading to target instance"
        }
    })
}
