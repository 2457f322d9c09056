//! The floors of a crate as `docs/architecture.md` shows them, and the arrows beside them.
//!
//! The map is a fenced block that begins with ` ```floors CRATE `. A line is a floor, the highest first: the rooms on it, words
//! apart, then perhaps `#` and what they are. A room is a module path such as `command` or `command::zset`; a file belongs to the room with
//! the longest path. A room may name rooms on lower floors only, so rooms of one floor do not know each other.

use std::collections::BTreeMap;

use crate::crates::{Crate, File};
use crate::paths;

/// The floors of one crate.
#[derive(Debug)]
pub struct Plan {
    /// Name of the package.
    pub krate: String,
    /// Rooms, the highest floor first.
    pub floors: Vec<Vec<String>>,
}

/// A room that names another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// Who names.
    pub from: String,
    /// Who is named.
    pub to: String,
    /// The first place where it does: `file:line: path`.
    pub place: String,
}

/// Reads all plans of a document.
pub fn plans(document: &str) -> Vec<Plan> {
    let mut plans = Vec::new();
    for block in document.split("```floors ").skip(1) {
        let Some((name, rest)) = block.split_once('\n') else {
            continue;
        };
        let body = rest.split("```").next().unwrap_or("");
        let floors = body
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""))
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .filter(|rooms: &Vec<String>| !rooms.is_empty())
            .collect();
        plans.push(Plan {
            krate: name.trim().to_owned(),
            floors,
        });
    }
    plans
}

impl Plan {
    /// Height of a room; the ground is 0.
    pub fn height(&self, room: &str) -> Option<usize> {
        let from_top = self
            .floors
            .iter()
            .position(|rooms| rooms.iter().any(|r| r == room))?;
        Some(self.floors.len() - 1 - from_top)
    }

    /// The room that a module path leads to; none for the root of the crate.
    pub fn room(&self, path: &[String]) -> Option<&str> {
        (1..=path.len()).rev().find_map(|length| {
            let prefix = path[..length].join("::");
            self.floors
                .iter()
                .flatten()
                .find(|room| **room == prefix)
                .map(String::as_str)
        })
    }

    /// The root of the crate, or a module that only holds rooms.
    fn is_parent(&self, module: &[String]) -> bool {
        let inside = module.join("::") + "::";
        module.is_empty() || self.floors.iter().flatten().any(|r| r.starts_with(&inside))
    }

    /// What is wrong: files without a room, rooms without a file, arrows that do not go down.
    pub fn faults(&self, krate: &Crate) -> Vec<String> {
        let mut faults = Vec::new();
        for file in &krate.product {
            if self.room(&file.module).is_none() && !self.is_parent(&file.module) {
                faults.push(format!("{}: belongs to no room", file.path.display()));
            }
        }
        for room in self.floors.iter().flatten() {
            let inside = |file: &File| self.room(&file.module) == Some(room);
            if !krate.product.iter().any(inside) {
                faults.push(format!("{}: room {room} has no file", self.krate));
            }
        }
        for arrow in arrows(krate, |path| self.room(path).map(str::to_owned)) {
            if self.height(&arrow.from) <= self.height(&arrow.to) {
                faults.push(format!(
                    "{} -> {} does not go down: {}",
                    arrow.from, arrow.to, arrow.place
                ));
            }
        }
        faults
    }
}

/// All arrows between the rooms of a crate, each once.
pub fn arrows(krate: &Crate, room_of: impl Fn(&[String]) -> Option<String>) -> Vec<Arrow> {
    let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in &krate.product {
        let Some(from) = room_of(&file.module) else {
            continue;
        };
        for named in paths::named(&file.source.product, &file.module, &[]) {
            let Some(to) = room_of(&named.segments[1..]) else {
                continue;
            };
            if to != from {
                let place = || {
                    let path = named.segments.join("::");
                    format!("{}:{}: {path}", file.path.display(), named.line)
                };
                found.entry((from.clone(), to)).or_insert_with(place);
            }
        }
    }
    found
        .into_iter()
        .map(|((from, to), place)| Arrow { from, to, place })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_its_block() {
        let text = "x\n```floors cairn-x\ntop      # the door\na  b::c\nbase\n```\ny";
        let plan = &plans(text)[0];
        assert_eq!(plan.krate, "cairn-x");
        assert_eq!(plan.height("top"), Some(2));
        assert_eq!(plan.height("b::c"), Some(1));
        let path = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(plan.room(&path(&["b", "c", "d"])), Some("b::c"));
        assert_eq!(plan.room(&path(&["b"])), None);
    }
}
