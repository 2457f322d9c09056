//! MONITOR: the client reads along from now on.

use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group};
use crate::session::Role;

pub(super) const MONITOR: Command = Command {
    name: "monitor",
    group: Group::Server,
    since: "1.0.0",
    arity: 1,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    complexity: "O(1), and O(N) for each command that runs from then on, where N is the size of its arguments",
    summary: "Show each command that runs, as it runs",
    run: monitor,
    ..Command::BASE
};

fn monitor(cx: &mut Ctx, _: &Args) -> Outcome {
    if cx.session.deny_blocking {
        return Err(Error::new(
            "ERR MONITOR isn't allowed for DENY BLOCKING client",
        ));
    }
    if cx.session.role != Role::Client {
        // As in Redis: no answer, since lines come already.
        return Ok(());
    }
    cx.session.role = Role::Monitor;
    cx.shared.watch.monitors.push(cx.session.slot);
    cx.reply.ok();
    Ok(())
}
