//! Records of a log that are read before they are run, so that what the engine has of their keys is on its way from memory meanwhile.
//!
//! ```text
//!   batch   SET a 1    HSET h f 2    SET b 3        whose each is, and its key
//!   fetch   the buckets of a, h, b, and then the records in them
//!   run     SET a 1    HSET h f 2    SET b 3
//! ```

use crate::keys::Keys;
use crate::part::Commands;
use crate::partition::{Parts, Whose};
use cairn_engine::Engine;
use cairn_engine::keyspace::Aim;
use cairn_format::aof::reader::{Batch, Item};
use cairn_format::error::Result;

/// A record that is going to be run.
pub struct Coming<'b> {
    /// It.
    pub item: Item<'b>,
    /// Whose it is.
    pub whose: Whose,
    /// Its first key that this player has, and what was found out about it; nothing where memory was not asked for it.
    key: Option<(&'b [u8], Aim)>,
}

/// Looks at the records of a log before they are run.
pub struct Ahead<'a> {
    commands: Commands<'a>,
    batch: Batch,
    keys: Keys,
    aims: Vec<Aim>,
}

impl<'a> Ahead<'a> {
    /// Begins where the reader is.
    pub fn of(commands: Commands<'a>) -> Ahead<'a> {
        Ahead {
            commands,
            batch: Batch::default(),
            keys: Keys::default(),
            aims: Vec::new(),
        }
    }

    /// The next records, none at the end, of a stream one at a time; memory is asked for the keys of those that `parts` has, in the
    /// database that is selected now.
    ///
    /// # Errors
    /// The log is damaged where they would begin.
    pub fn next(
        &mut self,
        engine: &Engine,
        db: u64,
        parts: &mut Option<Parts>,
    ) -> Result<Vec<Coming<'_>>> {
        let items: Vec<Item<'_>> = match &mut self.commands {
            Commands::Mapped(reader) => {
                reader.next_batch(&mut self.batch)?;
                let (reader, batch) = (&*reader, &self.batch);
                let items = (0..batch.len()).map(|index| reader.of_batch(batch, index));
                items.collect()
            }
            Commands::Stream(reader) => reader.next_item()?.into_iter().collect(),
        };
        let known = usize::try_from(db).ok();
        let fetched = known.filter(|db| *db < engine.ks.databases() && engine.wants_lookahead(*db));
        let keys = &mut self.keys;
        let coming = items.into_iter().map(|item| {
            let mut key = None;
            let whose = match parts {
                Some(parts) => parts.whose(&item, |own| key = key.or(Some(own))),
                None => {
                    keys.each(&item, |own| key = key.or(Some(own)));
                    Whose::Own { tells: true }
                }
            };
            let key = key.zip(fetched);
            let key = key.map(|(key, db)| (key, engine.aim(db, key)));
            Coming { item, whose, key }
        });
        let coming: Vec<Coming<'_>> = coming.collect();
        self.aims.clear();
        let aims = coming.iter().filter_map(|coming| coming.key);
        self.aims.extend(aims.map(|(_, aim)| aim));
        engine.fetch_aimed(&self.aims);
        Ok(coming)
    }
}

impl Coming<'_> {
    /// Tells the engine what was found out about the key of a record that is run next.
    pub fn hint(&self, engine: &mut Engine) {
        if let Some((key, aim)) = &self.key {
            engine.hint(key, aim);
        }
    }
}
