//! The one room that calls Lua. What it offers is safe: a [`Machine`], and the [`Stack`] through which native functions see it.
//!
//! Lua reports errors by a long jump, which must not cross a Rust frame that owns something. So:
//!
//! - A **native function** ([`Native`], [`Host::call`]) runs inside `enter`, gets a [`Stack`] and answers with a `Result`. No function
//!   of [`Stack`] can jump: each checks indices, types, room on the stack and memory first, tables are read and written raw,
//!   and while native code runs the allocator never refuses (`Extra::native`). The error is raised by `enter` when all that the native
//!   function owned is gone.
//! - What must call Lua or may raise by itself (`pcall`, `next`, `unpack`, ...) is written in `bare`, in frames that own nothing.
//! - There are no finalizers: `newproxy(true)`, the only way to one, is not offered. So collecting garbage calls nothing.
//!
//! Memory is counted by the allocator; what scripts may take is limited to [`MEMORY_MAX`], natives included. No table can then become
//! so large that Lua would refuse to let it grow, which is the one error of a raw write beside lack of memory.
#![allow(unsafe_code)]

mod bare;
mod stack;
mod tables;

pub use bare::Bare;
pub use stack::Stack;

use std::alloc::Layout;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::ptr::{self, NonNull};

use mlua_sys as lua;
use mlua_sys::lua_State;

/// Bytes that the scripts of one machine may hold: a table of 2^25 places stays below it, one of 2^26 does not.
pub const MEMORY_MAX: usize = 1 << 30;

/// Longest text of a program, bytes: the reader of Lua 5.1 counts some things in 32 bits.
pub const CODE_MAX: usize = 512 << 20;

/// A function that scripts call: it takes its arguments from the stack and answers how many results it left on top.
pub type Native = fn(&mut Stack) -> Result<usize, Raise>;

/// An error that a native function raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raise {
    /// A text, behind the place in the script that called.
    Here(Vec<u8>),
    /// A text as it is.
    Plain(Vec<u8>),
    /// The value on top of the stack.
    Top,
}

impl Raise {
    /// A text behind the place of the caller.
    pub fn here(text: impl Into<String>) -> Raise {
        Raise::Here(text.into().into_bytes())
    }

    /// A text as it is.
    pub fn plain(text: impl Into<String>) -> Raise {
        Raise::Plain(text.into().into_bytes())
    }
}

/// What a running script reaches beside its own values.
pub trait Host {
    /// Runs function `number` of those that [`Stack::push_host`] made.
    fn call(&mut self, number: u32, stack: &mut Stack) -> Result<usize, Raise>;
    /// Called after every so many instructions. `Some` ends the script with this text, whatever it does to go on.
    fn tick(&mut self) -> Option<&'static str>;
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    None,
    Nil,
    Bool,
    Light,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    /// The word that `type` gives.
    pub fn name(self) -> &'static str {
        match self {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Bool => "boolean",
            Kind::Light | Kind::Userdata => "userdata",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Thread => "thread",
        }
    }
}

/// A value kept beyond the stack, until [`Machine::forget`].
#[derive(Debug, PartialEq, Eq)]
pub struct Kept(c_int);

/// Where the error that ended a run was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line of the program, from 1.
    pub line: u32,
}

/// How a run ended that failed; the value of the error is on top of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error, and where it was raised, if that was in a program.
    Error(Option<Place>),
    /// The error could not be handled.
    Broken,
}

/// What the allocator and natives know of their machine.
struct Extra {
    main: *mut lua_State,
    /// Bytes that Lua holds.
    used: usize,
    /// Native code runs, and allocations must not fail.
    native: bool,
    /// The run has been ended with this text: nothing catches the error.
    killed: Option<&'static str>,
    place: Option<Place>,
    /// Valid while a run is under way.
    host: Option<NonNull<dyn Host>>,
    random: u64,
    /// How many walks through the fields of a table are under way.
    walks: u32,
    /// Where the registry has the table that knows what is behind protected tables.
    protected: c_int,
}

/// What Redis says of a write into a table of its own.
pub const READ_ONLY: &str = "Attempt to modify a readonly table";

/// A Lua state of its own.
pub struct Machine {
    state: NonNull<lua_State>,
    extra: NonNull<Extra>,
}

// SAFETY: the state and what it points to belong to the machine alone, and it is only used through `&mut`.
unsafe impl Send for Machine {}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({} bytes)", self.used())
    }
}

/// Lua's memory comes from Rust's allocator, so that it is counted with everything else.
unsafe extern "C" fn allocate(
    data: *mut c_void,
    old: *mut c_void,
    old_size: usize,
    size: usize,
) -> *mut c_void {
    const ALIGN: usize = 16;
    // SAFETY: `data` is the machine's `Extra`, which outlives its state; `old` came from here with `old_size` bytes, as Lua promises.
    unsafe {
        let extra = &mut *data.cast::<Extra>();
        let held = if old.is_null() { 0 } else { old_size };
        if size == 0 {
            if !old.is_null() {
                extra.used -= held;
                std::alloc::dealloc(
                    old.cast(),
                    Layout::from_size_align_unchecked(old_size.max(1), ALIGN),
                );
            }
            return ptr::null_mut();
        }
        let would_hold = extra.used - held + size;
        if size > held && would_hold > MEMORY_MAX && !extra.native {
            return ptr::null_mut();
        }
        let Ok(layout) = Layout::from_size_align(size, ALIGN) else {
            return ptr::null_mut();
        };
        let new = match old.is_null() {
            true => std::alloc::alloc(layout),
            false => std::alloc::realloc(
                old.cast(),
                Layout::from_size_align_unchecked(old_size.max(1), ALIGN),
                size,
            ),
        };
        if new.is_null() {
            if extra.native {
                std::alloc::handle_alloc_error(layout);
            }
            return ptr::null_mut();
        }
        extra.used = would_hold;
        new.cast()
    }
}

/// The machine that a state or coroutine belongs to.
unsafe fn extra_of<'a>(state: *mut lua_State) -> &'a mut Extra {
    let mut data = ptr::null_mut();
    // SAFETY: the allocator's data is the machine's `Extra`; nobody holds a reference to it across a call of Lua.
    unsafe {
        lua::lua_getallocf(state, &mut data);
        &mut *data.cast::<Extra>()
    }
}

impl Machine {
    /// A machine with the libraries of Lua and nothing else; [`crate::sandbox`] makes a room for scripts of it.
    pub fn new() -> Machine {
        let extra = Box::into_raw(Box::new(Extra {
            main: ptr::null_mut(),
            used: 0,
            native: true,
            killed: None,
            place: None,
            host: None,
            random: 0x1234_abcd_330e,
            walks: 0,
            protected: lua::LUA_NOREF,
        }));
        // SAFETY: `extra` lives until `drop`; native code runs, so nothing raises; each opener is called as a function.
        unsafe {
            let state = lua::lua_newstate(allocate, extra.cast());
            let state = NonNull::new(state).expect("the allocator does not refuse");
            (*extra).main = state.as_ptr();
            let openers: [lua::lua_CFunction; 4] = [
                lua::luaopen_base,
                lua::luaopen_table,
                lua::luaopen_string,
                lua::luaopen_math,
            ];
            for open in openers {
                lua::lua_pushcclosure(state.as_ptr(), open, 0);
                lua::lua_call(state.as_ptr(), 0, 0);
            }
            // Who is protected may go.
            lua::lua_createtable(state.as_ptr(), 0, 0);
            lua::lua_createtable(state.as_ptr(), 0, 1);
            lua::lua_pushstring_(state.as_ptr(), c"k".as_ptr());
            lua::lua_setfield(state.as_ptr(), -2, c"__mode".as_ptr());
            lua::lua_setmetatable(state.as_ptr(), -2);
            (*extra).protected = lua::luaL_ref(state.as_ptr(), lua::LUA_REGISTRYINDEX);
            Machine {
                state,
                extra: NonNull::new_unchecked(extra),
            }
        }
    }

    /// Bytes that the machine holds.
    pub fn used(&self) -> usize {
        // SAFETY: `extra` lives as long as the machine, and no Lua runs.
        unsafe { self.extra.as_ref().used }
    }

    /// Its stack, between runs.
    pub fn stack(&mut self) -> Stack<'_> {
        // SAFETY: the state is alive, and borrowed with the machine.
        unsafe { Stack::new(self.state.as_ptr()) }
    }

    /// Does a part of what is left to collect.
    pub fn collect_step(&mut self, size: i32) {
        // SAFETY: collecting calls nothing, as there are no finalizers.
        unsafe { lua::lua_gc(self.state.as_ptr(), lua::LUA_GCSTEP, size) };
    }

    /// Gives back all that nothing refers to any more.
    pub fn collect_all(&mut self) {
        // SAFETY: as above.
        unsafe { lua::lua_gc(self.state.as_ptr(), lua::LUA_GCCOLLECT, 0) };
    }

    /// A kept value is needed no more.
    pub fn forget(&mut self, kept: Kept) {
        // SAFETY: it was given out by `keep` and is not used again.
        unsafe { lua::luaL_unref(self.state.as_ptr(), lua::LUA_REGISTRYINDEX, kept.0) };
    }

    /// Puts a kept value on the stack.
    ///
    /// # Errors
    /// There is no room.
    pub fn push_kept(&mut self, kept: &Kept) -> Result<(), Raise> {
        self.stack().reserve(1)?;
        // SAFETY: there is room, and reading the registry raises nothing.
        unsafe { lua::lua_rawgeti_(self.state.as_ptr(), lua::LUA_REGISTRYINDEX, kept.0) };
        Ok(())
    }

    /// Compiles a program to a function on the stack.
    ///
    /// # Errors
    /// What Lua says of it.
    pub fn compile(&mut self, name: &'static CStr, code: &[u8]) -> Result<(), Vec<u8>> {
        if code.len() > CODE_MAX {
            return Err(b"the program is too long".to_vec());
        }
        let room = self.stack().reserve(2);
        room.map_err(|_| b"stack overflow".to_vec())?;
        // SAFETY: `lua_load` is protected, there is room for its result, and the name is anchored while the program is read.
        unsafe {
            let state = self.state.as_ptr();
            lua::lua_pushstring_(state, name.as_ptr());
            let mut text = Text::new(code);
            let text = ptr::from_mut(&mut text).cast();
            let status = lua::lua_load(state, read_text, text, name.as_ptr());
            lua::lua_remove(state, -2);
            if status == lua::LUA_OK {
                return Ok(());
            }
        }
        let mut stack = self.stack();
        let message = stack.bytes(-1).unwrap_or(b"not enough memory").to_vec();
        stack.pop(1);
        Err(message)
    }

    /// Calls the function below its `arguments` on the stack, which `results` values take the place of. `every` instructions the host
    /// is asked whether to go on; 0: never.
    ///
    /// # Errors
    /// The script failed; the error's value is on the stack.
    pub fn run(
        &mut self,
        host: &mut dyn Host,
        arguments: usize,
        results: usize,
        every: u32,
    ) -> Result<(), Fault> {
        assert!(
            self.stack().top() > arguments as i32 && results < 16,
            "a function and its arguments"
        );
        let state = self.state.as_ptr();
        // SAFETY: the host outlives this call, at whose end it is forgotten; the call is protected; `extra` is borrowed for moments only.
        unsafe {
            let host: NonNull<dyn Host + '_> = NonNull::from(host);
            let extra = extra_of(state);
            assert!(extra.host.is_none(), "one run at a time");
            extra.host = Some(std::mem::transmute::<
                NonNull<dyn Host + '_>,
                NonNull<dyn Host + 'static>,
            >(host));
            (extra.killed, extra.place) = (None, None);
            let handler = lua::lua_gettop(state) - arguments as c_int;
            assert!(
                lua::lua_checkstack(state, 1 + results as c_int) != 0,
                "the stack of a run is empty"
            );
            lua::lua_pushcclosure(state, note_place, 0);
            lua::lua_insert(state, handler);
            if every > 0 {
                lua::lua_sethook(state, Some(tick), lua::LUA_MASKCOUNT, every as c_int);
            }
            extra_of(state).native = false;
            let status = lua::lua_pcall(state, arguments as c_int, results as c_int, handler);
            let extra = extra_of(state);
            (extra.native, extra.host) = (true, None);
            let place = extra.place;
            lua::lua_sethook(state, None, 0, 0);
            lua::lua_remove(state, handler);
            match status {
                lua::LUA_OK => Ok(()),
                lua::LUA_ERRERR => Err(Fault::Broken),
                _ => Err(Fault::Error(place)),
            }
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the state any more, which gives all its memory back before `extra` goes.
        unsafe {
            lua::lua_close(self.state.as_ptr());
            debug_assert_eq!(self.used(), 0, "memory of a state that is gone");
            drop(Box::from_raw(self.extra.as_ptr()));
        }
    }
}

/// The text of a program, read in one piece behind a blank: what begins like a compiled program is none.
struct Text {
    begun: bool,
    bytes: *const c_char,
    len: usize,
}

impl Text {
    fn new(code: &[u8]) -> Text {
        Text {
            begun: false,
            bytes: code.as_ptr().cast(),
            len: code.len(),
        }
    }
}

unsafe extern "C-unwind" fn read_text(
    _: *mut lua_State,
    data: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: `data` is the `Text` of whoever loads, whose bytes outlive the load; `size` is Lua's.
    unsafe {
        let text = &mut *data.cast::<Text>();
        if !text.begun {
            text.begun = true;
            *size = 1;
            return c" ".as_ptr();
        }
        *size = std::mem::take(&mut text.len);
        text.bytes
    }
}

/// Handles an error that nobody caught: remembers where it was raised, and leaves it as it is.
unsafe extern "C-unwind" fn note_place(state: *mut lua_State) -> c_int {
    // SAFETY: no frame here owns anything; `ar` is filled by Lua before it is read.
    unsafe {
        let mut ar: lua::lua_Debug = std::mem::zeroed();
        let mut level = 1;
        while lua::lua_getstack(state, level, &mut ar) != 0 {
            lua::lua_getinfo(state, c"Sl".as_ptr(), &mut ar);
            if ar.currentline > 0 && CStr::from_ptr(ar.source).to_bytes().starts_with(b"@user_") {
                extra_of(state).place = Some(Place {
                    line: ar.currentline as u32,
                });
                break;
            }
            level += 1;
        }
        1
    }
}

/// After so many instructions: asks the host whether the script may go on.
unsafe extern "C-unwind" fn tick(state: *mut lua_State, _: *mut lua::lua_Debug) {
    // SAFETY: the host is valid while a run is under way; nothing here owns anything when the error is raised.
    unsafe {
        let extra = extra_of(state);
        let Some(mut host) = extra.host else { return };
        extra.native = true;
        let end = host.as_mut().tick();
        extra_of(state).native = false;
        if let Some(text) = end {
            let extra = extra_of(state);
            extra.killed = end;
            // Whatever catches the error has no second instruction.
            lua::lua_sethook(state, Some(tick), lua::LUA_MASKCOUNT, 1);
            lua::lua_sethook(extra.main, Some(tick), lua::LUA_MASKCOUNT, 1);
            lua::lua_pushlstring_(state, text.as_ptr().cast(), text.len());
            lua::lua_error(state);
        }
    }
}

/// Runs native code and raises the error that it answers with.
unsafe fn enter(
    state: *mut lua_State,
    native: impl FnOnce(&mut Stack) -> Result<usize, Raise>,
) -> c_int {
    // SAFETY: all that `native` and its answer own is gone when the error is raised, and until then nothing raises.
    unsafe {
        extra_of(state).native = true;
        let mut stack = Stack::new(state);
        let failed = match native(&mut stack) {
            Ok(count) => {
                debug_assert!(count as i32 <= stack.top());
                extra_of(state).native = false;
                return count as c_int;
            }
            Err(Raise::Top) => Ok(()),
            Err(Raise::Here(text)) => {
                let place = stack.caller_place();
                stack.cut(0);
                stack.push_bytes(&[&place, text.as_slice()].concat())
            }
            Err(Raise::Plain(text)) => {
                // A full stack has no room for the text.
                stack.cut(0);
                stack.push_bytes(&text)
            }
        };
        if failed.is_err() {
            lua::lua_pushlstring_(state, c"not enough memory".as_ptr(), 17);
        }
        drop(failed);
        extra_of(state).native = false;
        lua::lua_error(state)
    }
}

unsafe extern "C-unwind" fn call_native(state: *mut lua_State) -> c_int {
    // SAFETY: the first upvalue of this function is a `Native`, see `push_native`.
    unsafe {
        let function = lua::lua_touserdata(state, lua::lua_upvalueindex(1));
        let function: Native = std::mem::transmute::<*mut c_void, Native>(function);
        enter(state, function)
    }
}

unsafe extern "C-unwind" fn call_host(state: *mut lua_State) -> c_int {
    // SAFETY: the host is valid while a run is under way, and nobody else uses it while its script does.
    unsafe {
        let number = lua::lua_touserdata(state, lua::lua_upvalueindex(1)) as usize;
        let host = extra_of(state).host;
        enter(state, |stack| match host {
            Some(mut host) => host.as_mut().call(number as u32, stack),
            None => Err(Raise::plain("ERR this can only be called by a script")),
        })
    }
}
