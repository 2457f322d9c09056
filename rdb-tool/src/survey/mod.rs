//! What a snapshot holds, counted: by database, type, encoding, size, expiry, prefix and slot, and its largest keys.

mod element;
pub mod histogram;
mod keys;
pub mod slots;
pub mod top;

use cairn_format::error::Result;
use cairn_format::rdb::object::Module;
use cairn_format::rdb::{Event, Located, Object, Record, Text, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::prefix::{Count, Tree};
use element::largest_element;
use histogram::{Expiry, Sizes};
pub use keys::Keys;
use slots::Slots;
use std::collections::BTreeMap;
use top::{Large, Top};

/// What is counted beyond what always is.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many of the largest keys are kept.
    pub top: usize,
    /// Between the parts of keys, if they are counted by prefix.
    pub separator: Option<Vec<u8>>,
    /// Whether keys are counted by slot.
    pub slots: bool,
    /// From when on the time that is left is counted, Unix milliseconds.
    pub now_ms: i64,
}

/// What a module has in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleUse {
    /// Newest version of its type's own encoding.
    pub version: u64,
    /// Keys.
    pub keys: u64,
    /// Blocks of data outside the keys.
    pub outside: u64,
}

impl ModuleUse {
    fn add(&mut self, other: ModuleUse) {
        self.version = self.version.max(other.version);
        self.keys += other.keys;
        self.outside += other.outside;
    }
}

/// Keys one behind the other of one database, type and encoding, which are looked up once. Names are compared by their place: where
/// the same stands in two, the run ends early.
#[derive(Debug)]
struct Run {
    db: u64,
    type_name: &'static str,
    encoding: &'static str,
    count: Count,
}

impl Run {
    #[inline]
    fn goes_on(&self, db: u64, type_name: &'static str, encoding: &'static str) -> bool {
        self.db == db
            && std::ptr::eq(self.type_name, type_name)
            && std::ptr::eq(self.encoding, encoding)
    }
}

/// Everything that is counted in one walk.
#[derive(Debug)]
pub struct Survey {
    /// Facts about the file, in its order.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Engine and name of each function library.
    pub libraries: Vec<(String, String)>,
    /// Names of modules with data outside the keys.
    pub module_aux: Vec<String>,
    /// Modules by the name of their type.
    pub modules: BTreeMap<String, ModuleUse>,
    /// Cluster slots that have a hint.
    pub hinted_slots: u64,
    /// Commands between the keys, which were not run.
    pub commands: u64,
    /// By database.
    pub databases: BTreeMap<u64, Count>,
    /// By type and encoding.
    pub encodings: BTreeMap<(&'static str, &'static str), Count>,
    /// What both do not have yet; never there after [`Survey::absorb`].
    run: Option<Run>,
    /// By time left.
    pub expiry: Expiry,
    /// By bytes in the file.
    pub sizes: Sizes,
    /// By elements, of all that can have several.
    pub lengths: Sizes,
    /// By prefix.
    pub prefixes: Option<Tree>,
    /// Of a section: keys that belong into the tree of the whole, which depends on their order.
    keys: Option<Keys>,
    /// By slot.
    pub slots: Option<Slots>,
    /// The largest keys by bytes.
    pub by_bytes: Top,
    /// Those with most elements.
    pub by_elements: Top,
    /// Those with the largest element.
    pub by_element: Top,
}

impl Survey {
    /// A survey of nothing yet.
    pub fn new(wanted: &Wanted) -> Survey {
        Survey {
            aux: Vec::new(),
            libraries: Vec::new(),
            module_aux: Vec::new(),
            modules: BTreeMap::new(),
            hinted_slots: 0,
            commands: 0,
            databases: BTreeMap::new(),
            encodings: BTreeMap::new(),
            run: None,
            expiry: Expiry::new(wanted.now_ms),
            sizes: Sizes::default(),
            lengths: Sizes::default(),
            prefixes: wanted.separator.as_deref().map(Tree::new),
            keys: None,
            slots: wanted.slots.then(Slots::new),
            by_bytes: Top::new(wanted.top),
            by_elements: Top::new(wanted.top),
            by_element: Top::new(wanted.top),
        }
    }

    /// A survey of a section, for [`Survey::absorb`].
    pub fn of_section(wanted: &Wanted) -> Survey {
        Survey {
            prefixes: None,
            keys: wanted.separator.as_ref().map(|_| Keys::default()),
            ..Survey::new(wanted)
        }
    }

    /// Takes in the section that follows what was counted so far: the result is that of one walk.
    pub fn absorb(&mut self, mut next: Survey) {
        next.end_run();
        self.aux.extend(next.aux);
        self.libraries.extend(next.libraries);
        self.module_aux.extend(next.module_aux);
        for (name, uses) in next.modules {
            self.modules.entry(name).or_default().add(uses);
        }
        self.hinted_slots += next.hinted_slots;
        self.commands += next.commands;
        for (db, count) in next.databases {
            self.databases.entry(db).or_default().add(count);
        }
        for (name, count) in next.encodings {
            self.encodings.entry(name).or_default().add(count);
        }
        self.expiry.absorb(&next.expiry);
        self.sizes.absorb(&next.sizes);
        self.lengths.absorb(&next.lengths);
        if let (Some(tree), Some(keys)) = (&mut self.prefixes, &next.keys) {
            keys.add_to(tree);
        }
        if let (Some(slots), Some(next)) = (&mut self.slots, &next.slots) {
            slots.absorb(next);
        }
        self.by_bytes.absorb(next.by_bytes);
        self.by_elements.absorb(next.by_elements);
        self.by_element.absorb(next.by_element);
    }

    /// Counts an event.
    pub fn event(&mut self, located: &Located<'_>) -> Result<()> {
        match &located.event {
            Event::Aux { name, value } => self.aux.push((name.to_vec(), value.to_vec())),
            Event::Function(code) => self.library(code),
            Event::ModuleAux(aux) => {
                self.module_aux.push(aux.module.name());
                self.module(&aux.module).outside += 1;
            }
            Event::SlotInfo { .. } => self.hinted_slots += 1,
            Event::Command(_) => self.commands += 1,
            Event::Record(record) => {
                return self.record(record, located.offset, located.end - located.offset);
            }
            Event::SelectDb(_)
            | Event::Resize { .. }
            | Event::SlotImport(_)
            | Event::Template
            | Event::End(_) => {}
        }
        Ok(())
    }

    fn library(&mut self, code: &Text<'_>) {
        self.libraries
            .push(library_name(code.bytes(&mut I64Text::new())).unwrap_or_default());
    }

    fn module(&mut self, module: &Module<'_>) -> &mut ModuleUse {
        let uses = self.modules.entry(module.name()).or_default();
        uses.version = uses.version.max(module.version());
        uses
    }

    fn record(&mut self, record: &Record<'_>, offset: u64, bytes: u64) -> Result<()> {
        let elements = record.value.count()?;
        let count = Count {
            keys: 1,
            expires: u64::from(record.head.expire_ms.is_some()),
            elements,
            bytes,
        };
        let (type_name, encoding) = (record.value.type_name(), record.value.encoding_name());
        match &mut self.run {
            Some(run) if run.goes_on(record.db, type_name, encoding) => run.count.add(count),
            _ => {
                self.end_run();
                self.run = Some(Run {
                    db: record.db,
                    type_name,
                    encoding,
                    count,
                });
            }
        }
        self.expiry.add(record.head.expire_ms, bytes);
        self.sizes.add(bytes, bytes);
        if let Object::Module(module) = &record.value {
            self.module(module).keys += 1;
        }
        if let Some(tree) = &mut self.prefixes {
            tree.add(record.head.key, count);
        }
        if let Some(keys) = &mut self.keys {
            keys.push(record.head.key, count);
        }
        if let Some(slots) = &mut self.slots {
            slots.add(record.head.key, bytes);
        }
        let make = |measure| Large::of(record, offset, measure, encoding, elements, bytes);
        self.by_bytes.offer(bytes, make);
        if !matches!(record.value, Object::String(_) | Object::Module(_)) {
            self.lengths.add(elements, bytes);
            self.by_elements.offer(elements, make);
        }
        let floor = self.by_element.floor().unwrap_or(0);
        self.by_element.offer(largest_element(record, floor)?, make);
        Ok(())
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let databases = self.databases.entry(run.db).or_default();
            databases.add(run.count);
            let encodings = self.encodings.entry((run.type_name, run.encoding));
            encodings.or_default().add(run.count);
        }
    }

    /// All keys.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        self.databases.values().for_each(|count| total.add(*count));
        total
    }

    /// Keys of all databases.
    pub fn keys(&self) -> u64 {
        self.total().keys
    }

    /// By type alone.
    pub fn types(&self) -> BTreeMap<&'static str, Count> {
        let mut types = BTreeMap::new();
        for ((type_name, _), count) in &self.encodings {
            types
                .entry(*type_name)
                .or_insert_with(Count::default)
                .add(*count);
        }
        types
    }

    /// When the snapshot was made, Unix seconds, if it says so.
    pub fn made_at(&self) -> Option<i64> {
        let made = self.aux.iter().find(|(name, _)| name == b"ctime");
        made.and_then(|(_, value)| str::from_utf8(value).ok()?.parse().ok())
    }
}
