//! LZF, the compression of long strings in snapshots.
//!
//! ```text
//!   000LLLLL                     copy the next L+1 bytes from here (1 to 32)
//!   LLLooooo oooooooo            copy L+2 bytes (3 to 8) from o+1 bytes back in the output
//!   111ooooo LLLLLLLL oooooooo   copy L+9 bytes (9 to 264) from o+1 bytes back
//!
//!   00 61 E0 02 00               is `aaaaaaaaaaaa`: one literal `a`, then 11 bytes from 1 back
//! ```
//!
//! Offsets reach 8,192 bytes back; a copy may overlap what it writes, which repeats it. No lengths and no end mark: the reader
//! is told both sizes.
//!
//! The compressor keeps its table of places between calls. Places count on from call to call, so that what an earlier input left
//! is older than the present input's first byte and needs no clearing; this is what makes short strings cheap. Its output is
//! readable by any LZF decompressor; the crate `lzf` is the reference in tests.
//!
//! It follows the compressor of Redis where a DUMP shows it: nothing is copied from the first byte, a copy does not reach
//! the last two bytes, and the room that has to be left is judged at the same places. Which earlier place is found can
//! differ in long inputs, where two triples share a slot of the table.

use crate::error::{Damage, FormatError, Result};

/// Fewest bytes that compression must save; below that a string is better stored plainly (Redis's own limit).
const SAVING_MIN: usize = 4;

const LITERAL_MAX: usize = 32;
const COPY_MIN: usize = 3;
const COPY_MAX: usize = 264;
const OFFSET_MAX: usize = 8192;
/// A copy that could go on to the end stops so many bytes before it, unless it is one of [`COPY_MIN`] then.
const TAIL_LITERALS: usize = 2;
/// Bytes that must be left below the limit before a copy, and at the end.
const COPY_ROOM: usize = 4;
const TAIL_ROOM: usize = 3;
/// At most 264 bytes come out of the three bytes of a long copy.
const EXPANSION_MAX: usize = COPY_MAX / 3;

const TABLE_BITS: u32 = 14;

/// Where three bytes were last seen. 64 KiB from its first use on; make one and keep it.
#[derive(Clone)]
pub struct Table {
    /// Place plus `base` of the call that stored it, so that a number below the present `base` is none.
    places: Box<[u32]>,
    base: u32,
}

impl Table {
    /// A table that has seen nothing.
    pub fn new() -> Self {
        Table {
            places: Box::default(),
            base: 1,
        }
    }

    /// The base for an input of `len` bytes; forgets everything when the count would run over.
    fn begin(&mut self, len: usize) -> u32 {
        let len = u32::try_from(len).expect("an input to compress is below 4 GiB");
        if self.places.is_empty() {
            self.places = vec![0; 1 << TABLE_BITS].into_boxed_slice();
        }
        if self.base.checked_add(len).is_none() {
            self.places.fill(0);
            self.base = 1;
        }
        let base = self.base;
        assert!(base > 0, "0 marks what was never seen");
        // Saturates only for an input of nearly 4 GiB; the next call then starts over.
        self.base = base.saturating_add(len);
        base
    }
}

impl Default for Table {
    fn default() -> Self {
        Table::new()
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} places)", self.places.len())
    }
}

/// Fewer slots for short inputs, so that they touch fewer cache lines.
fn slot_shift(len: usize) -> u32 {
    let bits = (usize::BITS - len.leading_zeros() + 1).clamp(8, TABLE_BITS);
    32 - bits
}

#[inline]
fn slot(three: u32, shift: u32) -> usize {
    (three.wrapping_mul(0x9e37_79b1) >> shift) as usize
}

#[inline]
fn three_at(input: &[u8], at: usize) -> u32 {
    u32::from(input[at]) | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]) << 16
}

/// Appends the compressed form of `input` to `out` if that saves at least `SAVING_MIN` bytes; otherwise leaves `out` as it was
/// and says false. Inputs of 4 GiB and more are not compressed.
pub fn compress(input: &[u8], out: &mut Vec<u8>, table: &mut Table) -> bool {
    if input.len() <= SAVING_MIN || u32::try_from(input.len()).is_err() {
        return false;
    }
    let start = out.len();
    let limit = start + input.len() - SAVING_MIN;
    out.reserve(input.len());
    if compress_into(input, out, limit, table) {
        assert!(
            out.len() - start + SAVING_MIN <= input.len(),
            "it saves what it must"
        );
        debug_assert!(
            holds(&out[start..], input.len()),
            "it stands for as many bytes"
        );
        return true;
    }
    out.truncate(start);
    false
}

fn compress_into(input: &[u8], out: &mut Vec<u8>, limit: usize, table: &mut Table) -> bool {
    let base = table.begin(input.len());
    let shift = slot_shift(input.len());
    // The first byte that is neither copied nor put out as a literal yet.
    let (mut literal, mut at) = (0, 0);
    while at + COPY_MIN <= input.len() {
        let three = three_at(input, at);
        let place = &mut table.places[slot(three, shift)];
        let seen = *place;
        *place = base + at as u32;
        let from = match seen.checked_sub(base) {
            Some(from)
                if from > 0
                    && at - from as usize <= OFFSET_MAX
                    && three_at(input, from as usize) == three =>
            {
                from as usize
            }
            _ => {
                at += 1;
                continue;
            }
        };
        let len = match_len(input, from, at);
        debug_assert!(
            from < at && at + len <= input.len(),
            "copied from before, within the input"
        );
        put_literals(out, &input[literal..at]);
        if out.len() + COPY_ROOM >= limit {
            return false;
        }
        put_copy(out, at - from, len);
        let end = at + len;
        // The last two places of what was copied are the likeliest starts of the next copy.
        for inner in end.saturating_sub(2)..end {
            if inner + COPY_MIN <= input.len() {
                table.places[slot(three_at(input, inner), shift)] = base + inner as u32;
            }
        }
        (literal, at) = (end, end);
    }
    let before_tail = out.len() + (at - literal) + (at - literal) / LITERAL_MAX + 1;
    put_literals(out, &input[literal..]);
    before_tail + TAIL_ROOM <= limit
}

/// How many bytes from `from` on equal those from `at` on; at least the three that were compared already.
#[inline]
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let longest = (input.len() - at).saturating_sub(TAIL_LITERALS);
    let longest = longest.clamp(COPY_MIN, COPY_MAX);
    debug_assert_eq!(
        three_at(input, from),
        three_at(input, at),
        "compared already"
    );
    let (old, new) = (&input[from..from + longest], &input[at..at + longest]);
    let mut len = COPY_MIN;
    while let (Some(a), Some(b)) = (old[len..].first_chunk::<8>(), new[len..].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return len + (differ.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    while len < longest && old[len] == new[len] {
        len += 1;
    }
    len
}

#[inline]
fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERAL_MAX) {
        debug_assert!((1..=LITERAL_MAX).contains(&run.len()), "five bits");
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

#[inline]
fn put_copy(out: &mut Vec<u8>, back: usize, len: usize) {
    debug_assert!((COPY_MIN..=COPY_MAX).contains(&len) && (1..=OFFSET_MAX).contains(&back));
    let (offset, len) = (back - 1, len - 2);
    if len < 7 {
        out.extend_from_slice(&[(len as u8) << 5 | (offset >> 8) as u8, offset as u8]);
    } else {
        out.extend_from_slice(&[0xe0 | (offset >> 8) as u8, (len - 7) as u8, offset as u8]);
    }
}

fn damage<T>(at: usize, what: String) -> Result<T> {
    Err(FormatError::new(Damage::Lzf, at as u64, what))
}

/// Appends the `len` bytes that `packed` stands for to `out`.
///
/// # Errors
/// [`Damage::Lzf`] with the offset within `packed`: a token is cut off, a copy reaches before the start, the output is not
/// exactly `len` bytes. `out` is then as it was. Memory is taken only for what `packed` can really hold.
pub fn decompress(packed: &[u8], len: usize, out: &mut Vec<u8>) -> Result<()> {
    if len > packed.len().saturating_mul(EXPANSION_MAX) {
        return damage(
            0,
            format!(
                "lzf: {len} bytes claimed, {} compressed bytes cannot hold them",
                packed.len()
            ),
        );
    }
    let start = out.len();
    // Zeroed first, so that pieces of fixed size can be copied into place; a copy of variable size costs a call for a few bytes. Where
    // the buffer has room behind, they may reach beyond the end.
    out.reserve_exact(len);
    let slack = SLACK.min(out.capacity() - start - len);
    out.resize(start + len + slack, 0);
    let result = decompress_into(packed, &mut out[start..], len);
    out.truncate(start + if result.is_ok() { len } else { 0 });
    result
}

/// The longest piece, of which at least one byte belongs to the output.
const SLACK: usize = LITERAL_MAX - 1;

/// Fills the first `len` bytes of `out`, and what is behind them with anything.
fn decompress_into(packed: &[u8], out: &mut [u8], len: usize) -> Result<()> {
    // What is wrong is told elsewhere: its words would take the registers of this loop.
    match fill(packed, out, len) {
        Ok(done) if done == len => Ok(()),
        Ok(done) => damage(
            packed.len(),
            format!("lzf: {len} bytes claimed, the data ends after {done}"),
        ),
        Err((at, done)) => bad_token(packed, at, done, len),
    }
}

/// The same; gives how many bytes there were, or where a token is wrong and how many bytes there were before.
fn fill(packed: &[u8], out: &mut [u8], len: usize) -> std::result::Result<usize, (usize, usize)> {
    let (mut at, mut done) = fill_far_from_end(packed, out, len);
    while let Some((&control, rest)) = packed.get(at..).and_then(<[u8]>::split_first) {
        if control < 32 {
            let run = usize::from(control) + 1;
            if run > rest.len() || run > len - done {
                return Err((at, done));
            }
            copy_literals(rest, &mut out[done..], run);
            at += 1 + run;
            done += run;
        } else {
            let Some((copied, back, size)) = read_copy(control, rest) else {
                return Err((at, done));
            };
            if back > done || copied > len - done {
                return Err((at, done));
            }
            copy_back(out, done, back, copied);
            at += 1 + size;
            done += copied;
        }
    }
    assert!(done <= len && at == packed.len(), "within both");
    Ok(done)
}

/// As [`fill`] up to the last bytes: as long as the longest literal run fits on both sides, so that its bytes are copied without a look at how many
/// they are. Stops before a token that is wrong, too. Gives how many bytes were taken and made.
#[inline(never)]
fn fill_far_from_end(packed: &[u8], out: &mut [u8], len: usize) -> (usize, usize) {
    let (mut rest, mut done) = (packed, 0);
    while let Some(token) = rest.first_chunk::<{ 1 + LITERAL_MAX }>()
        && let Some(to) = out.get_mut(done..).and_then(<[u8]>::first_chunk_mut)
    {
        let [control, next, third, ..] = *token;
        if control < 32 {
            let run = usize::from(control) + 1;
            if run > len - done {
                break;
            }
            let [_, literals @ ..] = token;
            *to = *literals;
            done += run;
            rest = &rest[run + 1..];
            continue;
        }
        let (copied, low, size) = match control {
            0xe0.. => (usize::from(next) + 9, third, 3),
            _ => (usize::from(control >> 5) + 2, next, 2),
        };
        let back = (usize::from(control & 31) << 8 | usize::from(low)) + 1;
        if back > done || copied > len - done {
            break;
        }
        copy_back(out, done, back, copied);
        done += copied;
        rest = &rest[size..];
    }
    (packed.len() - rest.len(), done)
}

/// Why the token at `at` cannot be, where `done` of `len` bytes were written.
#[cold]
fn bad_token(packed: &[u8], at: usize, done: usize, len: usize) -> Result<()> {
    let (control, rest) = (packed[at], &packed[at + 1..]);
    let run = usize::from(control) + 1;
    let too_much = || format!("lzf: {len} bytes claimed, the data holds more");
    let what = match read_copy(control, rest) {
        _ if control < 32 && run > rest.len() => {
            let remain = rest.len();
            format!("lzf: {run} literal bytes claimed, {remain} remain")
        }
        _ if control < 32 => too_much(),
        None => "lzf: back reference is cut off".into(),
        Some((_, back, _)) if back > done => {
            format!("lzf: back reference {back} bytes back, {done} were written")
        }
        Some(_) => too_much(),
    };
    damage(at, what)
}

/// Whether `packed` stands for exactly `len` bytes: what [`decompress`] would find, without writing the output. A copy is sound if
/// it reaches back no further than the output does, so that counting is enough.
pub fn holds(packed: &[u8], len: usize) -> bool {
    let (mut at, mut out) = (0, 0);
    // Tokens follow in no order that a processor could guess, so both kinds are computed and one is chosen.
    let mut sound = true;
    while let Some(&[control, next, third]) = packed.get(at..).and_then(<[u8]>::first_chunk) {
        let (is_literal, is_long) = (control < 32, control >= 0xe0);
        let low = if is_long { third } else { next };
        let back = (usize::from(control & 31) << 8 | usize::from(low)) + 1;
        sound &= is_literal | (back <= out);
        let run = usize::from(control) + 1;
        let copy = usize::from(control >> 5) + 2 + if is_long { usize::from(next) } else { 0 };
        at += if is_literal {
            run + 1
        } else {
            2 + usize::from(is_long)
        };
        out += if is_literal { run } else { copy };
    }
    // Two bytes are left at most: a run of one byte, or a short copy.
    if let Some(&[control, next]) = packed.get(at..) {
        let back = (usize::from(control & 31) << 8 | usize::from(next)) + 1;
        match control {
            0 => out += 1,
            32..0xe0 if back <= out => out += usize::from(control >> 5) + 2,
            _ => return false,
        }
        at += 2;
    }
    sound && at == packed.len() && out == len
}

/// Length, distance back and bytes taken after the control byte.
#[inline]
fn read_copy(control: u8, rest: &[u8]) -> Option<(usize, usize, usize)> {
    let high = usize::from(control & 31) << 8;
    match (control >> 5, rest) {
        (7, [len, low, ..]) => Some((usize::from(*len) + 9, (high | usize::from(*low)) + 1, 2)),
        (7, _) | (_, []) => None,
        (len, [low, ..]) => Some((usize::from(len) + 2, (high | usize::from(*low)) + 1, 1)),
    }
}

/// Bytes that a copy moves at once, and where less room is left.
const PIECE: usize = 16;
const SMALL_PIECE: usize = 8;

/// Copies a run of at most 32 bytes; where there is room, all 32, of which what follows overwrites the rest.
#[inline]
fn copy_literals(from: &[u8], to: &mut [u8], run: usize) {
    if let (Some(from), Some(to)) = (from.first_chunk::<LITERAL_MAX>(), to.first_chunk_mut()) {
        *to = *from;
    } else if run <= SMALL_PIECE
        && let (Some(from), Some(to)) = (from.first_chunk::<SMALL_PIECE>(), to.first_chunk_mut())
    {
        *to = *from;
    } else {
        to[..run].copy_from_slice(&from[..run]);
    }
}

/// Repeats at `at` what stands `back` bytes before, for `len` bytes, which must fit. Pieces may reach beyond, as far as there is room.
#[inline(always)]
fn copy_back(out: &mut [u8], at: usize, back: usize, len: usize) {
    // Most copies are shorter than a piece, and come from farther back than they are long.
    if len <= back.min(PIECE)
        && let Some(piece) = out[at - back..].first_chunk::<PIECE>().copied()
        && let Some(to) = out[at..].first_chunk_mut()
    {
        *to = piece;
    } else if len <= back.min(SMALL_PIECE)
        && let Some(piece) = out[at - back..].first_chunk::<SMALL_PIECE>().copied()
        && let Some(to) = out[at..].first_chunk_mut()
    {
        *to = piece;
    } else {
        copy_long(out, at, back, len);
    }
}

/// The same for what is longer, or nearer to itself or to the end.
#[inline(never)]
fn copy_long(out: &mut [u8], at: usize, back: usize, len: usize) {
    let from = at - back;
    let mut done = 0;
    if back >= PIECE && at + len + PIECE <= out.len() {
        while done < len {
            out.copy_within(from + done..from + done + PIECE, at + done);
            done += PIECE;
        }
    }
    // What is copied becomes part of what is copied from, so the piece doubles.
    while done < len {
        let piece = (len - done).min(back + done);
        out.copy_within(from..from + piece, at + done);
        done += piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(packed: &[u8], len: usize) -> Result<Vec<u8>> {
        let mut out = b"kept".to_vec();
        let result = decompress(packed, len, &mut out);
        // Pieces reach as far as there is room, which must make no difference.
        for room in [1, 7, 8, 20, 100] {
            let mut roomy = Vec::with_capacity(4 + len.min(1 << 16) + room);
            roomy.extend_from_slice(b"kept");
            let again = decompress(packed, len, &mut roomy);
            assert_eq!(format!("{again:?}"), format!("{result:?}"));
            assert_eq!(roomy, out);
        }
        assert_eq!(holds(packed, len), result.is_ok());
        assert!(out.starts_with(b"kept"));
        assert!(result.is_ok() || out.len() == 4);
        result.map(|()| out.split_off(4))
    }

    #[test]
    fn the_example_of_the_head_reads() {
        let packed = [0x00, 0x61, 0xe0, 0x02, 0x00];
        assert_eq!(unpack(&packed, 12).unwrap(), b"aaaaaaaaaaaa");
        let mut out = Vec::new();
        assert!(compress(&[b'a'; 60], &mut out, &mut Table::new()));
        // What Redis 7.2.4 makes of it.
        assert_eq!(out, b"\x01aa\xe0\x2f\x00\x01aa");
        assert!(!compress(b"aaaaaaaaaaaa", &mut out, &mut Table::new()));
    }

    #[test]
    fn refuses_what_does_not_fit_exactly() {
        let packed = [0x02, b'a', b'b', b'c', 0x20, 0x02];
        assert_eq!(unpack(&packed, 6).unwrap(), b"abcabc");
        for (packed, len) in [
            (&packed[..], 5),
            (&packed, 7),
            (&packed, 0),
            (&packed, usize::MAX),
            (&packed[..5], 6),
            (&packed[..3], 3),
            (&[], 1),
            (&[0x20, 0x00], 3),
            (&[0x00, b'a', 0x20, 0x01], 4),
            (&[0x00, b'a', 0xe0, 0x00], 10),
            (&[0x00, b'a', 0xe0], 10),
            (&[0x1f, b'a'], 32),
        ] {
            let error = unpack(packed, len).unwrap_err();
            assert_eq!(error.kind, Damage::Lzf, "{packed:?} as {len}");
        }
        assert_eq!(unpack(&[], 0).unwrap(), b"");
    }

    #[test]
    fn a_table_forgets_when_its_count_runs_over() {
        let mut table = Table::new();
        table.base = u32::MAX - 10;
        for _ in 0..3 {
            let mut out = Vec::new();
            assert!(compress(b"abcabcabcabcabcabc", &mut out, &mut table));
            assert_eq!(unpack(&out, 18).unwrap(), b"abcabcabcabcabcabc");
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut out = vec![7];
        let mut table = Table::new();
        assert!(
            !compress(&bytes, &mut out, &mut table)
                && !compress(b"", &mut out, &mut table)
                && !compress(b"aaaa", &mut out, &mut table)
        );
        assert_eq!(out, [7]);
    }

    fn wordy() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::strategy::Strategy;
        proptest::collection::vec((0usize..6, 0usize..9), 0..400).prop_map(|picks| {
            let words = ["alpha", "beta", "gamma ", "\"id\":", "00000000", "x"];
            picks
                .iter()
                .flat_map(|&(word, times)| words[word].repeat(times).into_bytes())
                .collect()
        })
    }

    proptest::proptest! {
        #[test]
        fn ours_reads_back_by_us_and_by_the_reference(inputs in proptest::collection::vec(wordy(), 1..4)) {
            let mut table = Table::new();
            for input in inputs {
                let mut packed = Vec::new();
                if compress(&input, &mut packed, &mut table) {
                    proptest::prop_assert!(packed.len() + SAVING_MIN <= input.len());
                    proptest::prop_assert_eq!(&unpack(&packed, input.len()).unwrap(), &input);
                    proptest::prop_assert_eq!(&::lzf::decompress(&packed, input.len()).unwrap(), &input);
                }
            }
        }

        #[test]
        fn the_reference_reads_back_by_us(input in wordy()) {
            if let Ok(packed) = ::lzf::compress(&input) {
                proptest::prop_assert_eq!(unpack(&packed, input.len()).unwrap(), input);
            }
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(packed in proptest::collection::vec(proptest::num::u8::ANY, 0..200), len in 0usize..3000) {
            if let Ok(bytes) = unpack(&packed, len) {
                proptest::prop_assert_eq!(bytes.len(), len);
            }
        }

        #[test]
        fn counting_agrees_with_decompressing(input in wordy(), at in 0usize..400, byte in proptest::num::u8::ANY, cut in 0usize..4) {
            let mut packed = Vec::new();
            if compress(&input, &mut packed, &mut Table::new()) {
                // `unpack` compares what the two say.
                let _ = unpack(&packed[..packed.len() - cut], input.len());
                let at = at % packed.len();
                packed[at] = byte;
                for len in input.len() - 3..input.len() + 4 {
                    let _ = unpack(&packed, len);
                }
            }
        }
    }

    /// Twice as many slots as bytes, within bounds: how many cache lines a short input touches.
    #[test]
    fn short_inputs_use_few_slots() {
        let slots = [1, 100, 128, 1000, 5000, 1 << 20].map(|len| 1u64 << (32 - slot_shift(len)));
        assert_eq!(slots, [256, 256, 512, 2048, 16384, 1 << TABLE_BITS]);
        for len in 1..5000 {
            assert!(slot(u32::MAX, slot_shift(len)) < 1 << TABLE_BITS);
        }
    }

    #[test]
    fn packs_about_as_well_as_the_reference() {
        let text: Vec<u8> = (0..4000u32)
            .flat_map(|n| {
                format!(
                    "{{\"id\":{n},\"name\":\"user {}\",\"mail\":\"u{}@example.org\"}}",
                    n * 7919 % 997,
                    n * 31
                )
                .into_bytes()
            })
            .collect();
        let mut table = Table::new();
        for size in [100, 300, 1000, 10_000, 100_000] {
            let mut ours = Vec::new();
            assert!(compress(&text[..size], &mut ours, &mut table));
            let reference = ::lzf::compress(&text[..size]).unwrap();
            assert!(
                ours.len() * 100 <= reference.len() * 105,
                "{size}: {} against {}",
                ours.len(),
                reference.len()
            );
        }
    }
}
