//! The score by which the kernel picks whom to end when memory is out.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;

use super::error_text;
use crate::host::OomScore;

/// Lowest and highest score that the kernel knows.
const RANGE: (i64, i64) = (-1000, 1000);

/// The score of this process.
#[derive(Debug)]
pub struct OomControl {
    file: PathBuf,
    /// As it was before it was set, while it is.
    before: Cell<Option<i64>>,
}

impl OomControl {
    /// Of the process that asks: a child sets its own.
    pub fn new() -> OomControl {
        OomControl::at("/proc/self/oom_score_adj".into())
    }

    fn at(file: PathBuf) -> OomControl {
        OomControl {
            file,
            before: Cell::new(None),
        }
    }

    /// Sets the score. One that is not set by us is left alone by [`OomScore::AsStarted`].
    ///
    /// # Errors
    /// What the system says, for the log.
    pub fn set(&self, score: OomScore) -> Result<(), String> {
        if score == OomScore::AsStarted && self.before.get().is_none() {
            return Ok(());
        }
        let before = match self.before.get() {
            Some(known) => known,
            None => self
                .read()
                .map_err(|error| format!("Unable to read oom_score_adj: {}", error_text(&error)))?,
        };
        let wanted = match score {
            OomScore::AsStarted => before,
            OomScore::Relative(more) => before.saturating_add(more),
            OomScore::Absolute(score) => score,
        };
        std::fs::write(&self.file, wanted.clamp(RANGE.0, RANGE.1).to_string())
            .map_err(|error| format!("Unable to write oom_score_adj: {}", error_text(&error)))?;
        // Once it is back, somebody else may set it, and that is where the next setting starts from.
        let is_ours = score != OomScore::AsStarted;
        self.before.set(is_ours.then_some(before));
        Ok(())
    }

    fn read(&self) -> io::Result<i64> {
        let text = std::fs::read_to_string(&self.file)?;
        text.trim()
            .parse()
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_relative_to_that_of_before_and_comes_back_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("oom_score_adj");
        let control = OomControl::at(file.clone());
        // Nothing was set, so nothing is looked at.
        control.set(OomScore::AsStarted).unwrap();
        assert!(
            control
                .set(OomScore::Absolute(1))
                .unwrap_err()
                .contains("Unable to read")
        );
        std::fs::write(&file, "-17\n").unwrap();
        for (score, written) in [
            (OomScore::Relative(100), "83"),
            (OomScore::Relative(2000), "1000"),
            (OomScore::Absolute(-5), "-5"),
            (OomScore::Relative(i64::MIN), "-1000"),
            (OomScore::AsStarted, "-17"),
        ] {
            control.set(score).unwrap();
            assert_eq!(
                std::fs::read_to_string(&file).unwrap(),
                written,
                "{score:?}"
            );
        }
        std::fs::write(&file, "5").unwrap();
        control.set(OomScore::AsStarted).unwrap();
        control.set(OomScore::Relative(1)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "6");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(
            control
                .set(OomScore::AsStarted)
                .unwrap_err()
                .contains("Unable to write")
        );
    }
}
