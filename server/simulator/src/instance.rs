//! One process of the server in a world: it starts from the world's disk, runs turn by turn, and ends or loses its power.

use std::path::Path;
use std::sync::Arc;

use cairn_server::boot;
use cairn_server::config::{self, Invocation, choice::LogLevel};
use cairn_server::log::Log;
use cairn_server::node::Node;

use crate::host::World;

/// A running server.
pub struct Instance {
    node: Node,
    log: Log,
    status: Option<i32>,
    turns: u64,
    checked_every: u64,
}

/// Why there is no server, and what it has logged.
#[derive(Debug)]
pub struct NotStarted {
    /// With which status the process ended; 0 if somebody shut it down while it loaded.
    pub status: i32,
    /// The refusal of a word, or the log.
    pub text: String,
}

impl From<NotStarted> for String {
    fn from(error: NotStarted) -> String {
        error.text
    }
}

/// It walks all the data, so that each turn would make a run three times as long.
const CHECKED_EVERY: u64 = 8;

impl Instance {
    /// Starts a server with the words of a command line; the data is what the world's disk has.
    ///
    /// # Errors
    /// Why it did not start.
    pub fn start(world: &World, words: &[&str]) -> Result<Instance, NotStarted> {
        let refused = |text: String| NotStarted { status: 1, text };
        let args: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let started = config::start(&args, Path::new("/"), &mut std::io::empty());
        let config = match started.map_err(|error| refused(error.to_string()))? {
            Invocation::Run(config) => *config,
            Invocation::Print(text) => return Err(refused(text)),
            Invocation::CheckSystem => return Err(refused("no instance was asked for".into())),
        };
        let log = Log::in_memory(LogLevel::Notice, Arc::clone(&world.clock) as _);
        let poller = world.poller();
        let poller = poller.map_err(|error| refused(error.to_string()))?;
        let node = boot::assemble(
            Box::new(world.host()),
            config,
            log.clone(),
            Box::new(poller),
        );
        match node {
            Ok(node) => Ok(Instance {
                node,
                log,
                status: None,
                turns: 0,
                checked_every: CHECKED_EVERY,
            }),
            Err(status) => Err(NotStarted {
                status,
                text: text_of(&log),
            }),
        }
    }

    /// Between how many turns it is looked at, where that is not every eighth time.
    pub fn checked_every(self, turns: u64) -> Instance {
        Instance {
            checked_every: turns,
            ..self
        }
    }

    /// One turn of the loop, unless the process has ended.
    ///
    /// # Errors
    /// Something between the turns that may not be (`Node::check`).
    pub fn step(&mut self) -> Result<(), String> {
        if self.status.is_none() {
            self.status = self.node.step();
            self.turns += 1;
            if self.turns.is_multiple_of(self.checked_every) || self.status.is_some() {
                self.node.check()?;
            }
        }
        Ok(())
    }

    /// The exit status, once it has ended.
    pub fn status(&self) -> Option<i32> {
        self.status
    }

    /// The node, to be looked at between turns.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }
}

fn text_of(log: &Log) -> String {
    String::from_utf8_lossy(&log.kept()).into_owned()
}
