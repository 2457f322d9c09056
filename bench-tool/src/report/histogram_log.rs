//! A histogram for each second of each run, in the log format 1.3 of HdrHistogram: its own tools read and plot it.
//!
//! ```text
//!   #[StartTime: 0.000 ...]
//!   "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//!   Tag=SET,0.000,1.000,2.519,HISTFAAAA...        seconds from the start; the maximum in milliseconds; V2, deflated, base64
//! ```
//!
//! Values are nanoseconds. Of a set the lines of a run are tagged with its name; a single run has none.

use super::{Report, Run};
use crate::load::timeline::SLICE_NS;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// Writes all runs one behind the other.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut out = out;
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("bench-tool: response times in nanoseconds, one histogram a second")
        .with_base_time(SystemTime::UNIX_EPOCH)
        .with_start_time(SystemTime::UNIX_EPOCH)
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut out, &mut serializer)?;
    let mut start = 0;
    for run in report.runs {
        let name = tag(report, run);
        let (mut result, mut last) = (Ok(()), 0);
        run.measured.timeline.each(|number, slice| {
            last = number + 1;
            let at = Duration::from_nanos((start + number) * SLICE_NS);
            let tag = name.as_deref().and_then(Tag::new);
            let one = log.write_histogram(&slice.times, at, Duration::from_nanos(SLICE_NS), tag);
            if let (Ok(()), Err(error)) = (&result, one) {
                result = Err(plain(error));
            }
        });
        result?;
        start += last;
    }
    Ok(())
}

/// A tag may not have what separates fields.
fn tag(report: &Report<'_>, run: &Run) -> Option<String> {
    report.suite?;
    let name = &run.plan.workload.operations[0].name;
    Some(name.replace([',', ' ', '\r', '\n'], "_"))
}

fn plain<E: std::fmt::Debug>(error: IntervalLogWriterError<E>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        other => io::Error::other(format!("a histogram could not be written: {other:?}")),
    }
}
