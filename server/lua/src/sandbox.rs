//! The room of scripts: globals that they can read and not change.
//!
//! Lua 5.1 has no read-only tables. A **protected** table is an empty one whose metatable reads through to the table behind it
//! and refuses writes; the functions that would see or change it without its metatable know it by the machine's table of protected
//! tables and look behind it (`next`, `rawget`) or refuse (`rawset`, `setmetatable`, `table.insert`). So nothing that a script does
//! is left for the next one, in the string library and its metatable neither.
//!
//! ```text
//!   _G (empty) --__index--> globals --__index--> error "nonexistent global variable"
//!                              |- redis, string, ... (empty) --__index--> the library
//!                              '- KEYS, ARGV         plain tables, fresh for each call
//! ```

use crate::base;
use crate::libraries;
use crate::raw::{Bare, Kind, Machine, Native, Raise, Stack};

/// The machine's own globals that scripts keep.
const KEPT: &[&str] = &[
    "_VERSION",
    "assert",
    "collectgarbage",
    "error",
    "gcinfo",
    "getfenv",
    "ipairs",
    "rawequal",
    "select",
    "tonumber",
    "tostring",
    "type",
];

/// Globals made anew.
const BARE: &[(&str, Bare)] = &[
    ("pcall", Bare::Pcall),
    ("xpcall", Bare::Xpcall),
    ("next", Bare::Next),
    ("rawget", Bare::RawGet),
    ("rawset", Bare::RawSet),
    ("unpack", Bare::Unpack),
    ("loadstring", Bare::LoadString),
    ("setfenv", Bare::SetEnvironment),
];

const NATIVE: &[(&str, Native)] = &[
    ("getmetatable", base::getmetatable),
    ("setmetatable", base::setmetatable),
    ("newproxy", base::newproxy),
];

/// Libraries of Lua that scripts keep.
const LIBRARIES: &[&str] = &["coroutine", "math", "string", "table"];

/// Functions that are best said in Lua, with the globals of the machine at hand.
const PRELUDE: &[u8] = b"
local next, type, loadstring, concat, pcall, error = next, type, loadstring, table.concat, pcall, error
local safe_next = ...
function pairs(t)
    if type(t) ~= 'table' then
        error(\"bad argument #1 to 'pairs' (table expected, got \" .. (t == nil and 'nil' or type(t)) .. ')', 2)
    end
    return safe_next, t, nil
end
function load(f, name)
    if type(f) ~= 'function' then
        error(\"bad argument #1 to 'load' (function expected, got \" .. (f == nil and 'no value' or type(f)) .. ')', 2)
    end
    local parts, n = {}, 0
    while true do
        local ok, part = pcall(f)
        if not ok then return nil, part end
        if part == nil or part == '' then break end
        if type(part) ~= 'string' then return nil, 'reader function must return a string' end
        n = n + 1
        parts[n] = part
    end
    return loadstring(concat(parts), name or '=(load)')
end
";

/// What Valkey calls the table `redis`; its libraries use that name.
const ALIAS: &str = "server";

/// A value of the `redis` table that is no function.
#[derive(Clone, Copy, Debug)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// A string.
    Text(&'static str),
}

/// What the table `redis` has.
#[derive(Clone, Copy, Debug)]
pub struct Api<'a> {
    /// Functions of the host, with their numbers.
    pub functions: &'a [(&'static str, u32)],
    /// The rest.
    pub constants: &'a [(&'static str, Constant)],
}

/// A machine whose globals are those of scripts. Panics only where a fresh machine has no memory.
pub fn room(api: Api) -> Machine {
    let mut machine = Machine::new();
    furnish(&mut machine, api).expect("a fresh machine has room");
    machine
}

/// As [`room`], with the table `redis` that programs find as their only global while they are loaded into an environment of their
/// own, see [`push_environment`].
pub fn library_room(api: Api, loading: Api) -> Machine {
    let mut machine = room(api);
    let stack = &mut machine.stack();
    hide_loading(stack, loading).expect("a fresh machine has room");
    machine
}

/// Name of the hidden table behind an environment while its program is loaded.
const LOADING: &str = "globals while loading";

fn hide_loading(stack: &mut Stack, loading: Api) -> Result<(), Raise> {
    stack.push_table(0, 1)?;
    push_api(stack, loading)?;
    let api = stack.top();
    refuse_others(stack, api)?;
    protect(stack)?;
    stack.push_copy(-1)?;
    stack.set_field(api - 1, "redis")?;
    stack.set_field(api - 1, ALIAS)?;
    refuse_others(stack, api - 1)?;
    stack.set_hidden(LOADING)
}

/// A field that a table does not have is an error.
fn refuse_others(stack: &mut Stack, table: i32) -> Result<(), Raise> {
    stack.push_table(0, 1)?;
    stack.push_native(base::refuse_global, 0)?;
    stack.set_field(-2, "__index")?;
    stack.set_metatable(table);
    Ok(())
}

/// Pushes a fresh environment for a program that is going to be loaded: it reaches what [`library_room`] was told of, nothing else.
///
/// # Errors
/// There is no room.
pub fn push_environment(stack: &mut Stack) -> Result<(), Raise> {
    stack.get_hidden(LOADING)?;
    protect(stack)
}

/// The program is loaded: from now on its environment, on top of the stack, is that of all scripts. It is taken away.
///
/// # Errors
/// There is no room.
pub fn open_environment(stack: &mut Stack) -> Result<(), Raise> {
    let environment = stack.top();
    stack.push_metatable(environment)?;
    stack.get_hidden(GLOBALS)?;
    stack.set_field(-2, "__index")?;
    stack.push_protected()?;
    stack.push_copy(environment)?;
    stack.get_hidden(GLOBALS)?;
    stack.set(-3)?;
    stack.cut(environment - 1);
    Ok(())
}

fn furnish(machine: &mut Machine, api: Api) -> Result<(), Raise> {
    let stack = &mut machine.stack();
    stack.push_globals()?;
    let own = stack.top();
    stack.push_table(0, 48)?;
    let globals = stack.top();
    for name in KEPT {
        stack.get_field(own, name)?;
        stack.set_field(globals, name)?;
    }
    for (name, bare) in BARE {
        stack.push_bare(*bare)?;
        stack.set_field(globals, name)?;
    }
    for (name, native) in NATIVE {
        stack.push_native(*native, 0)?;
        stack.set_field(globals, name)?;
    }
    amend_libraries(stack, own)?;
    for name in LIBRARIES {
        stack.get_field(own, name)?;
        protect(stack)?;
        stack.set_field(globals, name)?;
    }
    for (name, open) in libraries::ALL {
        open(stack)?;
        protect(stack)?;
        stack.set_field(globals, name)?;
    }
    push_api(stack, api)?;
    protect(stack)?;
    stack.push_copy(-1)?;
    stack.set_field(globals, "redis")?;
    stack.set_field(globals, ALIAS)?;
    hide_views(stack, globals)?;
    run_prelude(machine)?;
    let stack = &mut machine.stack();
    for name in ["pairs", "load"] {
        stack.get_field(own, name)?;
        stack.set_field(globals, name)?;
    }
    // What is behind the globals is an error.
    refuse_others(stack, globals)?;
    stack.push_copy(globals)?;
    stack.set_hidden(GLOBALS)?;
    stack.push_copy(globals)?;
    protect(stack)?;
    stack.push_copy(-1)?;
    stack.set_field(globals, "_G")?;
    stack.set_globals();
    stack.cut(0);
    Ok(())
}

/// Name of the hidden table behind the globals.
const GLOBALS: &str = "globals";

/// Pushes the table behind the globals: what it is given is a global from then on.
///
/// # Errors
/// There is no room.
pub fn push_globals_behind(stack: &mut Stack) -> Result<(), Raise> {
    stack.get_hidden(GLOBALS)
}

fn amend_libraries(stack: &mut Stack, own: i32) -> Result<(), Raise> {
    stack.get_field(own, "math")?;
    stack.push_native(base::random, 0)?;
    stack.set_field(-2, "random")?;
    stack.push_native(base::randomseed, 0)?;
    stack.set_field(-2, "randomseed")?;
    stack.pop(1);
    stack.get_field(own, "table")?;
    stack.push_bare(Bare::Insert)?;
    stack.set_field(-2, "insert")?;
    stack.pop(1);
    Ok(())
}

fn push_api(stack: &mut Stack, api: Api) -> Result<(), Raise> {
    stack.push_table(0, api.functions.len() + api.constants.len())?;
    for (name, number) in api.functions {
        stack.push_host(*number)?;
        stack.set_field(-2, name)?;
    }
    for (name, value) in api.constants {
        match value {
            Constant::Number(number) => stack.push_number(*number)?,
            Constant::Text(text) => stack.push_bytes(text.as_bytes())?,
        }
        stack.set_field(-2, name)?;
    }
    Ok(())
}

/// What `getmetatable` shows of the globals and of strings.
fn hide_views(stack: &mut Stack, globals: i32) -> Result<(), Raise> {
    stack.push_table(0, 1)?;
    stack.push_native(base::refuse_global, 0)?;
    stack.set_field(-2, "__index")?;
    protect(stack)?;
    stack.set_hidden(base::GLOBALS_VIEW)?;
    stack.push_table(0, 1)?;
    stack.get_field(globals, "string")?;
    stack.set_field(-2, "__index")?;
    protect(stack)?;
    stack.set_hidden(base::STRING_VIEW)
}

fn run_prelude(machine: &mut Machine) -> Result<(), Raise> {
    struct Nobody;
    impl crate::Host for Nobody {
        fn call(&mut self, _: u32, _: &mut Stack) -> Result<usize, Raise> {
            Err(Raise::plain("nobody is here"))
        }
        fn tick(&mut self) -> Option<&'static str> {
            None
        }
    }
    machine.compile(c"=[C]", PRELUDE).map_err(Raise::Plain)?;
    machine.stack().push_bare(Bare::Next)?;
    let ran = machine.run(&mut Nobody, 1, 0, 0);
    assert_eq!(ran, Ok(()), "the prelude runs");
    Ok(())
}

/// Replaces the table on top by a protected one in front of it.
///
/// # Errors
/// There is no room.
fn protect(stack: &mut Stack) -> Result<(), Raise> {
    assert!(stack.kind(-1) == Kind::Table, "only tables are protected");
    let behind = stack.top();
    stack.push_table(0, 0)?;
    stack.push_table(0, 2)?;
    stack.push_copy(behind)?;
    stack.set_field(-2, "__index")?;
    stack.push_native(base::refuse_write, 0)?;
    stack.set_field(-2, "__newindex")?;
    stack.set_metatable(-2);
    stack.push_protected()?;
    stack.push_copy(-2)?;
    stack.push_copy(behind)?;
    stack.set(-3)?;
    stack.pop(1);
    stack.insert(behind);
    stack.pop(1);
    Ok(())
}
