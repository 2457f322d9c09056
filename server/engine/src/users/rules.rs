//! The words of a user, applied in order: all of them or none.

use std::borrow::Cow;

use cairn_format::text::words::split_words;

use super::catalog::Catalog;
use super::password::Digest;
use super::selector::Selector;
use super::user::User;

/// Why a word cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A command or category that is not there.
    Unknown,
    /// No such word.
    Syntax,
    /// A pattern of keys where all are allowed.
    AllKeys,
    /// A pattern of channels where all are allowed.
    AllChannels,
    /// A password that is not there is to go.
    NoSuchPassword,
    /// No digest.
    BadDigest,
    /// A first argument of a subcommand.
    FirstArgOfSubcommand,
}

impl Fault {
    /// What Redis says then.
    pub fn text(self) -> &'static str {
        match self {
            Fault::Unknown => "Unknown command or category name in ACL",
            Fault::Syntax => "Syntax error",
            Fault::AllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Fault::AllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Fault::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Fault::BadDigest => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Fault::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// Why words cannot be applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The parenthesis that this word opens is not closed.
    Unmatched(Vec<u8>),
    /// This word (with all that is in its parentheses).
    Word(Vec<u8>, Fault),
}

impl User {
    /// Applies words in order. `all_channels`: new selectors have all channels.
    ///
    /// # Errors
    /// Names the first word that cannot be applied. Those before it were: whoever wants all or none applies them to a copy.
    pub fn apply_all<'w>(
        &mut self,
        words: impl Iterator<Item = &'w [u8]>,
        all_channels: bool,
        catalog: &dyn Catalog,
    ) -> Result<(), Refused> {
        for word in join_parentheses(words)? {
            self.apply(&word, all_channels, catalog)
                .map_err(|fault| Refused::Word(word.into_owned(), fault))?;
        }
        Ok(())
    }

    /// Applies a word, with all that is in its parentheses.
    ///
    /// # Errors
    /// It is none, or means nothing here.
    pub(super) fn apply(
        &mut self,
        word: &[u8],
        all_channels: bool,
        catalog: &dyn Catalog,
    ) -> Result<(), Fault> {
        if word.is_empty() {
            return Ok(());
        }
        if let [sign @ (b'>' | b'<' | b'#' | b'!'), rest @ ..] = word {
            return self.apply_password(*sign, rest);
        }
        if word.contains(&0) {
            return Err(Fault::Syntax);
        }
        if let [b'(', inside @ .., b')'] = word {
            let selector = parse_selector(inside, all_channels, catalog)?;
            self.selectors.push(selector);
            return Ok(());
        }
        match word.to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => self.set_password(None),
            b"resetpass" => self.reset_passwords(),
            b"sanitize-payload" => self.sanitizes = true,
            b"skip-sanitize-payload" => self.sanitizes = false,
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => *self = User::new(catalog, all_channels),
            _ => return self.selectors[0].apply(word, catalog),
        }
        Ok(())
    }

    fn reset_passwords(&mut self) {
        self.needs_no_password = false;
        self.passwords.clear();
    }

    /// `>` adds a password and `<` removes it; `#` and `!` do so with its digest.
    fn apply_password(&mut self, sign: u8, rest: &[u8]) -> Result<(), Fault> {
        let digest = match sign {
            b'>' | b'<' => Digest::of(rest),
            _ => Digest::parse(rest).ok_or(Fault::BadDigest)?,
        };
        let known = self.passwords.iter().position(|other| *other == digest);
        if matches!(sign, b'>' | b'#') {
            if known.is_none() {
                self.passwords.push(digest);
            }
            self.needs_no_password = false;
            return Ok(());
        }
        self.passwords.remove(known.ok_or(Fault::NoSuchPassword)?);
        Ok(())
    }
}

/// The selector that stands in parentheses.
fn parse_selector(
    inside: &[u8],
    all_channels: bool,
    catalog: &dyn Catalog,
) -> Result<Selector, Fault> {
    let mut selector = Selector::new(catalog, all_channels);
    for word in split_words(inside).map_err(|_| Fault::Syntax)? {
        selector.apply(&word, catalog)?;
    }
    Ok(selector)
}

/// What stands in parentheses may come in several words: they become one.
pub(super) fn join_parentheses<'w>(
    words: impl Iterator<Item = &'w [u8]>,
) -> Result<Vec<Cow<'w, [u8]>>, Refused> {
    let mut joined = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        let closes = word.last() == Some(&b')');
        if let Some((_, inside)) = &mut open {
            inside.push(b' ');
            inside.extend_from_slice(word);
            if closes && let Some((_, whole)) = open.take() {
                joined.push(Cow::Owned(whole));
            }
        } else if word.first() == Some(&b'(') && !closes {
            open = Some((word, word.to_vec()));
        } else {
            joined.push(Cow::Borrowed(word));
        }
    }
    match open {
        Some((first, _)) => Err(Refused::Unmatched(first.to_vec())),
        None => Ok(joined),
    }
}
