//! Ports for the servers of tests, no two the same. Test files name this file by its path.

use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

/// The first port that is handed out.
const FIRST: u16 = 10_000;
/// How many there are. Ten thousand above each lies the port of its cluster bus, so both ranges end at 30,000: below what
/// Linux gives to outgoing connections and to whoever asks for any port (32,768 on, `net.ipv4.ip_local_port_range`).
const COUNT: u16 = 10_000;

/// A port that nobody has, and nobody who asks here gets before nine thousand others were handed out, in whatever process; the
/// one ten thousand above it is as free.
///
/// A port that the kernel finds free may be anybody's a moment later: two tests that run at a time got the same one.
pub fn free_port() -> u16 {
    (0..COUNT)
        .map(|_| FIRST + next())
        .find(|port| is_free(*port) && is_free(*port + COUNT))
        .expect("a port that is free")
}

/// Nobody listens there, on any address.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// The next number below `COUNT`, counted by all processes of the machine in one locked file.
fn next() -> u16 {
    let path = std::env::temp_dir().join("cairn-test-ports");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.lock().expect("the lock of the file");
    // Tests of other users count on in the same file. Only its owner may say so.
    let _ = file.set_permissions(Permissions::from_mode(0o666));
    let mut text = String::new();
    file.read_to_string(&mut text).expect("a number");
    let number = text.trim().parse::<u16>().unwrap_or(0) % COUNT;
    file.rewind().expect("a file that has a begin");
    write!(file, "{:04}", (number + 1) % COUNT).expect("room for a number");
    number
}
