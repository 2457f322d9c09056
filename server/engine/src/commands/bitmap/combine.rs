//! BITOP.

use super::store;
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::string::bytes_of;
use crate::value::Kind;
use crate::value::bits::{self, Combine};
use cairn_format::text::number::I64Text;

pub(super) const BITOP: Command = Command {
    name: "bitop",
    group: Group::Bitmap,
    since: "2.6.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::at(2, &["OW", "update"]),
        KeySpec::range(3, -1, 1, &["RO", "access"]),
    ],
    complexity: "O(N)",
    summary: "Combine strings bit by bit and store the result",
    run: bitop,
    ..Command::BASE
};

/// What is made of the sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// All are combined alike.
    Each(Combine),
    /// The only one, with each bit the other way.
    Not,
    /// Bits of the first that are in none of the others. Of Redis 8.2, as are those that follow.
    Diff,
    /// Bits of any other that are not in the first.
    Diff1,
    /// Bits of the first that are in any other.
    AndOr,
    /// Bits that are in one of them only.
    One,
}

impl Operation {
    fn named(args: &Args) -> Result<Operation, Error> {
        let words = [
            ("and", Operation::Each(Combine::And)),
            ("or", Operation::Each(Combine::Or)),
            ("xor", Operation::Each(Combine::Xor)),
            ("not", Operation::Not),
            ("diff", Operation::Diff),
            ("diff1", Operation::Diff1),
            ("andor", Operation::AndOr),
            ("one", Operation::One),
        ];
        let named = words.into_iter().find(|(word, _)| args.is(1, word));
        let (word, operation) = named.ok_or(error::SYNTAX)?;
        let sources = args.len() - 3;
        match operation {
            Operation::Not if sources != 1 => Err(Error::new(
                "ERR BITOP NOT must be called with a single source key.",
            )),
            Operation::Diff | Operation::Diff1 | Operation::AndOr if sources < 2 => {
                Err(Error::text(format!(
                    "ERR BITOP {} must be called with at least two source keys.",
                    word.to_uppercase()
                )))
            }
            operation => Ok(operation),
        }
    }
}

/// The sources as they come, one after the other, in rows of the same length.
struct Rows {
    operation: Operation,
    /// Bytes of each.
    len: usize,
    /// What was made of them so far: for operations on the first and the others, of the others.
    result: Vec<u8>,
    first: Vec<u8>,
    /// For [`Operation::One`]: bits that came more than once.
    again: Vec<u8>,
}

impl Rows {
    fn new(operation: Operation, len: usize) -> Rows {
        let needs = |is: bool| vec![0; if is { len } else { 0 }];
        let has_first = matches!(
            operation,
            Operation::Diff | Operation::Diff1 | Operation::AndOr
        );
        // What begins with a copy needs no zeros before it.
        let copies = matches!(operation, Operation::Each(_) | Operation::Not);
        Rows {
            operation,
            len,
            result: match copies {
                true => Vec::with_capacity(len),
                false => vec![0; len],
            },
            first: needs(has_first),
            again: needs(operation == Operation::One),
        }
    }

    fn take(&mut self, place: usize, source: &[u8]) {
        let is_first = place == 0;
        match self.operation {
            Operation::Each(how) if !is_first => bits::combine(&mut self.result, source, how),
            Operation::Each(_) | Operation::Not => {
                self.result.extend_from_slice(source);
                self.result.resize(self.len, 0);
            }
            Operation::Diff | Operation::Diff1 | Operation::AndOr if is_first => {
                self.first[..source.len()].copy_from_slice(source);
            }
            Operation::Diff | Operation::Diff1 | Operation::AndOr => {
                bits::combine(&mut self.result, source, Combine::Or);
            }
            Operation::One => {
                let pairs = self.again.iter_mut().zip(&self.result).zip(source);
                pairs.for_each(|((again, seen), byte)| *again |= seen & byte);
                bits::combine(&mut self.result, source, Combine::Or);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let others = self.result.iter_mut();
        match self.operation {
            Operation::Each(_) => {}
            Operation::Not => others.for_each(|byte| *byte = !*byte),
            Operation::Diff => others
                .zip(&self.first)
                .for_each(|(b, first)| *b = first & !*b),
            Operation::Diff1 => others.zip(&self.first).for_each(|(b, first)| *b &= !first),
            Operation::AndOr => others.zip(&self.first).for_each(|(b, first)| *b &= first),
            Operation::One => others.zip(&self.again).for_each(|(b, again)| *b &= !again),
        }
        self.result
    }
}

fn bitop(cx: &mut Ctx, args: &Args) -> Outcome {
    let operation = Operation::named(args)?;
    // All sources are looked up first: the longest decides the length, and one of another type ends it.
    let mut len = 0;
    for key in args.iter_from(3) {
        if let Some(slot) = cx.ks.read_kind(key, Kind::String)? {
            len = len.max(bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len());
        }
    }
    let mut rows = Rows::new(operation, len);
    for (place, key) in args.iter_from(3).enumerate() {
        let mut digits = I64Text::new();
        let source = match cx.ks.find(key) {
            Some(slot) => bytes_of(cx.ks.view(slot), &mut digits)?,
            None => &[],
        };
        rows.take(place, source);
    }
    let result = rows.finish();
    debug_assert_eq!(result.len(), len, "as long as the longest source");
    let is_known_to_all = matches!(operation, Operation::Each(_) | Operation::Not);
    // Older servers know what it comes to.
    let told = (!is_known_to_all).then(|| result.clone());
    let before = cx.ks.dirty;
    store(cx, args.at(2), result)?;
    match told.as_deref().filter(|_| cx.ks.dirty != before) {
        None => {}
        Some([]) => cx.propagate(&[b"DEL", args.at(2)]),
        Some(bytes) => cx.propagate(&[b"SET", args.at(2), bytes]),
    }
    Ok(())
}
