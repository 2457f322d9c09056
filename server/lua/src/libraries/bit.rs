//! `bit`: operations on the 32 bits of a number.
//!
//! A number is rounded to a whole one by adding 2^52 + 2^51, whose low half then has its bits; so numbers beyond 2^51 give what is left
//! there.

use super::{arguments, push_functions};
use crate::raw::{Native, Raise, Stack};

const FUNCTIONS: &[(&str, Native)] = &[
    ("tobit", tobit),
    ("bnot", bnot),
    ("band", band),
    ("bor", bor),
    ("bxor", bxor),
    ("lshift", lshift),
    ("rshift", rshift),
    ("arshift", arshift),
    ("rol", rol),
    ("ror", ror),
    ("bswap", bswap),
    ("tohex", tohex),
];

pub(super) fn open(stack: &mut Stack) -> Result<(), Raise> {
    push_functions(stack, FUNCTIONS)
}

/// The bits of argument `n`.
fn bits(stack: &mut Stack, n: i32) -> Result<u32, Raise> {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    Ok((arguments::number(stack, n)? + SHIFT).to_bits() as u32)
}

fn answer(stack: &mut Stack, bits: u32) -> Result<usize, Raise> {
    stack.push_number(f64::from(bits as i32))?;
    Ok(1)
}

fn tobit(stack: &mut Stack) -> Result<usize, Raise> {
    let value = bits(stack, 1)?;
    answer(stack, value)
}

fn bnot(stack: &mut Stack) -> Result<usize, Raise> {
    let value = bits(stack, 1)?;
    answer(stack, !value)
}

fn bswap(stack: &mut Stack) -> Result<usize, Raise> {
    let value = bits(stack, 1)?;
    answer(stack, value.swap_bytes())
}

/// All arguments joined; of several wrong ones the first is told, else the last.
fn fold(stack: &mut Stack, join: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let last = stack.top();
    let mut value = bits(stack, 1)?;
    for n in (2..=last).rev() {
        value = join(value, bits(stack, n)?);
    }
    answer(stack, value)
}

fn band(stack: &mut Stack) -> Result<usize, Raise> {
    fold(stack, |a, b| a & b)
}

fn bor(stack: &mut Stack) -> Result<usize, Raise> {
    fold(stack, |a, b| a | b)
}

fn bxor(stack: &mut Stack) -> Result<usize, Raise> {
    fold(stack, |a, b| a ^ b)
}

/// Moves the bits of the first argument by the second, of which five bits count.
fn shift(stack: &mut Stack, by: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let value = bits(stack, 1)?;
    let count = bits(stack, 2)? & 31;
    answer(stack, by(value, count))
}

fn lshift(stack: &mut Stack) -> Result<usize, Raise> {
    shift(stack, |bits, count| bits << count)
}

fn rshift(stack: &mut Stack) -> Result<usize, Raise> {
    shift(stack, |bits, count| bits >> count)
}

fn arshift(stack: &mut Stack) -> Result<usize, Raise> {
    shift(stack, |bits, count| (bits as i32 >> count) as u32)
}

fn rol(stack: &mut Stack) -> Result<usize, Raise> {
    shift(stack, u32::rotate_left)
}

fn ror(stack: &mut Stack) -> Result<usize, Raise> {
    shift(stack, u32::rotate_right)
}

/// The last digits of eight: as many as the second argument says, in capitals if it is negative.
fn tohex(stack: &mut Stack) -> Result<usize, Raise> {
    let value = bits(stack, 1)?;
    let count = match stack.top() {
        1 => 8,
        _ => bits(stack, 2)? as i32,
    };
    let digits = match count < 0 {
        true => format!("{value:08X}"),
        false => format!("{value:08x}"),
    };
    let count = count.unsigned_abs().min(8) as usize;
    stack.push_bytes(&digits.as_bytes()[8 - count..])?;
    Ok(1)
}
