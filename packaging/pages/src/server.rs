//! The command line of the server, which reads its options as lines of its configuration and not with clap.

use cairn_server::config::{Directive, Kind, table};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

const MORE: &str = "\
Any directive of a configuration file can be given as an option; a later one wins, and options win over the file. /etc/cairn/cairn.conf names all of them with their \
defaults.

SIGTERM and SIGINT end the server as shutdown-on-sigterm and shutdown-on-sigint say, by default with a snapshot if save points are configured. A second SIGINT ends it \
at once.

Exit status: 0 after a shutdown, 1 where the start is refused or the log cannot be written.

The name redis-server, by a link, is answered as Redis does by --version.";

/// What `cairn-server --help` says, option by option.
pub fn command_line() -> Command {
    let file = Arg::new("FILE").help("A configuration file, in the form of redis.conf");
    let stdin = Arg::new("stdin")
        .value_name("-")
        .help("Read more lines of it from standard input");
    let check = Arg::new("check-system")
        .long("check-system")
        .action(ArgAction::SetTrue)
        .help("Look for settings of the system that make a server slow or lose data, and end");
    Command::new("cairn-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Redis-compatible in-memory data server")
        .after_long_help(MORE)
        .args([file, stdin, check])
        .args(
            table::all()
                .filter(|directive| !directive.is_hidden())
                .map(option),
        )
}

fn option(directive: &'static Directive) -> Arg {
    let option = Arg::new(directive.name)
        .long(directive.name)
        .value_name("VALUE")
        .help(match directive.default {
            "" => directive.summary().to_string(),
            default => format!("{} [default: {default}]", directive.summary()),
        });
    let option = match directive.alias {
        Some(alias) => option.alias(alias),
        None => option,
    };
    match directive.kind {
        Kind::Flag => option.value_parser(PossibleValuesParser::new(["yes", "no"])),
        Kind::Choice(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            option.value_parser(PossibleValuesParser::new(words))
        }
        kind if kind.is_multi_argument() => option.num_args(1..),
        _ => option,
    }
}
