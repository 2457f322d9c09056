//! What functions ask of their arguments, with the errors of Lua's own libraries.

use crate::raw::{Raise, Stack};

/// Argument `n` as a number, or a string that reads as one.
pub(super) fn number(stack: &mut Stack, n: i32) -> Result<f64, Raise> {
    match stack.as_number(n) {
        Some(number) => Ok(number),
        None => Err(stack.wrong_type(n, "number")),
    }
}
