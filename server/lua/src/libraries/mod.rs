//! Libraries that scripts of Redis find beside those of Lua, each a file. What they do was asked of Redis 7.2.4.

mod arguments;
mod bit;
mod cjson;
mod cmsgpack;
mod number;
mod structs;

use crate::raw::{Native, Raise, Stack};

/// Pushes the table of a library.
pub(crate) type Open = fn(&mut Stack) -> Result<(), Raise>;

/// All of them, by the global that holds them.
pub(crate) const ALL: &[(&str, Open)] = &[
    ("cjson", cjson::open),
    ("cmsgpack", cmsgpack::open),
    ("struct", structs::open),
    ("bit", bit::open),
];

/// Pushes a table of functions.
fn push_functions(stack: &mut Stack, functions: &[(&str, Native)]) -> Result<(), Raise> {
    stack.push_table(0, functions.len())?;
    for (name, native) in functions {
        stack.push_native(*native, 0)?;
        stack.set_field(-2, name)?;
    }
    Ok(())
}
