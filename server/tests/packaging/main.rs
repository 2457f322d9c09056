//! What a package installs beside the programs.
//!
//! - `configuration`: `cairn.conf` has every directive once, with its default.
//! - `service`: the unit of systemd, and the file that a container is built from.

mod configuration;
#[path = "../support/listed.rs"]
mod listed;
mod service;
#[path = "../support/mod.rs"]
mod support;

/// A file below `packaging/`.
fn packaged(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}
