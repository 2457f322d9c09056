//! Odd but decodable bytes for our server and the reference: payloads for RESTORE, snapshots, logs. What 7.0.15 takes, ours
//! takes, with the same data; what differs stands in `known` with the reason.
//!
//! By itself it takes half a minute, from the same seed each time. `CAIRN_ODD_CASES` multiplies the number of cases,
//! `CAIRN_ODD_SEED` is another first seed. A finding is printed with its seed and its bytes.

mod bytes;
#[path = "../differential/grammar.rs"]
mod grammar;
mod known;
mod logs;
mod packs;
mod sides;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "weights and names are for the other test")]
#[path = "../differential/templates.rs"]
mod templates;
mod values;

use std::collections::BTreeMap;

use cairn_format::resp::value::Value;
use sides::Side;
use support::process::Program;

/// Different findings after which it is enough.
const ENOUGH: usize = 15;

fn number(name: &str, usual: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(usual, |text| text.parse().expect("a number"))
}

/// What was found, and how often each known difference was met.
#[derive(Default)]
struct Account {
    findings: Vec<String>,
    known: BTreeMap<&'static str, u64>,
    equal: u64,
}

impl Account {
    fn note(&mut self, why: Option<&'static str>, finding: impl FnOnce() -> String) {
        match why {
            Some(why) => *self.known.entry(why).or_default() += 1,
            None => self.findings.push(finding()),
        }
    }

    /// Ends a test: says what was met, and fails if there is more than that.
    fn close(self, least: u64) {
        println!("{} cases equal", self.equal);
        for (why, times) in &self.known {
            println!("{times:8} times: {why}");
        }
        let all = self.findings.join("\n\n");
        assert!(
            self.findings.is_empty(),
            "{} findings:\n{all}",
            self.findings.len()
        );
        assert!(self.equal >= least, "only {} cases were equal", self.equal);
    }
}

/// The seeds of a run of so many cases.
fn seeds(cases: u64) -> std::ops::Range<u64> {
    let first = number("CAIRN_ODD_SEED", 1);
    first..first + cases * number("CAIRN_ODD_CASES", 1)
}

/// An answer as text.
fn told(answer: &(Option<Value>, Option<Option<Value>>)) -> String {
    let text = |value: &Value| match value {
        Value::Simple(text) | Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Array(items) => format!(
            "{:?}",
            items.iter().map(Value::as_bytes).collect::<Vec<_>>()
        ),
        other => format!("{other:?}"),
    };
    let answers = [
        answer.0.as_ref(),
        answer.1.as_ref().and_then(Option::as_ref),
    ];
    let texts: Vec<String> = answers.iter().map(|a| a.map_or("-".into(), text)).collect();
    texts.join(", ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn payloads_are_taken_as_by_the_reference() {
    let mut ours = Side::new(Program::Cairn, "--appendonly no");
    let mut theirs = Side::new(Program::Reference, "--appendonly no");
    let mut account = Account::default();
    for seed in seeds(1500) {
        if account.findings.len() >= ENOUGH {
            break;
        }
        let (payload, traits) = snapshots::payload(seed);
        let look = |side: &mut Side| {
            let restore = [b"RESTORE".as_slice(), b"k", b"0", &payload, b"REPLACE"];
            let answer = side.ask(&restore);
            let taken = answer == Some(Value::Simple(b"OK".to_vec()));
            let digest = taken.then(|| side.ask(&["DEBUG", "DIGEST-VALUE", "k"]));
            (answer, digest)
        };
        let (left, right) = (look(&mut ours), look(&mut theirs));
        if left == right {
            account.equal += 1;
            continue;
        }
        let known = known::value(traits, left.1.is_some(), right.1.is_some());
        account.note(known, || {
            let (bytes, ours, theirs) = (hex(&payload), told(&left), told(&right));
            format!("seed {seed}\n  {bytes}\n  ours {ours}\n  theirs {theirs}")
        });
    }
    account.close(1000);
}

#[test]
fn snapshots_are_taken_as_by_the_reference() {
    let mut ours = Side::new(Program::Cairn, "--appendonly no");
    let mut theirs = Side::new(Program::Reference, "--appendonly no");
    let mut account = Account::default();
    for seed in seeds(40) {
        if account.findings.len() >= ENOUGH {
            break;
        }
        let (file, traits) = snapshots::file(seed);
        let (left, right) = (ours.start_with(&file), theirs.start_with(&file));
        if left == right || !left.is_taken() && !right.is_taken() {
            account.equal += 1;
            continue;
        }
        account.note(
            known::value(traits, left.is_taken(), right.is_taken()),
            || {
                format!(
                    "seed {seed}\n  {}\n  ours {left:?}\n  theirs {right:?}",
                    hex(&file)
                )
            },
        );
    }
    account.close(25);
}

#[test]
fn logs_are_taken_as_by_the_reference() {
    let options = "--appendonly yes --auto-aof-rewrite-percentage 0";
    let mut ours = Side::new(Program::Cairn, options);
    let mut theirs = Side::new(Program::Reference, options);
    let mut live = Side::new(Program::Reference, "--appendonly no");
    let mut account = Account::default();
    let templates = logs::templates();
    for seed in seeds(200) {
        if account.findings.len() >= ENOUGH {
            break;
        }
        let case = logs::case(&templates, seed);
        let log = case.log();
        let left = ours.load_log(&log);
        // What ends here for its own reason needs no other to be asked.
        let mut why = known::refused(&case, &left);
        if why.is_none() {
            let right = theirs.load_log(&log);
            if left == right || !left.is_taken() && !right.is_taken() {
                account.equal += 1;
                continue;
            }
            why = match left.is_taken() && right.is_taken() {
                true if ours.data() == theirs.data() => Some(known::DIGEST),
                true => None,
                false => known::log(&case, &left, &right, &mut live),
            };
            account.note(why, || {
                format!(
                    "seed {seed}, {}\n  ours {left:?}\n  theirs {right:?}",
                    case.told()
                )
            });
            continue;
        }
        account.note(why, String::new);
    }
    account.close(40);
}

/// Redis does not look at the two bytes behind an argument.
#[test]
fn logs_with_other_bytes_behind_arguments_are_taken_as_by_the_reference() {
    let options = "--appendonly yes --auto-aof-rewrite-percentage 0";
    let mut ours = Side::new(Program::Cairn, options);
    let mut theirs = Side::new(Program::Reference, options);
    let (mut taken, mut refused) = (0, 0);
    for seed in seeds(9) {
        let log = logs::loosely_ended(seed);
        let (left, right) = (ours.load_log(&log), theirs.load_log(&log));
        let text = log.escape_ascii();
        assert_eq!(
            left.is_taken(),
            right.is_taken(),
            "seed {seed}: {text}: {left:?}, {right:?}"
        );
        match left.is_taken() {
            true => assert_eq!(left, right, "seed {seed}: {text}"),
            false => refused += 1,
        }
        taken += u64::from(left.is_taken());
    }
    assert!(taken > 3 && refused > 0, "{taken} taken, {refused} refused");
}
