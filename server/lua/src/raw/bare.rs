//! Functions of the base library in which Lua may raise at any time. Nothing in them owns anything.

use std::ffi::{CStr, c_int};
use std::ptr;

use mlua_sys as lua;
use mlua_sys::lua_State;

use super::{CODE_MAX, READ_ONLY, Text, extra_of, read_text};

/// Functions of Lua's base library that are made anew, because scripts must not do with them what they could do with Lua's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// `pcall`: a table with the field `err` becomes its text; what ends the script is not caught.
    Pcall,
    /// `xpcall`: what ends the script is not caught.
    Xpcall,
    /// `next`, which looks behind protected tables.
    Next,
    /// `rawget`, which looks behind protected tables.
    RawGet,
    /// `rawset`, which does not write into protected tables.
    RawSet,
    /// `table.insert`, which does not write into protected tables.
    Insert,
    /// `unpack` within the limits of the stack.
    Unpack,
    /// `loadstring`, which takes no compiled program.
    LoadString,
    /// `setfenv`, which does not replace the globals.
    SetEnvironment,
}

impl Bare {
    pub(super) fn function(self) -> lua::lua_CFunction {
        match self {
            Bare::Pcall => pcall,
            Bare::Xpcall => xpcall,
            Bare::Next => next,
            Bare::RawGet => rawget,
            Bare::RawSet => rawset,
            Bare::Insert => insert,
            Bare::Unpack => unpack,
            Bare::LoadString => loadstring,
            Bare::SetEnvironment => setfenv,
        }
    }
}

/// Goes on with an error that nobody may catch.
unsafe fn pass_kill_on(state: *mut lua_State) {
    // SAFETY: the frame owns nothing.
    unsafe {
        if let Some(text) = extra_of(state).killed {
            lua::lua_pushlstring_(state, text.as_ptr().cast(), text.len());
            lua::lua_error(state);
        }
    }
}

unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    // SAFETY: indices are checked by hand; the frame owns nothing.
    unsafe {
        if lua::lua_gettop(state) == 0 {
            lua::lua_pushboolean(state, 0);
            lua::lua_pushlstring_(state, c"attempt to call a boolean value".as_ptr(), 31);
            return 2;
        }
        lua::lua_pushboolean(state, 1);
        lua::lua_insert(state, 1);
        let arguments = lua::lua_gettop(state) - 2;
        if lua::lua_pcall(state, arguments, lua::LUA_MULTRET, 0) == lua::LUA_OK {
            return lua::lua_gettop(state);
        }
        pass_kill_on(state);
        lua::lua_pushboolean(state, 0);
        lua::lua_replace(state, 1);
        if lua::lua_type(state, -1) == lua::LUA_TTABLE {
            lua::lua_pushlstring_(state, c"err".as_ptr(), 3);
            lua::lua_rawget_(state, -2);
            if lua::lua_isstring(state, -1) != 0 {
                lua::lua_remove(state, -2);
            } else if lua::lua_type(state, -1) == lua::LUA_TNIL {
                lua::lua_settop(state, -2);
            }
        }
        lua::lua_gettop(state)
    }
}

unsafe extern "C-unwind" fn xpcall(state: *mut lua_State) -> c_int {
    // SAFETY: `luaL_checkany` makes sure of the handler; the frame owns nothing.
    unsafe {
        lua::luaL_checkany(state, 2);
        lua::lua_settop(state, 2);
        lua::lua_insert(state, 1);
        let status = lua::lua_pcall(state, 0, lua::LUA_MULTRET, 1);
        if status != lua::LUA_OK {
            pass_kill_on(state);
        }
        lua::lua_pushboolean(state, c_int::from(status == lua::LUA_OK));
        lua::lua_replace(state, 1);
        lua::lua_gettop(state)
    }
}

/// Pushes what is behind a protected table at index 1, and answers true; or pushes nothing, if it is another one.
unsafe fn behind(state: *mut lua_State) -> bool {
    // SAFETY: the table of protected tables is there as long as the machine; a function may push three values unasked.
    unsafe {
        if lua::lua_getmetatable(state, 1) == 0 {
            return false;
        }
        lua::lua_rawgeti_(state, lua::LUA_REGISTRYINDEX, extra_of(state).protected);
        lua::lua_pushvalue(state, 1);
        lua::lua_rawget_(state, -2);
        lua::lua_replace(state, -3);
        lua::lua_settop(state, -2);
        let is_protected = lua::lua_type(state, -1) == lua::LUA_TTABLE;
        if !is_protected {
            lua::lua_settop(state, -2);
        }
        is_protected
    }
}

/// Raises what Redis says of a write into a protected table at index 1.
unsafe fn refuse_protected(state: *mut lua_State) {
    // SAFETY: the frame owns nothing.
    unsafe {
        if behind(state) {
            lua::lua_pushlstring_(state, READ_ONLY.as_ptr().cast(), READ_ONLY.len());
            lua::lua_error(state);
        }
    }
}

unsafe extern "C-unwind" fn rawget(state: *mut lua_State) -> c_int {
    // SAFETY: the first argument is a table, the second is there.
    unsafe {
        lua::luaL_checktype(state, 1, lua::LUA_TTABLE);
        lua::luaL_checkany(state, 2);
        lua::lua_settop(state, 2);
        if behind(state) {
            lua::lua_replace(state, 1);
        }
        lua::lua_rawget_(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn rawset(state: *mut lua_State) -> c_int {
    // SAFETY: the first argument is a table, the others are there.
    unsafe {
        lua::luaL_checktype(state, 1, lua::LUA_TTABLE);
        lua::luaL_checkany(state, 2);
        lua::luaL_checkany(state, 3);
        lua::lua_settop(state, 3);
        refuse_protected(state);
        lua::lua_rawset(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn insert(state: *mut lua_State) -> c_int {
    // SAFETY: the first argument is a table; what is moved are elements of it.
    unsafe {
        lua::luaL_checktype(state, 1, lua::LUA_TTABLE);
        refuse_protected(state);
        let end = lua::lua_objlen(state, 1) as c_int + 1;
        let place = match lua::lua_gettop(state) {
            2 => end,
            3 => {
                let place = lua::luaL_checkinteger(state, 2) as c_int;
                let mut at = end.max(place);
                while at > place {
                    lua::lua_rawgeti_(state, 1, at - 1);
                    lua::lua_rawseti_(state, 1, at);
                    at -= 1;
                }
                place
            }
            _ => {
                return lua::luaL_error(state, c"wrong number of arguments to 'insert'".as_ptr());
            }
        };
        lua::lua_rawseti_(state, 1, place);
        0
    }
}

unsafe extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    // SAFETY: the first argument is a table, the second is there.
    unsafe {
        lua::luaL_checktype(state, 1, lua::LUA_TTABLE);
        lua::lua_settop(state, 2);
        if behind(state) {
            lua::lua_replace(state, 1);
        }
        if lua::lua_next(state, 1) != 0 {
            return 2;
        }
        lua::lua_pushnil(state);
        1
    }
}

unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    // SAFETY: there is room for what is pushed; the frame owns nothing.
    unsafe {
        lua::luaL_checktype(state, 1, lua::LUA_TTABLE);
        let whole = |index: c_int, default: i64| match lua::lua_type(state, index) {
            lua::LUA_TNIL | lua::LUA_TNONE => default,
            _ => lua::luaL_checkinteger(state, index),
        };
        // Lua counts in 32 bits.
        let first = i64::from(whole(2, 1) as c_int);
        let last = i64::from(whole(3, lua::lua_objlen(state, 1) as i64) as c_int);
        if first > last {
            return 0;
        }
        let count = last - first + 1;
        if count >= 1 << 20 || lua::lua_checkstack(state, count as c_int) == 0 {
            return lua::luaL_error(state, c"too many results to unpack".as_ptr());
        }
        for n in first..=last {
            lua::lua_rawgeti_(state, 1, n as c_int);
        }
        count as c_int
    }
}

unsafe extern "C-unwind" fn loadstring(state: *mut lua_State) -> c_int {
    // SAFETY: both strings stay on the stack while the program is read; the name is anchored in the form in which Lua reads it.
    unsafe {
        let mut len = 0;
        let code = lua::luaL_checklstring(state, 1, &mut len);
        let name = lua::luaL_optlstring(state, 2, code, ptr::null_mut());
        if len > CODE_MAX {
            return lua::luaL_error(state, c"the program is too long".as_ptr());
        }
        lua::lua_pushstring_(state, name);
        let name = lua::lua_tolstring(state, -1, ptr::null_mut());
        let mut text = Text {
            begun: false,
            bytes: code,
            len,
        };
        let text = ptr::from_mut(&mut text).cast();
        if lua::lua_load(state, read_text, text, name) == lua::LUA_OK {
            return 1;
        }
        lua::lua_pushnil(state);
        lua::lua_insert(state, -2);
        2
    }
}

unsafe extern "C-unwind" fn setfenv(state: *mut lua_State) -> c_int {
    // SAFETY: `ar` is filled by Lua before it is read; there is a function on top when its environment is set.
    unsafe {
        const REFUSED: &CStr = c"'setfenv' cannot change environment of given object";
        lua::luaL_checktype(state, 2, lua::LUA_TTABLE);
        if lua::lua_type(state, 1) == lua::LUA_TFUNCTION {
            lua::lua_pushvalue(state, 1);
        } else {
            let level = lua::luaL_optinteger(state, 1, 1);
            let mut ar: lua::lua_Debug = std::mem::zeroed();
            if level < 0 {
                return lua::luaL_argerror(state, 1, c"level must be non-negative".as_ptr());
            }
            if level == 0 {
                return lua::luaL_error(state, REFUSED.as_ptr());
            }
            let level = level.min(1 << 20) as c_int;
            if lua::lua_getstack(state, level, &mut ar) == 0 {
                return lua::luaL_argerror(state, 1, c"invalid level".as_ptr());
            }
            lua::lua_getinfo(state, c"f".as_ptr(), &mut ar);
            if lua::lua_type(state, -1) == lua::LUA_TNIL {
                let text = c"no function environment for tail call at level %d";
                return lua::luaL_error(state, text.as_ptr(), level);
            }
        }
        lua::lua_pushvalue(state, 2);
        if lua::lua_iscfunction(state, -2) != 0 || lua::lua_setfenv(state, -2) == 0 {
            return lua::luaL_error(state, REFUSED.as_ptr());
        }
        1
    }
}
