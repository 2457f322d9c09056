//! `nodes.conf`: which node of a cluster has which slots.
//!
//! ```text
//!   <id> <address> <flags> <primary or -> <ping> <pong> <epoch> <link> <slot> <first-last> [<slot>->-<id>] ...
//!   vars currentEpoch 6 lastVoteEpoch 0
//! ```
//!
//! CLUSTER NODES answers the same lines without the last. A slot in brackets moves and still belongs to its owner, whose ranges have it, too.

use crate::survey::slots::SLOTS;

/// Who has each slot.
#[derive(Debug)]
pub struct Nodes {
    /// Id and address of each node with slots.
    pub nodes: Vec<(String, String)>,
    /// By slot: which of them.
    owners: Vec<Option<usize>>,
}

impl Nodes {
    /// Reads the lines.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str) -> Result<Nodes, String> {
        let mut nodes = Nodes {
            nodes: Vec::new(),
            owners: vec![None; SLOTS],
        };
        for (number, line) in (1..).zip(text.lines()) {
            nodes
                .line(line)
                .map_err(|what| format!("line {number}: {what}"))?;
        }
        match nodes.nodes.is_empty() {
            true => Err("no node has slots".to_owned()),
            false => Ok(nodes),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || words[0] == "vars" {
            return Ok(());
        }
        if words.len() < 8 {
            return Err("eight words and slots are expected".to_owned());
        }
        let is_node = words[0].bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_node {
            return Err("it does not begin with the id of a node".to_owned());
        }
        let ranges: Vec<&str> = words[8..]
            .iter()
            .copied()
            .filter(|word| !word.starts_with('['))
            .collect();
        if ranges.is_empty() {
            return Ok(());
        }
        let node = self.nodes.len();
        self.nodes.push((words[0].to_owned(), words[1].to_owned()));
        for range in ranges {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let slot = |word: &str| word.parse::<usize>().ok().filter(|slot| *slot < SLOTS);
            let (Some(first), Some(last)) = (slot(first), slot(last)) else {
                return Err(format!("{range:?} is no slot and no range of slots"));
            };
            for slot in first..=last {
                if self.owners[slot].replace(node).is_some() {
                    return Err(format!("slot {slot} belongs to two nodes"));
                }
            }
        }
        Ok(())
    }

    /// Which node has a slot.
    pub fn owner(&self, slot: usize) -> Option<usize> {
        self.owners[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "\
07c37df 127.0.0.1:30004@31004,host slave e7d1eec 0 1426238317239 4 connected
67ed2db :30002@31002 myself,master - 0 1426238316232 2 connected 5461-10922 [93-<-e7d1eec]
e7d1eec 127.0.0.1:30001@31001 master - 0 0 1 connected 0-5459 5460 10923-16383 [5461->-67ed2db]
vars currentEpoch 6 lastVoteEpoch 0
";

    #[test]
    fn every_slot_has_its_owner() {
        let nodes = Nodes::parse(CONF).unwrap();
        assert_eq!(nodes.nodes.len(), 2);
        assert_eq!(nodes.nodes[0].0, "67ed2db");
        let owners: Vec<_> = [0, 5460, 5461, 10_922, 10_923, 16_383]
            .map(|slot| nodes.owner(slot))
            .into();
        assert_eq!(
            owners,
            [Some(1), Some(1), Some(0), Some(0), Some(1), Some(1)]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let with = |line: &str| Nodes::parse(&format!("{CONF}{line}\n")).unwrap_err();
        assert_eq!(
            with("b 1:2@3 master - 0 0 1 connected 7"),
            "line 5: slot 7 belongs to two nodes"
        );
        assert!(with("b 1:2@3 master - 0 0 1 connected 16384").starts_with("line 5: \"16384\""));
        assert!(with("REDIS0011").starts_with("line 5: eight words"));
        assert_eq!(Nodes::parse("").unwrap_err(), "no node has slots");
    }
}
