//! MONITOR: each command that runs, as a line for those who look on.
//!
//! ```text
//!   +1700000000.123456 [0 127.0.0.1:50000] "SET" "k" "v"
//! ```

use cairn_format::text::words::quote_to;

use super::command_log::REDACTED;
use crate::base::args::Args;
use crate::call::ctx::Ctx;
use crate::call::spec::Flags;

/// Tells all who look on of the command that has just run: what an EXEC runs comes before the EXEC, and a command that waits is
/// shown once, when it comes.
#[cold]
pub fn show(cx: &mut Ctx, args: &Args) {
    let flags = cx.command.spec.flags;
    let is_hidden = flags.has(Flags::ADMIN) || flags.has(Flags::SKIP_MONITOR);
    if is_hidden || cx.session.running_again || cx.session.replays() {
        return;
    }
    tell(cx, args);
}

/// As [`show`] for a command that calls a script: it comes before what that runs.
#[cold]
pub fn show_caller(cx: &mut Ctx, args: &Args) {
    if !cx.session.replays() {
        tell(cx, args);
    }
}

fn tell(cx: &mut Ctx, args: &Args) {
    let line = line(cx, args);
    for place in 0..cx.shared.watch.monitors.len() {
        let to = cx.shared.watch.monitors[place];
        cx.inst.deliver(to, line.as_bytes());
    }
}

fn line(cx: &mut Ctx, args: &Args) -> String {
    let wall_us = cx.inst.now().wall_us;
    let (seconds, micros) = (wall_us.div_euclid(1_000_000), wall_us.rem_euclid(1_000_000));
    let address = match cx.shared.in_script(cx.session) {
        false => cx.inst.address_of(cx.session.slot),
        true => "lua".into(),
    };
    let db = cx.session.db;
    let mut line = format!("+{seconds}.{micros:06} [{db} {address}]");
    for at in 0..args.len() {
        line.push(' ');
        let shown = match cx.command.spec.is_secret(args, at) {
            true => REDACTED,
            false => args.at(at),
        };
        quote_to(&mut line, shown);
    }
    line.push_str("\r\n");
    line
}
