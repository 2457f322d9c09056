//! All that any stream ever held, and what may be compared with it.
//!
//! ```text
//!   stream 0  begin.............................  its author wrote this
//!   stream 1       ..........until^.............  another author went on with it under a new name
//! ```
//! A place is a stream and an offset, of the oldest stream that has this byte. So whatever two servers hold at one place has to
//! be the same: the bytes that led there, and the data that they made.

use std::collections::BTreeMap;

use cairn_replication::history::History;

use crate::net::HostId;

/// A stream, by its number.
pub type StreamId = usize;
/// A point of a stream: the offset of the last byte before it.
pub type Place = (StreamId, u64);
/// The number of a write, which stands in the stream as `@number;`.
pub type Token = u64;

struct Stream {
    /// Which one it goes on from, and the first offset that is not of that one any more.
    parent: Option<(StreamId, u64)>,
    /// Who gave it its name, and writes it.
    author: HostId,
    /// Offset of the first byte that is known.
    begin: u64,
    bytes: Vec<u8>,
    /// Bytes that were searched for tokens.
    searched: usize,
}

impl Stream {
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

/// The archive.
#[derive(Default)]
pub struct Archive {
    streams: Vec<Stream>,
    names: BTreeMap<Vec<u8>, StreamId>,
    tokens: BTreeMap<Token, Place>,
    data: BTreeMap<Place, (u64, HostId)>,
}

/// A token as it is sent.
pub fn text_of(token: Token) -> String {
    format!("@{token};")
}

/// The first token of a text, and where what follows it begins.
pub fn find_token(text: &[u8]) -> Option<(Token, usize)> {
    let begin = text.iter().position(|byte| *byte == b'@')? + 1;
    let len = text[begin..].iter().position(|byte| *byte == b';')?;
    let number = std::str::from_utf8(&text[begin..begin + len]).ok()?;
    Some((number.parse().ok()?, begin + len + 1))
}

impl Archive {
    /// The stream of this name, if any server ever had it.
    pub fn stream(&self, name: &[u8]) -> Option<StreamId> {
        self.names.get(name).copied()
    }

    /// The stream that a server is at. A name that is new is of a stream that this server begins, as `may_begin` allows it to.
    ///
    /// # Errors
    /// A name that nobody gave.
    pub fn meet(
        &mut self,
        host: HostId,
        history: &History,
        begin: u64,
        may_begin: bool,
    ) -> Result<StreamId, String> {
        if let Some(known) = self.stream(history.id().as_bytes()) {
            return Ok(known);
        }
        let parent = history
            .earlier()
            .and_then(|earlier| Some((self.stream(earlier.id.as_bytes())?, earlier.until)));
        let begins = may_begin || parent.is_some_and(|(_, until)| until > history.offset());
        if !begins {
            return Err(format!("it follows {}, which nobody began", history.id()));
        }
        let begin = parent.map_or(begin, |(_, until)| until);
        self.streams.push(Stream {
            parent,
            author: host,
            begin,
            bytes: Vec::new(),
            searched: 0,
        });
        let id = self.streams.len() - 1;
        self.names.insert(history.id().as_bytes().to_vec(), id);
        Ok(id)
    }

    /// Who writes a stream.
    pub fn author(&self, stream: StreamId) -> HostId {
        self.streams[stream].author
    }

    /// The stream that it all began with.
    pub fn root(&self, stream: StreamId) -> StreamId {
        match self.streams[stream].parent {
            Some((parent, _)) => self.root(parent),
            None => stream,
        }
    }

    /// The point of a stream, by its oldest name.
    pub fn place(&self, stream: StreamId, offset: u64) -> Place {
        match self.streams[stream].parent {
            Some((parent, until)) if offset < until => self.place(parent, offset),
            _ => (stream, offset),
        }
    }

    /// Whether who is at `held` has had everything up to `wanted`.
    pub fn holds(&self, held: Place, wanted: Place) -> bool {
        let (mut stream, mut offset) = held;
        loop {
            if stream == wanted.0 {
                return wanted.1 <= offset;
            }
            let Some((parent, until)) = self.streams[stream].parent else {
                return false;
            };
            (stream, offset) = (parent, offset.min(until - 1));
        }
    }

    /// Compares the bytes that a server has from `from` on, and learns what its author wrote.
    ///
    /// # Errors
    /// Bytes that were never there.
    pub fn compare(
        &mut self,
        stream: StreamId,
        from: u64,
        mut bytes: &[u8],
        may_write: bool,
    ) -> Result<(), String> {
        let mut at = from;
        while !bytes.is_empty() {
            let (now, last) = self.piece(stream, at, bytes.len());
            let (piece, rest) = bytes.split_at(now);
            let is_own = last == stream;
            self.compare_piece(last, at, piece, may_write && is_own)?;
            (at, bytes) = (at + now as u64, rest);
        }
        Ok(())
    }

    /// How many of the next bytes are of one stream, and of which.
    fn piece(&self, stream: StreamId, at: u64, len: usize) -> (usize, StreamId) {
        let (mut end, mut stream) = (at + len as u64, stream);
        while let Some((parent, until)) = self.streams[stream].parent
            && at < until
        {
            end = end.min(until);
            stream = parent;
        }
        ((end - at) as usize, stream)
    }

    fn compare_piece(
        &mut self,
        stream: StreamId,
        at: u64,
        piece: &[u8],
        may_write: bool,
    ) -> Result<(), String> {
        let known = &mut self.streams[stream];
        // What was before anybody looked is not known.
        let unknown = known.begin.saturating_sub(at).min(piece.len() as u64);
        let (at, piece) = (at + unknown, &piece[unknown as usize..]);
        let skipped = (at - known.begin) as usize;
        let shared = piece.len().min(known.bytes.len().saturating_sub(skipped));
        let there = known
            .bytes
            .get(skipped..skipped + shared)
            .unwrap_or_default();
        if let Some(wrong) = (0..shared).find(|n| there[*n] != piece[*n]) {
            let begin = wrong.saturating_sub(40);
            return Err(format!(
                "byte {} of the stream is in {:?} where {:?} was",
                at + wrong as u64,
                piece[begin..shared.min(wrong + 40)]
                    .escape_ascii()
                    .to_string(),
                there[begin..shared.min(wrong + 40)]
                    .escape_ascii()
                    .to_string(),
            ));
        }
        let new = &piece[shared..];
        if new.is_empty() {
            return Ok(());
        }
        if !may_write || at + shared as u64 != known.end() {
            return Err(format!(
                "bytes from {} on, {:?}, of a stream that its author left at {}",
                at + shared as u64,
                new[..new.len().min(80)].escape_ascii().to_string(),
                known.end()
            ));
        }
        known.bytes.extend_from_slice(new);
        self.search(stream);
        Ok(())
    }

    fn search(&mut self, stream: StreamId) {
        let Stream {
            begin,
            bytes,
            searched,
            ..
        } = &mut self.streams[stream];
        while let Some((token, len)) = find_token(&bytes[*searched..]) {
            *searched += len;
            let last = *begin + *searched as u64 - 1;
            self.tokens.insert(token, (stream, last));
        }
    }

    /// Where a write is, if it is in any stream.
    pub fn token(&self, token: Token) -> Option<Place> {
        self.tokens.get(&token).copied()
    }

    /// All writes that who is at `held` has had.
    pub fn tokens_of(&self, held: Place) -> impl Iterator<Item = Token> {
        let held = move |place: &Place| self.holds(held, *place);
        let all = self.tokens.iter();
        all.filter(move |(_, place)| held(place))
            .map(|(token, _)| *token)
    }

    /// The data at a place, by its number.
    ///
    /// # Errors
    /// It was something else for somebody.
    pub fn data(&mut self, place: Place, number: u64, host: HostId) -> Result<(), String> {
        let (known, whose) = *self.data.entry(place).or_insert((number, host));
        match known == number {
            true => Ok(()),
            false => Err(format!(
                "other data at {place:?} than server {whose} had there"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_replication::ReplId;
    use cairn_replication::primary::Primary;

    fn id(digit: u8) -> ReplId {
        ReplId::of_random([digit; 20])
    }

    #[test]
    fn bytes_that_were_never_there_are_seen() {
        let mut primary = Primary::new(id(1), 1 << 20);
        primary.keep_backlog();
        let mut archive = Archive::default();
        let old = archive.meet(0, primary.history(), 1, true).unwrap();
        archive.compare(old, 1, b"0123@7;789", true).unwrap();
        archive.compare(old, 3, b"23@7;78", false).unwrap();
        assert!(
            archive.compare(old, 3, b"2x", false).is_err(),
            "another byte"
        );
        assert!(
            archive.compare(old, 11, b"a", false).is_err(),
            "nobody wrote it"
        );
        assert!(archive.compare(old, 12, b"b", true).is_err(), "a gap");
        assert_eq!(archive.token(7), Some((old, 7)));

        primary.stream(b"01234567");
        primary.promoted(id(2), 0);
        let new = archive.meet(1, primary.history(), 0, true).unwrap();
        archive.compare(new, 7, b";7abc", true).unwrap();
        assert!(
            archive.compare(new, 7, b";789", true).is_err(),
            "the old one's"
        );
        assert_eq!(
            (archive.place(new, 8), archive.place(new, 9)),
            ((old, 8), (new, 9))
        );
        assert!(archive.holds((new, 11), (old, 8)) && !archive.holds((new, 11), (old, 9)));
        assert!(archive.holds((old, 10), (old, 9)) && !archive.holds((old, 10), (new, 9)));
        assert_eq!(archive.tokens_of((new, 11)).collect::<Vec<_>>(), [7]);
        assert_eq!(archive.tokens_of((old, 6)).count(), 0);
        let stranger = Primary::new(id(3), 1);
        assert!(archive.meet(2, stranger.history(), 1, false).is_err());
    }
}
