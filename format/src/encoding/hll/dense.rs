//! Registers of six bits each: one of them, and all of them in blocks.
//!
//! Eight registers lie in six bytes. Read as one number, they spread to a byte each in three steps, each of which parts every
//! field in two; packing takes the steps back.
//!
//! ```text
//!   hhhhhhggggggffffffeeeeeeddddddccccccbbbbbbaaaaaa             48 bits in 64
//!   hhhhhhggggggffffffeeeeee        ddddddccccccbbbbbbaaaaaa     24 in 32
//!   hhhhhhgggggg    ffffffeeeeee    ddddddcccccc    bbbbbbaaaaaa 12 in 16
//!   hhhhhh  gggggg  ffffff  eeeeee  dddddd  cccccc  bbbbbb  aaaaaa 6 in 8
//! ```
//! A block is eight such numbers, at places that are known when this is compiled: the compiler takes several at once.

use super::REGISTERS;

/// Registers in a block.
const BLOCK: usize = 64;
/// Bytes that a block takes.
const PACKED: usize = BLOCK * 6 / 8;

/// The eight bytes at a place.
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The registers of six bytes, what stands in two further ones put aside.
fn spread(x: u64) -> u64 {
    let x = x & 0x00ff_ffff | (x & 0xffff_ff00_0000) << 8;
    let x = x & 0x0000_0fff_0000_0fff | (x & 0x00ff_f000_00ff_f000) << 4;
    x & 0x003f_003f_003f_003f | (x & 0x0fc0_0fc0_0fc0_0fc0) << 2
}

/// The other way; the two bytes that are left are 0.
fn gather(x: u64) -> u64 {
    let x = x & 0x003f_003f_003f_003f | (x & 0x3f00_3f00_3f00_3f00) >> 2;
    let x = x & 0x0000_0fff_0000_0fff | (x & 0x0fff_0000_0fff_0000) >> 4;
    x & 0x00ff_ffff | (x & 0x00ff_ffff_0000_0000) >> 8
}

fn unpack(packed: &[u8; PACKED]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (i, eight) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        // Two bytes more than needed are read: after the six, but before them where the block ends.
        let read = match i {
            7 => word(packed, PACKED - 8) >> 16,
            _ => word(packed, 6 * i),
        };
        *eight = spread(read).to_le_bytes();
    }
    block
}

fn pack(block: &[u8; BLOCK]) -> [u8; PACKED] {
    let mut gathered = [0; BLOCK / 8];
    for (word, eight) in gathered.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = gather(u64::from_le_bytes(*eight));
    }
    let mut packed = [0; PACKED];
    let (threes, _) = packed.as_chunks_mut::<24>();
    for (three, [a, b, c, d]) in threes.iter_mut().zip(gathered.as_chunks::<4>().0) {
        let words = [a | b << 48, b >> 16 | c << 32, c >> 32 | d << 16];
        for (eight, word) in three.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *eight = word.to_le_bytes();
        }
    }
    packed
}

fn raise_block(block: &mut [u8; BLOCK], to: &[u8; BLOCK]) {
    for (register, value) in block.iter_mut().zip(to) {
        *register = (*register).max(*value);
    }
}

/// Raises registers, a byte each, to those that are stored.
pub(super) fn unite(registers: &mut [u8; REGISTERS], stored: &[u8]) {
    let (packed, _) = stored.as_chunks::<PACKED>();
    let (blocks, _) = registers.as_chunks_mut::<BLOCK>();
    for (block, packed) in blocks.iter_mut().zip(packed) {
        raise_block(block, &unpack(packed));
    }
}

/// Raises stored registers to these, a byte each.
pub(super) fn store(registers: &[u8; REGISTERS], stored: &mut [u8]) {
    let (packed, _) = stored.as_chunks_mut::<PACKED>();
    let (blocks, _) = registers.as_chunks::<BLOCK>();
    for (block, packed) in blocks.iter().zip(packed) {
        let mut raised = unpack(packed);
        raise_block(&mut raised, block);
        *packed = pack(&raised);
    }
}

/// Gives a stored register this value if it is higher.
pub(super) fn raise(stored: &mut [u8], register: usize, value: u8) -> bool {
    assert!(
        register < REGISTERS && value < 64,
        "six bits in one of the registers"
    );
    let (byte, shift) = (register * 6 / 8, register * 6 % 8);
    let next = stored.get(byte + 1).copied().unwrap_or(0);
    let window = u16::from_le_bytes([stored[byte], next]);
    if (window >> shift & 63) as u8 >= value {
        return false;
    }
    let [low, high] = (window & !(63 << shift) | u16::from(value) << shift).to_le_bytes();
    stored[byte] = low;
    if let Some(next) = stored.get_mut(byte + 1) {
        *next = high;
    }
    true
}
