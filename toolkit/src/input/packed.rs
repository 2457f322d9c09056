//! Compressed files, told by their first bytes and read as what is in them.
//!
//! A file of several members or frames, as `cat a.gz b.gz` makes one, is read to its last.

use std::io::{self, BufRead, Read};

/// A compression that is undone here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Lz4,
}

/// Magic bytes of each.
const CODECS: [(&[u8], Codec); 3] = [
    (b"\x1f\x8b", Codec::Gzip),
    (b"\x28\xb5\x2f\xfd", Codec::Zstd),
    (b"\x04\x22\x4d\x18", Codec::Lz4),
];

impl Codec {
    /// The compression of a file that begins with `first`.
    pub fn of(first: &[u8]) -> Option<Codec> {
        CODECS
            .iter()
            .find(|(magic, _)| first.starts_with(magic))
            .map(|(_, codec)| *codec)
    }

    /// What is in `packed`.
    pub fn undo(self, packed: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            Codec::Lz4 => Box::new(Frames {
                decoder: lz4_flex::frame::FrameDecoder::new(packed),
            }),
        })
    }
}

/// The decoder of lz4 ends each frame with a read of nothing; the end is where two follow each other.
struct Frames<R: Read> {
    decoder: lz4_flex::frame::FrameDecoder<R>,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(out)? {
            0 if !out.is_empty() => self.decoder.read(out),
            read => Ok(read),
        }
    }
}
