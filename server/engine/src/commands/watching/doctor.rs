//! LATENCY DOCTOR: what took long, in words, and what may help.

use crate::call::watch::latency::{Latency, Series, event};

/// The whole report.
pub(super) fn report(latency: &Latency) -> String {
    if latency.events().len() == 0 {
        return match latency.from_ms {
            None => "The latency monitor is off, so nothing is known. \
                     CONFIG SET latency-monitor-threshold <milliseconds> turns it on: \
                     whatever takes as long is then noted.\n"
                .to_owned(),
            Some(ms) => format!(
                "Nothing took {ms} milliseconds or more since the latency monitor was turned on or reset. \
                 If clients see slow answers all the same, measure between them and this server: \
                 `redis-cli --latency` there, `redis-cli --intrinsic-latency 100` here.\n"
            ),
        };
    }
    let mut text = String::from("These events took longer than the threshold:\n\n");
    for (number, (name, series)) in latency.events().enumerate() {
        text.push_str(&format!("{}. {name}: {}\n", number + 1, figures(series)));
    }
    text.push_str("\nWhat may help:\n\n");
    let mut advice: Vec<&str> = latency.events().map(|(name, _)| advice_for(name)).collect();
    advice.dedup();
    for line in advice {
        text.push_str(&format!("- {line}\n"));
    }
    text
}

fn figures(series: &Series) -> String {
    let count = series.samples().len().max(1) as u64;
    let sum: u64 = series.samples().map(|sample| sample.ms).sum();
    let mean = sum / count;
    let spread: u64 = series.samples().map(|s| s.ms.abs_diff(mean)).sum();
    let first = series.samples().next().map_or(0, |sample| sample.at_s);
    let last = series.samples().next_back().map_or(0, |sample| sample.at_s);
    format!(
        "{count} seconds with such an event, {mean} ms on average (mean deviation {} ms), one in {} seconds, the worst ever {} ms.",
        spread / count,
        (last - first).max(0) as u64 / count,
        series.max_ms
    )
}

fn advice_for(name: &str) -> &'static str {
    match name {
        event::COMMAND | event::FAST_COMMAND | event::UNBLOCKING => {
            "SLOWLOG GET shows which commands are slow (slowlog-log-slower-than sets from when): use SCAN and its kin in \
             place of KEYS, SMEMBERS and HGETALL of large keys, UNLINK in place of DEL. If even fast commands are slow, \
             the machine is: look for swapping, and for neighbours on its processors."
        }
        event::FORK => {
            "The child of a save shares the memory page by page, and the copy of the page table takes the time: keep less in \
             one instance, and transparent huge pages off (disable-thp)."
        }
        event::EXPIRE_CYCLE => {
            "Many keys expire at the same moment: spread their times, or lower active-expire-effort; lazyfree-lazy-expire \
             frees large ones elsewhere."
        }
        event::EVICTION_CYCLE => {
            "Much is evicted at a time: raise maxmemory, or lower maxmemory-eviction-tenacity; lazyfree-lazy-eviction frees \
             large keys elsewhere."
        }
        event::ACTIVE_DEFRAG_CYCLE => {
            "A slice of active defragmentation takes half a millisecond, so the machine is slow where it takes long: look for \
             swapping, and for neighbours on its processors; a lower active-defrag-cycle-max makes slices rarer."
        }
        event::AOF_FSYNC_ALWAYS => {
            "appendfsync always waits for the disk with each batch of writes: a faster disk, or appendfsync everysec if a \
             second may be lost."
        }
        event::RDB_UNLINK | event::AOF_RENAME => {
            "Removing a large file took long: the file system may be busy or full."
        }
        _ => {
            "Writing the log waits for the disk: move other writers off it, look at no-appendfsync-on-rewrite, and at \
             auto-aof-rewrite-percentage if rewrites are frequent."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_figures_and_some_advice() {
        let mut latency = Latency::default();
        assert!(report(&latency).contains("is off"));
        latency.from_ms = Some(5);
        assert!(report(&latency).contains("Nothing took 5"));
        for name in event::ALL {
            latency.note(name, 10_000, 100);
            latency.note(name, 20_000, 110);
        }
        let text = report(&latency);
        assert!(text.contains(
            "2. aof-fsync-always: 2 seconds with such an event, 15 ms on average (mean deviation 5 ms), one in 5 seconds, the worst ever 20 ms."
        ), "{text}");
        assert!(event::ALL.iter().all(|name| text.contains(name)));
    }
}
