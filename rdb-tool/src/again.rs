//! What was written is read once more before it is said to be done.

use cairn_format::error::FormatError;
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_toolkit::{Failure, Output};

/// How many keys a written snapshot has, or why it is not sound. An output that cannot be read again (a pipe, a device) is believed.
pub fn read_again(output: &mut Output) -> Result<Option<Result<u64, Box<FormatError>>>, Failure> {
    let Some(input) = output.read_back()? else {
        return Ok(None);
    };
    let options = Options {
        duplicate_keys: true,
        ..Options::sound()
    };
    let written = input.bytes().unwrap_or_default();
    let keys = SliceReader::from_slice(written, options).and_then(|mut reader| {
        cairn_format::rdb::verify(&mut reader)?;
        Ok(reader.records())
    });
    Ok(Some(keys))
}
