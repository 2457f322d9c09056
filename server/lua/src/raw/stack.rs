//! The stack as native functions see it. See [`super`] for why none of this can raise.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

use mlua_sys as lua;
use mlua_sys::lua_State;

use super::bare::Bare;
use super::{
    Extra, Kept, Kind, MEMORY_MAX, Machine, Native, Raise, call_host, call_native, extra_of,
};

/// The stack of a machine or of one of its coroutines, as a native function sees it: its arguments from 1 on. Negative indices count
/// from the top.
pub struct Stack<'m> {
    pub(super) state: *mut lua_State,
    /// What the machine of the state knows, which lives longer.
    pub(super) extra: *mut Extra,
    /// Values up to here belong to a walk that is under way.
    pub(super) floor: c_int,
    pub(super) machine: PhantomData<&'m mut Machine>,
}

impl Stack<'_> {
    /// The stack of a state, whose machine must not be used otherwise meanwhile.
    ///
    /// # Safety
    /// The state is alive for as long as the stack is used.
    pub(super) unsafe fn new<'m>(state: *mut lua_State) -> Stack<'m> {
        Stack {
            state,
            // SAFETY: the state is alive.
            extra: unsafe { extra_of(state) },
            floor: 0,
            machine: PhantomData,
        }
    }

    /// Number of values.
    #[inline]
    pub fn top(&self) -> i32 {
        // SAFETY: the state is alive.
        unsafe { lua::lua_gettop(self.state) }
    }

    /// The index as a positive one; panics if it is none.
    #[inline]
    pub(super) fn at(&self, index: i32) -> c_int {
        let at = match index {
            ..0 => self.top() + 1 + index,
            index => index,
        };
        assert!(at > 0 && index > -8192, "no such place on the stack");
        at
    }

    #[inline]
    pub(super) fn existing(&self, index: i32) -> c_int {
        let at = self.at(index);
        if index > 0 {
            assert!(
                self.type_at(at) != lua::LUA_TNONE,
                "nothing at this place of the stack"
            );
        }
        at
    }

    /// The type at a positive index, which may be beyond the top.
    #[inline]
    pub(super) fn type_at(&self, at: c_int) -> c_int {
        debug_assert!(at > 0);
        // SAFETY: a positive index may be beyond the top.
        unsafe { lua::lua_type(self.state, at) }
    }

    #[inline]
    pub(super) fn table(&self, index: i32) -> c_int {
        let at = self.at(index);
        assert!(self.type_at(at) == lua::LUA_TTABLE, "it is no table");
        at
    }

    /// Makes sure that so many values can be taken from the top.
    pub(super) fn takes(&self, count: c_int) {
        assert!(self.top() - count >= self.floor, "so many are not there");
    }

    /// Makes sure that so many more values can be pushed.
    ///
    /// # Errors
    /// There are too many already, or the memory of scripts is used up.
    pub fn reserve(&mut self, count: i32) -> Result<(), Raise> {
        assert!((0..100_000).contains(&count));
        // SAFETY: native code runs, so that growing does not raise.
        match unsafe { lua::lua_checkstack(self.state, count) } {
            0 => Err(Raise::here("stack overflow")),
            _ => Ok(()),
        }
    }

    /// Makes sure of the memory for a string of so many bytes, or a value.
    pub(super) fn afford(&self, bytes: usize) -> Result<(), Raise> {
        match bytes > self.memory_left() {
            true => Err(Raise::plain("not enough memory")),
            false => Ok(()),
        }
    }

    /// Bytes that scripts may still take: what natives collect on the way to a value should stay below it.
    pub fn memory_left(&self) -> usize {
        // SAFETY: `extra` is borrowed for this expression only.
        MEMORY_MAX.saturating_sub(unsafe { (*self.extra).used })
    }

    /// What is at an index; beyond the top: none.
    pub fn kind(&self, index: i32) -> Kind {
        match self.type_at(self.at(index)) {
            lua::LUA_TNIL => Kind::Nil,
            lua::LUA_TBOOLEAN => Kind::Bool,
            lua::LUA_TLIGHTUSERDATA => Kind::Light,
            lua::LUA_TNUMBER => Kind::Number,
            lua::LUA_TSTRING => Kind::String,
            lua::LUA_TTABLE => Kind::Table,
            lua::LUA_TFUNCTION => Kind::Function,
            lua::LUA_TUSERDATA => Kind::Userdata,
            lua::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// Whether something counts as true.
    pub fn truth(&self, index: i32) -> bool {
        let at = self.at(index);
        // SAFETY: a positive index may be beyond the top.
        unsafe { lua::lua_toboolean(self.state, at) != 0 }
    }

    /// A number that is one, not a text of digits.
    pub fn number(&self, index: i32) -> Option<f64> {
        let at = self.at(index);
        // SAFETY: there is a number.
        (self.type_at(at) == lua::LUA_TNUMBER).then(|| unsafe { lua::lua_tonumber(self.state, at) })
    }

    /// A number, or a string that reads as one.
    pub fn as_number(&self, index: i32) -> Option<f64> {
        let at = self.at(index);
        // SAFETY: a positive index may be beyond the top; numbers are read without a conversion in place.
        unsafe {
            (lua::lua_isnumber(self.state, at) != 0).then(|| lua::lua_tonumber(self.state, at))
        }
    }

    /// A string that is one, not a number.
    pub fn bytes(&self, index: i32) -> Option<&[u8]> {
        let at = self.at(index);
        if self.type_at(at) != lua::LUA_TSTRING {
            return None;
        }
        let mut len = 0;
        // SAFETY: a string on the stack lives until it is popped, which takes `&mut self`; its bytes do not move.
        unsafe {
            let bytes = lua::lua_tolstring(self.state, at, &mut len);
            Some(std::slice::from_raw_parts(bytes.cast(), len))
        }
    }

    /// A string, or the text that `tostring` makes of a number.
    pub fn text(&mut self, index: i32) -> Option<Cow<'_, [u8]>> {
        match self.kind(index) {
            Kind::String => self.bytes(index).map(Cow::Borrowed),
            Kind::Number => {
                self.reserve(1).ok()?;
                let at = self.existing(index);
                let mut len = 0;
                // SAFETY: a copy is converted, so that nobody's key changes; it is copied before it is popped.
                let text = unsafe {
                    lua::lua_pushvalue(self.state, at);
                    let bytes = lua::lua_tolstring(self.state, -1, &mut len);
                    std::slice::from_raw_parts(bytes.cast::<u8>(), len).to_vec()
                };
                self.pop(1);
                Some(Cow::Owned(text))
            }
            _ => None,
        }
    }

    /// Removes values from the top.
    pub fn pop(&mut self, count: i32) {
        assert!(count >= 0, "so many are not there");
        self.takes(count);
        // SAFETY: they are there.
        unsafe { lua::lua_settop(self.state, -count - 1) }
    }

    /// Removes all values above so many.
    pub fn cut(&mut self, top: i32) {
        assert!(top >= self.floor && top <= self.top(), "not so high");
        // SAFETY: the stack becomes no longer.
        unsafe { lua::lua_settop(self.state, top) }
    }

    /// Moves the value on top to an index, and what is there up.
    pub fn insert(&mut self, index: i32) {
        let at = self.existing(index);
        assert!(at > self.floor, "it belongs to a walk");
        // SAFETY: the place exists.
        unsafe { lua::lua_insert(self.state, at) }
    }

    /// Moves the value on top to an index, in place of what is there.
    pub fn replace(&mut self, index: i32) {
        let at = self.existing(index);
        assert!(at > self.floor, "it belongs to a walk");
        self.takes(1);
        // SAFETY: both places exist.
        unsafe { lua::lua_replace(self.state, at) }
    }

    /// Pushes what is at an index once more.
    #[allow(missing_docs)]
    pub fn push_copy(&mut self, index: i32) -> Result<(), Raise> {
        let at = self.existing(index);
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushvalue(self.state, at) };
        Ok(())
    }

    /// Pushes nothing.
    #[allow(missing_docs)]
    pub fn push_nil(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushnil(self.state) };
        Ok(())
    }

    /// Pushes a truth value.
    #[allow(missing_docs)]
    pub fn push_bool(&mut self, truth: bool) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushboolean(self.state, c_int::from(truth)) };
        Ok(())
    }

    /// Pushes a number.
    #[allow(missing_docs)]
    pub fn push_number(&mut self, number: f64) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushnumber(self.state, number) };
        Ok(())
    }

    /// Pushes the light value that stands for nothing where nil cannot (`cjson.null`).
    #[allow(missing_docs)]
    pub fn push_null(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; nobody follows the pointer.
        unsafe { lua::lua_pushlightuserdata(self.state, ptr::null_mut()) };
        Ok(())
    }

    /// Whether a light value is that of [`Stack::push_null`].
    pub fn is_null(&self, index: i32) -> bool {
        let at = self.at(index);
        // SAFETY: a light value is a number to Lua.
        self.kind(index) == Kind::Light && unsafe { lua::lua_touserdata(self.state, at).is_null() }
    }

    /// Pushes a string.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.reserve(1)?;
        self.afford(bytes.len())?;
        // SAFETY: there is room and memory; native code runs.
        unsafe { lua::lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()) };
        Ok(())
    }

    /// Pushes a part of the string at an index. Panics if that is none or ends before.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn push_part(&mut self, index: i32, part: Range<usize>) -> Result<(), Raise> {
        self.reserve(1)?;
        self.afford(part.len())?;
        let part = &self.bytes(index).expect("it is a string")[part];
        // SAFETY: there is room and memory; native code runs; the string stays on the stack, so that its bytes are there.
        unsafe { lua::lua_pushlstring_(self.state, part.as_ptr().cast(), part.len()) };
        Ok(())
    }

    /// Pushes a table with room for so many elements and fields.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn push_table(&mut self, elements: usize, fields: usize) -> Result<(), Raise> {
        const AHEAD: usize = 1 << 20;
        self.reserve(1)?;
        self.afford(64)?;
        let (elements, fields) = (elements.min(AHEAD), fields.min(AHEAD));
        // SAFETY: there is room and memory; native code runs; the sizes are far from Lua's limit.
        unsafe { lua::lua_createtable(self.state, elements as c_int, fields as c_int) };
        Ok(())
    }

    /// Pushes a native function. The `upvalues` values on top become its own.
    #[allow(missing_docs)]
    pub fn push_native(&mut self, native: Native, upvalues: usize) -> Result<(), Raise> {
        assert!(upvalues <= 8);
        self.takes(upvalues as c_int);
        self.reserve(1)?;
        // SAFETY: there is room; the first upvalue is what `call_native` expects.
        unsafe {
            lua::lua_pushlightuserdata(self.state, native as *mut c_void);
            lua::lua_insert(self.state, -1 - upvalues as c_int);
            lua::lua_pushcclosure(self.state, call_native, 1 + upvalues as c_int);
        }
        Ok(())
    }

    /// Pushes function `number` of the host.
    #[allow(missing_docs)]
    pub fn push_host(&mut self, number: u32) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; the upvalue is what `call_host` expects, and nobody follows it.
        unsafe {
            lua::lua_pushlightuserdata(self.state, number as usize as *mut c_void);
            lua::lua_pushcclosure(self.state, call_host, 1);
        }
        Ok(())
    }

    /// Pushes bytes that native functions may change, as their own upvalue: see [`Stack::own_bytes`]. Scripts see nothing of them.
    #[allow(missing_docs)]
    pub fn push_cell(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.reserve(1)?;
        self.afford(bytes.len())?;
        // SAFETY: there is room and memory, and Lua gives a block of this size.
        unsafe {
            let cell = lua::lua_newuserdata(self.state, bytes.len());
            ptr::copy_nonoverlapping(bytes.as_ptr(), cell.cast(), bytes.len());
        }
        Ok(())
    }

    /// The bytes that stand as upvalue `number` (from 1) of the running native function; none if it has no such cell.
    pub fn own_bytes(&mut self, number: usize) -> Option<&mut [u8]> {
        assert!((1..=8).contains(&number));
        let index = lua::lua_upvalueindex(1 + number as c_int);
        // SAFETY: the index is one that a C function may ask for; a full userdata is a block of its length, which lives as long as the function.
        unsafe {
            if lua::lua_type(self.state, index) != lua::LUA_TUSERDATA {
                return None;
            }
            let len = lua::lua_objlen(self.state, index);
            let cell = lua::lua_touserdata(self.state, index);
            Some(std::slice::from_raw_parts_mut(cell.cast(), len))
        }
    }

    /// Pushes the table of globals.
    #[allow(missing_docs)]
    pub fn push_globals(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushvalue(self.state, lua::LUA_GLOBALSINDEX) };
        Ok(())
    }

    /// Takes the table on top as the globals of what is compiled from now on.
    pub fn set_globals(&mut self) {
        self.table(-1);
        self.takes(1);
        // SAFETY: it is a table.
        unsafe { lua::lua_replace(self.state, lua::LUA_GLOBALSINDEX) };
    }

    /// Takes the table on top as the environment of a function; false if that cannot have one.
    pub fn set_environment(&mut self, function: i32) -> bool {
        self.table(-1);
        self.takes(1);
        let at = self.existing(function);
        // SAFETY: the value is there, and a table is on top.
        unsafe { lua::lua_setfenv(self.state, at) != 0 }
    }

    /// Pushes a value of the machine that scripts do not see, by name.
    #[allow(missing_docs)]
    pub fn get_hidden(&mut self, name: &str) -> Result<(), Raise> {
        self.push_bytes(name.as_bytes())?;
        // SAFETY: the registry is a table, and the key is replaced.
        unsafe { lua::lua_rawget_(self.state, lua::LUA_REGISTRYINDEX) };
        Ok(())
    }

    /// Takes the value on top as one that scripts do not see.
    #[allow(missing_docs)]
    pub fn set_hidden(&mut self, name: &str) -> Result<(), Raise> {
        self.push_bytes(name.as_bytes())?;
        self.insert(-2);
        self.afford(128)?;
        // SAFETY: the registry is a table, and the key a string.
        unsafe { lua::lua_rawset(self.state, lua::LUA_REGISTRYINDEX) };
        Ok(())
    }

    /// Takes the value on top, to be had again by [`Machine::push_kept`].
    ///
    /// # Errors
    /// There is no memory.
    pub fn keep(&mut self) -> Result<Kept, Raise> {
        self.takes(1);
        self.reserve(1)?;
        self.afford(64)?;
        // SAFETY: there is a value, the registry is a table that may grow, native code runs.
        Ok(Kept(unsafe {
            lua::luaL_ref(self.state, lua::LUA_REGISTRYINDEX)
        }))
    }

    /// Whether two values are the same.
    pub fn same(&self, a: i32, b: i32) -> bool {
        let (a, b) = (self.existing(a), self.existing(b));
        // SAFETY: both are there.
        unsafe { lua::lua_rawequal(self.state, a, b) != 0 }
    }

    /// `program:line: ` of the function that called the running native one, or nothing.
    pub fn caller_place(&mut self) -> Vec<u8> {
        // SAFETY: `ar` is filled by Lua before it is read; its texts are Lua's and copied.
        unsafe {
            let mut ar: lua::lua_Debug = std::mem::zeroed();
            if lua::lua_getstack(self.state, 1, &mut ar) == 0 {
                return Vec::new();
            }
            lua::lua_getinfo(self.state, c"Sl".as_ptr(), &mut ar);
            if ar.currentline <= 0 {
                return Vec::new();
            }
            let source = CStr::from_ptr(ar.short_src.as_ptr()).to_bytes();
            [source, format!(":{}: ", ar.currentline).as_bytes()].concat()
        }
    }

    /// `bad argument #n to 'name' (what)`, with the name that the caller used.
    pub fn bad_argument(&mut self, n: i32, what: impl AsRef<[u8]>) -> Raise {
        // SAFETY: as in `caller_place`.
        let (name, is_method) = unsafe {
            let mut ar: lua::lua_Debug = std::mem::zeroed();
            if lua::lua_getstack(self.state, 0, &mut ar) == 0 {
                (Vec::new(), false)
            } else {
                lua::lua_getinfo(self.state, c"n".as_ptr(), &mut ar);
                let text = |text: *const c_char| match text.is_null() {
                    true => Vec::new(),
                    false => CStr::from_ptr(text).to_bytes().to_vec(),
                };
                (text(ar.name), text(ar.namewhat) == b"method")
            }
        };
        let name = if name.is_empty() { b"?" } else { &name[..] };
        let begin = match (n, is_method) {
            (1, true) => b"calling '".to_vec(),
            (n, _) => format!("bad argument #{} to '", n - i32::from(is_method)).into_bytes(),
        };
        let middle: &[u8] = match (n, is_method) {
            (1, true) => b"' on bad self (",
            _ => b"' (",
        };
        Raise::Here([&begin, name, middle, what.as_ref(), b")"].concat())
    }

    /// [`Stack::bad_argument`] for a value of the wrong type.
    pub fn wrong_type(&mut self, n: i32, expected: &str) -> Raise {
        let got = self.kind(n).name();
        self.bad_argument(n, format!("{expected} expected, got {got}"))
    }

    /// The state of `math.random`, which all scripts of the machine share.
    pub fn random_state(&mut self) -> &mut u64 {
        // SAFETY: the borrow ends before Lua runs again, which takes `&mut self`.
        unsafe { &mut (*self.extra).random }
    }

    /// Pushes the table that has for each protected table what is behind it.
    pub(crate) fn push_protected(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: it is in the registry as long as the machine; there is room.
        unsafe {
            let place = (*self.extra).protected;
            lua::lua_rawgeti_(self.state, lua::LUA_REGISTRYINDEX, place);
        }
        Ok(())
    }

    /// Pushes one of the functions that must be written without Rust's means: see [`Bare`].
    #[allow(missing_docs)]
    pub fn push_bare(&mut self, function: Bare) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { lua::lua_pushcclosure(self.state, function.function(), 0) };
        Ok(())
    }
}
