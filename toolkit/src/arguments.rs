//! Command lines: clap parses them, the house words the complaints. And words that several tools take.

use crate::outcome::{Failure, note};
use crate::output::Output;
use clap::Parser;
use clap::error::ErrorKind;
use std::io::Write;
use std::str::FromStr;

/// Parses the command line of this process.
///
/// Help and version go to stdout and end with exit 0. A mistake is an error line with the tool's
/// name, clap's advice below it, and exit 2.
pub fn arguments<T: Parser>() -> Result<T, Failure> {
    arguments_from(std::env::args_os())
}

/// The same for a given command line, whose first word is the program.
fn arguments_from<T: Parser>(
    words: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> Result<T, Failure> {
    T::try_parse_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => show(&error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            note("a command is missing");
            explain(&error.to_string())
        }
        _ => complain(&error.to_string()),
    })
}

fn show(text: &str) -> Failure {
    let mut out = Output::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Failure::quiet(0),
        Err(error) => error.into(),
    }
}

fn explain(text: &str) -> Failure {
    let _ = std::io::stderr().write_all(text.as_bytes());
    Failure::quiet(2)
}

/// clap says "error: what" and then paragraphs; the first line becomes ours, the rest stays.
fn complain(text: &str) -> Failure {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    note(first.trim_end_matches('.'));
    explain(rest)
}

/// How many times as fast as it was recorded something is sent again; infinite for no waiting at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(pub f64);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        let speed = match text {
            "original" => Some(1.0),
            "max" => Some(f64::INFINITY),
            text => text
                .parse()
                .ok()
                .filter(|speed| (1e-3..=1e6).contains(speed)),
        };
        speed
            .map(Speed)
            .ok_or_else(|| "expected original, max or a factor from 0.001 to 1000000".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    #[command(name = "probe")]
    struct Probe {
        #[arg(long)]
        port: u16,
    }

    #[test]
    fn good_words_parse_and_bad_ones_fail_without_a_second_line() {
        let probe: Probe = arguments_from(["probe", "--port", "7000"]).unwrap();
        assert_eq!(probe.port, 7000);
        let failure = arguments_from::<Probe>(["probe", "--port", "x"]).unwrap_err();
        assert!(
            failure.line().is_none(),
            "the complaint is on stderr already"
        );
    }
}
