//! Whole servers on virtual sockets, disk and time, driven by random clients; everything follows from one seed.
//!
//! ```text
//!   seed ──> cluster ──> machines, each an instance; cable: what is between them
//!                └────> clients, and whoever runs the cluster ── archive: all that any stream ever held
//!   seed ──> run ──> instance: the node of cairn-server, its real loop, engine, log and snapshots
//!             │         └── host, net: clock, disk, threads, children, sockets, poll, without a system beneath
//!             └────> client, client, ...: random requests in pieces, slow reading, half-closes, resets, kills
//!                       └── ledger: what the replies so far allow
//! ```
//!
//! The simulator decides who sends how much, who reads, which socket is reported ready and in which order, when a thread does
//! its next job, when a child is done, how time goes on, and when the power fails. A run that finds something names its seed,
//! and the same seed finds it again. Design: `docs/simulation.md`.

pub mod cable;
pub mod child;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod host;
pub mod instance;
pub mod ledger;
pub mod machine;
pub mod mesh;
pub mod moves;
pub mod net;
pub mod run;
pub mod seed;
pub mod slabs;
pub mod sniff;
pub mod talk;
pub mod visitor;
