//! What functions ask of their arguments, with the errors of Lua's own libraries.

use std::borrow::Cow;

use super::number::truncate;
use crate::raw::{Kind, Raise, Stack};

/// Argument `n` as a number, or a string that reads as one.
pub(super) fn number(stack: &mut Stack, n: i32) -> Result<f64, Raise> {
    match stack.as_number(n) {
        Some(number) => Ok(number),
        None => Err(stack.wrong_type(n, "number")),
    }
}

/// Argument `n` as a whole number, cut towards zero.
pub(super) fn integer(stack: &mut Stack, n: i32) -> Result<i64, Raise> {
    number(stack, n).map(truncate)
}

/// Argument `n` as a whole number, if it is there and not nil.
pub(super) fn optional_integer(stack: &mut Stack, n: i32) -> Result<Option<i64>, Raise> {
    match stack.kind(n) {
        Kind::None | Kind::Nil => Ok(None),
        _ => integer(stack, n).map(Some),
    }
}

/// Argument `n` as a string, or the text of a number.
pub(super) fn text<'s>(stack: &'s mut Stack, n: i32) -> Result<Cow<'s, [u8]>, Raise> {
    if !matches!(stack.kind(n), Kind::String | Kind::Number) {
        return Err(stack.wrong_type(n, "string"));
    }
    stack.text(n).ok_or_else(|| Raise::here("stack overflow"))
}

/// Index of a string that is argument `n`: a number is pushed as one.
pub(super) fn string(stack: &mut Stack, n: i32) -> Result<i32, Raise> {
    if stack.kind(n) == Kind::String {
        return Ok(n);
    }
    let text = text(stack, n)?.into_owned();
    stack.push_bytes(&text)?;
    Ok(stack.top())
}
