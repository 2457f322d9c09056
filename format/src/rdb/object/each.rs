//! Elements handed to a function one by one, where who reads them all can drop what it made if damage shows at the end.
//!
//! The iterators check a packed block before they give out its first element, and walk it a second time for the elements; here both
//! are one walk, and no element costs a look at which encoding it is of. Everything else goes through the iterators.
//!
//! Invariant: errors are those of the iterators.

use super::super::string::Text;
use super::blob::Blob;
use super::node::{Node, NodeKind};
use super::packed::{Elements, entry_text};
use super::zset::packed_score;
use super::{Field, Hash, List, Set, Zset};
use crate::encoding::intset::Intset;
use crate::encoding::listpack::Listpack;
use crate::error::{Damage, FormatError, Result};

impl<'a> Set<'a> {
    /// The members of a set of integers, which are checked; `None` of any other.
    ///
    /// # Errors
    /// Damage.
    pub fn ints(&self) -> Result<Option<Intset<'a>>> {
        let Set::Intset(blob) = self else {
            return Ok(None);
        };
        let set = match blob.is_checked() {
            true => Intset::new(blob.bytes()),
            false => Intset::check(blob.bytes()),
        };
        set.map(Some).map_err(|error| blob.place(error))
    }

    /// Hands over all members, in no order.
    ///
    /// # Errors
    /// Damage; what was handed over before is not to be trusted then.
    pub fn each_member(&self, mut each: impl FnMut(Text<'a>)) -> Result<()> {
        match self {
            Set::Listpack(blob) => each_entry(blob, each),
            Set::Intset(_) => {
                let ints = self.ints()?;
                (ints.iter().flat_map(Intset::iter)).for_each(|value| each(Text::Int(value)));
                Ok(())
            }
            Set::Plain(texts) => texts.clone().each(each),
        }
    }
}

impl List<'_> {
    /// Hands over all elements, head first.
    ///
    /// # Errors
    /// As [`Set::each_member`].
    pub fn each_element(&self, mut each: impl FnMut(&Text<'_>)) -> Result<()> {
        let nodes = match self {
            List::Plain(texts) => return texts.clone().each(|text| each(&text)),
            List::Ziplist(blob) => return all(Elements::ziplist(blob), |text| each(&text)),
            List::Quicklist(nodes) => nodes,
        };
        for node in nodes.clone() {
            each_of_node(&node?, &mut each)?;
        }
        Ok(())
    }
}

impl<'a> Hash<'a> {
    /// Hands over all fields, in the order of the file.
    ///
    /// # Errors
    /// As [`Set::each_member`].
    pub fn each_field(&self, mut each: impl FnMut(Field<'a>)) -> Result<()> {
        let Hash::Listpack(blob) = self else {
            return all(self.fields(), each);
        };
        let is_whole = each_two(blob, |name, value| {
            each(Field {
                name,
                value,
                expire_ms: None,
            })
        });
        match is_whole.map_err(|error| blob.place(error))? {
            true => Ok(()),
            false => Err(incomplete(blob.offset(), "the last field is incomplete")),
        }
    }
}

impl<'a> Zset<'a> {
    /// Hands over all members with their scores, in the order of the file.
    ///
    /// # Errors
    /// As [`Set::each_member`].
    pub fn each_pair(&self, mut each: impl FnMut(Text<'a>, f64)) -> Result<()> {
        let Zset::Listpack(blob) = self else {
            return all(self.pairs(), |(member, score)| each(member, score));
        };
        let mut wrong = None;
        let is_whole = each_two(blob, |member, score| {
            match packed_score(&score, blob.offset()) {
                Ok(score) => each(member, score),
                Err(error) => wrong = wrong.take().or(Some(error)),
            }
        });
        let is_whole = is_whole.map_err(|error| blob.place(error))?;
        match wrong {
            Some(error) => Err(error),
            None if is_whole => Ok(()),
            None => Err(incomplete(blob.offset(), "the last member has no score")),
        }
    }
}

fn incomplete(at: u64, what: &str) -> Box<FormatError> {
    FormatError::new(Damage::Encoding, at, what)
}

/// The entries of a listpack, checked on the way.
#[inline]
fn each_entry<'a>(blob: &Blob<'a>, mut each: impl FnMut(Text<'a>)) -> Result<()> {
    match Listpack::check_each(blob.bytes(), |entry| each(entry_text(entry))) {
        Ok(_) => Ok(()),
        Err(error) => Err(blob.place(error)),
    }
}

/// The entries of a listpack by twos; false if one is left over. What is wrong with the listpack itself comes before what is wrong with the entries.
#[inline]
fn each_two<'a>(blob: &Blob<'a>, mut each: impl FnMut(Text<'a>, Text<'a>)) -> Result<bool> {
    let mut walk = Listpack::check_walk(blob.bytes())?;
    while let Some(one) = walk.step()? {
        let Some(two) = walk.step()? else {
            return walk.finish().map(|_| false);
        };
        each(entry_text(one), entry_text(two));
    }
    walk.finish().map(|_| true)
}

fn each_of_node(node: &Node<'_>, each: &mut impl FnMut(&Text<'_>)) -> Result<()> {
    let blob = node.blob_of(&node.bytes);
    match node.kind {
        NodeKind::Plain => each(&Text::Bytes(&node.bytes)),
        NodeKind::Listpack => each_entry(&blob, |text| each(&text))?,
        NodeKind::Ziplist => all(Elements::ziplist(&blob), |text| each(&text))?,
    }
    Ok(())
}

fn all<T>(items: impl Iterator<Item = Result<T>>, mut each: impl FnMut(T)) -> Result<()> {
    for item in items {
        each(item?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Object;
    use super::*;
    use crate::rdb::Event;
    use crate::rdb::reader::{Options, SliceReader};

    /// What a value gives, and how that ended.
    type Told = (Vec<String>, Option<String>);

    fn told<T: std::fmt::Debug>(items: impl Iterator<Item = Result<T>>) -> Told {
        let mut texts = Vec::new();
        for item in items {
            match item {
                Ok(item) => texts.push(format!("{item:?}")),
                Err(error) => return (texts, Some(error.to_string())),
            }
        }
        (texts, None)
    }

    fn both_ways(value: &Object<'_>) -> Option<(Told, Told)> {
        let mut texts = Vec::new();
        let (one, ended) = match value {
            Object::List(list) => (
                told(list.elements().map(|text| text.map(Text::into_owned))),
                list.each_element(|text| texts.push(format!("{:?}", text.clone().into_owned()))),
            ),
            Object::Set(set) => (
                told(set.members()),
                set.each_member(|member| texts.push(format!("{member:?}"))),
            ),
            Object::Hash(hash) => (
                told(hash.fields()),
                hash.each_field(|field| texts.push(format!("{field:?}"))),
            ),
            Object::Zset(zset) => (
                told(zset.pairs()),
                zset.each_pair(|member, score| texts.push(format!("{:?}", (member, score)))),
            ),
            _ => return None,
        };
        Some((one, (texts, ended.err().map(|error| error.to_string()))))
    }

    /// Compares both ways for every collection of a file, as far as it can be read; gives how many there were, and how many damaged.
    fn compare(bytes: &[u8]) -> (usize, usize) {
        let (mut count, mut damaged) = (0, 0);
        let Ok(mut reader) = SliceReader::from_slice(bytes, Options::shallow()) else {
            return (0, 0);
        };
        while let Ok(Some(located)) = reader.next() {
            let Event::Record(record) = &located.event else {
                continue;
            };
            let Some((one, other)) = both_ways(&record.value) else {
                continue;
            };
            assert_eq!(one.1, other.1, "{:?}", record.head.key);
            match one.1 {
                None => assert_eq!(one.0, other.0, "{:?}", record.head.key),
                Some(_) => damaged += 1,
            }
            count += 1;
        }
        (count, damaged)
    }

    #[test]
    fn elements_and_errors_are_those_of_the_iterators() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
        let (mut all, mut bad) = (0, 0);
        for file in files(&corpus) {
            let mut bytes = std::fs::read(&file).unwrap();
            let (count, _) = compare(&bytes);
            all += count;
            // Each byte in turn, of files that are small enough for that.
            if bytes.len() > 1 << 10 {
                continue;
            }
            for at in 9..bytes.len() {
                let kept = bytes[at];
                for change in [1, 0x80] {
                    bytes[at] = kept ^ change;
                    bad += compare(&bytes).1;
                }
                bytes[at] = kept;
            }
        }
        assert!(all > 100 && bad > 100, "{all} collections, {bad} damaged");
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(files(&path)),
                false if path.extension().is_some_and(|end| end == "rdb") => found.push(path),
                false => {}
            }
        }
        found
    }
}
