//! The server's program: see the crate's map.

use std::os::unix::ffi::OsStringExt;

use cairn_server::os::alloc::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    let _registration = cairn_server::os::alloc::register_thread();
    let args: Vec<Vec<u8>> = std::env::args_os()
        .skip(1)
        .map(OsStringExt::into_vec)
        .collect();
    let status = cairn_server::boot::main(&args);
    std::process::exit(status);
}
