//! What stands in a line before its value.
//!
//! ```text
//! {"db":0,"key":"aA==","type":"hash","expire_ms":null,"encoding":"listpack","value":
//! ^- before the key    ^- behind it
//! ```
//!
//! Keys are mostly in the database of the last one, there are few kinds of values, and most keys do not expire: so both are made once, and
//! copied then.

use crate::numbers::append_number;
use cairn_toolkit::json::{Text as _, append_text};

/// What was made.
#[derive(Debug, Default)]
pub struct Fronts {
    db: Option<u64>,
    before_key: Vec<u8>,
    kinds: Vec<Kind>,
}

/// A kind of values, and what stands behind their keys without an expiry.
#[derive(Debug)]
struct Kind {
    type_name: &'static str,
    encoding: &'static str,
    behind_key: Vec<u8>,
}

impl Fronts {
    /// Appends what stands before a key of a database.
    pub fn append_before_key(&mut self, text: &mut Vec<u8>, db: u64) {
        if self.db != Some(db) {
            self.db = Some(db);
            self.before_key.clear();
            before_key(&mut self.before_key, self.db);
        }
        text.extend_from_slice(&self.before_key);
    }

    /// Appends what stands between a key and its value.
    pub fn append_behind_key(
        &mut self,
        text: &mut Vec<u8>,
        type_name: &'static str,
        expire_ms: Option<i64>,
        encoding: &'static str,
    ) {
        if expire_ms.is_some() {
            return behind_key(text, type_name, expire_ms, encoding);
        }
        // The same words stand at the same place. If one should not, it is only made again.
        let is_that = |kind: &&Kind| {
            std::ptr::eq(kind.encoding, encoding) && std::ptr::eq(kind.type_name, type_name)
        };
        match self.kinds.iter().find(is_that) {
            Some(kind) => text.extend_from_slice(&kind.behind_key),
            None => self.append_new(text, type_name, encoding),
        }
    }

    #[cold]
    fn append_new(&mut self, text: &mut Vec<u8>, type_name: &'static str, encoding: &'static str) {
        let begin = text.len();
        behind_key(text, type_name, None, encoding);
        self.kinds.push(Kind {
            type_name,
            encoding,
            behind_key: text[begin..].to_vec(),
        });
    }
}

/// Appends what stands before a key; what is in no database has `null` there.
pub fn before_key(text: &mut Vec<u8>, db: Option<u64>) {
    text.put("{\"db\":");
    append_number(text, db);
    text.put(",\"key\":");
}

/// Appends what stands between a key and its value.
pub fn behind_key(text: &mut Vec<u8>, type_name: &str, expire_ms: Option<i64>, encoding: &str) {
    text.put(",\"type\":\"");
    text.put(type_name);
    text.put("\",\"expire_ms\":");
    append_number(text, expire_ms);
    text.put(",\"encoding\":");
    append_text(text, encoding);
    text.put(",\"value\":");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_is_made() {
        let mut fronts = Fronts::default();
        for _ in 0..2 {
            for db in [0, 0, 15, u64::MAX] {
                for (type_name, encoding) in [("set", "intset"), ("set", "raw"), ("list", "raw")] {
                    for expire_ms in [None, Some(-1)] {
                        let (mut kept, mut made) = (Vec::new(), Vec::new());
                        fronts.append_before_key(&mut kept, db);
                        fronts.append_behind_key(&mut kept, type_name, expire_ms, encoding);
                        before_key(&mut made, Some(db));
                        behind_key(&mut made, type_name, expire_ms, encoding);
                        assert_eq!(kept, made);
                    }
                }
            }
        }
        assert_eq!(fronts.kinds.len(), 3);
    }
}
