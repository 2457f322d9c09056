//! Sources of metrics of I/O threads.

use std::fmt::Display;

use super::super::View;
use super::Samples;
use crate::threads::Load;

/// Labels of a thread: its number, as in INFO.
pub(super) const LABELS: &[&str] = &["thread"];

fn per_thread<T: Display>(view: &View, samples: &mut Samples, value: impl Fn(&Load) -> T) {
    for (number, load) in view.front.clients.pool.loads().enumerate() {
        samples.add(&[&(number + 1).to_string()], value(&load));
    }
}

/// Connections that each owns.
pub(super) fn clients(view: &View, samples: &mut Samples) {
    per_thread(view, samples, |load| load.clients);
}

/// How often each has read.
pub(super) fn reads(view: &View, samples: &mut Samples) {
    per_thread(view, samples, |load| load.reads);
}

/// How often each was given something to write.
pub(super) fn writes(view: &View, samples: &mut Samples) {
    per_thread(view, samples, |load| load.writes);
}

/// Processor time of each.
pub(super) fn cpu_seconds(view: &View, samples: &mut Samples) {
    let process = view.front.host.process();
    per_thread(view, samples, |load| {
        process.thread_cpu_us(load.thread) as f64 / 1e6
    });
}
