//! Configuration: the values of all directives, how they are read, asked for, changed and written back.
//!
//! ```text
//!   table/       one row per directive: name, bounds, default, flags, effect
//!   directive    what a row can say; Key<T>, the typed handle of a row
//!   value        kinds of values: parse and print (output_limits, rules, choice: the larger kinds)
//!   file         redis.conf syntax, include, refusals at start
//!   args         the command line, --help, --version
//!   guise        how the process looks from outside
//!   command      CONFIG GET and CONFIG SET
//!   rewrite      CONFIG REWRITE
//! ```
//!
//! This room holds values only: it listens on nothing and changes no folder. Who gives a directive its effect reads
//! it with `Config::get`, and takes part in CONFIG SET through the hook of `Config::set_many`.
//!
//! Invariants: there is one value per row of the table, of the kind that the row says; `generation` grows whenever a
//! value changes, so that hot readers may keep copies; `dir` is absolute.

pub mod args;
pub mod choice;
pub mod command;
pub mod directive;
pub mod file;
pub mod guise;
pub mod output_limits;
pub mod rewrite;
mod rules;
pub mod table;
mod title;
pub mod value;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cairn_format::rdb::dialect::Dialect;

pub use args::{Invocation, start, start_as};
pub use command::{Apply, Caller, Change, Rejected, SetError};
pub use directive::{Directive, Effect, Key, Kind};
pub use file::{Rename, StartError, UserLine};
pub use output_limits::{OutputLimit, OutputLimits};
pub use rewrite::{RewriteError, replace_file};
pub(crate) use rules::memory as memory_size;
pub(crate) use rules::percentile_text;
pub use value::{SavePoint, Setting, ShutdownFlags, Value};

use file::Origin;

/// The version of Redis whose directives and texts these are.
pub const REDIS_VERSION: &str = "7.2.4";

/// The values of all directives.
#[derive(Clone, Debug)]
pub struct Config {
    values: Vec<Value>,
    /// Where each value was set at start, for errors that come up when it is applied.
    origins: HashMap<usize, Origin>,
    file: Option<PathBuf>,
    renames: Vec<Rename>,
    users: Vec<UserLine>,
    generation: u64,
}

impl Config {
    /// All defaults. `cwd` is the absolute working folder, the value of `dir` until it is set.
    ///
    /// # Panics
    /// If a row's default is not a value of its kind, which a test of the table rules out.
    pub fn new(cwd: &Path) -> Config {
        let values = table::all()
            .map(|directive| {
                default_value(directive, cwd)
                    .unwrap_or_else(|reason| panic!("default of {}: {reason}", directive.name))
            })
            .collect::<Vec<_>>();
        assert_eq!(values.len(), table::COUNT, "a value for each row");
        Config {
            values,
            origins: HashMap::new(),
            file: None,
            renames: Vec::new(),
            users: Vec::new(),
            generation: 1,
        }
    }

    /// The value of a directive: an index and a match.
    ///
    /// # Panics
    /// If the key's type is not that of its row, which a test of the table rules out.
    pub fn get<T: Setting>(&self, key: Key<T>) -> T::View<'_> {
        T::view(&self.values[key.place()]).expect("the key has the type of its row")
    }

    /// A value in seconds, as milliseconds; none is negative.
    pub fn milliseconds(&self, seconds: Key<i64>) -> u64 {
        u64::try_from(self.get(seconds))
            .unwrap_or(0)
            .saturating_mul(1000)
    }

    /// A text value as a path, as it was written; relative ones are meant from `dir`.
    pub fn path(&self, key: Key<value::Text>) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.get(key).to_vec()))
    }

    /// A text value for people and the system; what is no UTF-8 in it is replaced.
    pub fn text(&self, key: Key<value::Text>) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(key))
    }

    /// The folder to work in, absolute.
    pub fn dir(&self) -> &Path {
        self.get(table::DIR)
    }

    /// Notes the folder that the process really works in, after a change of folder resolved links and `..`.
    pub fn note_dir(&mut self, dir: PathBuf) {
        assert!(dir.is_absolute(), "{}: from where?", dir.display());
        self.replace(table::DIR.place(), Value::Dir(dir));
    }

    /// Notes the milliseconds after which the watchdog really reports.
    pub fn note_watchdog_period(&mut self, ms: i64) {
        self.replace(table::WATCHDOG_PERIOD.place(), Value::Number(ms));
    }

    /// Notes whom this server follows now, so that `CONFIG REWRITE` writes it.
    pub fn note_primary(&mut self, primary: Option<(&str, u16)>) {
        let primary = primary.map(|(host, port)| (host.as_bytes().to_vec(), port));
        self.replace(table::REPLICAOF.place(), Value::Primary(primary));
    }

    /// The version that snapshots are written in; `None` is auto.
    pub fn rdb_save_version(&self) -> Option<Dialect> {
        rules::rdb_version(self.get(table::RDB_SAVE_VERSION)).flatten()
    }

    /// `cluster`, or `standalone`: as INFO, HELLO and the log call it.
    pub fn mode(&self) -> &'static str {
        match self.get(table::CLUSTER_ENABLED) {
            true => "cluster",
            false => "standalone",
        }
    }

    /// The file that the server was started with, absolute.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The `rename-command` lines, in their order.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// The `user` lines, in their order: what was said at start.
    pub fn users(&self) -> &[UserLine] {
        &self.users
    }

    /// A number that grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The error of a start that a directive could not be applied at: told with the line that set it.
    pub fn start_error(
        &self,
        directive: &'static Directive,
        reason: impl Into<String>,
    ) -> StartError {
        let origin =
            lookup(directive.name.as_bytes()).and_then(|found| self.origins.get(&found.place));
        StartError::of(origin.cloned(), directive.name, reason)
    }

    /// The value at a place of the table.
    pub(crate) fn value_at(&self, place: usize) -> &Value {
        &self.values[place]
    }

    /// Puts a value in and hands the old one out.
    fn replace(&mut self, place: usize, value: Value) -> Value {
        self.generation += 1;
        let old = std::mem::replace(&mut self.values[place], value);
        assert_eq!(
            std::mem::discriminant(&old),
            std::mem::discriminant(&self.values[place]),
            "{} changes its kind",
            table::at(place).name
        );
        old
    }
}

fn default_value(directive: &'static Directive, cwd: &Path) -> Result<Value, String> {
    let args = if directive.kind.is_multi_argument() {
        value::split_blanks(directive.default.as_bytes())
    } else {
        vec![directive.default.as_bytes()]
    };
    value::parse(directive, &args, &value::blank(&directive.kind, cwd))
}

/// Whether a value is the default of its row. The folder has none that a file could leave out.
fn is_default_value(directive: &'static Directive, value: &Value) -> bool {
    !matches!(value, Value::Dir(_))
        && default_value(directive, Path::new("/")).is_ok_and(|default| default == *value)
}

/// A directive found by one of its names.
#[derive(Clone, Copy, Debug)]
struct Found {
    place: usize,
    /// The name that was meant, in the table's spelling.
    name: &'static str,
}

impl Found {
    fn directive(self) -> &'static Directive {
        table::at(self.place)
    }
}

/// Whether the value of the directive of this name must not be shown in logs.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    lookup(name).is_some_and(|found| found.directive().is_secret())
}

/// Finds a directive by name or alias, letters of either case.
fn lookup(name: &[u8]) -> Option<Found> {
    static NAMES: OnceLock<HashMap<&'static [u8], Found>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let names: HashMap<_, _> = table::all()
            .enumerate()
            .flat_map(|(place, row)| {
                [Some(row.name), row.alias]
                    .into_iter()
                    .flatten()
                    .map(move |name| (place, name))
            })
            .map(|(place, name)| (name.as_bytes(), Found { place, name }))
            .collect();
        let spelled: usize = table::all()
            .map(|row| 1 + usize::from(row.alias.is_some()))
            .sum();
        assert_eq!(names.len(), spelled, "two directives of one name");
        names
    });
    names.get(name.to_ascii_lowercase().as_slice()).copied()
}
