//! INFO: figures of the running server, section by section; the metrics port shows the same ones ([`metrics`]).
//!
//! A section is a list of fields, each a name and how to compute it; names and their order are those of Redis 7.2, so
//! that programs find what they look for. What Redis counts and this server has no part for yet (replicas, eviction,
//! scripts, modules) is truly zero. Not measured are `expired_stale_perc`, `expired_time_cap_reached_count`,
//! `expire_cycle_cpu_milliseconds`, `total_reads_processed` and `total_writes_processed` and the reply buffer's resizes: 0.

mod lists;
mod memory;
pub mod metrics;
mod persistence;
mod replication;
mod server;
mod stats;

use std::cell::OnceCell;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::Outcome;
use cairn_engine::base::time::Now;
use cairn_engine::call::ctx::Shared;
use cairn_engine::call::{Command, Ctx, Flags, Group};
use cairn_engine::keyspace::Keyspace;
use cairn_engine::tracking::Tracking;

use crate::clients::Buffers;
use crate::figures::MemorySample;
use crate::front::{Front, access};
use crate::host::CpuTimes;

/// This family.
pub const COMMANDS: &[&Command] = &[&INFO, &memory::command::MEMORY];

const INFO: Command = Command {
    name: "info",
    group: Group::Server,
    arity: -1,
    flags: Flags::LOADING.and(Flags::STALE),
    categories: Some(&["@dangerous"]),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    summary: "Tell figures of the server, all or by section",
    run: info,
    ..Command::BASE
};

/// What the figures are taken from.
pub struct View<'a> {
    /// The server around the data.
    pub front: &'a Front,
    /// The data.
    pub ks: &'a Keyspace,
    /// What sessions share.
    pub shared: &'a Shared,
    /// Memory in use, read once so that all figures made of it agree.
    used: u64,
    /// Both clocks, read once as well.
    now: Now,
    /// Memory as timed work has sampled it.
    memory: MemorySample,
    /// Processor time, read once it is asked for.
    cpu: OnceCell<CpuTimes>,
    /// What clients take, added up once it is asked for.
    buffers: OnceCell<Buffers>,
}

/// How old the sample of the memory may be where timed work does not run, microseconds.
const OLDEST_SAMPLE_US: u64 = 1_000_000;

/// A figure of client-side caching; 0 where nobody tracks.
fn tracked(view: &View, figure: fn(&Tracking) -> usize) -> usize {
    view.ks.tracking.as_deref().map_or(0, figure)
}

impl<'a> View<'a> {
    /// Everything as it is now.
    pub fn of(front: &'a mut Front, ks: &'a Keyspace, shared: &'a Shared) -> View<'a> {
        front.replication.flush();
        let used = front.host.used_memory();
        front.figures.memory.note(used);
        let memory = front.sample_memory(OLDEST_SAMPLE_US);
        View {
            now: front.now(),
            front,
            ks,
            shared,
            used,
            memory,
            cpu: OnceCell::new(),
            buffers: OnceCell::new(),
        }
    }

    fn cpu(&self) -> &CpuTimes {
        let process = self.front.host.process();
        self.cpu.get_or_init(|| process.cpu_times())
    }

    /// One walk over all clients for all figures: with thousands of them it is what INFO takes longest for.
    fn buffers(&self) -> &Buffers {
        self.buffers.get_or_init(|| self.front.clients.weigh_all())
    }
}

/// A field: its name and its value as text.
type Field = (&'static str, fn(&View) -> String);

/// Writes lines whose names are not known before.
type Lines = fn(&View, &mut String);

/// What a section is made of.
enum Body {
    Fields(&'static [Field]),
    Lines(Lines),
    /// Fields, then such lines.
    Both(&'static [Field], Lines),
    /// Such lines, then fields.
    Headed(Lines, &'static [Field]),
}

/// One section.
struct Section {
    word: &'static str,
    title: &'static str,
    body: Body,
    /// It is part of INFO without arguments.
    default: bool,
    /// It is shown only where it is asked for by name, not even among all.
    hidden: bool,
}

/// All sections in their order.
const SECTIONS: &[Section] = &[
    section(
        "server",
        "Server",
        Body::Both(server::SERVER, server::listeners),
    ),
    section("clients", "Clients", Body::Fields(server::CLIENTS)),
    section("memory", "Memory", Body::Fields(memory::MEMORY)),
    section(
        "persistence",
        "Persistence",
        Body::Both(persistence::PERSISTENCE, persistence::extra),
    ),
    section("stats", "Stats", Body::Fields(stats::STATS)),
    section(
        "replication",
        "Replication",
        Body::Headed(replication::by_role, replication::REPLICATION),
    ),
    section("cpu", "CPU", Body::Fields(stats::CPU)),
    section("threads", "Threads", Body::Lines(lists::threads)),
    section("modules", "Modules", Body::Fields(&[])),
    Section {
        default: false,
        ..section("commandstats", "Commandstats", Body::Lines(lists::commands))
    },
    section("errorstats", "Errorstats", Body::Lines(lists::errors)),
    Section {
        default: false,
        ..section(
            "latencystats",
            "Latencystats",
            Body::Lines(lists::latencies),
        )
    },
    section("cluster", "Cluster", Body::Fields(stats::CLUSTER)),
    section("keyspace", "Keyspace", Body::Lines(lists::databases)),
    // As in Redis 8.
    section("keysizes", "Keysizes", Body::Lines(lists::sizes)),
    section("cairn", "Cairn", Body::Fields(server::CAIRN)),
    Section {
        default: false,
        hidden: true,
        ..section("debug", "Debug", Body::Fields(stats::DEBUG))
    },
];

const fn section(word: &'static str, title: &'static str, body: Body) -> Section {
    Section {
        word,
        title,
        body,
        default: true,
        hidden: false,
    }
}

/// Room for the default sections.
const USUAL_BYTES: usize = 8 * 1024;

fn info(cx: &mut Ctx, args: &Args) -> Outcome {
    let asked = |word: &str| (1..args.len()).any(|i| args.is(i, word));
    let whole = asked("all") || asked("everything");
    let default = args.len() == 1 || asked("default");
    let view = View::of(access::whole(&mut *cx.inst), cx.ks, cx.shared);
    let mut text = String::with_capacity(USUAL_BYTES);
    for section in SECTIONS {
        if (whole && !section.hidden) || (default && section.default) || asked(section.word) {
            write(section, &view, &mut text);
        }
    }
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn write(section: &Section, view: &View, text: &mut String) {
    if !text.is_empty() {
        text.push_str("\r\n");
    }
    push(text, &["# ", section.title, "\r\n"]);
    let (fields, lines): (&[Field], Option<Lines>) = match section.body {
        Body::Fields(fields) => (fields, None),
        Body::Lines(lines) => (&[], Some(lines)),
        Body::Both(fields, lines) => (fields, Some(lines)),
        Body::Headed(lines, fields) => {
            lines(view, text);
            (fields, None)
        }
    };
    for (name, value) in fields {
        push(text, &[name, ":", &value(view), "\r\n"]);
    }
    if let Some(lines) = lines {
        lines(view, text);
    }
}

/// Appends the parts: for each of two hundred lines the general machinery of formatting would be most of the work.
fn push(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

/// A value that is always the same word: of a part that this server does not have, or has in one form only.
macro_rules! word {
    ($text:literal) => {
        |_| $text.to_string()
    };
}
/// A value that is printed as it is.
macro_rules! show {
    (|$view:ident| $value:expr) => {
        |$view| $value.to_string()
    };
}
use {show, word};

/// 0 or 1.
fn bit(holds: bool) -> String {
    u8::from(holds).to_string()
}

/// `ok` or `err`.
fn ok(holds: bool) -> String {
    if holds { "ok" } else { "err" }.to_string()
}

/// Bytes for a reader: `957.36K`.
fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T", "P"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes}B"),
        _ => format!("{value:.2}{}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn bytes_are_told_in_steps_of_1024() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(980_336), "957.36K");
        assert_eq!(human(6_418_432), "6.12M");
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
