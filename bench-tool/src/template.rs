//! Commands with places to fill in, compiled once and then only copied.
//!
//! ```text
//!   SET key:{rand:1000} {data:8}
//!
//!   Raw  "*3\r\n$3\r\nSET\r\n"      everything whose bytes or length never change
//!   Arg  "key:" Rand(1000)          an argument whose length is known only when it is filled in
//!   Raw  "$8\r\n"  Data(8)  "\r\n"
//! ```
//!
//! `{=NAME:rand:1000}` also keeps what it wrote, and `{=NAME}` behind it writes the same again.
//!
//! Other braces stay as they are, because hash tags (`{user}:1`) are written with them.

use crate::random::Random;
use cairn_format::resp::value::write_command_header;
use cairn_format::text::number::I64Text;
use cairn_format::text::words::split_words;

/// Largest `{data:N}`, in bytes: the limit that servers set on one argument by default.
const DATA_MAX: usize = 512 << 20;
/// Bytes of the pool beyond the longest value, so that values begin at many places.
const POOL_SLACK: usize = 1 << 16;

/// A command that can be written again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Raw(Vec<u8>),
    Data(usize),
    Arg(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Rand(u64),
    Seq,
    Data(usize),
    /// Writes a piece and keeps its bytes under this number.
    Keep(usize, Box<Piece>),
    /// Writes what was kept under this number.
    Again(usize),
}

/// Names of values that are used more than once in a command; the place in the list is the number in its pieces.
type Names = Vec<String>;

/// Where the changing parts come from: one for each thread.
#[derive(Debug)]
pub struct Filler {
    pub(crate) random: Random,
    pool: std::sync::Arc<[u8]>,
    arg: Vec<u8>,
    /// What the command under way keeps.
    kept: Vec<Vec<u8>>,
}

impl Filler {
    /// A filler over a shared pool of data.
    pub fn new(random: Random, pool: std::sync::Arc<[u8]>) -> Filler {
        Filler {
            random,
            pool,
            arg: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn keep(&mut self, number: usize, bytes: &[u8]) {
        if self.kept.len() <= number {
            self.kept.resize(number + 1, Vec::new());
        }
        self.kept[number].clear();
        self.kept[number].extend_from_slice(bytes);
    }

    fn data(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.random.below((self.pool.len() - len) as u64 + 1) as usize;
        start..start + len
    }
}

/// Letters and digits for `{data:N}`: long enough for the longest value of `templates`.
pub fn data_pool(templates: &[Template], random: &mut Random) -> std::sync::Arc<[u8]> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let longest = templates
        .iter()
        .map(Template::longest_data)
        .max()
        .unwrap_or(0);
    let mut pool = Vec::with_capacity(longest + POOL_SLACK);
    while pool.len() < longest + POOL_SLACK {
        let bits = random.next();
        pool.extend((0..10).map(|i| LETTERS[(bits >> (6 * i)) as usize & 63]));
    }
    pool.into()
}

impl Template {
    /// Reads a command as it is typed: words, quotes as in `redis-cli`, and `{rand:N}`, `{seq}`, `{data:N}`.
    pub fn parse(text: &str) -> Result<Template, String> {
        let words = split_words(text.as_bytes())
            .map_err(|_| format!("command {text:?}: unbalanced quotes"))?;
        if words.is_empty() {
            return Err("a command is empty".to_owned());
        }
        let (mut parts, mut names) = (Vec::new(), Names::new());
        write_command_header(raw(&mut parts), words.len());
        for word in &words {
            let pieces =
                pieces(word, &mut names).map_err(|what| format!("command {text:?}: {what}"))?;
            push_argument(&mut parts, pieces);
        }
        Ok(Template {
            text: text.to_owned(),
            parts,
        })
    }

    /// The command as it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether requests of this command carry a sequence number.
    pub fn uses_seq(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Arg(pieces) if pieces.iter().any(Piece::uses_seq)))
    }

    /// Appends the next request. `seq` is the number for `{seq}`.
    pub fn write(&self, out: &mut Vec<u8>, filler: &mut Filler, seq: u64) {
        for part in &self.parts {
            match part {
                Part::Raw(bytes) => out.extend_from_slice(bytes),
                Part::Data(len) => {
                    let range = filler.data(*len);
                    out.extend_from_slice(&filler.pool[range]);
                }
                Part::Arg(pieces) => {
                    let mut arg = std::mem::take(&mut filler.arg);
                    arg.clear();
                    pieces
                        .iter()
                        .for_each(|piece| piece.write(&mut arg, filler, seq));
                    cairn_format::resp::value::write_argument(out, &arg);
                    filler.arg = arg;
                }
            }
        }
    }

    fn longest_data(&self) -> usize {
        let in_args = self.parts.iter().flat_map(|part| match part {
            Part::Arg(pieces) => pieces.as_slice(),
            _ => &[],
        });
        let in_args = in_args.map(Piece::data_len);
        let alone = self
            .parts
            .iter()
            .map(|part| if let Part::Data(len) = part { *len } else { 0 });
        in_args.chain(alone).max().unwrap_or(0)
    }
}

impl Piece {
    fn fixed_len(&self) -> Option<usize> {
        match self {
            Piece::Text(text) => Some(text.len()),
            Piece::Data(len) => Some(*len),
            Piece::Rand(_) | Piece::Seq | Piece::Keep(..) | Piece::Again(_) => None,
        }
    }

    fn uses_seq(&self) -> bool {
        match self {
            Piece::Seq => true,
            Piece::Keep(_, piece) => piece.uses_seq(),
            _ => false,
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Piece::Data(len) => *len,
            Piece::Keep(_, piece) => piece.data_len(),
            _ => 0,
        }
    }

    fn write(&self, arg: &mut Vec<u8>, filler: &mut Filler, seq: u64) {
        let number = match self {
            Piece::Text(text) => return arg.extend_from_slice(text),
            Piece::Data(len) => {
                let range = filler.data(*len);
                return arg.extend_from_slice(&filler.pool[range]);
            }
            Piece::Keep(number, piece) => {
                let start = arg.len();
                piece.write(arg, filler, seq);
                return filler.keep(*number, &arg[start..]);
            }
            Piece::Again(number) => return arg.extend_from_slice(&filler.kept[*number]),
            Piece::Rand(bound) => filler.random.below(*bound),
            Piece::Seq => seq,
        };
        let mut text = I64Text::new();
        arg.extend_from_slice(text.format(number as i64));
    }
}

/// The bytes at the end of `parts` that fixed text is appended to.
fn raw(parts: &mut Vec<Part>) -> &mut Vec<u8> {
    if !matches!(parts.last(), Some(Part::Raw(_))) {
        parts.push(Part::Raw(Vec::new()));
    }
    match parts.last_mut() {
        Some(Part::Raw(bytes)) => bytes,
        _ => unreachable!("a raw part was just pushed"),
    }
}

fn push_argument(parts: &mut Vec<Part>, pieces: Vec<Piece>) {
    let Some(len) = pieces.iter().map(Piece::fixed_len).sum::<Option<usize>>() else {
        return parts.push(Part::Arg(pieces));
    };
    raw(parts).extend_from_slice(format!("${len}\r\n").as_bytes());
    for piece in pieces {
        match piece {
            Piece::Data(len) => parts.push(Part::Data(len)),
            Piece::Text(text) => raw(parts).extend_from_slice(&text),
            Piece::Rand(_) | Piece::Seq | Piece::Keep(..) | Piece::Again(_) => {
                unreachable!("these have no fixed length")
            }
        }
    }
    raw(parts).extend_from_slice(b"\r\n");
}

fn pieces(word: &[u8], names: &mut Names) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while at < word.len() {
        let place = match (word[at], word[at..].iter().position(|&byte| byte == b'}')) {
            (b'{', Some(len)) => {
                place(&word[at + 1..at + len], names)?.map(|piece| (piece, at + len + 1))
            }
            _ => None,
        };
        match place {
            None => at += 1,
            Some((piece, end)) => {
                if plain < at {
                    pieces.push(Piece::Text(word[plain..at].to_vec()));
                }
                pieces.push(piece);
                (plain, at) = (end, end);
            }
        }
    }
    if plain < word.len() {
        pieces.push(Piece::Text(word[plain..].to_vec()));
    }
    Ok(pieces)
}

/// What stands between braces, if it is one of our places.
fn place(inner: &[u8], names: &mut Names) -> Result<Option<Piece>, String> {
    let Ok(inner) = std::str::from_utf8(inner) else {
        return Ok(None);
    };
    match inner.strip_prefix('=') {
        Some(named) => named_place(named, names).map(Some),
        None => plain_place(inner),
    }
}

/// `NAME:PLACE` keeps a value, `NAME` alone writes it again.
fn named_place(named: &str, names: &mut Names) -> Result<Piece, String> {
    let (name, inner) = named
        .split_once(':')
        .map_or((named, None), |(name, inner)| (name, Some(inner)));
    let number = names.iter().position(|known| known == name);
    match (inner, number) {
        (None, Some(number)) => Ok(Piece::Again(number)),
        (None, None) => Err(format!(
            "{{={name}}} stands before the place that makes it, as in {{={name}:rand:100}}"
        )),
        (Some(_), Some(_)) => Err(format!(
            "{{={named}}}: {name} has a value already; {{={name}}} writes it again"
        )),
        (Some(inner), None) => match plain_place(inner)? {
            Some(piece) => {
                names.push(name.to_owned());
                Ok(Piece::Keep(names.len() - 1, Box::new(piece)))
            }
            None => Err(format!(
                "{{={named}}}: {inner} is none of rand:N, seq and data:N"
            )),
        },
    }
}

fn plain_place(inner: &str) -> Result<Option<Piece>, String> {
    let (name, number) = inner
        .split_once(':')
        .map_or((inner, None), |(name, number)| (name, Some(number)));
    let positive = |largest: u64| match number.and_then(|n| n.parse::<u64>().ok()) {
        Some(n) if (1..=largest).contains(&n) => Ok(n),
        _ => Err(format!(
            "{{{inner}}} needs a number from 1 to {largest}, as in {{{name}:100}}"
        )),
    };
    match (name, number) {
        ("rand", _) => positive(i64::MAX as u64).map(|n| Some(Piece::Rand(n))),
        ("data", _) => positive(DATA_MAX as u64).map(|n| Some(Piece::Data(n as usize))),
        ("seq", None) => Ok(Some(Piece::Seq)),
        ("seq", Some(_)) => Err(format!("{{{inner}}}: {{seq}} takes no number")),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, seq: u64) -> String {
        let template = Template::parse(text).unwrap();
        let mut random = Random::new(1);
        let pool = data_pool(std::slice::from_ref(&template), &mut random);
        let mut out = Vec::new();
        template.write(&mut out, &mut Filler::new(random, pool), seq);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fixed_commands_are_one_piece() {
        let template = Template::parse("SET \"a b\" x").unwrap();
        assert_eq!(
            template.parts,
            [Part::Raw(
                b"*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$1\r\nx\r\n".to_vec()
            )]
        );
    }

    /// Only then a number is drawn from the count that all workers share.
    #[test]
    fn only_a_sequence_number_is_one() {
        let uses = |text: &str| Template::parse(text).unwrap().uses_seq();
        for text in ["SET k v", "SET k{rand:5} {data:9}", "SET {=n:rand:5} {=n}"] {
            assert!(!uses(text), "{text}");
        }
        for text in ["GET {seq}", "SET k x{seq}y", "SET {=n:seq} {=n}"] {
            assert!(uses(text), "{text}");
        }
    }

    /// Beyond what the pool has anyway; alone, within an argument, and kept for a second use.
    #[test]
    fn data_is_as_long_as_was_asked_for() {
        let len = 3 * POOL_SLACK;
        for (text, arguments) in [
            (format!("SET k {{data:{len}}}"), vec![1, len]),
            (format!("SET k x{{data:{len}}}y"), vec![1, len + 2]),
            (format!("SET {{=v:data:{len}}} {{=v}}"), vec![len, len]),
            (format!("SET {{data:2}} {{data:{len}}}"), vec![2, len]),
        ] {
            let request = written(&text, 0);
            let lines: Vec<&str> = request.split("\r\n").collect();
            let lengths: Vec<usize> = [lines[4], lines[6]].map(str::len).to_vec();
            assert_eq!(lengths, arguments, "{text}");
        }
    }

    #[test]
    fn places_are_filled_in_and_lengths_agree() {
        assert_eq!(
            written("GET k{seq}", 12),
            "*2\r\n$3\r\nGET\r\n$3\r\nk12\r\n"
        );
        let text = written("SET x{data:5}y {data:3}", 0);
        assert!(
            text.starts_with("*3\r\n$3\r\nSET\r\n$7\r\nx") && text.contains("y\r\n$3\r\n"),
            "{text}"
        );
        let text = written("GET {rand:1000000}{seq}", 1_000_000);
        let mut lines = text.split("\r\n").skip(3);
        let len: usize = lines.next().unwrap()[1..].parse().unwrap();
        assert_eq!(lines.next().unwrap().len(), len);
    }

    #[test]
    fn a_named_value_is_the_same_wherever_it_stands_and_another_in_the_next_command() {
        let text = "HSET user:{=id:rand:1000000} id {=id} x{=d:data:9}y {=d} n{=n:seq} {=n}";
        let template = Template::parse(text).unwrap();
        assert!(template.uses_seq());
        let mut random = Random::new(1);
        let pool = data_pool(std::slice::from_ref(&template), &mut random);
        let mut filler = Filler::new(random, pool);
        let mut ids = Vec::new();
        for seq in 0..20 {
            let mut out = Vec::new();
            template.write(&mut out, &mut filler, seq);
            let text = String::from_utf8(out).unwrap();
            let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
            assert_eq!(words[1], format!("user:{}", words[3]), "{text}");
            assert_eq!(words[4], format!("x{}y", words[5]), "{text}");
            assert_eq!(words[5].len(), 9);
            assert_eq!(
                (words[6], words[7]),
                (&*format!("n{seq}"), &*seq.to_string())
            );
            ids.push(words[3].to_owned());
        }
        ids.sort();
        ids.dedup();
        assert!(ids.len() > 15, "{ids:?}");
    }

    #[test]
    fn hash_tags_stay_and_mistakes_are_told() {
        assert_eq!(
            written("GET {user}:{seq}", 1),
            "*2\r\n$3\r\nGET\r\n$8\r\n{user}:1\r\n"
        );
        assert_eq!(written("GET {a", 1), "*2\r\n$3\r\nGET\r\n$2\r\n{a\r\n");
        for wrong in [
            "",
            "GET {rand}",
            "GET {rand:0}",
            "GET {rand:x}",
            "SET k {data:999999999999}",
            "GET {seq:4}",
            "GET {=a}",
            "MSET {=a} 1 {=a:rand:5} 2",
            "MSET {=a:rand:5} 1 {=a:rand:5} 2",
            "GET {=a:rand:0}",
            "GET {=a:what}",
            "GET {=a:=b:seq}",
            "GET \"x",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
