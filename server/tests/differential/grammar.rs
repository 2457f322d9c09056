//! Random commands from templates.
//!
//! A template is a command as one writes it, with places to fill: `%k` and its like are words (see [`Words::fill`]),
//! `[..]` is there or not, `{..}` comes one to four times, `<a|b|c>` is one of these. `;` divides the commands of a unit,
//! which are always sent together. A template that stands twice comes twice as often.

use crate::support::Dice;

/// The words of one command.
pub type Command = Vec<Vec<u8>>;
/// Commands that belong together: a transaction, or a short life and the pause that outlasts it.
pub type Unit = Vec<Command>;

/// Makes one unit of a template.
pub fn expand(template: &str, dice: &mut Dice) -> Unit {
    let mut filler = Words {
        dice,
        key: Vec::new(),
    };
    let mut unit = Vec::new();
    for part in template.split(" ; ") {
        let mut words = Vec::new();
        filler.sequence(part, &mut words);
        unit.push(words);
    }
    unit
}

struct Words<'d> {
    dice: &'d mut Dice,
    /// The key that was chosen last, for `%=`.
    key: Vec<u8>,
}

impl Words<'_> {
    fn sequence(&mut self, text: &str, out: &mut Command) {
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            let Some(first) = rest.chars().next() else {
                return;
            };
            match first {
                '[' | '{' | '<' => {
                    let (inside, behind) = group(rest);
                    self.group(first, inside, out);
                    rest = behind;
                }
                _ => {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    out.push(self.word(&rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
    }

    fn group(&mut self, kind: char, inside: &str, out: &mut Command) {
        match kind {
            '[' if self.dice.below(2) == 0 => {}
            '{' => {
                for _ in 0..1 + self.dice.below(4) {
                    self.sequence(inside, out);
                }
            }
            '<' => {
                let choices = alternatives(inside);
                let chosen = choices[self.dice.below(choices.len() as u64) as usize];
                self.sequence(chosen, out);
            }
            _ => self.sequence(inside, out),
        }
    }

    /// A literal, or `%` and a letter with anything around it.
    fn word(&mut self, text: &str) -> Vec<u8> {
        let Some((before, behind)) = text.split_once('%') else {
            return text.as_bytes().to_vec();
        };
        let mut letters = behind.chars();
        let letter = letters.next().expect("a letter follows %");
        let filled = self.fill(letter);
        [before.as_bytes(), &filled, letters.as_str().as_bytes()].concat()
    }

    fn one_of(&mut self, words: &[&str]) -> Vec<u8> {
        words[self.dice.below(words.len() as u64) as usize]
            .as_bytes()
            .to_vec()
    }

    /// Mostly a key that usually has this type, sometimes any. Keys of `y` are for commands that order members by their
    /// bytes, which makes sense among equal scores only: no other sorted set is put in their place.
    fn key(&mut self, letter: char) -> Vec<u8> {
        let all: &[u8] = if letter == 'y' {
            b"slthxp"
        } else {
            b"slthzxpg"
        };
        let letter = if letter == 'k' || self.dice.below(12) == 0 {
            char::from(all[self.dice.below(all.len() as u64) as usize])
        } else {
            letter
        };
        self.key = format!("{letter}{}", 1 + self.dice.below(3)).into_bytes();
        self.key.clone()
    }

    fn fill(&mut self, letter: char) -> Vec<u8> {
        match letter {
            's' | 'l' | 't' | 'h' | 'z' | 'x' | 'p' | 'g' | 'y' | 'k' => self.key(letter),
            '=' => self.key.clone(),
            'e' => self.element(),
            'v' => self.value(),
            'n' => self.small(-3, 6),
            'i' => self.index(),
            'c' => self.score(),
            'C' => self.bound(),
            'L' => self.lex(),
            'o' => self.offset(),
            'S' => self.small(100, 10_000),
            'M' => self.small(100_000, 10_000_000),
            // Absolute times between 2033 and 2065.
            'A' => self.small(2_000_000_000, 3_000_000_000),
            'U' => self.small(2_000_000_000_000, 3_000_000_000_000),
            'I' => self.integer(),
            'f' => self.one_of(&[
                "0.1", "1.5", "-2.25", "3e2", "1e-5", "100", "-0", "abc", "inf", "nan",
            ]),
            'P' => self.one_of(&[
                "*", "?", "a*", "[a-c]", "*1*", "[^a]*", "k\\*", "nothing", "[z1]?",
            ]),
            'G' => self.one_of(&["u8", "i16", "u1", "i64", "u63", "i5", "u64", "i0", "x8"]),
            'D' => self.stream_id(),
            'X' => self.place(),
            'N' => b">".to_vec(),
            _ => unreachable!("there is no %{letter}"),
        }
    }

    fn small(&mut self, from: i64, to: i64) -> Vec<u8> {
        let number = from + self.dice.below((to - from + 1) as u64) as i64;
        number.to_string().into_bytes()
    }

    /// Few enough that they meet again, with a long one among them.
    fn element(&mut self) -> Vec<u8> {
        match self.dice.below(20) {
            0 => {
                b"a member that is longer than sixty-four bytes, so that nothing packs it".to_vec()
            }
            1 => Vec::new(),
            2 => b"\x00\xff\r\n".to_vec(),
            3 => self.integer(),
            4..=9 => self.small(-5, 15),
            _ => vec![b'a' + self.dice.below(16) as u8],
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.dice.below(12) {
            0..=2 => self.element(),
            3 | 4 => self.integer(),
            5 => self.small(-10, 100),
            6 => vec![b'y'; 20 + self.dice.below(60) as usize],
            7 => vec![b'z'; 600 * self.dice.below(8) as usize],
            8 => self.fill('f'),
            9 => self.one_of(&[
                " 1",
                "1 ",
                "01",
                "+1",
                "-0",
                "0x10",
                "1e3",
                "12abc",
                "hello world",
                "foobar",
            ]),
            10 => (0..self.dice.below(16))
                .map(|_| self.dice.next() as u8)
                .collect(),
            _ => self.one_of(&["hello", "world", "abcd", "ohmytext", "mynewtext"]),
        }
    }

    fn integer(&mut self) -> Vec<u8> {
        self.one_of(&[
            "0",
            "1",
            "-1",
            "7",
            "12",
            "127",
            "128",
            "-129",
            "255",
            "32768",
            "65536",
            "-4096",
            "2147483648",
            "-2147483649",
            "9007199254740993",
            "9223372036854775806",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1000000",
            "12345678901",
        ])
    }

    fn index(&mut self) -> Vec<u8> {
        match self.dice.below(14) {
            0 => self.one_of(&[
                "100",
                "-100",
                "9223372036854775807",
                "-9223372036854775808",
                "x",
                "1.5",
                "",
            ]),
            1..=3 => b"0".to_vec(),
            4..=6 => b"-1".to_vec(),
            _ => self.small(-6, 8),
        }
    }

    fn score(&mut self) -> Vec<u8> {
        match self.dice.below(10) {
            0..=5 => self.small(-3, 9),
            6 => self.one_of(&["inf", "-inf", "+inf", "1e300", "-1e300", "nan", "x", ""]),
            7 => self.one_of(&[
                "9007199254740993",
                "123456789012",
                "1e17",
                "1e21",
                "-0",
                "5e-324",
            ]),
            _ => self.one_of(&[
                "0.1",
                "0.5",
                "1.5",
                "-2.25",
                "3.14159",
                "0.30000000000000004",
                "1e-7",
            ]),
        }
    }

    fn bound(&mut self) -> Vec<u8> {
        match self.dice.below(6) {
            0 => b"-inf".to_vec(),
            1 => b"+inf".to_vec(),
            2 => [b"(".as_slice(), &self.score()].concat(),
            _ => self.score(),
        }
    }

    fn lex(&mut self) -> Vec<u8> {
        match self.dice.below(8) {
            0 | 1 => b"-".to_vec(),
            2 | 3 => b"+".to_vec(),
            4 => [b"(".as_slice(), &self.element()].concat(),
            5 => self.one_of(&["", "a", "(", "["]),
            _ => [b"[".as_slice(), &self.element()].concat(),
        }
    }

    fn offset(&mut self) -> Vec<u8> {
        match self.dice.below(12) {
            0 => self.one_of(&["-1", "4294967296", "x", "1000", "9223372036854775807"]),
            _ => self.small(0, 80),
        }
    }

    fn stream_id(&mut self) -> Vec<u8> {
        let (ms, seq) = (self.dice.below(12), self.dice.below(4));
        match self.dice.below(8) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 => format!("({ms}-{seq}").into_bytes(),
            3 => ms.to_string().into_bytes(),
            _ => format!("{ms}-{seq}").into_bytes(),
        }
    }

    fn place(&mut self) -> Vec<u8> {
        let degrees = self.dice.below(170) as f64 - 85.0;
        format!("{}", degrees + self.dice.below(1000) as f64 / 1000.0).into_bytes()
    }
}

/// The inside of the group that begins a text, and what follows it.
fn group(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' | '<' => depth += 1,
            ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("a group does not end in `{text}`");
}

fn alternatives(text: &str) -> Vec<&str> {
    let (mut all, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' | '<' => depth += 1,
            ']' | '}' | '>' => depth -= 1,
            '|' if depth == 0 => {
                all.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[start..]);
    all
}
