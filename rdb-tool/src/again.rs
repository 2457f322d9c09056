//! What was written is read once more before it is said to be done.

use crate::parts::plan;
use cairn_format::error::FormatError;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Plan, Sound, verify_in_sections};
use cairn_toolkit::{Failure, Input, Output};

/// Bytes of a section that is only looked at.
const SECTION: usize = 2 << 20;

/// How many keys a written snapshot has, or why it is not sound. An output that cannot be read again (a pipe, a device) is believed.
pub fn read_again(output: &mut Output) -> Result<Option<Result<u64, Box<FormatError>>>, Failure> {
    let Some(input) = output.read_back()? else {
        return Ok(None);
    };
    let options = Options {
        duplicate_keys: true,
        ..Options::sound()
    };
    Ok(Some(sound(&input, options).map(|sound| sound.records)))
}

/// Whether a mapped file is sound, found out on all processors.
///
/// # Errors
/// The first damage.
pub fn sound(input: &Input, options: Options) -> Result<Sound, Box<FormatError>> {
    let bytes = input.bytes().unwrap_or_default();
    // Nothing is made of them, so that they may be larger.
    let plan = Plan {
        section: SECTION,
        ..plan()
    };
    verify_in_sections(bytes, options, plan, &mut |place| input.passed(place))
}
