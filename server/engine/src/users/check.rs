//! Whether a user may run a command.

use super::patterns::Access;
use super::selector::Selector;
use super::user::User;
use crate::base::args::Args;
use crate::base::id::CommandId;

/// A key among the arguments, and what the command does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Number of the argument.
    pub at: usize,
    /// What is done.
    pub access: Access,
}

/// The keys of a call.
#[derive(Clone, Debug)]
pub enum TouchedKeys {
    /// None.
    None,
    /// One, as most commands have.
    One(Touched),
    /// These.
    These(Vec<Touched>),
    /// The arguments contradict themselves: only who may touch all keys may go on.
    Unclear,
}

/// Which arguments are channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsedChannels {
    /// None.
    #[default]
    None,
    /// The first.
    First,
    /// All.
    All,
    /// All are patterns of channels.
    Patterns,
}

/// A call, as far as permissions are concerned.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is to run.
    pub command: CommandId,
    /// It is allowed to everybody.
    pub is_open: bool,
    /// With these arguments, its name first.
    pub args: Args<'a>,
    /// The keys among them.
    pub keys: TouchedKeys,
    /// The channels among them.
    pub channels: UsedChannels,
}

/// What is not allowed. The later of two came further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The command.
    Command,
    /// The key at this argument.
    Key(usize),
    /// The channel at this argument.
    Channel(usize),
}

impl User {
    /// Whether a call is allowed.
    ///
    /// # Errors
    /// What is not: by the selector that comes furthest.
    pub fn check(&self, request: &Request) -> Result<(), Denied> {
        let mut furthest = Denied::Command;
        for selector in &self.selectors {
            match selector.check(request) {
                Ok(()) => return Ok(()),
                Err(denied) => furthest = furthest.max(denied),
            }
        }
        Err(furthest)
    }

    /// Whether a call is allowed that may read any key besides.
    pub fn may_read_all(&self, request: &Request) -> bool {
        let allows = |s: &Selector| s.keys.reads_all() && s.check(request).is_ok();
        self.selectors.iter().any(allows)
    }
}

impl Selector {
    fn check(&self, request: &Request) -> Result<(), Denied> {
        let args = &request.args;
        if !request.is_open && !self.commands.allows(request.command, args.get(1)) {
            return Err(Denied::Command);
        }
        if !self.keys.has_all() {
            self.check_keys(request)?;
        }
        if self.channels.has_all() {
            return Ok(());
        }
        let last = match request.channels {
            UsedChannels::None => 0,
            UsedChannels::First => 1,
            UsedChannels::All | UsedChannels::Patterns => args.len().saturating_sub(1),
        };
        let is_pattern = request.channels == UsedChannels::Patterns;
        for (at, channel) in (1..=last).zip(args.iter_from(1)) {
            let allowed = match is_pattern {
                true => self.channels.allows_pattern(channel),
                false => self.channels.allows(channel),
            };
            if !allowed {
                return Err(Denied::Channel(at));
            }
        }
        Ok(())
    }

    fn check_keys(&self, request: &Request) -> Result<(), Denied> {
        let keys = match &request.keys {
            TouchedKeys::None => return Ok(()),
            TouchedKeys::One(key) => std::slice::from_ref(key),
            TouchedKeys::These(keys) => keys,
            TouchedKeys::Unclear => return Err(Denied::Key(1)),
        };
        for key in keys {
            let name = request.args.get(key.at);
            if !name.is_some_and(|name| self.keys.allows(name, key.access)) {
                return Err(Denied::Key(key.at));
            }
        }
        Ok(())
    }
}
