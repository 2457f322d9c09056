//! One set of permissions.

use super::catalog::Catalog;
use super::commands::Commands;
use super::patterns::{Access, Channels, Keys};
use super::rules::Fault;

/// Commands, keys and channels that are allowed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Which commands.
    pub commands: Commands,
    /// Which keys they may touch.
    pub keys: Keys,
    /// Which channels they may use.
    pub channels: Channels,
}

impl Selector {
    /// Allows nothing, but all channels where new users have them (`acl-pubsub-default`).
    pub fn new(catalog: &dyn Catalog, all_channels: bool) -> Selector {
        Selector {
            commands: Commands::nothing(catalog),
            keys: Keys::default(),
            channels: match all_channels {
                true => Channels::everything(),
                false => Channels::default(),
            },
        }
    }

    /// Allows everything.
    pub fn everything(catalog: &dyn Catalog) -> Selector {
        Selector {
            commands: Commands::everything(catalog),
            keys: Keys::everything(),
            channels: Channels::everything(),
        }
    }

    /// Whether it allows everything.
    pub fn is_everything(&self) -> bool {
        self.commands.has_all() && self.keys.has_all() && self.channels.has_all()
    }

    /// Applies a word.
    ///
    /// # Errors
    /// It is none, or means nothing here.
    pub fn apply(&mut self, word: &[u8], catalog: &dyn Catalog) -> Result<(), Fault> {
        match word.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.keys = Keys::everything(),
            b"resetkeys" => self.keys = Keys::default(),
            b"allchannels" | b"&*" => self.channels = Channels::everything(),
            b"resetchannels" => self.channels = Channels::default(),
            b"allcommands" => self.commands = Commands::everything(catalog),
            b"nocommands" => self.commands = Commands::nothing(catalog),
            _ => return self.apply_sign(word, catalog),
        }
        Ok(())
    }

    /// Applies a word whose first byte says what it is.
    fn apply_sign(&mut self, word: &[u8], catalog: &dyn Catalog) -> Result<(), Fault> {
        match word {
            [b'~', pattern @ ..] => self.keys.add(pattern, Access::BOTH),
            [b'%', rest @ ..] => {
                let (access, pattern) = split_access(rest).ok_or(match self.keys.has_all() {
                    true => Fault::AllKeys,
                    false => Fault::Syntax,
                })?;
                self.keys.add(pattern, access)
            }
            [b'&', pattern @ ..] => self.channels.add(pattern),
            [b'+' | b'-', ..] => self.commands.apply(word, catalog),
            _ => Err(Fault::Syntax),
        }
    }
}

/// `R~pattern`, `W~pattern`, `RW~pattern`: letters in any order and case, each at most once, one of them at least.
fn split_access(text: &[u8]) -> Option<(Access, &[u8])> {
    let mut access = Access::default();
    for (at, byte) in text.iter().enumerate() {
        match byte.to_ascii_uppercase() {
            b'R' if !access.read => access.read = true,
            b'W' if !access.write => access.write = true,
            b'~' if access != Access::default() => return Some((access, &text[at + 1..])),
            _ => return None,
        }
    }
    None
}
