//! Functions of Lua's base library that know of protected tables, and the generator of random numbers that Redis has.

use crate::raw::{Kind, READ_ONLY, Raise, Stack};

/// Leaves on the stack what is behind a protected table, and answers true; or leaves nothing.
fn is_protected(stack: &mut Stack, index: i32) -> Result<bool, Raise> {
    if stack.kind(index) != Kind::Table {
        return Ok(false);
    }
    stack.push_protected()?;
    stack.push_copy(index)?;
    stack.get(-2);
    let found = stack.kind(-1) == Kind::Table;
    stack.pop(2);
    Ok(found)
}

/// Name of the hidden tables that `getmetatable` shows in place of those of the globals and of strings.
pub(crate) const GLOBALS_VIEW: &str = "view of the globals' metatable";
pub(crate) const STRING_VIEW: &str = "view of the metatable of strings";

/// `getmetatable`: what belongs to the machine is shown as a protected table.
pub(crate) fn getmetatable(stack: &mut Stack) -> Result<usize, Raise> {
    match stack.kind(1) {
        Kind::None => return Err(stack.bad_argument(1, "value expected")),
        Kind::String => {
            stack.get_hidden(STRING_VIEW)?;
            return Ok(1);
        }
        _ => {}
    }
    if is_protected(stack, 1)? {
        stack.push_globals()?;
        match stack.same(1, -1) {
            true => stack.get_hidden(GLOBALS_VIEW)?,
            false => stack.push_nil()?,
        }
        return Ok(1);
    }
    if !stack.push_metatable(1)? {
        stack.push_nil()?;
        return Ok(1);
    }
    stack.get_field(-1, "__metatable")?;
    if stack.kind(-1) == Kind::Nil {
        stack.pop(1);
    }
    Ok(1)
}

/// `setmetatable`.
pub(crate) fn setmetatable(stack: &mut Stack) -> Result<usize, Raise> {
    if stack.kind(1) != Kind::Table {
        return Err(stack.wrong_type(1, "table"));
    }
    if !matches!(stack.kind(2), Kind::Nil | Kind::Table) {
        return Err(stack.bad_argument(2, "nil or table expected"));
    }
    if is_protected(stack, 1)? {
        return Err(Raise::plain(READ_ONLY));
    }
    if stack.push_metatable(1)? {
        stack.get_field(-1, "__metatable")?;
        if stack.kind(-1) != Kind::Nil {
            return Err(Raise::here("cannot change a protected metatable"));
        }
    }
    stack.cut(2);
    stack.set_metatable(1);
    Ok(1)
}

/// `newproxy`, without a metatable: one could name a finalizer, which would run at any time.
pub(crate) fn newproxy(stack: &mut Stack) -> Result<usize, Raise> {
    if stack.truth(1) {
        return Err(stack.bad_argument(1, "a proxy with a metatable is not available to scripts"));
    }
    stack.push_cell(&[])?;
    Ok(1)
}

/// A write that found no field of its own in a protected table.
pub(crate) fn refuse_write(_: &mut Stack) -> Result<usize, Raise> {
    Err(Raise::here(READ_ONLY))
}

/// A global that does not exist.
pub(crate) fn refuse_global(stack: &mut Stack) -> Result<usize, Raise> {
    let name = match stack.text(2) {
        Some(name) => name.into_owned(),
        None => stack.kind(2).name().as_bytes().to_vec(),
    };
    let mut text = b"Script attempted to access nonexistent global variable '".to_vec();
    text.extend_from_slice(&name);
    text.push(b'\'');
    Err(Raise::Here(text))
}

/// One step of the generator behind `math.random`: 48 bits, of which the upper 31 are given out. Recorded from Redis 7.2.4.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & 0xffff_ffff_ffff;
    *state >> 17
}

/// `math.random`.
pub(crate) fn random(stack: &mut Stack) -> Result<usize, Raise> {
    const MAX: u64 = 0x7fff_ffff;
    let share = (step(stack.random_state()) % MAX) as f64 / MAX as f64;
    let whole = |stack: &mut Stack, n: i32| match stack.as_number(n) {
        Some(number) => Ok(f64::from(number as i64 as i32)),
        None => Err(stack.wrong_type(n, "number")),
    };
    let number = match stack.top() {
        0 => share,
        1 => {
            let high = whole(stack, 1)?;
            if high < 1.0 {
                return Err(stack.bad_argument(1, "interval is empty"));
            }
            (share * high).floor() + 1.0
        }
        2 => {
            let (low, high) = (whole(stack, 1)?, whole(stack, 2)?);
            if low > high {
                return Err(stack.bad_argument(2, "interval is empty"));
            }
            (share * (high - low + 1.0)).floor() + low
        }
        _ => return Err(Raise::here("wrong number of arguments")),
    };
    stack.push_number(number)?;
    Ok(1)
}

/// `math.randomseed`.
pub(crate) fn randomseed(stack: &mut Stack) -> Result<usize, Raise> {
    let Some(seed) = stack.as_number(1) else {
        return Err(stack.wrong_type(1, "number"));
    };
    *stack.random_state() = u64::from(seed as i64 as u32) << 16 | 0x330e;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_redis() {
        let mut state = 0x1234_abcd_330e;
        let mut next = || {
            let share = (step(&mut state) % 0x7fff_ffff) as f64 / f64::from(0x7fff_ffff);
            (share * 1_000_000.0).floor() as u32 + 1
        };
        assert_eq!([next(), next(), next()], [396_465, 840_486, 353_337]);
    }
}
