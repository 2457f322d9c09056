//! What a running script reaches: the functions of the table `redis`.

use cairn_format::resp::reply::Protocol;
use cairn_lua::{Host, Raise, Stack};

use super::inner;
use super::tape::{Item, Tape};
use super::values::{COUNTED, push_answer};
use crate::base::args::{Args, ArgsBuf};
use crate::base::error::Error;
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::rights;
use crate::scripts::api::{function, log_line, push_error, push_field, raise_error};
use crate::scripts::cache::sha1_hex;
use crate::scripts::flags::ScriptFlags;
use crate::scripts::running::{Slow, Sort};

/// A script under way.
#[derive(Debug)]
pub(super) struct Script {
    /// What it asked for.
    pub(super) flags: ScriptFlags,
    /// Commands that change something are refused.
    pub(super) reads_only: bool,
    /// A command that writes was called.
    pub(super) wrote: bool,
    /// `maxmemory` was exceeded when it began.
    pub(super) lacks_memory: bool,
    /// `redis.set_repl`: what its commands change is told to others.
    pub(super) propagates: bool,
    /// The process ends: what it changed so far must not be told to anybody, as it is not all.
    pub(super) is_cut_short: bool,
    /// `redis.setresp`.
    pub(super) protocol: Protocol,
    /// The slot of its keys, where keys are kept by slot.
    pub(super) slot: Option<u16>,
}

/// The client's call around it, and buffers that its commands share.
pub(super) struct Room<'a, 'e> {
    pub(super) cx: &'a mut Ctx<'e>,
    pub(super) script: Script,
    /// The command that called it, to be shown.
    pub(super) command: &'a Args<'a>,
    /// SHA-1 or name.
    pub(super) name: &'a [u8],
    pub(super) words: ArgsBuf,
    pub(super) tape: Option<Box<Tape>>,
}

/// What ends a script that was killed.
const KILLED: &str = "Script killed by user with SCRIPT KILL...";

impl Host for Room<'_, '_> {
    fn call(&mut self, number: u32, stack: &mut Stack) -> Result<usize, Raise> {
        match number {
            function::CALL => self.command(stack, true),
            function::PCALL => self.command(stack, false),
            function::ERROR_REPLY => one_field(stack, "err"),
            function::STATUS_REPLY => one_field(stack, "ok"),
            function::LOG => {
                let (loudness, line) = log_line(stack)?;
                self.cx.inst.script_says(loudness, &line);
                Ok(0)
            }
            function::SHA1HEX => sha1hex(stack),
            function::SETRESP => self.set_protocol(stack),
            function::SET_REPL => self.set_replication(stack),
            function::ACL_CHECK_CMD => self.check_command(stack),
            function::REPLICATE_COMMANDS => {
                stack.push_bool(true)?;
                Ok(1)
            }
            function::BREAKPOINT => {
                stack.push_bool(false)?;
                Ok(1)
            }
            function::DEBUG => Ok(0),
            function::ERROR_HANDLER => handle(stack),
            _ => Err(raise_error(
                stack,
                b"ERR redis.register_function can only be called on FUNCTION LOAD command",
            )),
        }
    }

    fn tick(&mut self) -> Option<&'static str> {
        let limit_us = self.cx.ks.limits.script_slow_us;
        let now_us = self.cx.inst.mono_us();
        let running = self.cx.shared.running.as_mut()?;
        if now_us.saturating_sub(running.started.mono_us) < limit_us {
            return None;
        }
        if running.slow.is_none() {
            running.slow = Some(Slow {
                name: self.name.to_vec(),
                command: self.command.iter_from(0).map(<[u8]>::to_vec).collect(),
            });
            self.cx.shared.gate.busy = Some(busy(running.sort));
            let line = format!(
                "Slow script detected: still in execution after {} milliseconds. You can try killing the script using the {} KILL command. Script name is: {}.",
                now_us.saturating_sub(running.started.mono_us) / 1000,
                killer(running.sort),
                String::from_utf8_lossy(self.name)
            );
            self.cx.inst.warn(&line);
        }
        if !self.cx.inst.let_in(self.cx.ks, self.cx.shared) {
            self.script.is_cut_short = true;
            return Some("ERR the server ends");
        }
        let running = self.cx.shared.running.as_ref()?;
        running.killed.then_some(KILLED)
    }
}

fn killer(sort: Sort) -> &'static str {
    match sort {
        Sort::Script => "SCRIPT",
        Sort::Function => "FUNCTION",
    }
}

/// What others are told while a script runs for long.
pub(super) fn busy(sort: Sort) -> Error {
    Error::text(format!(
        "BUSY Redis is busy running a script. You can only call {} KILL or SHUTDOWN NOSAVE.",
        killer(sort)
    ))
}

impl Room<'_, '_> {
    fn command(&mut self, stack: &mut Stack, raises: bool) -> Result<usize, Raise> {
        if let Err(text) = inner::words(stack, &mut self.words) {
            let error = Error::text(String::from_utf8_lossy(text));
            crate::call::run::count_error(&mut self.cx.shared.stats, &error);
            return fail(stack, text, raises);
        }
        // The arguments have their places on the stack no more.
        stack.cut(0);
        let mut tape = self.tape.take().unwrap_or_default();
        tape.clear();
        let mut reply = Reply::into_sink(self.script.protocol, tape);
        let ran = {
            let args = self.words.args();
            let mut cx = self.cx.with_reply(&mut reply);
            inner::run(&mut cx, &mut self.script, &args)
        };
        let sink = reply.take_sink().expect("it was given one");
        let tape = sink.into_any().downcast::<Tape>().expect("it was a tape");
        let answered = match &ran {
            Err(error) => fail(stack, error.bytes().as_ref(), raises),
            Ok(()) => match tape.items.first() {
                Some(Item::Error(text)) if tape.items.len() == 1 => {
                    fail(stack, tape.text(text), raises)
                }
                _ => push_answer(stack, &tape, self.script.protocol).map(|()| 1),
            },
        };
        self.tape = Some(tape);
        answered
    }

    fn set_protocol(&mut self, stack: &mut Stack) -> Result<usize, Raise> {
        if stack.top() != 1 {
            return Err(raise_error(
                stack,
                b"ERR redis.setresp() requires one argument.",
            ));
        }
        self.script.protocol = match stack.as_number(1).map(|number| number as i64) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            _ => return Err(raise_error(stack, b"ERR RESP version must be 2 or 3.")),
        };
        self.cx.session.protocol = self.script.protocol;
        Ok(0)
    }

    fn set_replication(&mut self, stack: &mut Stack) -> Result<usize, Raise> {
        if stack.top() != 1 {
            return Err(raise_error(
                stack,
                b"ERR redis.set_repl() requires one argument.",
            ));
        }
        let flags = stack.as_number(1).unwrap_or(0.0) as i64;
        if !(0..=3).contains(&flags) {
            return Err(raise_error(
                stack,
                b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            ));
        }
        self.script.propagates = flags != 0;
        Ok(0)
    }

    fn check_command(&mut self, stack: &mut Stack) -> Result<usize, Raise> {
        if let Err(text) = inner::words(stack, &mut self.words) {
            return Err(raise_error(stack, text));
        }
        let args = self.words.args();
        let Some(found) = self.cx.shared.table.find_call(&args) else {
            return Err(raise_error(
                stack,
                b"ERR Invalid command passed to redis.acl_check_cmd()",
            ));
        };
        stack.push_bool(rights::verdict(self.cx, found, &args).is_ok())?;
        Ok(1)
    }
}

/// Raises an error that was counted already, or gives it back.
fn fail(stack: &mut Stack, text: &[u8], raises: bool) -> Result<usize, Raise> {
    push_error(stack, text)?;
    stack.push_bool(true)?;
    stack.set_field(-2, COUNTED)?;
    match raises {
        true => Err(Raise::Top),
        false => Ok(1),
    }
}

/// `redis.error_reply`, `redis.status_reply`.
fn one_field(stack: &mut Stack, field: &'static str) -> Result<usize, Raise> {
    const REFUSED: &[u8] = b"ERR wrong number or type of arguments";
    let given = match (stack.top(), stack.bytes(1)) {
        (1, Some(bytes)) => Some(bytes.to_vec()),
        _ => None,
    };
    let Some(text) = given else {
        push_error(stack, REFUSED)?;
        return Ok(1);
    };
    let text = match field {
        "err" => error_of(&text),
        _ => text,
    };
    push_field(stack, field, &text)?;
    Ok(1)
}

/// The text of an error as Redis makes it: without a dash before it, with a first word that is its code.
fn error_of(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    let text = &text[..end.map_or(0, |end| end + 1)];
    match text.contains(&b' ') {
        true => text.to_vec(),
        false => [b"ERR ", text].concat(),
    }
}

fn sha1hex(stack: &mut Stack) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(raise_error(stack, b"ERR wrong number of arguments"));
    }
    let text = stack.text(1).map(|text| text.into_owned());
    stack.push_bytes(&sha1_hex(&text.unwrap_or_default()))?;
    Ok(1)
}

/// What is left in sight of Redis's own handler of errors: an error as a table.
fn handle(stack: &mut Stack) -> Result<usize, Raise> {
    if stack.kind(1) == cairn_lua::Kind::Table {
        stack.cut(1);
        return Ok(1);
    }
    stack.cut(1.min(stack.top()));
    if stack.top() == 0 {
        stack.push_nil()?;
    }
    let text = crate::scripts::api::error_text(stack);
    push_error(stack, &text)?;
    Ok(1)
}
