//! Encrypted connections (TLS 1.2 and 1.3, by rustls): who we are, whom is believed, and a socket over another.
//!
//! ```text
//!   Plan (what is configured) --files--> Encryption: what new connections are made by; replaced as a whole, or not at all
//!                                            |  accept, accept_peer, connect, over
//!                                            v
//!   Stream::Other(TlsStream) over Stream     the same to whoever reads and writes; Stream::shake says when it can be used
//! ```
//!
//! | file | what |
//! |---|---|
//! | `encryption` | the way in: contexts made of a plan, and connections made of contexts |
//! | `identity`, `passphrase` | certificates and keys out of files |
//! | `trust`, `certificate`, `der` | whom is believed |
//! | `offer` | versions and ciphers by their names |
//! | `sessions` | sessions that clients may take up again |
//! | `stream`, `acceptor` | connections that do not block; a MIGRATE's, which does, is rustls' own |

mod acceptor;
mod certificate;
mod der;
mod encryption;
mod identity;
mod offer;
mod passphrase;
mod sessions;
mod stream;
mod trust;

pub use acceptor::TlsAcceptor;
pub use encryption::{Asks, Encryption, Plan, Sessions};
