//! Which keys a command of a log is about, and of which type they are.

use crate::walk::Step;
use cairn_engine::base::args::Args;
use cairn_engine::call::keys::keys_of;
use cairn_engine::call::spec::{Begin, Command, Find, Group};
use cairn_engine::call::table::{CommandTable, Entry};
use cairn_engine::families;
use cairn_format::aof::reader::Item;
use cairn_format::aof::vocabulary;
use cairn_toolkit::{Selection, select};
use std::ops::Range;

/// Why a selection by time is refused.
pub const NO_TIMES: &str = "--ttl and --idle choose keys of a data set, not commands";

/// Commands whose ways are remembered.
const REMEMBERED: usize = 32;

/// Finds the keys of commands; the ways of the last commands are remembered, as logs repeat themselves.
pub struct Keys {
    table: CommandTable,
    remembered: [Remembered; REMEMBERED],
    /// Of the command that was looked at last.
    way: Way,
    ranges: Vec<Range<u32>>,
}

/// A command as the log spells it, and where it has its keys.
struct Remembered {
    name: Vec<u8>,
    way: Way,
}

impl Remembered {
    const NOTHING: Remembered = Remembered {
        name: Vec::new(),
        way: Way::None,
    };

    /// Where a command is remembered, if it is.
    #[inline]
    fn place(name: &[u8]) -> usize {
        let (first, last) = (name.first(), name.last());
        let ends = first
            .zip(last)
            .map(|(first, last)| usize::from(*first) * 5 + usize::from(*last) * 3);
        (ends.unwrap_or(0) + name.len()) % REMEMBERED
    }
}

/// Where a command has its keys.
#[derive(Clone, Copy)]
enum Way {
    /// Nowhere.
    None,
    /// One, at this place.
    One(usize, Group),
    /// As its constant says.
    Spec(&'static Command),
    /// As the constant of its subcommand says.
    Container(Entry),
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            table: CommandTable::new(families::ALL),
            remembered: [Remembered::NOTHING; REMEMBERED],
            way: Way::None,
            ranges: Vec::new(),
        }
    }
}

impl Keys {
    /// Hands over each key of a command.
    #[inline]
    pub fn each<'a>(&mut self, item: &Item<'a>, mut found: impl FnMut(&'a [u8])) {
        let name = item.arg(0).unwrap_or_default();
        self.look_at(name);
        match self.way {
            Way::None => {}
            Way::One(at, _) => {
                if let Some(key) = item.arg(at) {
                    found(key);
                }
            }
            Way::Spec(command) => self.by_spec(command, item, &mut found),
            Way::Container(entry) => {
                let sub = item.arg(1).and_then(|sub| self.table.find_sub(entry, sub));
                if let Some(sub) = sub {
                    self.by_spec(sub.spec, item, &mut found);
                }
            }
        }
    }

    /// Whether a command may be about more than one key, by its name.
    #[inline]
    pub fn may_be_many(&mut self, item: &Item<'_>) -> bool {
        let name = item.arg(0).unwrap_or_default();
        self.look_at(name);
        matches!(self.way, Way::Spec(_) | Way::Container(_))
    }

    /// The type that the command just looked at works on, as TYPE names it; nothing for commands about keys of any type.
    pub fn type_name(&self) -> &'static str {
        let group = match self.way {
            Way::One(_, group) => group,
            Way::Spec(command) => command.group,
            Way::Container(entry) => entry.spec.group,
            Way::None => return "",
        };
        match group {
            Group::String | Group::Bitmap | Group::HyperLogLog => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet | Group::Geo => "zset",
            Group::Hash => "hash",
            Group::Stream => "stream",
            _ => "",
        }
    }

    /// Whether a key of the command is one that was asked for.
    pub fn are_taken(&mut self, step: &Step<'_>, selection: &Selection) -> bool {
        let (mut taken, bytes) = (false, step.item.raw.len() as u64);
        let name = step.item.arg(0).unwrap_or_default();
        self.look_at(name);
        let type_name = self.type_name();
        self.each(step.item, |key| {
            taken |= selection.takes(&select::Item {
                key,
                type_name,
                db: step.db,
                expire_ms: None,
                bytes,
                idle_s: None,
            });
        });
        taken
    }

    fn by_spec<'a>(
        &mut self,
        command: &Command,
        item: &Item<'a>,
        found: &mut impl FnMut(&'a [u8]),
    ) {
        self.ranges.clear();
        // What lies beyond 4 GiB of one command is no key.
        for place in item.places() {
            let (Ok(start), Ok(end)) = (u32::try_from(place.start), u32::try_from(place.end))
            else {
                break;
            };
            self.ranges.push(start..end);
        }
        if self.ranges.is_empty() {
            return;
        }
        let args = Args::new(item.raw, &self.ranges, None);
        let keys = keys_of(command, &args).unwrap_or_default();
        keys.iter()
            .filter_map(|key| item.arg(key.at))
            .for_each(found);
    }

    /// The next command.
    #[inline]
    fn look_at(&mut self, name: &[u8]) {
        let place = Remembered::place(name);
        if self.remembered[place].name != name {
            self.look_up(place, name);
        }
        self.way = self.remembered[place].way;
    }

    #[cold]
    fn look_up(&mut self, place: usize, name: &[u8]) {
        let way = match self.table.find(name) {
            Some(entry) if !entry.spec.subcommands.is_empty() => Way::Container(entry),
            Some(entry) => way_of(entry.spec),
            None => way_of_unknown(name),
        };
        let remembered = &mut self.remembered[place];
        remembered.name.clear();
        remembered.name.extend_from_slice(name);
        remembered.way = way;
    }
}

fn way_of(command: &'static Command) -> Way {
    if command.name == "sort" || command.name == "migrate" {
        return Way::Spec(command);
    }
    match command.keys {
        [] => Way::None,
        [only] => match (only.begin, only.find) {
            (Begin::Index(at), Find::Range { last: 0, .. }) => {
                Way::One(usize::try_from(at).unwrap_or(1), command.group)
            }
            _ => Way::Spec(command),
        },
        _ => Way::Spec(command),
    }
}

/// Commands that the engine does not have: newer ones and those of modules, which name their key first.
fn way_of_unknown(name: &[u8]) -> Way {
    let is = |words: &[&str]| {
        words
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
    };
    let takes_argument = vocabulary::arity(name).is_some_and(|arity| arity.unsigned_abs() > 1);
    let administers = is(&["acl", "cluster", "config", "publish"]);
    match (takes_argument && !administers) || name.contains(&b'.') {
        true => Way::One(1, Group::Generic),
        false => Way::None,
    }
}
