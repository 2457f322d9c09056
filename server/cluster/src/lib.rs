//! The machine of a cluster's node: who has which slots, who has failed, who follows whom, without sockets, files and clocks.
//!
//! ```text
//! machine    the node: told what happened, it gathers what is to be done; commands are its methods
//! nodes      all nodes that this one knows
//! owners     who has each slot, and which slots move
//! moves      slots that move as one from node to node: both ends of it
//! seam       what the machine is told and what it asks for
//! ```
//! Design, and the rules of the seam: `docs/cluster.md`. It draws no random numbers and reads no clock: both come with each call.

pub mod machine;
pub mod moves;
mod nodes;
mod owners;
pub mod seam;

pub use machine::Machine;
