//! Conditions on the value that is there: IFEQ, IFNE, IFDEQ and IFDNE of SET and DELEX; DELEX, DELIFEQ and DIGEST.
//!
//! Facts are those of Redis 8.6 as recorded (`testdata/transcripts/newer/string-cas.jsonl`) and, for DELIFEQ, of Valkey 9.1. Both have
//! SET IFEQ; where they differ (Valkey knows no IFNE and refuses IFEQ beside NX and XX) it is as in Redis.

use super::{bytes_of, delete_key};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, ValueRef};
use cairn_format::text::number::I64Text;
use twox_hash::XxHash3_64;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 16;

/// What the value must be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// It must be another one.
    differs: bool,
    /// What is given is the digest, and not the value itself.
    by_digest: bool,
    /// Argument of what it is compared with.
    pub(super) at: usize,
}

impl Condition {
    /// The condition that argument `i` names, if it does.
    pub(super) fn named(args: &Args, i: usize) -> Option<Condition> {
        let (differs, by_digest) = match args.get(i)? {
            word if word.eq_ignore_ascii_case(b"ifeq") => (false, false),
            word if word.eq_ignore_ascii_case(b"ifne") => (true, false),
            word if word.eq_ignore_ascii_case(b"ifdeq") => (false, true),
            word if word.eq_ignore_ascii_case(b"ifdne") => (true, true),
            _ => return None,
        };
        Some(Condition {
            differs,
            by_digest,
            at: i + 1,
        })
    }

    /// Whether it holds where there is no value: nothing is different from everything.
    pub(super) fn holds_of_nothing(&self) -> bool {
        self.differs
    }

    /// Whether it holds of a string.
    ///
    /// # Errors
    /// The value is none.
    pub(super) fn holds(&self, args: &Args, value: ValueRef) -> Result<bool, Error> {
        let mut text = I64Text::new();
        let bytes = bytes_of(value, &mut text)?;
        let given = args.at(self.at);
        let is_equal = match self.by_digest {
            false => bytes == given,
            true => digest(bytes).eq_ignore_ascii_case(given),
        };
        Ok(is_equal != self.differs)
    }
}

/// The digest of a string as DIGEST prints it: 64 bits of XXH3, without a seed.
fn digest(bytes: &[u8]) -> [u8; DIGITS] {
    let hash = XxHash3_64::oneshot(bytes);
    std::array::from_fn(|place| {
        let nibble = (hash >> (4 * (DIGITS - 1 - place)) & 15) as u8;
        match nibble {
            0..=9 => b'0' + nibble,
            _ => b'a' + nibble - 10,
        }
    })
}

pub(super) const DELEX: Command = Command {
    name: "delex",
    group: Group::String,
    since: "8.4.0",
    arity: -2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RM", "delete"])],
    complexity: "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
    summary: "Delete a key, if its value is or is not a given one",
    run: delex,
    ..Command::BASE
};

fn delex(cx: &mut Ctx, args: &Args) -> Outcome {
    if !matches!(args.len(), 2 | 4) {
        return Err(error::wrong_arity("delex"));
    }
    let key = args.at(1);
    let slot = cx.ks.write(key);
    let goes = match slot {
        // Redis does not even read the condition.
        None => false,
        Some(_) if args.len() == 2 => true,
        Some(slot) => {
            let condition = Condition::named(args, 2).ok_or(error::SYNTAX)?;
            if cx.ks.kind(slot) != Kind::String {
                return Err(Error::new(
                    "ERR Key should be of string type if conditions are specified",
                ));
            }
            condition.holds(args, cx.ks.view(slot))?
        }
    };
    remove_if(cx, args, goes);
    Ok(())
}

pub(super) const DELIFEQ: Command = Command {
    name: "delifeq",
    since: "9.0.0",
    arity: 3,
    complexity: "O(1)",
    summary: "Delete a key if its value is a given one",
    run: delifeq,
    ..DELEX
};

fn delifeq(cx: &mut Ctx, args: &Args) -> Outcome {
    let goes = match cx.ks.write_kind(args.at(1), Kind::String)? {
        None => false,
        Some(slot) => {
            let mut text = I64Text::new();
            bytes_of(cx.ks.view(slot), &mut text)? == args.at(2)
        }
    };
    remove_if(cx, args, goes);
    Ok(())
}

/// Whoever hears of it need not know the condition: it held.
fn remove_if(cx: &mut Ctx, args: &Args, goes: bool) {
    let key = args.at(1);
    if let Some(slot) = cx.ks.find(key).filter(|_| goes) {
        delete_key(cx.ks, slot, key);
        cx.propagate(&[b"DEL", key]);
    }
    cx.reply.int(i64::from(goes));
}

pub(super) const DIGEST: Command = Command {
    name: "digest",
    group: Group::String,
    since: "8.4.0",
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) where N is the length of the string value.",
    summary: "Tell a digest of the string at a key",
    run: tell_digest,
    ..Command::BASE
};

fn tell_digest(cx: &mut Ctx, args: &Args) -> Outcome {
    match cx.ks.read_kind(args.at(1), Kind::String)? {
        None => cx.reply.null(),
        Some(slot) => {
            let mut text = I64Text::new();
            let digest = digest(bytes_of(cx.ks.view(slot), &mut text)?);
            cx.reply.bulk(&digest);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of Redis 8.6.3 and, of lengths that take another way through the function, those that the authors of XXH3 publish.
    #[test]
    fn digests_are_those_of_xxh3() {
        assert_eq!(digest(b"v9"), *b"3c6758e1a088587c");
        assert_eq!(digest(b"x"), *b"eaf06c6480b2cd11");
        assert_eq!(digest(b""), *b"2d06800538d394c2");
    }
}
