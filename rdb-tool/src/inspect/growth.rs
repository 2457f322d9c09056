//! What grew between two snapshots of the same data.

use super::Surveyed;
use crate::survey::Survey;
use cairn_toolkit::prefix::Count;
use std::collections::BTreeMap;
use std::time::Duration;

/// One line of the comparison.
#[derive(Clone, Debug)]
pub struct Change {
    /// `all`, `db`, `type` or `prefix`.
    pub kind: &'static str,
    /// Which.
    pub what: Vec<u8>,
    /// In the older snapshot.
    pub before: Count,
    /// In the newer one.
    pub now: Count,
}

impl Change {
    /// Keys more, or fewer.
    pub fn keys(&self) -> i64 {
        self.now.keys.wrapping_sub(self.before.keys) as i64
    }

    /// Bytes more, or fewer.
    pub fn bytes(&self) -> i64 {
        self.now.bytes.wrapping_sub(self.before.bytes) as i64
    }
}

/// The comparison.
#[derive(Debug)]
pub struct Growth {
    /// The older snapshot.
    pub older: String,
    /// Time between the two, if both say when they were made and the older one was first.
    pub between: Option<Duration>,
    /// All, then each database, each type, and the prefixes that changed most.
    pub changes: Vec<Change>,
}

impl Growth {
    /// Compares; `top` prefixes are told.
    pub fn between(older: Surveyed, newer: &Surveyed, top: usize) -> Growth {
        let (before, now) = (&older.survey, &newer.survey);
        let mut changes = vec![Change {
            kind: "all",
            what: Vec::new(),
            before: before.total(),
            now: now.total(),
        }];
        let databases = |survey: &Survey| named(&survey.databases, |db| db.to_string());
        changes.extend(paired("db", databases(before), databases(now)));
        let types = |survey: &Survey| named(&survey.types(), |name| (*name).to_owned());
        changes.extend(paired("type", types(before), types(now)));
        let mut prefixes = paired("prefix", prefixes(before), prefixes(now));
        prefixes.retain(|change| change.bytes() != 0);
        prefixes.sort_by_key(|change| std::cmp::Reverse(change.bytes().unsigned_abs()));
        prefixes.truncate(top);
        changes.extend(prefixes);
        let seconds = before
            .made_at()
            .zip(now.made_at())
            .map(|(from, to)| to.saturating_sub(from));
        Growth {
            older: older.name,
            between: seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            changes,
        }
    }

    /// So much a day, at the rate between the two.
    pub fn a_day(&self, amount: i64) -> Option<f64> {
        self.between
            .map(|between| amount as f64 * 86_400.0 / between.as_secs_f64())
    }
}

type Named = BTreeMap<Vec<u8>, Count>;

fn named<K>(counts: &BTreeMap<K, Count>, name: impl Fn(&K) -> String) -> Named {
    let one = |(key, count): (&K, &Count)| (name(key).into_bytes(), *count);
    counts.iter().map(one).collect()
}

fn prefixes(survey: &Survey) -> Named {
    let listed = survey.prefixes.iter().flat_map(|tree| tree.all());
    listed
        .map(|(prefix, count)| (prefix.to_vec(), count))
        .collect()
}

fn paired(kind: &'static str, before: Named, now: Named) -> Vec<Change> {
    let mut pairs: BTreeMap<Vec<u8>, (Count, Count)> = BTreeMap::new();
    for (what, count) in before {
        pairs.entry(what).or_default().0 = count;
    }
    for (what, count) in now {
        pairs.entry(what).or_default().1 = count;
    }
    pairs
        .into_iter()
        .map(|(what, (before, now))| Change {
            kind,
            what,
            before,
            now,
        })
        .collect()
}
