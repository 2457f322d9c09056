//! A log played by two players at once, each with the keys of one half.
//!
//! ```text
//!   looked through   keys that a command joins (RENAME, SUNIONSTORE ...) are of one half; with scripts one player plays all
//!   played           half 0     half 1     each reads the whole log and runs what is its own; what names no key, both run
//!   written          half 0 | half 1       at once: commands one behind the other, a snapshot in turns (see `joined`)
//! ```
//!
//! Most logs join no keys, so both begin with that guess while a third looks through the log, which takes a fraction of the time. Where the
//! guess is wrong, what was played is thrown away, and both begin once more with what was found.
//!
//! Always two, so that the same log gives the same bytes on any machine. What is refused is told by one player, who plays the
//! log again from the begin: that is the first of all that is refused.

use crate::divided::Played;
use crate::joined;
use crate::log::Log;
use crate::partition::Parts;
use crate::player::{PASSED_TOLD, Player};
use crate::rewrite::{NewForm, Reader, temporary, write_data};
use cairn_toolkit::{Failure, Input, note};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes of commands that are worth it.
const LEAST: u64 = 1 << 20;

/// Two players and what they have.
pub struct Halves {
    pub players: [Player; 2],
    pub played: Played,
}

impl Halves {
    /// Plays a log that is large enough with players like those; `None` if one player is to play it.
    pub fn play(log: &Log, make: &dyn Fn() -> Player) -> Option<Halves> {
        Halves::play_from(log, make, LEAST)
    }

    /// The same of a log with so many bytes of commands at least.
    fn play_from(log: &Log, make: &dyn Fn() -> Player, least: u64) -> Option<Halves> {
        let inputs = mapped(log, least).ok().flatten()?;
        let is_other = Arc::new(AtomicBool::new(false));
        let is_useless = &is_other;
        let (looked, guessed) = thread::scope(|scope| {
            let looked = scope.spawn(move || Parts::halves(&inputs, least, is_useless));
            let guessed = players(log, make, Parts::guessed_halves(), Some(is_useless));
            let looked = looked.join();
            (looked.unwrap_or_else(|panic| resume_unwind(panic)), guessed)
        });
        let parts = looked.ok().flatten()?;
        let mut players = match is_other.load(Ordering::Relaxed) {
            false => guessed?,
            true => {
                drop(guessed);
                players(log, make, parts, None)?
            }
        };
        let mut played = Played::default();
        players.iter().for_each(|player| played.add(player));
        tell(&mut players);
        // Libraries are run by both, as they name no key.
        players[1].engine.ks.libraries.flush();
        Some(Halves { players, played })
    }

    /// Writes the data of both as a snapshot; gives the number of keys.
    pub fn write_snapshot(
        &mut self,
        out: &mut impl Write,
        to: Option<Reader>,
    ) -> Result<u64, Failure> {
        joined::write(&mut self.players, out, to)
    }

    /// Writes the commands of both at once, those of the second first to a temporary file; gives the number of keys.
    pub fn write_commands(
        &mut self,
        out: &mut impl Write,
        to: Option<Reader>,
    ) -> Result<u64, Failure> {
        let [first, second] = &mut self.players;
        let (keys, behind) = thread::scope(|scope| {
            let behind = scope
                .spawn(move || temporary(|file| write_data(second, file, NewForm::Commands, to)));
            let keys = write_data(first, out, NewForm::Commands, to);
            let behind = behind.join();
            (keys, behind.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let (mut file, more) = behind?;
        let keys = keys?;
        io::copy(&mut file, out)?;
        Ok(keys + more)
    }

    /// As [`Player::leave`].
    pub fn leave(self) {
        self.players.into_iter().for_each(Player::leave);
    }
}

/// The files of a log, if they are mapped and large enough.
fn mapped(log: &Log, least: u64) -> Result<Option<Vec<Input>>, Failure> {
    let mut inputs = Vec::new();
    for file in &log.files {
        if file.path == Path::new("-") {
            return Ok(None);
        }
        let input = Input::open(&file.path)?;
        if input.bytes().is_none() {
            return Ok(None);
        }
        inputs.push(input);
    }
    let len: u64 = inputs.iter().filter_map(Input::len).sum();
    Ok((len >= least).then_some(inputs))
}

/// Two players that have played a log with these parts; `None` if something was refused, or was of no use.
fn players(
    log: &Log,
    make: &dyn Fn() -> Player,
    parts: [Parts; 2],
    is_useless: Option<&Arc<AtomicBool>>,
) -> Option<[Player; 2]> {
    let mut players = parts.map(|parts| {
        let mut player = make();
        (player.parts, player.notes) = (Some(parts), Some(Vec::new()));
        player.is_useless = is_useless.cloned();
        player
    });
    let all = both(&mut players, |player| player.play(log));
    all.iter().all(Result::is_ok).then_some(players)
}

/// Does something with both at once.
pub fn both<T: Send>(players: &mut [Player; 2], work: impl Fn(&mut Player) -> T + Sync) -> [T; 2] {
    let [first, second] = players;
    thread::scope(|scope| {
        let other = scope.spawn(|| work(second));
        let this = work(first);
        let other = other.join();
        [this, other.unwrap_or_else(|panic| resume_unwind(panic))]
    })
}

/// Tells what both have to tell, in the order of the log.
fn tell(players: &mut [Player; 2]) {
    let notes = players.iter_mut().filter_map(|player| player.notes.take());
    let mut notes: Vec<(u64, String)> = notes.flatten().collect();
    notes.sort();
    let told = notes.iter().take(PASSED_TOLD as usize);
    told.for_each(|(_, line)| note(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::DATABASES;
    use cairn_engine::persist::digest::of_all;
    use cairn_format::resp::value::write_command;
    use std::fs;
    use std::path::PathBuf;

    fn player() -> Player {
        Player::new(DATABASES)
    }

    fn digest(player: &Player) -> String {
        let libraries = player.engine.ks.libraries.len();
        format!("{} {libraries}", of_all(&player.engine.ks).hex())
    }

    fn alone(log: &Log) -> Result<Player, Failure> {
        let mut one = player();
        one.play(log).map(|()| one)
    }

    /// The data of both together, as the commands of both make it.
    fn together(halves: &mut Halves) -> String {
        let mut commands = tempfile::NamedTempFile::new().unwrap();
        let raw = halves.players.iter().all(|player| player.raw.is_empty());
        assert!(raw, "the engine holds all of it");
        halves.write_commands(&mut commands, None).unwrap();
        let of_commands = alone(&Log::find_sound(commands.path()).unwrap()).unwrap();
        let mut snapshot = tempfile::NamedTempFile::new().unwrap();
        halves.write_snapshot(&mut snapshot, None).unwrap();
        let of_snapshot = alone(&Log::find_sound(snapshot.path()).unwrap()).unwrap();
        let digest = digest(&of_commands);
        assert_eq!(digest, self::digest(&of_snapshot));
        digest
    }

    /// Whether the log was played by two; both ways have the same data then, and the same numbers.
    fn is_same(log: &Log, name: &str) -> bool {
        let Some(mut halves) = Halves::play_from(log, &player, 0) else {
            return false;
        };
        let one = alone(log).unwrap_or_else(|_| panic!("{name}: two play it, and one does not"));
        assert_eq!(halves.played.commands, one.commands, "{name}");
        assert_eq!(halves.played.passed, one.passed, "{name}");
        assert_eq!(together(&mut halves), digest(&one), "{name}");
        true
    }

    fn logs_below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let below = folders.iter().flat_map(|folder| logs_below(folder));
        files
            .into_iter()
            .chain(folders.clone())
            .chain(below)
            .collect()
    }

    #[test]
    fn two_players_have_what_one_has_of_every_log_of_the_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
        let all = ["aof", "bad", "odd"].map(|folder| corpus.join(folder));
        let mut paths: Vec<PathBuf> = all.iter().flat_map(|folder| logs_below(folder)).collect();
        paths.retain(|path| path.extension().is_none_or(|kind| kind != "jsonl"));
        let logs = paths
            .iter()
            .filter_map(|path| Some((path, Log::find_sound(path).ok()?)));
        let same = logs.filter(|(path, log)| is_same(log, &path.display().to_string()));
        let same = same.count();
        assert!(same > 30, "{same} were played by two");
    }

    /// Commands of all kinds of which none fails, drawn from a seed; keys flow into one another.
    fn tangle(mut state: u64, count: usize) -> Vec<String> {
        let mut draw = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        let mut lines = Vec::new();
        while lines.len() < count {
            let [a, b, c] = [draw(40), draw(40), draw(40)];
            let line = match draw(26) {
                0 => format!("SELECT {}", a % 4),
                1 => format!("SWAPDB {} {}", a % 4, 9 + b % 3),
                2 if a < 2 => "FLUSHDB".to_owned(),
                3 if a < 1 => "FLUSHALL".to_owned(),
                4 => format!("MSET s{a} {b} s{b} {c} s{c} {a}"),
                5 => format!("DEL s{a} h{b} t{c} z{c} l{a}"),
                6 if a != b => format!("COPY s{a} s{b} REPLACE"),
                7 => format!("SUNIONSTORE t{a} t{b} t{c}"),
                8 => format!("SMOVE t{a} t{b} m{c}"),
                9 => format!("LMOVE l{a} l{b} LEFT RIGHT"),
                10 => format!("ZUNIONSTORE z{a} 2 z{b} t{c}"),
                11 => format!("SORT t{a} ALPHA STORE l{b}"),
                12 => format!("PEXPIREAT s{a} 400000000000{b}"),
                13 => format!("MOVE s{a} {}", 9 + b % 3),
                14 => format!("BITOP OR s{a} s{b} s{c}"),
                15 => format!("MULTI\nINCR n{a}\nSADD t{b} m{c}\nMSET s{a} x s{b} y\nEXEC"),
                16 => format!("SET s{a} {b}\nRENAME s{a} s{c}"),
                17 => format!("HSET h{a} f{b} {c}"),
                18 => format!("ZADD z{a} {b} m{c}"),
                19 => format!("RPUSH l{a} {b} {c}"),
                20 => format!("PFADD p{a} {b}\nPFMERGE p{b} p{a} p{c}"),
                21 => format!("MSETNX s{a} 1 s{b} 2"),
                22 => format!("XADD x{a} * f {b}"),
                _ => format!("SADD t{a} m{b} m{c}"),
            };
            // An ID of our own: that of the clock would be another in each run.
            let id = lines.len() + 1;
            let line = line.replace(" * ", &format!(" {id}-1 "));
            lines.extend(line.lines().map(str::to_owned));
        }
        lines
    }

    fn log_of(lines: &[String]) -> tempfile::NamedTempFile {
        let mut bytes = Vec::new();
        for line in lines {
            write_command(&mut bytes, &line.split(' ').collect::<Vec<_>>());
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn two_players_have_what_one_has_of_what_flows_into_one_another() {
        for seed in 1..=150 {
            let file = log_of(&tangle(seed, 200));
            let log = Log::find_sound(file.path()).unwrap();
            assert!(is_same(&log, &format!("seed {seed}")), "seed {seed}");
        }
    }

    /// So many keys that what comes is fetched ahead, and that a snapshot has many pieces; in one of the databases one half has all.
    #[test]
    fn two_players_have_what_one_has_of_very_many_keys() {
        let mut lines: Vec<String> = (0..240_000).map(|i| format!("SET s{i} {i}")).collect();
        lines.extend((0..3_000).map(|i| format!("MULTI\nINCR s{i}\nDEL s{} s{i}1\nEXEC", i * 7)));
        lines.extend(
            (0..3_000).map(|i| format!("APPEND s{} {i}\nPEXPIREAT s{i} 4000000000000", i * 80)),
        );
        lines.extend((0..60).map(|i| format!("SELECT {}\nRPUSH l{i} {i}\nRPUSH l0 {i}", i % 3)));
        lines.push("SELECT 5\nSET one 1\nSWAPDB 0 7".to_owned());
        let lines: Vec<String> = lines
            .iter()
            .flat_map(|line| line.lines())
            .map(str::to_owned)
            .collect();
        let file = log_of(&lines);
        let log = Log::find_sound(file.path()).unwrap();
        assert!(is_same(&log, "very many keys"));
        let mut halves = Halves::play_from(&log, &player, 0).unwrap();
        let [mut first, mut second] = [Vec::new(), Vec::new()];
        let keys = halves.write_snapshot(&mut first, None).unwrap();
        halves.write_snapshot(&mut second, None).unwrap();
        assert!(first == second, "the same data gives the same bytes");
        let held = halves
            .players
            .iter()
            .map(|player| player.engine.ks.total_keys() as u64);
        assert_eq!(keys, held.sum::<u64>());
    }

    #[test]
    fn both_have_a_part_of_the_keys_and_the_first_the_libraries() {
        let mut lines: Vec<String> = (0..100).map(|i| format!("SET key:{i} {i}")).collect();
        lines.push("SAVE".to_owned());
        let file = log_of(&lines);
        let log = Log::find_sound(file.path()).unwrap();
        let halves = Halves::play_from(&log, &player, 0).unwrap();
        let keys = halves
            .players
            .each_ref()
            .map(|player| player.engine.ks.database(0).len());
        assert!(keys.iter().all(|keys| *keys > 20), "{keys:?}");
        assert_eq!(keys.iter().sum::<usize>(), 100);
        assert_eq!((halves.played.commands, halves.played.passed), (101, 1));
    }

    #[test]
    fn one_player_plays_what_may_use_any_key_and_what_is_refused() {
        for last in [
            "EVAL script 0",
            "SORT l BY w* STORE m",
            "INCR s",
            "NONSENSE a b c",
        ] {
            let lines = ["SET s text", last].map(str::to_owned);
            let file = log_of(&lines);
            let log = Log::find_sound(file.path()).unwrap();
            assert!(Halves::play_from(&log, &player, 0).is_none(), "{last}");
        }
        let file = log_of(&["SET s text".to_owned()]);
        let log = Log::find_sound(file.path()).unwrap();
        assert!(Halves::play(&log, &player).is_none(), "too small");
    }
}
