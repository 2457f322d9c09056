//! A command that ran to its end is noted.

use super::command_log::{LogEntry, REDACTED, Remark};
use super::latency::event;
use crate::base::args::Args;
use crate::call::ctx::{Instance, Shared};
use crate::call::route;
use crate::call::spec::{Command, Flags, Group};
use crate::call::table::Entry;
use crate::session::Session;

/// Arguments of an entry; the last one tells how many more there were.
const ARGS_MAX: usize = 32;
/// Bytes of an argument; what is cut off is told behind them.
const ARG_BYTES_MAX: usize = 128;

/// What became of a command.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Time of its runs, microseconds.
    pub took_us: u64,
    /// Bytes of its reply.
    pub reply_bytes: usize,
    /// It had waited.
    pub waited: bool,
}

/// Notes a command that ran to its end.
#[inline]
pub fn note(
    shared: &mut Shared,
    session: &Session,
    command: Entry,
    args: &Args,
    ended: Ended,
    inst: &mut dyn Instance,
) {
    let stats = &mut shared.stats.commands[command.id.index()];
    stats.usec += ended.took_us;
    if shared.watch.histograms {
        stats
            .histogram
            .get_or_insert_default()
            .record(ended.took_us);
    }
    let values = [ended.took_us, args.size() as u64, ended.reply_bytes as u64];
    if shared.watch.may_be_remarkable(&values) {
        remark(shared, session, command, args, (values, ended.waited), inst);
    }
}

#[cold]
fn remark(
    shared: &mut Shared,
    session: &Session,
    command: Entry,
    args: &Args,
    (values, waited): ([u64; 3], bool),
    inst: &mut dyn Instance,
) {
    if shared.watch.counts_slots {
        count_slot(shared, session, command, args, values);
    }
    if session.replays() || !shared.watch.is_remarkable(&values) {
        return;
    }
    let at_s = inst.now().wall_us.div_euclid(1_000_000);
    let spec = command.spec;
    let name = match (waited, spec.flags.has(Flags::FAST)) {
        (true, _) => event::UNBLOCKING,
        (_, true) => event::FAST_COMMAND,
        _ => event::COMMAND,
    };
    shared.watch.latency.note(name, values[0], at_s);
    if spec.flags.has(Flags::SKIP_SLOWLOG) {
        return;
    }
    let in_script = shared.in_script(session);
    for ((remark, _), value) in Remark::ALL.into_iter().zip(values) {
        let from = shared.watch.limits[remark as usize].from;
        if from.is_none_or(|from| value < from) {
            continue;
        }
        // A command of a script has no client of its own.
        let (address, name) = match in_script {
            false => (inst.address_of(session.slot), session.name.clone()),
            true => Default::default(),
        };
        shared.watch.log_mut(remark).push(LogEntry {
            id: 0,
            at_s,
            value,
            args: arguments(spec, args),
            address,
            name,
        });
    }
}

/// Of what a script calls the time alone counts: its request and reply are the script's.
fn count_slot(
    shared: &mut Shared,
    session: &Session,
    command: Entry,
    args: &Args,
    [cpu_us, mut bytes_in, mut bytes_out]: [u64; 3],
) {
    let is_script =
        command.spec.flags.has(Flags::MOVABLE_KEYS) && command.spec.group == Group::Scripting;
    if shared.in_script(session) {
        (bytes_in, bytes_out) = (0, 0);
    }
    if let Some(slot) = route::slot_of(command, args)
        && let Some(slots) = &mut shared.watch.slots
    {
        // The time of a script is that of its calls, and some of its own, which nobody can tell apart.
        slots.note(
            slot,
            [if is_script { 0 } else { cpu_us }, bytes_in, bytes_out],
        );
    }
}

/// The arguments for an entry: so many of them and so much of each, and none that is secret.
fn arguments(command: &Command, args: &Args) -> Vec<Vec<u8>> {
    let shown = match args.len() > ARGS_MAX {
        true => ARGS_MAX - 1,
        false => args.len(),
    };
    let mut list: Vec<Vec<u8>> = (0..shown).map(|at| argument(command, args, at)).collect();
    if shown < args.len() {
        list.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    list
}

fn argument(command: &Command, args: &Args, at: usize) -> Vec<u8> {
    if command.is_secret(args, at) {
        return REDACTED.to_vec();
    }
    let bytes = args.at(at);
    match bytes.get(..ARG_BYTES_MAX) {
        Some(begin) if begin.len() < bytes.len() => {
            let more = format!("... ({} more bytes)", bytes.len() - ARG_BYTES_MAX);
            [begin, more.as_bytes()].concat()
        }
        _ => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::args::ArgsBuf;

    #[test]
    fn many_and_long_arguments_are_cut() {
        let of = |words: &[Vec<u8>]| arguments(&Command::BASE, &ArgsBuf::from_slices(words).args());
        let many = of(&vec![b"x".to_vec(); 33]);
        assert_eq!(many.len(), 32);
        assert_eq!(many[31], b"... (2 more arguments)");
        assert_eq!(of(&vec![b"x".to_vec(); 32]).len(), 32);
        let long = of(&[vec![b'A'; 128], vec![b'A'; 129]]);
        assert_eq!(long[0], [b'A'; 128]);
        assert_eq!(long[1], [&[b'A'; 128][..], b"... (1 more bytes)"].concat());
    }
}
