//! Arguments of one command: ranges into the bytes in which the request arrived.

use std::ops::Range;

use cairn_format::text::double::parse_f64;
use cairn_format::text::number::parse_i64;

use super::error::{self, Error};

/// The arguments of one command, name first. Copying it copies two slices.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range<u32>],
    /// Where the whole request lies in `bytes`, if it is a multibulk that can be propagated as it is.
    encoded: Option<(u32, u32)>,
}

impl<'a> Args<'a> {
    /// `ranges` lie within `bytes`; `encoded` is the whole request if it came as multibulk.
    pub fn new(bytes: &'a [u8], ranges: &'a [Range<u32>], encoded: Option<Range<u32>>) -> Args<'a> {
        debug_assert!(
            !ranges.is_empty()
                && ranges
                    .iter()
                    .all(|r| r.start <= r.end && r.end as usize <= bytes.len())
        );
        Args {
            bytes,
            ranges,
            encoded: encoded.map(|r| (r.start, r.end)),
        }
    }

    /// Number of arguments, the name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Never true for a command that was dispatched.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `i`; the arity in the command's constant promises that it is there.
    #[inline]
    pub fn at(&self, i: usize) -> &'a [u8] {
        let r = &self.ranges[i];
        &self.bytes[r.start as usize..r.end as usize]
    }

    /// Argument `i` if there is one.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.ranges
            .get(i)
            .map(|r| &self.bytes[r.start as usize..r.end as usize])
    }

    /// Where argument `i` lies.
    #[inline(always)]
    pub fn bounds(&self, i: usize) -> Option<&'a Range<u32>> {
        self.ranges.get(i)
    }

    /// The bounds of argument `i`, if it has `least` bytes at the least.
    #[inline(always)]
    fn bounds_of(&self, i: usize, least: usize) -> Option<(usize, usize)> {
        let range = self.ranges.get(i)?;
        let (begin, end) = (range.start as usize, range.end as usize);
        (begin + least <= end).then_some((begin, end))
    }

    /// The first sixteen bytes of argument `i`, if there are as many, and its bounds. Where it ends before them, they are anything.
    #[inline(always)]
    pub fn front_at(&self, i: usize) -> Option<(&'a [u8; 16], &'a Range<u32>)> {
        let range = self.ranges.get(i)?;
        let begin = range.start as usize;
        let bytes = self.bytes.get(begin..begin + 16)?;
        Some((bytes.first_chunk()?, range))
    }

    /// As [`Args::front_at`], where less than sixteen bytes are there, and zeros.
    #[inline(always)]
    pub fn front_at_end(&self, i: usize) -> Option<([u8; 16], &'a Range<u32>)> {
        let range = self.ranges.get(i)?;
        let begin = range.start as usize;
        let missing = (begin + 16).checked_sub(self.bytes.len())?;
        if let (Some(last), Some(bits)) = (self.bytes.last_chunk(), missing.checked_mul(8)) {
            let shifted = u128::from_le_bytes(*last).checked_shr(bits as u32);
            return Some((shifted.unwrap_or_default().to_le_bytes(), range));
        }
        let rest = self.bytes.get(begin..)?;
        let byte = |at| rest.get(at).copied().unwrap_or_default();
        Some((std::array::from_fn(byte), range))
    }

    /// The first `N` bytes of argument `i` and the last `N`, if it has `least` bytes at the least.
    ///
    /// Where the compiler knows that `least` is `N` or more, one comparison is all that is left of the bounds.
    #[inline(always)]
    pub fn ends_at<const N: usize>(&self, i: usize, least: usize) -> Option<[&'a [u8; N]; 2]> {
        let (begin, end) = self.bounds_of(i, least)?;
        let text = &self.bytes[..end];
        Some([text[begin..].first_chunk()?, text.last_chunk()?])
    }

    /// The first `N` bytes of argument `i` and the `N` in front of its byte `until`, if it is as long ([`Args::ends_at`]).
    #[inline(always)]
    pub fn chunks_at<const N: usize>(&self, i: usize, until: usize) -> Option<[&'a [u8; N]; 2]> {
        let (begin, _) = self.bounds_of(i, until)?;
        let text = &self.bytes[..begin + until];
        Some([text[begin..].first_chunk()?, text.last_chunk()?])
    }

    /// All arguments from `from` on.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.ranges
            .get(from..)
            .unwrap_or(&[])
            .iter()
            .map(move |r| &bytes[r.start as usize..r.end as usize])
    }

    /// Whether argument `i` is this word, in any case. `word` is lower case.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self.get(i)
            .is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Argument `i` as an integer, or "value is not an integer or out of range".
    pub fn int(&self, i: usize) -> Result<i64, Error> {
        self.get(i).and_then(parse_i64).ok_or(error::NOT_INTEGER)
    }

    /// Argument `i` as a number of elements, or "value is out of range, must be positive".
    pub fn count(&self, i: usize) -> Result<usize, Error> {
        let count = self.get(i).and_then(parse_i64);
        count
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(error::MUST_BE_POSITIVE)
    }

    /// Argument `i` as an integer of a range, or the error that names the range.
    pub fn int_within(&self, i: usize, min: i64, max: i64) -> Result<i64, Error> {
        let number = self.int(i)?;
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        Err(Error::text(format!(
            "ERR value is out of range, value must between {min} and {max}"
        )))
    }

    /// Argument `i` as a floating point number, or "value is not a valid float".
    pub fn float(&self, i: usize) -> Result<f64, Error> {
        self.get(i).and_then(parse_f64).ok_or(error::NOT_FLOAT)
    }

    /// The whole request as it came, if it was a multibulk, and one that every reader of logs understands: requests are read
    /// laxly (`resp::request`), so that a client may have sent anything where an argument or a line ends.
    pub fn encoded(&self) -> Option<&'a [u8]> {
        let (start, end) = self.encoded?;
        self.has_line_ends(start as usize)
            .then(|| &self.bytes[start as usize..end as usize])
    }

    /// Whether CR and LF stand wherever they should. Counts and lengths are canonical, or the request would not be one.
    fn has_line_ends(&self, start: usize) -> bool {
        let Some(first) = self.ranges.first() else {
            return false;
        };
        let digits = (first.len() as u32).checked_ilog10().unwrap_or(0) as usize + 1;
        // `*2 CR LF $3 CR LF` before the first argument: the dollar is where the line of the count ends.
        let dollar = (first.start as usize).checked_sub(digits + 3);
        let count_ends = dollar.is_some_and(|at| at > start && self.bytes[at - 1] == b'\n');
        count_ends
            && self.ranges.iter().all(|range| {
                let (start, end) = (range.start as usize, range.end as usize);
                self.bytes[start - 1] == b'\n' && self.bytes[end..].starts_with(b"\r\n")
            })
    }

    /// Bytes of the request, or of its arguments where it did not come as one.
    #[inline]
    pub fn size(&self) -> usize {
        match self.encoded {
            Some((start, end)) => (end - start) as usize,
            None => self.iter_from(0).map(<[u8]>::len).sum(),
        }
    }

    /// One block with bytes and ranges of its own, for MULTI and for waiting commands.
    pub fn to_owned_block(&self) -> (Box<[u8]>, Box<[Range<u32>]>) {
        let (from, to) = self.encoded.unwrap_or_else(|| {
            let from = self.ranges.iter().map(|r| r.start).min().unwrap_or(0);
            (
                from,
                self.ranges.iter().map(|r| r.end).max().unwrap_or(from),
            )
        });
        let bytes = self.bytes[from as usize..to as usize].into();
        (
            bytes,
            self.ranges
                .iter()
                .map(|r| r.start - from..r.end - from)
                .collect(),
        )
    }
}

/// A command made of separate byte strings, such as a rewritten or replayed one.
#[derive(Debug, Default)]
pub struct ArgsBuf {
    bytes: Vec<u8>,
    ranges: Vec<Range<u32>>,
}

impl ArgsBuf {
    /// Copies the arguments.
    pub fn from_slices<T: AsRef<[u8]>>(args: &[T]) -> ArgsBuf {
        let mut buf = ArgsBuf::default();
        for arg in args {
            buf.push(arg.as_ref());
        }
        buf
    }

    /// Appends one argument.
    pub fn push(&mut self, arg: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(arg);
        assert!(
            u32::try_from(self.bytes.len()).is_ok(),
            "arguments of more than 4 GiB"
        );
        self.ranges.push(start..self.bytes.len() as u32);
    }

    /// Forgets the arguments.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
    }

    /// A view of them.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::resp::request::{Limits, RequestParser, Step};

    /// Whether a request that the parser takes is passed on as it came.
    fn is_passed_on(request: &[u8]) -> bool {
        let mut ranges = Vec::new();
        let step = RequestParser::new().next(request, 0, &mut ranges, &Limits::default());
        assert_eq!(step, Step::Command { end: request.len() });
        let args = Args::new(request, &ranges, Some(0..request.len() as u32));
        assert!(args.encoded().is_none_or(|encoded| encoded == request));
        args.encoded().is_some()
    }

    #[test]
    fn a_request_is_passed_on_only_with_its_line_ends() {
        let long = [
            b"*2\r\n$3\r\nSET\r\n$123\r\n".as_slice(),
            &[b'x'; 123],
            b"\r\n",
        ]
        .concat();
        assert!(is_passed_on(&long));
        let sound = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
        assert!(is_passed_on(sound));
        let mut lax = 0;
        for at in 0..sound.len() {
            let mut request = *sound;
            if matches!(request[at], b'\r' | b'\n') {
                request[at] = b'X';
                let step =
                    RequestParser::new().next(&request, 0, &mut Vec::new(), &Limits::default());
                // The CR of a line is looked at, all the rest is not.
                if step == (Step::Command { end: sound.len() }) {
                    lax += 1;
                    assert!(!is_passed_on(&request), "byte {at}");
                }
            }
        }
        assert_eq!(
            lax, 10,
            "one of each of four lines, two of each of three arguments"
        );
    }
}
