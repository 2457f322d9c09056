//! MEMORY: what keys and the process take.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Outcome};
use cairn_engine::call::{Command, Ctx, Flags, Group, KeySpec, help};
use cairn_engine::structure::record::PayloadRef;
use cairn_engine::value::Object;

use super::{doctor, stats};
use crate::front::access;
use crate::os::alloc;

/// The container.
pub(in crate::info) const MEMORY: Command = Command::container(
    "memory",
    Group::Server,
    "4.0.0",
    "Look at memory",
    &[&USAGE, &STATS, &DOCTOR, &MALLOC_STATS, &PURGE, &HELP],
);

const SUB: Command = Command {
    group: Group::Server,
    since: "4.0.0",
    arity: 2,
    ..Command::BASE
};

const USAGE: Command = Command {
    name: "memory|usage",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::at(2, &["RO"])],
    complexity: "O(N) where N is the number of samples.",
    summary: "Tell the bytes that a key and its value take",
    run: usage,
    ..SUB
};

fn usage(cx: &mut Ctx, args: &Args) -> Outcome {
    let samples = match args.len() {
        3 => SAMPLES,
        5 if args.is(3, "samples") => match args.int(4)? {
            0 => usize::MAX,
            number => usize::try_from(number).map_err(|_| error::SYNTAX)?,
        },
        _ => return Err(error::SYNTAX),
    };
    let Some(slot) = cx.ks.find(args.at(2)) else {
        cx.reply.null();
        return Ok(());
    };
    let record = cx.ks.record(slot);
    let value = match record.payload() {
        PayloadRef::Int(_) | PayloadRef::Bytes(_) => 0,
        PayloadRef::Heap(object) => object_bytes(object, samples),
    };
    cx.reply
        .int((alloc::size_class(record.mem_bytes()) + value) as i64);
    Ok(())
}

/// Elements looked at unless SAMPLES says otherwise.
const SAMPLES: usize = 5;

/// Bytes of a value outside of its record.
fn object_bytes(object: &Object, samples: usize) -> usize {
    let inner = match object {
        Object::Str(bytes) => alloc::size_class(bytes.len()),
        Object::Packed(bytes) => alloc::size_class(bytes.capacity()),
        Object::List(list) => list.mem_bytes(),
        Object::Set(table) => {
            table.mem_bytes() + sampled(table.iter().map(|m| m.mem_bytes()), table.len(), samples)
        }
        Object::Hash(table) => {
            table.mem_bytes() + sampled(table.iter().map(|f| f.mem_bytes()), table.len(), samples)
        }
        Object::Zset(ranked) => ranked.mem_bytes(),
        Object::Stream(stream) => stream.mem_bytes(),
    };
    alloc::size_class(size_of::<Object>()) + inner
}

/// The sum over all elements, estimated from the first few.
fn sampled(sizes: impl Iterator<Item = usize>, count: usize, samples: usize) -> usize {
    let seen = samples.min(count).max(1);
    let sum: usize = sizes.take(seen).map(alloc::size_class).sum();
    sum * count / seen
}

const TOLD: Command = Command {
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    ..SUB
};

const STATS: Command = Command {
    name: "memory|stats",
    summary: "Tell what memory is used for",
    run: stats::run,
    ..TOLD
};

const DOCTOR: Command = Command {
    name: "memory|doctor",
    summary: "Tell what is wrong with the memory of this instance, and what helps",
    run: doctor::run,
    ..TOLD
};

const MALLOC_STATS: Command = Command {
    name: "memory|malloc-stats",
    summary: "Show the statistics of the allocator",
    run: |cx, _| {
        cx.reply.verbatim(b"txt", &alloc::report());
        Ok(())
    },
    ..TOLD
};

const PURGE: Command = Command {
    name: "memory|purge",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    summary: "Hand unused memory back to the system",
    run: |cx, _| {
        alloc::purge();
        let front = access::whole(&mut *cx.inst);
        front.figures.memory.forget_sample();
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const HELP: Command = help::subcommand("memory|help", SUB, HELP_LINES);

const HELP_LINES: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];
