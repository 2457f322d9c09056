//! A section of a file that is split: what it has for each part, and what goes to all, in the order of the file.

use super::plan::{Part, Plan};
use crate::carry::Terms;
use crate::making::{Flow, stopped};
use crate::snapshot::{Stop, Visit, unrun};
use cairn_format::lzf::Table;
use cairn_format::rdb::object::Module;
use cairn_format::rdb::{Event, ModuleAux, Record, Text};
use cairn_toolkit::{Failure, quoted};
use std::collections::HashMap;

/// A section under way.
pub struct Section<'t> {
    /// How parts are written.
    pub terms: &'t Terms,
    steps: Vec<Step<'t>>,
    /// The keys behind those.
    flows: Vec<(Part<'static>, Flow<'t>)>,
    /// Where the flow of each part stands there.
    places: HashMap<Part<'static>, usize>,
    /// All of them compress with it.
    table: Table,
}

/// Keys of several parts, and something for all parts behind them, also for those that begin later.
pub struct Step<'t> {
    /// The keys of each part that has some.
    pub flows: Vec<(Part<'static>, Flow<'t>)>,
    /// Not there at the end of the section.
    pub then: Option<Common>,
}

/// A copy of an event that belongs to no key.
pub enum Common {
    /// A fact about the file.
    Aux(Vec<u8>, Vec<u8>),
    /// A library.
    Function(Vec<u8>),
    /// Data of a module outside the keys.
    Module {
        /// Before or behind the keys.
        when: u64,
        /// The type.
        id: u64,
        /// As they stand.
        values: Vec<u8>,
    },
}

impl<'t> Section<'t> {
    /// Nothing yet.
    pub fn new(terms: &'t Terms) -> Section<'t> {
        Section {
            terms,
            steps: Vec::new(),
            flows: Vec::new(),
            places: HashMap::new(),
            table: Table::new(),
        }
    }

    /// Takes an event over; `name` is that of the input.
    pub fn event(&mut self, plan: &Plan, name: &str, event: &Event<'_>) -> Visit {
        let Event::Record(record) = event else {
            if let Some(common) = Common::of(event) {
                self.step(Some(common));
            }
            return match event {
                // Whose part it belongs to nobody knows who does not run it.
                Event::Command(_) => Err(unrun(name)),
                _ => Ok(()),
            };
        };
        let place = self.place_of(plan, name, record)?;
        self.flows[place].1.event_with(event, &mut self.table)
    }

    /// Where the flow of the part stands that a key belongs to.
    fn place_of(&mut self, plan: &Plan, name: &str, record: &Record<'_>) -> Result<usize, Stop> {
        let key = record.head.key;
        let part = plan.part(record.db, key).map_err(|what| {
            let line = format!("{name}: key {}: {what}", quoted(key));
            Stop::Failed(Failure::new(line))
        })?;
        if let Some(place) = self.places.get(&part) {
            return Ok(*place);
        }
        let (place, part) = (self.flows.len(), part.into_owned());
        self.places.insert(part.clone(), place);
        self.flows.push((part, stopped(Flow::section(self.terms))?));
        Ok(place)
    }

    fn step(&mut self, then: Option<Common>) {
        let flows = std::mem::take(&mut self.flows);
        self.places.clear();
        self.steps.push(Step { flows, then });
    }

    /// What it has, in the order of the file.
    pub fn into_steps(mut self) -> Vec<Step<'t>> {
        self.step(None);
        self.steps
    }
}

impl Common {
    fn of(event: &Event<'_>) -> Option<Common> {
        match event {
            Event::Aux { name, value } => Some(Common::Aux(name.to_vec(), value.to_vec())),
            Event::Function(code) => Some(Common::Function(code.to_vec())),
            Event::ModuleAux(aux) => Some(Common::Module {
                when: aux.when,
                id: aux.module.id,
                values: aux.module.values.to_vec(),
            }),
            _ => None,
        }
    }

    /// The event.
    pub fn event(&self) -> Event<'_> {
        match self {
            Common::Aux(name, value) => Event::Aux {
                name: Text::Bytes(name),
                value: Text::Bytes(value),
            },
            Common::Function(code) => Event::Function(Text::Bytes(code)),
            Common::Module { when, id, values } => Event::ModuleAux(ModuleAux {
                when: *when,
                module: Module {
                    id: *id,
                    values,
                    offset: 0,
                },
            }),
        }
    }
}
