//! Programs of EVAL, by the SHA-1 of their text.
//!
//! Those that came by EVAL are many where clients put values into the text, and count against a limit: the one that was not used for the
//! longest time goes (as from Redis 7.4 on). What SCRIPT LOAD brought stays until SCRIPT FLUSH. The machine is taken out while a
//! script runs.
//!
//! Invariant: each script's function is kept by the machine that is here; without one there are no scripts.

use std::collections::HashMap;

use cairn_lua::{Kept, Machine};

use super::api::eval_machine;
use super::flags::ScriptFlags;
use super::running::Sort;
use super::shebang;
use crate::base::error::{Error, lossless};

/// SHA-1 of a program, in lower-case hexadecimal digits.
pub type Sha = [u8; 40];

/// Runs after which a part of the garbage is collected, and how large a part, as Redis does.
const COLLECT_EACH: u32 = 50;

/// A compiled program.
#[derive(Debug)]
struct Script {
    /// What it asks for.
    flags: ScriptFlags,
    /// Its function.
    function: Kept,
    code: Box<[u8]>,
    /// SCRIPT LOAD brought it.
    loaded: bool,
    /// When it was used last, in uses of all.
    used: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Cache {
    machine: Option<Machine>,
    scripts: HashMap<Sha, Script>,
    /// Hash of a text to the script that it may be.
    texts: HashMap<u64, Sha, std::hash::BuildHasherDefault<Same>>,
    hasher: ahash::RandomState,
    uses: u64,
    /// Those that SCRIPT LOAD did not bring.
    passing: usize,
    /// Scripts forgotten for the limit.
    pub evicted: u64,
    /// Bytes of the machine when it was here last.
    vm_bytes: usize,
    /// And after it was swept last.
    swept_bytes: usize,
    code_bytes: usize,
    runs: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            machine: None,
            scripts: HashMap::new(),
            texts: HashMap::default(),
            // Whoever finds two texts of one hash gains nothing: their SHA-1 is computed.
            hasher: ahash::RandomState::with_seeds(1, 2, 3, 4),
            uses: 0,
            passing: 0,
            evicted: 0,
            vm_bytes: 0,
            swept_bytes: 0,
            code_bytes: 0,
            runs: 0,
        }
    }
}

/// A hash that is one already.
#[derive(Debug, Default)]
struct Same(u64);

impl std::hash::Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// SHA-1 in lower-case hexadecimal digits.
pub fn sha1_hex(bytes: &[u8]) -> Sha {
    let digest = sha1_smol::Sha1::from(bytes).digest().bytes();
    let mut hex = [0; 40];
    for (place, byte) in hex.chunks_exact_mut(2).zip(digest) {
        place[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        place[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    hex
}

/// The digits that a client sent, in lower case.
pub fn parse_sha(digits: &[u8]) -> Option<Sha> {
    let mut sha: Sha = digits.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}

impl Cache {
    /// The script of a text, compiled if it is new; at most `limit` that EVAL brought are kept.
    ///
    /// # Errors
    /// The text is no program.
    pub fn of_text(&mut self, code: &[u8], limit: usize) -> Result<Sha, Error> {
        let hash = self.hasher.hash_one(code);
        if let Some(sha) = self.texts.get(&hash)
            && self.scripts.get(sha).is_some_and(|s| *s.code == *code)
        {
            let sha = *sha;
            self.note_use(&sha);
            return Ok(sha);
        }
        let sha = sha1_hex(code);
        if !self.scripts.contains_key(&sha) {
            self.compile(sha, code)?;
            self.passing += 1;
        }
        self.texts.insert(hash, sha);
        self.note_use(&sha);
        while self.passing > limit.max(1) {
            self.forget_oldest();
        }
        Ok(sha)
    }

    /// SCRIPT LOAD: as [`Cache::of_text`], and it stays.
    ///
    /// # Errors
    /// The text is no program.
    pub fn load(&mut self, code: &[u8]) -> Result<Sha, Error> {
        let sha = sha1_hex(code);
        if !self.scripts.contains_key(&sha) {
            self.compile(sha, code)?;
            self.passing += 1;
        }
        self.note_use(&sha);
        let script = self.scripts.get_mut(&sha).expect("it was just put there");
        if !std::mem::replace(&mut script.loaded, true) {
            self.passing -= 1;
        }
        Ok(sha)
    }

    fn compile(&mut self, sha: Sha, code: &[u8]) -> Result<(), Error> {
        let (flags, program) = shebang::of_script(code)?;
        let machine = self.machine.get_or_insert_with(eval_machine);
        machine
            .compile(Sort::Script.chunk(), program)
            .map_err(|text| {
                let text = lossless(&text);
                Error::text(format!("ERR Error compiling script (new function): {text}"))
            })?;
        let kept = machine.stack().keep();
        let function = kept.map_err(|_| {
            Error::new("ERR Error compiling script (new function): not enough memory")
        })?;
        self.vm_bytes = machine.used();
        self.code_bytes += code.len();
        let script = Script {
            flags,
            function,
            code: code.into(),
            loaded: false,
            used: 0,
        };
        self.scripts.insert(sha, script);
        Ok(())
    }

    fn note_use(&mut self, sha: &Sha) {
        self.uses += 1;
        if let Some(script) = self.scripts.get_mut(sha) {
            script.used = self.uses;
        }
    }

    fn forget_oldest(&mut self) {
        let passing = self.scripts.iter().filter(|(_, script)| !script.loaded);
        let oldest = passing.min_by_key(|(_, script)| script.used);
        let sha = *oldest.expect("there is one too many").0;
        let script = self.scripts.remove(&sha).expect("it was just found");
        self.texts.remove(&self.hasher.hash_one(&*script.code));
        self.code_bytes -= script.code.len();
        self.passing -= 1;
        self.evicted += 1;
        if let Some(machine) = &mut self.machine {
            machine.forget(script.function);
        }
    }

    /// Flags of a script by its digits, which counts as a use.
    pub fn find(&mut self, sha: &Sha) -> Option<ScriptFlags> {
        self.note_use(sha);
        self.flags_of(sha)
    }

    /// Flags of a script, without using it.
    pub fn flags_of(&self, sha: &Sha) -> Option<ScriptFlags> {
        self.scripts.get(sha).map(|script| script.flags)
    }

    /// Forgets all scripts and what they have left in the machine.
    pub fn flush(&mut self) {
        let (evicted, uses) = (self.evicted, self.uses);
        *self = Cache {
            evicted,
            uses,
            ..Cache::default()
        };
    }

    /// The machine with a script's function on its stack, for a run; [`Cache::give_back`] follows.
    pub fn take(&mut self, sha: &Sha) -> Option<Machine> {
        let script = self.scripts.get(sha)?;
        let mut machine = self.machine.take()?;
        if machine.push_kept(&script.function).is_err() {
            self.machine = Some(machine);
            return None;
        }
        Some(machine)
    }

    /// Takes the machine back after a run.
    pub fn give_back(&mut self, mut machine: Machine) {
        debug_assert!(self.machine.is_none(), "there is one machine");
        self.runs += 1;
        if self.runs.is_multiple_of(COLLECT_EACH) {
            machine.collect_step(COLLECT_EACH as i32);
        }
        self.vm_bytes = super::sweep(&mut machine, &mut self.swept_bytes);
        self.machine = Some(machine);
    }

    /// How many scripts there are.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Bytes of the machine.
    pub fn vm_bytes(&self) -> usize {
        self.vm_bytes
    }

    /// Bytes of the scripts beside it.
    pub fn script_bytes(&self) -> usize {
        self.code_bytes + self.scripts.len() * (size_of::<(Sha, Script)>() + 48)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_that_was_not_used_for_the_longest_time_goes() {
        let mut cache = Cache::default();
        let kept = cache.load(b"return 'loaded'").unwrap();
        let first = cache.of_text(b"return 1", 2).unwrap();
        let second = cache.of_text(b"return 2", 2).unwrap();
        assert_eq!(cache.of_text(b"return 1", 2).unwrap(), first);
        cache.of_text(b"return 3", 2).unwrap();
        assert_eq!((cache.len(), cache.evicted), (3, 1));
        assert!(cache.find(&second).is_none());
        assert!(cache.find(&first).is_some() && cache.find(&kept).is_some());
        assert_eq!(&first, b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert!(cache.of_text(b"retur 1", 2).is_err());
        cache.flush();
        assert!(cache.is_empty() && cache.vm_bytes() == 0 && cache.evicted == 1);
    }
}
