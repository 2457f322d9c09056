//! The command table: names to commands, without lower-casing or allocating.
//!
//! An open-addressed table of 1,024 places, filled once at start, so that a look-up is a hash of the case-folded
//! name, one probe in most cases, and one comparison.
//!
//! `rename-command` changes the names that clients use. A command itself keeps its name: in COMMAND, in statistics, and in the
//! log, where a server with other renames must find it ([`CommandTable::find_logged`]).

use super::rights::known_keys;
use super::spec::Command;
use crate::base::args::Args;
use crate::base::id::CommandId;
use crate::users::catalog::KnownKeys;

const PLACES: usize = 1024;
const EMPTY: u16 = u16::MAX;
/// The place of an argument that no call has.
const NOWHERE: u32 = u32::MAX;

/// A command of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is.
    pub spec: &'static Command,
    /// Its number.
    pub id: CommandId,
}

impl Entry {
    /// Stands where no command was found yet.
    pub const NONE: Entry = Entry {
        spec: &Command::BASE,
        id: CommandId(EMPTY),
    };
}

/// All commands of a server: those of the engine and those that the instance adds.
#[derive(Debug)]
pub struct CommandTable {
    /// Containers and commands first, each container directly followed by its subcommands.
    entries: Vec<&'static Command>,
    /// The keys of each, as far as they are known without arguments.
    keys: Vec<KnownKeys>,
    /// Where the key of each stands that has one, always at the same place; [`NOWHERE`] for others. Of a fixed size, so that looking there takes no check.
    only_keys: Box<[u32; PLACES]>,
    /// What clients call each; subcommands have no name of their own here.
    names: Vec<Box<str>>,
    places: Box<[u16; PLACES]>,
    /// The commands by the names that they were made with, once one was renamed.
    originals: Option<Box<CommandTable>>,
}

/// Why a command cannot be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// There is no such command, or none any more.
    Unknown,
    /// Another one has that name.
    Taken,
}

impl CommandTable {
    /// Builds the table. Two commands of the same name are a mistake in the lists.
    pub fn new(families: &[&[&'static Command]]) -> CommandTable {
        let mut table = CommandTable {
            entries: Vec::new(),
            keys: Vec::new(),
            only_keys: Box::new([NOWHERE; PLACES]),
            names: Vec::new(),
            places: Box::new([EMPTY; PLACES]),
            originals: None,
        };
        for command in families.iter().flat_map(|family| family.iter()) {
            assert!(
                table.find(command.name.as_bytes()).is_none(),
                "command {} is listed twice",
                command.name
            );
            let number = table.entries.len();
            table.entries.push(command);
            table.entries.extend(command.subcommands);
            table.names.push(command.name.into());
            table.names.resize(table.entries.len(), "".into());
            table.place(number);
        }
        table.keys = table.entries.iter().map(|spec| known_keys(spec)).collect();
        let only = |keys: &KnownKeys| match keys {
            KnownKeys::One(touched) => u32::try_from(touched.at).unwrap_or(NOWHERE),
            KnownKeys::None | KnownKeys::Unclear => NOWHERE,
        };
        assert!(table.entries.len() <= PLACES, "there is a place for each");
        for (at, keys) in table.only_keys.iter_mut().zip(&table.keys) {
            *at = only(keys);
        }
        // A search ends at an empty place.
        assert!(table.places.contains(&EMPTY), "the table is full");
        table
    }

    /// The keys of a command, as far as they are known without its arguments.
    #[inline]
    pub fn known_keys(&self, command: CommandId) -> KnownKeys {
        self.keys[command.index()]
    }

    /// The only key of a call, if its command has always one at the same place.
    #[inline]
    pub fn only_key<'a>(&self, command: CommandId, args: &Args<'a>) -> Option<&'a [u8]> {
        args.get(self.only_keys[command.index() % PLACES] as usize)
    }

    fn place(&mut self, number: usize) {
        let mut at = hash(self.names[number].as_bytes());
        while self.places[at] != EMPTY {
            at = (at + 1) % PLACES;
        }
        self.places[at] = number as u16;
    }

    /// Calls a command by another name, or by none: clients do not reach it then.
    ///
    /// # Errors
    /// There is no command of the first name, or one of the second.
    pub fn rename(&mut self, from: &[u8], to: &str) -> Result<(), RenameError> {
        let entry = self.find(from).ok_or(RenameError::Unknown)?;
        if !to.is_empty() && self.find(to.as_bytes()).is_some() {
            return Err(RenameError::Taken);
        }
        if self.originals.is_none() {
            self.originals = Some(Box::new(CommandTable {
                entries: self.entries.clone(),
                keys: self.keys.clone(),
                only_keys: self.only_keys.clone(),
                names: self.names.clone(),
                places: self.places.clone(),
                originals: None,
            }));
        }
        self.names[entry.id.index()] = to.into();
        self.places.fill(EMPTY);
        for number in 0..self.names.len() {
            if !self.names[number].is_empty() {
                self.place(number);
            }
        }
        Ok(())
    }

    /// Whether any command was renamed.
    #[inline]
    pub fn has_renames(&self) -> bool {
        self.originals.is_some()
    }

    /// What clients call a command of this table; nothing for a subcommand, and for one that they do not reach.
    pub fn name_of(&self, id: CommandId) -> &str {
        &self.names[id.index()]
    }

    /// Whether a client, or a log, may mean this command by a name.
    pub fn is_name_of(&self, name: &[u8], command: Entry) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        is(self.name_of(command.id)) || is(command.spec.name)
    }

    /// A command by the name that a log calls it by: its own, or, as a server of another kind may have written it, the one that
    /// clients use.
    pub fn find_logged(&self, name: &[u8]) -> Option<Entry> {
        let own = self.originals.as_ref().and_then(|table| table.find(name));
        own.or_else(|| self.find(name))
    }

    /// A command by the name that it was made with: rules of users know no other.
    pub fn find_original(&self, name: &[u8]) -> Option<Entry> {
        let table = self.originals.as_deref().unwrap_or(self);
        table.find(name)
    }

    /// The command that words name, as clients use names: of a container its subcommand.
    pub fn find_call(&self, args: &Args) -> Option<Entry> {
        self.part_of(self.find(args.at(0))?, args)
    }

    /// Of a container the subcommand that words name, which has to be there if there is a word for it; any other command itself.
    pub fn part_of(&self, found: Entry, args: &Args) -> Option<Entry> {
        match args.get(1) {
            Some(sub) if !found.spec.subcommands.is_empty() => self.find_sub(found, sub),
            _ => Some(found),
        }
    }

    /// A command by the name that clients use, in any case, with its number.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Entry> {
        let mut at = hash(name);
        loop {
            let number = self.places[at];
            let candidate = self.names.get(number as usize)?;
            if name.eq_ignore_ascii_case(candidate.as_bytes()) {
                return Some(self.entry(CommandId(number)));
            }
            at = (at + 1) % PLACES;
        }
    }

    /// The command of a number that this table gave.
    #[inline]
    pub fn entry(&self, id: CommandId) -> Entry {
        Entry {
            spec: self.entries[id.index()],
            id,
        }
    }

    /// The subcommand of a container.
    pub fn find_sub(&self, container: Entry, sub: &[u8]) -> Option<Entry> {
        let at = container
            .spec
            .subcommands
            .iter()
            .position(|c| sub.eq_ignore_ascii_case(c.own_name().as_bytes()))?;
        let id = CommandId(container.id.0 + 1 + at as u16);
        let found = self.entry(id);
        debug_assert_eq!(found.spec.name, container.spec.subcommands[at].name);
        Some(found)
    }

    /// The commands that clients reach, without subcommands, in the order of the families.
    pub fn top_level(&self) -> impl Iterator<Item = &'static Command> {
        let named = self.names.iter().map(|name| !name.is_empty());
        let all = self.entries.iter().copied().zip(named);
        all.filter_map(|(command, named)| named.then_some(command))
    }

    /// All commands and subcommands by number.
    pub fn entries(&self) -> &[&'static Command] {
        &self.entries
    }
}

#[inline]
fn hash(name: &[u8]) -> usize {
    let mut h = name.len() as u32;
    for &b in name.iter().take(24) {
        h = (h ^ u32::from(b | 0x20)).wrapping_mul(0x9e37_79b1);
        h ^= h >> 15;
    }
    h as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_command_has_one_name_for_clients_and_its_own_for_logs() {
        let mut table = CommandTable::new(&[crate::commands::string::COMMANDS]);
        let all = table.top_level().count();
        let name = |found: Option<Entry>| found.map(|entry| entry.spec.name);
        assert!(!table.has_renames());
        table.rename(b"GET", "Fetch").unwrap();
        table.rename(b"append", "").unwrap();
        table.rename(b"set", "append").unwrap();
        assert_eq!(table.rename(b"get", "x"), Err(RenameError::Unknown));
        assert_eq!(table.rename(b"strlen", "fetch"), Err(RenameError::Taken));
        assert_eq!(name(table.find(b"fETCH")), Some("get"));
        assert_eq!(name(table.find(b"get")), None);
        assert_eq!(name(table.find(b"set")), None);
        assert_eq!(name(table.find(b"append")), Some("set"));
        assert_eq!(name(table.find_logged(b"append")), Some("append"));
        assert_eq!(name(table.find_logged(b"set")), Some("set"));
        assert_eq!(name(table.find_logged(b"fetch")), Some("get"));
        assert_eq!(name(table.find(b"strlen")), Some("strlen"));
        assert_eq!(name(table.find(b"")), None);
        assert_eq!(table.top_level().count(), all - 1);
        let get = table.find(b"fetch").unwrap();
        assert_eq!(table.name_of(get.id), "Fetch");
    }
}
