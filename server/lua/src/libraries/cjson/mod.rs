//! `cjson`: values as JSON.
//!
//! Its functions share settings, which scripts may change; `cjson.new` makes another table with settings of its own.

mod decode;
mod encode;
mod read_number;
mod settings;
mod token;

use crate::raw::{Native, Raise, Stack};

/// Functions with the settings as their upvalue.
const FUNCTIONS: &[(&str, Native)] = &[
    ("encode", encode::encode),
    ("decode", decode::decode),
    ("encode_sparse_array", settings::encode_sparse_array),
    ("encode_max_depth", settings::encode_max_depth),
    ("decode_max_depth", settings::decode_max_depth),
    ("encode_number_precision", settings::encode_number_precision),
    ("encode_keep_buffer", settings::encode_keep_buffer),
    ("encode_invalid_numbers", settings::encode_invalid_numbers),
    ("decode_invalid_numbers", settings::decode_invalid_numbers),
    ("new", new),
];

/// What the library that Redis has says of itself; scripts may show it.
const CONSTANTS: &[(&str, &str)] = &[("_NAME", "cjson"), ("_VERSION", "2.1.0")];

pub(super) fn open(stack: &mut Stack) -> Result<(), Raise> {
    stack.push_table(0, 0)?;
    let table = stack.top();
    settings::push_first(stack)?;
    for (name, native) in FUNCTIONS {
        stack.push_copy(table + 1)?;
        stack.push_native(*native, 1)?;
        stack.set_field(table, name)?;
    }
    stack.pop(1);
    stack.push_null()?;
    stack.set_field(table, "null")?;
    for (name, text) in CONSTANTS {
        stack.push_bytes(text.as_bytes())?;
        stack.set_field(table, name)?;
    }
    Ok(())
}

/// `new()`
fn new(stack: &mut Stack) -> Result<usize, Raise> {
    open(stack)?;
    Ok(1)
}

/// An error unless there is one argument.
fn expect_one_argument(stack: &mut Stack) -> Result<(), Raise> {
    match stack.top() {
        1 => Ok(()),
        _ => Err(stack.bad_argument(1, "expected 1 argument")),
    }
}
