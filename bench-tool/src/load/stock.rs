//! Buffers that the links of a thread have in common.
//!
//! A link needs a buffer only while something is in it, which is mostly for the time of one call. The one that was given back last is taken next, so a few
//! kilobytes serve all links, and they stay in the processor's nearest cache.

use crate::workload::page::Page;

/// First size of an input; it doubles when a reply does not fit.
const INPUT_BYTES: usize = 16 << 10;

/// Buffers with nothing in them.
#[derive(Debug, Default)]
pub struct Stock {
    pages: Vec<Page>,
    inputs: Vec<Vec<u8>>,
}

impl Stock {
    /// A page to write on.
    pub fn page(&mut self) -> Page {
        self.pages.pop().unwrap_or_default()
    }

    /// Takes one that is sent.
    pub fn give_page(&mut self, page: Page) {
        debug_assert!(page.is_empty(), "bytes that were not sent");
        self.pages.push(page);
    }

    /// A buffer to read into.
    pub fn input(&mut self) -> Vec<u8> {
        self.inputs.pop().unwrap_or_else(|| vec![0; INPUT_BYTES])
    }

    /// Takes one that is read.
    pub fn give_input(&mut self, input: Vec<u8>) {
        self.inputs.push(input);
    }
}
