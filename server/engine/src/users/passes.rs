//! What can be said of each command before it is called, so that a permitted call costs a look into a table and, where rules name keys,
//! a comparison.

use super::catalog::{Catalog, KnownKeys};
use super::check::Touched;
use super::patterns::{Access, Keys};
use super::selector::Selector;
use super::user::User;
use crate::base::args::Args;
use crate::base::id::CommandId;

/// What is known of one command. A few bytes, as each user has one for each command.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// It has to be looked at.
    Unclear,
    /// It is allowed with whatever arguments.
    Always,
    /// It is allowed where the keys of this selector allow its only key.
    Key {
        at: u8,
        access: Access,
        selector: u8,
    },
}

/// The permitted calls of a user that are easily told.
#[derive(Debug)]
pub struct Passes {
    /// By number of the command.
    passes: Box<[Pass]>,
    /// By selector.
    keys: Box<[Keys]>,
}

impl Passes {
    /// Those of a user.
    pub fn of(user: &User, catalog: &dyn Catalog) -> Passes {
        let selectors = user.selectors();
        let commands = 0..catalog.count() as u16;
        Passes {
            passes: commands
                .map(|number| pass_of(selectors, CommandId(number), catalog))
                .collect(),
            keys: selectors.iter().map(|s| s.keys.clone()).collect(),
        }
    }

    /// Whether a call is permitted. False says nothing: the call has to be looked at.
    #[inline]
    pub fn allows(&self, command: CommandId, args: &Args) -> bool {
        match self.passes[command.index()] {
            Pass::Unclear => false,
            Pass::Always => true,
            Pass::Key {
                at,
                access,
                selector,
            } => {
                let key = args.get(usize::from(at));
                key.is_some_and(|key| self.keys[usize::from(selector)].allows(key, access))
            }
        }
    }
}

fn pass_of(selectors: &[Selector], command: CommandId, catalog: &dyn Catalog) -> Pass {
    let uses_channels = catalog.uses_channels(command);
    let allows = |selector: &Selector| {
        selector.commands.allows(command, None) && (selector.channels.has_all() || !uses_channels)
    };
    let keys = catalog.known_keys(command);
    let has_no_keys = keys == KnownKeys::None;
    let has_all_keys = |selector: &Selector| has_no_keys || selector.keys.has_all();
    if selectors.iter().any(|s| allows(s) && has_all_keys(s)) {
        return Pass::Always;
    }
    let selector = selectors.iter().position(allows);
    let key_of = |selector: usize| {
        let KnownKeys::One(Touched { at, access }) = keys else {
            return None;
        };
        Some(Pass::Key {
            at: u8::try_from(at).ok()?,
            access,
            selector: u8::try_from(selector).ok()?,
        })
    };
    selector.and_then(key_of).unwrap_or(Pass::Unclear)
}
