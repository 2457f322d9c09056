//! What was written is read once more before it is said to be done.

use super::spill::BEYOND;
use crate::{Failure, Input, Output};
use cairn_format::error::FormatError;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Plan, Sound, verify_in_sections};

/// Threads that read a file together at most: more would wait for the one that takes what they make.
const THREADS_MAX: usize = 8;
/// Bytes of a section that is only looked at.
const SECTION: usize = 2 << 20;

/// As many threads as there are processors, and no more than help.
pub fn plan() -> Plan {
    let count = std::thread::available_parallelism();
    Plan::with_threads(count.map_or(1, |count| count.get().min(THREADS_MAX)))
}

/// What a written snapshot is, or why it is not sound. An output that cannot be read again (a pipe, a device) is believed.
pub fn read_again(output: &mut Output) -> Result<Option<Result<Sound, Box<FormatError>>>, Failure> {
    let Some(input) = output.read_back()? else {
        return Ok(None);
    };
    let options = Options {
        duplicate_keys: true,
        ..Options::sound()
    };
    Ok(Some(sound(&input, options)))
}

/// Whether a mapped file is sound, found out on all processors.
///
/// # Errors
/// The first damage.
pub fn sound(input: &Input, options: Options) -> Result<Sound, Box<FormatError>> {
    let bytes = input.bytes().unwrap_or_default();
    let options = Options {
        beyond: Some(BEYOND),
        ..options
    };
    // Nothing is made of them, so that they may be larger.
    let plan = Plan {
        section: SECTION,
        ..plan()
    };
    verify_in_sections(bytes, options, plan, &mut |place| input.passed(place))
}
