//! `cmsgpack`: values in MessagePack.
//!
//! ```text
//! 00..7f  0 to 127           c0      nil             cc cd ce cf  1, 2, 4, 8 bytes, no sign      d9 da db  string, 1, 2, 4 bytes of length
//! 80..8f  map of 0 to 15     c2 c3   false, true     d0 d1 d2 d3  1, 2, 4, 8 bytes, signed       dc dd     array, 2, 4 bytes of length
//! 90..9f  array of 0 to 15   ca cb   float, double   e0..ff       -32 to -1                      de df     map, 2, 4 bytes of length
//! a0..bf  string of 0 to 31  the rest is not known here; all numbers are big endian
//! ```

mod pack;
mod unpack;

use super::push_functions;
use crate::raw::{Native, Raise, Stack};

const FUNCTIONS: &[(&str, Native)] = &[
    ("pack", pack::pack),
    ("unpack", unpack::unpack),
    ("unpack_one", unpack::unpack_one),
    ("unpack_limit", unpack::unpack_limit),
];

/// What the library that Redis has says of itself; scripts may show it.
const CONSTANTS: &[(&str, &str)] = &[
    ("_NAME", "cmsgpack"),
    ("_VERSION", "lua-cmsgpack 0.4.0"),
    ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
    ("_DESCRIPTION", "MessagePack C implementation for Lua"),
];

pub(super) fn open(stack: &mut Stack) -> Result<(), Raise> {
    push_functions(stack, FUNCTIONS)?;
    for (name, text) in CONSTANTS {
        stack.push_bytes(text.as_bytes())?;
        stack.set_field(-2, name)?;
    }
    Ok(())
}
