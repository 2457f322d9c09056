//! A bar for whoever waits, on stderr and only if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// How often the bar is drawn at most, in frames a second.
const FRAMES: u8 = 10;
/// Bytes between two looks at the bar, so that a loop may report every key.
const STEP: u64 = 1 << 20;

/// A bar over bytes or steps; silent when nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    next: u64,
}

impl Progress {
    /// A bar over the bytes of an input; without a known length it shows only what has passed.
    pub fn bytes(label: &str, total: Option<u64>) -> Progress {
        let template = match total {
            Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
            None => "{msg} {bytes} {bytes_per_sec} {elapsed}",
        };
        Progress {
            bar: make(label, total, template),
            next: 0,
        }
    }

    /// A line of text that changes, for work that is not measured in bytes.
    pub fn line() -> Progress {
        Progress {
            bar: make("", None, "{msg}"),
            next: 0,
        }
    }

    /// Never shows anything.
    pub fn silent() -> Progress {
        Progress { bar: None, next: 0 }
    }

    /// Whether somebody sees this bar; what only decorates need not be computed otherwise.
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// The place reached, in bytes from the start. Cheap enough to be called for each key.
    pub fn at(&mut self, position: u64) {
        if position >= self.next
            && let Some(bar) = &self.bar
        {
            bar.set_position(position);
            self.next = position + STEP;
        }
    }

    /// Replaces the text of the line.
    pub fn say(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.tick();
        }
    }

    /// Writes a note without tearing the bar.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::note(line)),
            None => crate::note(line),
        }
    }

    /// Takes the bar off the screen; also happens when it is dropped.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn make(label: &str, total: Option<u64>, template: &str) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(FRAMES));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(label.to_owned());
    Some(bar)
}
