//! A page as a browser sees it: Chromium without a window, which `scripts/setup` installs.

use std::path::Path;
use std::process::Command;

/// What a browser made of a page.
pub struct Seen {
    /// What it printed: the page as it stands there, if that was asked for.
    pub dom: String,
    /// Its log, which has a line with CONSOLE for everything that a page complains about.
    pub log: String,
}

impl Seen {
    /// What the page complains about.
    pub fn complaints(&self) -> Vec<&str> {
        let lines = self.log.lines();
        lines.filter(|line| line.contains("CONSOLE")).collect()
    }
}

/// Shows a page, or what else the words ask for.
///
/// # Panics
/// Without the browser, and if it fails.
pub fn browse(page: &Path, words: &[&str]) -> Seen {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("/usr/bin/chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--disable-extensions",
            "--no-first-run",
            "--window-size=1280,3400",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(words)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("these tests need /usr/bin/chromium: scripts/setup installs it");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    Seen {
        dom: String::from_utf8(output.stdout).unwrap(),
        log,
    }
}
