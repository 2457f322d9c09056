//! MEMORY DOCTOR: what of the memory figures is worth a look, and what helps.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::Outcome;
use cairn_engine::base::limits::EvictionRule;
use cairn_engine::call::Ctx;

use super::super::{View, human};
use super::{clients, fraction, log_buffer, peak, resident, stats, used};
use crate::front::access;

/// With less there is nothing to diagnose, bytes.
const LITTLE: u64 = 5 << 20;
/// Waste below this is none, bytes.
const WASTE: u64 = 10 << 20;
/// A client's buffers may take so much on average, bytes.
const CLIENT: u64 = 200 << 10;
/// What waits for the log may take so much, bytes.
const LOG: u64 = 64 << 20;

/// What is wrong, if it is.
type Sign = fn(&View) -> Option<String>;

/// All that is looked for.
const SIGNS: &[Sign] = &[
    |v| {
        (peak(v) as f64 > used(v) as f64 * 1.5 && peak(v) - used(v) > WASTE).then(|| {
            format!(
                "Peak: {} were in use at some time, now it is {}. The system may not have all of it back, so that memory of the system looks large beside memory in use. If it stays, MEMORY PURGE hands free pages back.",
                human(peak(v)), human(used(v))
            )
        })
    },
    |v| {
        wasted(stats(v).active, stats(v).allocated, 1.1).map(|(ratio, bytes)| {
            format!(
                "Fragmentation of the allocator: pages in use hold {ratio:.2} times what is stored in them, {bytes} more. It comes from values of changing sizes. activedefrag moves small ones together while the server serves; a restart, or a load of the data in another instance, packs all of them again."
            )
        })
    },
    |v| {
        wasted(stats(v).resident, stats(v).active, 1.1).map(|(ratio, bytes)| {
            format!(
                "Pages kept by the allocator: {ratio:.2} times those in use, {bytes} more. They go back to the system with time (jemalloc-bg-thread), or at once with MEMORY PURGE."
            )
        })
    },
    |v| {
        wasted(resident(v), stats(v).resident, 1.1).map(|(ratio, bytes)| {
            format!(
                "Memory beside the allocator: the process has {ratio:.2} times of what the allocator knows, {bytes} more: code, stacks, pages shared with a child that saves."
            )
        })
    },
    |v| {
        let count = v.front.clients.connections.len() as u64;
        (count > 0 && clients(v) / count > CLIENT).then(|| {
            format!(
                "Clients: their buffers take {}, {} each on average. Somebody reads too slowly or sends huge pipelines: CLIENT LIST shows who (omem, qbuf), client-output-buffer-limit and maxmemory-clients bound it.",
                human(clients(v)), human(clients(v) / count)
            )
        })
    },
    |v| {
        (log_buffer(v) > LOG).then(|| {
            format!(
                "Log: {} wait to be written. The disk does not keep up, or a write failed: see INFO persistence.",
                human(log_buffer(v))
            )
        })
    },
    |v| {
        let (limit, none) = (v.ks.limits.memory_max, EvictionRule::Never);
        (limit > 0 && v.ks.limits.eviction == none && used(v) as f64 > limit as f64 * 0.95).then(|| {
            format!(
                "Limit: {} of the {} that maxmemory allows are in use, and maxmemory-policy removes nothing: writes are about to be refused.",
                human(used(v)), human(limit)
            )
        })
    },
];

/// By how much `whole` is more than `part`, if that is more than `most` times and no trifle.
fn wasted(whole: u64, part: u64, most: f64) -> Option<(f64, String)> {
    let (ratio, more) = (fraction(whole, part), whole.saturating_sub(part));
    (ratio > most && more > WASTE).then(|| (ratio, human(more)))
}

/// MEMORY DOCTOR.
pub(super) fn run(cx: &mut Ctx, _: &Args) -> Outcome {
    let view = View::of(access::whole(&mut *cx.inst), cx.ks, cx.shared);
    let found: Vec<String> = SIGNS.iter().filter_map(|sign| sign(&view)).collect();
    let text = match (used(&view) < LITTLE, found.is_empty()) {
        (true, _) => format!(
            "Only {} are in use: too little to tell anything of. Come back when there is data.",
            human(used(&view))
        ),
        (false, true) => "No problem found with the memory of this instance.".to_owned(),
        (false, false) => format!("{} found:\n\n * {}\n", found.len(), found.join("\n\n * ")),
    };
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}
