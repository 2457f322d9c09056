//! How far a load has come, so that it can go on after a break.
//!
//! ```text
//!   rdb-tool load journal
//!   input 216869883      bytes of the input: another file is refused
//!   done 1048576         all before this offset has been answered
//!   sent 1572864         keys up to here may be there already: they are sent again with REPLACE
//! ```

use cairn_toolkit::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// The first line.
const HEAD: &str = "rdb-tool load journal";

/// The file of a load.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    input: u64,
    /// All before this offset has been answered.
    pub done: u64,
    /// What is before this offset may be there.
    pub sent: u64,
}

impl Journal {
    /// Reads the file, or begins a new one if there is none. `input` is the length of what is loaded.
    pub fn open(path: &Path, input: u64) -> Result<Journal, Failure> {
        let name = path.display();
        let mut journal = Journal {
            path: path.to_owned(),
            input,
            done: 0,
            sent: 0,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                journal.write()?;
                return Ok(journal);
            }
            Err(error) => return Err(Failure::io(&name.to_string(), &error)),
        };
        let number = |field: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim().parse().ok()
        };
        let all = (number("input "), number("done "), number("sent "));
        let (true, (Some(of), Some(done), Some(sent))) = (text.starts_with(HEAD), all) else {
            return Err(Failure::new(format!("{name}: is no journal of a load")));
        };
        if of != input {
            return Err(Failure::new(format!(
                "{name}: is of an input of {of} bytes, and this one has {input}"
            ))
            .hint("a load goes on only with the same input; remove the journal to begin anew"));
        }
        (journal.done, journal.sent) = (done, sent);
        Ok(journal)
    }

    /// What is before `sent` goes out now; all before it up to now was answered.
    pub fn sending(&mut self, sent: u64) -> Result<(), Failure> {
        self.sent = self.sent.max(sent);
        self.write()
    }

    /// All before this has been answered.
    pub fn answered(&mut self, done: u64) {
        self.done = self.done.max(done);
    }

    fn write(&self) -> Result<(), Failure> {
        let Journal {
            input, done, sent, ..
        } = self;
        let text = format!("{HEAD}\ninput {input}\ndone {done}\nsent {sent}\n");
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        // Whole or not at all; a power cut of this machine may bring back an older one, which only sends more again.
        fs::write(&name, text)
            .and_then(|()| fs::rename(&name, &self.path))
            .map_err(|error| Failure::io(&self.path.display().to_string(), &error))
    }

    /// The load is over.
    pub fn remove(self) -> Result<(), Failure> {
        fs::remove_file(&self.path)
            .map_err(|error| Failure::io(&self.path.display().to_string(), &error))
    }
}
