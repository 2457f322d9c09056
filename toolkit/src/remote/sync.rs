//! The snapshot that a server makes for a replica.
//!
//! ```text
//!   REPLCONF capa eof       we understand a snapshot whose end is a mark; older servers do not know the word
//!   REPLCONF rdb-only 1     we want no commands after it (7.0 and up)
//!   SYNC                    \n \n ... $LENGTH \r\n, or $EOF: and a mark of 40 bytes, \r\n; then the snapshot
//! ```

use super::client::Client;
use crate::outcome::Failure;
use std::io::{self, Cursor, Read};

/// Bytes of the mark that ends a snapshot sent without a length.
const MARK: usize = 40;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Asks for a snapshot, and gives its bytes.
pub(super) fn begin(mut client: Client) -> Result<Box<dyn Read + Send>, Failure> {
    for words in [["REPLCONF", "capa", "eof"], ["REPLCONF", "rdb-only", "1"]] {
        client.try_ask(&words)?;
    }
    client.send(b"SYNC\r\n")?;
    let head = loop {
        let line = client.line()?;
        match line.first() {
            None => {}
            Some(b'$') => break line[1..].to_vec(),
            Some(b'-') => {
                return Err(client
                    .refused("SYNC", &line[1..])
                    .hint("--scan asks for key after key instead"));
            }
            Some(_) => return Err(client.refused("SYNC", &line)),
        }
    };
    if let Some(mark) = head.strip_prefix(b"EOF:")
        && let Ok(mark) = <[u8; MARK]>::try_from(mark)
    {
        let (first, stream) = client.into_parts();
        return Ok(Box::new(Marked::new(
            Cursor::new(first).chain(stream),
            mark,
        )));
    }
    let length = std::str::from_utf8(&head)
        .ok()
        .and_then(|digits| digits.parse().ok());
    match length {
        Some(length) => {
            let (first, stream) = client.into_parts();
            Ok(Box::new(Cursor::new(first).chain(stream).take(length)))
        }
        None => Err(client.refused("SYNC", &head)),
    }
}

/// Bytes up to a mark.
struct Marked<R> {
    input: R,
    mark: [u8; MARK],
    /// What was received; from `at` to `safe` it can be given out.
    held: Vec<u8>,
    at: usize,
    safe: usize,
    is_over: bool,
}

impl<R: Read> Marked<R> {
    fn new(input: R, mark: [u8; MARK]) -> Marked<R> {
        Marked {
            input,
            mark,
            held: Vec::new(),
            at: 0,
            safe: 0,
            is_over: false,
        }
    }

    /// Receives more. All but the last bytes, which may be the begin of the mark, can then be given out.
    fn fill(&mut self) -> io::Result<()> {
        self.held.drain(..self.at);
        self.at = 0;
        let old = self.held.len();
        self.held.resize(old + CHUNK, 0);
        let read = self.input.read(&mut self.held[old..]);
        self.held.truncate(old + *read.as_ref().unwrap_or(&0));
        if read? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed by the server before the end of the snapshot",
            ));
        }
        match find(&self.held, &self.mark) {
            Some(end) => {
                self.safe = end;
                self.is_over = true;
            }
            None => self.safe = self.held.len().saturating_sub(MARK - 1),
        }
        Ok(())
    }
}

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.safe && !self.is_over && !out.is_empty() {
            self.fill()?;
        }
        let count = out.len().min(self.safe - self.at);
        out[..count].copy_from_slice(&self.held[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Where `mark` stands in `bytes`.
fn find(bytes: &[u8], mark: &[u8; MARK]) -> Option<usize> {
    let mut from = 0;
    loop {
        let place = from + bytes[from..].iter().position(|byte| *byte == mark[0])?;
        match bytes[place..].starts_with(mark) {
            true => return Some(place),
            false => from = place + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len()).min(self.0.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn the_mark_ends_it_wherever_it_is_torn() {
        let mark = [b'a'; MARK];
        let body = [&b"aREDIS"[..], &[b'a'; MARK - 1], b"xyz"].concat();
        let sent = [&body[..], &mark, b"*1\r\n$4\r\nPING\r\n"].concat();
        for step in [1, 2, 7, MARK, 1000] {
            let mut all = Vec::new();
            let mut marked = Marked::new(Drip(&sent, step), mark);
            marked.read_to_end(&mut all).unwrap();
            assert_eq!(all, body, "{step}");
        }
        let cut = &sent[..body.len() + MARK - 1];
        let mut marked = Marked::new(Drip(cut, 8), mark);
        let error = marked.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
