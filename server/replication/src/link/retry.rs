//! When a link is tried again, and what the log says of it.
//!
//! Redis tries again at once after whatever failed behind PSYNC: hundreds of connections a second, and ten snapshots a second
//! that the primary writes in vain. Here the delay doubles, and what fails again and again for one reason is logged three
//! times, then once more with what to change, and then no more until something else happens.

/// The first delay, milliseconds.
const FIRST_MS: u64 = 1000;
/// The longest one.
const LONGEST_MS: u64 = 30_000;
/// So often the same reason is logged.
const TOLD_MAX: u32 = 3;

/// How soon it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// At once, once: the connection was good until now.
    AtOnce,
    /// In a second: the other side will be there or not.
    Soon,
    /// It costs much and is likely to fail again: each time later.
    Later,
}

/// Why the link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the log.
    pub reason: String,
    /// When to try again.
    pub patience: Patience,
}

impl Failure {
    /// The other side will be there soon or not.
    pub fn soon(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            patience: Patience::Soon,
        }
    }

    /// It is likely to fail again.
    pub fn later(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            patience: Patience::Later,
        }
    }

    /// It was good until now.
    pub fn at_once(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            patience: Patience::AtOnce,
        }
    }
}

#[derive(Debug)]
pub(super) struct Retry {
    at_ms: u64,
    delay_ms: u64,
    /// What failed last, and how often in a row.
    last: (String, u32),
}

impl Retry {
    pub(super) fn at(now_ms: u64) -> Retry {
        Retry {
            at_ms: now_ms,
            delay_ms: FIRST_MS,
            last: (String::new(), 0),
        }
    }

    pub(super) fn at_ms(&self) -> u64 {
        self.at_ms
    }

    pub(super) fn goes_well(&mut self) {
        self.delay_ms = FIRST_MS;
        self.last = (String::new(), 0);
    }

    /// Answers the lines for the log. `place`: of whom and where, which does not make it another reason.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        place: &str,
        now_ms: u64,
        jitter: u64,
    ) -> Vec<String> {
        let delay = match failure.patience {
            Patience::AtOnce => 0,
            Patience::Soon => FIRST_MS,
            Patience::Later => {
                let delay = self.delay_ms;
                self.delay_ms = (delay * 2).min(LONGEST_MS);
                delay + jitter % (delay / 4)
            }
        };
        self.at_ms = now_ms + delay;
        let Failure { reason, .. } = failure;
        let line = format!("{reason} ({place})");
        if reason != self.last.0 {
            self.last = (reason, 1);
            return vec![line];
        }
        self.last.1 += 1;
        match self.last.1 {
            0..TOLD_MAX => vec![line],
            TOLD_MAX => vec![
                line,
                "The link to the MASTER has failed three times for the same reason, and is not reported again until something changes. If the MASTER closes it during the synchronisation, look at its log: raise its 'client-output-buffer-limit replica' or 'repl-backlog-size' where the stream did not fit, 'repl-timeout' on both sides where the transfer is slow, and 'rdb-save-version' where this server cannot read its snapshot.".to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_lines_end() {
        let mut retry = Retry::at(0);
        let mut now = 0;
        let mut delays = Vec::new();
        let mut lines = Vec::new();
        for _ in 0..8 {
            lines.push(retry.failed(Failure::later("no"), "a:1", now, 7).len());
            delays.push(retry.at_ms() - now);
            now = retry.at_ms();
        }
        assert_eq!(
            delays,
            [1007, 2007, 4007, 8007, 16_007, 30_007, 30_007, 30_007]
        );
        assert_eq!(lines, [1, 1, 2, 0, 0, 0, 0, 0]);
        let lines = retry.failed(Failure::soon("else"), "a:1, connecting", 0, 0);
        assert_eq!(lines, ["else (a:1, connecting)"]);
        assert_eq!(retry.at_ms(), 1000);
        retry.goes_well();
        retry.failed(Failure::at_once("lost"), "a:1", 5, 0);
        assert_eq!(retry.at_ms(), 5);
        retry.failed(Failure::later("no"), "a:1", 5, 0);
        assert_eq!(retry.at_ms(), 1005);
    }
}
