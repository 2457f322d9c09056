//! The command table: names to commands, without lower-casing or allocating.
//!
//! An open-addressed table of 1,024 places, filled once at start, so that a look-up is a hash of the case-folded
//! name, one probe in most cases, and one comparison.

use super::spec::Command;
use crate::base::id::CommandId;

const PLACES: usize = 1024;
const EMPTY: u16 = u16::MAX;

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
    places: Box<[u16; PLACES]>,
}

impl CommandTable {
    /// Builds the table. Two commands of the same name are a mistake in the lists.
    pub fn new(families: &[&[&'static Command]]) -> CommandTable {
        let mut table = CommandTable {
            entries: Vec::new(),
            places: Box::new([EMPTY; PLACES]),
        };
        for command in families.iter().flat_map(|family| family.iter()) {
            assert!(
                table.find(command.name.as_bytes()).is_none(),
                "command {} is listed twice",
                command.name
            );
            table.place(command);
            table.entries.push(command);
            table.entries.extend(command.subcommands);
        }
        // A search ends at an empty place.
        assert!(table.places.contains(&EMPTY), "the table is full");
        table
    }

    fn place(&mut self, command: &'static Command) {
        let mut at = hash(command.name.as_bytes());
        while self.places[at] != EMPTY {
            at = (at + 1) % PLACES;
        }
        self.places[at] = self.entries.len() as u16;
    }

    /// A command by its name, in any case, with its number.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Entry> {
        let mut at = hash(name);
        loop {
            let number = self.places[at];
            let spec = *self.entries.get(number as usize)?;
            if name.eq_ignore_ascii_case(spec.name.as_bytes()) {
                let id = CommandId(number);
                return Some(Entry { spec, id });
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

    /// The commands without subcommands, in the order of the families.
    pub fn top_level(&self) -> impl Iterator<Item = &'static Command> {
        self.entries
            .iter()
            .copied()
            .filter(|c| !c.name.contains('|'))
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
