//! What calls cost by slot: CLUSTER SLOT-STATS. Counted at the end of each call that names keys; what a script or a transaction calls counts
//! with its keys' slot.

use cairn_format::crc16::SLOTS;

/// What the calls on one slot cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotUse {
    /// Time, microseconds.
    pub cpu_us: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of replies.
    pub bytes_out: u64,
}

/// All slots.
#[derive(Debug)]
pub struct SlotUses(Box<[SlotUse]>);

impl Default for SlotUses {
    fn default() -> SlotUses {
        SlotUses(vec![SlotUse::default(); usize::from(SLOTS)].into())
    }
}

impl SlotUses {
    /// What a slot cost so far.
    pub fn of(&self, slot: u16) -> SlotUse {
        self.0[usize::from(slot)]
    }

    /// A call has ended: its time, and the bytes of its request and reply.
    pub fn note(&mut self, slot: u16, [cpu_us, bytes_in, bytes_out]: [u64; 3]) {
        let slot = &mut self.0[usize::from(slot)];
        slot.cpu_us += cpu_us;
        slot.bytes_in += bytes_in;
        slot.bytes_out += bytes_out;
    }

    /// A slot begins at zero.
    pub fn forget(&mut self, slot: u16) {
        self.0[usize::from(slot)] = SlotUse::default();
    }
}
