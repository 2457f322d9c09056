//! What stands between braces.
//!
//! | place | becomes |
//! |---|---|
//! | `{int:NUMBERS}` | a number, without leading zeros |
//! | `{key:NUMBERS}`, `{member:...}`, `{field:...}` | the same behind `key:`, `member:` or `field:`; without NUMBERS one of the key space |
//! | `{rand:N}`, `{seq}` | short for `{int:uniform:N}` and `{int:seq}` |
//! | `{data:NUMBERS}` | so many bytes; with `,compress=P` at the end P percent of them are the same |
//! | `{=NAME:PLACE}`, `{=NAME}` | a place whose value is kept; the same value again |
//! | `{{`, `}}` | a brace |
//!
//! NUMBERS are the words of [`super::numbers`]; a plain number is the length of data, and a bound for everything else. Whatever else
//! stands between braces is refused: a place that is misspelled must not become a key.

use super::data::{DATA_MAX, Kind};
use super::numbers::Numbers;
use super::shape::Shapes;

/// What a workload says of all its commands.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// How many keys there are where a command does not say it.
    pub keys: u64,
    /// Distributions by name.
    pub shapes: Shapes,
}

/// Part of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As it stands.
    Text(Vec<u8>),
    /// A number.
    Number(Numbers),
    /// Bytes of a value.
    Data(Kind, Numbers),
    /// Writes pieces and keeps their bytes under this number.
    Keep(usize, Vec<Piece>),
    /// Writes what was kept under this number.
    Again(usize),
}

/// An argument taken apart.
#[derive(Debug, Default, PartialEq)]
pub struct Argument {
    /// Its parts.
    pub pieces: Vec<Piece>,
    /// Whether it has a `{key}`.
    pub is_key: bool,
}

/// Names of values that are used more than once in a command; the place in the list is the number in its pieces.
pub type Names = Vec<String>;

/// All names of places, for whoever mistyped one.
const NAMES: &str = "key, int, member, field, rand, seq, data, =NAME";

/// Takes an argument apart.
///
/// # Errors
/// What is wrong with which place.
pub fn argument(
    word: &[u8],
    names: &mut Names,
    vocabulary: &Vocabulary,
) -> Result<Argument, String> {
    let mut argument = Argument::default();
    let (mut text, mut at) = (Vec::new(), 0);
    while at < word.len() {
        match (word[at], word.get(at + 1)) {
            (b'{', Some(b'{')) | (b'}', Some(b'}')) => {
                text.push(word[at]);
                at += 2;
            }
            (b'{', _) => {
                let len = word[at..].iter().position(|&byte| byte == b'}');
                let len = len.ok_or("a { without its }; {{ is a brace in the text")?;
                let inner = std::str::from_utf8(&word[at + 1..at + len])
                    .map_err(|_| "a place that is no text")?;
                if !text.is_empty() {
                    argument.pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                let mut place = place(inner, names, vocabulary)?;
                argument.pieces.append(&mut place.pieces);
                argument.is_key |= place.is_key;
                at += len + 1;
            }
            (b'}', _) => return Err("a } without its {; }} is a brace in the text".to_owned()),
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    if !text.is_empty() {
        argument.pieces.push(Piece::Text(text));
    }
    Ok(argument)
}

fn place(inner: &str, names: &mut Names, vocabulary: &Vocabulary) -> Result<Argument, String> {
    let Some(named) = inner.strip_prefix('=') else {
        return plain(inner, vocabulary);
    };
    let (name, inner) = match named.split_once(':') {
        Some((name, inner)) => (name, Some(inner)),
        None => (named, None),
    };
    let number = names.iter().position(|known| known == name);
    match (inner, number) {
        (None, Some(number)) => Ok(Argument {
            pieces: vec![Piece::Again(number)],
            is_key: false,
        }),
        (None, None) => Err(format!(
            "{{={name}}} stands before the place that makes it, as in {{={name}:rand:100}}"
        )),
        (Some(_), Some(_)) => Err(format!(
            "{{={named}}}: {name} has a value already; {{={name}}} writes it again"
        )),
        (Some(inner), None) => {
            let place = plain(inner, vocabulary)?;
            names.push(name.to_owned());
            Ok(Argument {
                pieces: vec![Piece::Keep(names.len() - 1, place.pieces)],
                is_key: place.is_key,
            })
        }
    }
}

fn plain(inner: &str, vocabulary: &Vocabulary) -> Result<Argument, String> {
    let words: Vec<&str> = inner.split(':').collect();
    let (name, rest) = (words[0], &words[1..]);
    let told = |what: String| format!("{{{inner}}}: {what}");
    let numbers = |rest: &[&str]| match rest.is_empty() {
        true => Ok(Numbers::below(vocabulary.keys)),
        false => Numbers::parse(rest, &vocabulary.shapes).map_err(told),
    };
    let behind = |text: &str, numbers: Numbers| {
        vec![
            Piece::Text(text.as_bytes().to_vec()),
            Piece::Number(numbers),
        ]
    };
    let pieces = match name {
        "key" => behind("key:", numbers(rest)?),
        "member" => behind("member:", numbers(rest)?),
        "field" => behind("field:", numbers(rest)?),
        "int" => vec![Piece::Number(numbers(rest)?)],
        "rand" if rest.len() == 1 => vec![Piece::Number(numbers(rest)?)],
        "rand" => return Err(told("needs one number, as in {rand:100}".to_owned())),
        "seq" if rest.is_empty() => vec![Piece::Number(numbers(&["seq"])?)],
        "seq" => {
            return Err(told(
                "takes no number; {int:seq:100} begins again at 100".to_owned(),
            ));
        }
        "data" => vec![data(rest, vocabulary).map_err(told)?],
        _ => {
            return Err(format!(
                "{{{inner}}} is no place; there are {NAMES}; {{{{{inner}}}}} is that text with its braces"
            ));
        }
    };
    Ok(Argument {
        pieces,
        is_key: name == "key",
    })
}

fn data(words: &[&str], vocabulary: &Vocabulary) -> Result<Piece, String> {
    let mut words = words.to_vec();
    let Some(last) = words.pop() else {
        return Err("needs a length, as in {data:64}".to_owned());
    };
    let (last, option) = match last.split_once(',') {
        Some((last, option)) => (last, Some(option)),
        None => (last, None),
    };
    let compressible = match option.map(|option| option.split_once('=')) {
        None => 0,
        Some(Some(("compress", percent))) => match percent.parse() {
            Ok(percent) if percent <= 100 => percent,
            _ => {
                return Err(format!(
                    "compress={percent} is no share from 0 to 100 percent"
                ));
            }
        },
        Some(_) => return Err("only compress=PERCENT can stand behind a comma".to_owned()),
    };
    words.push(last);
    let lengths = match words[..] {
        [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => match number.parse() {
            Ok(len) if (1..=DATA_MAX).contains(&len) => Numbers::Uniform(len, len),
            _ => {
                return Err(format!(
                    "needs a number from 1 to {DATA_MAX}, as in {{data:100}}"
                ));
            }
        },
        _ => Numbers::parse(&words, &vocabulary.shapes)?,
    };
    match lengths.largest() <= DATA_MAX && !lengths.counts() {
        true => Ok(Piece::Data(Kind { compressible }, lengths)),
        false => Err(format!("lengths have to end at {DATA_MAX} bytes")),
    }
}
