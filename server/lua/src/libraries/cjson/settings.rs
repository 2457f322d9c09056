//! Settings of `cjson`, and the functions that show and change them.
//!
//! They are in a cell that all functions of one table share, four bytes for each.

use crate::libraries::arguments;
use crate::raw::{Kind, Raise, Stack};

/// A setting, by its place in the cell.
#[derive(Clone, Copy)]
pub(super) enum Setting {
    /// Sparse arrays become objects, instead of an error.
    SparseConvert,
    /// An array is sparse if its last index is more than so many times its number of elements; 0: none is.
    SparseRatio,
    /// Up to this last index none is sparse.
    SparseSafe,
    /// How deep tables may be in one another.
    EncodeDepth,
    /// How deep arrays and objects may be in one another.
    DecodeDepth,
    /// Digits of numbers.
    Precision,
    /// To be seen and changed, and without effect.
    KeepBuffer,
    /// What is written for numbers that JSON does not have: 0 none, it is an error; 1 their names; 2 null.
    EncodeInvalid,
    /// Whether numbers are read that JSON does not have.
    DecodeInvalid,
}

/// What a setting may be, and is at first.
struct Rule {
    first: i32,
    allowed: Allowed,
}

enum Allowed {
    /// One of these words; false and true are the first two.
    Word(&'static [&'static str]),
    Whole(i32, i32),
}

const SWITCH: Allowed = Allowed::Word(&["off", "on"]);
const COUNT: Allowed = Allowed::Whole(0, i32::MAX);
const DEPTH: Allowed = Allowed::Whole(1, i32::MAX);

/// Number of settings.
const SETTINGS: usize = 9;

/// Of each setting at its place.
const RULES: [Rule; SETTINGS] = [
    rule(0, SWITCH),
    rule(2, COUNT),
    rule(10, COUNT),
    rule(1000, DEPTH),
    rule(1000, DEPTH),
    rule(14, Allowed::Whole(1, 14)),
    rule(1, SWITCH),
    rule(0, Allowed::Word(&["off", "on", "null"])),
    rule(1, SWITCH),
];

const fn rule(first: i32, allowed: Allowed) -> Rule {
    Rule { first, allowed }
}

/// The settings of the running function, as they were when it began.
pub(super) struct Settings([i32; SETTINGS]);

impl Settings {
    pub(super) fn of(stack: &mut Stack) -> Settings {
        let (cells, _) = cell(stack).as_chunks();
        let mut settings = [0; SETTINGS];
        for (setting, cell) in settings.iter_mut().zip(cells) {
            *setting = i32::from_ne_bytes(*cell);
        }
        Settings(settings)
    }

    pub(super) fn get(&self, setting: Setting) -> i32 {
        self.0[setting as usize]
    }
}

/// Pushes a cell with the settings as they are at first.
pub(super) fn push_first(stack: &mut Stack) -> Result<(), Raise> {
    let bytes: Vec<u8> = RULES
        .iter()
        .flat_map(|rule| rule.first.to_ne_bytes())
        .collect();
    stack.push_cell(&bytes)
}

fn cell<'s>(stack: &'s mut Stack) -> &'s mut [u8] {
    stack.own_bytes(1).expect("the function was made with it")
}

/// A function of as many arguments as there are settings: those that are there change theirs, up to the first wrong one. It gives
/// back what is then set.
fn change(stack: &mut Stack, settings: &[Setting]) -> Result<usize, Raise> {
    let count = settings.len() as i32;
    if stack.top() > count {
        return Err(stack.bad_argument(count + 1, "found too many arguments"));
    }
    for (setting, n) in settings.iter().zip(1..) {
        let place = *setting as usize;
        let rule = &RULES[place];
        if !matches!(stack.kind(n), Kind::Nil | Kind::None) {
            let value = argument(stack, n, &rule.allowed)?;
            cell(stack)[4 * place..][..4].copy_from_slice(&value.to_ne_bytes());
        }
    }
    let now = Settings::of(stack);
    for setting in settings {
        push(stack, now.get(*setting), &RULES[*setting as usize].allowed)?;
    }
    Ok(settings.len())
}

fn argument(stack: &mut Stack, n: i32, allowed: &Allowed) -> Result<i32, Raise> {
    match allowed {
        Allowed::Whole(low, high) => {
            let value = arguments::integer(stack, n)? as i32;
            if !(*low..=*high).contains(&value) {
                let what = format!("expected integer between {low} and {high}");
                // Redis names the first argument, whichever it is.
                return Err(stack.bad_argument(1, what));
            }
            Ok(value)
        }
        Allowed::Word(_) if stack.kind(n) == Kind::Bool => Ok(stack.truth(n).into()),
        Allowed::Word(words) => {
            let text = arguments::text(stack, n)?.into_owned();
            let word = text.split(|&byte| byte == 0).next().unwrap_or_default();
            match words.iter().position(|known| known.as_bytes() == word) {
                Some(place) => Ok(place as i32),
                None => Err(stack.bad_argument(n, [b"invalid option '", word, b"'"].concat())),
            }
        }
    }
}

fn push(stack: &mut Stack, value: i32, allowed: &Allowed) -> Result<(), Raise> {
    match allowed {
        Allowed::Whole(..) => stack.push_number(f64::from(value)),
        Allowed::Word(_) if value < 2 => stack.push_bool(value == 1),
        Allowed::Word(words) => stack.push_bytes(words[value as usize].as_bytes()),
    }
}

/// `encode_sparse_array(convert, ratio, safe)`
pub(super) fn encode_sparse_array(stack: &mut Stack) -> Result<usize, Raise> {
    change(
        stack,
        &[
            Setting::SparseConvert,
            Setting::SparseRatio,
            Setting::SparseSafe,
        ],
    )
}

/// `encode_max_depth(depth)`
pub(super) fn encode_max_depth(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::EncodeDepth])
}

/// `decode_max_depth(depth)`
pub(super) fn decode_max_depth(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::DecodeDepth])
}

/// `encode_number_precision(digits)`
pub(super) fn encode_number_precision(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::Precision])
}

/// `encode_keep_buffer(switch)`
pub(super) fn encode_keep_buffer(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::KeepBuffer])
}

/// `encode_invalid_numbers(word)`
pub(super) fn encode_invalid_numbers(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::EncodeInvalid])
}

/// `decode_invalid_numbers(switch)`
pub(super) fn decode_invalid_numbers(stack: &mut Stack) -> Result<usize, Raise> {
    change(stack, &[Setting::DecodeInvalid])
}
