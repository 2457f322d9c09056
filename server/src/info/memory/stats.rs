//! MEMORY STATS: the figures of INFO memory as a map, in the order of Redis 7.2.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::Outcome;
use cairn_engine::call::Ctx;
use cairn_engine::call::reply::Reply;

use super::super::View;
use super::super::lists::used_databases;
use super::{
    clients, dataset, difference, fraction, keys_mean, log_buffer, overhead, part, peak, resident,
    startup, stats, used,
};
use crate::front::access;

/// A figure.
enum Figure {
    Int(i64),
    Double(f64),
}

/// Its name, and how to compute it.
type Line = (&'static str, fn(&View) -> Figure);

fn bytes(number: u64) -> Figure {
    Figure::Int(number as i64)
}

/// Before the databases.
const FIRST: &[Line] = &[
    ("peak.allocated", |v| bytes(peak(v))),
    ("total.allocated", |v| bytes(used(v))),
    ("startup.allocated", |v| bytes(startup(v))),
    // Of what this server does not have: 0.
    ("replication.backlog", |v| bytes(super::stream(v).1)),
    ("clients.slaves", |v| bytes(super::replicas(v))),
    ("clients.normal", |v| bytes(clients(v))),
    ("cluster.links", |v| {
        bytes(v.front.cluster.as_ref().map_or(0, |c| c.bus.mem_bytes()) as u64)
    }),
    ("aof.buffer", |v| bytes(log_buffer(v))),
    ("lua.caches", |v| {
        bytes((v.shared.scripts.vm_bytes() + v.shared.scripts.script_bytes()) as u64)
    }),
    ("functions.caches", |v| {
        bytes((v.ks.libraries.vm_bytes() + v.ks.libraries.bytes()) as u64)
    }),
];

/// Behind them.
const LAST: &[Line] = &[
    ("overhead.total", |v| bytes(overhead(v))),
    ("keys.count", |v| bytes(v.ks.total_keys() as u64)),
    ("keys.bytes-per-key", |v| bytes(keys_mean(v))),
    ("dataset.bytes", |v| bytes(dataset(v))),
    ("dataset.percentage", |v| {
        Figure::Double(part(dataset(v), used(v).saturating_sub(startup(v))))
    }),
    ("peak.percentage", |v| {
        Figure::Double(part(used(v), peak(v)))
    }),
    ("allocator.allocated", |v| bytes(stats(v).allocated)),
    ("allocator.active", |v| bytes(stats(v).active)),
    ("allocator.resident", |v| bytes(stats(v).resident)),
    ("allocator-fragmentation.ratio", |v| {
        Figure::Double(fraction(stats(v).active, stats(v).allocated))
    }),
    ("allocator-fragmentation.bytes", |v| {
        Figure::Int(difference(stats(v).active, stats(v).allocated))
    }),
    ("allocator-rss.ratio", |v| {
        Figure::Double(fraction(stats(v).resident, stats(v).active))
    }),
    ("allocator-rss.bytes", |v| {
        Figure::Int(difference(stats(v).resident, stats(v).active))
    }),
    ("rss-overhead.ratio", |v| {
        Figure::Double(fraction(resident(v), stats(v).resident))
    }),
    ("rss-overhead.bytes", |v| {
        Figure::Int(difference(resident(v), stats(v).resident))
    }),
    ("fragmentation", |v| {
        Figure::Double(fraction(resident(v), used(v)))
    }),
    ("fragmentation.bytes", |v| {
        Figure::Int(difference(resident(v), used(v)))
    }),
];

/// MEMORY STATS.
pub(super) fn run(cx: &mut Ctx, _: &Args) -> Outcome {
    let reply = &mut *cx.reply;
    let view = View::of(access::whole(&mut *cx.inst), cx.ks, cx.shared);
    let write = |lines: &[Line], reply: &mut Reply| {
        for (name, value) in lines {
            reply.bulk(name.as_bytes());
            match value(&view) {
                Figure::Int(number) => reply.int(number),
                Figure::Double(number) => reply.double(number),
            }
        }
    };
    reply.map(FIRST.len() + used_databases(&view).count() + LAST.len());
    write(FIRST, reply);
    for (index, db) in used_databases(&view) {
        reply.bulk(format!("db.{index}").as_bytes());
        reply.map(3);
        // Expiry stands in the keys, so there is no second table of them, nor one of slots.
        for (name, bytes) in [
            ("main", db.table_bytes()),
            ("expires", 0),
            ("slot-to-keys", 0),
        ] {
            reply.bulk(format!("overhead.hashtable.{name}").as_bytes());
            reply.int(bytes as i64);
        }
    }
    write(LAST, reply);
    Ok(())
}
