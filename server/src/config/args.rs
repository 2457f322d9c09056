//! The command line: `cairn-server [FILE] [-] [--name value ...]`.
//!
//! As in Redis 7.2 the options become lines of a configuration text that is read after the file and standard input,
//! so an error shows the line `name "value" ...`.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cairn_format::text::words::{quote, split_words};

use crate::os::error_text;

use super::file::{Loader, Source, StartError};
use super::{Config, REDIS_VERSION};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// To run with this configuration.
    Run(Box<Config>),
    /// To print this on standard output and end with success.
    Print(String),
    /// To look at the system and say what is wrong with it.
    CheckSystem,
}

/// Longest configuration that is read from standard input, in bytes.
const STDIN_MAX: u64 = 16 << 20;

const HELP: &str = "\
Usage: cairn-server [FILE] [options] [-]
       cairn-server - (read the configuration from standard input)
       cairn-server -v or --version
       cairn-server -h or --help
       cairn-server --check-system (look for settings of the system that make it slow or lose data)

Any directive of a configuration file can be given as an option: --NAME VALUE...

Examples:
       cairn-server (run with defaults)
       echo 'port 7000' | cairn-server -
       cairn-server /etc/cairn/6379.conf
       cairn-server --port 7777 --dir /var/lib/cairn --appendonly yes
       cairn-server --save \"\" --loglevel verbose
       cairn-server /etc/cairn/6379.conf --loglevel verbose -

Directives are those of Redis 7.2; docs/configuration.md lists them with what works today.
";

/// [`start_as`] of a program with our own name.
///
/// # Errors
/// See there.
pub fn start(args: &[Vec<u8>], cwd: &Path, stdin: &mut dyn Read) -> Result<Invocation, StartError> {
    start_as("cairn-server", args, cwd, stdin)
}

/// Reads the arguments after `program`, the name or path that it was started by, the file and standard input that they
/// name. `cwd` is the absolute working folder.
///
/// # Errors
/// The message of a start that is refused, to be printed before the process ends with status 1.
pub fn start_as(
    program: &str,
    args: &[Vec<u8>],
    cwd: &Path,
    stdin: &mut dyn Read,
) -> Result<Invocation, StartError> {
    if file_name(program) == "redis-sentinel" {
        return Err(refusal("redis-sentinel", "there is no sentinel mode"));
    }
    match args.first().map(Vec::as_slice) {
        Some(b"-v" | b"--version") => return Ok(Invocation::Print(version(program))),
        Some(b"-h" | b"--help") => return Ok(Invocation::Print(HELP.to_string())),
        Some(b"--test-memory") => {
            return Err(refusal(
                "--test-memory",
                "memory is not tested; use memtest86 or similar",
            ));
        }
        Some(b"--check-system") => return Ok(Invocation::CheckSystem),
        _ => {}
    }
    let line = CommandLine::read(args)?;
    let mut loader = Loader::new(Config::new(cwd));
    if let Some(file) = &line.file {
        let path: PathBuf = cwd.join(file).components().collect();
        loader.config.file = Some(path.clone());
        loader.load_file(&path)?;
    }
    if line.has_stdin {
        let mut text = Vec::new();
        stdin
            .take(STDIN_MAX)
            .read_to_end(&mut text)
            .map_err(|error| {
                StartError::plain(format!(
                    "Fatal error, can't read the configuration from standard input: {}",
                    error_text(&error)
                ))
            })?;
        loader.load(&text, &Source::Stdin)?;
    }
    loader.load(&line.options, &Source::CommandLine)?;
    Ok(Invocation::Run(Box::new(loader.finish()?)))
}

/// The line of `--version`. By the name of `redis-server` it has the form that programs take apart:
/// `Redis server v=7.2.4 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0`.
fn version(program: &str) -> String {
    let redis = format!(
        "Redis server v={REDIS_VERSION} sha=00000000:0 malloc=jemalloc-5.3.0 bits={}",
        usize::BITS
    );
    match file_name(program) {
        "redis-server" => format!("{redis} build=0\n"),
        _ => format!("Cairn server v={} ({redis})\n", env!("CARGO_PKG_VERSION")),
    }
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn refusal(option: &str, why: &str) -> StartError {
    StartError::of(None, option, format!("'{option}' is not supported: {why}"))
}

/// The command line, cut into its three parts.
#[derive(Debug, Default)]
struct CommandLine {
    file: Option<std::ffi::OsString>,
    has_stdin: bool,
    options: Vec<u8>,
}

impl CommandLine {
    fn read(args: &[Vec<u8>]) -> Result<CommandLine, StartError> {
        let mut line = CommandLine::default();
        let mut rest = args;
        if let Some(first) = rest.first().filter(|first| first.first() != Some(&b'-')) {
            line.file = Some(std::ffi::OsStr::from_bytes(first).to_os_string());
            rest = &rest[1..];
        }
        // Whether the last name has a value: only then does another `--` begin a name.
        let mut is_complete = true;
        for (i, arg) in rest.iter().enumerate() {
            let next = rest.get(i + 1);
            let is_edge = (i == 0 && line.file.is_none()) || next.is_none();
            if arg == b"-" && is_edge {
                line.has_stdin = true;
            } else if let Some(name) = arg.strip_prefix(b"--").filter(|_| is_complete) {
                if name.eq_ignore_ascii_case(b"sentinel") {
                    return Err(refusal("--sentinel", "there is no sentinel mode"));
                }
                is_complete = line.push_name(arg, name, next);
            } else {
                line.options.extend_from_slice(quote(arg).as_bytes());
                line.options.push(b' ');
                is_complete = true;
            }
        }
        Ok(line)
    }

    /// Begins an option's line; whether it is complete already: the argument holds the value as well, or it is a
    /// `--save` that another option or nothing follows, which means the empty list.
    fn push_name(&mut self, arg: &[u8], name: &[u8], next: Option<&Vec<u8>>) -> bool {
        if !self.options.is_empty() {
            self.options.push(b'\n');
        }
        self.options.extend_from_slice(name);
        self.options.push(b' ');
        if split_words(arg).map_or(true, |words| words.len() != 1) {
            return true;
        }
        let is_bare = next.is_none_or(|next| next.starts_with(b"--"));
        if name.eq_ignore_ascii_case(b"save") && is_bare {
            self.options.extend_from_slice(b"\"\"");
            return true;
        }
        false
    }
}
