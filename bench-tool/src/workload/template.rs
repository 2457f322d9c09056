//! Commands with places to fill in, compiled once and then only copied.
//!
//! ```text
//!   SET key:{rand:1000} {data:8}
//!
//!   Number   1: "*3\r\n$3\r\nSET\r\n$5\r\nkey:"      an argument with one number: what stands before it for each count of digits,
//!            2: "*3\r\n$3\r\nSET\r\n$6\r\nkey:" ...  and behind it "\r\n$8\r\n"
//!   Data(8)
//!   Raw      "\r\n"                             everything else whose bytes never change
//! ```
//!
//! Any other argument whose length is known only when it is filled in, as one with two numbers, is an `Arg`: it is written beside, and then its length before it.
//!
//! A word `;` ends a command and begins the next of the same request: they are sent together, and the request is answered when all are.

use super::data::{Kind, Pools, seed_of};
use super::numbers::{Counted, Numbers};
use super::page::{Padded, Page};
use super::place::{Argument, Names, Piece, Vocabulary, argument};
use super::reading::Reading;
use super::rows::Rows;
use crate::random::Random;
use cairn_format::crc16::key_slot;
use cairn_format::resp::value::{write_argument, write_command_header};
use cairn_format::text::number::I64Text;
use cairn_format::text::words::split_words;
use std::sync::Arc;

/// Longest text of a number: a sign and nineteen digits.
const DIGITS_MAX: usize = 20;
/// Fixed bytes up to this length become part of a number beside them.
const JOINED_MAX: usize = 64;
/// Ends a command within a request.
const NEXT: &[u8] = b";";

/// A request that can be written again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    /// The same, where a shorter way to write it is known.
    rows: Option<Rows>,
    replies: u32,
    reading: Reading,
    counts: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Raw(Padded),
    Data(Kind, u64),
    Number(Numbered),
    Arg(Vec<Piece>),
    /// An argument that is a key: what follows belongs to it.
    Key(Vec<Piece>),
    /// The same of a key that never changes and stands in the raw bytes: where its values start, and its slot.
    Fixed(u64, u16),
}

/// An argument with one number in it, and what stands around it.
#[derive(Clone, Debug, PartialEq)]
struct Numbered {
    numbers: Numbers,
    /// Everything before the number, by the length of its text less one.
    heads: Vec<Padded>,
    tail: Padded,
    /// Bytes of the argument before the number, and behind it.
    around: (usize, usize),
    is_key: bool,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Where the values of its last key start in their pool.
    pub seed: u64,
    /// Cluster slot of its first key.
    pub slot: Option<u16>,
}

/// Where the changing parts come from: one for each thread.
#[derive(Debug)]
pub struct Filler {
    /// Draws whatever is to be drawn.
    pub random: Random,
    pools: Arc<Pools>,
    /// Values follow from their keys.
    by_key: bool,
    /// Slots are asked for.
    slots: bool,
    arg: Vec<u8>,
    /// The same with its length before it.
    framed: Vec<u8>,
    /// What the request under way keeps.
    kept: Vec<Vec<u8>>,
    about: About,
}

impl Filler {
    /// A filler over shared pools of data. `by_key`: a value follows from its key; `slots`: the slots of keys are wanted.
    pub fn new(random: Random, pools: Arc<Pools>, by_key: bool, slots: bool) -> Filler {
        Filler {
            random,
            pools,
            by_key,
            slots,
            arg: Vec::new(),
            framed: Vec::new(),
            kept: Vec::new(),
            about: About::default(),
        }
    }

    fn keep(&mut self, number: usize, bytes: &[u8]) {
        if self.kept.len() <= number {
            self.kept.resize(number + 1, Vec::new());
        }
        self.kept[number].clear();
        self.kept[number].extend_from_slice(bytes);
    }

    /// Where the next value starts.
    fn data_seed(&mut self) -> u64 {
        match self.by_key {
            true => self.about.seed,
            false => self.random.next(),
        }
    }

    /// What follows belongs to this key.
    #[inline]
    fn enter_key(&mut self, key: &[u8]) {
        if self.by_key || self.slots {
            let slot = if self.slots { key_slot(key) } else { 0 };
            self.enter(seed_of(key), slot);
        }
    }

    fn enter(&mut self, seed: u64, slot: u16) {
        self.about.seed = seed;
        self.about.slot.get_or_insert(slot);
    }
}

impl Template {
    /// Reads a request as it is typed: words, quotes as in `redis-cli`, places between braces, `;` between commands.
    ///
    /// # Errors
    /// What is wrong with which command.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Template, String> {
        let told = |what: String| format!("command {text:?}: {what}");
        let words =
            split_words(text.as_bytes()).map_err(|_| told("unbalanced quotes".to_owned()))?;
        let (mut parts, mut names) = (Vec::new(), Names::new());
        let (mut replies, mut reading) = (0, None);
        for command in words.split(|word| word == NEXT) {
            let Some(name) = command.first() else {
                return Err(told("a command is empty".to_owned()));
            };
            replies += 1;
            let this = Reading::of(name);
            reading = Some(reading.map_or(this, |others: Reading| others.and(this)));
            let mut header = Vec::new();
            write_command_header(&mut header, command.len());
            push_raw(&mut parts, &header);
            for (at, word) in command.iter().enumerate() {
                let argument = argument(word, &mut names, vocabulary).map_err(told)?;
                push_argument(&mut parts, argument, at);
            }
        }
        let counts = parts.iter().any(Part::counts);
        Ok(Template {
            text: text.to_owned(),
            rows: rows(&parts),
            parts,
            replies,
            reading: reading.unwrap_or_default(),
            counts,
        })
    }

    /// The request as it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replies to one request.
    pub fn replies(&self) -> u32 {
        self.replies
    }

    /// What its replies tell.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// Whether requests carry a number of those that all count up together.
    pub fn counts(&self) -> bool {
        self.counts
    }

    /// The kinds of values in it, each with its longest.
    pub fn data(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        let alone = self.parts.iter().filter_map(|part| match part {
            Part::Data(kind, len) => Some((*kind, *len)),
            _ => None,
        });
        let inside = self
            .parts
            .iter()
            .flat_map(Part::pieces)
            .filter_map(|piece| match inner(piece) {
                Piece::Data(kind, lengths) => Some((*kind, lengths.largest())),
                _ => None,
            });
        alone.chain(inside)
    }

    /// Appends so many requests at once if they are to be told apart by nobody; otherwise does nothing and says so.
    #[inline]
    pub fn write_alike(&self, out: &mut Page, filler: &mut Filler, count: u64) -> bool {
        let rows = self
            .rows
            .as_ref()
            .filter(|_| !filler.by_key && !filler.slots);
        if let Some(rows) = rows {
            rows.write(out, &mut filler.random, &filler.pools, count);
        }
        rows.is_some()
    }

    /// Appends the next request, and says what it is about.
    #[inline]
    pub fn write(&self, out: &mut Page, filler: &mut Filler, counted: Counted) -> About {
        if self.write_alike(out, filler, 1) {
            return About::default();
        }
        filler.about = About::default();
        for part in &self.parts {
            match part {
                Part::Raw(bytes) => out.put_padded(bytes),
                Part::Number(numbered) => numbered.write(out, filler, counted),
                Part::Data(kind, len) => {
                    let seed = filler.data_seed();
                    out.put_blocks(filler.pools.padded(*kind, *len, seed), *len as usize);
                }
                Part::Fixed(seed, slot) => filler.enter(*seed, *slot),
                Part::Arg(pieces) => write_pieced(pieces, false, out, filler, counted),
                Part::Key(pieces) => write_pieced(pieces, true, out, filler, counted),
            }
        }
        filler.about
    }
}

impl Part {
    fn pieces(&self) -> &[Piece] {
        match self {
            Part::Arg(pieces) | Part::Key(pieces) => pieces,
            _ => &[],
        }
    }

    fn counts(&self) -> bool {
        match self {
            Part::Number(numbered) => numbered.numbers.counts(),
            part => part.pieces().iter().any(counts),
        }
    }
}

impl Numbered {
    /// An argument that is a number between texts; `before` is what stands before the argument.
    fn new(before: &[u8], texts: [&[u8]; 2], numbers: Numbers, is_key: bool) -> Numbered {
        let around = texts[0].len() + texts[1].len();
        let heads = (1..=DIGITS_MAX).map(|digits| {
            let mut head = Padded::default();
            head.extend(before);
            head.extend(format!("${}\r\n", around + digits).as_bytes());
            head.extend(texts[0]);
            head
        });
        let mut tail = Padded::default();
        tail.extend(texts[1]);
        tail.extend(b"\r\n");
        Numbered {
            numbers,
            heads: heads.collect(),
            tail,
            around: (texts[0].len(), texts[1].len()),
            is_key,
        }
    }

    #[inline]
    fn write(&self, out: &mut Page, filler: &mut Filler, counted: Counted) {
        let number = self.numbers.draw(&mut filler.random, counted);
        let mut text = I64Text::new();
        let text = text.format(number as i64);
        out.put_padded(&self.heads[text.len() - 1]);
        let start = out.end() - self.around.0;
        out.put_short(text);
        let end = out.end() + self.around.1;
        out.put_padded(&self.tail);
        if self.is_key {
            filler.enter_key(&out.since(start)[..end - start]);
        }
    }
}

/// The shorter way to write these parts.
fn rows(parts: &[Part]) -> Option<Rows> {
    let (numbered, data, behind) = match parts {
        [Part::Number(numbered)] => (numbered, None, &[][..]),
        [
            Part::Number(numbered),
            Part::Data(kind, len),
            Part::Raw(raw),
        ] => (numbered, Some((*kind, *len)), raw.as_bytes()),
        _ => return None,
    };
    let head = |digits: usize| numbered.heads[digits - 1].as_bytes();
    Rows::new(
        &numbered.numbers,
        head,
        numbered.tail.as_bytes(),
        data,
        behind,
    )
}

/// Writes an argument of several pieces.
fn write_pieced(
    pieces: &[Piece],
    is_key: bool,
    out: &mut Page,
    filler: &mut Filler,
    counted: Counted,
) {
    let mut arg = std::mem::take(&mut filler.arg);
    arg.clear();
    write_pieces(pieces, &mut arg, filler, counted);
    filler.framed.clear();
    write_argument(&mut filler.framed, &arg);
    out.put(&filler.framed);
    if is_key {
        filler.enter_key(&arg);
    }
    filler.arg = arg;
}

fn inner(piece: &Piece) -> &Piece {
    match piece {
        Piece::Keep(_, pieces) => pieces.last().map_or(piece, inner),
        piece => piece,
    }
}

fn counts(piece: &Piece) -> bool {
    matches!(inner(piece), Piece::Number(numbers) if numbers.counts())
}

fn write_pieces(pieces: &[Piece], arg: &mut Vec<u8>, filler: &mut Filler, counted: Counted) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => arg.extend_from_slice(text),
            Piece::Number(numbers) => {
                let number = numbers.draw(&mut filler.random, counted);
                let mut text = I64Text::new();
                arg.extend_from_slice(text.format(number as i64));
            }
            Piece::Data(kind, lengths) => {
                let len = lengths.draw(&mut filler.random, counted);
                let seed = filler.data_seed();
                arg.extend_from_slice(filler.pools.value(*kind, len, seed));
            }
            Piece::Keep(number, pieces) => {
                let start = arg.len();
                write_pieces(pieces, arg, filler, counted);
                filler.keep(*number, &arg[start..]);
            }
            Piece::Again(number) => arg.extend_from_slice(&filler.kept[*number]),
        }
    }
}

/// Appends fixed bytes to what the last part can take, or as one more part.
fn push_raw(parts: &mut Vec<Part>, bytes: &[u8]) {
    match parts.last_mut() {
        Some(Part::Raw(raw)) => raw.extend(bytes),
        Some(Part::Number(numbered)) if bytes.len() <= JOINED_MAX => numbered.tail.extend(bytes),
        _ => {
            let mut raw = Padded::default();
            raw.extend(bytes);
            parts.push(Part::Raw(raw));
        }
    }
}

/// Appends the argument at place `at` of its command; the first behind the name is taken for a key, as it is in nearly all commands.
fn push_argument(parts: &mut Vec<Part>, argument: Argument, at: usize) {
    let is_key = argument.is_key || at == 1;
    match &argument.pieces[..] {
        [] | [Piece::Text(_)] => {
            let text = match argument.pieces.first() {
                Some(Piece::Text(text)) => &text[..],
                _ => &[],
            };
            let mut bytes = Vec::new();
            write_argument(&mut bytes, text);
            push_raw(parts, &bytes);
            if is_key {
                parts.push(Part::Fixed(seed_of(text), key_slot(text)));
            }
        }
        [Piece::Data(kind, Numbers::Uniform(low, high))] if low == high && !is_key => {
            push_raw(parts, format!("${low}\r\n").as_bytes());
            parts.push(Part::Data(*kind, *low));
            push_raw(parts, b"\r\n");
        }
        [Piece::Number(numbers)] => push_number(parts, [b"", b""], numbers, is_key),
        [Piece::Text(text), Piece::Number(numbers)] => {
            push_number(parts, [text, b""], numbers, is_key);
        }
        [Piece::Number(numbers), Piece::Text(text)] => {
            push_number(parts, [b"", text], numbers, is_key);
        }
        [
            Piece::Text(before),
            Piece::Number(numbers),
            Piece::Text(behind),
        ] => {
            push_number(parts, [before, behind], numbers, is_key);
        }
        _ if is_key => parts.push(Part::Key(argument.pieces)),
        _ => parts.push(Part::Arg(argument.pieces)),
    }
}

/// Appends an argument with one number; short bytes before it become part of it.
fn push_number(parts: &mut Vec<Part>, texts: [&[u8]; 2], numbers: &Numbers, is_key: bool) {
    let before = match parts.last() {
        Some(Part::Raw(raw)) if raw.as_bytes().len() <= JOINED_MAX => raw.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    if !before.is_empty() {
        parts.pop();
    }
    let numbered = Numbered::new(&before, texts, numbers.clone(), is_key);
    parts.push(Part::Number(numbered));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::shape::Shapes;

    fn vocabulary() -> Vocabulary {
        Vocabulary {
            keys: 1000,
            shapes: Shapes::default(),
        }
    }

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(text, &vocabulary())
    }

    fn filler(template: &Template, by_key: bool) -> Filler {
        let pools = Arc::new(Pools::new(template.data()));
        Filler::new(Random::new(1), pools, by_key, true)
    }

    fn counted(own: u64) -> Counted {
        Counted {
            own,
            given: own + 1,
        }
    }

    fn written(text: &str, own: u64) -> String {
        let template = parse(text).unwrap();
        let mut out = Page::default();
        template.write(&mut out, &mut filler(&template, false), counted(own));
        String::from_utf8(out.rest().to_vec()).unwrap()
    }

    #[test]
    fn fixed_commands_are_one_piece() {
        let template = parse("SET \"a b\" x").unwrap();
        let mut out = Page::default();
        let about = template.write(&mut out, &mut filler(&template, true), counted(0));
        assert_eq!(out.rest(), b"*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$1\r\nx\r\n");
        assert_eq!(
            about,
            About {
                seed: seed_of(b"a b"),
                slot: Some(key_slot(b"a b"))
            }
        );
    }

    /// Only then a number is drawn from the count that all workers share.
    #[test]
    fn only_a_sequence_number_is_one() {
        for text in [
            "SET k v",
            "SET k{rand:5} {data:9}",
            "SET {=n:rand:5} {=n}",
            "GET {key:latest:10}",
        ] {
            assert!(!parse(text).unwrap().counts(), "{text}");
        }
        for text in [
            "GET {seq}",
            "SET k x{seq}y",
            "SET {=n:seq} {=n}",
            "SET {key:insert:5} x",
        ] {
            assert!(parse(text).unwrap().counts(), "{text}");
        }
    }

    /// Alone, within an argument, and kept for a second use.
    #[test]
    fn data_is_as_long_as_was_asked_for() {
        let len = 3 << 16;
        for (text, arguments) in [
            (format!("SET k {{data:{len}}}"), vec![1, len]),
            (format!("SET k x{{data:{len}}}y"), vec![1, len + 2]),
            (format!("SET {{=v:data:{len}}} {{=v}}"), vec![len, len]),
            (format!("SET {{data:2}} {{data:{len}}}"), vec![2, len]),
            (
                format!("SET k {{data:uniform:{len}:{len},compress=50}}"),
                vec![1, len],
            ),
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
        assert_eq!(
            written("HSET {key:seq} {field:seq} {member:seq}{int:seq:5}", 7),
            "*4\r\n$4\r\nHSET\r\n$5\r\nkey:7\r\n$7\r\nfield:7\r\n$9\r\nmember:72\r\n"
        );
        let text = written("SET x{data:5}y {data:3}", 0);
        assert!(
            text.starts_with("*3\r\n$3\r\nSET\r\n$7\r\nx") && text.contains("y\r\n$3\r\n"),
            "{text}"
        );
        assert_eq!(
            written("GET a ; SET a {seq}", 1),
            "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
        );
        assert_eq!(parse("GET a ; SET a {seq}").unwrap().replies(), 2);
    }

    #[test]
    fn a_named_value_is_the_same_wherever_it_stands_and_another_in_the_next_request() {
        let text = "HSET user:{=id:rand:1000000} id {=id} x{=d:data:9}y {=d} n{=n:seq} {=n}";
        let template = parse(text).unwrap();
        let mut filler = filler(&template, false);
        let mut ids = Vec::new();
        for own in 0..20 {
            let mut out = Page::default();
            template.write(&mut out, &mut filler, counted(own));
            let text = String::from_utf8(out.rest().to_vec()).unwrap();
            let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
            assert_eq!(words[1], format!("user:{}", words[3]), "{text}");
            assert_eq!(words[4], format!("x{}y", words[5]), "{text}");
            assert_eq!(words[5].len(), 9);
            assert_eq!(
                (words[6], words[7]),
                (&*format!("n{own}"), &*own.to_string())
            );
            ids.push(words[3].to_owned());
        }
        ids.sort();
        ids.dedup();
        assert!(ids.len() > 15, "{ids:?}");
    }

    #[test]
    fn a_value_that_follows_from_its_key_is_known_again() {
        let template = parse("MSET {key:100} {data:uniform:5:50} {key:100} {data:20}").unwrap();
        let pools = Arc::new(Pools::new(template.data()));
        let mut filler = Filler::new(Random::new(1), pools.clone(), true, false);
        for own in 0..50 {
            let mut out = Page::default();
            template.write(&mut out, &mut filler, counted(own));
            let text = String::from_utf8(out.rest().to_vec()).unwrap();
            let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
            for (key, value) in [(words[1], words[2]), (words[3], words[4])] {
                assert!(
                    pools.is_value_of(seed_of(key.as_bytes()), value.as_bytes()),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn braces_in_the_text_stay_and_mistakes_are_told() {
        assert_eq!(
            written("GET {{user}}:{seq}", 1),
            "*2\r\n$3\r\nGET\r\n$8\r\n{user}:1\r\n"
        );
        for wrong in [
            "",
            "GET a ;",
            "; GET a",
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
            "SET k {dta:64}",
            "GET {user}:1",
            "GET {a",
            "GET a}",
            "GET {key:zpif:10}",
            "SET k {data:64,comp=5}",
            "SET k {data:64,compress=101}",
            "SET k {data:lognormal:10:1:999999999999}",
            "SET k {data:seq}",
            "SET k {data}",
            "GET {KEY}",
            "GET {}",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let told = parse("SET k {dta:64}").unwrap_err();
        assert_eq!(
            told,
            "command \"SET k {dta:64}\": {dta:64} is no place; there are key, int, member, field, rand, seq, data, =NAME; {{dta:64}} is that text with its braces"
        );
    }

    /// Templates that have rows, and ones that are near to having some; each is written as the parts say, in whatever portions.
    #[test]
    fn rows_are_what_the_parts_say() {
        let long = format!("HSET {} {{rand:100}} {{data:64}}", "k".repeat(30));
        for (text, has_rows) in [
            ("GET key:{rand:100000}", true),
            ("SET key:{rand:100000} {data:64}", true),
            ("SET {int:uniform:0:99999999} {data:1}", true),
            ("INCR x{int:uniform:8:12}y", true),
            ("SET k{rand:11} {data:33} EX 100", true),
            ("SET k{rand:11} {data:96,compress=40}", true),
            ("SET k{rand:11} {data:128}", true),
            ("SET k{rand:11} {data:129}", false),
            ("SET k{rand:11} {data:64} PX 100000 GET XX EX 7", false),
            ("SET {int:uniform:0:100000000} {data:1}", false),
            ("GET {seq}", false),
            (&long, false),
        ] {
            let template = Template::parse(text, &vocabulary()).unwrap();
            assert_eq!(template.rows.is_some(), has_rows, "{text}");
            let parts = Template {
                rows: None,
                ..template.clone()
            };
            let pools = Arc::new(Pools::new(template.data()));
            let filler = || Filler::new(Random::new(9), pools.clone(), false, false);
            let (mut page, mut expected) = (Page::default(), Page::default());
            let (mut ours, mut theirs) = (filler(), filler());
            for count in [1, 7, 64, 2000] {
                if !template.write_alike(&mut page, &mut ours, count) {
                    (0..count).for_each(|_| {
                        template.write(&mut page, &mut ours, Counted::default());
                    });
                }
                for _ in 0..count {
                    let about = parts.write(&mut expected, &mut theirs, Counted::default());
                    assert!(!has_rows || about == About::default(), "{text}");
                }
            }
            assert!(page.rest() == expected.rest(), "{text}");
            assert_eq!(ours.random.next(), theirs.random.next());
        }
    }
}
