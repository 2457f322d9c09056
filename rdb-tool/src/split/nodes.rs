//! Which node of a cluster has which slots, by its `nodes.conf` or what CLUSTER NODES answers ([`cairn_format::cluster::nodes_conf`]).
//!
//! A slot that moves still belongs to its owner.

use crate::survey::slots::SLOTS;
use cairn_format::cluster::NodeId;
use cairn_format::cluster::nodes_conf::NodesConf;

/// Who has each slot.
#[derive(Debug)]
pub struct Nodes {
    /// The nodes with slots.
    pub ids: Vec<NodeId>,
    /// By slot: which of them.
    owners: Vec<Option<usize>>,
}

impl Nodes {
    /// Reads the lines.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Nodes, String> {
        let conf = NodesConf::parse_any(bytes).map_err(|fault| fault.to_string())?;
        let mut nodes = Nodes {
            ids: Vec::new(),
            owners: vec![None; SLOTS],
        };
        for line in conf.nodes.iter().filter(|line| !line.slots.is_empty()) {
            let node = nodes.ids.len();
            nodes.ids.push(line.id);
            for (first, last) in &line.slots {
                nodes.owners[usize::from(*first)..=usize::from(*last)].fill(Some(node));
            }
        }
        match nodes.ids.is_empty() {
            true => Err("no node has slots".to_owned()),
            false => Ok(nodes),
        }
    }

    /// Which node has a slot.
    pub fn owner(&self, slot: usize) -> Option<usize> {
        self.owners[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_owner() {
        let [replica, second, first] = ["0", "1", "2"].map(|digit| digit.repeat(NodeId::LEN));
        let conf = format!(
            "{replica} 127.0.0.1:30004@31004,host slave {first} 0 1426238317239 4 connected\n\
             {second} :30002@31002,,new-name=x myself,master - 0 1426238316232 2 connected 5461-10922 [93-<-{first}]\n\
             {first} 127.0.0.1:30001@31001 master - 0 0 1 connected 0-5459 5460 10923-16383\n\
             vars currentEpoch 6 lastVoteEpoch 0"
        );
        let nodes = Nodes::parse(conf.as_bytes()).unwrap();
        let ids: Vec<&str> = nodes.ids.iter().map(NodeId::as_str).collect();
        assert_eq!(ids, [&second, &first]);
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
        let bad = Nodes::parse(b"vars currentEpoch 1 lastVoteEpoch 0\nREDIS0011\n").unwrap_err();
        assert!(
            bad.starts_with("line 2: a node has at least 8 words"),
            "{bad}"
        );
        assert_eq!(Nodes::parse(b"").unwrap_err(), "no node has slots");
    }
}
