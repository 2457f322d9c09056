//! Configuration files, and every other text in their syntax: standard input and the command line.
//!
//! A line is a name and values, divided by blanks, quoted as `cairn_format::text::words` tells. Later lines win; `save`
//! lines add up, beginning from nothing at the first one; limits change class by class. Errors have the form of Redis
//! 7.2, which programs look for, and a last line that names file, line and directive:
//!
//! ```text
//! *** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***
//! Reading the configuration file, at line 3
//! >>> 'port 99999'
//! argument must be between 0 and 65535 inclusive
//! cairn-server: /etc/cairn.conf: line 3: directive 'port'
//! ```

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cairn_format::text::glob::glob_match;
use cairn_format::text::words::split_words;

use crate::os::error_text;

use super::directive::Kind;
use super::value::{self, Value};
use super::{Config, Found, REDIS_VERSION, lookup, table};

/// How deep files may include each other; a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Directives of older versions that Redis 7.2 passes by in silence.
const FORGOTTEN: [&[u8]; 3] = [
    b"list-max-ziplist-entries",
    b"list-max-ziplist-value",
    b"lua-replicate-commands",
];

/// Where a line was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, by its absolute path.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// The command line.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Stdin => f.write_str("standard input"),
            Source::CommandLine => f.write_str("command line"),
        }
    }
}

/// A line, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    source: Source,
    line: usize,
    text: Vec<u8>,
}

/// A `rename-command` line.
#[derive(Clone, Debug)]
pub struct Rename {
    /// What the command was called.
    pub from: Vec<u8>,
    /// What clients call it; the empty name takes it away.
    pub to: String,
    origin: Origin,
}

impl Rename {
    /// The error of a start with this line.
    pub fn error(&self, reason: &str) -> StartError {
        StartError::of(Some(self.origin.clone()), "rename-command", reason)
    }
}

/// A `user` line.
#[derive(Clone, Debug)]
pub struct UserLine {
    /// Whom it is about.
    pub name: Vec<u8>,
    /// The rules.
    pub words: Vec<Vec<u8>>,
    origin: Origin,
}

impl UserLine {
    /// The error of a start with this line: `word` cannot be.
    pub fn error(&self, word: &str, reason: &str) -> StartError {
        let reason = format!("Error in user declaration '{word}': {reason}");
        StartError::of(Some(self.origin.clone()), "user", reason)
    }
}

/// Why the server does not start. Its text is the whole message, several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    origin: Option<Origin>,
    directive: String,
    /// The reason, one line.
    pub reason: String,
}

impl StartError {
    /// An error of `directive`, set at `origin`.
    pub(super) fn of(
        origin: Option<Origin>,
        directive: impl Into<String>,
        reason: impl Into<String>,
    ) -> StartError {
        StartError {
            origin,
            directive: directive.into(),
            reason: reason.into(),
        }
    }

    /// An error of no directive.
    pub(super) fn plain(reason: impl Into<String>) -> StartError {
        StartError::of(None, "", reason)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***"
        )?;
        if let Some(origin) = &self.origin {
            writeln!(f, "Reading the configuration file, at line {}", origin.line)?;
            writeln!(f, ">>> '{}'", String::from_utf8_lossy(&origin.text))?;
        }
        write!(f, "{}", self.reason)?;
        match (&self.origin, self.directive.as_str()) {
            (_, "") => Ok(()),
            (Some(origin), name) => {
                write!(
                    f,
                    "\ncairn-server: {}: line {}: directive '{name}'",
                    origin.source, origin.line
                )
            }
            (None, name) => write!(f, "\ncairn-server: directive '{name}'"),
        }
    }
}

impl std::error::Error for StartError {}

/// Reads lines into a configuration.
pub(super) struct Loader {
    pub(super) config: Config,
    has_save: bool,
    depth: usize,
}

impl Loader {
    pub(super) fn new(config: Config) -> Loader {
        Loader {
            config,
            has_save: false,
            depth: 0,
        }
    }

    /// Reads a file.
    pub(super) fn load_file(&mut self, path: &Path) -> Result<(), StartError> {
        let bytes = std::fs::read(path).map_err(|error| {
            StartError::plain(format!(
                "Fatal error, can't open config file '{}': {}",
                path.display(),
                error_text(&error)
            ))
        })?;
        self.load(&bytes, &Source::File(path.to_path_buf()))
    }

    /// Reads lines.
    pub(super) fn load(&mut self, text: &[u8], source: &Source) -> Result<(), StartError> {
        for (i, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let origin = Origin {
                source: source.clone(),
                line: i + 1,
                text: line.to_vec(),
            };
            self.line(line, &origin)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], origin: &Origin) -> Result<(), StartError> {
        let words = split_words(line).map_err(|_| {
            StartError::of(
                Some(origin.clone()),
                "",
                "Unbalanced quotes in configuration line",
            )
        })?;
        let Some((name, args)) = words.split_first() else {
            return Ok(());
        };
        let name = name.to_ascii_lowercase();
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let fail = |reason: String| {
            StartError::of(Some(origin.clone()), String::from_utf8_lossy(&name), reason)
        };
        match lookup(&name) {
            Some(found) => {
                self.assign(found, &args).map_err(fail)?;
                self.config.origins.insert(found.place, origin.clone());
                Ok(())
            }
            None if name == b"include" && args.len() == 1 => self.include(args[0], &fail),
            None => self.special(&name, &args, origin).map_err(fail),
        }
    }

    /// Sets a directive from the words after its name. One quoted word may hold several arguments.
    fn assign(&mut self, found: Found, args: &[&[u8]]) -> Result<(), String> {
        let directive = found.directive();
        let current = self.config.value_at(found.place);
        let split;
        let inner: Vec<&[u8]>;
        let args = match args {
            [one] if directive.kind.is_multi_argument() && !one.is_empty() => {
                split = split_words(one).map_err(|_| "Unbalanced quotes in configuration line")?;
                inner = split.iter().map(Vec::as_slice).collect();
                &inner[..]
            }
            _ => args,
        };
        if args.is_empty() && !directive.kind.may_be_empty() {
            return Err("wrong number of arguments".into());
        }
        let value = value::parse(directive, args, current)?;
        let is_save = matches!(directive.kind, Kind::Save);
        let begins_again = matches!(args, [[]]);
        let before = self.config.replace(found.place, value);
        if is_save {
            self.add_save_points(found.place, before, begins_again);
        }
        Ok(())
    }

    /// The first `save` line replaces the default and later ones add to it, a bare one nothing; `save ""` begins again.
    fn add_save_points(&mut self, place: usize, before: Value, begins_again: bool) {
        let is_first = !std::mem::replace(&mut self.has_save, true);
        if let (Value::Save(mut all), Value::Save(new)) = (before, self.config.value_at(place))
            && !is_first
            && !begins_again
        {
            all.extend(new);
            self.config.replace(place, Value::Save(all));
        }
    }

    /// A name that is not in the table.
    fn special(&mut self, name: &[u8], args: &[&[u8]], origin: &Origin) -> Result<(), String> {
        let refused = |what: &str| {
            Err(format!(
                "'{}' is refused: {what} not supported yet",
                String::from_utf8_lossy(name)
            ))
        };
        match (name, args.len()) {
            (_, 1) if FORGOTTEN.contains(&name) => Ok(()),
            (b"rename-command", 2) => self.rename(args, origin),
            (b"loadmodule", 1..) => refused("modules are"),
            (b"user", 1..) => self.user(args, origin),
            (b"sentinel", 1..) => Err("sentinel directive while not in sentinel mode".into()),
            (_, 0) if name.contains(&b'.') => Err("Module config specified without value".into()),
            (_, 1..) if name.contains(&b'.') => refused("modules are"),
            _ => Err("Bad directive or wrong number of arguments".into()),
        }
    }

    /// Whether there is such a command shows when there are commands.
    fn rename(&mut self, args: &[&[u8]], origin: &Origin) -> Result<(), String> {
        let to = std::str::from_utf8(args[1])
            .map_err(|_| "the new name of a command must be UTF-8".to_string())?;
        self.config.renames.push(Rename {
            from: args[0].to_vec(),
            to: to.to_string(),
            origin: origin.clone(),
        });
        Ok(())
    }

    /// Whether its words mean something shows when there are commands.
    fn user(&mut self, args: &[&[u8]], origin: &Origin) -> Result<(), String> {
        if self.config.users.iter().any(|user| user.name == args[0]) {
            return Err(
                "Duplicate user found. A user can only be defined once in config files".into(),
            );
        }
        self.config.users.push(UserLine {
            name: args[0].to_vec(),
            words: args[1..].iter().map(|word| word.to_vec()).collect(),
            origin: origin.clone(),
        });
        Ok(())
    }

    fn include(
        &mut self,
        pattern: &[u8],
        fail: &dyn Fn(String) -> StartError,
    ) -> Result<(), StartError> {
        if self.depth == INCLUDE_DEPTH_MAX {
            return Err(fail(format!(
                "files include each other more than {INCLUDE_DEPTH_MAX} deep"
            )));
        }
        self.depth += 1;
        // Redis has changed to `dir` by now, so a relative name is meant from there.
        let path = self.config.dir().join(OsString::from_vec(pattern.to_vec()));
        let result = if is_pattern(pattern) {
            expand(&path)
                .iter()
                .try_for_each(|file| self.load_file(file))
        } else {
            self.load_file(&path)
        };
        self.depth -= 1;
        result
    }

    /// Refuses what cannot stand together, and what guards data and does not work.
    pub(super) fn finish(self) -> Result<Config, StartError> {
        debug_assert_eq!(self.depth, 0, "a file is still included");
        if self.config.get(table::CLUSTER_ENABLED) && self.config.get(table::REPLICAOF).is_some() {
            return Err(self.config.start_error(
                table::REPLICAOF.directive(),
                "replicaof directive not allowed in cluster mode",
            ));
        }
        if !self.config.users.is_empty() && !self.config.get(table::ACLFILE).is_empty() {
            return Err(self.config.start_error(
                table::ACLFILE.directive(),
                "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your redis.conf, but not both.",
            ));
        }
        Ok(self.config)
    }
}

/// Without the blanks that Redis trims off a line.
pub(super) fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    let start = line
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last + 1);
    &line[start..end]
}

fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// The files that an absolute path with patterns in it names, in order; a pattern that matches nothing names none.
fn expand(path: &Path) -> Vec<PathBuf> {
    debug_assert!(path.is_absolute(), "{}: from where?", path.display());
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let part = part.as_os_str();
        if is_pattern(part.as_bytes()) {
            found = found
                .iter()
                .flat_map(|folder| entries(folder, part.as_bytes()))
                .collect();
        } else {
            found.iter_mut().for_each(|folder| folder.push(part));
        }
    }
    found.retain(|file| file.exists());
    found
}

fn entries(folder: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<OsString> = listing
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| !name.as_bytes().starts_with(b".") || pattern.starts_with(b"."))
        .filter(|name| glob_match(pattern, name.as_bytes(), false))
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}
