//! The queue between MULTI and EXEC.

use std::ops::Range;

use crate::base::args::Args;
use crate::base::id::CommandId;

/// One queued command: its own copy of bytes and ranges.
#[derive(Debug)]
pub struct Queued {
    /// What to run.
    pub command: CommandId,
    bytes: Box<[u8]>,
    ranges: Box<[Range<u32>]>,
    canonical: bool,
}

impl Queued {
    /// Copies a command out of the connection's buffer.
    pub fn new(command: CommandId, args: &Args) -> Queued {
        let (bytes, ranges) = args.to_owned_block();
        debug_assert_eq!(ranges.len(), args.len());
        debug_assert!(
            ranges.iter().all(|range| range.end as usize <= bytes.len()),
            "all arguments are within the copy"
        );
        Queued {
            command,
            bytes,
            ranges,
            canonical: args.encoded().is_some(),
        }
    }

    /// The arguments.
    pub fn args(&self) -> Args<'_> {
        let encoded = self.canonical.then_some(0..self.bytes.len() as u32);
        Args::new(&self.bytes, &self.ranges, encoded)
    }

    /// Bytes held by the queue for this command.
    pub fn mem_bytes(&self) -> usize {
        self.bytes.len() + std::mem::size_of_val(&*self.ranges) + std::mem::size_of::<Queued>()
    }
}

/// An open transaction.
#[derive(Debug, Default)]
pub struct Multi {
    /// What EXEC will run.
    pub queue: Vec<Queued>,
    /// A command was refused while queueing: EXEC aborts.
    pub aborted: bool,
}
