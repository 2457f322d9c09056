//! Libraries that scripts of Redis find beside those of Lua, each a file.

use crate::raw::{Raise, Stack};

/// Pushes the table of a library.
pub(crate) type Open = fn(&mut Stack) -> Result<(), Raise>;

/// All of them, by the global that holds them.
pub(crate) const ALL: &[(&str, Open)] = &[];
