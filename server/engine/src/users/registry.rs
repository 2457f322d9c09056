//! All users by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::Catalog;
use super::log::Log;
use super::passes::Passes;
use super::patterns::has_blank;
use super::rules::Refused;
use super::user::User;
use crate::base::error::{self, Error};
use crate::base::id::UserId;

/// The name of the user that everybody is at first.
pub const DEFAULT_NAME: &[u8] = b"default";

/// A user who is there.
#[derive(Debug)]
struct Registered {
    name: Box<[u8]>,
    user: User,
    passes: Arc<Passes>,
}

/// All users. A number is never given twice, so that the session of a user who is gone has none, and may do nothing.
#[derive(Debug)]
pub struct Users {
    numbers: BTreeMap<Box<[u8]>, UserId>,
    users: BTreeMap<UserId, Registered>,
    next: UserId,
    pub(super) all_channels: bool,
    /// What was refused.
    pub log: Log,
}

impl Users {
    /// One user, who may do everything.
    pub fn new(catalog: &dyn Catalog) -> Users {
        let mut users = Users {
            numbers: BTreeMap::new(),
            users: BTreeMap::new(),
            next: UserId::DEFAULT,
            all_channels: false,
            log: Log::default(),
        };
        users.put(DEFAULT_NAME, User::everything(catalog), catalog);
        users
    }

    /// `all_channels`: new users, and new selectors of old ones, have all channels (`acl-pubsub-default`); `log_limit`: refusals that are
    /// kept (`acllog-max-len`).
    pub fn configure(&mut self, all_channels: bool, log_limit: usize) {
        self.all_channels = all_channels;
        self.log.set_limit(log_limit);
    }

    /// The user of a number; none if it is gone.
    #[inline]
    pub fn get(&self, id: UserId) -> Option<&User> {
        self.users.get(&id).map(|known| &known.user)
    }

    /// What the user of a number may do as far as that is easily told.
    pub fn passes(&self, id: UserId) -> Option<&Arc<Passes>> {
        self.users.get(&id).map(|known| &known.passes)
    }

    /// The name of a user who is there.
    pub fn name_of(&self, id: UserId) -> Option<&[u8]> {
        self.users.get(&id).map(|known| &*known.name)
    }

    /// The number of a name.
    pub fn find(&self, name: &[u8]) -> Option<UserId> {
        self.numbers.get(name).copied()
    }

    /// All of them with their names, in the order of those.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &User)> {
        self.numbers
            .iter()
            .map(|(name, id)| (&**name, &self.users[id].user))
    }

    /// The user that everybody is at first.
    pub fn default_user(&self) -> &User {
        self.get(UserId::DEFAULT).expect("it cannot be removed")
    }

    /// Whether who comes has to log in before anything else.
    pub fn asks_to_log_in(&self) -> bool {
        let user = self.default_user();
        !user.needs_no_password || !user.enabled
    }

    /// `requirepass`: the one password of the user that everybody is at first; empty: any is right.
    pub fn require_password(&mut self, password: &[u8]) {
        let default = self.users.get_mut(&UserId::DEFAULT).expect("it stays");
        default
            .user
            .set_password((!password.is_empty()).then_some(password));
    }

    /// Whose name and password these are.
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<UserId> {
        let id = self.find(name);
        match id.and_then(|id| self.get(id)) {
            Some(user) => id.filter(|_| user.accepts(password)),
            None => {
                // As much work as for a user who is there, so that the time taken does not tell.
                std::hint::black_box(super::password::Digest::of(password));
                None
            }
        }
    }

    /// A user, new or as it is, with words applied; nothing is changed yet.
    ///
    /// # Errors
    /// The name, or a word, cannot be.
    pub fn with_words<'w>(
        &self,
        name: &[u8],
        words: impl Iterator<Item = &'w [u8]>,
        catalog: &dyn Catalog,
    ) -> Result<User, Error> {
        if has_blank(name) {
            return Err(Error::new(
                "ERR Usernames can't contain spaces or null characters",
            ));
        }
        if name.is_empty() {
            return Err(Error::new("ERR Usernames can't be empty"));
        }
        let known = self.find(name).and_then(|id| self.get(id)).cloned();
        let mut user = known.unwrap_or_else(|| User::new(catalog, self.all_channels));
        let applied = user.apply_all(words, self.all_channels, catalog);
        applied.map_err(|refused| told(&refused)).map(|()| user)
    }

    /// Puts a user in the place of the one of this name, or adds it.
    pub fn put(&mut self, name: &[u8], user: User, catalog: &dyn Catalog) -> UserId {
        let id = self.find(name).unwrap_or_else(|| {
            let id = self.next;
            self.next = UserId(id.0 + 1);
            self.numbers.insert(name.into(), id);
            id
        });
        let known = Registered {
            name: name.into(),
            passes: Arc::new(Passes::of(&user, catalog)),
            user,
        };
        self.users.insert(id, known);
        debug_assert_eq!(self.users.len(), self.numbers.len());
        id
    }

    /// All are gone, and whoever puts the next ones in does so at once. The one that everybody is at first keeps its number; the others'
    /// are not given again.
    pub(super) fn forget_all(&mut self) {
        let default = self.users.remove(&UserId::DEFAULT);
        self.numbers.clear();
        self.users.clear();
        if let Some(default) = default {
            self.numbers.insert(DEFAULT_NAME.into(), UserId::DEFAULT);
            self.users.insert(UserId::DEFAULT, default);
        }
    }

    /// Removes a user; answers its number if there was one. The one that everybody is at first stays.
    pub fn remove(&mut self, name: &[u8]) -> Option<UserId> {
        if name == DEFAULT_NAME {
            return None;
        }
        let id = self.numbers.remove(name)?;
        self.users.remove(&id);
        Some(id)
    }
}

/// The error reply of words that cannot be applied.
fn told(refused: &Refused) -> Error {
    Error::text(match refused {
        Refused::Unmatched(word) => format!(
            "ERR Unmatched parenthesis in acl selector starting at '{}'.",
            error::lossless(word)
        ),
        Refused::Word(word, fault) => format!(
            "ERR Error in ACL SETUSER modifier '{}': {}",
            error::lossless(word),
            fault.text()
        ),
    })
}
