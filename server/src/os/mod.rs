//! The operating system: the only room of the server that calls it directly.
//!
//! Everything unsafe and everything that is only on Linux lives here, behind safe functions with a portable
//! answer for the other systems. The rooms above see the traits of [`crate::host`].

pub mod alloc;
pub mod clock;
pub mod disk;
