//! The server's program: see the crate's map.

use std::os::unix::ffi::OsStringExt;

use cairn_server::os::alloc::{self, Jemalloc};

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    let _registration = alloc::register_thread();
    // Where the system grants no address space for them, there are none, and nothing is missing but some memory.
    alloc::own_slabs();
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let args: Vec<Vec<u8>> = args.map(OsStringExt::into_vec).collect();
    let status = cairn_server::boot::main(&program.to_string_lossy(), &args);
    std::process::exit(status);
}
