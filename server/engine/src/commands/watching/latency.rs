//! LATENCY: events that took long, and histograms of the commands.

use super::{doctor, graph};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::{CommandStats, Ctx, Shared};
use crate::call::help;
use crate::call::spec::{Command, Flags, Group};
use crate::call::table::{CommandTable, Entry};

const TO_ALL: &str = "request_policy:all_nodes";
/// Tips of what each node tells of itself.
const OF_EACH: &[&str] = &["nondeterministic_output", TO_ALL, "response_policy:special"];

pub(super) const LATENCY: Command = Command::container(
    "latency",
    Group::Server,
    "2.8.13",
    "Look at what takes long",
    &[
        &DOCTOR, &GRAPH, &HELP, &HISTOGRAM, &HISTORY, &LATEST, &RESET,
    ],
);

const SUB: Command = Command {
    group: Group::Server,
    since: "2.8.13",
    arity: 2,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    tips: OF_EACH,
    ..Command::BASE
};

const DOCTOR: Command = Command {
    name: "latency|doctor",
    summary: "Say what took long and what may help",
    run: |cx, _| {
        let text = doctor::report(&cx.shared.watch.latency);
        cx.reply.verbatim(b"txt", text.as_bytes());
        Ok(())
    },
    ..SUB
};

const GRAPH: Command = Command {
    name: "latency|graph",
    arity: 3,
    summary: "Draw the times of an event",
    run: |cx, args| {
        let now_s = cx.inst.now().wall_us.div_euclid(1_000_000);
        let Some((name, series)) = cx.shared.watch.latency.event(args.at(2)) else {
            let event = error::lossless(args.at(2));
            return Err(Error::text(format!(
                "ERR No samples available for event '{event}'"
            )));
        };
        let text = graph::draw(name, series, now_s);
        cx.reply.verbatim(b"txt", text.as_bytes());
        Ok(())
    },
    ..SUB
};

const HISTORY: Command = Command {
    name: "latency|history",
    arity: 3,
    summary: "Tell the times of an event, second by second",
    run: |cx, args| {
        let Some((_, series)) = cx.shared.watch.latency.event(args.at(2)) else {
            cx.reply.array(0);
            return Ok(());
        };
        cx.reply.array(series.samples().len());
        for sample in series.samples() {
            cx.reply.array(2);
            cx.reply.int(sample.at_s);
            cx.reply.int(sample.ms as i64);
        }
        Ok(())
    },
    ..SUB
};

const LATEST: Command = Command {
    name: "latency|latest",
    summary: "Tell the last time and the longest of each event",
    run: |cx, _| {
        let events = cx.shared.watch.latency.events();
        cx.reply.array(events.len());
        for (name, series) in events {
            let last = series.samples().next_back();
            cx.reply.array(4);
            cx.reply.bulk(name.as_bytes());
            cx.reply.int(last.map_or(0, |sample| sample.at_s));
            cx.reply.int(last.map_or(0, |sample| sample.ms as i64));
            cx.reply.int(series.max_ms as i64);
        }
        Ok(())
    },
    ..SUB
};

const RESET: Command = Command {
    name: "latency|reset",
    arity: -2,
    tips: &[TO_ALL, "response_policy:agg_sum"],
    summary: "Forget events, all or those named",
    run: |cx, args| {
        let names: Vec<&[u8]> = args.iter_from(2).collect();
        let count = cx.shared.watch.latency.reset(|event| {
            let is_meant = |name: &&[u8]| name.eq_ignore_ascii_case(event.as_bytes());
            names.is_empty() || names.iter().any(is_meant)
        });
        cx.reply.int(count as i64);
        Ok(())
    },
    ..SUB
};

const HISTOGRAM: Command = Command {
    name: "latency|histogram",
    since: "7.0.0",
    arity: -2,
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    summary: "Tell how often commands took how long",
    run: histogram,
    ..SUB
};

fn histogram(cx: &mut Ctx, args: &Args) -> Outcome {
    let mark = cx.reply.mark();
    let mut count = 0;
    for (spec, stats) in asked(cx.shared, args) {
        if let Some(histogram) = &stats.histogram {
            count += 1;
            cx.reply.bulk(spec.name.as_bytes());
            cx.reply.map(2);
            cx.reply.bulk(b"calls");
            cx.reply.int(histogram.total() as i64);
            cx.reply.bulk(b"histogram_usec");
            let steps = histogram.cumulative();
            cx.reply.map(steps.len());
            for (limit_us, calls) in steps {
                cx.reply.int(limit_us as i64);
                cx.reply.int(calls as i64);
            }
        }
    }
    cx.reply.map_at(mark, count);
    Ok(())
}

/// The commands that were asked for, a container standing for its subcommands; all where none was named.
fn asked<'c>(
    shared: &'c Shared,
    args: &Args,
) -> impl Iterator<Item = (&'static Command, &'c CommandStats)> + use<'c> {
    let table = &shared.table;
    let mut ids: Vec<usize> = match args.len() {
        2 => (0..table.entries().len()).collect(),
        _ => args
            .iter_from(2)
            .filter_map(|name| find(table, name))
            .flat_map(|entry| {
                let first = entry.id.index();
                match entry.spec.subcommands.len() {
                    0 => first..first + 1,
                    count => first + 1..first + 1 + count,
                }
            })
            .collect(),
    };
    // Named twice it is shown once: the reply is a map.
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .map(|id| (table.entries()[id], &shared.stats.commands[id]))
}

fn find(table: &CommandTable, name: &[u8]) -> Option<Entry> {
    match name.iter().position(|byte| *byte == b'|') {
        None => table.find(name),
        Some(bar) => table.find_sub(table.find(&name[..bar])?, &name[bar + 1..]),
    }
}

const HELP: Command = help::subcommand("latency|help", SUB, LINES);

const LINES: &[&str] = &[
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "GRAPH <event>",
    "    Return an ASCII latency graph for the <event> class.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
    "    (default: reset all data for all event classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
    "    If no commands are specified then all histograms are replied.",
];
