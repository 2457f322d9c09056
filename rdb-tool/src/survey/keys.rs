//! Keys of a section that belong into a tree of prefixes, which depends on their order.

use cairn_toolkit::prefix::{Count, Tree};

/// Keys with what is counted of them, in the order of the file.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends in the bytes.
    ends: Vec<(usize, Count)>,
}

impl Keys {
    /// The next key.
    pub fn push(&mut self, key: &[u8], count: Count) {
        self.bytes.extend_from_slice(key);
        self.ends.push((self.bytes.len(), count));
    }

    /// Adds them to the tree of the whole.
    pub fn add_to(&self, tree: &mut Tree) {
        let mut begin = 0;
        for (end, count) in &self.ends {
            tree.add(&self.bytes[begin..*end], *count);
            begin = *end;
        }
    }
}
