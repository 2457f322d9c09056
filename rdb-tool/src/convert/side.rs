//! The file beside a conversion: what the target cannot hold of hash fields that expire, as the commands that would say it.

use crate::snapshot::{Stop, Visit, inside};
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::rdb::{Event, ExpiringFields, Object};
use cairn_format::text::number::I64Text;
use cairn_toolkit::{Failure, Input, Output};
use std::io::Write;
use std::path::Path;

/// Commands such as `HPEXPIREAT key 1767225600000 FIELDS 1 field`, as in a log.
pub struct Side {
    output: Output,
    commands: Rewriter,
    fields: ExpiringFields,
}

impl Side {
    /// Writes to `path`; `fields` says which fields the target keeps.
    pub fn create(path: &Path, input: &Input, fields: ExpiringFields) -> Result<Side, Failure> {
        Ok(Side {
            output: Output::create(path, &[input])?,
            commands: Rewriter::new(Release::NEWEST),
            fields,
        })
    }

    /// What belongs behind what there is, for [`Side::append`].
    pub fn section(&self) -> SideSection {
        SideSection {
            commands: self.commands.section(),
            fields: self.fields,
        }
    }

    /// Takes over what a section has.
    pub fn append(&mut self, section: SideSection) -> Visit {
        self.commands.append(section.commands);
        self.output
            .write_all(self.commands.bytes())
            .map_err(|error| Stop::Failed(error.into()))?;
        self.commands.clear();
        Ok(())
    }

    /// Makes it lasting.
    pub fn finish(self) -> Result<(), Failure> {
        self.output.finish()
    }
}

/// The commands of a section.
pub struct SideSection {
    commands: Rewriter,
    fields: ExpiringFields,
}

impl SideSection {
    /// Another that belongs behind the same.
    pub fn section(&self) -> SideSection {
        SideSection {
            commands: self.commands.section(),
            fields: self.fields,
        }
    }

    /// Notes the expiries of a hash.
    pub fn event(&mut self, event: &Event<'_>) -> Visit {
        let Event::Record(record) = event else {
            return Ok(());
        };
        let Object::Hash(hash) = &record.value else {
            return Ok(());
        };
        let key = record.head.key;
        for field in hash.fields().take_while(|_| hash.may_expire()) {
            let field = inside(field, record.db, key)?;
            if let Some(at_ms) = field.expire_ms
                && self.fields.keeps(Some(at_ms))
            {
                self.commands.select(record.db);
                let name = field.name.bytes(&mut I64Text::new()).to_vec();
                self.commands.field_expiry(key, &name, at_ms);
            }
        }
        Ok(())
    }
}
