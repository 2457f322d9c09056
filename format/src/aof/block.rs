//! Blocks of an archived stream: a line behind each says what it is, when it came and where in the stream of replication it ends.
//!
//! ```text
//!   *3\r\n$3\r\nSET ...                          some records, transactions whole
//!   #BLOCK:<id>:<offset>:<ms>:<bytes>:<crc64>    of all bytes since the line before it, and of the line up to here
//! ```
//! `offset` is that of the last byte of the stream so far, `ms` Unix milliseconds. Servers pass over such lines. A block without its line, or with
//! another checksum, does not count: an archive goes on behind the last one that does.

use super::reader::SliceReader;
use crate::crc64::Crc64;
use crate::text::number::parse_i64;

const MARK: &[u8] = b"#BLOCK:";
/// Bytes of an id.
const ID: usize = 40;

/// What the line of a block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The stream's name.
    pub id: Vec<u8>,
    /// Offset of its last byte so far.
    pub offset: u64,
    /// When it came, Unix milliseconds.
    pub ms: u64,
    /// Bytes of the block.
    pub bytes: u64,
    /// Their checksum.
    pub sum: u64,
}

impl Block {
    /// Reads the line, given without its end.
    pub fn parse(line: &[u8]) -> Option<Block> {
        let words: Vec<&[u8]> = line.strip_prefix(MARK)?.split(|b| *b == b':').collect();
        let [id, offset, ms, bytes, sum] = words[..] else {
            return None;
        };
        let number = |text: &[u8]| u64::try_from(parse_i64(text)?).ok();
        let is_id = id.len() == ID && id.iter().all(u8::is_ascii_alphanumeric);
        Some(Block {
            id: is_id.then(|| id.to_vec())?,
            offset: number(offset)?,
            ms: number(ms)?,
            bytes: number(bytes)?,
            sum: u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?,
        })
    }

    /// Appends the line of a block of `bytes`, of which this is what is known.
    pub fn write(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        let head = self.head();
        let sum = sum(bytes, &head);
        out.extend_from_slice(&head);
        out.extend_from_slice(format!("{sum:016x}\r\n").as_bytes());
    }

    /// The line up to the checksum.
    fn head(&self) -> Vec<u8> {
        let numbers = format!(":{}:{}:{}:", self.offset, self.ms, self.bytes);
        [MARK, &self.id, numbers.as_bytes()].concat()
    }
}

fn sum(bytes: &[u8], head: &[u8]) -> u64 {
    let mut sum = Crc64::new();
    sum.update(bytes);
    sum.update(head);
    sum.value()
}

/// What the blocks of a file are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The first block and the last one that are right.
    pub first: Option<Block>,
    /// See `first`.
    pub last: Option<Block>,
    /// Behind the line of the last one that is right.
    pub end: u64,
    /// Where a block begins whose line does not fit it.
    pub wrong: Option<u64>,
}

/// Whether a file holds blocks: it begins with the line of one.
pub fn has_blocks(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK)
}

/// Looks at all blocks up to the first that is wrong, telling `progress` each offset.
pub fn verify(bytes: &[u8], mut progress: impl FnMut(u64)) -> Found {
    let mut reader = SliceReader::new(bytes, 0);
    let mut found = Found::default();
    while let Ok(Some(item)) = reader.next_item() {
        progress(item.offset);
        let Some(block) = item.annotation().and_then(Block::parse) else {
            continue;
        };
        let begin = usize::try_from(found.end).unwrap_or(usize::MAX);
        let end = usize::try_from(item.offset).unwrap_or(usize::MAX);
        let content = bytes.get(begin..end).unwrap_or_default();
        if block.bytes != content.len() as u64 || block.sum != sum(content, &block.head()) {
            found.wrong = Some(found.end);
            return found;
        }
        found.end = item.end();
        found.first.get_or_insert_with(|| block.clone());
        found.last = Some(block);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: &[u8], offset: u64) -> Vec<u8> {
        let mut out = bytes.to_vec();
        let line = Block {
            id: vec![b'a'; ID],
            offset,
            ms: 1_700_000_000_123,
            bytes: bytes.len() as u64,
            sum: 0,
        };
        line.write(&mut out, bytes);
        out
    }

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";

    #[test]
    fn blocks_count_up_to_the_first_that_is_torn_or_changed() {
        let (first, second) = (block(b"", 7), block(&SET.repeat(3), 99));
        let whole = [&first[..], &second, SET].concat();
        let found = verify(&whole, |_| ());
        let end = (first.len() + second.len()) as u64;
        assert_eq!((found.end, found.wrong), (end, None));
        assert_eq!(found.last.as_ref().map(|block| block.offset), Some(99));
        assert!(has_blocks(&whole) && !has_blocks(SET));
        for cut in first.len()..first.len() + second.len() {
            assert_eq!(
                verify(&whole[..cut], |_| ()).end,
                first.len() as u64,
                "{cut}"
            );
        }
        for at in first.len()..first.len() + second.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(verify(&changed, |_| ()).end, first.len() as u64, "{at}");
        }
    }

    #[test]
    fn lines_are_read_as_they_are_written_and_no_others() {
        let line = block(b"", 7);
        let line = line.strip_suffix(b"\r\n").unwrap();
        let mut again = Vec::new();
        Block::parse(line).unwrap().write(&mut again, b"");
        assert_eq!(again.strip_suffix(b"\r\n"), Some(line));
        for wrong in [
            "#BLOCK:",
            "#BLOCK:a:1:1:1:1",
            "#TS:1",
            "#BLOCK:x:1:1:1:zz:9",
        ] {
            assert_eq!(Block::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
