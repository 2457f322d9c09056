//! The operating system: the only room of the server that calls it directly.
//!
//! Everything unsafe and everything that is only on Linux lives here, behind safe functions with a portable
//! answer for the other systems. The rooms above see the traits of [`crate::host`].

pub mod alloc;
pub mod clock;
pub mod disk;

use std::io;

/// The system's words for an error, without Rust's `(os error 98)` behind them, as Redis's log lines have them.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_string(),
        _ => text,
    }
}
