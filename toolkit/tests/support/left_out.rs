//! What a test says that cannot run on this machine. Test files name this file by its path.

use std::fs::File;
use std::io::Write;

/// Notes that a test cannot run on this machine. `scripts/test` names a file for that and tells its lines at the end;
/// without it the test fails, so that nothing is left out in silence.
pub fn left_out(test: &str, reason: &str) {
    let path = std::env::var_os("CAIRN_LEFT_OUT")
        .unwrap_or_else(|| panic!("{test} cannot run here: {reason}"));
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .expect("the file of what is left out");
    writeln!(file, "{test}: {reason}").expect("room for a line");
}
