//! Which commands a selector allows: a bit for each, and the words that made the bits, which is what is printed.

use super::catalog::Catalog;
use super::patterns::has_blank;
use super::rules::Fault;
use crate::base::id::CommandId;

/// A word that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    allows: bool,
    /// In lower case, without its sign.
    text: Box<[u8]>,
}

/// The commands that a selector allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// A bit for each number of a command.
    bits: Vec<u64>,
    /// All bits are set, those behind the last command too: they are given by all commands only.
    all: bool,
    /// Began with all commands: decides how the words begin.
    from_all: bool,
    /// Commands that are allowed with one of these first arguments.
    first_args: Vec<(CommandId, Vec<Box<[u8]>>)>,
    words: Vec<Word>,
}

impl Commands {
    /// No command.
    pub fn nothing(catalog: &dyn Catalog) -> Commands {
        Commands {
            bits: vec![0; catalog.count().div_ceil(64)],
            all: false,
            from_all: false,
            first_args: Vec::new(),
            words: Vec::new(),
        }
    }

    /// All commands.
    pub fn everything(catalog: &dyn Catalog) -> Commands {
        Commands {
            bits: vec![u64::MAX; catalog.count().div_ceil(64)],
            all: true,
            from_all: true,
            ..Commands::nothing(catalog)
        }
    }

    /// Whether every command is allowed.
    #[inline]
    pub fn has_all(&self) -> bool {
        self.all
    }

    /// Whether a command with this first argument is allowed.
    #[inline]
    pub fn allows(&self, command: CommandId, first_arg: Option<&[u8]>) -> bool {
        let at = command.index();
        let has_bit = |word: &u64| word >> (at % 64) & 1 == 1;
        if self.all || self.bits.get(at / 64).is_some_and(has_bit) {
            return true;
        }
        let Some(first_arg) = first_arg else {
            return false;
        };
        let known = self.first_args.iter().find(|(of, _)| *of == command);
        known.is_some_and(|(_, args)| args.iter().any(|arg| arg.eq_ignore_ascii_case(first_arg)))
    }

    /// Applies a word that begins with `+` or `-`.
    ///
    /// # Errors
    /// There is no such command or category, or it cannot be said so.
    pub fn apply(&mut self, word: &[u8], catalog: &dyn Catalog) -> Result<(), Fault> {
        let (allows, text) = (word.first() == Some(&b'+'), &word[1..]);
        let lower = text.to_ascii_lowercase();
        if lower == b"@all" {
            *self = match allows {
                true => Commands::everything(catalog),
                false => Commands::nothing(catalog),
            };
            return Ok(());
        }
        if let Some(category) = text.strip_prefix(b"@") {
            let category = catalog.category(category).ok_or(Fault::Unknown)?;
            self.set_category(category, allows, catalog);
        } else if allows && text.contains(&b'|') {
            self.allow_part(text, catalog)?;
        } else {
            let found = find_whole(text, catalog).ok_or(Fault::Unknown)?;
            self.set(found, allows, catalog);
        }
        self.note(allows, lower);
        self.all = self.bits.iter().all(|word| *word == u64::MAX);
        Ok(())
    }

    /// `command|argument`: a subcommand of a container, or a first argument of another command.
    fn allow_part(&mut self, text: &[u8], catalog: &dyn Catalog) -> Result<(), Fault> {
        let bar = text.iter().rposition(|byte| *byte == b'|');
        let (name, part) = text.split_at(bar.expect("the caller saw it"));
        let part = &part[1..];
        let command = find_whole(name, catalog).ok_or(Fault::Unknown)?;
        if catalog.name(command).contains('|') {
            return Err(Fault::FirstArgOfSubcommand);
        }
        if part.is_empty() {
            return Err(Fault::Syntax);
        }
        if !catalog.subcommands(command).is_empty() {
            let found = catalog.find(name, Some(part)).ok_or(Fault::Unknown)?;
            self.set(found, true, catalog);
            return Ok(());
        }
        if has_blank(part) {
            return Err(Fault::Syntax);
        }
        self.allow_first_arg(command, part);
        Ok(())
    }

    fn allow_first_arg(&mut self, command: CommandId, arg: &[u8]) {
        let place = self.first_args.iter().position(|(of, _)| *of == command);
        let place = place.unwrap_or_else(|| {
            self.first_args.push((command, Vec::new()));
            self.first_args.len() - 1
        });
        let known = &mut self.first_args[place].1;
        let lower = arg.to_ascii_lowercase();
        if !known.iter().any(|other| **other == *lower) {
            known.push(lower.into());
        }
    }

    /// Each command of the category, and each subcommand of it; a container takes its subcommands along.
    fn set_category(&mut self, category: &'static str, allows: bool, catalog: &dyn Catalog) {
        for number in 0..catalog.count() as u16 {
            if catalog.belongs(CommandId(number), category) {
                self.set(CommandId(number), allows, catalog);
            }
        }
    }

    /// The bit of a command and of all its subcommands.
    fn set(&mut self, command: CommandId, allows: bool, catalog: &dyn Catalog) {
        self.set_bit(command, allows);
        for sub in catalog.subcommands(command) {
            self.set_bit(CommandId(sub), allows);
        }
    }

    fn set_bit(&mut self, command: CommandId, allows: bool) {
        let (at, bit) = (command.index() / 64, 1 << (command.index() % 64));
        match allows {
            true => self.bits[at] |= bit,
            false => self.bits[at] &= !bit,
        }
        self.first_args.retain(|(of, _)| *of != command);
    }

    /// A word takes the place of what it makes void: the same one with either sign, and those of parts of its command.
    fn note(&mut self, allows: bool, text: Vec<u8>) {
        let is_void = |old: &Word| {
            let rest = old.text.strip_prefix(&text[..]);
            rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'|')
        };
        self.words.retain(|old| !is_void(old));
        self.words.push(Word {
            allows,
            text: text.into(),
        });
    }

    /// The words that make it, with blanks between them.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.from_all {
            true => b"+@all",
            false => b"-@all",
        });
        for word in &self.words {
            out.extend_from_slice(if word.allows { b" +" } else { b" -" });
            out.extend_from_slice(&word.text);
        }
    }
}

/// A command, or `container|sub`.
fn find_whole(text: &[u8], catalog: &dyn Catalog) -> Option<CommandId> {
    match text.iter().position(|byte| *byte == b'|') {
        None => catalog.find(text, None),
        Some(bar) => catalog.find(&text[..bar], Some(&text[bar + 1..])),
    }
}
