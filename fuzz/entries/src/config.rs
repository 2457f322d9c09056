//! Texts in the form of `redis.conf`: a configuration that can be written and read again, or an error that says where.

use std::path::Path;

use cairn_format::text::words::split_words;
use cairn_server::config::{Config, Invocation, start};

fn read(text: &[u8]) -> Result<Config, String> {
    match start(&[b"-".to_vec()], Path::new("/"), &mut { text }) {
        Ok(Invocation::Run(config)) => Ok(*config),
        Ok(Invocation::Print(text)) => Err(text),
        Ok(Invocation::CheckSystem) => Err(String::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a text, rewrites it, and compares the values. Texts that include files are left alone: the files of the machine
/// are no part of the input.
pub fn run(text: &[u8]) {
    let is_include = |line: &[u8]| {
        split_words(line).is_ok_and(|words| {
            words
                .first()
                .is_some_and(|w| w.eq_ignore_ascii_case(b"include"))
        })
    };
    if text.split(|b| *b == b'\n').any(is_include) {
        return;
    }
    let first = match read(text) {
        Ok(config) => config,
        Err(error) => return assert!(error.contains("FATAL CONFIG FILE ERROR"), "{error}"),
    };
    for force_all in [false, true] {
        let again = first.rewritten(text, force_all, &lines_of_users(&first));
        match read(&again) {
            Ok(second) => assert_eq!(first.matching(&[b"*"]), second.matching(&[b"*"])),
            Err(error) => panic!(
                "what was rewritten is refused: {error}: {}",
                again.escape_ascii()
            ),
        }
    }
}

/// The lines of users as they were read.
fn lines_of_users(config: &Config) -> Vec<Vec<Vec<u8>>> {
    let users = config.users().iter();
    users
        .map(|user| {
            let head = [b"user".to_vec(), user.name.clone()];
            head.into_iter().chain(user.words.iter().cloned()).collect()
        })
        .collect()
}
