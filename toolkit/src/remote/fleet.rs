//! The server that is written to, or all nodes of a cluster: who gets a key, and what became of it.
//!
//! Nothing is known of a cluster at first: the first key that somebody else has is told by MOVED, and then all slots are asked for.

use super::{Address, Client, Place, Redirect};
use crate::outcome::Failure;
use cairn_format::crc16::key_slot;
use cairn_format::resp::value::{Value, write_command};
use std::collections::HashMap;

/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// How a node begins that has only some of the keys of a command yet.
const TRY_AGAIN: &[u8] = b"TRYAGAIN";
/// How often a key is sent elsewhere before that is an error.
const REDIRECTS_MAX: u32 = 16;

/// One command about one key.
#[derive(Clone, Debug)]
pub struct Item {
    /// The key; empty for what belongs to none.
    pub key: Vec<u8>,
    /// The command, as it is sent.
    pub command: Vec<u8>,
}

/// Where a node is.
type Node = (String, u16);

/// Connections to all nodes.
#[derive(Debug)]
pub struct Fleet {
    address: Address,
    /// The first is that of the address.
    clients: Vec<Client>,
    by_node: HashMap<Node, usize>,
    /// Who has a slot; the first node until more is known.
    slots: Vec<usize>,
    is_cluster: bool,
}

impl Fleet {
    /// Connects to the server of the address.
    ///
    /// # Errors
    /// It is not there, or refuses us.
    pub fn connect(address: &Address) -> Result<Fleet, Failure> {
        let mut client = Client::connect(address)?;
        let info = client.ask(&["INFO", "cluster"])?;
        let text = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        Ok(Fleet {
            address: address.clone(),
            clients: vec![client],
            by_node: HashMap::new(),
            slots: vec![0; SLOTS],
            is_cluster: text.contains("cluster_enabled:1"),
        })
    }

    /// Whether there is a cluster, which has one database.
    pub fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// The server of the address.
    pub fn first(&mut self) -> &mut Client {
        &mut self.clients[0]
    }

    /// All nodes that have slots.
    ///
    /// # Errors
    /// They cannot be asked for.
    pub fn masters(&mut self) -> Result<Vec<&mut Client>, Failure> {
        if self.is_cluster {
            self.learn(0)?;
        }
        let owners: Vec<usize> = self.slots.clone();
        let clients = self.clients.iter_mut().enumerate();
        Ok(clients
            .filter(|(index, _)| owners.contains(index))
            .map(|(_, client)| client)
            .collect())
    }

    fn node(&mut self, node: Node) -> Result<usize, Failure> {
        if let Some(index) = self.by_node.get(&node) {
            return Ok(*index);
        }
        // A node that does not know its name is where we already are.
        let host = match (node.0.as_str(), self.address.place()) {
            ("", Place::Tcp(host, _)) => host.clone(),
            _ => node.0.clone(),
        };
        let client = Client::connect(&self.address.at(&host, node.1))?;
        self.clients.push(client);
        let index = self.clients.len() - 1;
        self.by_node.insert(node, index);
        Ok(index)
    }

    /// Asks a node who has which slots.
    fn learn(&mut self, of: usize) -> Result<(), Failure> {
        let reply = self.clients[of].ask(&["CLUSTER", "SLOTS"])?;
        for range in reply.as_array().unwrap_or_default() {
            let Some([first, last, master, ..]) = range.as_array() else {
                continue;
            };
            let (Value::Int(first), Value::Int(last)) = (first, last) else {
                continue;
            };
            let Some([host, Value::Int(port), ..]) = master.as_array() else {
                continue;
            };
            let host = String::from_utf8_lossy(host.as_bytes().unwrap_or_default()).into_owned();
            let index = self.node((host, u16::try_from(*port).unwrap_or(0)))?;
            let slots = usize::try_from(*first).unwrap_or(SLOTS)
                ..usize::try_from(*last).map_or(0, |last| last + 1);
            if let Some(owners) = self.slots.get_mut(slots) {
                owners.fill(index);
            }
        }
        Ok(())
    }

    fn owner(&self, item: &Item) -> usize {
        match self.is_cluster {
            true => self.slots[usize::from(key_slot(&item.key)) % SLOTS],
            false => 0,
        }
    }

    /// Sends all items and answers the reply to each; whoever is elsewhere is sent there.
    ///
    /// # Errors
    /// A connection ends.
    pub fn send(&mut self, items: &[Item]) -> Result<Vec<Value>, Failure> {
        let mut by_node: HashMap<usize, (Vec<u8>, Vec<usize>)> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let (bytes, which) = by_node.entry(self.owner(item)).or_default();
            bytes.extend_from_slice(&item.command);
            which.push(index);
        }
        for (node, (bytes, _)) in &by_node {
            self.clients[*node].send(bytes)?;
        }
        let mut replies: Vec<Value> = vec![Value::Null; items.len()];
        for (node, (_, which)) in &by_node {
            for index in which {
                replies[*index] = self.clients[*node].reply()?;
            }
        }
        for (item, reply) in items.iter().zip(&mut replies) {
            self.follow(item, reply)?;
        }
        Ok(replies)
    }

    /// Sends an item again as long as its reply says where to.
    fn follow(&mut self, item: &Item, reply: &mut Value) -> Result<(), Failure> {
        for _ in 0..REDIRECTS_MAX {
            let Value::Error(line) = &*reply else {
                return Ok(());
            };
            let node = match Redirect::of(line) {
                None if line.starts_with(TRY_AGAIN) => self.owner(item),
                None => return Ok(()),
                Some(redirect) if !redirect.once => {
                    let index = self.node((redirect.host, redirect.port))?;
                    self.learn(index)?;
                    self.owner(item)
                }
                Some(redirect) => {
                    let index = self.node((redirect.host, redirect.port))?;
                    let mut asking = Vec::new();
                    write_command(&mut asking, &["ASKING"]);
                    self.clients[index].send(&asking)?;
                    self.clients[index].reply()?;
                    index
                }
            };
            self.clients[node].send(&item.command)?;
            *reply = self.clients[node].reply()?;
        }
        Ok(())
    }
}
