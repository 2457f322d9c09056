//! Which client's command runs right now, for the report of a crash.
//!
//! The request path only notes where it is: per batch of commands where their bytes are, per command where among them.
//! What it costs is a store per command. All of it is of the server's thread: no other may ask.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::line::Line;
use super::signals::write_raw;

/// Arguments of a command that are shown, and bytes of each.
const ARGS_SHOWN: usize = 16;
/// See [`ARGS_SHOWN`].
const BYTES_SHOWN: usize = 96;
/// Commands with secrets among their arguments: only their names are shown.
pub(crate) const SECRET: [&[u8]; 5] = [b"auth", b"hello", b"config", b"migrate", b"acl"];

static CLIENT: AtomicU64 = AtomicU64::new(0);
static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// The bytes of the commands at hand; null while none runs.
static BYTES: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);
static AT: AtomicU32 = AtomicU32::new(0);

/// Notes whose commands come next: its number and socket.
#[inline]
pub fn note_client(id: u64, socket: i32) {
    CLIENT.store(id, Ordering::Relaxed);
    SOCKET.store(socket, Ordering::Relaxed);
}

/// While it lives, commands out of these bytes run.
pub struct Commands<'a>(PhantomData<&'a [u8]>);

impl<'a> Commands<'a> {
    /// Notes where the commands are.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Commands<'a> {
        LEN.store(bytes.len(), Ordering::Relaxed);
        AT.store(0, Ordering::Relaxed);
        BYTES.store(bytes.as_ptr().cast_mut(), Ordering::Relaxed);
        Commands(PhantomData)
    }

    /// Notes where the next command begins.
    #[inline]
    pub fn at(&self, start: u32) {
        AT.store(start, Ordering::Relaxed);
    }
}

impl Drop for Commands<'_> {
    #[inline]
    fn drop(&mut self) {
        BYTES.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Writes the client and its command, in a handler or a hook of the server's thread.
pub(super) fn write(fd: i32) {
    let bytes = BYTES.load(Ordering::Relaxed);
    if bytes.is_null() {
        return;
    }
    // SAFETY: `Commands` borrows these bytes and takes the pointer back when it ends, on this thread; only reads happen.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, LEN.load(Ordering::Relaxed)) };
    let mut line = Line::new();
    line.text(b"\n------ CURRENT CLIENT INFO ------\nid=");
    line.number(CLIENT.load(Ordering::Relaxed) as i64);
    let socket = SOCKET.load(Ordering::Relaxed);
    line.text(b" fd=");
    line.number(i64::from(socket));
    line.text(b" addr=");
    write_peer(&mut line, socket);
    line.text(b"\n");
    write_raw(fd, line.bytes());
    let command = bytes.get(AT.load(Ordering::Relaxed) as usize..);
    write_command(fd, command.unwrap_or_default());
}

fn write_peer(line: &mut Line, socket: i32) {
    // SAFETY: the address is a local that is large enough for any; all zero bytes are one. `getpeername` may be called in
    // a handler.
    let address = unsafe {
        let mut address: libc::sockaddr_storage = std::mem::zeroed();
        let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        if libc::getpeername(socket, (&raw mut address).cast(), &mut len) != 0 {
            return line.text(b"?");
        }
        address
    };
    match i32::from(address.ss_family) {
        libc::AF_INET => {
            // SAFETY: an address of this family has this form.
            let v4 = unsafe { *(&raw const address).cast::<libc::sockaddr_in>() };
            for (at, byte) in v4.sin_addr.s_addr.to_ne_bytes().iter().enumerate() {
                line.text(if at == 0 { b"" } else { b"." });
                line.number(i64::from(*byte));
            }
            line.text(b":");
            line.number(i64::from(u16::from_be(v4.sin_port)));
        }
        libc::AF_UNIX => line.text(b"unix"),
        _ => line.text(b"other"),
    }
}

/// Writes the arguments of the command that these bytes begin with, as far as they are whole.
fn write_command(fd: i32, bytes: &[u8]) {
    let mut line = Line::new();
    let Some((count, mut rest)) = header(bytes, b'*') else {
        let end = bytes.iter().position(|b| *b == b'\n');
        let words = &bytes[..end.unwrap_or(bytes.len())];
        let name = words.split(|b| b.is_ascii_whitespace()).next();
        let secret = name.is_some_and(is_secret);
        line.text(b"inline: '");
        line.escaped(if secret {
            name.unwrap_or_default()
        } else {
            words
        });
        line.text(b"'\n");
        return write_raw(fd, line.bytes());
    };
    line.text(b"argc: '");
    line.number(count as i64);
    line.text(b"'\n");
    write_raw(fd, line.bytes());
    let mut secret = false;
    for number in 0..count.min(ARGS_SHOWN) {
        let Some((len, after)) = header(rest, b'$') else {
            return;
        };
        let Some(arg) = after.get(..len) else {
            return;
        };
        rest = after.get(len + 2..).unwrap_or_default();
        let mut line = Line::new();
        line.text(b"argv[");
        line.number(number as i64);
        if secret || len > BYTES_SHOWN {
            line.text(b"] of ");
            line.number(len as i64);
            line.text(b" bytes: '");
        } else {
            line.text(b"]: '");
        }
        if !secret {
            line.escaped(&arg[..len.min(BYTES_SHOWN)]);
        }
        line.text(b"'\n");
        write_raw(fd, line.bytes());
        secret |= number == 0 && is_secret(arg);
    }
}

fn is_secret(name: &[u8]) -> bool {
    SECRET.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// The number of a header line and what follows it.
fn header(bytes: &[u8], mark: u8) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(&[mark])?;
    let end = rest.iter().take(20).position(|b| *b == b'\r')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((number, rest.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};
    use std::os::fd::AsRawFd;

    fn written(bytes: &[u8]) -> String {
        let mut file = tempfile::tempfile().unwrap();
        write_command(file.as_raw_fd(), bytes);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_command_is_shown_and_a_password_is_not() {
        assert_eq!(
            written(b"*2\r\n$3\r\nGET\r\n$2\r\n\xff'\r\n*1\r\n"),
            "argc: '2'\nargv[0]: 'GET'\nargv[1]: '\\xff\\''\n"
        );
        assert_eq!(
            written(b"*2\r\n$4\r\nAuth\r\n$6\r\nsecret\r\n"),
            "argc: '2'\nargv[0]: 'Auth'\nargv[1] of 6 bytes: ''\n"
        );
        let long = format!("*1\r\n$200\r\n{}\r\n", "x".repeat(200));
        assert_eq!(
            written(long.as_bytes()),
            format!("argc: '1'\nargv[0] of 200 bytes: '{}'\n", "x".repeat(96))
        );
        assert_eq!(written(b"PING x\r\nPING"), "inline: 'PING x\\r'\n");
        assert_eq!(written(b"AUTH x\r\n"), "inline: 'AUTH'\n");
        for torn in [
            &b"*3\r\n$3\r\nSET\r\n$99\r\nab"[..],
            b"*1\r\n$-5\r\n",
            b"*9\r\n",
            b"",
        ] {
            written(torn);
        }
    }
}
