//! Values from any encoding into one that the target reads.
//!
//! | value | kept if the target has | else |
//! |---|---|---|
//! | list nodes | 14 from 7, 18 from 10 | elements, type 1 |
//! | hash, zset as listpack | 16, 17 from 10 | full, types 4 and 5 or 3 |
//! | set as listpack | 20 from 11 | full, type 2 |
//! | ziplist | from 6: before, integers had other forms | full, types 1, 3 and 4 |
//! | zipmap, intset | always: every later server reads them | |
//! | array | 28 from Redis 14 | refused |
//! | hash with expiry | 24, 25 from Redis 12; 22 in Valkey 80 and 81 | refused, or without those fields, or without their expiry |

use std::io::Write;

use super::super::event::Head;
use super::super::object::{
    Array, ArrayItem, Blob, Hash, List, NodeKind, Object, Set, Texts, Zset,
};
use super::{Collection, ExpiringFields, Lack, WriteError, WriteResult, Writer, Written};

impl<W: Write> Writer<W> {
    /// Writes a value in its encoding, or in the full one if the target cannot read that.
    ///
    /// # Errors
    /// As [`Writer::event`].
    pub fn object(&mut self, head: &Head<'_>, value: &Object<'_>) -> WriteResult<Written> {
        match value {
            Object::String(text) => {
                self.start(head, 0)?;
                self.put_text(text)?;
            }
            Object::List(list) => self.list(head, list)?,
            Object::Set(set) => self.set(head, set)?,
            Object::Zset(zset) => self.zset(head, zset)?,
            Object::Hash(hash) => return self.hash(head, hash),
            Object::Stream(stream) => return self.stream(head, stream),
            Object::Module(module) => {
                if !self.dialect().has_modules() {
                    return Err(self.unsupported(Lack::Module, head.key, false));
                }
                self.start(head, 7)?;
                super::write_len(&mut self.buffer, module.id);
                self.put_raw(module.values)?;
            }
            Object::Array(array) => self.array(head, array)?,
        }
        Ok(Written::Whole)
    }

    fn array(&mut self, head: &Head<'_>, array: &Array<'_>) -> WriteResult<()> {
        if !self.dialect().has_arrays() {
            return Err(self.unsupported(Lack::Array, head.key, false));
        }
        self.start(head, 28)?;
        super::write_len(&mut self.buffer, array.count);
        super::write_len(&mut self.buffer, u64::from(array.insert_index.is_some()));
        if let Some(index) = array.insert_index {
            super::write_len(&mut self.buffer, index);
        }
        for item in array.items() {
            let (index, item) = item?;
            super::write_len(&mut self.buffer, index);
            match item {
                ArrayItem::String(text) => {
                    super::write_len(&mut self.buffer, 0);
                    self.put_text(&text)?;
                }
                ArrayItem::Int(int) => {
                    super::write_len(&mut self.buffer, 1);
                    self.put_raw(&int.to_le_bytes())?;
                }
                ArrayItem::Double(double) => {
                    super::write_len(&mut self.buffer, 2);
                    self.put_raw(&double.to_le_bytes())?;
                }
            }
        }
        self.flush_full()
    }

    fn blob(&mut self, head: &Head<'_>, byte: u8, blob: &Blob<'_>) -> WriteResult<()> {
        self.start(head, byte)?;
        self.put_string(blob.bytes())
    }

    fn texts(
        &mut self,
        head: &Head<'_>,
        byte: u8,
        texts: &Texts<'_>,
        each: u64,
    ) -> WriteResult<()> {
        let count = texts.left() / each;
        self.begin(head, byte, count, Collection::Elements)?;
        self.owed = 0;
        for text in texts.clone() {
            self.put_text(&text?)?;
        }
        Ok(())
    }

    fn list(&mut self, head: &Head<'_>, list: &List<'_>) -> WriteResult<()> {
        let nodes = match list {
            List::Plain(texts) => return self.texts(head, 1, texts, 1),
            List::Ziplist(blob) if self.dialect().has_small_integers() => {
                return self.blob(head, 10, blob);
            }
            List::Ziplist(_) => return self.plain_list(head, list),
            List::Quicklist(nodes) => nodes,
        };
        let byte = if nodes.has_containers() { 18 } else { 14 };
        let kept = if byte == 18 {
            self.dialect().has_listpacks()
        } else {
            self.dialect().has_quicklist()
        };
        if !kept {
            return self.plain_list(head, list);
        }
        self.start(head, byte)?;
        super::write_len(&mut self.buffer, nodes.left());
        for node in nodes.clone() {
            let node = node?;
            if byte == 18 {
                super::write_len(
                    &mut self.buffer,
                    if node.kind == NodeKind::Plain { 1 } else { 2 },
                );
            }
            self.put_string(&node.bytes)?;
        }
        Ok(())
    }

    fn plain_list(&mut self, head: &Head<'_>, list: &List<'_>) -> WriteResult<()> {
        self.begin(head, 1, list.count()?, Collection::Elements)?;
        for element in list.elements() {
            self.owed -= 1;
            self.put_text(&element?)?;
        }
        Ok(())
    }

    fn set(&mut self, head: &Head<'_>, set: &Set<'_>) -> WriteResult<()> {
        match set {
            Set::Plain(texts) => self.texts(head, 2, texts, 1),
            Set::Intset(blob) => self.blob(head, 11, blob),
            Set::Listpack(blob) if self.dialect().has_set_listpack() => self.blob(head, 20, blob),
            Set::Listpack(_) => {
                self.begin(head, 2, set.count()?, Collection::Elements)?;
                for member in set.members() {
                    self.owed -= 1;
                    self.put_text(&member?)?;
                }
                Ok(())
            }
        }
    }

    fn zset(&mut self, head: &Head<'_>, zset: &Zset<'_>) -> WriteResult<()> {
        match zset {
            Zset::Ziplist(blob) if self.dialect().has_small_integers() => {
                return self.blob(head, 12, blob);
            }
            Zset::Listpack(blob) if self.dialect().has_listpacks() => {
                return self.blob(head, 17, blob);
            }
            _ => {}
        }
        self.begin_zset(head, zset.count()?)?;
        for pair in zset.pairs() {
            let (member, score) = pair?;
            self.owe(Collection::Scores, 1);
            self.put_text(&member)?;
            self.put_score(score);
        }
        Ok(())
    }

    fn hash(&mut self, head: &Head<'_>, hash: &Hash<'_>) -> WriteResult<Written> {
        match hash {
            Hash::Plain(texts) => self.texts(head, 4, texts, 2)?,
            Hash::Zipmap(blob) => self.blob(head, 9, blob)?,
            Hash::Ziplist(blob) if self.dialect().has_small_integers() => {
                self.blob(head, 13, blob)?;
            }
            Hash::Listpack(blob) if self.dialect().has_listpacks() => self.blob(head, 16, blob)?,
            Hash::Ziplist(_) | Hash::Listpack(_) => self.plain_hash(head, hash, None)?,
            Hash::Expiring(_) | Hash::ExpiringListpack(_) => return self.expiring_hash(head, hash),
        }
        Ok(Written::Whole)
    }

    /// Type 4, without the fields that `lossy` leaves out.
    fn plain_hash(
        &mut self,
        head: &Head<'_>,
        hash: &Hash<'_>,
        lossy: Option<ExpiringFields>,
    ) -> WriteResult<()> {
        let alive = |expire_ms| lossy.is_none_or(|lossy| lossy.keeps(expire_ms));
        let mut count = 0;
        for field in hash.fields() {
            count += u64::from(alive(field?.expire_ms));
        }
        if count == 0 {
            return Ok(());
        }
        self.begin(head, 4, count, Collection::Fields)?;
        for field in hash.fields() {
            let field = field?;
            if alive(field.expire_ms) {
                self.owed -= 1;
                self.put_text(&field.name)?;
                self.put_text(&field.value)?;
            }
        }
        Ok(())
    }

    fn expiring_hash(&mut self, head: &Head<'_>, hash: &Hash<'_>) -> WriteResult<Written> {
        let Some(lowest) = lowest_expiry(hash)? else {
            return self.plain_hash(head, hash, None).map(|()| Written::Whole);
        };
        if !self.dialect().has_field_expiry() {
            let refused = self.unsupported(Lack::FieldExpiry, head.key, true);
            let (Some(lossy), WriteError::Unsupported(what)) =
                (self.options.expiring_fields, &refused)
            else {
                return Err(refused);
            };
            self.plain_hash(head, hash, Some(lossy))?;
            return Ok(Written::Partly(what.clone()));
        }
        if let (Hash::ExpiringListpack(blob), true) =
            (hash, self.dialect().has_redis_field_expiry())
        {
            self.start(head, 25)?;
            self.buffer.extend_from_slice(&lowest.to_le_bytes());
            self.put_string(blob.bytes())?;
            return Ok(Written::Whole);
        }
        self.begin_expiring_hash(head, hash.count()?, lowest)?;
        for field in hash.fields() {
            let field = field?;
            self.expiring_field(
                &field.name.into_cow(),
                &field.value.into_cow(),
                field.expire_ms,
            )?;
        }
        Ok(Written::Whole)
    }
}

fn lowest_expiry(hash: &Hash<'_>) -> WriteResult<Option<i64>> {
    let mut lowest: Option<i64> = None;
    for field in hash.fields() {
        if let Some(time) = field?.expire_ms {
            lowest = Some(lowest.map_or(time, |least| least.min(time)));
        }
    }
    Ok(lowest)
}
