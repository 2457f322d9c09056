//! Libraries of functions. They belong to the data: snapshots, logs and replicas have them.
//!
//! A library is kept as its text; its functions live in one machine, which is made when the first library comes. Names of libraries are
//! case-sensitive, those of functions are not, and are unique among all libraries, as in Redis 7.2.
//!
//! Invariants: each function belongs to a library that is here and is kept by the machine; a library has at least one function.

use std::collections::{BTreeMap, HashMap};

use cairn_format::rdb::Dialect;
use cairn_format::rdb::dump::{self, Payload};
use cairn_format::rdb::writer::WriteOptions;
use cairn_lua::{Fault, Kept, Machine, Stack, sandbox};

use super::api::{Loudness, library_machine};
use super::flags::ScriptFlags;
use super::register::{Loading, Registered};
use super::running::Sort;
use super::shebang;
use crate::base::error::{Error, lossless};

/// Instructions between two looks at the clock while a library is loaded.
const LOOK_EACH: u32 = 100_000;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name, as it was registered.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it asks for.
    pub flags: ScriptFlags,
    function: Kept,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its text.
    pub code: Box<[u8]>,
    /// Its functions: names in lower case.
    functions: Vec<Vec<u8>>,
}

/// What FUNCTION RESTORE does with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// It goes first.
    Flush,
    /// A library of the same name is an error.
    Append,
    /// A library of the same name is replaced.
    Replace,
}

/// Lines that a library wrote while it was loaded.
pub type Lines = Vec<(Loudness, Vec<u8>)>;

/// All libraries.
#[derive(Debug, Default)]
pub struct Libraries {
    machine: Option<Machine>,
    libraries: BTreeMap<Vec<u8>, Library>,
    functions: HashMap<Vec<u8>, Function>,
    /// Bytes of the machine when it was here last, and after it was swept last.
    vm_bytes: usize,
    swept_bytes: usize,
}

impl Libraries {
    /// Loads a library; answers its name. `is_over` is asked now and then whether it has had its time.
    ///
    /// # Errors
    /// As Redis words it; nothing has changed then.
    pub fn load(
        &mut self,
        code: &[u8],
        replace: bool,
        lines: &mut Lines,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<u8>, Error> {
        let (name, program) = shebang::of_library(code)?;
        if !replace && self.libraries.contains_key(&name) {
            return Err(already(&name));
        }
        let machine = self.machine.get_or_insert_with(library_machine);
        let loaded = run(machine, program, lines, is_over);
        self.vm_bytes = machine.used();
        let registered = loaded?;
        if let Some(taken) = self.taken(&registered, &name) {
            self.forget(registered.into_iter().map(|one| one.function));
            return Err(Error::text(format!(
                "ERR Function {} already exists",
                lossless(&taken)
            )));
        }
        self.delete(&name);
        let mut functions = Vec::with_capacity(registered.len());
        for one in registered {
            let key = one.name.to_ascii_lowercase();
            functions.push(key.clone());
            let function = Function {
                name: one.name,
                description: one.description,
                flags: one.flags,
                function: one.function,
            };
            let before = self.functions.insert(key, function);
            debug_assert!(before.is_none(), "names are unique");
        }
        let library = Library {
            code: code.into(),
            functions,
        };
        self.libraries.insert(name.clone(), library);
        Ok(name)
    }

    /// The first of the new functions whose name belongs to another library than `name`.
    fn taken(&self, new: &[Registered], name: &[u8]) -> Option<Vec<u8>> {
        let own = self.libraries.get(name).map(|library| &library.functions);
        let names = new.iter().map(|one| &one.name);
        let mut taken = names.filter(|name| {
            let key = name.to_ascii_lowercase();
            self.functions.contains_key(&key) && !own.is_some_and(|own| own.contains(&key))
        });
        taken.next().cloned()
    }

    fn forget(&mut self, functions: impl Iterator<Item = Kept>) {
        let machine = self.machine.as_mut().expect("who keeps functions is here");
        functions.for_each(|function| machine.forget(function));
    }

    /// Removes a library; whether it was there.
    pub fn delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else {
            return false;
        };
        for key in library.functions {
            let function = self.functions.remove(&key);
            self.forget(function.into_iter().map(|one| one.function));
        }
        true
    }

    /// Removes all libraries, and what they have left in the machine.
    pub fn flush(&mut self) {
        *self = Libraries::default();
    }

    /// Takes the libraries of a payload in.
    ///
    /// # Errors
    /// As Redis words it; nothing has changed then.
    pub fn restore(
        &mut self,
        payload: &[u8],
        how: Restore,
        lines: &mut Lines,
    ) -> Result<(), Error> {
        const BAD: Error = Error::new("ERR DUMP payload version or checksum are wrong");
        let payload = Payload::open(payload, Dialect::REDIS_7_2).map_err(|_| BAD)?;
        let texts = payload
            .functions()
            .map_err(|_| Error::new("ERR given type is not a function"))?;
        let never = &mut || false;
        // Alone first: what fails there changes nothing here.
        let mut alone = Libraries::default();
        for text in &texts {
            alone.load(&text.to_vec(), false, &mut Vec::new(), never)?;
        }
        if how != Restore::Flush {
            self.has_room_for(&alone, how)?;
        } else {
            self.flush();
        }
        for text in &texts {
            self.load(&text.to_vec(), how == Restore::Replace, lines, never)?;
        }
        Ok(())
    }

    fn has_room_for(&self, others: &Libraries, how: Restore) -> Result<(), Error> {
        let twice = |name: &&Vec<u8>| self.libraries.contains_key(*name);
        if how == Restore::Append
            && let Some(name) = others.libraries.keys().find(twice)
        {
            return Err(already(name));
        }
        let stays = |key: &Vec<u8>| {
            let of = self.libraries.iter();
            of.filter(|(name, _)| !others.libraries.contains_key(*name))
                .any(|(_, library)| library.functions.contains(key))
        };
        match others.functions.iter().find(|(key, _)| stays(key)) {
            None => Ok(()),
            Some((_, function)) => Err(Error::text(format!(
                "ERR Function {} already exists",
                lossless(&function.name)
            ))),
        }
    }

    /// All libraries as a payload.
    ///
    /// # Errors
    /// Never in the version of Redis 7.2, in which it is written.
    pub fn dump(&self) -> Result<Vec<u8>, Error> {
        let options = WriteOptions::new(Dialect::REDIS_7_2);
        let payload = dump::build(options, |writer| {
            self.libraries
                .values()
                .try_for_each(|library| writer.function(&library.code).map(drop))
        });
        payload.map_err(|error| Error::text(format!("ERR {error}")))
    }

    /// The machine with a function on its stack, for a run; [`Libraries::give_back`] follows.
    pub fn take(&mut self, name: &[u8]) -> Option<Machine> {
        let function = self.functions.get(&name.to_ascii_lowercase())?;
        let mut machine = self.machine.take()?;
        if machine.push_kept(&function.function).is_err() {
            self.machine = Some(machine);
            return None;
        }
        Some(machine)
    }

    /// Takes the machine back after a run.
    pub fn give_back(&mut self, mut machine: Machine) {
        debug_assert!(self.machine.is_none(), "there is one machine");
        self.vm_bytes = super::sweep(&mut machine, &mut self.swept_bytes);
        self.machine = Some(machine);
    }

    /// A function by its name.
    pub fn function(&self, name: &[u8]) -> Option<&Function> {
        self.functions.get(&name.to_ascii_lowercase())
    }

    /// Libraries with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Library)> + Clone {
        self.libraries
            .iter()
            .map(|(name, library)| (name.as_slice(), library))
    }

    /// The functions of a library.
    pub fn functions_of<'a>(
        &'a self,
        library: &'a Library,
    ) -> impl ExactSizeIterator<Item = &'a Function> {
        library.functions.iter().map(|key| &self.functions[key])
    }

    /// How many libraries there are.
    pub fn len(&self) -> usize {
        self.libraries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    /// How many functions there are.
    pub fn functions(&self) -> usize {
        self.functions.len()
    }

    /// Bytes of the machine.
    pub fn vm_bytes(&self) -> usize {
        self.vm_bytes
    }

    /// Bytes of libraries and functions beside it.
    pub fn bytes(&self) -> usize {
        let texts: usize = self
            .libraries
            .values()
            .map(|library| library.code.len())
            .sum();
        texts
            + self.libraries.len() * (size_of::<(Vec<u8>, Library)>() + 48)
            + self.functions.len() * (size_of::<(Vec<u8>, Function)>() + 64)
    }
}

fn already(name: &[u8]) -> Error {
    Error::text(format!("ERR Library '{}' already exists", lossless(name)))
}

/// Runs the text of a library in an environment of its own; answers what it registered.
fn run(
    machine: &mut Machine,
    program: &[u8],
    lines: &mut Lines,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Vec<Registered>, Error> {
    let full = |_| Error::new("ERR Error compiling function: not enough memory");
    machine
        .compile(Sort::Function.chunk(), program)
        .map_err(|text| {
            Error::text(format!("ERR Error compiling function: {}", lossless(&text)))
        })?;
    let stack = &mut machine.stack();
    sandbox::push_environment(stack).map_err(full)?;
    stack.push_copy(-1).map_err(full)?;
    stack.insert(1);
    stack.set_environment(2);
    let mut loading = Loading {
        registered: Vec::new(),
        lines: Vec::new(),
        is_over,
    };
    let ran = machine.run(&mut loading, 0, 0, LOOK_EACH);
    let Loading {
        registered,
        lines: wrote,
        ..
    } = loading;
    lines.extend(wrote);
    let outcome = match ran {
        Err(fault) => Err(error_of(&mut machine.stack(), fault)),
        Ok(()) if registered.is_empty() => Err(Error::new("ERR No functions registered")),
        Ok(()) => sandbox::open_environment(&mut machine.stack()).map_err(full),
    };
    machine.stack().cut(0);
    match outcome {
        Ok(()) => Ok(registered),
        Err(error) => {
            for one in registered {
                machine.forget(one.function);
            }
            Err(error)
        }
    }
}

/// The error on top of the stack as the answer to FUNCTION LOAD.
fn error_of(stack: &mut Stack, fault: Fault) -> Error {
    if fault == Fault::Broken {
        return Error::new("ERR Error registering functions: error in error handling");
    }
    let text = super::api::error_text(stack);
    Error::text(format!(
        "ERR Error registering functions: {}",
        lossless(&text)
    ))
}
