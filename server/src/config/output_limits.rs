//! Output buffer limits: what each class of clients may have waiting before it is disconnected.

use std::fmt;

use cairn_format::text::number::parse_i64;

use super::rules;

/// The limit of one class of clients; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which the client is disconnected at once.
    pub hard: u64,
    /// Bytes at which it is disconnected after `soft_seconds`.
    pub soft: u64,
    /// Seconds above the soft limit.
    pub soft_seconds: u64,
}

/// The limits of the three classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// Each class with the name that a configuration file uses.
    pub(super) fn classes(&self) -> [(&'static str, OutputLimit); 3] {
        [
            ("normal", self.normal),
            ("replica", self.replica),
            ("pubsub", self.pubsub),
        ]
    }

    fn class_mut(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("normal") {
            Some(&mut self.normal)
        } else if is("slave") || is("replica") {
            Some(&mut self.replica)
        } else if is("pubsub") {
            Some(&mut self.pubsub)
        } else {
            None
        }
    }
}

/// CONFIG GET still calls the class of replicas `slave`.
impl fmt::Display for OutputLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, limit)) in [
            ("normal", self.normal),
            ("slave", self.replica),
            ("pubsub", self.pubsub),
        ]
        .iter()
        .enumerate()
        {
            let gap = if i == 0 { "" } else { " " };
            write!(
                f,
                "{gap}{name} {} {} {}",
                limit.hard, limit.soft, limit.soft_seconds
            )?;
        }
        Ok(())
    }
}

/// Reads `class hard soft seconds` groups; classes that are not named keep their limits.
pub(super) fn parse(args: &[&[u8]], current: OutputLimits) -> Result<OutputLimits, String> {
    let mut limits = current;
    if !args.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for group in args.chunks_exact(4) {
        let class = limits
            .class_mut(group[0])
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        *class = parse_limit(&group[1..])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn parse_limit(args: &[&[u8]]) -> Option<OutputLimit> {
    let [hard, soft, seconds] = args else {
        return None;
    };
    let soft_seconds = parse_i64(seconds).and_then(|n| u64::try_from(n).ok())?;
    Some(OutputLimit {
        hard: rules::memory(hard)?,
        soft: rules::memory(soft)?,
        soft_seconds,
    })
}
